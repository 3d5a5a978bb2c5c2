"""Markdown as lines for a terminal, and how much of a text that still grows is finished. rich draws it."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len
from rich.console import Console
from rich.markdown import CodeBlock, Heading, Markdown, Paragraph
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text
from rich.theme import Theme

from argosy.chat.wrap import line_starts

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderResult

_BLANK_END = re.compile(r"(?:\s|\x1b\[[\d;]*m)+$")
_THEME = Theme({"markdown.code": "bold cyan"})  # rich's own is on black, also where the terminal is white
_CODE_THEME = "ansi_dark"  # the terminal's own colours, which fit its background


class Renderer:
    """`variables`: TERM, COLORTERM and NO_COLOR say which colours there are."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def lines(self, text: str, width: int) -> list[str]:
        """One blank line between two blocks. Each is drawn alone, as while it grew: what is shown does not jump."""
        lines: list[str] = []
        starts = [*_starts(text), len(text)]
        for start, end in itertools.pairwise(starts):
            block = _Markdown(text[start:end], code_theme=_CODE_THEME, hyperlinks=False)
            drawn = self._printed(block, width)
            while drawn and not drawn[-1]:
                drawn.pop()
            while drawn and not drawn[0]:
                del drawn[0]
            lines += ["", *drawn] if lines and drawn else drawn
        return lines

    def dim(self, text: str, width: int) -> list[str]:
        """Plain text that stands back: what a model thinks."""
        return self._printed(_broken(Text(text), width), width, style="dim")

    def _printed(self, what: Any, width: int, style: str | None = None) -> list[str]:
        out = io.StringIO()
        console = Console(
            file=out, width=width, force_terminal=True, theme=_THEME, highlight=False, _environ=self._variables
        )
        console.print(what, style=Style.parse(style) if style else None)
        return [_without_blanks(line) for line in out.getvalue().removesuffix("\n").split("\n")]


def finished_end(text: str) -> int:
    """Up to where no later text can change how it looks: the beginning of the last block of whole lines.

    An unfinished line may become anything (`#` a heading or a hashtag), so it finishes nothing.
    """
    return ([0, *_starts(text[: text.rfind("\n") + 1])])[-1]


def _starts(text: str) -> list[int]:
    """Where its blocks begin."""
    lines = [0]
    for line in text.split("\n"):
        lines.append(lines[-1] + len(line) + 1)
    return [lines[token.map[0]] for token in Markdown(text).parsed if token.level == 0 and token.map]


def wrapped(text: str, width: int) -> str:
    """Plain text, its lines broken."""
    return _broken(Text(text), width).plain


def columns(line: str) -> int:
    """That a line takes, without its colours."""
    return cell_len(Text.from_ansi(line).plain)


class _Paragraph(Paragraph):
    """Broken also between wide characters."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _broken(self.text, options.max_width)


class _Heading(Heading):
    """At the left, where answers are read; not in a box of its own."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _broken(self.text, options.max_width)


class _Code(CodeBlock):
    """Without a frame or an indent: what is copied from the terminal runs."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(f"```{self.lexer_name if self.lexer_name != 'text' else ''}", style="dim")
        code = str(self.text).rstrip()
        yield Syntax(code, self.lexer_name, theme=self.theme, word_wrap=True, background_color="default")
        yield Text("```", style="dim")


class _Markdown(Markdown):
    elements: ClassVar[dict[str, Any]] = {
        **Markdown.elements,
        "paragraph_open": _Paragraph,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
    }

    def __init__(self, markup: str, **options: Any) -> None:
        """A line ends where the model ends it: joined, a poem is prose, and a Chinese sentence gets a blank inside."""
        super().__init__(markup, **options)
        for token in self.parsed:
            for child in token.children or ():
                if child.type == "softbreak":
                    child.type = "hardbreak"


def _broken(text: Text, width: int) -> Text:
    """With an end of line wherever one is needed."""
    lines = []
    for line in text.split("\n", allow_blank=True):
        for part in line.divide(line_starts(line.plain, width, _cells)):
            part.rstrip()
            lines.append(part)
    return Text("\n").join(lines)


@lru_cache(maxsize=4096)
def _cells(character: str) -> int:
    return cell_len(character)


def _without_blanks(line: str) -> str:
    """rich fills lines to the width: what is copied from the terminal should not end so."""
    bare = _BLANK_END.sub("", line)
    return f"{bare}\x1b[0m" if "\x1b" in bare else bare
