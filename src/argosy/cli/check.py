"""`argosy check`: reads a fleet file, finds every fault in it, starts nothing."""

from __future__ import annotations

from pathlib import Path

from argosy.config import fastchat_variables
from argosy.config.budget import shortage
from argosy.config.engine_fields import chosen_engine
from argosy.config.environment import Environment
from argosy.config.load import load_fleet
from argosy.config.schema import Deployment, Fleet
from argosy.engines import catalog


def check(path: Path, environment: Environment) -> str:
    """What the file asks for, in a few lines. Raises FleetFileError with every fault."""
    fleet = load_fleet(path, environment)
    count = len(fleet.deployments)
    lines = [
        f"{path}: no faults. Fleet {fleet.name}, {count} deployment{'' if count == 1 else 's'}, "
        f"gateway on {fleet.gateway.host}:{fleet.gateway.port}"
    ]
    lines += [f"  {name}: {_summary(deployment, environment)}" for name, deployment in fleet.deployments.items()]
    lines += [f"note: {note}" for note in _notes(fleet, environment)]
    return "\n".join(lines)


def _summary(deployment: Deployment, environment: Environment) -> str:
    engine, why = chosen_engine(deployment, environment.cache)
    copies = len(deployment.urls) if engine == "remote" else deployment.replicas
    parts = [f"{engine} ({why})" if why else engine, f"{copies} replica{'' if copies == 1 else 's'}"]
    if deployment.source:
        parts.append(f"source {deployment.source}")
    if deployment.aliases:
        parts.append(f"also called {', '.join(deployment.aliases)}")
    return ", ".join(parts)


def _notes(fleet: Fleet, environment: Environment) -> list[str]:
    """Right as it is written, but it may surprise at the start."""
    notes = fastchat_variables.notes(environment.variables)
    notes += [
        f"deployments.{name}.api_key_env: {deployment.api_key_env} is not set here: this deployment fails until it "
        "is, so set it before `argosy up`"
        for name, deployment in fleet.deployments.items()
        if deployment.api_key_env and not environment.variables.get(deployment.api_key_env)
    ]
    for name, deployment in fleet.deployments.items():
        chosen, _ = chosen_engine(deployment, environment.cache)
        if chosen in catalog.NAMES and chosen != "remote" and (engine := catalog.engine(chosen)).untested:
            notes.append(f"deployments.{name}: nobody has run engine {chosen} on a GPU yet ({engine.tested_with})")
    if short := shortage(fleet, environment):
        notes.append(short)
    return notes
