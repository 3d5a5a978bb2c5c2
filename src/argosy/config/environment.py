"""What Argosy reads from environment variables: all of it is read here, once, and passed on as a value.

Imports nothing heavy: every command reads it, also those that never load a fleet file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

_OWN_KEYS = ("ARGOSY_API_KEY", "ARGOSY_ADMIN_KEY", "ARGOSY_JOIN_TOKEN")
MODELSCOPE_FIRST = ("modelscope", "hf", "https", "pypi")  # what FASTCHAT_USE_MODELSCOPE=True asks for


@dataclass(frozen=True)
class Environment:
    """The environment of one Argosy process. `repr` shows no secret."""

    home: Path  # ARGOSY_HOME: state only
    cache: Path  # ARGOSY_CACHE: models and environments
    api_keys: tuple[str, ...] = field(repr=False)  # ARGOSY_API_KEY, comma separated: what clients may send
    admin_key: str | None = field(repr=False)  # ARGOSY_ADMIN_KEY
    join_token: str | None = field(repr=False)  # ARGOSY_JOIN_TOKEN
    sources: tuple[str, ...]  # ARGOSY_SOURCES, comma separated: where catalog models come from, in this order
    devices: Path | None  # ARGOSY_DEVICES: a file that tells of GPUs instead of the driver
    url: str | None  # ARGOSY_URL, else OPENAI_BASE_URL: the gateway that `argosy chat` talks to
    variables: Mapping[str, str] = field(repr=False)  # all of it: ${NAME}, api_key_env, children, proxies

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Environment:
        """Of `os.environ`, or of any mapping in a test. An empty variable counts as unset."""

        def given(name: str) -> str | None:
            return variables.get(name, "").strip() or None

        def folder(name: str, default: str) -> Path:
            return Path(given(name) or default).expanduser().absolute()

        home = folder("ARGOSY_HOME", platformdirs.user_state_path("argosy").as_posix())
        cache = folder("ARGOSY_CACHE", platformdirs.user_cache_path("argosy").as_posix())
        devices = Path(told).expanduser().absolute() if (told := given("ARGOSY_DEVICES")) else None
        # A child runs in another folder, where a relative path would lead somewhere else.
        sources = tuple(kind for kind in map(str.strip, (given("ARGOSY_SOURCES") or "").split(",")) if kind)
        if not sources and (given("FASTCHAT_USE_MODELSCOPE") or "").lower() == "true":
            sources = MODELSCOPE_FIRST
        paths = {"ARGOSY_HOME": home, "ARGOSY_CACHE": cache, "ARGOSY_DEVICES": devices}
        settled = {name: str(path) for name, path in paths.items() if given(name)}
        return cls(
            home=home,
            cache=cache,
            api_keys=tuple(key for key in map(str.strip, (given("ARGOSY_API_KEY") or "").split(",")) if key),
            admin_key=given("ARGOSY_ADMIN_KEY"),
            join_token=given("ARGOSY_JOIN_TOKEN"),
            sources=sources,
            devices=devices,
            url=given("ARGOSY_URL") or given("OPENAI_BASE_URL"),
            variables={**variables, **settled},
        )

    def for_others(self) -> dict[str, str]:
        """All variables but Argosy's own keys, which are no business of an engine's, nor of a program that builds."""
        return {name: value for name, value in self.variables.items() if name not in _OWN_KEYS}

    def client_key(self) -> str | None:
        """What `argosy chat` sends: the first of ARGOSY_API_KEY, else OPENAI_API_KEY."""
        return self.api_keys[0] if self.api_keys else self.variables.get("OPENAI_API_KEY", "").strip() or None
