"""Checks of the fleets of this home: what runs and answers, what was left behind, who could read or use too much."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator
from pathlib import Path

from argosy.config.environment import Environment
from argosy.config.schema import Fleet, Gateway
from argosy.doctor.finding import Finding, Level
from argosy.errors import ArgosyError, InputError, UpstreamError
from argosy.fleet.address import port_of
from argosy.fleet.client import ControllerClient
from argosy.fleet.observer import controller_of, desired_of, observed_report, runs
from argosy.fleet.port import check_port
from argosy.gateway.keys import is_loopback
from argosy.processes.identity import ProcessIdentity
from argosy.protocol.admin import FleetReport
from argosy.protocol.replica import ReplicaStatus
from argosy.state import FleetFolder, Home, ProcessRecord, read_json
from argosy.wire.client import Client

_SECONDS = 2.0
_CLOCK_SECONDS = 5.0


async def fleets(environment: Environment, client: Client, wanted: Fleet | None = None) -> list[Finding]:
    """`wanted`: of a fleet file, whose port is looked at then."""
    found: list[Finding] = []
    home = Home(environment.home)
    running = [folder for folder in home.fleets() if runs(folder)]
    found += ports(home, running, wanted)
    for folder in running:
        found += await _running(folder, environment, client)
    if not running:
        found.append(Finding("fleet", "ok", "none runs"))
    gone = [finding for folder in home.fleets() for finding in leftovers(folder)]
    found += gone or [Finding("leftovers", "ok", "none")]
    open_to = [finding for folder in home.fleets() for finding in files(folder)]
    found += open_to or [Finding("keys", "ok", "only their owner reads the state folders")]
    if environment.url is not None:
        found += await _other_gateway(environment.url, client)
    return found


def ports(home: Home, running: list[FleetFolder], wanted: Fleet | None) -> list[Finding]:
    """Those of the running fleets, and the wanted one: where there is none, what a fleet takes that names none."""
    held = {}
    for folder in running:
        record = read_json(folder.gateway, ProcessRecord)
        if record is not None and record.identity.alive and record.address is not None:
            held[folder.name] = port_of(record.address)
    found = [Finding("port", "ok", f"{number} is the gateway's of fleet {name}") for name, number in held.items()]
    if wanted is None and held:
        return found
    host, number = (wanted.gateway.host, wanted.gateway.port) if wanted else (Gateway().host, Gateway().port)
    if number == 0 or (wanted is not None and held.get(wanted.name) == number):
        return found
    try:
        check_port(host, number, home)
    except InputError as error:
        said, _, cure = str(error).partition(": ")
        return [*found, Finding("port", "warn", said, cure)]
    return [*found, Finding("port", "ok", f"{number} on {host} is free")]


def leftovers(folder: FleetFolder) -> Iterator[Finding]:
    """Processes and records of a fleet that nobody looks after any more."""
    for replica in folder.replicas():
        files = folder.replica(replica)
        status = read_json(files.status, ReplicaStatus)
        record = read_json(files.process, ProcessRecord)
        if record.identity.alive if record is not None else status is not None and _lives(status.worker_pid):
            continue
        for who in read_json(files.engine, list[ProcessIdentity]) or []:
            if who.alive:
                yield Finding(
                    "leftovers",
                    "warn",
                    f"{replica} of fleet {folder.name}: process {who.pid} of its engine runs without a worker",
                    f"the next start of {replica} ends it; or: kill {who.pid}",
                )
        if record is None and status is not None:  # one started by hand takes its folder along when it ends
            text = f"{replica} of fleet {folder.name}: a worker started by hand was killed"
            yield Finding("leftovers", "warn", text, f"rm -r {files.root}")
    if not runs(folder) and (folder.desired.exists() or folder.gateway.exists()):
        yield Finding(
            "leftovers",
            "warn",
            f"fleet {folder.name} ended without `argosy down`; its records are left",
            f"`argosy up` takes it over from there; or: rm -r {folder.root}",
        )


def files(folder: FleetFolder) -> Iterator[Finding]:
    """Keys and state that others on this machine could read."""
    for path in (folder.root, *sorted((folder.root / "secrets").glob("[!.]*"))):
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            # A key that others can read is lost; what else lies there tells no secret.
            level: Level = "fail" if path.is_file() else "warn"
            text = f"{path} has mode {mode:o}: other users can read it"
            yield Finding("keys", level, text, f"chmod {600 if path.is_file() else 700} {path}")
    try:
        desired = desired_of(folder)
    except InputError as error:
        yield Finding("fleet", "fail", str(error))
        return
    given = desired.fleet.gateway.api_key_file if desired is not None else None
    if given is not None and (path := Path(given)).exists() and path.stat().st_mode & 0o077:
        yield Finding("keys", "warn", f"other users can read the client keys in {path}", f"chmod 600 {path}")


async def _running(folder: FleetFolder, environment: Environment, client: Client) -> list[Finding]:
    found = []
    report, trouble = await _report(folder, environment, client)
    if trouble:
        found.append(Finding("fleet", "fail", f"{folder.name}: its controller does not answer: {trouble}", _LOGS))
    elif report.controller.state == "gone":
        text = f"{folder.name}: its controller is gone; what runs keeps running, and nothing is started again"
        found.append(Finding("fleet", "warn", text, "`argosy up` starts another, which adopts what runs"))
    address = next((gateway.address for gateway in report.gateways if gateway.state == "running"), None)
    if address is None:
        text = f"{folder.name}: no gateway runs: {'; '.join(each.reason or each.state for each in report.gateways)}"
        found.append(Finding("fleet", "fail", text, f"argosy logs gateway --fleet {folder.name}"))
    else:
        found += await _door(folder, address, client)
    for deployment in report.deployments:
        for replica in deployment.replicas:
            if replica.state in ("failed", "backoff"):
                text = f"{folder.name}: {replica.id} {replica.state}: {' '.join(replica.reason.split())}"
                level: Level = "fail" if replica.state == "failed" else "warn"
                found.append(Finding("fleet", level, text, f"argosy logs {replica.id} --fleet {folder.name}"))
    ready = sum(deployment.ready for deployment in report.deployments)
    wanted = sum(deployment.wanted for deployment in report.deployments if not deployment.stopped)
    text = f"{folder.name}: {ready} of {wanted} replicas ready{f' at {address}/v1' if address else ''}"
    short = ready < wanted and not any(finding.level == "fail" for finding in found)
    found.append(Finding("fleet", "warn" if short else "ok", text, "argosy ps" if short else ""))
    return found


async def _report(folder: FleetFolder, environment: Environment, client: Client) -> tuple[FleetReport, str]:
    """With why the controller does not answer, where it lives."""
    trouble, record, key = "", controller_of(folder), folder.secret("admin_key")
    if record is not None and record.address is not None and key is not None:
        try:
            return await ControllerClient(client, address=record.address, admin_key=key).report(), ""
        except ArgosyError as error:
            trouble = str(error)
    return await observed_report(folder, client, admin_key=key or environment.admin_key), trouble


async def _door(folder: FleetFolder, address: str, client: Client) -> list[Finding]:
    """Whether it answers, and only to whom it should."""
    try:
        health = await client.request("GET", f"{address}/health", seconds=_SECONDS)
        models = await client.request("GET", f"{address}/v1/models", seconds=_SECONDS)
    except UpstreamError as error:
        text = f"{folder.name}: its gateway does not answer at {address}: {error}"
        return [Finding("fleet", "fail", text, f"argosy logs gateway --fleet {folder.name}")]
    found = _clock(f"the gateway of fleet {folder.name}", health.headers.get("date"))
    desired = desired_of(folder)
    if models.status == 200 and desired is not None and not is_loopback(desired.fleet.gateway.host):
        text = f"{folder.name}: its door on {desired.fleet.gateway.host} is open to others without a key"
        found.append(Finding("keys", "fail", text, "set gateway.api_key_file, then `argosy up`"))
    return found


async def _other_gateway(url: str, client: Client) -> list[Finding]:
    """The one that ARGOSY_URL names."""
    root = url.rstrip("/").removesuffix("/v1")
    try:
        answer = await client.request("GET", f"{root}/health", seconds=_SECONDS)
    except (UpstreamError, InputError) as error:
        return [
            Finding("fleet", "warn", f"the gateway that ARGOSY_URL names does not answer: {error}", f"is {url} right?")
        ]
    return _clock(f"the gateway at {root}", answer.headers.get("date"))


def _clock(who: str, date: str | None) -> list[Finding]:
    """Nothing where it agrees with ours."""
    then = email.utils.parsedate_to_datetime(date).timestamp() if date else time.time()
    off = time.time() - then
    if abs(off) <= _CLOCK_SECONDS:
        return []
    text = f"this machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} that of {who}"
    return [Finding("clock", "warn", text, "set both by NTP: times in logs and `ps` do not agree")]


def _lives(pid: int) -> bool:
    try:
        return bool(pid) and ProcessIdentity.of(pid).alive
    except ProcessLookupError:
        return False


_LOGS = "argosy logs controller; `argosy down` takes the fleet down all the same"
