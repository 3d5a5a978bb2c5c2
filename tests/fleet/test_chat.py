"""`argosy chat` in a real terminal, and in pipes."""

from __future__ import annotations

import base64
import json
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal, terminal

from argosy.processes.identity import ProcessIdentity, wait_gone
from argosy.state import Home, write_json
from command import Argosy
from waiting import until

FLEET = """
gateway: {port: 0}
grace: 1
deployments:
  hello: {engine: echo, aliases: [greeter]}
  slow: {engine: echo, options: {tokens_per_second: 20, slots: 1}}
"""
ANSWER = """\
# 标题

你好，世界。这是一个很长的段落，没有空格，但是终端的宽度有限，所以它必须在正确的地方换行，而且不能破坏任何一个字。

- one **bold**

```python
print("hi")
```

The end."""

DRAWN = """\
标题

你好，世界。这是一个很长的段落，没有空
格，但是终端的宽度有限，所以它必须在正
确的地方换行，而且不能破坏任何一个字。

 • one bold

```python
print("hi")
```

The end.""".splitlines()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Argosy]:
    folder = tmp_path_factory.mktemp("chat")
    (folder / "home").mkdir(mode=0o700)
    argosy = Argosy(folder / "home", folder)
    argosy.run("up", "-d", argosy.file(FLEET))
    yield argosy
    argosy.run("down", "--now")
    argosy.end()


def say(chat: Terminal, text: str) -> None:
    chat.press(f"{text}\r")


def paste(chat: Terminal, text: str) -> None:
    chat.press(f"\x1b[200~{text}\x1b[201~")


def test_a_conversation_in_a_terminal(up: Argosy) -> None:
    with terminal(up, "chat", "hello", columns=40, lines=24) as chat:
        chat.prompts()
        paste(chat, ANSWER)
        chat.stands(lambda lines: lines[-1] == ". The end.", "what was pasted")
        chat.press("\r")
        chat.stands(lambda lines: lines[-2:] == ["The end.", ">"], "the answer")
        lines = chat.scrolled
        assert lines[-lines[::-1].index("标题") - 1 : -1] == DRAWN
        say(chat, "/stats")
        chat.stands(lambda lines: any("prompt of" in line for line in lines), "figures")
        say(chat, "/copy")
        chat.shows("\x1b]52;c;")
        chat.stands(lambda lines: any("copied" in line for line in lines), "that it is copied")
        copied = chat.seen.partition("\x1b]52;c;")[2].partition("\x07")[0]
        assert base64.b64decode(copied).decode() == ANSWER
        say(chat, "/set temperature 0.3")
        say(chat, "/system Be short.")
        say(chat, "/save kept")
        chat.stands(lambda lines: "saved to kept.json" in lines, "that it is saved")
        kept = json.loads((up.folder / "kept.json").read_text())
        assert [each["role"] for each in kept["messages"]] == ["system", "user", "assistant"]
        assert kept["temperature"] == 0.3
        say(chat, "/undo")
        say(chat, "/regen")
        chat.stands(lambda lines: "error: there is no question to ask again" in lines, "that nothing is left")
        say(chat, "!!load kept")
        chat.stands(lambda lines: "loaded 2 messages" in lines, "what was loaded")
        say(chat, "/modle")
        chat.stands(lambda lines: any("you mean /model?" in line for line in lines), "a hint")
        say(chat, "/model")
        chat.stands(lambda lines: lines[-4:] == ["* hello", "  slow", "  greeter", ">"], "the models")
        say(chat, "/model slow")
        say(chat, "/regen")
        chat.stands(lambda lines: lines[-2:] == ["The end.", ">"], "another answer", seconds=20)
        say(chat, "/exit")
        assert chat.ends() == 0
        assert chat.seen.endswith("\r\n") or "\x1b[?25h" in chat.seen
    history = Home(up.home).chat_history
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "+The end." in history.read_text()


def test_ctrl_c_stops_the_answer_and_the_engine_and_then_leaves(up: Argosy) -> None:
    with terminal(up, "chat", "slow", "--plain") as chat:
        chat.prompts()
        say(chat, "one two three " + "more " * 200)
        chat.stands(lambda lines: any(line.startswith("one two three") for line in lines), "a beginning")
        until(lambda: up.replicas_now()["slow.0"]["in_flight"] == 1)
        chat.press("\x03typed ahead")
        chat.stands(lambda lines: "(stopped)" in lines, "that it stopped")
        # Its only slot is free: the engine gave up 200 tokens, which are ten seconds.
        began = time.monotonic()
        assert up.run("chat", "slow", "quick").stdout == "quick\n"
        assert time.monotonic() - began < 8
        chat.stands(lambda lines: lines[-1] == "> typed ahead", "what was typed meanwhile")
        chat.press("\x03")
        chat.prompts()
        say(chat, "/stats")
        chat.stands(lambda lines: any(", stopped" in line for line in lines), "that it is counted")
        chat.press("\x03")
        chat.stands(lambda lines: "Ctrl-C again, or Ctrl-D, leaves" in lines, "a warning")
        chat.press("\x03")
        assert chat.ends() == 0


def test_many_lines_are_typed_and_history_comes_back(up: Argosy) -> None:
    with terminal(up, "chat", "hello", "--plain") as chat:
        chat.prompts()
        chat.press("first\x1b\rsecond\r")
        chat.stands(lambda lines: lines[-3:] == ["first", "second", ">"], "both lines")
        say(chat, '"""open')
        say(chat, "still")
        say(chat, 'closed"""')
        chat.stands(lambda lines: lines[-4:] == ["open", "still", "closed", ">"], "three lines")
        chat.press("你好吗x\x7f\x7f\x1b[D很\r")  # takes two away, goes back by one
        chat.stands(lambda lines: lines[-2:] == ["你很好", ">"], "what is left of it")
    with terminal(up, "chat", "hello", "--plain") as again:
        again.prompts()
        again.press("\x1b[A")
        again.stands(lambda lines: lines[-1] == "> 你很好", "what was typed last time")
        again.press("\x03\x04")
        assert again.ends() == 0


def test_an_answer_longer_than_the_screen_is_whole_when_it_has_scrolled(up: Argosy) -> None:
    items = [f"- item {number}" for number in range(40)]
    with terminal(up, "chat", "slow", columns=50, lines=10) as chat:
        chat.prompts()
        paste(chat, "\n".join(items))
        chat.press("\r")
        chat.stands(lambda lines: lines[-2:] == [" • item 39", ">"], "its end", seconds=20)
        assert chat.scrolled[-41:-1] == [f" • item {number}" for number in range(40)]


def test_sigterm_puts_the_terminal_back(up: Argosy) -> None:
    with terminal(up, "chat", "slow") as chat:
        chat.prompts()
        say(chat, "one two three " + "more " * 200)
        chat.stands(lambda lines: any(line.startswith("one two three") for line in lines), "a beginning")
        chat.process.send_signal(signal.SIGTERM)
        assert chat.ends() == 128 + signal.SIGTERM
        assert "\x1b[?25h" in chat.seen  # the cursor is shown again


def test_pipes_answer_once(up: Argosy) -> None:
    assert up.run("chat", "greeter", "Above:", stdin="below").stdout == "Above:\n\nbelow\n"
    told = json.loads(up.run("chat", "hello", "one two 你好", "--json", "--set", "max_tokens=3").stdout)
    assert (told["content"], told["finish_reason"]) == ("one two 你", "length")
    assert told["usage"] == {"prompt_tokens": 4, "completion_tokens": 3}
    assert "did you mean temperature?" in up.run("chat", "hello", "x", "--set", "temprature=1", code=2).stderr
    assert "there is no model 'nobody'" in up.run("chat", "nobody", "x", code=2).stderr


def test_fastchats_conversations_are_carried_on(up: Argosy) -> None:
    (up.folder / "old.json").write_text(
        json.dumps(
            {
                "template_name": "vicuna_v1.1",
                "system_message": "You are kind.",
                "roles": ["USER", "ASSISTANT"],
                "messages": [["USER", "Hi"], ["ASSISTANT", "Hello."]],
                "offset": 0,
            }
        )
    )
    told = json.loads(up.run("chat", "hello", "again", "--load", "old", "--json").stdout)
    assert told["usage"]["prompt_tokens"] == 3 + 1 + 1 + 1
    assert "no saved conversation" in up.run("chat", "hello", "x", "--load", up.file("{}", "no.json"), code=2).stderr


@pytest.mark.model
def test_a_model_is_served_for_one_question(argosy: Argosy, smollm2: Path) -> None:
    done = argosy.run("chat", "--source", str(smollm2), "Name a colour.", "--set", "max_tokens=8", "--json")
    assert json.loads(done.stdout)["usage"]["completion_tokens"] in range(1, 9)
    assert list(Home(argosy.home).fleets()) == []
    assert argosy.everything() == []


@pytest.mark.model
def test_a_model_that_is_served_for_a_chat_goes_with_it_when_that_is_killed(argosy: Argosy, smollm2: Path) -> None:
    with terminal(argosy, "chat", "--source", str(smollm2)) as chat:
        chat.prompts(seconds=30)
        say(chat, "Count to a thousand.")
        chat.stands(lambda lines: bool(lines[-1]) and lines[-1] not in (">", "…"), "an answer", seconds=20)
        running = argosy.everything()
        assert len(running) >= 5  # controller, gateway, worker, guard, engine
        os.kill(chat.process.pid, signal.SIGKILL)
        chat.ends()
    assert wait_gone(running, 10) == []
    until(lambda: list(Home(argosy.home).fleets()) == [], what="its folder is gone")


def test_a_source_that_cannot_be_served_says_why_and_leaves_nothing(argosy: Argosy) -> None:
    """Nor is anything left of an earlier one whose chat and controller were both killed."""
    orphan = argosy.fleet("chat-0123")
    write_json(orphan.owner, ProcessIdentity(os.getpid(), 1.0))  # that process is long gone
    (argosy.folder / "broken.gguf").write_bytes(b"GGUF and no more")
    told = argosy.run("chat", "--source", "./broken.gguf", "x", code=1)
    assert "broken.0 failed: " in told.stderr
    assert list(Home(argosy.home).fleets()) == []
    assert argosy.everything() == []
