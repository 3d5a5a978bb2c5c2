"""Who listens on a port of this machine, for a message that says so. Changes nothing."""

from __future__ import annotations

import psutil


def listener_of(port: int) -> str:
    """ " by NAME (pid N)", or "" where the system does not tell."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port
            if listens and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:  # other users' processes, or macOS without rights
        return ""
    return ""
