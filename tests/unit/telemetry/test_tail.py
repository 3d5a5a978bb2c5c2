from pathlib import Path

import pytest

from argosy.telemetry.tail import Part, last_lines, since

MUCH = 1_000_000


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"),
        (b"a\nb\nhal", 1, b"b\nhal"),
        (b"a\nb\n", 0, b""),
        (b"", 5, b""),
    ],
)
def test_the_last_lines_come_whole_with_what_has_no_end_yet(
    tmp_path: Path, text: bytes, count: int, expected: bytes
) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(text)
    assert last_lines(file, count, most_bytes=MUCH) == Part(expected, len(text))


def test_of_a_long_file_only_the_end_is_read_and_no_line_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    lines = [b"line %d" % number for number in range(100_000)]
    file.write_bytes(b"\n".join(lines) + b"\n")
    assert last_lines(file, 20_000, most_bytes=MUCH).data == b"\n".join(lines[-20_000:]) + b"\n"
    short = last_lines(file, 50_000, most_bytes=1000).data.splitlines()
    assert short == lines[-len(short) :]
    assert 50 < len(short) < 100


def test_what_was_appended_follows_in_parts_and_over_a_rotation(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"one\ntwo\n")
    assert since(file, 4, most_bytes=2) == Part(b"tw", 6)
    assert since(file, 6, most_bytes=MUCH) == Part(b"o\n", 8)
    assert since(file, 8, most_bytes=MUCH) == Part(b"", 8)
    file.write_bytes(b"new\n")
    assert since(file, 8, most_bytes=MUCH) == Part(b"new\n", 4)


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "no.log", 5, most_bytes=MUCH) == since(tmp_path / "no.log", 9, most_bytes=MUCH)
