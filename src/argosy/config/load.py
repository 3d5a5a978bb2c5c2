"""Loads what the user asked for: a fleet file or sources, checked in full, every fault at once.

Owns the checks that need the outside world (files, environment, the engines' own options). Starts and fetches nothing.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from argosy.config import arena as arena_settings
from argosy.config import chat_template, fastchat_variables, yaml_file
from argosy.config.engine_fields import engine_faults, named_environments
from argosy.config.environment import Environment
from argosy.config.faults import Finding, findings
from argosy.config.gpus import lists_of
from argosy.config.misfits import shared_names
from argosy.config.paths import made_absolute
from argosy.config.schema import (
    Arena,
    Budget,
    Deployment,
    FastChat,
    Fleet,
    Gateway,
    Timeouts,
)
from argosy.config.shaping import shaping_of
from argosy.config.typed_sources import free_name, name_of, pinned
from argosy.config.values import check_fleet_name
from argosy.config.yaml_file import Document, UnreadableError
from argosy.errors import Fault, FleetFileError, InputError, SourceError
from argosy.models import sources as model_sources
from argosy.protocol.deployment import DeploymentRecord
from argosy.protocol.deployment import Timeouts as TimeoutsRecord
from argosy.wire.tls import server_context

__all__ = ["Environment", "check_fleet", "deployment_record", "fleet_of_sources", "load_fleet"]


def load_fleet(path: Path, environment: Environment) -> Fleet:
    """A fleet file. Relative paths in it are taken from its folder. Raises FleetFileError with every fault."""
    try:
        document = yaml_file.read(path, environment.variables)
    except UnreadableError as error:
        raise FleetFileError(str(path), [Fault("", str(error))]) from error
    if document.data.get("arena", {}) is None:  # on by its name alone, unlike all else that has nothing behind it
        document.data["arena"] = {}
    if document.data.get("name") is None:
        document.data["name"] = path.stem
        try:
            check_fleet_name(path.stem)
        except ValueError as error:
            document.faults.append((("name",), f"{error}; the file's name was taken, write `name:` in it"))
    fastchat_variables.fill(document.data, environment.variables)
    return _checked(document, str(path), path.absolute().parent)


def fleet_of_sources(sources: Sequence[str], environment: Environment, gpus: tuple[int, ...] | None = None) -> Fleet:
    """A fleet named `default` of sources on the command line; the same one twice means two replicas, `qwen3@2 qwen3@3`
    one on GPU 2 and one on GPU 3. `gpus`: for every replica that names none. Raises InputError."""
    deployments: dict[str, dict[str, Any]] = {}
    for source, pins in pinned(sources).items():
        name = free_name(name_of(source), deployments)
        deployments[name] = {"source": source, "replicas": len(pins)}
        groups = [group for each in pins if (group := each or gpus) is not None]
        if groups and len(groups) < len(pins):
            raise InputError(f"{source} is named with GPUs (@) and without: say for each of its replicas, or for none")
        if groups:
            deployments[name]["gpus"] = groups
    data: dict[str, Any] = {"name": "default", "deployments": deployments}
    fastchat_variables.fill(data, environment.variables)
    return _checked(Document(data), "the command line", Path().absolute())


def check_fleet(data: dict[str, Any], environment: Environment, *, file: str) -> Fleet:
    """The same checks on data that another process sent: its paths must be absolute.

    ${…} stays as it is: a sender must not read this process's `environment`.
    """
    return _checked(Document(copy.deepcopy(data)), file, None)


def deployment_record(name: str, deployment: Deployment, *, revision: int, stopped: bool = False) -> DeploymentRecord:
    """A deployment as the gateway knows it. `revision`: Unix milliseconds of the change that made it."""
    return DeploymentRecord(
        name=name,
        revision=revision,
        aliases=[*deployment.aliases, *deployment.adapters],
        replicas=len(deployment.urls) if deployment.engine_name == "remote" else deployment.replicas,
        task=deployment.task,
        # What lies behind a URL, nobody here knows: whether it keeps a cache, or is a fleet by itself.
        policy=deployment.policy or ("least_in_flight" if deployment.engine_name == "remote" else "affinity"),
        max_queue=deployment.max_queue,
        timeouts=TimeoutsRecord(**deployment.timeouts.model_dump()),
        stopped=stopped,
        created=revision // 1000,
        shaping=shaping_of(deployment),
        embedding_batch=deployment.embedding_batch,
    )


def _checked(document: Document, file: str, folder: Path | None) -> Fleet:
    """The document's fleet. `folder`: what relative paths are relative to; None refuses them."""
    data = document.data = _without_nothing(document.data, Fleet)
    known = {location for location, _ in document.faults}  # such a value was not read: what else it is says nothing
    found = [*document.faults]
    found += [each for each in _outside(data, folder) if each[0] not in known]
    fleet = None
    try:
        fleet = Fleet.model_validate(data)
    except ValidationError as error:
        found += [each for each in findings(error, Fleet) if each[0] not in known]
    if not found and fleet is not None:
        return fleet
    faults = [document.fault(location, message) for location, message in found]
    raise FleetFileError(file, sorted(faults, key=lambda fault: fault.line or 0))


def _without_nothing(data: Any, model: type[BaseModel]) -> Any:
    """A field with nothing behind it (its lines are comments) is left out; in a typing error it stays and is told."""
    if not isinstance(data, dict):
        return data
    parts: dict[str, type[BaseModel]] = {
        "gateway": Gateway,
        "fastchat": FastChat,
        "timeouts": Timeouts,
        "budget": Budget,
        "arena": Arena,
    }
    kept = {}
    for field, value in data.items():
        if value is None and field in model.model_fields:
            continue
        if field == "deployments" and isinstance(value, dict):
            kept[field] = {
                name: _without_nothing({} if each is None else each, Deployment) for name, each in value.items()
            }
        else:
            kept[field] = _without_nothing(value, parts[field]) if field in parts else value
    return kept


def _outside(data: dict[str, Any], folder: Path | None) -> Iterator[Finding]:
    """What pydantic cannot see or sees only once all else is right. Makes paths absolute in `data` on the way."""
    gateway = data.get("gateway")
    if isinstance(gateway, dict):
        yield from _gateway(gateway, folder)
    deployments = data.get("deployments")
    if isinstance(arena := data.get("arena"), dict):
        yield from arena_settings.faults(arena, deployments if isinstance(deployments, dict) else {})
        if isinstance(database := arena.get("database"), str) and database and "://" not in database:
            yield from made_absolute(arena, "database", ("arena", "database"), folder)
    if not isinstance(deployments, dict):
        return
    aliases, replicas = dict[str, list[str]](), dict[str, int]()
    environments = named_environments(data)
    for name, deployment in deployments.items():
        if isinstance(deployment, dict):
            for inner, message in _deployment(deployment, folder, environments):
                yield ("deployments", str(name), *inner), message
            given = deployment.get("aliases")
            given = given if isinstance(given, list | tuple) else []
            aliases[str(name)] = [alias for alias in given if isinstance(alias, str)]
            options = deployment.get("options")
            adapters = options.get("adapters") if isinstance(options, dict) else None
            aliases[str(name)] += [str(adapter) for adapter in adapters] if isinstance(adapters, dict) else []
            if isinstance(count := deployment.get("replicas"), int):
                replicas[str(name)] = count
    yield from shared_names(aliases, replicas)


def _gateway(given: dict[str, Any], folder: Path | None) -> Iterator[Finding]:
    if given.get("telemetry") == "otlp" and not _installed("opentelemetry.exporter.otlp.proto.http"):
        told = f"otlp needs OpenTelemetry, which {sys.executable} does not have: pip install 'argosy[otel]'"
        yield ("gateway", "telemetry"), told
    there = set()
    for field in ("api_key_file", "tls_certificate", "tls_key"):
        if isinstance(file := given.get(field), str):
            yield from made_absolute(given, field, ("gateway", field), folder)
            if Path(given[field]).is_file():
                there.add(field)
            elif folder or Path(file).is_absolute():
                yield ("gateway", field), f"no such file: {given[field]}"
    for field, other in (("tls_key", "tls_certificate"), ("tls_certificate", "tls_key")):
        if given.get(other) and not given.get(field):
            yield ("gateway", field), f"missing ({other} needs it)"
    if {"tls_certificate", "tls_key"} <= there:
        try:
            server_context(given["tls_certificate"], given["tls_key"])
        except InputError as error:
            yield ("gateway", "tls_certificate"), str(error)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False


def _deployment(given: dict[str, Any], folder: Path | None, environments: Mapping[str, Any]) -> Iterator[Finding]:
    yield from _replicas(given)
    if isinstance(given.get("source"), str):
        yield from _source(given, folder)
    elif given.get("revision"):
        yield ("revision",), "of no source: only hf: and modelscope: repositories have revisions"
    yield from engine_faults(given, folder, environments)
    if isinstance(given.get("chat_template"), str):
        yield from _chat_template(given, folder)
    command = given.get("command")
    if isinstance(command, list) and command and isinstance(program := command[0], str) and "/" in program:
        command[0] = str(Path(program).expanduser())
        if "{" not in program:
            yield from made_absolute(command, 0, ("command", 0), folder)
    yield from _timeouts(given.get("timeouts"))


def _replicas(given: dict[str, Any]) -> Iterator[Finding]:
    """`gpus: [[2], [3]]` says that there are two. A fleet that was scaled down keeps the lists for its way back."""
    lists = lists_of(given.get("gpus"))
    if lists is None:
        return
    replicas = given.setdefault("replicas", lists)
    if isinstance(replicas, int) and lists > replicas > 0:
        yield ("gpus",), f"has {lists} lists, and replicas is {replicas}: write one for each, or leave replicas out"


def _source(given: dict[str, Any], folder: Path | None) -> Iterator[Finding]:
    as_given = given["source"]
    revision = given.get("revision")
    if isinstance(revision, str) and revision:
        try:  # one text from here on, which also the cache keeps it under
            as_given = given["source"] = model_sources.with_revision(as_given, revision)
        except SourceError as error:
            yield ("revision",), str(error)
    try:
        if isinstance(model_sources.parse(as_given), model_sources.PathSource):
            relative = list(made_absolute(given, "source", ("source",), folder))
            yield from relative
            if not relative:
                model_sources.check_source(as_given, folder=folder)
    except SourceError as error:
        yield ("source",), str(error)


def _chat_template(given: dict[str, Any], folder: Path | None) -> Iterator[Finding]:
    """A file's name gives way to its text, which then travels with the fleet: to change it there is to change this."""
    if not given["chat_template"] or chat_template.is_template(given["chat_template"]):
        return
    relative = list(made_absolute(given, "chat_template", ("chat_template",), folder))
    yield from relative
    if not relative:
        try:
            given["chat_template"] = chat_template.read(Path(given["chat_template"]))
        except ValueError as error:
            yield ("chat_template",), str(error)


def _timeouts(given: object) -> Iterator[Finding]:
    """A limit above that of the whole request never applies: whoever wrote it expects another thing."""
    if not isinstance(given, Mapping):
        return
    seconds = {field: info.default for field, info in Timeouts.model_fields.items()}
    seconds |= {field: value for field, value in given.items() if isinstance(value, int | float)}
    for field in ("connect", "first_token", "idle"):
        if seconds[field] > seconds["total"] and seconds[field] != Timeouts.model_fields[field].default:
            yield ("timeouts", field), f"{seconds[field]:g} is more than total ({seconds['total']:g}): it never applies"
