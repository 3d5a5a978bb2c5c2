"""Where an HTTP server is: scheme, host, port, and the base path of a URL; and by which proxy it is reached."""

from __future__ import annotations

import socket
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from argosy.errors import InputError

_PLAIN_IN_PATH = "/%?:@!$&'()*+,;=~[]"  # what a path and a query may hold as it is; '%' begins what is quoted already


@dataclass(frozen=True, slots=True)
class Origin:
    scheme: str  # http | https
    host: str
    port: int

    @property
    def authority(self) -> str:
        """As the Host header wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def split_url(url: str) -> tuple[Origin, str]:
    """`https://host:8443/v1` → its origin and `/v1` (with the query; '' for none). Raises InputError."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
        # Also refuses what the resolver would stumble over much later: an empty label, one beyond 63 characters.
        host = host.encode("idna").decode("ascii")
    except ValueError as error:
        raise InputError(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"{url!r} is no http or https URL")
    origin = Origin(parts.scheme, host, port or {"http": 80, "https": 443}[parts.scheme])
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return origin, urllib.parse.quote(path, safe=_PLAIN_IN_PATH)


def is_own(host: str) -> bool:
    """Whether that address (or name) is one of this machine: one can listen there."""
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        return False
    return True


def outward_address() -> str | None:
    """The address of this machine by which others are likely to reach it; None where it has no network.

    Asks the routing table for the way to an address that nobody has (RFC 5737), and sends nothing.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            way.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(way.getsockname()[0])


def proxy_for(origin: Origin, variables: Mapping[str, str]) -> Origin | None:
    """The proxy that http_proxy, https_proxy, all_proxy and no_proxy name for an origin, as curl reads them.

    Upper-case names count too, but HTTP_PROXY does not: a CGI server sets it from a request's header (httpoxy).
    Raises InputError for a proxy that is not http.
    """

    def variable(name: str) -> str:
        return variables.get(name) or (variables.get(name.upper(), "") if name != "http_proxy" else "")

    for entry in variable("no_proxy").split(","):
        domain = entry.strip().lower().lstrip(".")
        if domain and (domain in ("*", origin.host) or origin.host.endswith("." + domain)):
            return None
    url = variable(f"{origin.scheme}_proxy") or variable("all_proxy")
    if not url:
        return None
    scheme, separator, rest = url.rpartition("://")
    if separator and scheme.lower() != "http":
        raise InputError(
            f"a proxy that is spoken to by {scheme}:// is set for {origin}, and only http:// is supported"
            f" (no_proxy={origin.host} does without)"
        )
    return split_url(f"http://{rest}")[0]
