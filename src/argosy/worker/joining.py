"""Asks gateways to take a worker that was started by hand, before it fetches or loads anything: see protocol/join.py.

A gateway that is away is asked again, with back-off and for ever; one that says no ends the worker, with its reason.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from argosy.errors import InputError, UpstreamError
from argosy.protocol.heartbeat import SIGNATURE_HEADER, sign
from argosy.protocol.join import PATH, Join
from argosy.protocol.replica import ReplicaStatus
from argosy.telemetry.logging import EventLog
from argosy.wire.client import Answer, Client
from argosy.worker.listener import Listeners

_ANSWER_SECONDS = 8.0  # the gateway calls back meanwhile
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 10.0

_log = EventLog("worker")


class Joiner:
    """`join` returns once at least one gateway has taken the worker; heartbeats find those that were away."""

    def __init__(
        self,
        status: ReplicaStatus,
        deployment: str,
        aliases: Sequence[str],
        *,
        client: Client,
        join_token: str,
        listeners: Listeners,
    ) -> None:
        self._status = status
        self._deployment = deployment
        self._aliases = list(aliases)
        self._client = client
        self._join_token = join_token
        self._listeners = listeners
        self._away: dict[str, str] = {}  # gateway → why, as it was logged

    async def join(self, gateways: Sequence[str]) -> None:
        """Raises InputError where a gateway refuses, or where our own port cannot be had."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            taken = await asyncio.gather(*(self._ask(gateway, pause) for gateway in gateways))
            if any(taken):
                return
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)

    async def _ask(self, gateway: str, pause: float) -> bool:
        """False: it is away."""
        try:
            answer = await self._exchange(gateway)
        except (UpstreamError, OSError) as error:  # OSError: its name is not known, or there is no way there
            self._note_away(gateway, str(error), pause)
            return False
        if answer.status >= 500:
            self._note_away(gateway, f"it answers {answer.status}", pause)
            return False
        if answer.status != 200:
            raise InputError(f"{gateway} does not take this worker: {_reason(answer)}")
        _log.info("worker.taken", gateway=gateway)
        return True

    async def _exchange(self, gateway: str) -> Answer:
        asked = Join(
            seq=time.time_ns(),
            replica=self._status.id,
            deployment=self._deployment,
            aliases=self._aliases,
            model=self._status.model,
            node=self._status.node,
            address=await self._listeners.door_for(gateway),
        )
        body = msgspec.json.encode(asked)
        headers = {"content-type": "application/json", SIGNATURE_HEADER: sign(body, self._join_token)}
        return await self._client.request(
            "POST", f"{gateway}{PATH}", headers=headers, body=body, seconds=_ANSWER_SECONDS
        )

    def _note_away(self, gateway: str, reason: str, pause: float) -> None:
        """One line for each reason, none for each attempt."""
        if self._away.get(gateway) != reason:
            self._away[gateway] = reason
            cure = f"asked again in {pause:g} s, then less often, for ever"
            _log.warning("gateway.away", gateway=gateway, reason=reason, then=cure)


def _reason(answer: Answer) -> str:
    if answer.status in (404, 405):
        return f"it answers {answer.status} to a request to join, so it is no gateway of this version of Argosy"
    try:
        told = msgspec.json.decode(answer.body, type=dict[str, dict[str, object]])["error"]
        message = str(told["message"])
    except (msgspec.DecodeError, KeyError):
        return f"it answers {answer.status}"
    if told.get("code") == "wrong_join_token":
        return f"{message} Give it the token of that gateway (--join-token-file)."
    return message
