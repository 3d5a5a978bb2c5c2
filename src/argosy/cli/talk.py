"""What one `argosy chat` does once its flags are read: opens a door, then asks once or holds a conversation."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from argosy.chat.answer import Answer
from argosy.chat.asking import ask, json_text
from argosy.chat.conversation import Conversation
from argosy.chat.door import Door
from argosy.chat.editor import quiet_keyboard
from argosy.chat.painter import MarkdownPainter, Painter, PlainPainter
from argosy.cli.fleets import running_fleet
from argosy.config.environment import Environment
from argosy.errors import NotRunningError
from argosy.fleet.observer import gateway_of
from argosy.state import Home
from argosy.wire.tls import fleet_pins


class Ended(Exception):  # noqa: N818 - no error
    """By a signal, after all was put back."""

    def __init__(self, number: int) -> None:
        self.number = number


@dataclass(frozen=True)
class Talk:
    environment: Environment
    conversation: Conversation
    url: str | None
    fleet: str | None
    source: str | None
    plain: bool
    as_json: bool
    multiline: bool
    no_history: bool

    async def run(self, model: str | None, question: str | None) -> None:
        """Raises Ended for SIGTERM and SIGHUP: the terminal is as it was, a fleet of its own is gone."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        came: list[int] = []

        def end(number: int) -> None:
            came.append(number)
            task.cancel()

        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, end, number)
        try:
            async with AsyncExitStack() as stack:
                if question is None:
                    stack.enter_context(quiet_keyboard())  # what is typed while a model loads is for the first prompt
                await self._talk(await self._open(stack), model, question)
        except asyncio.CancelledError:
            if not came:
                raise  # Ctrl-C
            raise Ended(came[0]) from None

    async def _talk(self, door: Door, model: str | None, question: str | None) -> None:
        conversation = self.conversation
        conversation.model, question = await door.choose(model, question)
        if question is None:
            await self._converse(door)
            return
        conversation.asked(question)
        answer = Answer(time.monotonic())
        await ask(door, conversation.request(), answer, None if self.as_json else self._painter())
        if self.as_json:
            print(json_text(answer, conversation.model))

    async def _converse(self, door: Door) -> None:
        from argosy.chat.editor import Editor
        from argosy.chat.session import Session

        history = None if self.no_history else Home(self.environment.home).chat_history
        editor = Editor(history, multiline=self.multiline)
        variables = self.environment.variables
        await Session(door, self.conversation, editor, painter=self._painter, variables=variables).run()

    async def _open(self, stack: AsyncExitStack) -> Door:
        """The door that is meant: of a URL, of a fleet that runs, or of one that is served for this chat."""
        environment = self.environment
        elsewhere = self.url or (environment.url if self.fleet is None else None)
        base, key = elsewhere or "", environment.client_key()
        if self.source is not None:
            from argosy.cli.private_fleet import private_fleet

            base, key = await stack.enter_async_context(private_fleet(self.source, environment))
        elif elsewhere is None:
            base, key = self._of_fleet()
        proxies = environment.variables if self.source is None and elsewhere is not None else None
        pins = fleet_pins(*Home(environment.home).fleets())
        return await stack.enter_async_context(Door(base, key, proxies=proxies, pins=pins))

    def _of_fleet(self) -> tuple[str, str | None]:
        folder = running_fleet(self.environment, self.fleet)
        record = gateway_of(folder)
        if record is None or record.address is None:
            raise NotRunningError(f"the gateway of fleet {folder.name} does not run (argosy ps)")
        # A key of OPENAI_API_KEY belongs to another door; the fleet's own fits here.
        own = self.environment.api_keys[0] if self.environment.api_keys else None
        return record.address, own or folder.secret("client_key") or self.environment.client_key()

    def _painter(self) -> Painter:
        """Markdown where a person reads it."""
        if self.plain or not sys.stdout.isatty() or self.environment.variables.get("TERM", "dumb") == "dumb":
            return PlainPainter(sys.stdout)
        return MarkdownPainter(sys.stdout, self.environment.variables)


def with_piped(question: str | None) -> str | None:
    """The question with what is piped in below it, or that alone."""
    if sys.stdin.isatty():
        return question
    return "\n\n".join(filter(None, [question, sys.stdin.read().strip()])) or None
