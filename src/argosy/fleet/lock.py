"""One controller per fleet: it holds controller.lock for life, and the system lets it go whatever way it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from argosy.errors import InputError
from argosy.state import FleetFolder, private_folder


class LockedError(InputError):
    """The fleet has a controller already."""


@contextlib.contextmanager
def only_controller(folder: FleetFolder) -> Iterator[None]:
    """Raises LockedError where another process holds it."""
    private_folder(folder.root)
    handle = os.open(folder.controller_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(f"fleet {folder.name} has a controller already") from None
        yield
    finally:
        os.close(handle)
