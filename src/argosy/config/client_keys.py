"""The file of client keys: what it may say, how it is read, and how a key is added to it or taken out.

A YAML or JSON file with names, limits and the SHA-256 of each key, or plain keys, one a line. Owns the file's form;
who watches it and what a key opens is the gateway's affair.

    keys:
      alice:
        sha256: 2bd806c9…
        models: [qwen*, smollm2]
        requests_per_minute: 60
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, ValidationError

from argosy.config import yaml_file
from argosy.config.faults import findings
from argosy.config.schema import NO_TRUTH, Settings
from argosy.config.yaml_file import UnreadableError
from argosy.errors import InputError

_NAME = re.compile(r"(?!-)[A-Za-z0-9._@-]{1,64}")
_NUMBERED = re.compile(r"key-\d+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_STRUCTURED = re.compile(r"\s*(?:\{|[\"']?keys[\"']?\s*:)")


def check_key_name(name: str) -> str:
    """Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a key: use at most 64 letters, digits, '.', '_', '-', '@'")
    if _NUMBERED.fullmatch(name):
        raise ValueError(f"{name!r} is what a key without a name is called: take another name")
    return name


def _check_digest(digest: str) -> str:
    if not _SHA256.fullmatch(digest := digest.lower()):
        raise ValueError("must be the SHA-256 of the key, 64 hexadecimal digits (printf %s KEY | sha256sum)")
    return digest


_Limit = Annotated[int, Field(ge=1, le=1_000_000_000), NO_TRUTH] | None


class ClientKey(Settings):
    """A key that clients may send, by its digest. A limit that is None does not limit."""

    sha256: Annotated[str, AfterValidator(_check_digest)]
    models: Annotated[tuple[str, ...], Field(min_length=1)] | None = None  # names or globs; None: all
    requests_per_minute: _Limit = None
    tokens_per_minute: _Limit = None
    concurrent_requests: _Limit = None

    @property
    def limited(self) -> bool:
        return any((self.requests_per_minute, self.tokens_per_minute, self.concurrent_requests))


class _KeyFile(Settings):
    keys: dict[Annotated[str, AfterValidator(check_key_name)], ClientKey]


def digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


def numbered(keys: Iterable[str], first: int = 1) -> dict[str, ClientKey]:
    """Keys without a name: key-1, key-2 …"""
    return {f"key-{number}": ClientKey(sha256=digest(key.encode())) for number, key in enumerate(keys, first)}


def read_keys(path: Path, *, first: int = 1) -> dict[str, ClientKey]:
    """By name, plain ones numbered from `first`. Raises InputError with every fault."""
    return parse_keys(_text(path), path, first=first)


def parse_keys(text: str, path: Path, *, first: int = 1) -> dict[str, ClientKey]:
    """What `read_keys` does with the text of that file."""
    if is_structured(text):
        return _structured(text, path)
    plain = list(_lines(text))
    if not plain:
        raise InputError(f"{path} holds no client key: write one a line")
    return numbered(plain, first)


def is_structured(text: str) -> bool:
    """Whether it is YAML or JSON, and not plain keys."""
    return _STRUCTURED.match(next(_lines(text), "")) is not None


def add_key(path: Path, name: str, key: ClientKey) -> None:
    """The file is made where there is none. Raises InputError: the name is taken or no name, the file is not to be
    changed."""
    try:
        check_key_name(name)
    except ValueError as error:
        raise InputError(str(error)) from None

    def change(text: str) -> str:
        known = _structured(text, path) if text else {}
        if name in known:
            raise InputError(f"{path} has a key of {name!r} already: `argosy key rm {name}` takes it out")
        entry = yaml.safe_dump({name: _fields(key)}, sort_keys=False, allow_unicode=True)
        edited = text.rstrip() + "\n" + textwrap.indent(entry, " " * _column(text)) if known else ""
        return _kept(edited, {**known, name: key}, path, as_json=text.lstrip().startswith("{"))

    _change(path, change)


def remove_key(path: Path, name: str) -> None:
    """Raises InputError: no such key, the file is not to be changed."""

    def change(text: str) -> str:
        known = _structured(text, path) if text else {}
        if name not in known:
            names = f"those it has: {', '.join(known)}" if known else "it has none"
            raise InputError(f"{path} has no key of {name!r}; {names}")
        rest = {each: key for each, key in known.items() if each != name}
        return _kept(_without(text, name) if rest else "", rest, path, as_json=text.lstrip().startswith("{"))

    _change(path, change)


def _structured(text: str, path: Path) -> dict[str, ClientKey]:
    if not is_structured(text):
        raise InputError(f"{path} holds plain keys, one a line, which have no names: change it by hand")
    try:
        document = yaml_file.parse(text, {})
    except UnreadableError as error:
        raise InputError(f"the client keys in {path} cannot be read: {error}") from None
    found = [*document.faults]
    try:
        keys = dict(_KeyFile.model_validate(document.data).keys)
    except ValidationError as error:
        found += findings(error, _KeyFile)
    if found:
        told = "; ".join(str(document.fault(location, message)) for location, message in found)
        raise InputError(f"the client keys in {path} have faults: {told}")
    return keys


def _change(path: Path, change: Callable[[str], str]) -> None:
    """Whole or not at all, mode 0600; two changes at once come one after the other."""
    path = path.resolve()  # a link stays one
    try:
        with _alone(path.parent):
            changed = change(_text(path) if path.exists() else "")
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(changed)
                    file.flush()
                    os.fsync(handle)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise InputError(f"the client keys in {path} cannot be written: {error.strerror or error}") from None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the client keys in {path} cannot be read: {error}") from None


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def _fields(key: ClientKey) -> dict[str, Any]:
    return key.model_dump(mode="json", exclude_none=True)


def _kept(edited: str, wanted: Mapping[str, ClientKey], path: Path, *, as_json: bool) -> str:
    """The text as it was edited, comments and all, where it says what is wanted; else the same written anew."""
    with contextlib.suppress(InputError):
        if edited and _structured(edited, path) == wanted:
            return edited
    data = {"keys": {name: _fields(key) for name, key in wanted.items()}}
    return f"{json.dumps(data, indent=2)}\n" if as_json else yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _entries(text: str) -> list[tuple[yaml.Node, yaml.Node]]:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "it was read before"
    entries: list[tuple[yaml.Node, yaml.Node]] = root.value[0][1].value
    return entries


def _column(text: str) -> int:
    return int(_entries(text)[0][0].start_mark.column)


def _without(text: str, name: str) -> str:
    """Without the lines of that key; comments above it stay."""
    lines = text.splitlines(keepends=True)
    for key, value in _entries(text):
        if key.value == name:
            del lines[key.start_mark.line : _last_line(value) + 1]
    return "".join(lines)


def _last_line(node: yaml.Node) -> int:
    """A block ends for the parser where the next begins, comments between them included."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1])
    return int(node.end_mark.line)
