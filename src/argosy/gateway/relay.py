"""From a lease to the last byte: sends a request to a replica, and to another one where that failed before the answer.

Until the head of our answer is sent a replica that fails is left for another and a time limit is a real 504. Owns the
lease, the upstream exchange and the time limits of a request; all three end here on every path. How an answer is passed
on is answers.py's.
"""

from __future__ import annotations

from collections.abc import Callable

from argosy.dispatch.dispatcher import Dispatcher, Lease
from argosy.errors import BrokenAnswerError, ConnectError, RefusedError, UpstreamError
from argosy.gateway.answers import JSON, Answers, named
from argosy.gateway.call import Call
from argosy.gateway.errors import Send
from argosy.gateway.fit import check_fit
from argosy.gateway.outgoing import outgoing
from argosy.gateway.time_limits import REQUEST_TIMEOUT, TimeKeeper
from argosy.gateway.upstreams import Upstreams
from argosy.registry.records import Replica
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

    async def serve(self, call: Call, send: Send) -> None:
        """Serves one request. Raises a RequestError only while nothing has been sent to the client."""
        assert call.deployment is not None
        deployment = call.deployment
        fit = self._check_fit(call, next(iter(deployment.replicas.values()), None))
        tried: list[tuple[Replica, int]] = []
        taken = 0  # how many engines may have had it and failed
        queue_until, limit = self._clock() + deployment.record.timeouts.queue, "timeouts.queue"
        if call.deadline < queue_until:
            queue_until, limit = call.deadline, REQUEST_TIMEOUT
        while True:
            lease = self._dispatcher.lease_now(deployment, call, tried)
            if lease is None:
                began = self._clock()
                try:
                    seconds = max(0.0, queue_until - began)
                    lease = await self._dispatcher.lease(
                        deployment, call, tried, seconds=seconds, limit=limit, principal=call.principal
                    )
                finally:
                    call.queued_seconds += self._clock() - began
            replica = lease.replica
            call.replica = replica.id
            call.attempts += 1
            call.leased_at = self._clock()
            try:
                fit = fit or self._check_fit(call, replica)
                await self._attempt(call, lease, send, may_resend=not taken)
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
                raise failure
            self._registry.count_retry(replica)

    def _check_fit(self, call: Call, replica: Replica | None) -> bool:
        """Whether a replica is known, which then can do what is asked for: all of a deployment have one engine."""
        if replica is None:
            return False
        others = self._registry.deployments.values()
        check_fit(call.path, call.found, replica.deployment, replica.status, others)
        return True

    async def _attempt(self, call: Call, lease: Lease, send: Send, *, may_resend: bool) -> None:
        replica = lease.replica
        timeouts = lease.deployment.record.timeouts
        sent = outgoing(call, replica.status)
        limits = self._time_keeper.limits(timeouts, replica.id, stream=call.stream, deadline=call.deadline)
        exchange: Exchange | None = None
        try:
            upstream = self._upstreams.of(replica)
            exchange = await upstream.post(
                call.path, sent.body, call.request_id, timeouts.connect, limits.watch, may_resend=may_resend
            )
            content_type = exchange.header(b"content-type") or JSON
            if not content_type.startswith(b"text/event-stream") or exchange.status >= 400:
                await self._answers.plain(call, exchange, limits, replica, send, content_type=content_type)
            elif sent.assemble:
                await self._answers.assembled(call, exchange, send, hold=sent.hold)
            else:
                await self._answers.stream(call, exchange, limits, replica, send, hold=sent.hold)
            if call.status >= 500:  # in the engine's own words
                said = f"it answered {call.status}"
                self._registry.report_failure(replica, str(UpstreamError.code), said, self._clock())
            elif replica.failures and call.status < 400:
                self._registry.report_success(replica, self._clock())
        except UpstreamError as error:
            if not call.started:
                call.failed_seconds += self._clock() - call.leased_at
            self._registry.report_failure(replica, str(error.code), str(error), self._clock())
            raise named(error, replica) from error
        finally:
            limits.stop()
            if exchange is not None:
                exchange.close()
