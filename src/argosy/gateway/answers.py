"""From an engine's answer to the client: as a stream, in one piece, or put together from a stream. Whole events only.

Our head is held back until the first event of a stream (or a plain answer) is there, and bytes are passed on as they
came. Every method sends the whole answer or raises an UpstreamError, a stream's in mid-stream once its client has been
told in an event; the exchange, its time limits and other replicas are the relay's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from argosy.errors import (
    BadRequestError,
    BrokenAnswerError,
    RefusedError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from argosy.gateway.assembler import Assembler
from argosy.gateway.call import Call
from argosy.gateway.outgoing import Hold
from argosy.gateway.repair import ChoiceRepair
from argosy.gateway.reply import Reply
from argosy.gateway.time_limits import CLIENT_TOO_SLOW, TimeLimits
from argosy.gateway.tool_schema import check_tools
from argosy.protocol.openai import is_json, is_refusal, is_whole_event, usage_of
from argosy.protocol.peek import Generation
from argosy.protocol.traits import EngineTraits
from argosy.registry.records import Replica
from argosy.wire.answer_head import AnswerHead
from argosy.wire.connection import Exchange
from argosy.wire.sse import EventFramer

HELD_BYTES = 1024 * 1024  # a plain answer up to this size is sent only when it is whole
ENDING_BYTES = 4096  # of a stream, in which its usage and [DONE] are looked for
TELL_SECONDS = 0.25  # between two words of a stream's events to who counts them for the replica
LAST_WORDS_SECONDS = 0.2  # for the error event of a stream that is cut, whose client may not be reading
JSON = b"application/json"
ANSWER_LINES = b"content-type: %b\r\nx-request-id: %b\r\nserver-timing: %b\r\n"
_STREAM_LINES = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-request-id: %b\r\nserver-timing: %b\r\n"
)

OnEvents = Callable[[str, int], None]


class Answers:
    """`clock`: monotonic seconds; `on_events` hears of every replica's events soon after they came, but for the last of
    each stream: those are its call's `untold_events`."""

    def __init__(self, clock: Callable[[], float], on_events: OnEvents) -> None:
        self._clock = clock
        self._on_events = on_events

    async def stream(
        self,
        call: Call,
        exchange: Exchange,
        limits: TimeLimits,
        replica: Replica,
        reply: Reply,
        *,
        head: AnswerHead,
        hold: Hold | None,
    ) -> None:
        framer = EventFramer()
        events, shown = await _first(exchange, framer, hold)
        first, surface = events, call.surface
        limits.answer_begins(call.task)
        call.status = head.status
        now = self._clock()
        timing = call.answer_begins(exchange.sent_at, exchange.active_at, now)
        reply.begin(call.status, _STREAM_LINES % (call.request_id, timing))
        call.answered_at = now
        last = before_last = b""
        try:
            while not exchange.finished:
                if events:
                    if shown and not reply.write(shown):
                        await reply.writable()
                    before_last, last = last, events
                    self._count(call, shown, exchange.active_at)
                data = await exchange.read()
                events = framer.feed(data) if data else b""
                shown = hold(events) if hold is not None else events
            if tail := framer.tail:
                if not is_whole_event(tail):
                    raise BrokenAnswerError("the engine ended its stream in the middle of an event")
                events += tail + b"\n\n"  # an engine that forgot the last blank line
                shown = hold(events) if hold is not None else events
            ending = (before_last + last + events)[-ENDING_BYTES:]
            done = surface.has_ended(ending)
            if not (done or exchange.end_told):
                raise BrokenAnswerError(f"the engine closed the connection before {surface.end}")
        except (BrokenAnswerError, UpstreamTimeoutError) as error:
            reply.end(surface.error_event(named(error, replica)))
            raise
        except asyncio.CancelledError as cancelled:
            # The client has left (then this goes nowhere) or does not read, or the gateway is stopped.
            why = limits.too_slow() if cancelled.args == (CLIENT_TOO_SLOW,) else stopping()
            await asyncio.get_running_loop().create_task(_last_words(reply, surface.error_event(why)))
            raise
        call.usage = surface.usage_of_stream(first, ending)
        if isinstance(hold, ChoiceRepair):
            call.usage = hold.usage or call.usage
        if call.usage is None:  # else it tells the last ones' tokens, and of a burst those are all
            self._count(call, shown, exchange.active_at)
        if not done:
            shown += surface.closing if hold is None else hold(surface.closing)
        reply.end(shown)

    def _count(self, call: Call, events: bytes, now: float) -> None:
        count = events.count(b"\n") // 2  # a line and a blank one; quicker than looking for both together
        call.events += count
        call.untold_events += count
        if now - call.told_at >= TELL_SECONDS:
            call.told_at = now
            self._on_events(call.replica, call.untold_events)
            call.untold_events = 0

    async def assembled(self, call: Call, exchange: Exchange, reply: Reply, *, hold: Hold | None) -> None:
        """A stream as the plain answer that the client wants."""
        assert isinstance(call.found, Generation)
        framer, assembler = EventFramer(), Assembler(call.path, choices_each=call.found.n or 1)
        while data := await exchange.read():
            events = framer.feed(data)
            shown = hold(events) if hold is not None else events
            self._count(call, shown, exchange.active_at)
            assembler.feed(shown)
        assembler.feed(framer.tail)
        status = 200
        if assembler.error is not None:
            status, data = assembler.refusal()
            _check_refusal(status, JSON, data)
        elif assembler.finished:
            data = assembler.answer()
            call.usage = usage_of(data)
        else:
            raise BrokenAnswerError("the engine ended its stream in the middle of its answer")
        call.status = status
        now = self._clock()
        timing = call.answer_begins(exchange.sent_at, exchange.active_at, now)
        call.answered_at = now
        reply.answer(status, ANSWER_LINES % (JSON, call.request_id, timing), data)

    async def plain(
        self,
        call: Call,
        exchange: Exchange,
        limits: TimeLimits,
        replica: Replica,
        reply: Reply,
        *,
        head: AnswerHead,
        content_type: bytes,
    ) -> None:
        finished = exchange.complete
        if finished:
            data = exchange.take()
        else:
            data = await exchange.read_all(HELD_BYTES)
            finished = exchange.finished
        status = head.status
        if finished and not exchange.end_told and content_type.startswith(JSON) and not is_json(data):
            raise BrokenAnswerError("the engine closed the connection in the middle of its answer")
        more = b""
        if status >= 400:
            _check_input(call, replica.status.traits, data)
            if status == 400 and replica.status.traits.binds_answers:
                check_tools(call.found, data)
            _check_refusal(status, content_type, data)
            data = call.surface.in_own_words(data, status)
            if (retry_after := head.header(b"retry-after")) is not None:
                more = b"retry-after: %b\r\n" % retry_after
        call.status = status
        now = self._clock()
        timing = call.answer_begins(exchange.sent_at, exchange.active_at, now)
        lines = ANSWER_LINES % (content_type, call.request_id, timing) + more
        call.answered_at = now
        if finished:
            reply.answer(status, lines, data)
            call.usage = call.surface.usage_of(data)
            return
        length = head.header(b"content-length")
        reply.begin(status, lines, int(length) if length is not None else None)
        limits.answer_begins(call.task)
        while not exchange.finished:
            if not reply.write(data):
                await reply.writable()
            data = await exchange.read()
        reply.end(data)


async def _last_words(reply: Reply, event: bytes) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            await reply.writable()
            reply.end(event)


async def _first(exchange: Exchange, framer: EventFramer, hold: Hold | None) -> tuple[bytes, bytes]:
    """The first events of which the client gets some, and what it gets of them."""
    while data := await exchange.read():
        events = framer.feed(data)
        if shown := hold(events) if hold is not None else events:
            return events, shown
    if not is_whole_event(framer.tail):
        raise BrokenAnswerError("the engine ended its stream before the first event")
    events, framer.tail = framer.tail + b"\n\n", b""
    return events, events


def _check_input(call: Call, traits: EngineTraits, data: bytes) -> None:
    """An input that is too long is the client's affair, also where the engine says 500 to it."""
    if traits.too_long and traits.too_long.encode() in data:
        raise BadRequestError(
            f"Invalid 'input': longer than {call.model} takes at once. Its engine says: {_excerpt(data)}",
            param="input",
            code="context_length_exceeded",
        )


def _check_refusal(status: int, content_type: bytes, data: bytes) -> None:
    """Refusals that are not the client's affair, or that no client could read."""
    if status in (401, 403):
        raise UpstreamError(f"the engine refused the gateway's key ({status}): {_excerpt(data)}")
    if status == 503:  # it has not taken the request: llama.cpp while it loads, a full server
        raise RefusedError(f"the engine takes no request now (503): {_excerpt(data)}", retry_after=1)
    if content_type.startswith(b"application/json") and is_refusal(data):
        return
    told = f"the engine answered {status}: {_excerpt(data)}"
    if status >= 500:
        raise UpstreamError(told)
    error = BadRequestError(told)  # in words of its own: the status is the client's affair all the same
    error.status = status
    raise error


def named(error: UpstreamError, replica: Replica) -> UpstreamError:
    """The same error, saying whose it is. (A time limit says so itself.)"""
    if isinstance(error, UpstreamTimeoutError):
        return error
    return type(error)(f"{replica.id}: {error}", code=error.code, retry_after=error.retry_after)


def stopping() -> UnavailableError:
    """What a request hears that the gateway's own end cuts short."""
    return UnavailableError("the gateway is being stopped", code="stopping", retry_after=5)


def _excerpt(data: bytes) -> str:
    text = " ".join(data[:300].decode("utf-8", "replace").split())
    return text or "no word of why"
