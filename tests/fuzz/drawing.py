"""What is drawn: bodies that are nearly right, requests that are nearly HTTP, answers that are nearly an engine's.

Each begins with what is right and is spoilt in a few places: what is all junk gets no further than its first byte.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from case import Again, Case, Piece, text
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from live import SCRIPTED

from argosy.gateway.old_paths import OLD_CHAT
from argosy.protocol import endpoints, token_check
from engines import CHAT as CHAT_ANSWER
from engines import DONE, LAST_CHUNK, STREAM_HEAD, UNSIZED_HEAD, chunk, delta, event, head

MODELS = ("good", *SCRIPTED, "nobody", "")

# Values that have broken readers of JSON before.
ODD_VALUES: list[Any] = [
    None, True, False, 0, -0.0, -1, 1, 1.0, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, 5e-324,
    "", " ", "a" * 5000, "\x00", "\x7f", "\u2028", "\U0001f600", "\ufeff", "null", "NaN", "../../etc/passwd", "{}",
    [], {}, [[]], [{}], [None], {"": None}, {"a": {"b": {"c": []}}},
]  # fmt: skip
ODD_TEXTS = [
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 400, b"1" * 5000, b"0.1e", b"01", b"+1", b"--1",
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\x00"', b'"\n"', b'"\\x"', b'"',
    b"[" * 10_000, b"{" * 10_000, b'{"a":' * 10_000, b"[" * 10_000 + b"]" * 10_000, b"[1,]", b"{,}", b"tru", b"'a'",
    b"/*x*/1", b"\xef\xbb\xbf{}", b"[1 2]", b'{"a" 1}', b'{"a":1,"a":2}', b"",
]  # fmt: skip

_TEXT = st.text(max_size=8)
_JSON = st.recursive(
    st.sampled_from(ODD_VALUES) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one two three"}]
_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

# Every field that the door looks at, with a value that is right.
RIGHT: dict[str, dict[str, Any]] = {
    endpoints.CHAT: {
        "messages": _MESSAGES, "stream": True, "max_tokens": 5, "max_completion_tokens": 5, "n_predict": 5,
        "temperature": 0.5, "top_p": 0.5, "presence_penalty": 0, "frequency_penalty": 0, "n": 2, "stop": ["x"],
        "stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 2, "tools": [_TOOL],
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}, "tool_choice": "auto",
        "parallel_tool_calls": True, "functions": [{}], "function_call": "auto", "modalities": ["text"], "audio": {},
        "web_search_options": {}, "seed": 1, "user": "u", "logit_bias": {"1": 1},
    },
    endpoints.COMPLETIONS: {
        "prompt": "one two", "stream": True, "max_tokens": 5, "n": 2, "stop": "x", "echo": True, "suffix": "s",
        "logprobs": 1, "best_of": 2, "stream_options": {"include_usage": False}, "temperature": 1,
    },
    endpoints.EMBEDDINGS: {"input": ["a", "b"], "encoding_format": "base64", "dimensions": 4},
    endpoints.RESPONSES: {
        "input": "x", "instructions": "y", "max_output_tokens": 5, "temperature": 1, "stream": True,
        "tool_choice": {"type": "allowed_tools", "mode": "auto"}, "text": {"format": {"type": "text"}},
        "background": False, "conversation": "c", "prompt": {"id": "p"},
    },
    endpoints.MESSAGES: {
        "messages": _MESSAGES[1:], "system": "s", "max_tokens": 5, "top_p": 1, "stream": True,
        "tool_choice": {"type": "auto"}, "output_config": {"format": None}, "mcp_servers": [],
    },
    endpoints.COUNT_TOKENS: {"messages": _MESSAGES[1:]},
    endpoints.RERANK: {"query": "q", "documents": ["a", {"text": "b"}]},
    endpoints.TOKENIZE: {"content": "x"},
    endpoints.DETOKENIZE: {"tokens": [1, 2]},
    "/v1/engines/parted/embeddings": {"input": [[1, 2], [3]], "encoding_format": "float"},
    OLD_CHAT: {"messages": _MESSAGES, "stream": True, "max_tokens": 5, "repetition_penalty": 1.1},
    token_check.PATH: {"prompts": [{"model": "good", "prompt": "a b", "max_tokens": 5}] * 2},
}  # fmt: skip
_NEEDED = {"messages", "prompt", "input", "query", "documents", "tokens", "prompts"}


@st.composite
def fields(draw: st.DrawFn, path: str, models: tuple[str, ...] = MODELS) -> dict[str, Any]:
    """A request's fields, right but for a few."""
    right = RIGHT[path]
    chosen = draw(st.sets(st.sampled_from(sorted(right)), max_size=5)) | (right.keys() & _NEEDED)
    found: dict[str, Any] = {"model": draw(st.sampled_from(models)), **{name: right[name] for name in sorted(chosen)}}
    for _ in range(draw(st.integers(0, 2))):
        _spoil(draw, found)
    return found


def _spoil(draw: st.DrawFn, value: Any) -> None:
    """Changes one place somewhere in it."""
    inner = value
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            if isinstance(inner, dict):
                inner[draw(_TEXT)] = draw(_JSON)
            return
        key = draw(st.sampled_from(keys))
        if isinstance(inner[key], dict | list) and inner[key] and draw(st.booleans()):
            inner[key] = type(inner[key])(inner[key])  # what is right stays so for the next one
            inner = inner[key]
            continue
        if draw(st.integers(0, 4)) == 0 and isinstance(inner, dict):
            del inner[key]
        else:
            inner[key] = draw(_JSON)
        return


@st.composite
def bodies(draw: st.DrawFn, path: str, models: tuple[str, ...] = MODELS) -> bytes:
    """Mostly JSON; sometimes with a value in it that is none, or with bytes spoilt."""
    body = json.dumps(draw(fields(path, models)), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return body[:-1] + b',"x":' + draw(st.sampled_from(ODD_TEXTS)) + b"}"
    if kind == 1:
        at = body.find(b":", draw(st.integers(0, len(body) - 2))) + 1
        return body[:at] + draw(st.sampled_from(ODD_TEXTS)) + body[at:]
    if kind == 2:
        return draw(spoilt(body))
    if kind == 3:
        return draw(st.sampled_from(ODD_TEXTS) | st.binary(max_size=50))
    return body


@st.composite
def spoilt(draw: st.DrawFn, data: bytes, junk: SearchStrategy[bytes] | None = None) -> bytes:
    """Bytes cut out, put in, doubled, or cut off."""
    junk = junk if junk is not None else st.binary(min_size=1, max_size=6)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["insert", "replace", "delete", "double", "cut"]))
        if kind == "insert":
            data = data[:at] + draw(junk) + data[at:]
        elif kind == "replace":
            data = data[:at] + draw(junk) + data[end:]
        elif kind == "delete":
            data = data[:at] + data[end:]
        elif kind == "double":
            data = data[:end] + data[at:]
        else:
            data = data[:at]
    return data


# requests

PATHS = tuple(RIGHT)
_ELSEWHERE = (
    "/",
    "/health",
    "/ready?model=good",
    "/v1/models",
    "/v1/models/good",
    "/openapi.json",
    "/nowhere",
    "/argosy/v1/arena",
    "/argosy/v1/arena/battles",
    "/argosy/v1/arena/battles/x/sides/a/chat",
)
_ODD_TARGETS = (
    "*", "//", "/%", "/%zz%00", "/../v1/models", "http://elsewhere/v1/models", "http://[", "a:1", "?", "#",
    "/\xff\xfe", "/" + "x" * 300, "/v1/models/" + "%F0%9F%98%80", "/argosy/v1/fleet", "/argosy/v1/logs/x?lines=1e9",
)  # fmt: skip
_METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PRI", "get", "M-SEARCH")
_ODD_HEADERS = (
    "expect: 100-continue", "expect: nothing", "connection: close", "connection: keep-alive, upgrade", "upgrade: h2c",
    "connection: upgrade", "upgrade: websocket", "host: elsewhere.example", "host: ", "host: [::1", "origin: null",
    "origin: http://localhost", "authorization: Bearer ", "authorization: Bearer \xff", "authorization: Basic x",
    "x-api-key: \xe9", "x-request-id: " + "a" * 200, "x-request-id: \xff", "x-request-id: good-1",
    "x-request-timeout: 0", "x-request-timeout: 1e999", "x-request-timeout: nan", "x-request-timeout: 0.001",
    "x-request-timeout: \xff", "x-wait-comments: true", "accept-encoding: gzip", "content-encoding: gzip",
    "content-type: text/plain; charset=\xff", "cookie: " + "c" * 4000, "x-forwarded-for: 1.2.3.4, [", "te: trailers",
    "x: " + "y" * 70_000, "x\xff: y", ": empty", "x y: z", "x:", " folded: yes", "\tfolded: yes", "x: a\rb", "x: \x00",
    "transfer-encoding: identity", "transfer-encoding: gzip", "transfer-encoding: chunked, chunked",
    "transfer-encoding : chunked", "content-length : 5", "content-length: 5, 5", "proxy-connection: keep-alive",
)  # fmt: skip
_ODD_LENGTHS = ("-1", "abc", "", "1e3", "0x10", "5_0", "\xb2", "99999999999999999999", "1048577", " 7 ", "+7", "7 7")
_ODD_CHUNKS = (
    b"zz\r\n", b"-1\r\nx\r\n", b"ffffffffffffffff\r\n", b"1000000000000000000000\r\n",
    b"5;" + b"e" * 500 + b"\r\nhello\r\n",
    b"5\nhello\n", b"5\r\nhelloX\r\n", b"5 \r\nhello\r\n", b"\r\n", b"0\r\nx: y\r\n\r\n",
    b"0\r\ncontent-length: 5\r\n\r\n",
    b"0x5\r\nhello\r\n", b"5\r\nhell", b"0\r\n" + b"t: u\r\n" * 50, b"00005\r\nhello\r\n",
)  # fmt: skip


@st.composite
def requests(draw: st.DrawFn, models: tuple[str, ...]) -> bytes:
    """One request, its head odd in a few places, its body framed rightly or not."""
    of_model = draw(st.integers(0, 3)) > 0
    path = draw(st.sampled_from(PATHS if of_model else _ELSEWHERE + _ODD_TARGETS))
    method = "POST" if of_model else draw(st.sampled_from(_METHODS))
    body = draw(bodies(path, models)) if of_model else draw(st.sampled_from([b"", b"", b"{}", b"x" * 2000]))
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += draw(st.lists(st.sampled_from(_ODD_HEADERS), max_size=2))
    framing = draw(st.integers(0, 9))
    if framing <= 4:
        lines.append(f"content-length: {len(body)}")
    elif framing == 5:
        lines.append(f"content-length: {max(0, len(body) + draw(st.integers(-9, 9)))}")
    elif framing == 6:
        lines.append(f"content-length: {draw(st.sampled_from(_ODD_LENGTHS))}")
    else:
        lines.append("transfer-encoding: chunked")
        if framing == 9:
            lines.insert(draw(st.integers(2, len(lines))), f"content-length: {len(body)}")
        body = draw(_chunked(body))
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@st.composite
def _chunked(draw: st.DrawFn, body: bytes) -> bytes:
    size = draw(st.integers(1, 400))
    chunks = [chunk(body[at : at + size]) for at in range(0, min(len(body), size * 50), size)] + [LAST_CHUNK]
    if draw(st.booleans()):
        chunks.insert(draw(st.integers(0, len(chunks))), draw(st.sampled_from(_ODD_CHUNKS)))
    return b"".join(chunks)


@st.composite
def pieces(draw: st.DrawFn, data: bytes) -> list[Piece]:
    """The same bytes, sent in one or in some."""
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=3).map(sorted)) if data else []
    edges = [0, *cuts, len(data)]
    return [text(data[one:other]) for one, other in itertools.pairwise(edges) if other > one] or [""]


@st.composite
def clients(draw: st.DrawFn) -> Case:
    """Up to four requests after one another, spoilt or not; the client may leave at any point."""
    sent = [draw(requests(("good", "good", "nobody"))) for _ in range(draw(st.integers(1, 4)))]
    data = b"".join(sent)
    if draw(st.integers(0, 2)) == 0:
        data = draw(
            spoilt(data, st.binary(min_size=1, max_size=6) | st.sampled_from([b"\r\n", b"\r\n\r\n", b"\n", b"\x00"]))
        )
    ending = draw(st.sampled_from(["wait", "wait", "wait", "close", "reset", "half"]))
    leaves = draw(st.sampled_from([0, 0, 1, 50, 300])) if ending in ("close", "reset") else 0
    return Case(client=draw(pieces(data)), ending=ending, leaves_after=leaves)


def body_case(path: str, body: bytes) -> Case:
    request = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(body))
    return Case(client=[text(request + body)], answers=1, engine=None)


# engines


def sized(body: bytes, status: int = 200, **headers: str) -> bytes:
    return head(status, content_type="application/json", content_length=str(len(body)), **headers) + body


def chunked(*parts: bytes, start: bytes = STREAM_HEAD) -> bytes:
    return start + b"".join(map(chunk, parts)) + LAST_CHUNK


_USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
_FINISH = {**delta(""), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
_TOOL_CALL = {**delta(""), "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c"}]}}]}
_COMPLETION = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
_PIECE = {**_COMPLETION, "choices": [{"index": 0, "text": "a", "finish_reason": None, "logprobs": None}]}
_PROGRESS = {**delta(""), "prompt_progress": {"total": 9, "processed": 3}}
_TIMINGS = {**_FINISH, "timings": {"prompt_n": 7, "cache_n": 0, "predicted_n": 2}}
EVENTS: list[Any] = [
    delta("Hel"), delta("lo"), _FINISH, {**delta(""), "choices": [], "usage": _USAGE}, _TOOL_CALL, _PIECE, _PROGRESS,
    _TIMINGS, {"error": {"message": "m", "type": "t", "code": 500}}, {"error": "text"}, None,
    {"type": "message_stop"}, {"type": "response.completed", "response": {"usage": {"input_tokens": 1}}},
]  # fmt: skip
ANSWERS: list[Any] = [
    CHAT_ANSWER, {**_PIECE, "usage": _USAGE}, {"object": "list", "data": [], "usage": _USAGE},
    {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}}, {"error": "no"},
    {"detail": [{"loc": ["body"], "msg": "no"}]}, {},
]  # fmt: skip
_ODD_ENGINE_HEADERS = (
    "content-length: 5", "content-length: 999999", "transfer-encoding: chunked", "transfer-encoding: gzip",
    "content-type: text/event-stream", "content-type: \xff", "content-type: ", "content-type: text/html",
    "connection: close", "retry-after: \xff", "retry-after: -1", "x: " + "y" * 70_000, "x y: z", "x: a\rb",
    "x-request-id: theirs",
    "content-encoding: gzip", "set-cookie: a=b", "upgrade: h2c", "connection: upgrade", " folded: yes",
)  # fmt: skip
_STATUSES = (100, 101, 103, 199, 200, 200, 200, 200, 201, 204, 205, 206, 301, 304, 400, 401, 403, 404, 413, 422, 429,
             499, 500, 502, 503, 504, 599, 600, 999)  # fmt: skip
_JUNK_EVENTS = (b"data:\n\n", b"data: \xff\n\n", b"data: {\n\n", b"\n\n", b"\n", b"event: x\n\n", b": c\n\n",
                b"data: [DONE]\n", b"data: [DONE]", b"\r\n\r\n", b"data: [1]\n\n",
                b"data: " + b"[" * 10_000 + b"\n\n", b"id: 1\n\n")  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Events, right but for a few."""
    found: list[bytes] = []
    for _ in range(draw(st.integers(0, 6))):
        told = json.loads(json.dumps(draw(st.sampled_from(EVENTS))))
        if isinstance(told, dict) and draw(st.integers(0, 2)) == 0:
            _spoil(draw, told)
        found.append(event(told))
    if draw(st.integers(0, 4)):
        found.append(event(DONE))
    if found and draw(st.booleans()):
        found.insert(draw(st.integers(0, len(found))), draw(st.sampled_from(_JUNK_EVENTS)))
    if found and draw(st.integers(0, 3)) == 0:
        found[-1] = draw(spoilt(found[-1]))
    return found


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An engine's answer, its head odd in a place, its body framed rightly or not."""
    if draw(st.booleans()):
        events = draw(streams())
        whole = UNSIZED_HEAD + b"".join(events) if draw(st.booleans()) else chunked(*events)
    else:
        told = json.loads(json.dumps(draw(st.sampled_from(ANSWERS))))
        if told and draw(st.integers(0, 2)) == 0:
            _spoil(draw, told)
        whole = sized(json.dumps(told).encode(), draw(st.sampled_from(_STATUSES)))
    if draw(st.integers(0, 2)) == 0:
        at = whole.index(b"\r\n") + 2
        lines = draw(st.lists(st.sampled_from(_ODD_ENGINE_HEADERS), min_size=1, max_size=2))
        whole = whole[:at] + "".join(f"{line}\r\n" for line in lines).encode("latin-1") + whole[at:]
    kind = draw(st.integers(0, 9))
    if kind == 0:
        whole = draw(spoilt(whole))
    elif kind == 1:
        whole += draw(st.sampled_from([b"junk", b"\r\n", whole, b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n"]))
    elif kind == 2:
        whole = b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.integers(1, 40)) + whole
    elif kind == 3:
        whole = whole[: draw(st.integers(0, len(whole)))]
    return whole


@st.composite
def engines(draw: st.DrawFn) -> Case:
    """A right request of some kind to an engine with some ways, which answers oddly; the client may leave meanwhile."""
    model = draw(st.sampled_from(sorted(SCRIPTED)))
    path = draw(st.sampled_from([endpoints.CHAT, endpoints.CHAT, endpoints.COMPLETIONS, *PATHS]))
    right = RIGHT[path]
    few = draw(st.sets(st.sampled_from(sorted(right.keys() & {"stream", "n", "stream_options", "logprobs"} or right))))
    asked = {"model": model, **{name: right[name] for name in sorted(few | (right.keys() & _NEEDED))}}
    if not asked.get("stream"):
        asked.pop("stream_options", None)
    ending = draw(st.sampled_from(["close"] * 5 + ["reset"] * 2 + ["keep", "silent"]))
    leaves = draw(st.sampled_from(["wait"] * 6 + ["close", "reset"]))
    case = body_case(path, json.dumps(asked).encode())
    return Case(
        client=case.client,
        answers=case.answers,
        ending=leaves,
        leaves_after=draw(st.sampled_from([1, 200, 400])) if leaves != "wait" else 0,
        engine=draw(pieces(draw(answers()))),
        engine_ending=ending,
    )


def flood(piece: bytes, times: int) -> Piece:
    return Again(text(piece), times)
