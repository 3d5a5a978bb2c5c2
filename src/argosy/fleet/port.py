"""Whether a gateway could listen where it is told to, asked before anything is started. Holds nothing afterwards."""

from __future__ import annotations

import errno
import socket

from argosy.errors import InputError
from argosy.processes.ports import listener_of
from argosy.state import Home, ProcessRecord, read_json


def check_port(host: str, port: int, home: Home) -> None:
    """Raises InputError that says who is there already, where the system tells."""
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        socket.create_server((bare, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} on {host} is in use{_by_whom(port, home)}: stop that, or set gateway.port to another one"
                " (0 takes a free one)"
            ) from None
        raise InputError(f"the gateway cannot listen on {host} port {port}: {error.strerror or error}") from None


def _by_whom(port: int, home: Home) -> str:
    for folder in home.fleets():
        record = read_json(folder.gateway, ProcessRecord)
        if record is not None and (record.address or "").endswith(f":{port}") and record.identity.alive:
            return f" by the gateway of fleet {folder.name}"
    return listener_of(port)
