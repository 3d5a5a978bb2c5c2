"""Arguments that a fleet file passes on to a foreign engine as they are: `extra_args`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def check_extra(arguments: Sequence[str], ours: Iterable[str]) -> Sequence[str]:
    """Refuses what Argosy says itself. `ours`: --port → also --port=1. Raises ValueError."""
    known = frozenset(ours)
    for argument in arguments:
        if (flag := argument.partition("=")[0].replace("_", "-")) in known:
            raise ValueError(f"{flag} is Argosy's to say: leave it out")
    return arguments


def flags(**given: object) -> list[str]:
    """max_model_len=2048, trust_remote_code=True, dtype=None → --max-model-len 2048 --trust-remote-code"""
    words: list[str] = []
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words += [flag, str(value)]
    return words


def weights_of(path: Path | None, engine: str) -> str:
    assert path is not None, f"the schema wants a source for {engine}"
    return str(path)
