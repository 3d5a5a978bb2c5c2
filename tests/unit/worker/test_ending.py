from pathlib import Path

import pytest

from argosy.worker.ending import Ending, LogMark, not_started


@pytest.mark.parametrize(
    ("ending", "was_ready", "expected"),
    [
        (
            Ending(1, asked=False),
            False,
            "q.0 exited with code 1 before it was ready. Last lines: a | b (argosy logs q.0)",
        ),
        (Ending(0, asked=False), True, "q.0 exited with code 0. Last lines: a | b (argosy logs q.0)"),
        (Ending(-11, asked=False), True, "q.0 was killed by SIGSEGV. Last lines: a | b (argosy logs q.0)"),
        (Ending(-9, asked=True), True, "q.0 was killed by SIGKILL. Last lines: a | b (argosy logs q.0)"),
    ],
)
def test_an_ending_is_a_sentence_with_the_last_lines(ending: Ending, was_ready: bool, expected: str) -> None:
    assert ending.sentence("q.0", was_ready=was_ready, last_lines=["a", "b"]) == expected


def test_a_sigkill_that_was_not_ours_is_probably_the_kernels() -> None:
    said = Ending(-9, asked=False).sentence("q.0", was_ready=False, last_lines=[])
    assert "by SIGKILL before it was ready, not by Argosy: probably by the kernel for want of memory. It wrote" in said


def test_last_lines_are_those_of_this_engine_without_argosys_own(tmp_path: Path) -> None:
    log = tmp_path / "q.0.log"
    log.write_text("of the engine before\n")
    mark = LogMark.at_end_of(log)
    with log.open("a") as file:
        file.write("loading\n\n2026-01-02T03:04:05.678Z WARNING gateway.silent gateway=x\ncannot load: \xfcber\n")
    assert mark.last_lines() == ["loading", "cannot load: über"]


def test_last_lines_survive_a_log_that_was_rotated_away(tmp_path: Path) -> None:
    log = tmp_path / "q.0.log"
    log.write_text("x" * 100)
    mark = LogMark.at_end_of(log)
    log.write_text("after the truncation\n")
    assert mark.last_lines() == ["after the truncation"]
    log.unlink()
    assert mark.last_lines() == []


def test_a_program_that_cannot_be_executed_is_never_tried_again() -> None:
    assert not_started("x", 13, "[Errno 13] Permission denied").permanent
