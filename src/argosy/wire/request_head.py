"""What a request's head says: made by the parser's connection (server.py), read by whoever answers the request."""

from __future__ import annotations

import functools
import urllib.parse
from dataclasses import dataclass

import httptools

LONGEST_KNOWN_TARGET_BYTES = 256  # of request targets that are worth remembering


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What a request's head says, but for how its body is framed."""

    method: str
    path: str  # decoded
    raw_path: bytes
    query: bytes
    http_version: str
    headers: list[tuple[bytes, bytes]]  # names in lower case
    fields: dict[bytes, bytes]  # the same; of lines with one name the last
    keep_alive: bool
    expects_continue: bool


def split_target(url: bytes) -> tuple[str, bytes, bytes]:
    """Decoded path, path, query of a request target; an absolute one (as proxies get it) counts by its path."""
    return _known(url) if len(url) < LONGEST_KNOWN_TARGET_BYTES else _split(url)


def _split(url: bytes) -> tuple[str, bytes, bytes]:
    if url.startswith(b"/"):
        raw_path, _, query = url.partition(b"?")
    else:
        parsed = httptools.parse_url(url)
        raw_path, query = parsed.path or b"/", parsed.query or b""
    path = raw_path.decode("latin-1")
    return urllib.parse.unquote(path) if "%" in path else path, raw_path, query


_known = functools.lru_cache(maxsize=256)(_split)
