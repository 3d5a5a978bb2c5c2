"""`argosy models`: the catalog, and what lies in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from argosy.config.environment import Environment


def models(as_json: Annotated[bool, typer.Option("--json", help="For scripts; stays stable.")] = False) -> None:
    """Show the models that have a short name, and the weights that were fetched: size, last use, who uses them."""
    import json

    from argosy.cli.fleets import read_environment
    from argosy.errors import ArgosyError

    environment = read_environment()
    try:
        found = listing(environment)
    except OSError as error:
        raise ArgosyError(f"cannot read {environment.cache}: {error.strerror or error}") from error
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else _text(found, environment.cache))


def listing(environment: Environment) -> dict[str, Any]:
    """Raises OSError."""
    from argosy.models.cache import ModelCache
    from argosy.models.catalog import CATALOG
    from argosy.models.resolve import key_of

    cache, users = ModelCache(environment.cache / "models"), users_of(environment)
    entries = cache.entries()
    whole = {entry.key for entry in entries if entry.record is not None}
    catalog = [
        {
            "name": row.name,
            "size_bytes": row.size_bytes,
            "licence": row.licence,
            "sources": [source if isinstance(source, str) else " + ".join(source) for source in row.sources],
            "summary": row.summary,
            "cached": key_of(row.name) in whole,
        }
        for row in CATALOG.values()
    ]
    cached = [
        {
            "name": entry.record.name if entry.record else entry.key,
            "source": entry.record.source if entry.record else None,
            "path": str(cache.root / (entry.key if entry.record else f"{entry.key}.partial")),
            "size_bytes": entry.size_bytes,
            "used": int(entry.used),
            "whole": entry.record is not None,
            "used_by": users.get(entry.key, []) if entry.record else [],
        }
        for entry in entries
    ]
    return {"catalog": catalog, "cache": cached}


def users_of(environment: Environment) -> Mapping[str, list[str]]:
    """Key in the cache → FLEET/DEPLOYMENT of running fleets that have it as their source."""
    from argosy.cli.fleets import running_fleets
    from argosy.errors import SourceError
    from argosy.models.resolve import key_of
    from argosy.state import DesiredState, read_json

    users: dict[str, list[str]] = {}
    for folder in running_fleets(environment):
        desired = read_json(folder.desired, DesiredState)
        for name, deployment in desired.fleet.get("deployments", {}).items() if desired else ():
            try:
                key = key_of(deployment["source"]) if deployment.get("source") else None
            except SourceError:  # another version's
                continue
            if key is not None:
                users.setdefault(key, []).append(f"{folder.name}/{name}")
    return users


def size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _text(found: dict[str, Any], cache: Path) -> str:
    import time

    from argosy.cli.render import table

    rows = [
        [
            row["name"],
            size(row["size_bytes"]),
            row["licence"],
            ", ".join(dict.fromkeys(source.split(":")[0] for source in row["sources"])),
            "yes" if row["cached"] else "",
            row["summary"],
        ]
        for row in found["catalog"]
    ]
    lines = [table(["NAME", "SIZE", "LICENCE", "FROM", "CACHED", "WHAT"], rows), ""]
    if not found["cache"]:
        return "\n".join([*lines, f"{cache / 'models'} is empty; `argosy pull NAME` fetches one"])
    rows = [
        [
            each["name"],
            size(each["size_bytes"]),
            ago(time.time() - each["used"]),
            ", ".join(each["used_by"]),
            each["source"] or "half fetched; the next try goes on from there",
        ]
        for each in found["cache"]
    ]
    total = size(sum(each["size_bytes"] for each in found["cache"]))
    lines += [f"In {cache / 'models'}: {total}", table(["NAME", "SIZE", "USED", "BY", "SOURCE"], rows)]
    return "\n".join(lines)


def ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return "now" if seconds < 60 else "1 min ago"
