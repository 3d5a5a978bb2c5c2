"""The documentation as values: pages, their fenced blocks and how each block is tested. Reads files; runs nothing.

Before every block of a language in RUNNABLE stands `<!-- test: … -->`:

    run [code N]    each `$ ` line is run; what is shown below it appears in its output, with `…` and figures free
    attached        the same for one command that stays: it runs until the end of its page
    file NAME       the block is that file; a fleet file is checked
    python          a client's program: it is run
    client NAME     for a client that only `make test-clients` installs: tests/clients/test_guide.py runs it
    fastchat HOW    run or attached, with FastChat's own package: `make test-fastchat` runs it with the rest of its page
    skip REASON     cannot be run here

What a page takes for granted it says near its top:

    <!-- test fleet: NAME DEPLOYMENT … -->          a fleet of echo deployments runs when its first block begins
    <!-- test models: NAME … -->                    these models of the catalog lie in the cache
    <!-- test packages: NAME==VERSION … -->         empty packages of these names stand for what pip would fetch
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNNABLE = frozenset({"bash", "console", "dockerfile", "ini", "javascript", "python", "sh", "shell", "yaml"})
KINDS = frozenset({"run", "attached", "file", "python", "client", "fastchat", "skip"})

_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- test: (?P<kind>\w+)(?: (?P<rest>[^\n]*?))? -->\n\Z")


@dataclass(frozen=True)
class Command:
    """What a reader types, and the lines that are shown below it."""

    line: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    kind: str  # of KINDS; "" where nothing stands before it
    rest: str  # what stands behind the kind

    def commands(self) -> list[Command]:
        found: list[tuple[list[str], list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append(([line[2:]], []))
            elif found and found[-1][0][-1].endswith("\\") and not found[-1][1]:
                found[-1][0].append(line.removeprefix("> "))
            elif found:
                found[-1][1].append(line)
        return [Command("\n".join(lines), tuple(shown)) for lines, shown in found]

    @property
    def typed(self) -> str:
        """What must be the same in every language: the commands of a console, other blocks without their comments."""
        if self.language == "console":
            return "\n".join(command.line for command in self.commands())
        return re.sub(r"[ \t]*#.*$", "", self.text, flags=re.MULTILINE)


@dataclass(frozen=True)
class Page:
    path: Path
    text: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Page:
        return cls(path, path.read_text(encoding="utf-8"))

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def blocks(self) -> Iterator[Block]:
        for fence in _FENCE.finditer(self.text):
            mark = _MARK.search(self.text, 0, fence.start())
            kind, rest = (mark["kind"], mark["rest"] or "") if mark else ("", "")
            yield Block(fence["language"], fence["text"], kind, rest)

    def fleet(self) -> tuple[str, list[str]] | None:
        """The name and the deployments of the fleet that its commands are for."""
        words = self._granted("fleet")
        return (words[0], words[1:]) if words else None

    def models(self) -> list[str]:
        """Of the catalog, that lie in the cache when its first block begins."""
        return self._granted("models")

    def packages(self) -> list[str]:
        """NAME==VERSION of all that pip finds."""
        return self._granted("packages")

    def _granted(self, what: str) -> list[str]:
        found = re.search(rf"^<!-- test {what}: (.+) -->$", self.text, re.MULTILINE)
        return found[1].split() if found else []

    @property
    def prose(self) -> str:
        return _FENCE.sub("", self.text)

    def headings(self) -> list[int]:
        """Their levels, in order."""
        return [len(hashes) for hashes in re.findall(r"^(#+) ", self.prose, re.MULTILINE)]

    def links(self) -> list[str]:
        """Where they lead, without the language: x.zh.md is x.md, as x.zh.png. Those between the two are left out."""
        found = []
        for target in re.findall(r"\]\(([^)\s]+)\)", self.prose):
            page, _, _ = target.replace(".zh.", ".").replace("README.zh-CN.md", "README.md").partition("#")
            if page not in ("README.md", self.path.name.replace(".zh.md", ".md")):
                found.append(page)
        return sorted(found)

    def files_linked(self) -> list[Path]:
        targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", self.prose)]
        return [self.path.parent / target for target in targets if target and "://" not in target]

    def rows(self) -> list[list[str]]:
        """The cells of every table."""
        lines = [line for line in self.prose.splitlines() if line.startswith("|") and not line.startswith("|---")]
        return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def english() -> list[Page]:
    """README and every page of docs/ but the decisions, which are in English only."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    numbered = re.compile(r"docs/decisions/\d")
    names = [(path, path.relative_to(ROOT).as_posix()) for path in found]
    return [Page.read(path) for path, name in names if not name.endswith(".zh.md") and not numbered.match(name)]


def chinese(page: Page) -> Path:
    """Where its translation is."""
    if page.name == "README.md":
        return ROOT / "README.zh-CN.md"
    return page.path.with_name(f"{page.path.stem}.zh.md")
