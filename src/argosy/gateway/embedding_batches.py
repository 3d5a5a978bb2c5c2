"""An embeddings request of many inputs as several smaller ones, whose vectors are put together in their order.

So no engine gets more inputs than it takes, all replicas work on a large request together, each on one part at a time,
and who asks for little meanwhile is not kept waiting for the whole of it. What fits goes its way untouched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec

from argosy.errors import BrokenAnswerError
from argosy.gateway.answers import ANSWER_LINES, JSON
from argosy.gateway.call import Call
from argosy.gateway.relay import Relay
from argosy.gateway.reply import KeptReply, Reply
from argosy.protocol.openai import Usage, fields_of
from argosy.protocol.peek import EmbeddingPeek

_INPUTS = msgspec.json.Decoder(list[msgspec.Raw])


class _Vector(msgspec.Struct):
    """Its numbers stay as the engine wrote them, as an array or in base64."""

    embedding: msgspec.Raw
    index: int
    object: str = "embedding"


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    total_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[_Vector]
    model: str = ""
    object: str = "list"
    usage: _Usage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class _RefusedPart(Exception):  # noqa: N818  no error of ours: an answer, which the whole request gets
    def __init__(self, kept: KeptReply) -> None:
        super().__init__()
        self.kept = kept


class EmbeddingBatches:
    """`clock`: monotonic seconds."""

    def __init__(self, relay: Relay, clock: Callable[[], float]) -> None:
        self._relay = relay
        self._clock = clock

    async def serve(self, call: Call, reply: Reply) -> None:
        """Serves one embeddings request. Raises a RequestError only while nothing has been sent to the client."""
        found, most = call.found, _most_inputs(call)
        assert isinstance(found, EmbeddingPeek)
        if most is None or found.count <= most:
            await self._relay.serve(call, reply)
        else:  # in a task: waiting for several wants one, and a request has none
            await asyncio.get_running_loop().create_task(self._in_parts(call, reply, most))

    async def _in_parts(self, call: Call, reply: Reply, most: int) -> None:
        assert call.deployment is not None
        began = call.leased_at = self._clock()
        parts = list(_parts(call, most))
        waiting = iter(parts)
        answers: dict[int, list[_Vector]] = {}
        usage = _Usage()

        async def work() -> None:
            for part, first, count in waiting:
                answer = await self._part(part, count)
                answers[first] = [_Vector(each.embedding, first + each.index) for each in answer.data]
                if answer.usage is not None:
                    usage.prompt_tokens += answer.usage.prompt_tokens
                    usage.total_tokens += answer.usage.total_tokens

        lanes = min(len(parts), max(1, len(call.deployment.routable)))
        working = [asyncio.create_task(work()) for _ in range(lanes)]
        try:
            # Not gather: it would lose the reason that this is cancelled for.
            ended, _ = await asyncio.wait(working, return_when=asyncio.FIRST_EXCEPTION)
            for each in ended:
                each.result()
        except _RefusedPart as refused:
            kept = refused.kept
            call.status, call.answered_at = kept.status, self._clock()
            reply.answer(kept.status, kept.lines, kept.body)
            return
        finally:
            for each in working:
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            call.replica, call.attempts = parts[0][0].replica, sum(part.attempts for part, _, _ in parts)
        heard_at = self._clock()
        whole = _Answer([each for first in sorted(answers) for each in answers[first]], call.model, usage=usage)
        data = msgspec.json.encode(whole)
        call.usage = Usage(usage.prompt_tokens)
        call.status, now = 200, self._clock()
        timing = call.answer_begins(began, heard_at, now)
        call.answered_at = now
        reply.answer(200, ANSWER_LINES % (JSON, call.request_id, timing), data)

    async def _part(self, part: Call, count: int) -> _Answer:
        kept = KeptReply()
        part.read_at = self._clock()
        await self._relay.serve(part, kept)
        if kept.status != 200:
            raise _RefusedPart(kept)
        try:
            answer = _ANSWER.decode(kept.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BrokenAnswerError(f"{part.replica}: its answer is no list of embeddings: {error}") from None
        if sorted(each.index for each in answer.data) != list(range(count)):
            raise BrokenAnswerError(f"{part.replica}: it was sent {count} inputs and answered {len(answer.data)}")
        answer.data.sort(key=lambda each: each.index)
        return answer


def _most_inputs(call: Call) -> int | None:
    """Of one request: what the fleet file says, else what the engine is known for."""
    assert call.deployment is not None
    told = call.deployment.record.embedding_batch
    if told is not None:
        return told
    known = next(iter(call.deployment.replicas.values()), None)
    return known.status.traits.most_inputs if known is not None else None


def _parts(call: Call, most: int) -> Iterator[tuple[Call, int, int]]:
    """Each part, which input it begins with, and how many it has."""
    fields = fields_of(call.body)
    inputs = _INPUTS.decode(fields["input"])
    for first in range(0, len(inputs), most):
        some = inputs[first : first + most]
        body = msgspec.json.encode({**fields, "input": some})
        yield replace(call, body=body, attempts=0, traced=None), first, len(some)
