"""`argosy controller --folder DIR`: what `up` starts in the background. Hidden: nobody types it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def controller(folder: Annotated[Path, typer.Option(help="The fleet's state folder.")]) -> None:
    """Keep a fleet as it is wanted."""
    from argosy.app.controller import run_controller
    from argosy.cli.fleets import read_environment
    from argosy.state import FleetFolder

    raise typer.Exit(run_controller(FleetFolder(folder), read_environment()))
