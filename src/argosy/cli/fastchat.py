"""`argosy fastchat`: the listener for old FastChat processes; started by a controller or a gateway, not by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fastchat(
    *,
    folder: Annotated[Path, typer.Option(help="Of the fleet.")],
    settings: Annotated[str, typer.Option(help="fastchat: of its fleet file, as JSON.")] = "{}",
    owner: Annotated[int | None, typer.Option(help="pid: it ends with that process.")] = None,
) -> None:
    """Take old FastChat workers in and offer them to the fleet's gateway."""
    from pydantic import ValidationError

    from argosy.app.fastchat import run_fastchat
    from argosy.cli.fleets import read_environment
    from argosy.config.schema import FastChat
    from argosy.errors import InputError
    from argosy.state import FleetFolder

    try:
        wanted = FastChat.model_validate_json(settings)
    except ValidationError as error:
        raise InputError(f"--settings: {error}") from None
    raise typer.Exit(run_fastchat(FleetFolder(folder), wanted, read_environment(), owner=owner))
