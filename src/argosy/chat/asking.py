"""Asks for one answer and shows it while it comes; what a program reads of it is one JSON object."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from argosy.chat.answer import Answer
from argosy.chat.door import Door
from argosy.chat.painter import Painter


async def ask(door: Door, request: Mapping[str, Any], answer: Answer, painter: Painter | None) -> None:
    """Fills `answer`; cancelled, it keeps what came until then. `painter`: None shows nothing. Raises ArgosyError."""
    try:
        async for event in door.events(request):
            answer.take(event, time.monotonic())
            if painter is not None:
                painter.show(answer)
    finally:
        if painter is not None:
            painter.end(answer)


def json_text(answer: Answer, model: str) -> str:
    figures = answer.figures()
    usage = {"prompt_tokens": figures.prompt_tokens, "completion_tokens": figures.tokens}
    told = {
        "model": answer.model or model,
        "content": answer.said,
        "reasoning": answer.thought or None,
        "finish_reason": figures.finish_reason,
        "usage": usage if figures.counted else None,
        "first_token_seconds": _rounded(figures.first_token_seconds),
        "seconds": _rounded(figures.seconds),
        "tokens_per_second": _rounded(figures.tokens_per_second),
    }
    return json.dumps(told, ensure_ascii=False)


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)
