"""Log lines: an event, then its fields. Owns their format and where they go; whose file that is, the starter decides.

    2026-01-02T03:04:05.678Z INFO engine.ready replica=smollm2.0 seconds=2.4

The standard library's logging lies under it, so lines of uvicorn and other libraries come out in the same shape:

    2026-01-02T03:04:05.678Z WARNING log logger=uvicorn.error message="Invalid HTTP request received."

As JSON, for what collects logs, the same line is

    {"time":"2026-01-02T03:04:05.678Z","level":"INFO","event":"engine.ready","replica":"smollm2.0","seconds":2.4}
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

import msgspec

LogFormat = Literal["text", "json"]
_FIELDS = "argosy_fields"  # the attribute of a LogRecord that carries the fields of an event
_EVENT_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ ")
_PLAIN_VALUE = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+")


class EventLog:
    """Writes events of one part of Argosy; `part` only serves to turn a part's level up or down."""

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"argosy.{part}")

    def debug(self, event: str, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        self._write(logging.ERROR, event, fields, exc_info)

    def _write(self, level: int, event: str, fields: dict[str, object], exc_info: BaseException | None = None) -> None:
        # The event goes in as an argument, so that a '%' in it is never taken for a format.
        self._logger.log(level, "%s", event, extra={_FIELDS: fields}, exc_info=exc_info)


class TextFormatter(logging.Formatter):
    """One line per record; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _told(record)
        words = [f"{name}={field_text(value)}" for name, value in fields.items()]
        line = " ".join([_time(record), record.levelname, event, *words])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One line per record, whatever is in it; a traceback is a field."""

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _told(record)
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        return json_line(_time(record), record.levelname, event, fields)


def _told(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """(event, fields); a library's message is one of its fields."""
    fields: dict[str, object] | None = getattr(record, _FIELDS, None)
    if fields is None:
        return "log", {"logger": record.name, "message": record.getMessage()}
    return record.getMessage(), {name: value for name, value in fields.items() if value is not None}


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def json_line(time: str, level: str, event: str, fields: Mapping[str, object]) -> str:
    """Without its line end. What JSON has no word for, a path for one, becomes its text."""
    return msgspec.json.encode({"time": time, "level": level, "event": event, **fields}, enc_hook=str).decode()


def field_text(value: object) -> str:
    """Bare where that is unambiguous, else a JSON string: a line stays one line whatever is in it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if _PLAIN_VALUE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def is_event_line(line: str) -> bool:
    """Whether Argosy itself wrote the line: an engine writes into the same file."""
    return _EVENT_LINE.match(line) is not None


def configure(
    also: Path | None = None,
    *,
    level: int = logging.INFO,
    stream: TextIO | None = None,
    log_format: LogFormat = "text",
) -> None:
    """Sends every log line of this process to `stream` (default: stdout) and a file `also`. Called once, by app/"""
    handlers: list[logging.Handler] = [logging.StreamHandler(stream or sys.stdout)]
    if also is not None:
        handlers.append(logging.FileHandler(also, mode="a", encoding="utf-8"))  # appends, also after a rotation
    for handler in handlers:
        handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("argosy").setLevel(level)
