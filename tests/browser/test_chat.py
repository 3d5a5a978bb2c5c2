"""A person chats: with a real model, stops, edits, asks again, and finds it all again."""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from visiting import Visit, answered, say, visiting

from command import Argosy

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.model
ANSWER = ".turn.assistant"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PIXEL = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\x0f\x5c\x6e"))
    + chunk(b"IEND", b"")
)


def test_a_real_model_answers_with_its_figures(visit: Visit) -> None:
    page = visit.go(query="?model=smollm2")
    page.get_by_label("Settings").click()
    page.get_by_label("Most tokens").fill("24")
    page.get_by_label("Temperature").fill("0")
    say(page, "What is the capital of France?")
    assert len(answered(page)) > 10
    assert re.search(
        r"[\d.]+ tokens/s · first token after [\d.]+ s · \d+ tokens", page.locator(".figures").inner_text()
    )
    assert page.get_by_label("Model").input_value() == "smollm2"


def test_what_models_say_stays_text_but_for_markdown_code_and_formulas(visit: Visit) -> None:
    page = visit.go(query="?model=echo")
    say(
        page,
        "**bold** <img src=x onerror=alert(1)> <script>alert(2)</script> [x](javascript:alert(3)) "
        "![spy](https://evil.example/x.png) $a^2$\n\n```python\nprint('hello')\n```\n\n$$\\frac{1}{2}$$",
    )
    answered(page)
    answer = page.locator(ANSWER)
    answer.locator(".hljs-string").wait_for()
    answer.locator("math mfrac").wait_for()
    assert answer.locator("strong").inner_text() == "bold"
    assert "<script>alert(2)</script>" in answer.inner_text()
    assert answer.locator("img, script, a[href^=javascript]").count() == 0
    assert answer.get_by_role("link", name="spy").get_attribute("rel") == "noopener noreferrer nofollow"


def test_an_answer_is_stopped_and_asked_for_again_and_both_are_kept(visit: Visit) -> None:
    page = visit.go(query="?model=slow")
    say(page, "one two three four five six seven eight nine ten " * 10)
    page.locator(f"{ANSWER} .text").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.", exact=True).wait_for()
    page.get_by_label("Another answer").click()
    page.locator(".siblings").wait_for(state="hidden")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("2/2").wait_for()
    page.get_by_label("Previous one").click()
    page.get_by_text("1/2").wait_for()


@pytest.mark.whole
def test_a_message_is_edited_and_a_conversation_branches(visit: Visit) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.go(query="?model=echo")
    say(page, "first words")
    assert answered(page) == "first words"
    page.locator(ANSWER).get_by_label("Copy").click()
    page.get_by_label("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "first words"
    page.get_by_label("Edit", exact=True).click()
    page.get_by_label("Edit").fill("other words")
    page.get_by_role("button", name="Send again").click()
    page.get_by_text("2/2").wait_for()
    assert answered(page) == "other words"
    before = page.url
    page.get_by_label("Branch from here").click()
    page.wait_for_url(lambda url: url != before)
    assert answered(page) == "other words"
    assert page.locator(".siblings").count() == 0


def test_the_history_is_there_again_searched_renamed_and_removed(visit: Visit) -> None:
    page = visit.go(query="?model=echo")
    say(page, "about ships")
    answered(page)
    page.get_by_role("button", name="New chat").click()
    say(page, "about harbours")
    answered(page)
    page.reload()
    shelf = page.get_by_role("navigation", name="History")
    shelf.get_by_role("link", name="about ships").click()
    assert answered(page) == "about ships"
    page.get_by_label("Search the history").fill("harbour")
    shelf.get_by_role("link", name="about ships").wait_for(state="detached")
    shelf.get_by_label("Rename: about harbours").click()
    page.get_by_label("Rename", exact=True).fill("Ports")
    page.keyboard.press("Enter")
    page.on("dialog", lambda dialog: dialog.accept())
    shelf.get_by_label("Remove: Ports").click()
    shelf.get_by_text("Nothing found.").wait_for()


@pytest.mark.whole
@pytest.mark.parametrize(
    ("kind", "words"),
    [("json", "argosy-conversations-1"), ("fastchat", '"type":"chat"'), ("markdown", "## user\n\nkeep me")],
)
def test_a_conversation_goes_to_a_file_and_comes_back(visit: Visit, tmp_path: Path, kind: str, words: str) -> None:
    page = visit.go(query="?model=echo")
    say(page, "keep me")
    answered(page)
    page.get_by_text("Export and import").click()
    page.get_by_label("Format").select_option(kind)
    with page.expect_download() as download:
        page.get_by_role("button", name="All").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert words in file.read_text()
    page.locator("input[type=file][accept*=jsonl]").set_input_files(file)
    page.get_by_text("1 conversation imported.").wait_for()
    assert page.get_by_role("link", name="keep me").count() == 2
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    page.locator("input[type=file][accept*=jsonl]").set_input_files(wrong)
    page.get_by_text("wrong.json is no export").wait_for()


def test_a_broken_stream_shows_what_came_and_a_retry(visit: Visit) -> None:
    page = visit.go(query="?model=echo")
    say(page, "here are words !break after 3")
    page.get_by_text("The answer broke off:").wait_for()
    assert page.locator(f"{ANSWER} .text").inner_text().startswith("here are")
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("2/2").wait_for()


@pytest.mark.whole
def test_settings_go_with_every_message_and_stay_with_the_conversation(visit: Visit) -> None:
    page = visit.go(query="?model=echo")
    page.get_by_label("Settings").click()
    wanted = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 7, "seed": 3}
    for label, value in zip(("Temperature", "Top p", "Top k", "Most tokens", "Seed"), wanted.values(), strict=True):
        page.get_by_label(label).fill(str(value))
    page.get_by_label("System prompt").fill("Be brief.")
    with page.expect_request("**/v1/chat/completions") as asked:
        say(page, "look")
    body = json.loads(asked.value.post_data or "")
    assert {name: body[name] for name in wanted} == wanted
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    answered(page)
    page.reload()
    page.get_by_label("Settings").click()
    assert page.get_by_label("Top k").input_value() == "40"


def test_a_suggestion_begins_a_conversation(visit: Visit) -> None:
    page = visit.go(query="?model=echo")
    suggestion = page.get_by_role("group", name="Suggestions").get_by_role("button").first
    words = suggestion.inner_text()
    suggestion.click()
    assert answered(page) == words


@pytest.mark.whole
def test_a_picture_goes_to_a_model_that_may_see(visit: Visit) -> None:
    page = visit.go(query="?model=echo")
    page.locator("input[type=file][accept*=png]").set_input_files(
        {"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL}
    )
    page.get_by_alt_text("Picture 1").wait_for()
    with page.expect_request("**/v1/chat/completions") as asked:
        say(page, "look")
    content = json.loads(asked.value.post_data or "")["messages"][0]["content"]
    assert content[1]["image_url"]["url"].startswith("data:image/png;base64,")
    answered(page)


@pytest.mark.whole
def test_ten_thousand_turns_open_quickly(visit: Visit, tmp_path: Path) -> None:
    turns = [{"from": who, "value": f"{who} {at} says **words**"} for at in range(5000) for who in ("human", "gpt")]
    file = tmp_path / "long.json"
    file.write_text(json.dumps([{"id": "x", "conversations": turns}]))
    page = visit.go(query="?model=echo")
    page.get_by_text("Export and import").click()
    page.locator("input[type=file][accept*=jsonl]").set_input_files(file)
    page.get_by_text("1 conversation imported.").wait_for()
    page.reload()
    row = page.get_by_role("link", name="human 0 says")
    row.wait_for()
    took = page.evaluate(
        """async row => {
            const began = performance.now();
            row.click();
            while (!document.body.textContent.includes("gpt 4999 says")) await new Promise(requestAnimationFrame);
            return performance.now() - began;
        }""",
        row.element_handle(),
    )
    print(f"\na conversation of 10,000 turns opens in {took:.0f} ms")
    assert took < 2000
    say(page, "one more")
    assert answered(page) == "one more"
    for _ in range(3):
        drawn = page.locator(".turn").count()
        page.locator(".thread").evaluate("thread => { thread.scrollTop = 0; }")
        page.wait_for_function("drawn => document.querySelectorAll('.turn').length > drawn", arg=drawn)


@pytest.mark.whole
def test_a_door_that_wants_a_key_is_given_one_once(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "work").mkdir()
    argosy = Argosy(tmp_path / "home", tmp_path / "work", {"ARGOSY_API_KEY": "the-client-key"})
    argosy.run("up", "-d", argosy.file("gateway: {port: 0}\ndeployments:\n  echo: {engine: echo}\n"))
    try:
        with visiting(browser, argosy.ps()["gateways"][0]["address"]) as visit:
            visit.expected = ["401"]
            page = visit.go()
            page.get_by_label("Client key", exact=True).fill("the-client-key")
            page.get_by_role("button", name="Use this key").click()
            say(page, "let me in")
            assert answered(page) == "let me in"
            page.reload()
            page.get_by_label("Model").wait_for()
            assert page.get_by_label("Client key").count() == 0
    finally:
        argosy.run("down")
        argosy.end()
