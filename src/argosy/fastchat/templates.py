"""A worker's conversation template, as it tells it, and the prompt that it makes of messages. Pure.

The styles and their numbers are those of FastChat 0.2.36, its last release
(https://github.com/lm-sys/FastChat/blob/main/fastchat/conversation.py). Later states of its repository put LLAMA3 in
between and count on from there: where a template's own look shows that, their numbers are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from argosy.errors import BadRequestError, UpstreamError

_STYLES = (
    *("ADD_COLON_SINGLE", "ADD_COLON_TWO", "ADD_COLON_SPACE_SINGLE", "NO_COLON_SINGLE", "NO_COLON_TWO"),
    *("ADD_NEW_LINE_SINGLE", "LLAMA2", "CHATGLM", "CHATML", "CHATINTERN", "DOLLY", "RWKV", "PHOENIX", "ROBIN"),
    *("FALCON_CHAT", "CHATGLM3", "DEEPSEEK_CHAT", "METAMATH", "YUAN2"),
)
_LATER_STYLES = (*_STYLES[:7], "LLAMA3", *_STYLES[7:])


class Turn(NamedTuple):
    role: str  # as the template calls it
    text: str  # "": the turn that the model is to take


class Template(msgspec.Struct, frozen=True):
    """What `/worker_get_conv_template` answers, under `conv`."""

    name: str
    sep_style: int
    system_template: str = "{system_message}"
    system_message: str = ""
    roles: tuple[str, str] = ("USER", "ASSISTANT")
    messages: list[tuple[str, str | None]] = []  # an example that goes before every conversation
    sep: str = "\n"
    sep2: str | None = None
    stop_str: str | list[str] | None = None
    stop_token_ids: list[int] | None = None

    @property
    def style(self) -> str:
        later = "<|start_header_id|>" in self.system_template or (self.sep_style == 10 and self.sep == "<|im_end|>")
        styles = _LATER_STYLES if later else _STYLES
        return styles[self.sep_style - 1] if 1 <= self.sep_style <= len(styles) else f"number {self.sep_style}"

    @property
    def stops(self) -> list[str]:
        return [self.stop_str] if isinstance(self.stop_str, str) else list(self.stop_str or ())

    def prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        """Of (role, text) as in a chat. Raises UpstreamError for a style that is not known here, BadRequestError for a
        role that these templates have no place for."""
        write = _WRITERS.get(self.style)
        if write is None:
            raise UpstreamError(
                f"this FastChat worker's conversation template {self.name!r} has the separator style {self.style},"
                f" which is not known here ({', '.join(_WRITERS)} are): start the worker with another --conv-template",
                code="unknown_template",
            )
        system, turns = self.system_message, [Turn(role, text or "") for role, text in self.messages]
        told = [text for role, text in messages if role in ("system", "developer")]
        if told:
            system = "\n".join(told)
        last = ""
        for role, text in messages:
            if role in ("system", "developer"):
                continue
            if role not in ("user", "assistant"):
                raise BadRequestError(f"A FastChat worker's model takes no message of role {role!r}.", param="messages")
            if role == last:  # templates count on turns that alternate
                turns[-1] = Turn(turns[-1].role, f"{turns[-1].text}\n{text}")
            else:
                turns.append(Turn(self.roles[role == "assistant"], text))
            last = role
        return write(self, self.system_template.replace("{system_message}", system), system, self._with_answer(turns))

    def _with_answer(self, turns: list[Turn]) -> list[Turn]:
        return [*turns, Turn(self.roles[1], "")]

    def sep_of(self, index: int) -> str:
        return (self.sep2 or "") if index % 2 else self.sep


Writer = Callable[[Template, str, str, list[Turn]], str]


def _simple(
    *, mark: str, open_mark: str | None = None, two: bool = False, head: str = "always", sep_is: str | None = None
) -> Writer:
    """A system prompt, then each role, a mark, its text and a separator. `head`: whether a separator follows the system
    prompt: always, never, or where there is one (`given`). `open_mark` stands before the answer that is to come."""
    opened = mark.rstrip(" ") if open_mark is None else open_mark

    def write(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
        separator = template.sep if sep_is is None else template.sep + sep_is
        begun = prompt + separator if head == "always" or (head == "given" and prompt) else prompt
        parts = [begun]
        for index, (role, text) in enumerate(turns):
            end = template.sep_of(index) if two else separator
            parts.append(f"{role}{mark}{text}{end}" if text else f"{role}{opened}")
        return "".join(parts)

    return write


def _llama2(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    parts = [prompt if system else "[INST] "]
    for index, (_, text) in enumerate(turns):
        tag = template.roles[index % 2]
        if not text:
            parts.append(tag)
        else:
            parts.append(f"{tag} {text}{template.sep_of(index)}" if index else f"{text} ")
    return "".join(parts)


def _llama3(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    parts = ["<|begin_of_text|>", prompt if system else ""]
    for role, text in turns:
        head = f"<|start_header_id|>{role}<|end_header_id|>\n\n"
        parts.append(f"{head}{text.strip()}<|eot_id|>" if text else head)
    return "".join(parts)


def _chatglm(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    first = 1 if template.name == "chatglm2" else 0
    parts = [prompt + template.sep if prompt else ""]
    for index, (role, text) in enumerate(turns):
        if index % 2 == 0:
            parts.append(f"[Round {index // 2 + first}]{template.sep}")
        parts.append(f"{role}：{text}{template.sep}" if text else f"{role}：")
    return "".join(parts)


def _chatglm3(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    return (prompt if system else "") + "".join(f"{role}\n{text}" if text else role for role, text in turns)


def _chatintern(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    parts = [prompt]
    for index, (role, text) in enumerate(turns):
        parts.append("<s>" if index % 2 == 0 else "")
        parts.append(f"{role}:{text}{template.sep_of(index)}\n" if text else f"{role}:")
    return "".join(parts)


def _dolly(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    parts = [prompt]
    for index, (role, text) in enumerate(turns):
        end = "\n\n" if index % 2 else ""
        parts.append(f"{role}:\n{text}{template.sep_of(index)}{end}" if text else f"{role}:\n")
    return "".join(parts)


def _rwkv(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    parts = [prompt]
    for role, text in turns:
        flat = text.replace("\r\n", "\n").replace("\n\n", "\n")
        parts.append(f"{role}: {flat}\n\n" if text else f"{role}:")
    return "".join(parts)


def _phoenix(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    return prompt + "".join(f"{role}: <s>{text}</s>" if text else f"{role}: <s>" for role, text in turns)


def _falcon_chat(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    said = (f"{role}: {text}{template.sep}" if text else f"{role}:" for role, text in turns)
    return (prompt + template.sep if system else "") + "".join(said)


def _metamath(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    parts = [prompt + template.sep if prompt else ""]
    for index, (role, text) in enumerate(turns):
        mark = f": {template.sep2 or ''}" if index % 2 else ":\n"
        parts.append(f"{role}{mark}{text}{'' if index % 2 or not text else template.sep}")
    return "".join(parts)


def _yuan2(template: Template, prompt: str, system: str, turns: list[Turn]) -> str:
    said = "".join(f"{text}<n>" for _, text in turns if text)
    # FastChat strips these three characters, not the word: an answer must be asked for as its worker's own server does.
    return ((prompt + (template.sep2 or "") if system else "") + said).rstrip("<n>") + template.sep


_WRITERS: dict[str, Writer] = {
    "ADD_COLON_SINGLE": _simple(mark=": "),
    "ADD_COLON_TWO": _simple(mark=": ", two=True),
    "ADD_COLON_SPACE_SINGLE": _simple(mark=": ", open_mark=": "),
    "NO_COLON_SINGLE": _simple(mark="", head="never"),
    "NO_COLON_TWO": _simple(mark="", two=True, head="never"),
    "ADD_NEW_LINE_SINGLE": _simple(mark="\n", open_mark="\n", head="given"),
    "LLAMA2": _llama2,
    "LLAMA3": _llama3,
    "CHATGLM": _chatglm,
    "CHATML": _simple(mark="\n", open_mark="\n", head="given", sep_is="\n"),
    "CHATINTERN": _chatintern,
    "DOLLY": _dolly,
    "RWKV": _rwkv,
    "PHOENIX": _phoenix,
    "ROBIN": _simple(mark=":\n", open_mark=":\n"),
    "FALCON_CHAT": _falcon_chat,
    "CHATGLM3": _chatglm3,
    "DEEPSEEK_CHAT": _simple(mark=": ", two=True, head="never"),
    "METAMATH": _metamath,
    "YUAN2": _yuan2,
}
