"""The documentation keeps step: with itself in two languages, with the schema, the environment and the errors."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from argosy.config.environment import Environment
from pages import KINDS, ROOT, RUNNABLE, Page, chinese, english

SOURCE = ROOT / "src" / "argosy"
TROUBLESHOOTING = ROOT / "docs" / "guide" / "troubleshooting.md"
OPERATIONS = ROOT / "docs" / "guide" / "operations.md"
PAGES = english()
ROAD = 16  # steps of who deploys with FastChat: each has its command here and what got better


def both(path: Path) -> list[Page]:
    page = Page.read(path)
    return [page, Page.read(chinese(page))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_both_languages_say_the_same(page: Page) -> None:
    """As far as can be counted: headings, tables, blocks, commands, links."""
    other = Page.read(chinese(page))
    assert other.headings() == page.headings()
    assert [len(row) for row in other.rows()] == [len(row) for row in page.rows()]
    marks = [(block.language, block.kind, block.rest if block.kind == "file" else "") for block in page.blocks()]
    assert [
        (block.language, block.kind, block.rest if block.kind == "file" else "") for block in other.blocks()
    ] == marks
    for ours, theirs in zip(page.blocks(), other.blocks(), strict=True):
        if ours.language in RUNNABLE:
            assert theirs.typed == ours.typed
    assert other.links() == page.links()


def test_the_readme_has_every_step_of_the_road_from_fastchat() -> None:
    for readme, road in zip(both(ROOT / "README.md"), both(ROOT / "docs" / "coming-from-fastchat.md"), strict=True):
        head, *steps = road.rows()[: 1 + ROAD]
        begin = readme.rows().index(head) + 1
        shown = readme.rows()[begin : begin + ROAD]
        assert [row[0] for row in shown] == [row[0] for row in steps]
        assert [row for row in (*shown, *steps) if len(row) != 3 or not all(row)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Page) -> None:
    for each in (page, Page.read(chinese(page))):
        assert [str(path) for path in each.files_linked() if not path.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_tells_how_it_is_tested(page: Page) -> None:
    """See tests/pages.py for how; tests/docs runs them."""
    for block in page.blocks():
        if block.language in RUNNABLE:
            assert block.kind in KINDS, f"{page.name}: no mark before\n{block.text}"
            assert block.rest or block.kind not in ("skip", "file"), f"{page.name}: why, or which file?\n{block.text}"


def test_the_reference_of_the_fleet_file_is_the_schema() -> None:
    generate = _generator()
    for name, (words, translated) in generate.PAGES.items():
        made = generate.page(words, generate.chinese() if translated else None)
        written = (generate.HERE / name).read_text(encoding="utf-8")
        assert written == made, f"{name} is out of date: python docs/reference/generate.py"


def test_every_field_has_a_meaning_in_both_languages() -> None:
    generate = _generator()
    assert sorted(generate.chinese()) == sorted(generate.paths()), "docs/reference/fleet-file.zh.yaml"
    rows = Page.read(ROOT / "docs" / "reference" / "fleet-file.md").rows()
    assert [row[0] for row in rows if not row[-1]] == []


def test_every_environment_variable_is_documented() -> None:
    read = set(re.findall(r'given\("([A-Z_]+)"\)|folder\("([A-Z_]+)"', (SOURCE / "config/environment.py").read_text()))
    names = {name for pair in read for name in pair if name}
    assert {"ARGOSY_HOME", "ARGOSY_API_KEY", "ARGOSY_URL"} <= names, "environment.py is read in another way now"
    assert vars(Environment.read({})), "it reads nothing else"
    for page in both(OPERATIONS):
        documented = {name for row in page.rows() for name in re.findall(r"`([A-Z_]+)`", row[0])}
        assert names - documented == set()
        assert {name for name in documented - names if name.startswith("ARGOSY_")} == set()


def test_every_error_code_has_a_cure() -> None:
    known = codes()
    assert {"model_not_found", "queue_full", "first_token_timeout"} <= known
    for page in both(TROUBLESHOOTING):
        documented = {code for row in page.rows() for code in re.findall(r"`([a-z_]+)`", row[0])}
        assert known - documented == set()
        assert documented - known == set(), "of an error that is no longer there"


def test_every_message_that_has_a_cure_is_one_that_argosy_says() -> None:
    """What a row quotes, with … for values, stands in the source as it is quoted."""
    said = {sentence for sentence in sentences() if " " in sentence}
    quotes = [quoted(page) for page in both(TROUBLESHOOTING)]
    assert all(len(each) > 80 for each in quotes)
    once = {quote for each in quotes for quote in each}
    assert [quote for quote in once if not any(_quotes(quote, sentence) for sentence in said)] == []


def test_every_message_has_a_cure() -> None:
    """Of commands, fleets, engines and sources; what answers a request has its row by its code."""
    plain = {"ArgosyError", "BuildError", "EngineError", "InputError", "NotRunningError", "SourceError"}
    by_code_or_plain = {"BadRequestError", "ForbiddenError", "NotFoundError"}
    quotes = quoted(Page.read(TROUBLESHOOTING))
    missing = []
    for tree in _trees():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            coded = "code" in {keyword.arg for keyword in node.keywords}
            if node.func.id in plain or (node.func.id in by_code_or_plain and not coded):
                text = _text(node.args[0])
                if len(re.findall(r"[a-z]+", text)) > 1 and not any(_quotes(quote, text) for quote in quotes):
                    missing.append(text)
    assert missing == [], "write a row in docs/guide/troubleshooting.md and troubleshooting.zh.md"


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="make docs installs mkdocs")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "zh" / "guide" / "quick-start" / "index.html").exists()


def codes() -> set[str]:
    """Of every error that a client may get: errors.py's own and those of the places that raise them."""
    found = set()
    for tree in _trees():
        for node in ast.walk(tree):
            value: ast.expr | None = None
            if isinstance(node, ast.keyword):
                value = node.value if node.arg == "code" else None
            elif isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["code"]:
                value = node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.add(value.value)
            elif isinstance(value, ast.JoinedStr):
                assert ast.unparse(value) == "f'{limit}_timeout'", "another code is put together: list it here"
                found |= {f"{limit}_timeout" for limit in ("first_token", "idle", "total")}
    return found


def sentences() -> set[str]:
    """Every text of the source, with … where a value goes."""
    found = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if text := _text(node):
                found.add(text)
    return found


def quoted(page: Page) -> list[str]:
    """The sentences of its rows' first cells."""
    return [quote for row in page.rows() for quote in re.findall(r"`([^`]* [^`]*)`", row[0])]


def _text(node: ast.AST) -> str:
    """A literal's, with … where a value goes; "" for what is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def _quotes(quote: str, sentence: str) -> bool:
    """Whether the pieces of a quote stand in a sentence, in their order, between values or ends."""
    at = 0
    for piece in quote.split("…"):
        at = sentence.find(piece.strip(), at)
        if at < 0:
            return False
        at += len(piece.strip())
    return True


@functools.cache
def _trees() -> tuple[ast.Module, ...]:
    return tuple(ast.parse(file.read_text(encoding="utf-8")) for file in SOURCE.rglob("*.py"))


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "reference" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
