"""The gateways that are measured: how each is had, and started in front of the mock engines.

Ours is started as a user starts it, with a client key that it checks on every request. Routers from packages get an
environment of their own in the cache at their first use.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cases import KEY

from argosy.config.environment import Environment

HERE = Path(__file__).resolve().parent
PACKAGES = {"vllm-router": "vllm-router==0.1.17", "sglang-router": "sglang-router==0.3.2"}
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.error crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; client_max_body_size 64m; client_body_buffer_size 4m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream engines {{ least_conn; {servers} keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://engines; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


@dataclass(frozen=True, eq=False)
class Peer:
    """One gateway, ready to be started."""

    name: str
    port: int
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """Where gateways are set up for one run: a folder of its own, and the engines' ports."""

    folder: Path
    engines: Sequence[int]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.engines]

    def argosy(self, name: str = "argosy", env: Mapping[str, str] | None = None) -> Peer:
        """This checkout's gateway."""
        fleet = self.folder / "mock.yaml"
        urls = ", ".join(f"{url}/v1" for url in self.urls)
        fleet.write_text(f"deployments:\n  mock: {{engine: remote, urls: [{urls}]}}\n")
        env = {"ARGOSY_API_KEY": KEY, "ARGOSY_HOME": str(self.folder / f"home-{name}"), **(env or {})}
        port = free_port()
        return Peer(name, port, [sys.executable, "-m", "argosy", "gateway", str(fleet), "--port", str(port)], env)

    def checkout(self, root: Path) -> Peer:
        """The gateway of another checkout, under its folder's name."""
        root = root.resolve()
        return self.argosy(root.name, {"PYTHONPATH": str(root / "src")})

    def bare_hop(self) -> Peer:
        port = free_port()
        engines = [str(engine) for engine in self.engines]
        return Peer("bare-hop", port, [sys.executable, str(HERE / "bare_hop.py"), str(port), *engines])

    def nginx(self) -> Peer:
        program = nginx_program() or sys.exit("nginx is not installed: leave it out of --peers")
        port = free_port()
        servers = " ".join(f"server 127.0.0.1:{engine};" for engine in self.engines)
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(folder=self.folder, port=port, servers=servers))
        return Peer("nginx", port, [program, "-e", "stderr", "-c", str(config)])

    def router(self, name: str) -> Peer:
        """One of the two Rust routers: they share their ancestry, and so their options."""
        module = f"{name.replace('-', '_')}.launch_router"
        port = free_port()
        options = ["--host", "127.0.0.1", "--port", str(port), "--policy", "round_robin", "--worker-urls", *self.urls]
        metrics = ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())]
        return Peer(name, port, [str(_python_with(PACKAGES[name])), "-m", module, *options, *metrics])

    def peer(self, name: str) -> Peer:
        """Raises SystemExit for a name that nobody has."""
        known: dict[str, Callable[[], Peer]] = {"bare-hop": self.bare_hop, "nginx": self.nginx}
        if name in known:
            return known[name]()
        if name in PACKAGES:
            return self.router(name)
        sys.exit(f"no peer is called {name!r}; there are {', '.join([*known, *PACKAGES])}")


def nginx_program() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def free_port() -> int:
    """A port that was free a moment ago: these programs cannot tell which one they took, were they given 0."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _python_with(package: str) -> Path:
    """The Python of an environment that has this package; made at the first call."""
    home = Environment.read(os.environ).cache / "benchmarks" / package.replace("==", "-")
    complete = home / "complete"
    if not complete.exists():
        print(f"installing {package} into {home} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(home / "bin" / "pip"), "install", "--quiet", package], check=True)
        complete.touch()
    return home / "bin" / "python"
