"""What a deployment says of GPUs, as values: how `gpus:` may be written, and what does not go together with it. Pure.

gpus: auto            as many as it takes, chosen by the plan
gpus: 2               two for each replica, chosen by the plan; 0: none
gpus: [2]             these, for every replica
gpus: [[2], [3]]      one list for each replica
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from argosy.errors import InputError

Gpus = Literal["auto"] | int | tuple[int, ...] | tuple[tuple[int, ...], ...]
AUTO: Literal["auto"] = "auto"
VISIBLE = "CUDA_VISIBLE_DEVICES"  # what a deployment's own `env` may say instead of all this
MOST_GPUS = 1024  # of one replica, and the highest index

_FIELDS = ("gpus", "tensor_parallel", "memory_fraction")
_HOW = "write a number of GPUs, auto, indices such as [0, 1], or one list for each replica: [[0], [1]]"
_NOTES = re.compile(r"(?P<source>.+)@(?P<indices>\d+(?:,\d+)*)")


def check_gpus(value: object) -> Gpus | None:
    """As it may stand in a fleet file; None: nothing is said. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal():  # a variable's value is a text
        value = int(value)
    if value == AUTO:
        return AUTO
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_GPUS:
        return value
    if isinstance(value, list | tuple) and value:
        if all(isinstance(each, list | tuple) for each in value):
            return tuple(_indices(each) for each in value)
        return _indices(value)
    raise ValueError(f"{value!r} says no GPUs: {_HOW}")


def indices_of(text: str) -> tuple[int, ...]:
    """`2,3` of a command line. Raises InputError."""
    if not re.fullmatch(r"\d{1,4}(,\d{1,4})*", text):
        raise InputError(f"{text!r} says no GPUs: write their indices, such as 2 or 2,3 (argosy devices lists them)")
    try:
        return _indices([int(each) for each in text.split(",")])
    except ValueError as error:
        raise InputError(f"{text!r}: {error}") from None


def split_source(text: str) -> tuple[str, tuple[int, ...] | None]:
    """`smollm2@2,3` → smollm2 and (2, 3): how a command line pins a source. Raises InputError."""
    found = _NOTES.fullmatch(text)
    return (found["source"], indices_of(found["indices"])) if found else (text, None)


def pins_of(gpus: Gpus | None, replica: int) -> tuple[int, ...] | None:
    """The GPUs that replica number so and so is pinned to; None where the plan chooses, or there are none."""
    if not isinstance(gpus, tuple):
        return None
    group = gpus[replica] if isinstance(gpus[0], tuple) else gpus
    return tuple(index for index in group if isinstance(index, int)) if isinstance(group, tuple) else None


def lists_of(gpus: object) -> int | None:
    """How many replicas `[[2], [3]]` has lists for; None where `gpus` says it of none or of all."""
    nested = isinstance(gpus, list | tuple) and gpus and all(isinstance(each, list | tuple) for each in gpus)
    return len(gpus) if nested and isinstance(gpus, list | tuple) else None


def gpu_misfits(given: Mapping[str, Any], engine: str) -> Iterator[tuple[str, str]]:
    """Fields that do not go together: (field, what is wrong). Takes them as given, right or wrong."""
    gpus, device = given.get("gpus"), given.get("device")
    said = [field for field in _FIELDS if given.get(field)]
    said += ["device"] if device not in (None, "auto") else []
    if engine == "remote":
        yield from ((field, "engine remote takes none: nothing is started") for field in said)
        return
    env = given.get("env")
    if said and isinstance(env, Mapping) and VISIBLE in env:
        yield "env", f"{VISIBLE} is what {said[0]} decides: leave one of them out"
    none = "device is cpu" if device == "cpu" else "gpus is 0" if gpus == 0 else ""
    if none:
        clash = [field for field in said if field != "device" or device == "gpu"]
        yield from ((field, f"{none}, so there are none") for field in clash)
        return
    try:
        wanted = check_gpus(gpus) or AUTO
    except ValueError:  # told as that field's own fault
        return
    parallel = given.get("tensor_parallel")
    if isinstance(parallel, int) and not isinstance(parallel, bool):
        yield from (("tensor_parallel", why) for why in _parallel_misfit(wanted, parallel))
    lists, replicas = lists_of(gpus), given.get("replicas", 1)
    if lists is not None and str(replicas).isdecimal() and lists < int(replicas):
        yield "gpus", f"has a list for {lists} of {replicas} replicas: write one for each, or one list for all of them"


def _parallel_misfit(gpus: Gpus, parallel: int) -> Iterator[str]:
    """The length of a list is the number of GPUs that work on a replica together."""
    if isinstance(gpus, int) and gpus != parallel:
        yield f"is {parallel}, and gpus gives each replica {gpus}: leave one of them out"
    if isinstance(gpus, tuple):
        groups = [group if isinstance(group, tuple) else (group,) for group in gpus]
        lengths = {len(group) for group in groups} if isinstance(gpus[0], tuple) else {len(gpus)}
        if lengths == {parallel}:
            return
        flat = [index for group in groups for index in group]
        parts = [flat[at : at + parallel] for at in range(0, len(flat), parallel)]
        said = f"is {parallel}, and gpus has {' and '.join(map(str, sorted(lengths)))} in a list"
        yield f"{said}: write {parts}" if len(parts[-1]) == parallel else f"{said}: they must be as many"


def _indices(values: Sequence[object]) -> tuple[int, ...]:
    found: list[int] = []
    for value in values:
        index = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= MOST_GPUS:
            raise ValueError(f"{value!r} is no GPU's index: {_HOW}")
        if index in found:
            raise ValueError(f"GPU {index} is named twice in one list: {_HOW}")
        found.append(index)
    if not found:
        raise ValueError(f"a list without a GPU: {_HOW}")
    return tuple(found)
