"""Battles at the door: two models that nothing tells apart but what they say, one vote, names after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from door import ADMIN, MESSAGES, Door, error_of, record

from argosy.app.settings import ArenaSettings
from argosy.config.client_keys import ClientKey, digest
from argosy.config.schema import Arena
from argosy.wire.client import Answer
from engines import CHAT, DONE, STREAM_HEAD, FakeEngine, answer, chunk, delta, event, events_of, silent_after, stream
from waiting import eventually

ARENA = "/argosy/v1/arena"
ASKED = {"messages": MESSAGES}
LLAMA = {  # what llama.cpp says besides
    "system_fingerprint": "b1-llama.cpp",
    "timings": {"prompt_n": 7, "predicted_ms": 12.5},
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}


@asynccontextmanager
async def opened(folder: Path, **fields: Any) -> AsyncIterator[tuple[Door, dict[str, FakeEngine]]]:
    """A door with an arena of two models, red and blue, and the engine of each. `fields`: of Arena, or of the door."""
    of_door = {name: fields.pop(name) for name in ("client_keys", "cors_origins") if name in fields}
    settings = ArenaSettings(Arena(**fields), str(folder / "arena.sqlite"), {"blue": "hf:Qwen/Qwen3-0.6B-GGUF"})
    async with AsyncExitStack() as stack:
        engines = {name: await stack.enter_async_context(FakeEngine()) for name in ("red", "blue")}
        door = await stack.enter_async_context(Door(arena=settings, **of_door))
        for name, engine in engines.items():
            await door.join(engine, f"{name}.0", deployment=record(name, aliases=[f"the-{name}"]))
        yield door, engines


@pytest.fixture
async def arena(tmp_path: Path) -> AsyncIterator[tuple[Door, dict[str, FakeEngine]]]:
    async with opened(tmp_path) as both:
        yield both


async def begin(door: Door, headers: Mapping[str, str] | None = None, **fields: Any) -> str:
    told = await door.request("POST", f"{ARENA}/battles", fields, headers)
    assert told.status == 201, told.body
    drawn = json.loads(told.body)
    assert drawn["sides"] == ["a", "b"]
    return str(drawn["id"])


async def ask(door: Door, battle: str, side: str, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
    return await door.request("POST", f"{ARENA}/battles/{battle}/sides/{side}/chat", {**ASKED, **fields}, headers)


async def vote(door: Door, battle: str, winner: str = "a", headers: Mapping[str, str] | None = None) -> Answer:
    return await door.request("POST", f"{ARENA}/battles/{battle}/vote", {"winner": winner}, headers)


async def board(door: Door, query: str = "") -> Any:
    """As it is now; a process makes it, which takes its time to start on a busy machine."""
    told = await door.client.request("GET", f"{door.url}{ARENA}/leaderboard{query}", seconds=60)
    assert told.status == 200, told.body
    return json.loads(told.body)


def alike(told: Answer) -> Any:
    """What is left of an answer when its id and what it says are taken out: the same for both sides."""
    body = json.loads(told.body)
    assert body.pop("id").startswith("chatcmpl-")
    assert body.pop("model") in ("a", "b")
    body.pop("created")
    names = {name for name in told.headers if name != "date"}
    return told.status, names, body


async def test_a_battle_is_drawn_fought_and_voted_on_and_tells_its_names_then(
    arena: tuple[Door, dict[str, FakeEngine]],
) -> None:
    door, engines = arena
    battle = await begin(door)
    for engine in engines.values():
        engine.plays += [stream(delta("Good"), delta(" day."), DONE), answer()]
    for side in "ab":
        told = await ask(door, battle, side, stream=True)
        assert told.status == 200
        *chunks, done = events_of(told.body)
        assert done == DONE
        assert "".join(each["choices"][0]["delta"].get("content", "") for each in chunks) == "Good day."
        assert {each["model"] for each in chunks} == {side}
    for side in "ab":
        again = [*MESSAGES, {"role": "assistant", "content": "Good day."}, {"role": "user", "content": "And you?"}]
        told = await ask(door, battle, side, messages=again)
        assert json.loads(told.body)["choices"][0]["message"]["content"] == "Hello."
    told = await vote(door, battle, "b")
    verdict = json.loads(told.body)
    assert (told.status, verdict["counted"], verdict["why_not"]) == (200, True, None)
    assert sorted(verdict["models"].values()) == ["blue", "red"]
    for name, side in ((verdict["models"]["a"], "a"), (verdict["models"]["b"], "b")):
        assert [body["model"] for body in engines[name].bodies] == [name, name], side
    found = await board(door)
    assert found["votes"] == 1
    assert [each["model"] for each in found["models"]] == [verdict["models"]["b"], verdict["models"]["a"]]
    assert found["languages"] == ["all", "en"]
    assert all(each["preliminary"] for each in found["models"])


async def test_nothing_in_an_answer_tells_the_sides_apart(arena: tuple[Door, dict[str, FakeEngine]]) -> None:
    door, engines = arena
    battle = await begin(door)
    mute = {key: value for key, value in CHAT.items() if key != "usage"}
    engines["red"].plays += [answer({**CHAT, "model": "red", **LLAMA}, server="llama.cpp", x_model="red")]
    engines["blue"].plays += [answer({**mute, "model": "blue", "id": "cmpl-blue", "kv_transfer_params": None})]
    a, b = [await ask(door, battle, side) for side in "ab"]
    assert alike(a) == alike(b)
    assert "server-timing" not in a.headers
    engines["red"].plays += [stream(delta("Hi", **LLAMA), delta("", **LLAMA), DONE)]
    last = {"choices": [{"index": 0, "delta": {"content": None}, "finish_reason": "eos_token", "matched_stop": 7}]}
    engines["blue"].plays += [stream(delta("Hi"), {**delta(""), **last}, {"choices": [], "usage": {}}, DONE)]
    both = [await ask(door, battle, side, stream=True) for side in "ab"]
    shown = []
    for told in both:
        *chunks, _ = events_of(told.body)
        for each in chunks:
            assert each.keys() == {"id", "object", "created", "model", "choices"}
        shown.append([each["choices"] for each in chunks])
    assert shown[0] == shown[1]
    assert {*both[0].headers} - {"date"} == {*both[1].headers} - {"date"}


@pytest.mark.parametrize(
    ("play", "status"),
    [
        (answer({"error": {"message": "vLLM: red has 8192 tokens", "code": 400, "type": "BadRequestError"}}, 400), 400),
        (answer({"error": {"message": "red", "type": "x"}}, 422), 400),
        (answer({"error": {"message": "llama.cpp broke", "type": "server_error"}}, 500), 502),
        (answer(b"<html>red</html>", 404, content_type="text/html"), 502),
        (answer({"model": "red", "no": "choices"}), 502),
    ],
)
async def test_an_engines_refusal_tells_neither_model_nor_engine(
    arena: tuple[Door, dict[str, FakeEngine]], play: Any, status: int
) -> None:
    door, engines = arena
    battle = await begin(door)
    for engine in engines.values():
        engine.plays += [play, play]
    a, b = [await ask(door, battle, side) for side in "ab"]
    assert (a.status, b.status) == (status, status)
    assert a.body == b.body
    assert error_of(a)["code"] in ("side_refused", "side_failed")
    told = a.body + repr(a.headers).encode()
    for word in (b"red", b"blue", b"vLLM", b"llama"):
        assert word not in told.replace(b"side_refused", b"").replace(b"red_", b""), told


async def test_a_stream_that_breaks_tells_no_replica(arena: tuple[Door, dict[str, FakeEngine]]) -> None:
    door, engines = arena
    battle = await begin(door)
    for engine in engines.values():

        async def play(stage: Any) -> None:
            await stage.send(STREAM_HEAD + chunk(event(delta("Good"))))
            stage.reset()

        engine.plays += [play]
    told = await ask(door, battle, "a", stream=True)
    *chunks, done = events_of(told.body)
    assert done == DONE
    assert chunks[-1]["error"]["code"] == "side_failed"
    assert b"red" not in told.body and b"blue" not in told.body


async def test_there_is_one_vote_for_each_battle_and_nothing_to_ask_after_it(
    arena: tuple[Door, dict[str, FakeEngine]],
) -> None:
    door, _ = arena
    battle = await begin(door)
    told = await vote(door, battle)
    assert (told.status, error_of(told)["code"]) == (409, "no_answer")
    for side in "ab":
        assert (await ask(door, battle, side)).status == 200
    both = await asyncio.gather(vote(door, battle), vote(door, battle))
    assert sorted(each.status for each in both) == [200, 409]
    told = await vote(door, battle)
    assert (told.status, error_of(told)["code"]) == (409, "voted_already")
    told = await ask(door, battle, "a")
    assert (told.status, error_of(told)["code"]) == (409, "battle_over")


async def test_a_side_answers_one_question_at_a_time_and_is_free_when_its_client_leaves(
    arena: tuple[Door, dict[str, FakeEngine]],
) -> None:
    door, engines = arena
    battle = await begin(door)
    for engine in engines.values():
        engine.plays += [silent_after(STREAM_HEAD + chunk(event(delta("Good"))))]
    body = json.dumps({**ASKED, "stream": True}).encode()
    path = f"{ARENA}/battles/{battle}/sides/a/chat"
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    reader, writer = await door.say(head + body)
    await reader.readuntil(b"Good")
    told = await ask(door, battle, "a")
    assert (told.status, error_of(told)["code"]) == (409, "side_busy")
    writer.close()
    await eventually(lambda: len(door.calls) == 1)
    for engine in engines.values():
        engine.plays.clear()
    assert (await ask(door, battle, "a")).status == 200


async def test_a_vote_does_not_count_when_an_answer_tells_its_models_name(
    arena: tuple[Door, dict[str, FakeEngine]],
) -> None:
    """Its family is told by the source; the name is cut by events."""
    door, engines = arena
    battle = await begin(door)
    engines["blue"].plays += [stream(delta("我是通"), delta("义千"), delta("问"), DONE)]
    engines["red"].plays += [stream(delta("I like red wine? No: qwen."), DONE)]
    for side in "ab":
        assert (await ask(door, battle, side, stream=True)).status == 200
    verdict = json.loads((await vote(door, battle)).body)
    assert verdict["counted"] is False
    assert "gave its model away" in verdict["why_not"]
    assert (await board(door))["votes"] == 0


async def test_a_vote_does_not_count_when_the_sides_were_asked_different_things(
    arena: tuple[Door, dict[str, FakeEngine]],
) -> None:
    door, _ = arena
    battle = await begin(door)
    await ask(door, battle, "a")
    await ask(door, battle, "b", temperature=0)
    verdict = json.loads((await vote(door, battle)).body)
    assert (verdict["counted"], verdict["why_not"]) == (False, "The two sides were not asked the same.")


async def test_a_battle_is_its_owners_alone(tmp_path: Path) -> None:
    async with opened(tmp_path, client_keys=["key-a", "key-b"]) as (door, _):
        a, b = ({"authorization": f"Bearer key-{key}"} for key in "ab")
        battle = await begin(door, a)
        assert (await ask(door, battle, "a", a)).status == 200
        for told in (
            await ask(door, battle, "b", b),
            await vote(door, battle, headers=b),
            await vote(door, "x" * 22, headers=b),
        ):
            assert (told.status, error_of(told)["code"]) == (404, "battle_not_found")
        assert (await ask(door, battle, "b")).status == 401
        told = await ask(door, battle, "c", a)
        assert (told.status, error_of(told)["code"]) == (404, "side_not_found")


async def test_a_key_that_is_not_for_both_models_draws_no_battle(tmp_path: Path) -> None:
    keys = {"half": ClientKey(sha256=digest(b"key-half"), models=("red",))}
    async with opened(tmp_path, client_keys=keys) as (door, _):
        half = {"authorization": "Bearer key-half"}
        told = await door.request("GET", ARENA, headers=half)
        assert json.loads(told.body)["models"] == ["red"]
        told = await door.request("POST", f"{ARENA}/battles", {}, half)
        assert (told.status, error_of(told)["code"]) == (503, "too_few_models")
        told = await door.request("POST", f"{ARENA}/votes", {"models": ["red", "blue"], "winner": "a"}, half)
        assert told.status == 404


async def test_who_is_not_ready_or_embeds_is_not_drawn(tmp_path: Path) -> None:
    async with opened(tmp_path) as (door, _), FakeEngine() as third:
        await door.join(third, "vectors.0", deployment=record("vectors", task="embed"))
        assert json.loads((await door.request("GET", ARENA)).body)["models"] == ["blue", "red"]
        door.registry.eject(door.registry.replicas["red.0"], "for this test", 0.0)
        told = await door.request("POST", f"{ARENA}/battles", {})
        assert (told.status, error_of(told)["code"]) == (503, "too_few_models")


async def test_battles_and_votes_have_their_rates(tmp_path: Path) -> None:
    async with opened(tmp_path, battles_per_minute=2, votes_per_minute=1) as (door, _):
        await begin(door)
        await begin(door)
        told = await door.request("POST", f"{ARENA}/battles", {})
        assert (told.status, error_of(told)["code"]) == (429, "rate_limit_exceeded")
        assert "battles per minute: limit 2" in error_of(told)["message"]
        assert int(told.headers["retry-after"]) <= 30
        named = {"models": ["the-red", "blue"], "winner": "tie", "language": "zh"}
        told = await door.request("POST", f"{ARENA}/votes", named)
        assert (told.status, json.loads(told.body)["models"]) == (201, {"a": "red", "b": "blue"})
        assert (await door.request("POST", f"{ARENA}/votes", named)).status == 429


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "red", **ASKED}, "model"),
        ({"logprobs": True, **ASKED}, "logprobs"),
        ({"grammar": "root ::= x", **ASKED}, "grammar"),
        ({"messages": []}, "messages"),
        ({"temperature": 9, **ASKED}, "temperature"),
        ({}, "messages"),
    ],
)
async def test_a_side_takes_what_every_model_knows(
    arena: tuple[Door, dict[str, FakeEngine]], body: Any, param: str
) -> None:
    door, engines = arena
    battle = await begin(door)
    told = await door.request("POST", f"{ARENA}/battles/{battle}/sides/a/chat", body)
    assert (told.status, error_of(told)["param"]) == (400, param)
    assert not any(engine.asked for engine in engines.values())
    assert door.visits[-1].status == 400


async def test_a_sides_engine_gets_of_messages_what_every_engine_knows(
    arena: tuple[Door, dict[str, FakeEngine]],
) -> None:
    door, engines = arena
    battle = await begin(door)
    parts = [{"type": "text", "text": "hi"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts, "prefix": True}]
    assert (await ask(door, battle, "a", messages=messages, user="me", seed=3)).status == 200
    (body,) = (body for engine in engines.values() for body in engine.bodies)
    assert body.pop("model") in engines
    assert body == {"messages": [messages[0], {"role": "user", "content": parts}], "seed": 3}


async def test_named_votes_are_kept_apart(arena: tuple[Door, dict[str, FakeEngine]]) -> None:
    door, _ = arena
    for winner in ("a", "both_bad"):
        told = await door.request("POST", f"{ARENA}/votes", {"models": ["red", "blue"], "winner": winner})
        assert told.status == 201
    told = await door.request("POST", f"{ARENA}/votes", {"models": ["red", "the-red"], "winner": "a"})
    assert (told.status, error_of(told)["param"]) == (400, "models")
    assert [(await board(door, f"?kind={kind}"))["votes"] for kind in ("anonymous", "named")] == [0, 2]
    assert (await door.request("GET", f"{ARENA}/leaderboard?kind=other")).status == 400


async def test_what_was_said_is_exported_only_where_it_is_kept(tmp_path: Path) -> None:
    for keep in (False, True):
        async with opened(tmp_path / str(keep), keep_conversations=keep) as (door, _):
            battle = await begin(door)
            for side in "ab":
                await ask(door, battle, side)
            assert (await vote(door, battle, "tie")).status == 200
            assert (await door.request("GET", f"{ARENA}/export")).status == 401
            told = await door.request("GET", f"{ARENA}/export", headers=ADMIN)
            (line,) = told.body.splitlines()
            found = json.loads(line)
            assert (found["type"], found["models"], found["ip"]) == ("tievote", ["", ""], "")
            assert sorted(state["model_name"] for state in found["states"]) == ["blue", "red"]
            said = [["user", "hi"], ["assistant", "Hello."]] if keep else [["user", ""], ["assistant", ""]]
            assert [state["messages"] for state in found["states"]] == [said, said]


async def test_an_exported_log_is_taken_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "one") as (door, _):
        for winner in ("a", "b", "tie"):
            await door.request("POST", f"{ARENA}/votes", {"models": ["red", "blue"], "winner": winner})
        log = (await door.request("GET", f"{ARENA}/export", headers=ADMIN)).body
    async with opened(tmp_path / "other") as (door, _):
        for imported in (3, 0):
            told = await door.request("POST", f"{ARENA}/import", log + b'{"type": "chat"}\nno json\n', ADMIN)
            assert (told.status, json.loads(told.body)) == (200, {"imported": imported, "skipped": 5 - imported})
        assert (await door.request("GET", f"{ARENA}/export", headers=ADMIN)).body == log
        assert (await door.request("POST", f"{ARENA}/import", log)).status == 401


async def test_a_database_that_cannot_be_written_leaves_the_battle_its_vote(tmp_path: Path) -> None:
    async with opened(tmp_path) as (door, _):
        battle = await begin(door)
        for side in "ab":
            await ask(door, battle, side)
        (tmp_path / "arena.sqlite").mkdir()
        told = await vote(door, battle)
        assert (told.status, error_of(told)["code"]) == (503, "arena_database")
        (tmp_path / "arena.sqlite").rmdir()
        assert (await vote(door, battle)).status == 200


async def test_pages_of_other_origins_read_a_sides_answer_where_they_may(tmp_path: Path) -> None:
    async with opened(tmp_path, cors_origins=["https://app.example"]) as (door, _):
        battle = await begin(door)
        told = await ask(door, battle, "a", {"origin": "https://app.example"})
        assert (told.status, told.headers["access-control-allow-origin"]) == (200, "https://app.example")


async def test_a_door_without_an_arena_says_so() -> None:
    async with Door() as door:
        told = await door.request("GET", ARENA)
        assert json.loads(told.body) == {
            "enabled": False,
            "models": [],
            "minimum_votes": 50,
            "reason": "the fleet file has no `arena`",
        }
        for method, path in (("POST", "/battles"), ("POST", "/battles/x/sides/a/chat"), ("GET", "/leaderboard")):
            told = await door.request(method, ARENA + path)
            assert (told.status, error_of(told)["code"]) == (404, "arena_off"), path
