"""What every look into a request has in common: the fields that routing needs, and types of fields. See peek.py."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

Positive = Annotated[int, Meta(ge=1)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
# What may be put in front of a body where it was not given (UNSET) must be replaced where an explicit null stands.
Bound = Positive | UnsetType | None


class Part(msgspec.Struct, frozen=True, gc=False):
    """Any JSON object."""


class Peek(Part, frozen=True):
    """What routing needs of every request."""

    model: str | None = None
    stream: bool | UnsetType | None = UNSET

    def check(self) -> None:
        """What no field can tell by itself. Raises BadRequestError."""

    def special(self) -> tuple[str, ...]:
        """What it asks for that some engine is known to overlook (EngineTraits.ignores): fields, with such values."""
        return ()
