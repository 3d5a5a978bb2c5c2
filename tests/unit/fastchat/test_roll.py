from __future__ import annotations

import pytest

from argosy.errors import BadRequestError, ForbiddenError
from argosy.fastchat.addresses import Allowed
from argosy.fastchat.offer import Marks
from argosy.fastchat.roll import Registration, Roll


def entered(*names: str, **fields: object) -> Roll:
    roll = Roll()
    for name in names:
        roll.enter(Registration(name=name, url=name, models=["m"], **fields), now=0)  # type: ignore[arg-type]
        roll.seen(name, None, 0)
    return roll


def test_a_worker_is_listed_once_it_answers() -> None:
    roll = Roll()
    roll.enter(Registration(name="w", url="w", models=["m"]), now=0)
    assert roll.models() == []
    roll.seen("w", None, 1)
    assert roll.models() == ["m"]


def test_one_that_refuses_connections_is_out_at_once_and_a_slow_one_after_three_probes() -> None:
    roll = entered("w")
    roll.seen("w", "slow", 1)
    roll.seen("w", "slow", 2)
    assert roll.models() == ["m"]
    roll.seen("w", "slow", 3)
    assert roll.models() == []
    roll.seen("w", None, 4)
    roll.seen("w", "refused", 5, gone=True)
    assert (roll.models(), roll.entries[0].reason) == ([], "refused")


def test_it_is_struck_off_90_seconds_after_its_last_heartbeat() -> None:
    roll = entered("w")
    assert roll.heartbeat("w", 0, now=45)
    assert roll.strike_off(now=135) == []
    assert [gone.name for gone in roll.strike_off(now=135.1)] == ["w"]
    assert not roll.heartbeat("w", 0, now=136)  # so it registers again


def test_who_promised_no_heartbeats_stays_while_it_answers() -> None:
    roll = entered("w", check_heart_beat=False)
    roll.seen("w", None, 100)
    assert roll.strike_off(now=180) == []
    assert roll.strike_off(now=191) != []


def test_the_shortest_queue_by_speed_is_asked() -> None:
    roll = entered("slow", "fast")
    roll.entries[0].queue_length = roll.entries[1].queue_length = 4
    roll.entries[1].speed = 4
    assert [chosen.name for _ in range(5) if (chosen := roll.address_of("m"))] == ["fast"] * 5
    assert roll.address_of("other") is None


async def test_addresses_are_taken_by_network_and_urls_by_their_address() -> None:
    allowed = Allowed(["127.0.0.0/8"])
    allowed.check_peer("127.0.0.1")
    allowed.check_peer("::ffff:127.0.0.1")
    with pytest.raises(ForbiddenError, match=r"10\.0\.0\.9 is in none"):
        allowed.check_peer("10.0.0.9")
    assert await allowed.checked("http://127.0.0.1:21002/") == "http://127.0.0.1:21002"
    with pytest.raises(ForbiddenError, match=r"169\.254\.169\.254"):
        await allowed.checked("http://169.254.169.254:80")
    for wrong in ("https://127.0.0.1:1", "http://127.0.0.1:1/path", "file:///etc/passwd", "nonsense"):
        with pytest.raises(BadRequestError):
            await allowed.checked(wrong)


async def test_a_name_is_resolved_once_and_its_address_kept() -> None:
    assert await Allowed(["127.0.0.0/8", "::1/128"]).checked("http://localhost:21002") == "http://127.0.0.1:21002"


def test_messages_come_back_out_of_a_prompt_of_our_template() -> None:
    marks = Marks("secret")
    told = marks.template("m")
    user, assistant = told["roles"]
    system = told["system_template"].replace("{system_message}", "Be short.")
    prompt = f"{system}{user}a > b{assistant}c{user}d{assistant}"
    assert marks.messages(prompt) == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "a > b"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    assert marks.messages("USER: hi ASSISTANT:") is None
    assert Marks("another").messages(prompt) is None
