import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.telemetry.logging import EventLog, configure, is_event_line


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # configure(force=True) would close pytest's
    stream = io.StringIO()
    configure(stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def json_lines(lines: io.StringIO) -> io.StringIO:
    configure(stream=lines, log_format="json")
    return lines


def test_an_event_is_one_line_with_its_fields(lines: io.StringIO) -> None:
    EventLog("worker").info("engine.ready", replica="smollm2.0", seconds=2.4, reason=None)
    text = lines.getvalue()
    assert text.endswith("Z INFO engine.ready replica=smollm2.0 seconds=2.4\n")
    assert is_event_line(text)


def test_a_value_with_blanks_or_newlines_is_quoted_and_keeps_to_its_line(lines: io.StringIO) -> None:
    EventLog("worker").warning("engine.ended", reason='a "b"\nc', percent="100%s")
    assert lines.getvalue().count("\n") == 1
    assert r'reason="a \"b\"\nc" percent=100%s' in lines.getvalue()


def test_lines_of_other_libraries_have_the_same_shape(lines: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("Invalid %s", "request")
    assert lines.getvalue().endswith('Z WARNING log logger=uvicorn.error message="Invalid request"\n')
    logging.getLogger("uvicorn.error").info("Started server process")
    assert lines.getvalue().count("\n") == 1


def test_what_an_engine_prints_is_no_event_line() -> None:
    assert not is_event_line("0.00.000.664 I srv          init: initializing ...")


def test_as_json_an_event_is_an_object_on_a_line(json_lines: io.StringIO) -> None:
    EventLog("worker").warning("engine.ended", reason='a "b"\nc', file=Path("/tmp/x"), seconds=2.5, code=None)
    assert json_lines.getvalue().count("\n") == 1
    told = json.loads(json_lines.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    assert told == {
        "level": "WARNING",
        "event": "engine.ended",
        "reason": 'a "b"\nc',
        "file": "/tmp/x",
        "seconds": 2.5,
    }


def test_as_json_a_librarys_line_and_its_traceback_are_one_object(json_lines: io.StringIO) -> None:
    try:
        raise ValueError("no\nno")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Invalid %s", "request")
    assert json_lines.getvalue().count("\n") == 1
    told = json.loads(json_lines.getvalue())
    assert (told["event"], told["logger"], told["message"]) == ("log", "uvicorn.error", "Invalid request")
    assert told["traceback"].endswith("ValueError: no\nno")
