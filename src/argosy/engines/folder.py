"""What a model's folder (config.json, safetensors or PyTorch's weights) needs of memory, for engines that load such.

All figures are lower bounds, as in memory.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from argosy.config.schema import Deployment
from argosy.engines.memory import MemoryNeed
from argosy.engines.model_config import FLOAT_BYTES, CacheSize, ModelConfig
from argosy.engines.safetensors import SafetensorsError, StoredWeights

_PICKLED = "pytorch_model*.bin"
USUAL_CONTEXT = 4096  # tokens of a request that are reckoned with where nobody says, by engines that start with less


@dataclass(frozen=True)
class Loading:
    """How an engine loads it, as far as memory is concerned."""

    context: int | None = None  # tokens of a request, as the fleet file says
    usual_context: int | None = None  # else at most so many; None: as many as the model is made for
    keeps: bool = True  # it has a cache; one that only makes vectors needs none
    dtype: str | None = None  # of the numbers that it works with; None, auto: the weights' own
    most_float_bytes: int = 8  # of the weights' own, where they are more it takes less
    cache_element_bytes: int | None = None  # None: as the numbers that it works with
    quantisation: str | None = None  # on the way in, of weights that are not quantised yet
    fills: bool = False  # MemoryNeed
    maps: bool = False  # weights that it does not change stay pages of their files, which replicas share

    @classmethod
    def of_server(
        cls,
        deployment: Deployment,
        *,
        context: int | None,
        usual_context: int | None = None,
        dtype: str | None,
        quantisation: str | None,
        extra_args: Sequence[str],
    ) -> Loading:
        """As vLLM and SGLang do: in numbers of 16 bits where nothing else is said, with a cache of all that is left."""
        return cls(
            context=context,
            usual_context=usual_context,
            keeps=deployment.task != "embed",
            dtype=dtype,
            most_float_bytes=2,
            cache_element_bytes=_cache_element_bytes(extra_args, dtype),
            quantisation=quantisation,
            fills=True,
        )


def memory_need(path: Path | None, loading: Loading) -> MemoryNeed | None:
    """None where the weights are of another form, or broken: the engine says what is wrong with them."""
    if path is None or not path.is_dir():
        return None
    try:
        stored = StoredWeights.of(path)
        pickled = 0 if stored is not None else sum(file.stat().st_size for file in path.glob(_PICKLED))
    except (SafetensorsError, OSError):
        return None
    if stored is None and not pickled:
        return None
    config = ModelConfig.read(path)
    own = stored.float_bytes if stored is not None else config.float_bytes or 4
    works_with = FLOAT_BYTES.get(loading.dtype or "", min(own, loading.most_float_bytes) or 2)
    loaded = _loaded(config, loading, works_with)
    weights = stored.loaded_bytes(loaded) if stored is not None else int(pickled * min(1, loaded / own))
    cache, context = _cache(config, loading, works_with), _context(config, loading)
    return MemoryNeed(
        weights=str(path.resolve()) if loading.maps and works_with == own else "",
        weights_bytes=weights,
        cache_bytes_per_token=cache.bytes_per_token,
        context=(context or 0) if cache.bytes_per_token else 0,
        slots=1,
        fills=loading.fills,
        unknown=cache.unknown,
    )


def _cache(config: ModelConfig, loading: Loading, works_with: int) -> CacheSize:
    if not loading.keeps:
        return CacheSize()
    cache = config.cache(loading.cache_element_bytes or works_with)
    if _context(config, loading) is None and not cache.unknown:
        return CacheSize(unknown="config.json does not say how long a request may be")
    return cache


def _cache_element_bytes(extra_args: Sequence[str], dtype: str | None) -> int:
    words = [part for word in extra_args for part in word.split("=", 1)]
    kinds = [kind for flag, kind in pairwise(words) if flag.replace("_", "-") == "--kv-cache-dtype"]
    if kinds and kinds[-1] not in ("auto", *FLOAT_BYTES):
        return 1
    return FLOAT_BYTES.get(dtype or "", 2)


def _loaded(config: ModelConfig, loading: Loading, works_with: int) -> float:
    """Bytes of each of the weights' numbers when it serves."""
    if loading.quantisation is None or config.quantised:
        return works_with
    return 1 if "8" in loading.quantisation else 0.5


def _context(config: ModelConfig, loading: Loading) -> int | None:
    if loading.context is not None:
        return min(loading.context, config.context or loading.context)
    if config.context is None or loading.usual_context is None:
        return config.context
    return min(config.context, loading.usual_context)
