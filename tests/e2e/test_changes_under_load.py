"""A fleet that is changed under eight people who stream: nobody notices."""

from __future__ import annotations

import asyncio
from typing import Any

from clients import Crowd, Ending
from command import Argosy
from waiting import eventually

FLEET = """
gateway: {port: 0}
deployments:
  talk: {engine: echo, replicas: 2, options: {tokens_per_second: 160, slots: 8}}
"""
PEOPLE = 8


def workers(argosy: Argosy) -> dict[str, int]:
    """Ready replica → its worker."""
    return {name: each["worker_pid"] for name, each in argosy.replicas_now().items() if each["state"] == "ready"}


async def test_no_request_is_lost_while_a_fleet_is_restarted_scaled_and_changed(argosy: Argosy) -> None:
    argosy.run("up", "-d", argosy.file(FLEET))
    crowd = Crowd(argosy.ask()["gateways"][0]["address"] + "/v1", "talk")

    async def settled(replicas: int, not_of: dict[str, int] | None = None) -> dict[str, int]:
        """Until so many serve, none by a worker of before."""

        def look() -> Any:
            now = workers(argosy)
            new = not set(now.values()) & set((not_of or {}).values())
            return len(now) == replicas == len(argosy.replicas_now()) and new and now

        found: dict[str, int] = await eventually(look, seconds=20)
        await crowd.hear(Ending.WHOLE, PEOPLE)
        return found

    async with crowd.talking(PEOPLE):
        first = await settled(2)
        argosy.ask("/argosy/v1/fleet/restart/talk", "POST")
        second = await settled(2, not_of=first)
        argosy.ask("/argosy/v1/fleet/scale/talk?replicas=3", "POST")
        third = await settled(3)
        assert second.items() <= third.items()
        argosy.ask("/argosy/v1/fleet/scale/talk?replicas=1", "POST")
        fourth = await settled(1)
        assert fourth.items() <= third.items()
        changed = argosy.file(FLEET.replace("tokens_per_second: 160", "tokens_per_second: 161"))
        await asyncio.to_thread(argosy.run, "up", "-d", changed)
        await settled(2, not_of=third)
    assert set(crowd.endings) == {Ending.WHOLE}, crowd.endings
