"""Processes of the real FastChat: started, waited for, ended by their own handle."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from package import Package

from argosy.worker.probe import free_port
from waiting import until


class Old:
    """`folder`: where its processes write their logs."""

    def __init__(self, found: Package, folder: Path) -> None:
        self._python = found.python
        self.model = found.model
        self._folder = folder

    @property
    def _env(self) -> dict[str, str]:
        own = {"LOGDIR": str(self._folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        return {**os.environ, **own, "FASTCHAT_WORKER_HEART_BEAT_INTERVAL": "2"}

    def run(self, module: str, *words: str) -> str:
        """A tool of FastChat, to its end."""
        argv = [self._python, "-m", f"fastchat.serve.{module}", *words]
        done = subprocess.run(
            argv, env=self._env, cwd=self._folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def process(self, module: str, *words: str, ready: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
        """One that serves, once `ready` answers."""
        log = self._folder / f"{module}.log"
        argv = [self._python, "-m", f"fastchat.serve.{module}", "--port", str(port), *words]
        with log.open("ab") as output:
            running = subprocess.Popen(argv, env=self._env, cwd=self._folder, stdout=output, stderr=output)

        def answers() -> bool:
            assert running.poll() is None, log.read_text()
            try:
                method = "GET" if ready.startswith("/v1") or ready == "/test_connection" else "POST"
                asked = urllib.request.Request(f"http://127.0.0.1:{port}{ready}", method=method)
                with urllib.request.urlopen(asked, timeout=5) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        try:
            until(answers, seconds=120, what=f"{module} serves", every=0.2)
            yield running
        finally:
            running.kill()
            running.wait()

    @contextmanager
    def worker(self, controller: str, name: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        words = ["--host", "127.0.0.1", "--worker-address", address, "--controller-address", controller]
        words += ["--model-path", self.model, "--model-names", name, "--conv-template", "qwen-7b-chat"]
        words += ["--dtype", "bfloat16", "--device", "cpu"]
        with self.process("model_worker", *words, ready="/worker_get_status", port=port) as running:
            yield address, running
