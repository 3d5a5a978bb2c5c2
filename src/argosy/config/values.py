"""What a single value of a fleet file may be: names, addresses, paths, defaults. Pure.

Each check returns the value as it is kept, or raises ValueError with what is wrong and what to write.

Which fields there are, and which go together, is schema.py's.
"""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

from argosy.protocol.endpoints import ENDPOINTS
from argosy.protocol.openai import BOUNDS

RESERVED_NAMES = frozenset({"all", "gateway", "workers", "controller"})
_NAME = re.compile(r"(?!-)[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


def check_name(name: str) -> str:
    """A deployment's name or an alias: letters, digits, '.', '_', '-', and '/' between non-empty parts.

    No part may be '.' or '..': names become folders. No '-' in front: the command line would take it for an option.
    Raises ValueError.
    """
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is reserved ({', '.join(sorted(RESERVED_NAMES))})")
    if len(name) > 200 or not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise ValueError(
            f"{name!r} is no name: use letters, digits, '.', '_', '-' (not in front), and '/' between parts "
            "(at most 200 characters)"
        )
    return name


def check_fleet_name(name: str) -> str:
    """A fleet's name is one part of a deployment's name: it becomes a folder. Raises ValueError."""
    if "/" in check_name(name):
        raise ValueError(f"{name!r} is no fleet name: it has a '/'")
    return name


def check_url(url: str) -> str:
    """The base URL of an OpenAI-compatible server. Raises ValueError."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment or parts.username is not None or re.search(r"\s", url):
        raise ValueError(
            f"{url!r} is no base URL; write one such as http://127.0.0.1:9001/v1 (a key goes to api_key_env)"
        )
    return url.rstrip("/")


def check_path(path: str) -> str:
    """A path of an HTTP server. Raises ValueError."""
    if not path.startswith("/") or re.search(r"\s", path):
        raise ValueError(f"{path!r} is no path; write one such as /health")
    return path


def check_origin(origin: str) -> str:
    """An origin as a browser sends it, in lower case, or *. Raises ValueError."""
    if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s@?#]+", origin.lower()):
        raise ValueError(f"{origin!r} is no origin; write one such as https://app.example, without a path, or *")
    return origin.lower()


def check_network(network: str) -> str:
    """An address or a network. Raises ValueError."""
    try:
        ipaddress.ip_network(network, strict=False)
    except ValueError:
        raise ValueError(f"{network!r} is no address or network; write one such as 10.0.0.0/8") from None
    return network


def check_listen(listen: str) -> str:
    """ADDRESS:PORT to listen on; an address of version 6 stands in brackets. Raises ValueError."""
    host, colon, port = listen.rpartition(":")
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        right = bool(colon) and 0 <= int(port) <= 65535
    except ValueError:
        right = False
    if not right:
        raise ValueError(f"{listen!r} is no address to listen on; write one such as 127.0.0.1:21001")
    return listen


def check_endpoint(path: str) -> str:
    """A path that the door knows. Raises ValueError."""
    if path not in ENDPOINTS:
        raise ValueError(f"{path!r} is no path of the door; those are: {', '.join(ENDPOINTS)}")
    return path


_INSTEAD = {"messages": " (system_prompt: puts a message in front)"}


def check_default(field: str) -> str:
    """A field of the API that may have a default. Raises ValueError."""
    if field in ("model", "messages", "prompt", "input", "stream"):
        raise ValueError(f"{field!r} is what a request is about, so it can have no default{_INSTEAD.get(field, '')}")
    return field


def as_json(value: object) -> object:
    """What YAML read, as JSON can say it: names are text there. Raises ValueError."""
    if isinstance(value, dict):
        return {str(name): as_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    finite = isinstance(value, float) and math.isfinite(value)
    if not (finite or value is None or isinstance(value, str | int)):
        raise ValueError(f"{value} is no value of JSON; put it in quotes if it is a text")
    return value


def check_defaults(defaults: dict[str, Any]) -> dict[str, Any]:
    """At most one field that bounds the answer, and it is a number of tokens, or null. Raises ValueError."""
    bounds = [field for field in BOUNDS if field in defaults]
    if len(bounds) > 1:
        raise ValueError(f"{' and '.join(bounds)} bound the same thing: write one of them")
    for field in bounds:
        value = defaults[field]
        if isinstance(value, str) and value.isdecimal():  # a variable's value is a text
            defaults = {**defaults, field: (value := int(value))}
        if value is not None and (type(value) is not int or value < 1):
            raise ValueError(f"{field} must be a whole number of at least 1, or null for no bound, got {value!r}")
    return defaults


def check_all_or_two(given: object) -> object:
    """`all`, or a list of two names at least. Raises ValueError."""
    names = given if isinstance(given, list | tuple) else ()
    if given != "all" and (len(names) < 2 or not all(isinstance(name, str) for name in names)):
        raise ValueError(f"must be all, or a list of two deployments at least, got {given!r}")
    return given


def refuse_truth(value: object) -> object:
    """YAML reads `yes` and `on` as true, which would count as 1 where a number is wanted."""
    if isinstance(value, bool):
        raise PydanticCustomError("truth_for_number", "must be a number")
    return value


_UNITS = {
    "": 1,
    "b": 1,
    **{
        f"{letter}{unit}": base**power
        for power, letter in enumerate("kmgt", 1)
        for unit, base in (("ib", 1024), ("i", 1024), ("b", 1000), ("", 1000))
    },
}


def parse_bytes(value: object) -> object:
    """`80GiB`, `512 MiB`, `2e9`, or a number of bytes. What is none of them is left to pydantic. Raises ValueError."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", value.lower())
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{value!r} is no size: write one such as 80GiB or 512MiB")
    return int(float(found[1]) * _UNITS[found[2]])
