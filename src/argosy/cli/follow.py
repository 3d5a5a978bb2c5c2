"""What `argosy up` does once it knows what is wanted: brings it up, tells every change, and ends it on Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from argosy.cli.progress import ProgressLines
from argosy.errors import ArgosyError, UpstreamError
from argosy.fleet.bringup import bring_up
from argosy.fleet.exits import wait_exit
from argosy.fleet.observer import observed_report
from argosy.protocol.admin import Event, FleetReport
from argosy.wire.client import Client

if TYPE_CHECKING:
    from argosy.config.environment import Environment
    from argosy.config.schema import Fleet
    from argosy.fleet.client import ControllerClient
    from argosy.processes.identity import ProcessIdentity
    from argosy.state import FleetFolder

_INTERRUPTED = 130


async def bring_up_and_follow(folder: FleetFolder, fleet: Fleet, environment: Environment, *, detach: bool) -> int:
    """The exit code."""
    client = Client()
    signals = _Signals()
    try:
        controller, identity = await bring_up(folder, fleet, client, variables=environment.variables)
        lines = ProgressLines(sys.stdout)
        keyed = bool(environment.api_keys or fleet.gateway.api_key_file or folder.secret("client_key"))
        keyed = keyed or folder.client_keys.exists()
        embed = {name for name, deployment in fleet.deployments.items() if deployment.task == "embed"}
        follower = _Follower(folder, controller, lines, signals, keyed=keyed, embed=embed)
        try:
            if detach:
                return await follower.until_settled()
            return await follower.until_gone(identity, client)
        finally:
            lines.close()
    finally:
        signals.close()
        await client.close()


class _Signals:
    """SIGINT, and SIGTERM or SIGHUP, as events: a second one tells by its count."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.count = 0
        self.interrupted = False
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._take, number)

    def close(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._loop.remove_signal_handler(number)

    def _take(self, number: signal.Signals) -> None:
        self.count += 1
        self.interrupted = self.interrupted or number == signal.SIGINT
        self.came.set()


class _Follower:
    def __init__(
        self,
        folder: FleetFolder,
        controller: ControllerClient,
        lines: ProgressLines,
        signals: _Signals,
        *,
        keyed: bool,
        embed: Collection[str],
    ) -> None:
        self._folder = folder
        self._keyed = keyed
        self._embed = embed  # deployments that answer with embeddings
        self._controller = controller
        self._lines = lines
        self._signals = signals

    async def until_settled(self) -> int:
        """`up -d`: 0 when every deployment is ready, 1 when some failed, each with its reason."""
        follow = asyncio.create_task(self._follow(until_settled=True))
        interrupt = asyncio.create_task(self._signals.came.wait())
        try:
            await asyncio.wait({follow, interrupt}, return_when=asyncio.FIRST_COMPLETED)
            if follow.done():
                return self._settled_code(await follow)
            name = self._folder.name
            self._lines.line(f"fleet {name} goes on in the background; `argosy down --fleet {name}` stops it")
            return _INTERRUPTED if self._signals.interrupted else 0
        finally:
            await _cancelled(follow, interrupt)

    async def until_gone(self, identity: ProcessIdentity, client: Client) -> int:
        """Attached: until the fleet is down, by us or by another."""
        follow = asyncio.create_task(self._follow(until_settled=False))
        ending = asyncio.create_task(self._end_on_signals())
        try:
            last = await follow
            if last == "stopped":
                await wait_exit(identity)
                self._lines.line(f"fleet {self._folder.name} is down")
                return _INTERRUPTED if self._signals.interrupted else 0
            return await self._controller_died(client)
        finally:
            await _cancelled(follow, ending)

    async def _follow(self, *, until_settled: bool) -> str:
        """Tells every event. Returns the fleet's last state, "" when the controller broke off."""
        settled = False
        try:
            async for event in self._controller.events():
                if event.kind != "fleet":
                    self._lines.event(event)
                elif event.state in ("ready", "failed") and not self._signals.count:
                    if until_settled or not settled:
                        await self._tell_settled(event)
                    else:
                        self._lines.event(event)
                    settled = True
                    if until_settled:
                        return event.state
                elif event.state == "stopped":
                    return event.state
        except UpstreamError:
            return ""
        return ""

    async def _end_on_signals(self) -> None:
        told = 0
        while True:
            await self._signals.came.wait()
            self._signals.came.clear()
            while told < self._signals.count:
                try:
                    await self._end(now=told > 0)
                except ArgosyError:
                    return  # it is gone: whoever follows the events tells
                told += 1

    async def _end(self, *, now: bool) -> None:
        self._lines.line("stopping at once" if now else "stopping… (Ctrl-C again stops at once)")
        await self._controller.down(now=now)

    async def _tell_settled(self, event: Event) -> None:
        report = await self._controller.report()
        for line in failures(report):
            self._lines.line(line)
        address = next((gateway.address for gateway in report.gateways if gateway.address), None)
        models = [deployment.name for deployment in report.deployments if deployment.ready]
        if address is None:
            return
        state = "is ready" if event.state == "ready" else f"is up without {event.reason}"
        self._lines.line(f"fleet {report.name} {state}: {address}/v1")
        if models:
            model = min(models, key=lambda name: name in self._embed)  # one that can be talked to, where there is one
            self._lines.line(example(address, model, keyed=self._keyed, embeds=model in self._embed))

    def _settled_code(self, state: str) -> int:
        if state == "":
            print(f"argosy: the controller of fleet {self._folder.name} is gone: see `argosy ps`", file=sys.stderr)
        return 0 if state == "ready" else 1

    async def _controller_died(self, client: Client) -> int:
        self._lines.close()
        report = await observed_report(self._folder, client, admin_key=self._folder.secret("admin_key"))
        running = [
            replica.id for deployment in report.deployments for replica in deployment.replicas if replica.worker_pid
        ]
        if not running and all(gateway.state == "gone" for gateway in report.gateways):
            print(f"argosy: fleet {self._folder.name} is gone, its controller too", file=sys.stderr)
        else:
            print(
                f"argosy: the controller of fleet {self._folder.name} is gone. What runs keeps running and serving: "
                f"{', '.join(['gateway', *running])}. `argosy up` adopts it, `argosy down` stops it.",
                file=sys.stderr,
            )
        return _INTERRUPTED if self._signals.interrupted else 1


def failures(report: FleetReport) -> list[str]:
    """One for each replica that gave up, with its reason."""
    lines = [f"gateway failed: {gateway.reason}" for gateway in report.gateways if gateway.state == "failed"]
    for deployment in report.deployments:
        remote = deployment.engine == "remote"
        lines += [
            f"{replica.id} failed: {replica.reason}"
            for replica in deployment.replicas
            if replica.state == "failed" or (remote and replica.state == "backoff")
        ]
    return lines


def example(address: str, model: str, *, keyed: bool, embeds: bool) -> str:
    """What can be typed now."""
    key = ' -H "authorization: Bearer $ARGOSY_API_KEY"' if keyed else ""
    path = "embeddings" if embeds else "chat/completions"
    asked = '"input": "Hello"' if embeds else '"messages": [{"role": "user", "content": "Hello"}]'
    curl = (
        f"  curl {address}/v1/{path}{key} -H 'content-type: application/json' \\\n"
        f'    -d \'{{"model": "{model}", {asked}}}\''
    )
    return curl if embeds else f"  argosy chat {model}\n{curl}"


async def _cancelled(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
