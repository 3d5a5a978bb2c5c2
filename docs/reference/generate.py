"""Writes docs/reference/fleet-file.md and fleet-file.zh.md from the schema. Run it after a change of the schema.

Owns the layout of these two pages. Descriptions, defaults and ranges are the schema's and the engines' own; what they
mean in Chinese is in fleet-file.zh.yaml, by field. tests/unit/test_docs.py fails while the pages are out of date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Arena, Budget, Deployment, FastChat, Fleet, Gateway, Timeouts
from argosy.engines import catalog

HERE = Path(__file__).parent
_CHINESE = HERE / "fleet-file.zh.yaml"


@dataclass(frozen=True)
class Section:
    """A table: the fields of one model. `prefix` makes a field's path: gateway.host."""

    prefix: str
    model: type[BaseModel]

    def heading(self, words: Words) -> str:
        """The field that holds it, which is no word of any language."""
        if self.prefix.startswith("options["):
            return words.options.format(engine=self.prefix.removeprefix("options[").removesuffix("]."))
        return self.prefix.removesuffix(".").removesuffix(".*") or words.file


@dataclass(frozen=True)
class Words:
    """What the pages say beside the tables."""

    title: str
    intro: str
    header: str
    file: str  # heading of the file's own fields
    notes: Mapping[str, str]  # prefix → a sentence under the heading
    options: str  # heading of an engine's options, {engine}
    none: str  # no default
    needed: str


ENGLISH = Words(
    title="Fleet file",
    intro="Every field, made from the schema by `docs/reference/generate.py`. `argosy check` finds every fault of a "
    "file at once; `argosy check --schema` prints the JSON schema for editors; "
    "[examples/fleet.yaml](../../examples/fleet.yaml) has all of it in one commented file.\n\n"
    "`${NAME}` is filled in from the environment, `${NAME:-default}` also where it is unset; `$${` is a plain `${`. "
    "Paths are relative to the file. An unknown field is a fault.",
    header="| field | value | default | meaning |",
    file="The file",
    notes={
        "fastchat.": "For [old FastChat processes](../guide/fastchat-pieces.md).",
        "arena.": "On where it stands, also with nothing behind it; it wants `argosy[arena]`. What it is: "
        "[the arena](../guide/arena.md).",
        "deployments.*.": "By name: letters, digits, `.`, `_`, `-`, and `/` between parts. `all`, `gateway`, `workers` "
        "and `controller` are reserved. Limits, aliases, timeouts, defaults and the number of replicas change without "
        "a restart.",
        "timeouts.": "Of a deployment, in seconds.",
        "budget.": "Of every GPU: what replicas may take of it together.",
        "environment.": "Of a deployment, or under a name in `environments`.",
    },
    options="options of {engine}",
    none="",
    needed="needed",
)
CHINESE = Words(
    title="fleet 文件",
    intro="全部字段，由 `docs/reference/generate.py` 根据 schema 生成。`argosy check` 一次找出文件里的所有错误；"
    "`argosy check --schema` 输出 JSON schema，供编辑器使用；带注释的完整示例见 "
    "[examples/fleet.yaml](../../examples/fleet.yaml)。\n\n"
    "`${NAME}` 取环境变量的值，`${NAME:-default}` 在变量未设置时取默认值；`$${` 表示字面的 `${`。"
    "路径相对于文件所在目录。未知字段会被报为错误。",
    header="| 字段 | 取值 | 默认 | 含义 |",
    file="整个文件",
    notes={
        "fastchat.": "供[旧的 FastChat 进程](../guide/fastchat-pieces.zh.md)使用。",
        "arena.": "写上它就开启，后面什么都不写也可以；需要 `argosy[arena]`。"
        "它是什么，见[竞技场](../guide/arena.zh.md)。",
        "deployments.*.": "以名字为键：字母、数字、`.`、`_`、`-`，各段之间可以用 `/`。`all`、`gateway`、`workers`、"
        "`controller` 是保留名。修改限额、别名、超时、默认参数和副本数都不会重启引擎。",
        "timeouts.": "写在某个 deployment 之下，单位为秒。",
        "budget.": "对每块 GPU：所有副本合计最多占用的显存。",
        "environment.": "写在某个 deployment 之下，或者在 `environments` 里取一个名字。",
    },
    options="{engine} 的 options",
    none="",
    needed="必填",
)


def sections() -> list[Section]:
    engines = [Section(f"options[{name}].", catalog.engine(name).options) for name in catalog.NAMES if name != "remote"]
    return [
        Section("", Fleet),
        Section("gateway.", Gateway),
        Section("fastchat.", FastChat),
        Section("deployments.*.", Deployment),
        Section("timeouts.", Timeouts),
        Section("budget.", Budget),
        Section("environment.", EnvironmentRecipe),
        Section("arena.", Arena),
        *(section for section in engines if section.model.model_fields),
    ]


def paths() -> list[str]:
    """Every field's, as fleet-file.zh.yaml has them."""
    return [f"{section.prefix}{name}" for section in sections() for name in section.model.model_fields]


def chinese() -> dict[str, str]:
    known: dict[str, str] = yaml.safe_load(_CHINESE.read_text(encoding="utf-8"))
    return known


def page(words: Words, meanings: Mapping[str, str] | None) -> str:
    """`meanings`: by field; None takes the schema's own descriptions."""
    lines = [f"# {words.title}", "", words.intro]
    for section in sections():
        lines += ["", f"## {section.heading(words)}", ""]
        if note := words.notes.get(section.prefix):
            lines += [note, ""]
        lines += [words.header, "|---|---|---|---|"]
        lines += _rows(section, words, meanings)
    return "\n".join([*lines, ""])


def _rows(section: Section, words: Words, meanings: Mapping[str, str] | None) -> Iterator[str]:
    schema = section.model.model_json_schema()
    for name, field in section.model.model_fields.items():
        shape = schema["properties"][name]
        meaning = field.description or "" if meanings is None else meanings.get(f"{section.prefix}{name}", "")
        default = words.needed if field.is_required() else _default(field.get_default(call_default_factory=True), words)
        value = _value(shape)
        if section.model is Deployment and name == "engine":
            value = " / ".join(f"`{each}`" for each in catalog.NAMES)
        cells = [f"`{name}`", value, default, meaning]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(value: Any, words: Words) -> str:
    if value in (None, {}, ()) or isinstance(value, BaseModel):
        return words.none
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _value(shape: Mapping[str, Any]) -> str:
    """A field's type and range in a word: `text`, `1 … 1000`, `a` or `b`."""
    match shape:
        case {"$ref": str(reference)}:
            found = reference.rsplit("/", 1)[1].lower().removesuffix("recipe")
        case {"anyOf": list(several)}:
            found = " / ".join(_value(each) for each in several if each.get("type") != "null")
        case {"const": str(word)}:
            found = f"`{word}`"
        case {"enum": list(words)}:
            found = " / ".join(f"`{each}`" for each in words)
        case {"type": "array", "items": Mapping() as items}:
            found = f"[{_value(items)}, …]"
        case {"type": "object", "additionalProperties": Mapping() as inner} if inner.get("type") or "$ref" in inner:
            found = f"{{name: {_value(inner)}}}"
        case {"type": "object"}:
            found = "{name: …}"
        case {"type": "integer" | "number"}:
            found = _range(shape.get("minimum"), shape.get("exclusiveMinimum"), shape.get("maximum"))
        case {"type": "boolean"}:
            found = "`true` / `false`"
        case _:
            found = "text"
    return found


def _range(least: float | None, above: float | None, most: float | None) -> str:
    low = f"> {_number(above)}" if above is not None else _number(least or 0)
    return f"{low} …" if most is None else f"{low} … {_number(most)}"


def _number(value: float) -> str:
    return f"{value:g}" if value < 1e6 or value != int(value) else str(int(value))


PAGES = {"fleet-file.md": (ENGLISH, False), "fleet-file.zh.md": (CHINESE, True)}


def main() -> None:
    for name, (words, translated) in PAGES.items():
        (HERE / name).write_text(page(words, chinese() if translated else None), encoding="utf-8")


if __name__ == "__main__":
    main()
