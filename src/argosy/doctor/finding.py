"""One thing that was looked at: how it is, and what to do where it is not well. Data only."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """`argosy doctor --json` is a list of these: fields are added, never renamed or removed."""

    check: str  # python | home | cache | memory | clock | file | port | fleet | leftovers | keys | engines | hubs
    level: Level  # fail: something does not work; warn: it may not, or not as one thinks
    found: str
    cure: str = ""
