"""What is wrong with a fleet file's `arena` that its types do not tell. Pure but for a look at what is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

from argosy.config.faults import Finding, none_of, shown

POSTGRESQL = ("postgresql://", "postgres://")
_PACKAGES = ("sqlalchemy", "numpy")


def missing_packages() -> str | None:
    """Which packages the arena lacks here, and what to do; None: it has them."""
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        return f"{' and '.join(missing)} missing: pip install 'argosy[arena]'"
    return None


def faults(given: Mapping[str, Any], deployments: Mapping[str, Any]) -> Iterator[Finding]:
    """Takes the fields as given, right or wrong: one bad field must not hide another fault."""
    if (told := missing_packages()) is not None:
        yield ("arena",), told
    generating = [name for name, each in deployments.items() if not isinstance(each, dict) or _generates(each)]
    models = given.get("models")
    named = [name for name in models if isinstance(name, str)] if isinstance(models, list | tuple) else []
    for index, name in enumerate(named):
        yield from _unfit(("arena", "models", index), name, deployments, generating)
        if name in named[:index]:
            yield ("arena", "models", index), f"{name!r} is named twice"
    weights = given.get("weights")
    for name in weights if isinstance(weights, Mapping) else ():
        yield from _unfit(("arena", "weights", name), name, deployments, generating)
        if named and name in generating and name not in named:
            yield ("arena", "weights", name), "is not among arena.models, so it is never drawn"
    database = given.get("database")
    if isinstance(database, str) and "://" in database:
        scheme = f"{database.partition('://')[0]}://"
        if scheme not in POSTGRESQL:
            # Its scheme alone: what follows may hold a password.
            yield ("arena", "database"), f"is a {scheme}… URL; a file's path or postgresql://… is wanted"
        elif importlib.util.find_spec("psycopg") is None:
            yield ("arena", "database"), "psycopg missing, which PostgreSQL wants: pip install 'argosy[postgresql]'"


def _unfit(
    where: tuple[str | int, ...], name: object, deployments: Mapping[str, Any], fit: list[str]
) -> Iterator[Finding]:
    if name not in deployments:
        yield where, none_of(name, fit) if fit else f"{shown(name)} is no deployment of this file"
    elif name not in fit:
        yield where, f"{shown(name)} embeds: only deployments of task generate can be drawn"


def _generates(deployment: Mapping[str, Any]) -> bool:
    return deployment.get("task") != "embed"
