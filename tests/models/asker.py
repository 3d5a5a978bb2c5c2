"""Asks for a source with a cache of its own and an environment with nothing of the machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hub import Hub

from argosy.disk import folder_bytes
from argosy.models.progress import Progress
from argosy.models.resolve import resolve
from waiting import until


@dataclass
class Asker:
    cache: Path
    variables: dict[str, str]
    heard: list[Progress] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def at(self, hub: Hub, **more: str) -> Asker:
        """One that knows this hub as both."""
        theirs = {"HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": hub.url}
        return Asker(self.cache, {**self.variables, **theirs, **more})

    def __call__(
        self,
        source: str,
        *,
        verify: bool = False,
        order: Sequence[str] = (),
        report: Callable[[Progress], None] | None = None,
    ) -> Path:
        return resolve(
            source,
            cache=self.cache,
            progress=report or self.heard.append,
            cancelled=self.cancelled,
            variables=self.variables,
            order=order,
            verify=verify,
        )

    def left(self) -> list[str]:
        """Files in the cache, but the locks and the records."""
        return sorted(
            path.name for path in self.cache.rglob("*") if path.is_file() and path.suffix not in (".lock", ".json")
        )


def wait_for_bytes(cache: Path) -> None:
    """Until something of the weights is on the disk: a hub has sent its half before the child has looked at it."""
    until(lambda: folder_bytes(cache) > 100_000, seconds=30, what="nothing was written")
