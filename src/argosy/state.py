"""What lies where in ARGOSY_HOME: one folder per fleet, one writer per file, all readable by their owner only.

    fleets/NAME/
      request.json          DesiredState for a controller that is about to start          (argosy up)
      fleet.json            DesiredState: the fleet, what is stopped, its revision         (controller)
      controller.json       ProcessRecord of the controller        controller.lock        (controller)
      owner.json            ProcessIdentity of the command that this fleet is for; it ends with it   (argosy chat)
      gateway.json          ProcessRecord of the gateway                                  (gateway)
      gateway.new.json      ProcessRecord of a gateway that starts and has not written its own yet    (controller)
      gateway.old.json      list[ProcessRecord]: gateways that another one replaces       (controller)
      fastchat.json         ProcessRecord of the FastChat listener                        (FastChat listener)
      fastchat.workers.json list[Registration]: old workers that it knows                 (FastChat listener)
      table.json            the last FleetTable, for a gateway that starts alone          (gateway)
      arena.sqlite          votes, where arena.database names no other place              (gateway)
      secrets/              admin_key · join_token · client_key                           (who needs one first)
                            client_keys.yaml: the fleet's own file of client keys         (argosy key)
      logs/NAME.log         of controller, gateway and every replica; NAME is percent-quoted
      replicas/ID/          spec.json process.json (controller) · status.json engine.json address chat_template.jinja
                            (worker)
    measured/               KEY.json: Footprint of what was loaded: what it really held                        (worker)
    chat_history            what was typed in chats                                        (argosy chat)
    memory/                 FLEET@REPLICA.json: what its engine needs at least; lock           (worker)

No decisions here: paths, atomic writes, secrets.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from argosy.processes.identity import ProcessIdentity

T = TypeVar("T")


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the fleet that others must find: by its identity, and by its address where it listens."""

    identity: ProcessIdentity
    address: str | None = None  # http://host:port, https of a gateway with a certificate
    certificate: str | None = None  # SHA-256 of the one that a gateway shows
    client_keys: str | None = None  # the file of client keys that a gateway watches


class DesiredState(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for last, in `fleet.json`: a controller that starts later carries on from it."""

    fleet: dict[str, Any]  # argosy.config.schema.Fleet as JSON, defaults left out
    revision: int  # Unix milliseconds of the change, always growing
    stopped: list[str] = []  # deployments, by `argosy stop`
    drained: list[str] = []  # replicas, by `argosy drain`
    restarts: dict[str, int] = {}  # deployment → the revision by which `argosy restart` asked for it last


def quoted(name: str) -> str:
    """A deployment's name or a replica's id as one file name: Qwen/Qwen2.5-7B → Qwen%2FQwen2.5-7B."""
    return urllib.parse.quote(name, safe="")


def unquoted(file_name: str) -> str:
    return urllib.parse.unquote(file_name)


def private_folder(path: Path) -> None:
    """Makes it with all its parents, each for its owner only: mkdir's `mode` is for the last part alone."""
    for missing in reversed([each for each in (path, *path.parents) if not each.is_dir()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Whole or not at all, mode 0600, folders made (0700)."""
    private_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(value))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path, shape: type[T]) -> T | None:
    """None when the file is missing or is not of that shape (written by another version): callers start anew."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


@dataclass(frozen=True)
class ReplicaFolder:
    root: Path

    @property
    def spec(self) -> Path:
        """ReplicaSpec"""
        return self.root / "spec.json"

    @property
    def process(self) -> Path:
        """ProcessRecord of the worker"""
        return self.root / "process.json"

    @property
    def status(self) -> Path:
        """ReplicaStatus"""
        return self.root / "status.json"

    @property
    def engine(self) -> Path:
        """list[ProcessIdentity]: the guard and the engine, for sweeping leftovers"""
        return self.root / "engine.json"

    @property
    def address(self) -> Path:
        """Written by an engine that picks its own port"""
        return self.root / "address"


@dataclass(frozen=True)
class FleetFolder:
    root: Path

    @property
    def name(self) -> str:
        return unquoted(self.root.name)

    @property
    def desired(self) -> Path:
        return self.root / "fleet.json"

    @property
    def request(self) -> Path:
        return self.root / "request.json"

    @property
    def controller(self) -> Path:
        return self.root / "controller.json"

    @property
    def controller_lock(self) -> Path:
        return self.root / "controller.lock"

    @property
    def owner(self) -> Path:
        """ProcessIdentity, where the fleet is for one command alone"""
        return self.root / "owner.json"

    @property
    def gateway(self) -> Path:
        return self.root / "gateway.json"

    @property
    def replaced_gateways(self) -> Path:
        return self.root / "gateway.old.json"

    @property
    def starting_gateway(self) -> Path:
        return self.root / "gateway.new.json"

    @property
    def fastchat(self) -> Path:
        return self.root / "fastchat.json"

    @property
    def fastchat_workers(self) -> Path:
        return self.root / "fastchat.workers.json"

    @property
    def table(self) -> Path:
        return self.root / "table.json"

    @property
    def arena(self) -> Path:
        """Where arena.database names no other place."""
        return self.root / "arena.sqlite"

    @property
    def client_keys(self) -> Path:
        """Where gateway.api_key_file names no other file."""
        return self.root / "secrets" / "client_keys.yaml"

    @property
    def reservations(self) -> Path:
        """Of memory, by all fleets of this home: they share one machine."""
        return self.root.parent.parent / "memory"

    @property
    def footprints(self) -> Path:
        """What engines really held, of all fleets of this home."""
        return self.root.parent.parent / "measured"

    def log(self, name: str) -> Path:
        """Of `controller`, `gateway` or a replica's id."""
        return self.root / "logs" / f"{quoted(name)}.log"

    def replica(self, replica: str) -> ReplicaFolder:
        return ReplicaFolder(self.root / "replicas" / quoted(replica))

    def replicas(self) -> list[str]:
        """Ids of every replica that has a folder."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(unquoted(entry.name) for entry in (self.root / "replicas").iterdir())
        return []

    def secret_file(self, name: str) -> Path:
        """Where admin_key, join_token or client_key lies."""
        return self.root / "secrets" / name

    def secret(self, name: str) -> str | None:
        """It, if there is one."""
        try:
            return self.secret_file(name).read_text().strip() or None
        except FileNotFoundError:
            return None

    def set_secret(self, name: str, value: str) -> None:
        """One that the user gave; it replaces the one that was there."""
        path = self.secret_file(name)
        private_folder(path.parent)
        handle, temporary = tempfile.mkstemp(dir=path.parent)  # 0600
        with os.fdopen(handle, "w") as file:
            file.write(f"{value}\n")
        Path(temporary).replace(path)

    def make_secret(self, name: str) -> str:
        """The secret of that name, made at the first call; two callers at once get the same one."""
        path = self.secret_file(name)
        private_folder(path.parent)
        handle, temporary = tempfile.mkstemp(dir=path.parent)  # 0600
        with os.fdopen(handle, "w") as file:
            file.write(f"{'sk-argosy-' if name == 'client_key' else ''}{secrets.token_urlsafe(32)}\n")
        try:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)  # atomic: the first one stays
        finally:
            Path(temporary).unlink()
        return path.read_text().strip()


@dataclass(frozen=True)
class Home:
    """ARGOSY_HOME: state only; models and environments live in ARGOSY_CACHE."""

    root: Path

    def fleet(self, name: str) -> FleetFolder:
        return FleetFolder(self.root / "fleets" / quoted(name))

    @property
    def chat_history(self) -> Path:
        return self.root / "chat_history"

    def fleets(self) -> Iterator[FleetFolder]:
        with contextlib.suppress(FileNotFoundError):
            for entry in sorted((self.root / "fleets").iterdir()):
                yield FleetFolder(entry)
