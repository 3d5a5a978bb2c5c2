"""The `argosy` command as a user runs it, with a home of its own; whatever it started is gone when the test is over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from argosy.processes.identity import ProcessIdentity, wait_gone
from argosy.state import FleetFolder, Home, ProcessRecord, read_json
from waiting import until


@dataclass
class Argosy:
    """`folder`: the working directory, for fleet files."""

    home: Path
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARGOSY_", "OPENAI_"))}
        cache = {"ARGOSY_HOME": str(self.home), "ARGOSY_CACHE": str(self.home.parent / "cache")}
        return {**kept, **cache, "PYTHONUNBUFFERED": "1", **self.variables}

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "argosy", *words]

    def run(self, *words: str, code: int | None = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(*words),
            input=stdin,
            capture_output=True,
            text=True,
            env=self.env(),
            cwd=self.folder,
            timeout=60,
            check=False,
        )
        if code is not None:
            assert done.returncode == code, f"argosy {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    @contextmanager
    def attached(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command that stays, its output in `.out`; killed at the end if it is still there."""
        out = self.folder / f"{words[0]}.out"
        with out.open("w") as file:
            process = subprocess.Popen(
                self.argv(*words),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                env=self.env(),
                cwd=self.folder,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()

    def output(self, command: str) -> str:
        return (self.folder / f"{command}.out").read_text()

    def file(self, text: str, name: str = "fleet.yaml") -> str:
        (self.folder / name).write_text(text)
        return name

    def fleet(self, name: str = "fleet") -> FleetFolder:
        return Home(self.home).fleet(name)

    def ps(self, *words: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.run("ps", "--json", *words).stdout)
        return report

    def replicas(self, *words: str) -> dict[str, dict[str, Any]]:
        return {each["id"]: each for deployment in self.ps(*words)["deployments"] for each in deployment["replicas"]}

    def ask(self, path: str = "/argosy/v1/fleet", method: str = "GET", fleet: str = "fleet") -> Any:
        """Of the fleet's controller itself: quicker than a command, for who asks often."""
        folder = self.fleet(fleet)
        record = until(lambda: read_json(folder.controller, ProcessRecord))
        request = urllib.request.Request(f"{record.address}{path}", method=method)
        request.add_header("authorization", f"Bearer {folder.secret('admin_key')}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def replicas_now(self) -> dict[str, dict[str, Any]]:
        return {each["id"]: each for deployment in self.ask()["deployments"] for each in deployment["replicas"]}

    def pid(self, name: str, fleet: str = "fleet") -> int:
        """Of the controller or the gateway, by its record."""
        path = getattr(self.fleet(fleet), name)
        record = until(lambda: read_json(path, ProcessRecord))
        return record.identity.pid

    def processes(self) -> list[ProcessIdentity]:
        """All that any fleet of this home has recorded and that lives: controllers, gateways, workers, engines."""
        found: list[ProcessIdentity] = []
        for folder in Home(self.home).fleets():
            records = [folder.controller, folder.gateway, *(folder.replica(each).process for each in folder.replicas())]
            found += [record.identity for path in records if (record := read_json(path, ProcessRecord)) is not None]
            for each in folder.replicas():
                found += read_json(folder.replica(each).engine, list[ProcessIdentity]) or []
        return [who for who in found if who.alive]

    def everything(self) -> list[ProcessIdentity]:
        """The same with every descendant that lives now."""
        found = set(self.processes())
        for who in list(found):
            if (process := who.process()) is not None:
                try:
                    children = process.children(recursive=True)
                except psutil.NoSuchProcess:  # it has ended since
                    continue
                for child in children:
                    try:
                        found.add(ProcessIdentity.of(child.pid))
                    except ProcessLookupError:
                        continue
        return [who for who in found if who.alive]

    def end(self) -> None:
        """Kills what a failed test left behind: controllers first, or they would start another gateway meanwhile."""
        records = (read_json(folder.controller, ProcessRecord) for folder in Home(self.home).fleets())
        controllers = [record.identity for record in records if record is not None]
        everything = self.everything()
        for who in [*controllers, *everything]:
            who.send_signal(signal.SIGKILL)
        assert not wait_gone(self.everything(), 5)


def kill(pid: int) -> None:
    """SIGKILL, and until it is gone."""
    who = ProcessIdentity.of(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not who.alive, what=f"{pid} is dead")


def gone(processes: list[ProcessIdentity]) -> bool:
    return not wait_gone(processes, 3)


def listening(pid: int) -> bool:
    return any(each.status == psutil.CONN_LISTEN for each in psutil.Process(pid).net_connections("tcp"))
