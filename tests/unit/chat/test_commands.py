import pytest

from argosy.chat.commands import COMMANDS, Command, help_text, is_open, parse, unquoted, words
from argosy.errors import CommandError


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("/exit", Command("exit", "")),
        ("/set temperature 0.3 ", Command("set", "temperature 0.3")),
        ("/SYSTEM  Be short.\nAlways.", Command("system", "Be short.\nAlways.")),
        ("/?", Command("help", "")),
        ("/bye", Command("exit", "")),
        ("!!remove", Command("undo", "")),
        ("!!save a file", Command("save", "a file")),
    ],
)
def test_a_command_has_a_name_and_an_argument(typed: str, command: Command) -> None:
    assert parse(typed) == command


@pytest.mark.parametrize(
    "typed", ["hello", "/etc/hosts: what is it?", "// a comment", " /exit", "!!! wow", "/", "a /exit"]
)
def test_what_only_looks_like_a_command_is_for_the_model(typed: str) -> None:
    assert parse(typed) is None


@pytest.mark.parametrize(
    ("typed", "hint"), [("/rest", "did you mean /reset?"), ("/xyzzy", "/help"), ("!!copy", "/help")]
)
def test_an_unknown_command_is_not_sent_to_the_model(typed: str, hint: str) -> None:
    with pytest.raises(CommandError, match="there is no command") as told:
        parse(typed)
    assert hint in str(told.value)


@pytest.mark.parametrize(
    ("typed", "still_open", "sent"),
    [
        ("one", False, "one"),
        ('"""', True, '"""'),
        ('"""one', True, '"""one'),
        ('"""one\ntwo"""', False, "one\ntwo"),
        ('"""\none\n"""', False, "one"),
        ('say """ twice', False, 'say """ twice'),
    ],
)
def test_three_quotes_open_a_text_of_many_lines(typed: str, still_open: bool, sent: str) -> None:
    assert is_open(typed) is still_open
    assert words(typed) == sent


def test_quotes_around_an_argument_are_taken_off() -> None:
    assert [unquoted(each) for each in ('"a b"', '""', "'x'", 'a "b"', '"')] == ["a b", "", "x", 'a "b"', '"']


def test_help_tells_every_command() -> None:
    assert all(entry.usage in help_text(80) for entry in COMMANDS)


def test_help_goes_on_below_its_meaning_where_a_terminal_is_narrow() -> None:
    lines = help_text(60).splitlines()
    listed = lines[: lines.index("")]
    assert all(len(line) <= 60 for line in listed)
    assert {line[: len(COMMANDS[1].usage) + 2].strip() for line in listed} == {"", *(each.usage for each in COMMANDS)}
