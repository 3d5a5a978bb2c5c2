"""A YAML file as plain data, with the line of every value: duplicate keys refused, ${NAME} filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from argosy.errors import Fault

Location = tuple[str | int, ...]  # ("deployments", "smollm2", "aliases", 0)
_MOST_BYTES = 1 << 20
_MOST_VALUES = 100_000  # aliases of aliases can make a small file huge
_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<body>[^}]*)(?P<end>\}?)")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


class UnreadableError(Exception):
    """The file is no YAML mapping; the text is one sentence."""


@dataclass
class Document:
    """What a file says, where it says it, and what is wrong with how it says it."""

    data: dict[str, Any]
    lines: dict[Location, int] = field(default_factory=dict)
    faults: list[tuple[Location, str]] = field(default_factory=list)

    def fault(self, location: Location, message: str) -> Fault:
        """With the line of the value, or of what it would stand in."""
        around = (location[:end] for end in range(len(location), 0, -1))
        line = next((self.lines[outer] for outer in around if outer in self.lines), None)
        return Fault(spelled(location), message, line=line)


def spelled(location: Location) -> str:
    """deployments.smollm2.aliases[0]"""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def read(path: Path, variables: Mapping[str, str]) -> Document:
    """Raises UnreadableError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UnreadableError("there is no such file; `argosy check --schema` tells what to write in it") from None
    except IsADirectoryError:
        raise UnreadableError("this is a folder, not a file") from None
    except OSError as error:
        raise UnreadableError(f"it cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise UnreadableError(f"it has {len(content)} bytes, a fleet file has at most {_MOST_BYTES}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"it is not UTF-8 (byte {error.start} is 0x{content[error.start]:02x})") from error
    return parse(text, variables)


def parse(text: str, variables: Mapping[str, str]) -> Document:
    """Raises UnreadableError."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise UnreadableError("it is empty; it needs at least `deployments:`")
        document = Document({})
        _walk(node, (), document, set())
        data = loader.construct_document(node)
    except RecursionError:
        raise UnreadableError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise UnreadableError(f"it is no valid YAML: {_sentence(error, text)}") from error
    if not isinstance(data, dict):
        raise UnreadableError(f"it holds a {type(data).__name__} instead of a mapping such as `deployments: …`")
    document.data = _expanded(data, (), document, variables)
    return document


def _walk(node: yaml.Node, location: Location, document: Document, above: set[int]) -> None:
    """Notes lines and duplicate keys, before the constructor lets the last of two keys win in silence."""
    if len(document.lines) > _MOST_VALUES:
        raise UnreadableError(f"it holds more than {_MOST_VALUES} values")
    if id(node) in above:
        raise UnreadableError(f"{spelled(location)} contains itself (line {node.start_mark.line + 1})")
    document.lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(child, (*location, index), document, above | {id(node)})
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                document.faults.append(((*location, name), f"given twice (lines {seen[name]} and {line})"))
            seen[name] = line
            document.lines[*location, name] = line
            _walk(value, (*location, name), document, above | {id(node)})


def _expanded(value: Any, location: Location, document: Document, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _filled_in(value, location, document, variables)
    if isinstance(value, dict):
        return {key: _expanded(inner, (*location, str(key)), document, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, (*location, index), document, variables) for index, inner in enumerate(value)]
    return value


def _filled_in(text: str, location: Location, document: Document, variables: Mapping[str, str]) -> str:
    def replaced(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        body = _BODY.fullmatch(found["body"]) if found["end"] else None
        if body is None:
            cure = "write ${NAME}, ${NAME:-default}, or $${ where you mean a plain ${"
            document.faults.append((location, f"{found[0]!r} is no variable; {cure}"))
            return ""
        value = variables.get(body["name"])
        if body["default"] is not None:
            return value or str(body["default"])  # as a shell's :-, also where it is set but empty
        if value is None:
            cure = f"export it, or write ${{{body['name']}:-default}}"
            document.faults.append((location, f"environment variable {body['name']} is not set; {cure}"))
            return ""
        return value

    return _VARIABLE.sub(replaced, text)


def _sentence(error: Exception, text: str) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    cure = '; between { } and [ ] write "${NAME}" in quotes' if "${" in line else ""
    return where + ", ".join(part for part in (error.context, error.problem) if part) + cure
