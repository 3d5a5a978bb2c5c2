"""What /set knows: the fields of a chat request that shape its answer, and which values they take. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argosy.errors import CommandError


@dataclass(frozen=True)
class Setting:
    """`least` and `most` bound a number; what an engine makes of it, the engine says."""

    kind: str  # number, whole, text, texts or json
    least: float = float("-inf")
    most: float = float("inf")
    choices: tuple[str, ...] = ()

    def value(self, text: str) -> Any:
        """Raises ValueError with what it wants."""
        if self.kind == "text":
            if self.choices and text not in self.choices:
                raise ValueError(f"one of {', '.join(self.choices)}")
            return text
        try:
            read = json.loads(text)
        except ValueError:
            read = None if self.kind != "texts" else text
        if self.kind == "texts":
            return read if _is_texts(read) else text
        if self.kind == "json":
            if not isinstance(read, dict):
                raise ValueError("a JSON object")
            return read
        whole = self.kind == "whole"
        wanted = (int,) if whole else (int, float)
        if not isinstance(read, wanted) or isinstance(read, bool) or not self.least <= read <= self.most:
            raise ValueError(f"a {'whole ' if whole else ''}number{self._bounds()}")
        return read

    def _bounds(self) -> str:
        if self.most != float("inf"):
            return f" from {self.least:g} to {self.most:g}"
        return f" of at least {self.least:g}" if self.least != float("-inf") else ""


SETTINGS = {
    "temperature": Setting("number", 0, 2),
    "top_p": Setting("number", 0, 1),
    "top_k": Setting("whole", -1),
    "min_p": Setting("number", 0, 1),
    "max_tokens": Setting("whole", 1),
    "seed": Setting("whole"),
    "stop": Setting("texts"),
    "presence_penalty": Setting("number", -2, 2),
    "frequency_penalty": Setting("number", -2, 2),
    "repeat_penalty": Setting("number", 0),  # llama.cpp
    "repetition_penalty": Setting("number", 0),  # vLLM, transformers, SGLang
    "reasoning_effort": Setting("text", choices=("none", "minimal", "low", "medium", "high")),
    "chat_template_kwargs": Setting("json"),
}


def parse_setting(name: str, text: str) -> Any:
    """The value of the setting of that name. Raises CommandError."""
    setting = SETTINGS.get(name)
    if setting is None:
        near = difflib.get_close_matches(name, SETTINGS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SETTINGS)}"
        raise CommandError(f"there is no setting {name!r}: {hint}")
    try:
        return setting.value(text)
    except ValueError as error:
        raise CommandError(f"{name} wants {error}, not {text!r}") from None


def settings_text(settings: Mapping[str, Any]) -> str:
    if not settings:
        return f"nothing is set; there are {', '.join(SETTINGS)}"
    return "\n".join(f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items())


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)
