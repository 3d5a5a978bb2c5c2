"""Where an HTTP server is: scheme, host, port, and the base path of a URL; and by which proxy it is reached."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from argosy.errors import InputError


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
        port = parts.port
    except ValueError as error:
        raise InputError(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{url!r} is no http or https URL")
    origin = Origin(parts.scheme, parts.hostname, port or {"http": 80, "https": 443}[parts.scheme])
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return origin, path


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
    proxy, _ = split_url(url if "://" in url else f"http://{url}")
    if proxy.scheme != "http":
        raise InputError(f"the proxy {url!r} is not spoken to by http://, which is all that is supported")
    return proxy
