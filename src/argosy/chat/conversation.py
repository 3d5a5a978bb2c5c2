"""A conversation: its messages, the model they go to, and what shapes the answers. Pure: it asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]  # OpenAI's, as it is sent: a loaded one may hold more than role and content

_SYSTEM = ("system", "developer")


@dataclass
class Conversation:
    model: str
    system: str | None = None
    messages: list[Message] = field(default_factory=list)  # without the system prompt
    settings: dict[str, Any] = field(default_factory=dict)

    def request(self) -> dict[str, Any]:
        """The body of the chat request that asks for the next answer."""
        first: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        return {"model": self.model, "messages": [*first, *self.messages], **self.settings}

    def asked(self, question: str) -> None:
        self.messages.append({"role": "user", "content": question})

    def answered(self, text: str) -> None:
        self.messages.append({"role": "assistant", "content": text})

    def undo(self) -> str | None:
        """Forgets the last question and all that came after it. The question; None where there is none."""
        return text_of(self.messages.pop()) if self.unanswer() else None

    def unanswer(self) -> bool:
        """Forgets all that came after the last question, so that it can be asked again. False where there is none."""
        for at in reversed(range(len(self.messages))):
            if self.messages[at]["role"] == "user":
                del self.messages[at + 1 :]
                return True
        return False

    def reset(self) -> None:
        self.messages.clear()

    def last_answer(self) -> str | None:
        said = (text_of(each) for each in reversed(self.messages) if each["role"] == "assistant")
        return next(said, None)

    def load(self, messages: list[Message], settings: Mapping[str, Any]) -> None:
        """Goes on with these instead. A system prompt among the first ones becomes this conversation's."""
        system = [text_of(each) for each in messages if each["role"] in _SYSTEM]
        self.system = "\n\n".join(system) or None
        self.messages = [each for each in messages if each["role"] not in _SYSTEM]
        self.settings = dict(settings)


def text_of(message: Message) -> str:
    """The words of a message; what else it has (images) is named by its kind."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", f"[{part.get('type', '?')}]")) for part in content)
    return content or ""
