"""Answers whose end only their connection tells, and that are cut: never taken for whole ones."""

from __future__ import annotations

from door import Door, error_of

from engines import DONE, UNSIZED_HEAD, FakeEngine, delta, event, head, raw

HALF = b'data: {"choices":[{"delta":{"cont'
WHOLE = event(delta("Autumn"))


async def test_a_stream_that_is_cut_in_an_event_ends_with_an_error_and_no_half_event(
    door: Door, engine: FakeEngine
) -> None:
    engine.plays.append(raw(UNSIZED_HEAD + WHOLE + HALF, close=True))
    told = await door.chat(stream=True)
    assert told.status == 200
    assert b'"cont' not in told.body.replace(WHOLE, b"")
    assert b"engine_died" in told.body and told.body.endswith(b"data: [DONE]\n\n")
    assert door.calls[-1].error


async def test_a_stream_without_length_that_ends_before_done_is_a_cut_one(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(raw(UNSIZED_HEAD + WHOLE, close=True))
    assert b"engine_died" in (await door.chat(stream=True)).body


async def test_a_stream_without_length_that_says_done_is_whole(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(raw(UNSIZED_HEAD + WHOLE + event(DONE), close=True))
    told = await door.chat(stream=True)
    assert told.body == WHOLE + event(DONE)


async def test_half_an_event_alone_is_no_answer_and_goes_to_another_replica(door: Door, engine: FakeEngine) -> None:
    async with FakeEngine() as second:
        engine.plays.append(raw(UNSIZED_HEAD + HALF, close=True))
        second.plays.append(raw(UNSIZED_HEAD + HALF, close=True))
        await door.join(second, "m.1")
        told = await door.chat(stream=True)
        assert told.status == 502
        assert len(engine.asked) + len(second.asked) == 2


async def test_half_a_plain_answer_is_none(door: Door, engine: FakeEngine) -> None:
    engine.plays.append(
        raw(head(content_type="application/json", connection="close") + b'{"choices": [{"mess', close=True)
    )
    assert (await door.chat()).status == 502


async def test_an_endpoint_that_the_replica_does_not_serve_is_404_and_names_those_it_does(
    door: Door, engine: FakeEngine
) -> None:
    await door.again(paths=["/v1/embeddings"])
    told = await door.chat()
    assert told.status == 404
    assert "/v1/embeddings" in error_of(told)["message"]
    assert not engine.asked


async def test_no_messages_is_400(door: Door, engine: FakeEngine) -> None:
    told = await door.request("POST", "/v1/chat/completions", b'{"model": "m", "messages": [ ]}')
    assert (told.status, error_of(told)["param"]) == (400, "messages")
    assert not engine.asked


async def test_a_request_that_kills_reaches_two_replicas_at_most(door: Door, engine: FakeEngine) -> None:
    """To the first it may go twice: over a kept connection, which may have been closed before, then over a new one."""
    async with FakeEngine() as second, FakeEngine() as third:
        await door.join(second, "m.1")
        await door.join(third, "m.2")
        for _ in range(3):
            assert (await door.chat()).status == 200
        for each in (engine, second, third):
            each.plays.extend([raw(close=True), raw(close=True)])
        assert (await door.chat()).status == 502
        assert [len(each.asked) for each in (engine, second, third)] == [3, 2, 1]
        for each in (engine, second, third):
            each.plays.clear()
