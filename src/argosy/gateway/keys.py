"""Which client keys a gateway wants. A door that others can reach never stands open: it gets a key made for it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from argosy.errors import InputError
from argosy.state import FleetFolder


@dataclass(frozen=True)
class ClientKeys:
    """`made`: the key that was made just now, to be shown once; None otherwise."""

    keys: tuple[str, ...] = field(repr=False)
    made: str | None = field(default=None, repr=False)


def client_keys(host: str, key_file: str | None, given: Sequence[str], folder: FleetFolder) -> ClientKeys:
    """Keys from the environment (`given`) and the key file; without any, what was made for this fleet before; and for a
    host beyond loopback one that is made now. Raises InputError for a key file that cannot be read or is empty.
    """
    keys = list(given)
    if key_file is not None:
        keys += _read(Path(key_file))
    if keys:
        return ClientKeys(tuple(keys))
    if kept := folder.secret("client_key"):
        return ClientKeys((kept,))
    if is_loopback(host):
        return ClientKeys(())
    made = folder.make_secret("client_key")
    return ClientKeys((made,), made)


def is_loopback(host: str) -> bool:
    """Whether a listener on `host` is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the client keys in {path} cannot be read: {error}") from None
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not keys:
        raise InputError(f"{path} holds no client key: write one a line")
    return keys
