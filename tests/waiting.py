"""Waiting for what has no event to await: a file, a process of another's, an answer that changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_LOOK_SECONDS = 0.02


def until(look: Callable[[], T], *, seconds: float = 10.0, what: str = "", every: float = _LOOK_SECONDS) -> T:
    """The first true thing that `look` returns; fails with its last word when the time is over."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or look}; last: {seen!r}"
        time.sleep(every)
    return seen


async def eventually(look: Callable[[], T], *, seconds: float = 5.0, what: str = "") -> T:
    """The same beside a running event loop."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or look}; last: {seen!r}"
        await asyncio.sleep(_LOOK_SECONDS)
    return seen
