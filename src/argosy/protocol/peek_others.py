"""Looks into requests that are none of OpenAI's chats, completions and embeddings. See peek.py."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta

from argosy.protocol.peek_base import Bound, Part, Peek, Share, Temperature


class AnthropicMessage(Part, frozen=True):
    role: Literal["user", "assistant", "system"]


class ToolChoice(Part, frozen=True):
    """Of Responses and Messages: `mode` is that of a choice among allowed_tools."""

    type: str | None = None
    mode: str | None = None

    @property
    def forces(self) -> bool:
        """Whether the model must call."""
        return self.mode == "required" if self.type == "allowed_tools" else self.type not in ("auto", "none")


class Format(Part, frozen=True):
    type: str | None = None


class OutputSettings(Part, frozen=True):
    format: Format | None = None

    @property
    def binds(self) -> bool:
        """Whether the answer is to have a certain form."""
        return self.format is not None and self.format.type != "text"


class ResponsesPeek(Peek, frozen=True):
    input: str | Annotated[list[Part], Meta(min_length=1)] | None = None
    instructions: str | None = None
    max_output_tokens: Bound = UNSET
    temperature: Temperature | None = None
    top_p: Share | None = None
    tool_choice: str | ToolChoice | None = None
    text: OutputSettings | None = None
    background: bool | None = None
    conversation: str | Part | None = None
    prompt: Part | None = None

    def special(self) -> tuple[str, ...]:
        choice = self.tool_choice
        asked = {
            "tool_choice: forced": choice.forces if isinstance(choice, ToolChoice) else choice == "required",
            "text.format": self.text is not None and self.text.binds,
            "background": bool(self.background),
            "conversation": self.conversation is not None,
            "prompt": self.prompt is not None,
        }
        return tuple(field for field, truly in asked.items() if truly)


class MessagesPeek(Peek, frozen=True):
    messages: Annotated[list[AnthropicMessage], Meta(min_length=1)] | None = None
    system: str | list[Part] | None = None
    max_tokens: Bound = UNSET
    temperature: Temperature | None = None
    top_p: Share | None = None
    tool_choice: ToolChoice | None = None
    output_config: OutputSettings | None = None
    mcp_servers: list[Part] | None = None

    def special(self) -> tuple[str, ...]:
        asked = {
            "tool_choice: forced": self.tool_choice is not None and self.tool_choice.forces,
            "output_config.format": self.output_config is not None and self.output_config.binds,
            "mcp_servers": bool(self.mcp_servers),
        }
        return tuple(field for field, truly in asked.items() if truly)


class CountTokensPeek(Peek, frozen=True):
    messages: Annotated[list[AnthropicMessage], Meta(min_length=1)] | None = None


class RerankPeek(Peek, frozen=True):
    query: str | Part | None = None
    documents: Annotated[list[str | Part], Meta(min_length=1)] | None = None


class DetokenizePeek(Peek, frozen=True):
    tokens: list[int] | None = None
