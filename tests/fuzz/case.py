"""A case: the bytes that a client sends, those that the engine answers with, and how both end.

What the fuzz finds is kept as such a file in cases/, and played first from then on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

CASES = Path(__file__).parent / "cases"


class Again(msgspec.Struct, frozen=True):
    """The same text many times: for what is too large to write down."""

    text: str
    times: int


Piece = str | Again  # a character for each byte, U+0000 to U+00FF


Ending = Literal["wait", "close", "reset", "half"]


class Case(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Each piece is sent by itself.

    `ending`: the client waits for answers, closes, resets its connection, or closes its own direction alone.
    `leaves_after`: it does so once it has read that many bytes; 0: once it has sent all.
    `answers`: so many must come at least, or the connection be closed.
    `status`: of the first answer, where the case is about that.
    `engine`: None: a good answer. `engine_ending`: what the engine does then.
    `door`: "locked" for the gateway that wants keys.
    """

    why: str = ""
    door: Literal["open", "locked"] = "open"
    client: list[Piece]
    ending: Ending = "wait"
    leaves_after: int = 0
    answers: int = 0
    status: int = 0
    engine: list[Piece] | None = None
    engine_ending: Literal["keep", "close", "reset", "silent"] = "keep"


def text(data: bytes) -> str:
    return data.decode("latin-1")


def data(piece: Piece) -> bytes:
    return piece.text.encode("latin-1") * piece.times if isinstance(piece, Again) else piece.encode("latin-1")


def read(file: Path) -> Case:
    return msgspec.json.decode(file.read_bytes(), type=Case)


def keep(case: Case, found_by: str) -> Path:
    """Writes a case that failed. A shrunk one takes the place of its elders of this run."""
    file = CASES / f"found-by-{found_by}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(case), indent=2) + b"\n")
    return file


def kept() -> list[Path]:
    return sorted(CASES.glob("*.json"))
