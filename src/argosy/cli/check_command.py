"""`argosy check`: the command line of check.py, and the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    file: Annotated[Path, typer.Argument(help="A fleet file.")] = Path("fleet.yaml"),
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of fleet files instead.")] = False,
) -> None:
    """Find every fault in a fleet file; start nothing."""
    import json

    from argosy.cli.check import check as checked
    from argosy.cli.fleets import read_environment
    from argosy.config.json_schema import json_schema

    print(json.dumps(json_schema(), indent=2) if schema else checked(file, read_environment()))
