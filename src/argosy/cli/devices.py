"""`argosy devices`: what this machine has for replicas, and who uses it."""

from __future__ import annotations

from typing import Annotated

import typer


def devices(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts; stays stable.")] = False,
) -> None:
    """Show GPUs, cores and memory: how much, how much is free, and who holds the rest."""
    import msgspec

    from argosy.cli.fleets import read_environment
    from argosy.cli.plan_text import devices_text
    from argosy.fleet.outlook import devices_report

    report = devices_report(read_environment())
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        print(devices_text(report))
