"""What was typed at the prompt: a command, or words for the model. Pure; the session does what a command says."""

from __future__ import annotations

import difflib
import re
import textwrap
from dataclasses import dataclass

from argosy.errors import CommandError


@dataclass(frozen=True)
class Command:
    name: str
    argument: str  # what stands behind the name, "" for nothing


@dataclass(frozen=True)
class Entry:
    """One line of /help."""

    name: str
    usage: str
    meaning: str


COMMANDS = (
    Entry("model", "/model [NAME]", "show the models, or talk to another one; the conversation stays"),
    Entry("system", '/system [TEXT | ""]', "show, change or remove the system prompt"),
    Entry("set", "/set [NAME [VALUE]]", "show or change a setting: /set temperature 0.3; without VALUE it is unset"),
    Entry("reset", "/reset", "forget the conversation; system prompt and settings stay"),
    Entry("undo", "/undo", "forget the last question and its answer"),
    Entry("regen", "/regen", "ask the last question again"),
    Entry("save", "/save FILE", "write the conversation: JSON, the body of an OpenAI chat request"),
    Entry("load", "/load FILE", "go on with a saved conversation, FastChat's too"),
    Entry("copy", "/copy", "put the last answer into the clipboard"),
    Entry("stats", "/stats", "tokens and times of the last answer and of all"),
    Entry("help", "/help", "this list"),
    Entry("exit", "/exit", "leave, as Ctrl-D does"),
)
NAMES = tuple(entry.name for entry in COMMANDS)

_SYNONYMS = {"quit": "exit", "bye": "exit", "?": "help", "remove": "undo", "clear": "reset"}
# https://github.com/lm-sys/FastChat, serve/cli.py
_FASTCHAT = {"exit": "exit", "reset": "reset", "remove": "undo", "regen": "regen", "save": "save", "load": "load"}
# A path (/etc/hosts), a comment (//) and an exclamation (!!!) are words for the model.
_COMMAND = re.compile(r"(/|!!)([A-Za-z]+|\?)(?:\s+(.*))?", re.DOTALL)
_QUOTES = '"""'
_NARROWEST = 20  # of a column of meanings
_KEYS = (
    'Enter sends, Alt-Enter or Ctrl-J begins a new line; a paste keeps its lines; """ opens and closes many lines.',
    "Up and Down bring back what was typed before, Tab completes a command.",
    "Ctrl-C stops an answer; at an empty prompt twice, or Ctrl-D, it leaves.",
    "FastChat's !!exit, !!reset, !!remove, !!regen, !!save and !!load work too.",
)


def parse(typed: str) -> Command | None:
    """None for words for the model, which is also whatever begins with a blank. Raises CommandError."""
    found = _COMMAND.fullmatch(typed.rstrip())
    if found is None:
        return None
    sign, word, argument = found[1], found[2].lower(), (found[3] or "").strip()
    known = _FASTCHAT if sign == "!!" else {**{name: name for name in NAMES}, **_SYNONYMS}
    if word in known:
        return Command(known[word], argument)
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {sign}{near[0]}?" if near else "/help lists them"
    raise CommandError(f"there is no command {sign}{word}: {hint} (a blank before it makes it words for the model)")


def is_open(typed: str) -> bool:
    '''Whether a text that was begun with """ still wants its end: Enter then begins a new line.'''
    text = typed.strip()
    return text.startswith(_QUOTES) and (len(text) < 2 * len(_QUOTES) or not text.endswith(_QUOTES))


def words(typed: str) -> str:
    '''What is sent of it: without the blanks around it, and without the """ around it.'''
    text = typed.strip()
    if text.startswith(_QUOTES) and not is_open(text):
        return text[len(_QUOTES) : -len(_QUOTES)].strip("\n")
    return text


def unquoted(argument: str) -> str:
    """`"a b"` is a b, and `""` is nothing."""
    for quote in (_QUOTES, '"', "'"):
        if len(argument) >= 2 * len(quote) and argument.startswith(quote) and argument.endswith(quote):
            return argument[len(quote) : -len(quote)]
    return argument


def help_text(columns: int) -> str:
    """What is too long for a line of the list goes on below its meaning."""
    width = max(len(entry.usage) for entry in COMMANDS)
    room = max(columns - width - 2, _NARROWEST)
    lines = []
    for entry in COMMANDS:
        first, *more = textwrap.wrap(entry.meaning, room)
        lines += [f"{entry.usage.ljust(width)}  {first}", *(" " * (width + 2) + each for each in more)]
    return "\n".join([*lines, "", *_KEYS])
