"""`argosy stop NAME` and `argosy start NAME`: desired state, which lasts until the other one or the next `up`."""

from __future__ import annotations

from typing import Annotated

import typer

_Name = Annotated[str, typer.Argument(help="A deployment.")]
_Fleet = Annotated[str | None, typer.Option(help="Which fleet, when more than one runs.")]


def stop(name: _Name, fleet: _Fleet = None) -> None:
    """Stop a deployment: its replicas finish what they do, then end. Others keep serving."""
    _ask("stop", name, fleet)
    print(f"{name}: stopping; it stays stopped until `argosy start {name}` or the next `argosy up`")


def start(name: _Name, fleet: _Fleet = None) -> None:
    """Start a deployment that was stopped."""
    _ask("start", name, fleet)
    print(f"{name}: starting; `argosy ps` shows when it is ready")


def _ask(what: str, name: str, fleet: str | None) -> None:
    import asyncio

    from argosy.cli.fleets import controller_client, read_environment, running_fleet
    from argosy.wire.client import Client

    folder = running_fleet(read_environment(), fleet)

    async def ask() -> None:
        client = Client()
        try:
            async with controller_client(folder, client) as controller:
                await (controller.stop(name) if what == "stop" else controller.start(name))
        finally:
            await client.close()

    asyncio.run(ask())
