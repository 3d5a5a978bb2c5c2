"""What is right by itself in a fleet file and does not go together: fields of a deployment, names of several. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from argosy.config.engine_name import decide_engine
from argosy.config.gpus import gpu_misfits
from argosy.protocol.openai import BOUNDS

_OWNERS = {  # field → the engines that know it
    "command": ("command",),
    "ready": ("command",),
    "urls": ("remote",),
    "model": ("remote",),
    "api_key_env": ("remote",),
    "paths": ("command", "remote"),
}
_OF_ANSWERS = ("max_tokens_ceiling", "system_prompt", "chat_template")
_PLACEHOLDERS = {"source": "{path}", "chat_template": "{chat_template}"}


def misfits(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Fields of a deployment that do not go together: (field, what is wrong). `defaults`: of all of its fields.

    Takes the fields as given, right or wrong: pydantic runs its model validators only where all fields are right, and
    one bad field must not hide another fault. A field with its default's value counts as not given.
    """
    engine = decide_engine(
        given.get("engine"), urls=given.get("urls"), command=given.get("command"), source=given.get("source")
    )
    found = []
    wanted = {"command": "command", "remote": "urls", "echo": None}.get(engine, "source")
    if wanted and not given.get(wanted):
        found.append((wanted, f"missing (engine {engine} needs it)"))
    for field, owners in _OWNERS.items():
        value, default = given.get(field), defaults[field]
        if value and value not in (default, _as_list(default)) and engine not in owners:
            found.append((field, f"only for engine {' or '.join(owners)}, this one is {engine}"))
    found += _task_misfits(given, engine)
    found += _bounds_misfits(given)
    found += gpu_misfits(given, engine)
    if engine in ("remote", "echo"):
        found += [(field, f"engine {engine} takes none") for field in ("source", "environment") if given.get(field)]
    if engine == "remote":
        fields = ("options", "env", "chat_template")
        found += [(field, "engine remote takes none: nothing is started") for field in fields if given.get(field)]
        urls = given.get("urls")
        copies = len(urls) if isinstance(urls, list | tuple) else 1
        if str(given.get("replicas", 1)) not in ("1", str(copies)):  # a variable's value is a text
            found.append(("replicas", "engine remote has one for each of its urls"))
    command = given.get("command")
    if engine == "command" and isinstance(command, list | tuple):
        words = " ".join(map(str, command))
        for field in ("source", "chat_template"):
            placeholder = _PLACEHOLDERS[field]
            if placeholder in words and not given.get(field):
                found.append((field, f"missing ({placeholder} in command needs it)"))
        if given.get("chat_template") and "{chat_template}" not in words:
            found.append(("chat_template", "is used nowhere: write {chat_template} into command, where its file goes"))
    return found


def _task_misfits(given: Mapping[str, Any], engine: str) -> list[tuple[str, str]]:
    if given.get("task") != "embed":
        batched = given.get("embedding_batch") and engine == "llama.cpp"
        return [("embedding_batch", "only for task embed")] if batched else []
    found = [(field, "only for task generate") for field in _OF_ANSWERS if given.get(field)]
    if isinstance(defaults := given.get("defaults"), Mapping):
        found += [("defaults", f"{field} is only for task generate") for field in BOUNDS if field in defaults]
    return found


def _bounds_misfits(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    defaults, ceiling = given.get("defaults"), given.get("max_tokens_ceiling")
    if not isinstance(defaults, Mapping) or not isinstance(ceiling, int):
        return []
    bounds = {field: value for field in BOUNDS if isinstance(value := defaults.get(field), int)}
    return [
        ("defaults", f"{field} is {value}, more than max_tokens_ceiling ({ceiling})")
        for field, value in bounds.items()
        if value > ceiling
    ]


def _as_list(default: object) -> object:
    """As a fleet has it that was sent as JSON."""
    return list(default) if isinstance(default, tuple) else default


def shared_names(
    deployments: Mapping[str, Iterable[str]], replicas: Mapping[str, int]
) -> list[tuple[tuple[str | int, ...], str]]:
    """Names and aliases that mean something already, a replica among others: (where, what is wrong).

    `deployments`: name → aliases. `replicas`: name → how many; beside one replica of qwen2, qwen2.5 is none of it.
    """
    owner = {name: name for name in deployments}
    found: list[tuple[tuple[str | int, ...], str]] = []
    for name, aliases in deployments.items():
        given: dict[tuple[str | int, ...], str] = {(): name}
        given |= {("aliases", index): alias for index, alias in enumerate(aliases)}
        for place, each in given.items():
            where = ("deployments", name, *place)
            if place and each in owner:
                found.append((where, f"{each!r} already names {owner[each]!r}"))
            owner.setdefault(each, name)
            of, _, index = each.rpartition(".")
            if of in deployments and index.isdecimal() and int(index) < replicas.get(of, 1):
                found.append((where, f"{each!r} is what a replica of {of!r} is called: take another name"))
    return found
