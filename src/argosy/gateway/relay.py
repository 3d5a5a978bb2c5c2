"""From a lease to the last byte: sends a request to a replica, and to another one where that failed before the answer.

Until the head of our answer is sent a replica that fails is left for another and a time limit is a real 504. Owns the
lease, the upstream exchange and the time limits of a request; all three end here on every path. How an answer is passed
on is answers.py's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from argosy.dispatch.dispatcher import Dispatcher, Lease
from argosy.errors import BrokenAnswerError, ConnectError, RefusedError, UpstreamError
from argosy.gateway.answers import JSON, Answers, named
from argosy.gateway.call import Call
from argosy.gateway.fit import check_fit
from argosy.gateway.outgoing import outgoing
from argosy.gateway.reply import Reply
from argosy.gateway.time_limits import REQUEST_TIMEOUT, TimeKeeper, TimeLimits
from argosy.gateway.upstreams import Upstreams
from argosy.registry.records import Deployment, Replica
from argosy.registry.registry import Registry
from argosy.wire.connection import Exchange

ATTEMPTS_TAKEN = 2  # replicas that may take one request and fail: a bad request must not kill a fleet


class Relay:
    """`clock`: monotonic seconds."""

    def __init__(
        self,
        registry: Registry,
        dispatcher: Dispatcher,
        upstreams: Upstreams,
        answers: Answers,
        *,
        clock: Callable[[], float],
        time_keeper: TimeKeeper,
    ) -> None:
        self._registry = registry
        self._dispatcher = dispatcher
        self._upstreams = upstreams
        self._answers = answers
        self._clock = clock
        self._time_keeper = time_keeper

    async def serve(self, call: Call, reply: Reply) -> None:
        """Serves one request. Raises a RequestError only while nothing has been sent to the client."""
        assert call.deployment is not None
        deployment = call.deployment
        known = next(iter(deployment.replicas.values()), None)  # all of a deployment have one engine
        if known is not None:
            check_fit(call.path, call.found, known.deployment, known.status, self._registry.deployments)
        tried: list[tuple[Replica, int]] = []
        taken = 0  # how many engines may have had it and failed
        while True:
            lease = self._dispatcher.lease_now(deployment, call, tried) or await self._lease(call, deployment, tried)
            replica = lease.replica
            call.replica = replica.id
            call.attempts += 1
            call.leased_at = lease.since
            try:
                if known is None:
                    known = replica
                    check_fit(call.path, call.found, known.deployment, known.status, self._registry.deployments)
                await self._attempt(call, lease, reply, may_resend=not taken)
                return
            except ConnectError as error:
                # It has not seen the request. It is out until a probe succeeds; anybody else may have it.
                self._registry.eject(replica, str(error), self._clock())
                if not self._dispatcher.may_retry():
                    raise
                failure: UpstreamError = error
            except (BrokenAnswerError, RefusedError) as error:
                tried.append((replica, replica.status.epoch))
                taken += 1
                if call.started or taken >= ATTEMPTS_TAKEN or not self._dispatcher.may_retry():
                    raise
                failure = error
            finally:
                lease.release()
            if tried and all((other, other.status.epoch) in tried for other in deployment.routable):
                try:
                    raise failure
                finally:
                    del failure  # or this frame, which its traceback leads to, would lead back to it
            del failure
            self._registry.count_retry(replica)

    async def _lease(self, call: Call, deployment: Deployment, tried: list[tuple[Replica, int]]) -> Lease:
        """Waits in line for one."""
        began = self._clock()
        if not call.queue_until:
            call.queue_until = min(call.deadline, began + deployment.record.timeouts.queue)
        limit = REQUEST_TIMEOUT if call.queue_until == call.deadline else "timeouts.queue"
        seconds = max(0.0, call.queue_until - began)
        try:
            return await self._dispatcher.lease(
                deployment, call, tried, seconds=seconds, limit=limit, principal=call.principal
            )
        finally:
            call.queued_seconds += self._clock() - began

    async def _attempt(self, call: Call, lease: Lease, reply: Reply, *, may_resend: bool) -> None:
        replica = lease.replica
        timeouts = lease.deployment.record.timeouts
        sent = outgoing(call, replica.status)
        limits = TimeLimits(self._time_keeper, timeouts, replica.id, call.stream, call.deadline, time.monotonic())
        exchange: Exchange | None = None
        try:
            upstream = self._upstreams.of(replica)
            exchange = await upstream.post(
                call.path,
                sent.body,
                call.request_id,
                timeouts.connect,
                limits,
                may_resend=may_resend,
                more=call.trace_lines,
            )
            head = exchange.head
            assert head is not None, "a pool hands out exchanges whose head is there"
            content_type = head.content_type or JSON
            if not content_type.startswith(b"text/event-stream") or head.status >= 400:
                await self._answers.plain(call, exchange, limits, replica, reply, head=head, content_type=content_type)
            elif sent.assemble:
                await self._answers.assembled(call, exchange, reply, hold=sent.hold)
            else:
                await self._answers.stream(call, exchange, limits, replica, reply, head=head, hold=sent.hold)
            if call.status >= 500:  # in the engine's own words
                said = f"it answered {call.status}"
                code = str(UpstreamError.code)
                self._registry.report_failure(replica, code, said, self._clock(), answered=call.path)
            elif replica.failures and call.status < 400:
                self._registry.report_success(replica, self._clock())
        except UpstreamError as error:
            if not call.started:
                call.failed_seconds += self._clock() - call.leased_at
            self._registry.report_failure(replica, str(error.code), str(error), self._clock())
            # Not `from error`: where that is the same, it would lead to itself and keep all that its frames hold, which
            # may be 32 MiB of an event, until the garbage collector comes by. In a gateway it seldom does.
            raise named(error, replica) from None
        finally:
            limits.stop()
            if exchange is not None:
                exchange.close()
