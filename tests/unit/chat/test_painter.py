import io

from argosy.chat.answer import Answer
from argosy.chat.painter import PlainPainter, harmless


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def answered(out: io.StringIO, *deltas: dict[str, str]) -> str:
    answer, painter = Answer(0.0), PlainPainter(out)
    for delta in deltas:
        answer.take({"choices": [{"delta": delta}]}, 1.0)
        painter.show(answer)
    painter.end(answer)
    return out.getvalue()


def test_a_pipe_gets_the_answer_alone_and_as_it_is() -> None:
    assert (
        answered(io.StringIO(), {"reasoning_content": "hm"}, {"content": "a\x1b[2J"}, {"content": "b"}) == "a\x1b[2Jb\n"
    )


def test_a_terminal_is_shown_thoughts_apart() -> None:
    said = answered(Terminal(), {"reasoning_content": "hm"}, {"content": "yes"})
    assert said == "\x1b[2mhm\x1b[22m\n\nyes\n"


def test_no_model_commands_the_terminal() -> None:
    assert answered(Terminal(), {"content": "\x1b]0;title\x07\ttab\r\n"}) == "\ufffd]0;title\ufffd\ttab\n\n"
    assert harmless("你好 é\u009b31m") == "你好 é\ufffd31m"
