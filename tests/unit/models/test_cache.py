from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from argosy.errors import SourceError
from argosy.models.cache import Artefact, Fetch, ModelCache
from argosy.models.fetching import Fetched, StoredFile
from argosy.models.progress import Meter, Progress

CONTENT = b"weights" * 1000
SEVEN = Artefact(
    name="seven",
    file="seven.gguf",
    source="pypi:seven==1/seven.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
)


def fetches(content: bytes = CONTENT) -> Fetch:
    def fetch(folder: Path) -> tuple[Path, Fetched]:
        files = folder / "files"
        files.mkdir(exist_ok=True)
        (files / "fetched").write_bytes(content)
        return files, Fetched("fetched", [StoredFile("fetched", len(content))])

    return fetch


def never(folder: Path) -> tuple[Path, Fetched]:
    raise AssertionError("the file was there already")


def unheard(progress: Progress) -> None:
    """Nobody listens."""


Obtain = Callable[[Artefact, Fetch], Path]


@pytest.fixture
def obtain(tmp_path: Path) -> Obtain:
    def obtained(artefact: Artefact, fetch: Fetch) -> Path:
        return ModelCache(tmp_path / "models").obtain(artefact, fetch, unheard, threading.Event())

    return obtained


def left_in(folder: Path) -> list[str]:
    """Files but the locks, which stay, and the records."""
    return sorted(file.name for file in folder.rglob("*") if file.is_file() and file.suffix not in (".lock", ".json"))


def test_a_file_is_fetched_once(obtain: Obtain) -> None:
    path = obtain(SEVEN, fetches())
    assert path.name == "seven.gguf"
    assert path.read_bytes() == CONTENT
    assert obtain(SEVEN, never) == path


def test_the_same_content_under_two_names_of_a_source_is_one_file(obtain: Obtain) -> None:
    again = Artefact(
        name="again", file="seven.gguf", source="elsewhere", sha256=SEVEN.sha256, size_bytes=SEVEN.size_bytes
    )
    assert obtain(SEVEN, fetches()) == obtain(again, never)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"WEIGHTS" * 1000, "has SHA-256 "), (CONTENT[:-1], "has 6999 bytes, expected 7000; nothing was kept")],
)
def test_wrong_content_is_refused_and_not_kept(content: bytes, sentence: str, obtain: Obtain, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=sentence):
        obtain(SEVEN, fetches(content))
    assert left_in(tmp_path) == []
    assert obtain(SEVEN, fetches()).read_bytes() == CONTENT


def test_a_file_that_was_cut_short_on_the_disk_is_fetched_again(obtain: Obtain) -> None:
    obtain(SEVEN, fetches()).write_bytes(b"half")
    assert obtain(SEVEN, fetches()).read_bytes() == CONTENT


def test_what_a_killed_process_left_is_there_for_the_next_fetch_and_gone_after_it(
    obtain: Obtain, tmp_path: Path
) -> None:
    partial = tmp_path / "models" / f"{SEVEN.key}.partial"
    partial.mkdir(parents=True)
    (partial / "half").write_bytes(CONTENT[:3000])

    def go_on(folder: Path) -> tuple[Path, Fetched]:
        assert (folder / "half").read_bytes() == CONTENT[:3000]
        return fetches()(folder)

    obtain(SEVEN, go_on)
    assert left_in(tmp_path) == ["seven.gguf"]


def test_what_is_half_fetched_when_it_fails_is_kept_and_an_empty_start_is_not(obtain: Obtain, tmp_path: Path) -> None:
    def cut(folder: Path) -> tuple[Path, Fetched]:
        (folder / "half").write_bytes(CONTENT[:3000])
        raise SourceError("cut")

    def refused(folder: Path) -> tuple[Path, Fetched]:
        raise SourceError("refused")

    with pytest.raises(SourceError, match="refused"):
        obtain(SEVEN, refused)
    assert not (tmp_path / "models" / f"{SEVEN.key}.partial").exists()
    with pytest.raises(SourceError, match="cut"):
        obtain(SEVEN, cut)
    [entry] = ModelCache(tmp_path / "models").entries()
    assert (entry.key, entry.record, entry.size_bytes) == (SEVEN.key, None, 3000)


def test_what_another_process_fetches_is_not_removed(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path / "models")

    def removes(folder: Path) -> tuple[Path, Fetched]:
        with pytest.raises(SourceError, match="another process is fetching it"):
            cache.remove(SEVEN.key)
        return fetches()(folder)

    assert cache.obtain(SEVEN, removes, unheard, threading.Event()).read_bytes() == CONTENT


def test_what_belongs_to_no_file_of_the_source_is_not_kept(obtain: Obtain, tmp_path: Path) -> None:
    def untidy(folder: Path) -> tuple[Path, Fetched]:
        files, fetched = fetches()(folder)
        (files / "other.part").touch()
        return files, fetched

    obtain(SEVEN, untidy)
    assert left_in(tmp_path) == ["seven.gguf"]


def test_of_two_askers_one_fetches_and_the_other_waits_for_it(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path / "models")
    fetching, other_waits = threading.Event(), threading.Event()
    heard: list[str] = []

    def slow(folder: Path) -> tuple[Path, Fetched]:
        fetching.set()
        assert other_waits.wait(10)
        return fetches()(folder)

    def other(progress: Progress) -> None:
        heard.append(str(progress))
        other_waits.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.obtain, SEVEN, slow, unheard, threading.Event())
        assert fetching.wait(10)
        second = pool.submit(cache.obtain, SEVEN, never, other, threading.Event())
        assert first.result(10) == second.result(10)
    assert heard[0] == "waiting for another process that downloads seven: 0 of 0 MB"


def test_waiting_for_another_can_be_cancelled(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path / "models")
    fetching, cancelled = threading.Event(), threading.Event()

    def slow(folder: Path) -> tuple[Path, Fetched]:
        fetching.set()
        assert cancelled.wait(10)
        return fetches()(folder)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.obtain, SEVEN, slow, unheard, threading.Event())
        assert fetching.wait(10)
        with pytest.raises(SourceError, match="waiting for seven was cancelled"):
            cache.obtain(SEVEN, never, lambda _: cancelled.set(), cancelled)
        assert first.result(10).read_bytes() == CONTENT


def test_too_little_space_is_told_before_anything_is_fetched(obtain: Obtain) -> None:
    huge = Artefact(name="huge", file="huge.gguf", source="huge", size_bytes=1 << 60)
    with pytest.raises(SourceError, match=r"huge needs \d+ MB in .*, \d+ MB are free; make room or set ARGOSY_CACHE"):
        obtain(huge, never)


def test_a_cache_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "models").touch()  # a file in the folder's place: refused to root too
    cache = ModelCache(tmp_path / "models" / "x")
    with pytest.raises(SourceError, match=r"cannot keep seven in .*models/x: Not a directory; make that folder"):
        cache.obtain(SEVEN, never, unheard, threading.Event())


def test_progress_prints_as_a_phrase() -> None:
    assert str(Progress("smollm2", 34_300_000, 98_362_432)) == "downloading smollm2: 34 of 98 MB"
    assert str(Progress("x.gguf", 34_300_000, None)) == "downloading x.gguf: 34 MB"
    quick = Progress("a", 34_300_000, 98_362_432, bytes_per_second=12_000_000, note="hf is away, trying b")
    assert str(quick) == "downloading a: 34 of 98 MB, 12 MB/s, 5 s left (hf is away, trying b)"
    assert str(Progress("a", 0, 9_000_000_000, bytes_per_second=1_200_000)).endswith("1.2 MB/s, 2.1 h left")


def test_the_speed_is_that_of_the_last_seconds() -> None:
    clock = FakeTime()
    meter = Meter("a", clock=clock)
    assert meter.at(500_000, 100_000_000).bytes_per_second is None
    for second in range(1, 21):
        clock.now = float(second)
        made = meter.at(1_000_000 * second if second <= 10 else 10_000_000 + 3_000_000 * (second - 10), 100_000_000)
    assert made.bytes_per_second == pytest.approx(3_000_000)
    assert made.seconds_left == pytest.approx(20)
    assert meter.at(1_000_000, 100_000_000).done_bytes == 40_000_000  # files that are moved turn nothing back


class FakeTime:
    now = 0.0

    def __call__(self) -> float:
        return self.now
