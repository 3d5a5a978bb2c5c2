"""A look into a request: what routing needs of its body, and what must be right before an engine is bothered.

One msgspec pass finds the fields named here and checks their types and ranges on the way; all else (texts of messages,
schemas of tools) is skipped as bytes, unknown fields pass, and the body goes to the engine as it came. `null` is as
good as not given. Only for a request that fails is the body read again, to say in OpenAI's words what is wrong with it
(faults.py). Formats: https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from argosy.errors import BadRequestError
from argosy.protocol import endpoints
from argosy.protocol.abridged import SHORT_BYTES, abridged
from argosy.protocol.faults import refusal_of, wrong_type
from argosy.protocol.peek_base import Bound, Part, Peek, Positive, Share, Temperature
from argosy.protocol.peek_others import CountTokensPeek, DetokenizePeek, MessagesPeek, RerankPeek, ResponsesPeek

Penalty = Annotated[float, Meta(ge=-2, le=2)]
Choices = Annotated[int, Meta(ge=1, le=128)]
Alternatives = Annotated[int, Meta(ge=0, le=20)]
# OpenAI takes 4; engines take more, and prompts of base models need them.
Stops = str | Annotated[list[str], Meta(max_length=64)]
Texts = str | Annotated[list[str | int | Annotated[list[int], Meta(min_length=1)]], Meta(min_length=1)]


class Message(Part, frozen=True):
    role: Literal["developer", "system", "user", "assistant", "tool", "function"]


class JsonSchema(Part, frozen=True):
    schema: Part


class ResponseFormat(Part, frozen=True):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class Function(Part, frozen=True):
    name: Annotated[str, Meta(min_length=1)]


class Tool(Part, frozen=True):
    type: Literal["function"]
    function: Function


class Generation(Peek, frozen=True):
    """What chats and completions have in common."""

    max_tokens: Bound = UNSET
    max_completion_tokens: Bound = UNSET
    n_predict: int | UnsetType | None = UNSET  # llama.cpp's own; below 0: to the end
    temperature: Temperature | None = None
    top_p: Share | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    n: Choices | None = None
    stop: Stops | None = None
    stream_options: dict[str, Any] | UnsetType | None = UNSET

    @property
    def wants_usage(self) -> bool:
        """Whether the client asked for the usage at a stream's end."""
        return bool(self.stream_options and self.stream_options.get("include_usage"))

    def check(self) -> None:
        options = self.stream_options
        if options is UNSET or options is None:
            return
        if self.stream is not True:
            raise BadRequestError(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
            )
        if not isinstance(include := options.get("include_usage"), bool | None):
            raise wrong_type("stream_options.include_usage", "a boolean", include)


class ChatPeek(Generation, frozen=True):
    messages: Annotated[list[Message], Meta(min_length=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Alternatives | None = None
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | Tool | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Part] | None = None
    function_call: str | Part | None = None
    modalities: list[str] | None = None
    audio: Part | None = None
    web_search_options: Part | None = None

    def check(self) -> None:
        if self.stream_options is not UNSET:
            super().check()
        if self.top_logprobs is not None and not self.logprobs:
            raise BadRequestError(
                "Invalid 'top_logprobs': it is only allowed when 'logprobs' is true.", param="top_logprobs"
            )
        format_ = self.response_format
        if format_ is not None and format_.type == "json_schema" and format_.json_schema is None:
            raise BadRequestError(
                "Missing required parameter: 'response_format.json_schema'.",
                param="response_format.json_schema",
                code="missing_required_parameter",
            )
        choice = self.tool_choice
        if choice is None or choice == "none":
            return
        if not self.tools:
            raise BadRequestError("'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
        if isinstance(choice, Tool) and choice.function.name not in [tool.function.name for tool in self.tools]:
            raise BadRequestError(
                f"Invalid value for 'tool_choice': 'tools' has no function {choice.function.name!r}.",
                param="tool_choice",
                code="invalid_value",
            )

    @property
    def forced_tools(self) -> tuple[str, ...]:
        """The functions of which one must be called; none where the model may answer as it likes."""
        choice = self.tool_choice
        if isinstance(choice, Tool):
            return (choice.function.name,)
        return tuple(tool.function.name for tool in self.tools or ()) if choice == "required" else ()

    @property
    def one_call_at_most(self) -> bool:
        return self.parallel_tool_calls is False and bool(self.tools)

    @property
    def bounds_calls(self) -> bool:
        """Whether the model may not call as it likes."""
        return bool(self.tools) and (bool(self.forced_tools) or self.one_call_at_most)

    def special(self) -> tuple[str, ...]:
        if (
            self.tool_choice is None
            and self.parallel_tool_calls is None
            and self.logprobs is None
            and self.response_format is None
            and self.functions is None
            and self.audio is None
            and self.modalities is None
            and self.web_search_options is None
        ):
            return ()  # as nearly all requests
        format_ = self.response_format
        asked = {
            "tool_choice": bool(self.forced_tools),
            "parallel_tool_calls": self.one_call_at_most,
            "logprobs": bool(self.logprobs),
            "response_format": format_ is not None and format_.type != "text",
            "functions": bool(self.functions),
            "audio": self.audio is not None or bool(set(self.modalities or ()) - {"text"}),
            "web_search_options": self.web_search_options is not None,
        }
        return tuple(field for field, truly in asked.items() if truly)


class CompletionPeek(Generation, frozen=True):
    prompt: Texts | None = None
    logprobs: Alternatives | None = None
    best_of: Choices | None = None
    echo: bool | None = None
    suffix: str | None = None

    def check(self) -> None:
        if self.stream_options is not UNSET:
            super().check()
        if isinstance(self.prompt, list):
            _check_one_kind("prompt", self.prompt)

    def special(self) -> tuple[str, ...]:
        if self.best_of is None and self.echo is None and self.suffix is None and self.logprobs is None:
            return ()
        asked = {
            "best_of": (self.best_of or 1) > (self.n or 1),
            "echo": bool(self.echo),
            "suffix": bool(self.suffix),
            "logprobs": self.logprobs is not None,
            "logprobs: 0": self.logprobs == 0,
        }
        return tuple(field for field, truly in asked.items() if truly)


class EmbeddingPeek(Peek, frozen=True):
    input: (
        Annotated[str, Meta(min_length=1)]
        | Annotated[
            list[Annotated[str, Meta(min_length=1)] | int | Annotated[list[int], Meta(min_length=1)]],
            Meta(min_length=1),
        ]
        | None
    ) = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Positive | None = None

    @property
    def count(self) -> int:
        """How many vectors are asked for: a list of tokens is one text."""
        given = self.input
        return len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1

    def check(self) -> None:
        if isinstance(self.input, list):
            _check_one_kind("input", self.input)

    def special(self) -> tuple[str, ...]:
        return ("dimensions",) if self.dimensions is not None else ()


NOTHING = Peek()
KINDS: Mapping[str, type[Peek]] = {
    endpoints.CHAT: ChatPeek,
    endpoints.COMPLETIONS: CompletionPeek,
    endpoints.EMBEDDINGS: EmbeddingPeek,
    endpoints.RESPONSES: ResponsesPeek,
    endpoints.MESSAGES: MessagesPeek,
    endpoints.COUNT_TOKENS: CountTokensPeek,
    endpoints.RERANK: RerankPeek,
    endpoints.TOKENIZE: Peek,
    endpoints.DETOKENIZE: DetokenizePeek,
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    endpoints.CHAT: ("messages",),
    endpoints.COMPLETIONS: ("prompt",),
    endpoints.EMBEDDINGS: ("input",),
    endpoints.RESPONSES: ("input",),
    endpoints.MESSAGES: ("messages",),
    endpoints.COUNT_TOKENS: ("messages",),
    endpoints.RERANK: ("query", "documents"),
    endpoints.TOKENIZE: (),
    endpoints.DETOKENIZE: ("tokens",),
}
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_LOOKS = {path: (msgspec.json.Decoder(kind).decode, REQUIRED[path]) for path, kind in KINDS.items()}


def peek(path: str, body: bytes) -> Peek:
    """Looks into a request to one of ENDPOINTS. Raises BadRequestError naming the field."""
    decode, required = _LOOKS[path]
    try:
        found = _of_long_chat(body) if len(body) > SHORT_BYTES and path == endpoints.CHAT else decode(body)
    except _UNREADABLE as error:
        raise refusal_of(KINDS[path], body, error) from None
    if not found.model:
        raise _missing("model")
    for field in required:
        if getattr(found, field) is None:
            raise _missing(field)
    found.check()
    return found


def _of_long_chat(body: bytes) -> Peek:
    """As `decode` of the body itself. Only chats: of them no text is looked at."""
    decode, _ = _LOOKS[endpoints.CHAT]
    short = abridged(body)
    if short is not None:
        try:
            return decode(short)
        except _UNREADABLE:
            pass
    return decode(body)


def _missing(field: str) -> BadRequestError:
    return BadRequestError(f"Missing required parameter: '{field}'.", param=field, code="missing_required_parameter")


def _check_one_kind(field: str, texts: list[str | int | list[int]]) -> None:
    if len(set(map(type, texts))) > 1:
        raise BadRequestError(
            f"Invalid type for '{field}': expected an array of strings, of tokens, or of arrays of tokens, but got a "
            "mixed one.",
            param=field,
            code="invalid_type",
        )
