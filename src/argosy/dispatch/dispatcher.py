"""Name → lease: who takes this request, and who waits until somebody can. Owns the waiting lines, how long a request
takes a slot on average, and what replicas were given of late (prefixes.py).

A freed slot or a new replica is granted to the first in line that can use it, one grant per slot, so nobody wakes in
vain. Who is the first, line.py says.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from argosy.dispatch.line import Tried, Waiter, WaitingLine
from argosy.dispatch.policies import NOTHING, POLICIES, REMEMBERING
from argosy.dispatch.prefixes import Asked, Beginning, Prefixes, beginning_of
from argosy.dispatch.retries import RetryBudget
from argosy.errors import OverloadedError, RequestError, UnavailableError
from argosy.registry.records import Deployment, Replica
from argosy.registry.registry import Registry

LONGEST_RETRY_AFTER_SECONDS = 600
SMOOTHING = 0.1  # the latest request's weight in the average of those before it


class Lease(msgspec.Struct, eq=False):
    """A request's claim on a replica, from the choice to the last byte. Released once, on whatever path."""

    dispatcher: Dispatcher
    deployment: Deployment
    replica: Replica
    epoch: int
    since: float  # monotonic seconds
    beginning: Beginning | None  # of the request, where it is to be remembered
    held: bool = True

    def release(self) -> None:
        if self.held:
            self.held = False
            self.dispatcher.released(self)


class Dispatcher:
    """`clock`: monotonic seconds; `draw`: uniform in [0, 1)."""

    def __init__(self, registry: Registry, *, clock: Callable[[], float], draw: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._draw = draw
        self._lines: dict[str, WaitingLine] = {}
        self._prefixes = Prefixes()
        self._retries = RetryBudget(clock)
        registry.on_change = self._changed

    def waiting(self) -> dict[str, int]:
        """Deployment → requests that wait now: what demand there is for replicas that are not there."""
        return {name: len(line) for name, line in self._lines.items() if line}

    def lease_now(self, deployment: Deployment, asked: Asked, tried: Tried = ()) -> Lease | None:
        """A lease if one is to be had at once and nobody waits in front."""
        if self._lines and self._lines.get(deployment.record.name):
            return None
        return self._choose(deployment, asked, tried)

    async def lease(
        self,
        deployment: Deployment,
        asked: Asked,
        tried: Tried = (),
        *,
        seconds: float,
        limit: str = "timeouts.queue",
        principal: str = "",
    ) -> Lease:
        """A lease, waiting up to `seconds` for it, which is what `limit` allows.

        Raises UnavailableError (stopped, all failed, or the time is over) and OverloadedError (the line is full).
        """
        if lease := self.lease_now(deployment, asked, tried):
            return lease
        self._refuse_the_hopeless(deployment)
        record = deployment.record
        line = self._lines.get(record.name) or WaitingLine()
        if (length := len(line)) >= record.max_queue:
            raise OverloadedError(
                f"{record.name}: {length} requests already wait, which is all that may (max_queue)",
                retry_after=self._retry_after(deployment, length + 1),
                place=length + 1,
            )
        waiter = Waiter(asyncio.get_running_loop().create_future(), asked, tried, principal)
        line.join(waiter)
        self._lines[record.name] = line
        # Those in front may be unable to use what is free: nobody would wake us then.
        self._grant(deployment)
        # By hand: asyncio.timeout wants a task, and a request has none.
        timer = asyncio.get_running_loop().call_later(seconds, _time_is_over, waiter)
        try:
            return await waiter.granted
        except BaseException as error:
            _give_back(waiter)  # it may have been granted in the very moment its request was cancelled
            if isinstance(error, TimeoutError):
                raise self._too_late(deployment, line, waiter, f"within {seconds:.3g} s ({limit})") from None
            raise
        finally:
            timer.cancel()
            line.leave(waiter)
            self._forget_if_empty(record.name, line)

    def may_retry(self) -> bool:
        """Takes one retry out of the budget."""
        return self._retries.take()

    def forget(self, keep: Mapping[str, Replica]) -> None:
        """What replicas were given that are no more, or have been started anew."""
        self._prefixes.forget(keep)

    def released(self, lease: Lease) -> None:
        """A lease has ended: its slot goes to the first in line. Called by the lease alone."""
        replica = lease.replica
        self._registry.release(replica)
        # Not before: what is still being read is in no cache yet, and of many who come at once with the same prompt
        # each is read whole, wherever it goes.
        if lease.beginning is not None and replica.status.epoch == lease.epoch:
            self._prefixes.note(lease.beginning, replica, lease.deployment.replicas)
        deployment, clock = lease.deployment, self._clock  # a local is called in fewer steps: docs/decisions/0017
        took = clock() - lease.since
        before = deployment.service_seconds
        deployment.service_seconds = before + SMOOTHING * (took - before) if before else took
        if self._lines and deployment.record.name in self._lines:
            self._grant(deployment)

    # own affairs

    def _choose(self, deployment: Deployment, asked: Asked, tried: Tried) -> Lease | None:
        candidates: Sequence[Replica] = deployment.routable
        # All of them, as nearly always, without a list of their own.
        for each in candidates:
            if each.in_flight >= each.capacity:
                candidates = [replica for replica in candidates if replica.in_flight < replica.capacity]
                break
        if tried:
            candidates = [replica for replica in candidates if (replica, replica.status.epoch) not in tried]
        record = deployment.record
        if not candidates or record.stopped:
            return None
        beginning = None
        # From when a second replica is wanted, not from when it is there: what the first was given meanwhile is known.
        if record.policy in REMEMBERING and (record.replicas > 1 or len(deployment.replicas) > 1):
            beginning = beginning_of(asked)
        if len(candidates) == 1:
            chosen = candidates[0]
        else:
            policy: Callable[..., Replica] = POLICIES[record.policy]  # type: ignore[assignment]
            hint = NOTHING if beginning is None else self._prefixes.hint(beginning, candidates)
            draw = self._draw
            chosen = policy(candidates, hint, draw())
        clock = self._clock
        now = clock()
        self._registry.acquire(chosen)
        self._retries.count_request(now)
        return Lease(self, deployment, chosen, chosen.status.epoch, now, beginning)

    def _grant(self, deployment: Deployment) -> None:
        name = deployment.record.name
        line = self._lines.get(name)
        if line is None:
            return
        for waiter in line:
            if waiter.granted.done():
                continue  # cancelled: it is about to leave
            lease = self._choose(deployment, waiter.asked, waiter.tried)
            if lease is not None:
                line.serve(waiter)
                waiter.granted.set_result(lease)
            elif not waiter.tried:
                break  # what the first cannot have, nobody behind it can
        self._forget_if_empty(name, line)

    def _forget_if_empty(self, name: str, line: WaitingLine) -> None:
        if not line and self._lines.get(name) is line:
            del self._lines[name]

    def _changed(self, deployment: Deployment) -> None:
        name = deployment.record.name
        line = self._lines.get(name)
        if line is None:
            return
        try:
            self._refuse_the_hopeless(deployment)
        except RequestError as error:
            for waiter in line:
                if not waiter.granted.done():
                    waiter.granted.set_exception(error)
        else:
            self._grant(deployment)

    def _refuse_the_hopeless(self, deployment: Deployment) -> None:
        """Waiting would be in vain: nobody will come."""
        record = deployment.record
        if record.stopped:
            raise UnavailableError(
                f"{record.name} is stopped (argosy start {record.name})", code="stopped", retry_after=30
            )
        if self._registry.find(record.name) is not deployment:
            raise UnavailableError(f"{record.name} has been removed from the fleet", code="removed")
        given_up = self._registry.given_up(deployment)
        if given_up and len(given_up) >= record.replicas and not deployment.routable:
            reason = next(iter(given_up.values()))
            raise UnavailableError(f"{record.name} has failed: {reason}", code="failed", retry_after=30)

    def _too_late(self, deployment: Deployment, line: WaitingLine, waiter: Waiter, within: str) -> UnavailableError:
        name, routable = deployment.record.name, deployment.routable
        if routable:
            busy = sum(replica.in_flight for replica in routable)
            place = line.place(waiter)
            return UnavailableError(
                f"{name}: no slot became free {within}: {busy} requests run on {len(routable)} replica(s),"
                f" and this one was number {place} of {len(line)} in line",
                code="queue_timeout",
                retry_after=self._retry_after(deployment, place),
                place=place,
            )
        states = ", ".join(_state(replica) for replica in deployment.replicas.values())
        if not states:
            states = "none has reported" if deployment.record.replicas else f"it has none (argosy scale {name} 1)"
        return UnavailableError(f"{name}: no replica became ready {within}: {states}", retry_after=5)

    def _retry_after(self, deployment: Deployment, place: int) -> int:
        """Seconds until the one at this place may expect a slot, as long as requests take what they took lately."""
        slots = sum(replica.concurrency for replica in deployment.routable) or 1
        expected = deployment.service_seconds * place / slots
        return min(max(1, math.ceil(expected)), LONGEST_RETRY_AFTER_SECONDS)


def _state(replica: Replica) -> str:
    reason = replica.fault or replica.status.reason
    state = "unreachable" if replica.ejected and not replica.failing else replica.status.state
    return f"{replica.id} is {state}" + (f": {reason}" if reason else "")


def _time_is_over(waiter: Waiter) -> None:
    if not waiter.granted.done():
        waiter.granted.set_exception(TimeoutError())


def _give_back(waiter: Waiter) -> None:
    granted = waiter.granted
    if granted.done() and not granted.cancelled() and granted.exception() is None:
        granted.result().release()
