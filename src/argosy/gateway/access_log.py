"""One line per request in the gateway's log, in the shape of telemetry/logging.py; many are written at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from argosy.gateway.call import Call, Visit
from argosy.telemetry.logging import LogFormat, field_text, json_line

FLUSH_SECONDS = 0.2
LONGEST_TEXT = 1000  # characters of what a client or an engine has said: a line is for people, and logs are kept


class AccessLog:
    """Prompts, answers and keys never appear. `clock`: the one that the ends of requests are read from."""

    def __init__(
        self, stream: TextIO, log_format: LogFormat = "text", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._json = log_format == "json"
        self._clock = clock
        self._lines: list[str] = []
        self._second = 0
        self._stamp = ""

    def write_calls(self, calls: Sequence[Call]) -> None:
        line = self._json_line if self._json else self._line
        since = self._epoch()
        self._lines += [line(call, since + call.ended_at) for call in calls]

    def write_visit(self, visit: Visit) -> None:
        line = self._json_visit if self._json else self._visit
        now = self._epoch() + visit.ended_at
        self._lines.append(line(visit, now))

    def _epoch(self) -> float:
        """What makes a time of the clock one of the day's. A line is about to be written."""
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        return time.time() - self._clock()

    def flush(self) -> None:
        if self._lines:
            text = "".join(self._lines)
            self._lines.clear()
            self._stream.write(text)
            self._stream.flush()

    def _visit(self, visit: Visit, now: float) -> str:
        return (
            f"{self._stamped(now)} INFO request id={visit.request_id.decode('latin-1')}"
            f" method={field_text(visit.method)} path={field_text(_short(visit.path))} status={visit.status}"
            f" ms={visit.seconds * 1000:.1f}\n"
        )

    def _json_visit(self, visit: Visit, now: float) -> str:
        fields = {
            "id": visit.request_id.decode("latin-1"),
            "method": visit.method,
            "path": _short(visit.path),
            "status": visit.status,
            "ms": _ms(visit.seconds),
        }
        return json_line(self._stamped(now), "INFO", "request", fields) + "\n"

    def _stamped(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int((now - second) * 1000):03d}Z"

    def _line(self, call: Call, now: float) -> str:
        # Only a model that nobody serves can be anything; every other name here has been checked.
        model = call.model if call.deployment is not None else field_text(_short(call.model) or "-")
        line = (
            f"{self._stamped(now)} INFO request id={call.request_id.decode('latin-1')} path={call.path}"
            f" status={call.status} client={call.client or '-'} key={call.principal or '-'} model={model}"
            f" replica={call.replica or '-'} ms={(call.ended_at - call.arrived_at) * 1000:.1f}"
        )
        if call.queued_seconds:
            line += f" queued_ms={call.queued_seconds * 1000:.1f}"
        elif call.leased_at:
            line += " queued_ms=0.0"  # as nearly all: writing a number is a tenth of writing the line
        if call.answered_at and call.stream:
            line += f" first_ms={(call.answered_at - call.arrived_at) * 1000:.1f}"
        if call.attempts > 1:
            line += f" attempts={call.attempts}"
        if call.usage is not None:
            line += f" tokens_in={call.usage.prompt_tokens} tokens_out={call.usage.completion_tokens}"
        if call.error:
            line += f" error={field_text(_short(call.error))}"
        return line + "\n"

    def _json_line(self, call: Call, now: float) -> str:
        """The same; what is not known is left out."""
        fields: dict[str, object] = {
            "id": call.request_id.decode("latin-1"),
            "path": call.path,
            "status": call.status,
            "client": call.client,
            "key": call.principal,
            "model": _short(call.model),
            "replica": call.replica,
            "ms": _ms(call.ended_at - call.arrived_at),
        }
        if call.leased_at:
            fields["queued_ms"] = _ms(call.queued_seconds)
        if call.answered_at and call.stream:
            fields["first_ms"] = _ms(call.answered_at - call.arrived_at)
        if call.attempts > 1:
            fields["attempts"] = call.attempts
        if call.usage is not None:
            fields["tokens_in"], fields["tokens_out"] = call.usage.prompt_tokens, call.usage.completion_tokens
        if call.error:
            fields["error"] = _short(call.error)
        told = {name: value for name, value in fields.items() if value != ""}
        return json_line(self._stamped(now), "INFO", "request", told) + "\n"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
