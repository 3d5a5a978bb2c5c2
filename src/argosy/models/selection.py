"""Which files of a hub's repository are meant: pure, by their names.

A repository with safetensors is taken whole, as a folder; one with nothing but weights of PyTorch too. Of one with GGUF
files a single model is taken (all parts of a split one): the named file, the named quantisation, the only one there is,
else Q4_K_M; else the error lists them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from argosy.errors import SourceError

DEFAULT_QUANTISATION = "Q4_K_M"
_SPLIT = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_QUANTISATION = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?I?Q\d(?:_[A-Z0-9]+)*|BF16|FP?16|FP?32|TQ\d_\d|MXFP4(?:_MOE)?)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)  # a part for pictures, a quantiser's notes
# Beside safetensors: what a tokenizer, a configuration or a template is. Never .bin, .pth, .onnx, .h5: the same again.
_BESIDE = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".py", ".spm", ".vocab")
_SAME_AGAIN = ("onnx/", "openvino/", "original/", "coreml/", "tf/", "flax/")
# Of a repository that has nothing else, as those of 2023. torch reads tensors alone of them (weights_only), no objects.
_PYTORCH = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
_SHOWN = 12


@dataclass(frozen=True)
class RepoFile:
    """A file as the hub lists it."""

    path: str
    size_bytes: int | None = None
    sha256: str | None = None
    version: str = ""  # changes with the content, where the hub tells: what is half fetched goes on only for the same


@dataclass(frozen=True)
class Selection:
    """`entry`: the file that an engine opens, or "" where it opens the folder."""

    files: tuple[RepoFile, ...]
    entry: str


def choose(files: Sequence[RepoFile], wanted: str | None, *, repository: str) -> Selection:
    """Raises SourceError with what the repository has."""
    by_path = {file.path: file for file in files}
    models = _models(
        [file for file in files if file.path.lower().endswith(".gguf") and not _NO_MODEL.search(file.path)]
    )
    if wanted and (PurePosixPath(wanted).suffix.lower() in (".gguf", ".safetensors") or wanted in by_path):
        return _named(by_path, models, wanted, repository=repository)
    if wanted:
        return _quantised(models, wanted, repository=repository)
    if any(path.endswith(".safetensors") for path in by_path):
        return _folder(files)
    if not models and (plain := [file for file in files if _PYTORCH.fullmatch(file.path)]):
        return Selection((*_folder(files).files, *plain), "")
    if not models:
        weights = [path for path in by_path if path.endswith((".bin", ".pth", ".pt", ".onnx", ".h5", ".ckpt"))]
        has = f"it has {_listed(sorted(weights or by_path))}" if by_path else "it is empty"
        raise SourceError(f"{repository} has neither GGUF files nor safetensors; {has}", permanent=True)
    if len(models) == 1:
        return _selection(models[0])
    matching = [model for model in models if quantisation(model[0].path) == DEFAULT_QUANTISATION]
    if len(matching) == 1:
        return _selection(matching[0])
    which = f"more than one {DEFAULT_QUANTISATION}" if matching else f"no {DEFAULT_QUANTISATION}"
    raise SourceError(f"{repository} has {which}; name one: {_choices(models, repository)}", permanent=True)


def quantisation(path: str) -> str | None:
    """q4_k_m of qwen2.5-0.5b-instruct-q4_k_m.gguf, in capitals."""
    found = _QUANTISATION.findall(PurePosixPath(path).name) or _QUANTISATION.findall(path)
    return found[-1].upper() if found else None


def _models(files: Sequence[RepoFile]) -> list[list[RepoFile]]:
    """One list for each model, the parts of a split one in order."""
    groups: dict[str, list[RepoFile]] = {}
    for file in sorted(files, key=lambda file: file.path):
        split = _SPLIT.fullmatch(file.path)
        groups.setdefault(f"{split['stem']}-of-{split['count']}" if split else file.path, []).append(file)
    return list(groups.values())


def _named(by_path: dict[str, RepoFile], models: list[list[RepoFile]], wanted: str, *, repository: str) -> Selection:
    alike = [path for path in by_path if PurePosixPath(path).name == wanted]
    path = wanted if wanted in by_path else alike[0] if len(alike) == 1 else None
    if path is None:
        near = alike or difflib.get_close_matches(wanted, by_path, n=5, cutoff=0.5)
        has = f"did you mean {' or '.join(near)}?" if near else f"it has {_listed(sorted(by_path))}"
        raise SourceError(f"{repository} has no file {wanted!r}; {has}", permanent=True)
    return next((_selection(model) for model in models if by_path[path] in model), Selection((by_path[path],), path))


def _quantised(models: list[list[RepoFile]], wanted: str, *, repository: str) -> Selection:
    matching = [model for model in models if quantisation(model[0].path) == wanted.upper()]
    if len(matching) == 1:
        return _selection(matching[0])
    if not models:
        raise SourceError(f"{repository} has no GGUF files, so no {wanted!r}; leave it out", permanent=True)
    if matching:
        names = _listed([model[0].path for model in matching])
        raise SourceError(f"{wanted!r} fits more than one file of {repository}; name one of {names}", permanent=True)
    raise SourceError(f"{repository} has no {wanted!r}; it has {_choices(models, repository)}", permanent=True)


def _selection(model: list[RepoFile]) -> Selection:
    """Raises SourceError where a part is missing: an engine would say so only after the download."""
    split = _SPLIT.fullmatch(model[0].path)
    if split and len(model) != int(split["count"]):
        raise SourceError(
            f"{model[0].path}: the repository has {len(model)} of its {int(split['count'])} parts; choose another file",
            permanent=True,
        )
    return Selection(tuple(model), model[0].path)


def _folder(files: Sequence[RepoFile]) -> Selection:
    indexed = any(file.path == "model.safetensors.index.json" for file in files)
    taken = []
    for file in files:
        path = file.path
        if path.startswith(_SAME_AGAIN) or (indexed and path.startswith("consolidated")):
            continue
        inner = "/" in path
        if path.endswith((".json",)) or (not inner and path.endswith((".safetensors", *_BESIDE))):
            taken.append(file)
    return Selection(tuple(taken), "")


def _choices(models: list[list[RepoFile]], repository: str) -> str:
    names = [quantisation(model[0].path) for model in models]
    if None in names or len(set(names)) < len(names):
        return _listed([model[0].path for model in models])
    sized = [_sized(name or "", model) for name, model in zip(names, models, strict=True)]
    return f"{_listed(sized)}; for example {repository}:{names[0]}"


def _sized(name: str, model: list[RepoFile]) -> str:
    sizes = [file.size_bytes for file in model if file.size_bytes]
    size = sum(sizes)
    return f"{name} ({f'{size / 1e9:.1f} GB' if size >= 1e9 else f'{size / 1e6:.0f} MB'})" if size else name


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
