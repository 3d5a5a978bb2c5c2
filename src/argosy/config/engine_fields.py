"""What a deployment asks of its engine, checked: which one, its options, LoRA adapters, its Python environment.

Where the engine is left open, what is certain to be wrong for any that may be chosen is a fault; the rest, the worker
tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from argosy.config.engine_name import UNDECIDED, decide_engine
from argosy.config.environment import Environment
from argosy.config.faults import Finding, findings, none_of
from argosy.config.paths import made_absolute
from argosy.config.recipe import EnvironmentRecipe
from argosy.config.schema import Deployment, Fleet
from argosy.engines import catalog, choice, machine
from argosy.errors import SourceError
from argosy.models import sources as model_sources
from argosy.models.resolve import cached

_COMMIT = re.compile(r"[0-9a-f]{40}")


def engine_faults(given: dict[str, Any], folder: Path | None, environments: Mapping[str, Any]) -> Iterator[Finding]:
    """Of a deployment as it was written, its source's path absolute by now. Makes others so on the way, and puts a
    named environment's recipe where its name stood."""
    yield from _environment(given, environments)
    name = given.get("engine")
    if isinstance(name, str) and name and name not in catalog.NAMES:
        yield ("engine",), none_of(name, catalog.NAMES)
        return
    if name is not None and not isinstance(name, str):
        return
    for field, message in Deployment.misfits(given):
        yield (field,), message
    engine = decide_engine(name, urls=given.get("urls"), command=given.get("command"), source=given.get("source"))
    if engine == "remote":
        return
    options = given.get("options", {})
    if isinstance(options, dict):
        yield from _companions(options, folder)
        yield from _options(_candidates(engine, given), options)
        yield from _trust(given, options)
    takes = [catalog.engine(each).takes_chat_template for each in _candidates(engine, given)]
    if given.get("chat_template") and not any(takes):
        yield ("chat_template",), f"engine {engine} takes none"


def chosen_engine(deployment: Deployment, cache: Path) -> tuple[str, str]:
    """The engine that this machine would choose, and why; UNDECIDED where the weights are still to be fetched.

    `cache` is ARGOSY_CACHE.
    """
    if (name := deployment.engine_name) != UNDECIDED or deployment.source is None:
        return name, ""
    try:
        path = cached(deployment.source, cache=cache)
        files = choice.files_at(path) if path is not None else []
    except (SourceError, OSError):
        files = []
    if not files:
        return UNDECIDED, "its files decide when they are here"
    made = choice.choose(files, on_gpu=_sees_gpu(deployment.device))
    return made.engine, made.why


def engine_for(deployment: Deployment, path: Path | None, *, on_gpu: bool) -> str:
    """The engine to reckon with, also while nobody can know. `path`: the weights, where they are here."""
    if (name := deployment.engine_name) != UNDECIDED:
        return name
    try:
        files = choice.files_at(path) if path is not None else ["model.safetensors"]  # most of what is open
    except OSError:
        files = []
    return choice.choose(files, on_gpu=on_gpu).engine


def environments_of(fleet: Fleet, environment: Environment) -> dict[str, EnvironmentRecipe]:
    """Deployment → the environment that it needs on this machine; those are left out that need none or are open."""
    found = {}
    for name, deployment in fleet.deployments.items():
        engine, _ = chosen_engine(deployment, environment.cache)
        if engine == "remote":
            continue
        recipe = deployment.environment
        if recipe is None and engine != UNDECIDED:
            recipe = default_environment(engine, deployment)
        if recipe is not None:
            found[name] = recipe
    return found


def default_environment(engine: str, deployment: Deployment) -> EnvironmentRecipe | None:
    """What an engine runs in on this machine where the fleet file says nothing. Raises KeyError."""
    return catalog.engine(engine).environment(deployment, on_gpu=_sees_gpu(deployment.device))


def named_environments(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of a fleet file that are right: what is wrong with another is told at its own place."""
    given = data.get("environments")
    right: dict[str, Any] = {}
    for name, recipe in given.items() if isinstance(given, dict) else ():
        try:
            EnvironmentRecipe.model_validate(recipe)
        except ValidationError:
            right[str(name)] = None
        else:
            right[str(name)] = recipe
    return right


def _environment(given: dict[str, Any], environments: Mapping[str, Any]) -> Iterator[Finding]:
    name = given.get("environment")
    if not isinstance(name, str):
        return
    if name not in environments:
        cure = none_of(name, environments) if environments else f"{name!r} is no name in environments: there are none"
        yield ("environment",), cure
    if (recipe := environments.get(name)) is None:
        del given["environment"]
    else:
        given["environment"] = dict(recipe)


def _sees_gpu(device: object) -> bool:
    return device != "cpu" and machine.has_gpu()


def _candidates(engine: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    """The engines that may serve it; one where that is decided."""
    if engine != UNDECIDED:
        return (engine,)
    path = Path(str(given.get("source")))
    try:
        files = choice.files_at(path) if path.is_absolute() and path.exists() else []
    except OSError:
        files = []
    return (choice.choose(files, on_gpu=_sees_gpu(given.get("device"))).engine,) if files else choice.CANDIDATES


def _options(engines: tuple[str, ...], options: dict[str, Any]) -> Iterator[Finding]:
    """Faults, where no engine that may be chosen takes them."""
    faults: dict[str, list[Finding]] = {}
    for engine in engines:
        model = catalog.engine(engine).options
        try:
            model.model_validate(options)
        except ValidationError as error:
            faults[engine] = findings(error, model)
        else:
            return
    if len(engines) == 1:
        yield from ((("options", *location), message) for location, message in faults[engines[0]])
    else:
        which = ", ".join(engines)
        yield (
            ("engine",),
            f"missing: the source's files decide between {which}, none of which takes these options",
        )


def _companions(options: dict[str, Any], folder: Path | None) -> Iterator[Finding]:
    """Sources among the options: adapters, a draft model, a projector."""
    adapters = options.get("adapters")
    holders: list[tuple[dict[str, Any], str, tuple[str, ...]]] = []
    if isinstance(adapters, dict):
        holders += [(adapters, name, ("options", "adapters", str(name))) for name in adapters]
    holders += [(options, name, ("options", name)) for name in ("draft_model", "projector")]
    for holder, name, where in holders:
        if not isinstance(source := holder.get(name), str) or not source:
            continue
        try:
            relative = []
            if isinstance(model_sources.parse(source), model_sources.PathSource):
                relative = list(made_absolute(holder, name, where, folder))
                yield from relative
            if not relative:
                model_sources.check_source(holder[name], folder=folder)
        except SourceError as error:
            yield where, str(error)


def _trust(given: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Finding]:
    """A branch moves: what is looked at today is other code tomorrow."""
    if options.get("trust_remote_code") is not True or not isinstance(source := given.get("source"), str):
        return
    try:
        parsed = model_sources.parse(source)
    except SourceError:  # told as the source's own fault
        return
    if isinstance(parsed, model_sources.HubSource) and not _COMMIT.fullmatch(parsed.revision or ""):
        yield (
            ("options", "trust_remote_code"),
            "runs the code of a repository that may change: pin it with revision: and a commit's 40 digits",
        )
