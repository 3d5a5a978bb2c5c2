from __future__ import annotations

import asyncio
import io
import json
import re

import pytest

from argosy.gateway.access_log import AccessLog
from argosy.gateway.call import Call, Visit
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.endpoints import CHAT
from argosy.protocol.openai import Usage
from argosy.registry.records import Deployment
from argosy.telemetry.logging import LogFormat, is_event_line


async def line_of(call: Call, log_format: LogFormat = "text") -> str:
    stream = io.StringIO()
    log = AccessLog(stream, log_format)
    log.write_calls([call])
    log.flush()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


FULL = Call(
    b"req-1",
    CHAT,
    arrived_at=10.0,
    principal="key-1",
    client="10.0.0.9",
    model="m",
    stream=True,
    deployment=Deployment(DeploymentRecord(name="m", revision=1)),
    replica="m.0",
    attempts=2,
    leased_at=10.002,
    queued_seconds=0.001,
    answered_at=10.5,
    ended_at=11.0,
    status=200,
    error="it broke",
    usage=Usage(7, 2),
)


async def test_a_request_is_one_line_with_all_that_is_known_of_it() -> None:
    line = await line_of(FULL)
    assert is_event_line(line)
    assert re.sub(r"^\S+ ", "", line) == (
        "INFO request id=req-1 path=/v1/chat/completions status=200 client=10.0.0.9 key=key-1 model=m replica=m.0"
        ' ms=1000.0 queued_ms=1.0 first_ms=500.0 attempts=2 tokens_in=7 tokens_out=2 error="it broke"'
    )


async def test_as_json_it_has_the_same_fields_in_their_types() -> None:
    told = json.loads(await line_of(FULL, "json"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    assert told == {
        "level": "INFO",
        "event": "request",
        "id": "req-1",
        "path": "/v1/chat/completions",
        "status": 200,
        "client": "10.0.0.9",
        "key": "key-1",
        "model": "m",
        "replica": "m.0",
        "ms": 1000.0,
        "queued_ms": 1.0,
        "first_ms": 500.0,
        "attempts": 2,
        "tokens_in": 7,
        "tokens_out": 2,
        "error": "it broke",
    }
    assert set(told) - {"level", "event"} == set(re.findall(r" (\w+)=", await line_of(FULL)))


async def test_as_json_what_is_not_known_is_left_out() -> None:
    refused = Call(b"req-1", CHAT, arrived_at=1.0, ended_at=2.0, status=401, error="no")
    told = json.loads(await line_of(refused, "json"))
    assert set(told) == {"time", "level", "event", "id", "path", "status", "ms", "error"}


async def test_a_client_cannot_write_lines_of_its_own() -> None:
    line = await line_of(
        Call(b"req-1", CHAT, arrived_at=1.0, ended_at=2.0, model='m\n2026 INFO x="', status=404, error="no\nno")
    )
    assert 'model="m\\n2026 INFO x=\\""' in line
    assert 'error="no\\nno"' in line


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_a_client_cannot_fill_the_log_with_one_request(log_format: LogFormat) -> None:
    line = await line_of(Call(b"req-1", CHAT, 0.0, model="x" * 1_000_000, error="y" * 1_000_000), log_format)
    assert len(line) < 4000
    assert "… (1000000 characters)" in line


async def test_a_visit_is_one_line_whatever_its_path_holds() -> None:
    stream = io.StringIO()
    log = AccessLog(stream)
    log.write_visit(Visit(b"req-1", "GET", "/v1/models", 200, 0.0123, 1.0))
    log.write_visit(Visit(b"req-2", "GET", "/no\n2026 INFO x", 404, 0.0, 1.0))
    log.flush()
    lines = stream.getvalue().splitlines()
    assert all(map(is_event_line, lines))
    assert [re.sub(r"^\S+ ", "", line) for line in lines] == [
        "INFO request id=req-1 method=GET path=/v1/models status=200 ms=12.3",
        'INFO request id=req-2 method=GET path="/no\\n2026 INFO x" status=404 ms=0.0',
    ]


async def test_a_visit_as_json_is_one_line_whatever_its_path_holds() -> None:
    stream = io.StringIO()
    log = AccessLog(stream, "json")
    log.write_visit(Visit(b"req-2", "GET", "/no\n2026 INFO x", 404, 0.0123, 1.0))
    log.flush()
    assert stream.getvalue().count("\n") == 1
    told = json.loads(stream.getvalue())
    assert told.pop("time")
    assert told == {
        "level": "INFO",
        "event": "request",
        "id": "req-2",
        "method": "GET",
        "path": "/no\n2026 INFO x",
        "status": 404,
        "ms": 12.3,
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_prompts_never_appear(log_format: LogFormat) -> None:
    asked = Call(b"req-1", CHAT, arrived_at=1.0, body=b'{"messages":"secret"}')
    assert "secret" not in await line_of(asked, log_format)


async def test_lines_are_written_without_being_asked_for() -> None:
    written = asyncio.Event()

    class Stream(io.StringIO):
        def flush(self) -> None:
            super().flush()
            written.set()

    stream = Stream()
    log = AccessLog(stream)
    for number in range(3):
        log.write_calls([Call(b"req-%d" % number, CHAT, arrived_at=1.0, ended_at=2.0)])
    await asyncio.wait_for(written.wait(), 5)
    assert [f"id=req-{number} " in line for number, line in enumerate(stream.getvalue().splitlines())] == [True] * 3
