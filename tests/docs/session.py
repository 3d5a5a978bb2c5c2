"""A reader at a terminal who tries one page from its beginning to its end: what tests of the documentation share.

A folder and a home of its own, `argosy` on the PATH. A gateway takes a free port instead of 8000, a FastChat listener
one instead of 21001; figures and what stands as … may differ. How blocks are marked: tests/pages.py.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from stand_in import wheel

from argosy.models.cache import Artefact, ModelCache
from argosy.models.catalog import CATALOG
from argosy.models.fetching import Fetched, StoredFile
from argosy.state import Home, ProcessRecord, read_json
from argosy.worker.probe import free_port
from command import Argosy
from pages import ROOT, Block, Command, Page
from waiting import until

_ADDRESS = "http://127.0.0.1:8000"
_LISTENER = "127.0.0.1:21001"  # where FastChat's processes look for their controller
_OLD_WORKER = "127.0.0.1:21002"  # where its worker is
_SECONDS = 40
_ENDS = (0, 130, -signal.SIGINT)  # of what gets a Ctrl-C; make dies of the signal itself
_ASSIGNMENT = re.compile(r"(?:export )?([A-Z_]+)=(.*)")
_ONLY_THE_FIRST_TIME = re.compile(r"^Installing |  (downloading|waiting for another process) ")


class Session:
    """`fastchat`: a Python that has the real one, for blocks that are marked so; without it they are left out."""

    def __init__(self, argosy: Argosy, *, fastchat: str | None = None) -> None:
        self._argosy = argosy
        self._fastchat = fastchat
        self.folder = argosy.folder
        self._stay: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._ports = {each: f"127.0.0.1:{free_port()}" for each in (_LISTENER, _OLD_WORKER)}
        bin_folder = argosy.home.parent / "bin"
        bin_folder.mkdir()
        python = shlex.quote(sys.executable)
        self._program(
            bin_folder / "argosy",
            f'case "$1" in up | gateway) exec {python} -m argosy "$@" --port 0 ;; esac\nexec {python} -m argosy "$@"',
        )
        self._program(bin_folder / "python", f'exec {python} "$@"')
        if fastchat is not None:
            address = self._ports[_OLD_WORKER]
            where = f"--port {address.rpartition(':')[2]} --worker-address http://{address}"
            self._program(
                bin_folder / "python3",
                f'case "$2" in *.model_worker) exec {shlex.quote(fastchat)} "$@" {where} ;; esac\n'
                f'exec {shlex.quote(fastchat)} "$@"',
            )
        self.env = {**argosy.env(), "PATH": f"{bin_folder}:{os.environ['PATH']}"}

    def tree(self, model: Path) -> None:
        """Makes the folder a clone of this repository as `make up` sees it, with the model at hand."""
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder / name)
        shutil.copytree(ROOT / "examples", self.folder / "examples")
        demo = self.folder / "examples" / "demo.yaml"
        demo.write_text(demo.read_text().replace("source: smollm2 ", f"source: {model} "))
        (self.folder / ".venv" / "bin").mkdir(parents=True)
        for name in ("argosy", "pip", "python"):
            target = shutil.which(name, path=self.env["PATH"]) if name != "pip" else "/bin/false"
            assert target is not None
            (self.folder / ".venv" / "bin" / name).symlink_to(target)
        os.utime(self.folder / "pyproject.toml", (1, 1))  # older than the stamp: what it asks for is installed
        (self.folder / ".venv" / ".for-use").touch()

    def page(self, page: Page) -> None:
        """From its first block to its last, and leaves."""
        if (wanted := page.fleet()) is not None:
            self._fleet(*wanted)
        self._index(page.packages())
        for block in page.blocks():
            self.block(block)
        self.leave()

    def keep(self, name: str, file: Path) -> None:
        """A model of the catalog lies in the cache, as if it had been fetched before."""
        row = CATALOG[name]
        artefact = Artefact(
            name=name, source=str(row.sources[0]), file=row.file, sha256=row.sha256, size_bytes=row.size_bytes
        )

        def fetch(folder: Path) -> tuple[Path, Fetched]:
            shutil.copy(file, folder / file.name)
            stored = StoredFile(file.name, file.stat().st_size, None)
            return folder, Fetched(file.name, [stored])

        cache = ModelCache(Path(self.env["ARGOSY_CACHE"]) / "models")
        cache.obtain(artefact, fetch, lambda _: None, threading.Event())

    def _index(self, packages: list[str]) -> None:
        """Empty packages of these names and versions, and no others, are what pip finds."""
        if packages:
            folder = self._argosy.home.parent / "wheels"
            folder.mkdir()
            for each in packages:
                name, _, version = each.partition("==")
                wheel(folder, name, {f"{name}.py": ""}, version=version)
            for installer in ("PIP", "UV"):
                self.env |= {f"{installer}_NO_INDEX": "1", f"{installer}_FIND_LINKS": str(folder)}

    def _fleet(self, name: str, deployments: list[str]) -> None:
        """Brings up what a page speaks of without showing it."""
        lines = [f"  {each}: {{engine: echo, replicas: 2}}" for each in deployments]
        self._argosy.file("\n".join([f"name: {name}", "deployments:", *lines]), "shown.yaml")
        self._run(Command("argosy up -d shown.yaml", ()), 0)

    def block(self, block: Block) -> None:
        kind, rest = block.kind, block.rest
        if kind == "fastchat" and self._fastchat is not None:
            kind, _, rest = rest.partition(" ")
        if kind == "file":
            self._file(block)
        elif kind == "python":
            program = self.folder / "client.py"
            program.write_text(self._here(block.text))
            self._run(Command(f"{shlex.quote(sys.executable)} client.py", ()), 0)
        elif kind == "attached":
            [command] = block.commands()
            self._attach(command)
        elif kind == "run":
            code = int(rest.removeprefix("code ")) if rest else 0
            for command in block.commands():
                self._run(command, code)

    def leave(self) -> None:
        """Ctrl-C in every terminal, the last one first; nothing is left."""
        for process, out in reversed(self._stay):
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(_SECONDS) in _ENDS, out.read_text()
        self._argosy.run("down", "--all", code=None)
        assert self._argosy.processes() == []

    def close(self) -> None:
        for process, _ in self._stay:
            if process.poll() is None:
                process.kill()
            process.wait()

    @staticmethod
    def _program(path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def _file(self, block: Block) -> None:
        path = self.folder / block.rest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._listening(block.text))
        if "deployments:" in block.text:
            self._argosy.run("check", block.rest)

    def _listening(self, text: str) -> str:
        for shown, ours in self._ports.items():
            text = text.replace(shown, ours)
        return text

    def _here(self, text: str) -> str:
        text = self._listening(text)
        if _ADDRESS not in text:
            return text
        for folder in Home(self._argosy.home).fleets():
            record = read_json(folder.gateway, ProcessRecord)
            if record is not None and record.address is not None and record.identity.alive:
                return text.replace(_ADDRESS, record.address)
        raise AssertionError(f"no gateway runs for\n{text}")

    def _run(self, command: Command, code: int) -> None:
        asks = command.line.startswith("curl ")
        if asks and shutil.which("curl") is None:
            return
        variable, line = _ASSIGNMENT.fullmatch(command.line), self._here(command.line)
        if variable:  # it is there for the commands that follow
            line += f'; printf %s "${variable[1]}"'
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == code, f"$ {command.line}\n{done.stdout}"
        assert missing(command, done.stdout) == [], f"$ {command.line}\n{done.stdout}"
        if variable:
            self.env[variable[1]] = done.stdout
        assert not asks or command.shown or '{"error":' not in done.stdout, f"$ {command.line}\n{done.stdout}"

    def _attach(self, command: Command) -> None:
        out = self.folder / f"terminal-{len(self._stay)}"
        with out.open("wb") as file:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {self._here(command.line)}"],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._stay.append((process, out))
        until(
            lambda: not missing(command, out.read_text()) or process.poll() is not None,
            seconds=_SECONDS,
            what=f"$ {command.line}",
        )
        assert missing(command, out.read_text()) == [], f"$ {command.line}\n{out.read_text()}"


def missing(command: Command, output: str) -> list[str]:
    """The lines that are shown and did not come."""
    lines = [line.strip() for line in output.splitlines()]
    wanted = [line.strip() for line in command.shown if line.strip() and not _ONLY_THE_FIRST_TIME.search(line)]
    return [line for line in wanted if not any(_pattern(line).fullmatch(came) for came in lines)]


def _pattern(line: str) -> re.Pattern[str]:
    """Figures and columns are free, and so is what stands as …"""
    parts = re.split(r"(…|\s+|\d+(?:[.,:]\d+)*)", line)
    free = {"…": ".*"}
    return re.compile(
        "".join(
            free.get(part) or (r"\s+" if part.isspace() else r"[\d.,:]+" if part[:1].isdigit() else re.escape(part))
            for part in parts
        )
    )
