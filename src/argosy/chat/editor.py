"""The keyboard: reads what is typed, with history, pastes and many lines, by prompt_toolkit.

Owns the history file; and the terminal's echo while the editor does not read.
"""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from argosy.chat.commands import NAMES, is_open
from argosy.state import private_folder

if TYPE_CHECKING:
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

_PROMPT, _MORE = "> ", ". "


class Editor:
    """`history`: None keeps none. `multiline`: Enter begins a new line, Alt-Enter sends."""

    def __init__(self, history: Path | None, *, multiline: bool) -> None:
        from prompt_toolkit import PromptSession  # noqa: PLC0415
        from prompt_toolkit.completion import WordCompleter  # noqa: PLC0415
        from prompt_toolkit.output import create_output  # noqa: PLC0415
        from prompt_toolkit.shortcuts import CompleteStyle  # noqa: PLC0415

        self._session: PromptSession[str] = PromptSession(
            _PROMPT,
            multiline=True,
            prompt_continuation=_MORE,
            history=_history(history),
            key_bindings=_keys(multiline=multiline),
            completer=WordCompleter([f"/{name}" for name in NAMES], sentence=True),
            complete_while_typing=False,
            # A menu would want empty lines below the prompt.
            complete_style=CompleteStyle.READLINE_LIKE,
            reserve_space_for_menu=0,
            enable_suspend=True,
            # Where answers go to a file, what is typed is still seen.
            output=create_output(sys.stdout, always_prefer_tty=True),
        )

    async def read(self) -> str:
        """Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C at an empty prompt."""
        return await self._session.prompt_async()


@contextlib.contextmanager
def quiet_keyboard() -> Iterator[None]:
    """What is typed between two prompts is not shown, and not lost: the next prompt gets it, Enter as Enter.

    Does nothing where there is no terminal.
    """
    if not sys.stdin.isatty():
        yield
        return
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    quiet = [*before]
    quiet[0] &= ~termios.ICRNL
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(handle, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSANOW, before)


def _history(path: Path | None) -> History:
    from prompt_toolkit.history import FileHistory, InMemoryHistory  # noqa: PLC0415

    if path is None:
        return InMemoryHistory()
    private_folder(path.parent)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))  # it would be made for everybody to read
    return FileHistory(path)


def _keys(*, multiline: bool) -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings  # noqa: PLC0415

    keys = KeyBindings()

    @keys.add("enter")
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None:
            buffer.complete_state = None  # it chose a completion
        elif multiline or is_open(buffer.text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def alt_enter(event: KeyPressEvent) -> None:
        if multiline:
            event.current_buffer.validate_and_handle()
        else:
            event.current_buffer.insert_text("\n")

    @keys.add("c-j")
    def control_j(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def control_c(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys
