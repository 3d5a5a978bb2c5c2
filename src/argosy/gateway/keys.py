"""Which client keys a gateway wants, and the file of keys as it changes. A door that others can reach never stands
open: it gets a key made for it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from argosy.config.client_keys import ClientKey, numbered, read_keys
from argosy.errors import InputError
from argosy.state import FleetFolder
from argosy.telemetry.logging import EventLog

LOOK_SECONDS = 1.0

_log = EventLog("gateway")
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class ClientKeys:
    """By name. `given`: of the environment, or made by Argosy; they hold while the gateway runs. `file` may change, or
    come to be.
    """

    given: Mapping[str, ClientKey]
    in_file: Mapping[str, ClientKey] | None = None  # None: there is no file
    file: Path | None = None
    made: str | None = field(default=None, repr=False)  # the key that was made just now, to be shown once

    @property
    def all(self) -> dict[str, ClientKey] | None:
        """None: nobody needs a key. With a file that holds none, nobody has the one that is needed."""
        return {**self.given, **(self.in_file or {})} if self.given or self.in_file is not None else None


def client_keys(host: str, key_file: str | None, given: Sequence[str], folder: FleetFolder) -> ClientKeys:
    """Keys from the environment (`given`) and of the key file, else of the fleet's own, which `argosy key` writes.
    Where the first two are not: what was made for this fleet before. Without any, one is made for a host beyond
    loopback. Raises InputError for a key file that cannot be read or has faults.
    """
    made, plain = None, list(given)
    if not given and key_file is None and (kept := folder.secret("client_key")):
        plain = [kept]
    file = Path(key_file) if key_file is not None else folder.client_keys
    there = key_file is not None or file.exists()
    in_file = read_keys(file, first=len(plain) + 1) if there else None
    if not (plain or there or is_loopback(host)):
        made = folder.make_secret("client_key")
        plain = [made]
    return ClientKeys(numbered(plain), in_file, file, made)


def is_loopback(host: str) -> bool:
    """Whether a listener on `host` is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class KeyWatch:
    """Looks at the file of client keys and hands on what it says anew. One that cannot be used changes nothing."""

    def __init__(self, keys: ClientKeys, take: Callable[[Mapping[str, ClientKey]], None]) -> None:
        self._file = keys.file
        self._given = keys.given
        self._known = keys.in_file
        self._take = take
        self._seen: _Stamp | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while self._file is not None:
            # Beside the event loop: a large file takes a while to parse.
            if (found := await asyncio.to_thread(self.look, self._file)) is not None:
                self._take(found)
            await asyncio.sleep(LOOK_SECONDS)

    def look(self, file: Path) -> dict[str, ClientKey] | None:
        """All keys, where the file says others than when it was looked at last."""
        stamp = _stamp(file)
        if stamp == self._seen:
            return None
        self._seen = stamp
        try:
            found = read_keys(file, first=len(self._given) + 1)
        except InputError as error:
            _log.warning("keys.kept", keys=len(self._known or {}), reason=str(error))
            return None
        if found == self._known:
            return None
        self._known = found
        _log.info("keys.changed", keys=len(found), file=str(file))
        return {**self._given, **found}


def _stamp(file: Path) -> _Stamp | None:
    """What differs after a change. None: there is no file."""
    try:
        seen = file.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino
