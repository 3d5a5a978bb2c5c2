"""From a lease to the last byte: sends a request to a replica and its answer to the client, whole events only.

Our head is held back until the first event of a stream (or a plain answer) is there: until then a replica that fails is
left for another and a time limit is a real 504. Bytes are passed on as they came. Owns the lease, the upstream exchange
and the time limits of a request; all three end here on every path.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from argosy.dispatch.dispatcher import Dispatcher, Lease
from argosy.dispatch.policies import Hint
from argosy.errors import (
    BadRequestError,
    BrokenAnswerError,
    ConnectError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from argosy.gateway.call import Call
from argosy.gateway.errors import Send
from argosy.gateway.time_limits import CLIENT_TOO_SLOW, TimeKeeper, TimeLimits
from argosy.gateway.upstreams import Upstreams
from argosy.protocol.openai import error_event, is_json, is_whole_event, usage_of, usage_of_stream, with_fields
from argosy.registry.records import Replica
from argosy.registry.registry import Registry
from argosy.wire.connection import Exchange
from argosy.wire.sse import EventFramer

ATTEMPTS_TAKEN = 2  # replicas that may take one request and fail: a bad request must not kill a fleet
HELD_BYTES = 1024 * 1024  # a plain answer up to this size is sent only when it is whole
ENDING_BYTES = 8192  # of a stream, in which its usage and [DONE] are looked for
LAST_WORDS_SECONDS = 0.2  # for the error event of a stream that is cut, whose client may not be reading
DONE = b"data: [DONE]"
_HINT = Hint()


class Relay:
    """`clock`: monotonic seconds."""

    def __init__(
        self,
        registry: Registry,
        dispatcher: Dispatcher,
        upstreams: Upstreams,
        clock: Callable[[], float],
        time_keeper: TimeKeeper,
    ) -> None:
        self._registry = registry
        self._dispatcher = dispatcher
        self._upstreams = upstreams
        self._clock = clock
        self._time_keeper = time_keeper

    async def serve(self, call: Call, send: Send) -> None:
        """Serves one request. Raises a RequestError only while nothing has been sent to the client."""
        assert call.deployment is not None
        deployment = call.deployment
        tried: list[tuple[Replica, int]] = []
        taken = 0  # how often an engine had it and failed
        queue_until = self._clock() + deployment.record.timeouts.queue
        while True:
            lease = self._dispatcher.lease_now(deployment, _HINT, tried)
            if lease is None:
                began = self._clock()
                try:
                    lease = await self._dispatcher.lease(
                        deployment, _HINT, tried, seconds=max(0.0, queue_until - began)
                    )
                finally:
                    call.queued_seconds += self._clock() - began
            replica = lease.replica
            if replica.status.paths and call.path not in replica.status.paths:
                lease.release()
                served = ", ".join(replica.status.paths)
                raise NotFoundError(
                    f"{deployment.record.name} does not serve {call.path}, but {served}.", param="model"
                )
            call.replica = replica.id
            call.attempts += 1
            call.leased_at = self._clock()
            try:
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
                taken += error.sends if isinstance(error, BrokenAnswerError) else 1
                if call.started or taken >= ATTEMPTS_TAKEN or not self._dispatcher.may_retry():
                    raise
                failure = error
            finally:
                lease.release()
            if tried and all((other, other.status.epoch) in tried for other in deployment.routable):
                raise failure
            self._registry.count_retry(replica)

    async def _attempt(self, call: Call, lease: Lease, send: Send, *, may_resend: bool) -> None:
        replica = lease.replica
        timeouts = lease.deployment.record.timeouts
        model = replica.status.upstream_model
        body = call.body if model is None or model == call.model else with_fields(call.body, {"model": model})
        limits = self._time_keeper.limits(timeouts, replica.id, stream=call.stream)
        exchange: Exchange | None = None
        try:
            upstream = self._upstreams.of(replica)
            exchange = await upstream.post(
                call.path, body, call.request_id, timeouts.connect, limits.watch, may_resend=may_resend
            )
            content_type = exchange.header(b"content-type") or b"application/json"
            if content_type.startswith(b"text/event-stream") and exchange.status < 400:
                await self._stream(call, exchange, limits, replica, send)
            else:
                await self._plain(call, exchange, limits, content_type, send)
                if call.status >= 500:  # in the engine's own words
                    self._registry.count_error(replica, str(UpstreamError.code))
        except UpstreamError as error:
            if not call.started:
                call.failed_seconds += self._clock() - call.leased_at
            self._registry.count_error(replica, str(error.code))
            raise _named(error, replica) from error
        finally:
            limits.stop()
            if exchange is not None:
                exchange.close()

    async def _stream(self, call: Call, exchange: Exchange, limits: TimeLimits, replica: Replica, send: Send) -> None:
        framer = EventFramer()
        events = b""
        while not events:
            data = await exchange.read()
            if not data:
                if not is_whole_event(framer.tail):
                    raise BrokenAnswerError("the engine ended its stream before the first event")
                events, framer.tail = framer.tail + b"\n\n", b""
                break
            events = framer.feed(data)
        limits.answer_begins()
        call.status = exchange.status
        now = self._clock()
        timing = call.answer_begins(exchange.sent_at, exchange.active_at, now)
        await send(
            {
                "type": "http.response.start",
                "status": exchange.status,
                "headers": [
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"cache-control", b"no-cache"),
                    (b"x-request-id", call.request_id),
                    (b"server-timing", timing),
                ],
            }
        )
        call.answered_at = now
        last = before_last = b""
        try:
            while not exchange.finished:
                if events:
                    await send({"type": "http.response.body", "body": events, "more_body": True})
                    before_last, last = last, events
                data = await exchange.read()
                events = framer.feed(data) if data else b""
            if is_whole_event(framer.tail):  # an engine that forgot the last blank line
                events += framer.tail + b"\n\n"
            elif framer.tail:
                raise BrokenAnswerError("the engine ended its stream in the middle of an event")
            ending = (before_last + last + events)[-ENDING_BYTES:]
            done = ending.rstrip().endswith(DONE)
            if not (done or exchange.end_told):
                raise BrokenAnswerError("the engine closed the connection before [DONE]")
        except (BrokenAnswerError, UpstreamTimeoutError) as error:
            self._registry.count_error(replica, str(error.code))
            call.error = str(_named(error, replica))
            await send({"type": "http.response.body", "body": error_event(_named(error, replica))})
            return
        except asyncio.CancelledError as cancelled:
            # The client has left (then this goes nowhere) or does not read, or the gateway is stopped.
            why = limits.too_slow() if cancelled.args == (CLIENT_TOO_SLOW,) else stopping()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await send({"type": "http.response.body", "body": error_event(why)})
            raise
        if not done:
            events += DONE + b"\n\n"
        call.usage = usage_of_stream(ending)
        await send({"type": "http.response.body", "body": events})

    async def _plain(self, call: Call, exchange: Exchange, limits: TimeLimits, content_type: bytes, send: Send) -> None:
        data = await exchange.read_all(HELD_BYTES)
        status = exchange.status
        cut = exchange.finished and not exchange.end_told and content_type.startswith(b"application/json")
        if cut and not is_json(data):
            raise BrokenAnswerError("the engine closed the connection in the middle of its answer")
        headers = [(b"content-type", content_type), (b"x-request-id", call.request_id)]
        if status >= 400:
            self._check_refusal(status, content_type, data)
            if (retry_after := exchange.header(b"retry-after")) is not None:
                headers.append((b"retry-after", retry_after))
        length = b"%d" % len(data) if exchange.finished else exchange.header(b"content-length")
        if length is not None:
            headers.append((b"content-length", length))
        call.status = status
        now = self._clock()
        timing = call.answer_begins(exchange.sent_at, exchange.active_at, now)
        headers.append((b"server-timing", timing))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        call.answered_at = now
        if not exchange.finished:
            limits.answer_begins()
        while not exchange.finished:
            await send({"type": "http.response.body", "body": data, "more_body": True})
            data = await exchange.read()
        call.usage = usage_of(data)
        await send({"type": "http.response.body", "body": data})

    def _check_refusal(self, status: int, content_type: bytes, data: bytes) -> None:
        """Refusals that are not the client's affair, or that no client could read."""
        if status in (401, 403):
            raise UpstreamError(f"the engine refused the gateway's key ({status}): {_excerpt(data)}")
        if status == 503:  # it has not taken the request: llama.cpp while it loads, a full server
            raise RefusedError(f"the engine takes no request now (503): {_excerpt(data)}", retry_after=1)
        if content_type.startswith(b"application/json") and b'"error"' in data:
            return
        told = f"the engine answered {status}: {_excerpt(data)}"
        if status >= 500:
            raise UpstreamError(told)
        error = BadRequestError(told)  # in words of its own: the status is the client's affair all the same
        error.status = status
        raise error


def _named(error: UpstreamError, replica: Replica) -> UpstreamError:
    """The same error, saying whose it is. (A time limit says so itself.)"""
    if isinstance(error, UpstreamTimeoutError):
        return error
    named = type(error)(f"{replica.id}: {error}", code=error.code, retry_after=error.retry_after)
    if isinstance(named, BrokenAnswerError) and isinstance(error, BrokenAnswerError):
        named.sends = error.sends
    return named


def stopping() -> UnavailableError:
    """What a request hears that the gateway's own end cuts short."""
    return UnavailableError("the gateway is being stopped", code="stopping", retry_after=5)


def _excerpt(data: bytes) -> str:
    text = " ".join(data[:300].decode("utf-8", "replace").split())
    return text or "no word of why"
