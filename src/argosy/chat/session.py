"""A conversation at the terminal: reads, does what commands say, asks and shows the answers, until it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from argosy.chat import clipboard, saved
from argosy.chat.answer import Answer, Figures
from argosy.chat.asking import ask
from argosy.chat.commands import help_text, parse, unquoted, words
from argosy.chat.conversation import Conversation, Message, text_of
from argosy.chat.door import Door
from argosy.chat.editor import Editor
from argosy.chat.painter import Painter, harmless
from argosy.chat.settings import parse_setting, settings_text
from argosy.errors import ArgosyError, CommandError

_SHOWN = 6  # messages of a conversation that was loaded


class Session:
    """`painter` makes one for each answer. Commands speak on stderr where answers go to a file."""

    def __init__(
        self,
        door: Door,
        conversation: Conversation,
        editor: Editor,
        *,
        painter: Callable[[], Painter],
        variables: Mapping[str, str],
    ) -> None:
        self._door = door
        self._conversation = conversation
        self._editor = editor
        self._painter = painter
        self._variables = variables
        self._figures: list[Figures] = []
        self._left = False
        self._does: dict[str, Callable[[str], Awaitable[None]]] = {
            "model": self._model,
            "system": self._system,
            "set": self._set,
            "reset": self._reset,
            "undo": self._undo,
            "regen": self._regen,
            "save": self._save,
            "load": self._load,
            "copy": self._copy,
            "stats": self._stats,
            "help": self._help,
            "exit": self._exit,
        }

    async def run(self) -> None:
        """Until /exit, Ctrl-D, or Ctrl-C twice at the prompt."""
        _tell(f"{self._conversation.model}: Ctrl-C stops an answer, /help tells the rest, Ctrl-D leaves.")
        interrupted = False
        while not self._left:
            try:
                typed = await self._editor.read()
            except EOFError:
                return
            except KeyboardInterrupt:
                if interrupted:
                    return
                interrupted = True
                _tell("Ctrl-C again, or Ctrl-D, leaves")
                continue
            interrupted = False
            try:
                if await _interruptible(self._do(typed)):
                    _tell("(stopped)")
            except ArgosyError as error:
                _tell(f"error: {error}")

    async def _do(self, typed: str) -> None:
        command = parse(typed)
        if command is not None:
            await self._does[command.name](command.argument)
        elif question := words(typed):
            await self._ask(question)

    async def _ask(self, question: str) -> None:
        before = list(self._conversation.messages)
        self._conversation.asked(question)
        await self._answer(before)

    async def _answer(self, before: list[Message]) -> None:
        """What was said until Ctrl-C or an error is kept; without a word of it, things are as they were `before`."""
        conversation, answer = self._conversation, Answer(time.monotonic())
        try:
            await ask(self._door, conversation.request(), answer, self._painter())
        finally:
            if answer.said:
                conversation.answered(answer.said)
                self._figures.append(answer.figures())
            else:
                conversation.messages = before
        if not answer.said:
            _tell("(the model said nothing: the question is forgotten)")

    # commands

    async def _model(self, name: str) -> None:
        if name:
            self._conversation.model = await self._door.checked(unquoted(name))
            _tell(f"now talking to {self._conversation.model}")
            return
        for each in (await self._door.models()).all:
            _tell(f"{'*' if each == self._conversation.model else ' '} {each}")

    async def _system(self, text: str) -> None:
        if text:
            self._conversation.system = unquoted(text) or None
        _tell(f"system prompt: {self._conversation.system or 'none'}")

    async def _set(self, argument: str) -> None:
        name, _, text = argument.partition(" ")
        settings = self._conversation.settings
        if text:
            settings[name] = parse_setting(name, text.strip())
        elif name and settings.pop(name, None) is None:
            raise CommandError(f"{name} is not set: /set {name} VALUE sets it")
        _tell(settings_text(settings))

    async def _reset(self, argument: str) -> None:
        self._conversation.reset()
        _tell("the conversation is forgotten")

    async def _undo(self, argument: str) -> None:
        question = self._conversation.undo()
        _tell("there is nothing to forget" if question is None else f"forgotten: {question}")

    async def _regen(self, argument: str) -> None:
        before = list(self._conversation.messages)
        if not self._conversation.unanswer():
            raise CommandError("there is no question to ask again")
        await self._answer(before)

    async def _save(self, name: str) -> None:
        if not name:
            raise CommandError("/save wants the name of a file")
        _tell(f"saved to {saved.write(Path(unquoted(name)), self._conversation)}")

    async def _load(self, name: str) -> None:
        if not name:
            raise CommandError("/load wants the name of a file")
        self._conversation.load(*saved.read(Path(unquoted(name))))
        messages = self._conversation.messages
        if len(messages) > _SHOWN:
            _tell(f"… {len(messages) - _SHOWN} messages before")
        for message in messages[-_SHOWN:]:
            _tell(f"{message['role']}: {text_of(message)}")
        _tell(f"loaded {len(messages)} messages")

    async def _copy(self, argument: str) -> None:
        text = self._conversation.last_answer()
        if text is None:
            raise CommandError("there is no answer to copy")
        terminal = next((each for each in (sys.stdout, sys.stderr) if each.isatty()), None)
        way = await asyncio.to_thread(clipboard.copy, text, terminal=terminal, variables=self._variables)
        if way is None:
            raise CommandError("there is no clipboard here")
        _tell(f"copied {len(text)} characters by {way}")

    async def _stats(self, argument: str) -> None:
        if not self._figures:
            raise CommandError("there is no answer yet")
        _tell(f"last answer: {self._figures[-1].text()}")
        tokens, seconds = sum(each.tokens for each in self._figures), sum(each.seconds for each in self._figures)
        _tell(f"all {len(self._figures)}: {tokens} tokens in {seconds:.2f} s")

    async def _help(self, argument: str) -> None:
        _tell(help_text(shutil.get_terminal_size().columns))

    async def _exit(self, argument: str) -> None:
        self._left = True


async def _interruptible(work: Coroutine[Any, Any, None]) -> bool:
    """Whether Ctrl-C stopped it."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    interrupted = asyncio.Event()

    def interrupt() -> None:
        interrupted.set()
        task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        await asyncio.wait({task})
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        if not task.done():  # the whole session ends
            task.cancel()
            await asyncio.wait({task})
    with contextlib.suppress(asyncio.CancelledError):
        task.result()
    return interrupted.is_set()


def _tell(text: str) -> None:
    """Beside the answers: not among them, where those go to a file. Broken between words in a terminal."""
    from argosy.chat.markdown import wrapped  # noqa: PLC0415

    out = next((each for each in (sys.stdout, sys.stderr) if each.isatty()), None)
    if out is None:
        out = sys.stderr
    else:
        text = wrapped(harmless(text), os.get_terminal_size(out.fileno()).columns)
    out.write(f"{text}\n")
    out.flush()
