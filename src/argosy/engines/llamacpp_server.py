"""The process that is a llama.cpp engine, one model behind one HTTP server.

    python -m argosy.engines.llamacpp_server CONFIG

CONFIG is the JSON that llamacpp.py writes; the key comes by environment. The server is llama.cpp's own, in C++ threads:
once it listens, no Python runs here. SIGTERM ends the process at once: a worker stops it only when nobody waits for it.
"""

from __future__ import annotations

import difflib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from argosy.engines.standalone import KEY_VARIABLE, write_address

_LEAST_MARGIN = 256 << 20  # for what a step needs beside weights and cache


def main(argv: list[str], environment: Mapping[str, str]) -> int:
    import xllamacpp  # noqa: PLC0415 - 127 MB of native code, for this process alone

    config = json.loads(argv[1])
    params = _params(xllamacpp, config, environment[KEY_VARIABLE])
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        templated = " with its deployment's own chat_template" if config["chat_template_file"] else ""
        print(f"llama.cpp cannot serve {config['path']}{templated}: {error} (the lines above say why)", flush=True)  # noqa: T201
        return 1
    write_address(Path(config["address_file"]), server.listening_address)
    while True:
        signal.pause()  # its threads do the rest; a signal's default action ends the process


def _params(xllamacpp: Any, config: Mapping[str, Any], key: str) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = config["path"]
    params.model_alias = {config["name"]}  # else every chunk carries the file's absolute path
    params.hostnames, params.port = ["127.0.0.1"], config["port"]
    params.api_keys = [key]
    params.ui = False
    params.use_jinja = True
    if config["chat_template_file"]:
        params.chat_template = Path(config["chat_template_file"]).read_text(encoding="utf-8")
    params.endpoint_metrics = params.endpoint_slots = True
    # The context is split over the slots; unified, one long request would take the others' share.
    params.n_parallel, params.n_ctx = config["slots"], config["context"] * config["slots"]
    params.kv_unified = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
    params.cache_ram_mib = config["prompt_cache_mib"]
    # A comment line as a sign of life would pass for the first event at the gateway and hide a slow prefill.
    params.sse_ping_interval = -1
    _set_devices(xllamacpp, params, config)
    if config["draft_model"]:
        speculative = params.speculative
        speculative.draft.mparams.path, speculative.draft.n_max = config["draft_model"], config["draft_tokens"]
        speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
    if config["projector"]:
        params.mmproj.path = config["projector"]
    if config["batch"] is not None:
        params.n_batch = params.n_ubatch = config["batch"]
    if config["embed"]:
        params.embedding = True
        # An input must fit into one physical batch.
        params.n_batch = params.n_ubatch = max(config["context"], config["batch"] or 0)
        if config["pooling"]:
            kinds = xllamacpp.llama_pooling_type
            params.pooling_type = getattr(kinds, f"LLAMA_POOLING_TYPE_{config['pooling'].upper()}")
    for name, value in config["extra_args"].items():
        if not hasattr(params, name):
            close = difflib.get_close_matches(name, dir(params), n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise SystemExit(f"extra_args: llama.cpp has no parameter {name!r}{meant}")
        setattr(params, name, value)
    return params


def _set_devices(xllamacpp: Any, params: Any, config: Mapping[str, Any]) -> None:
    """llama.cpp itself puts as many layers on each GPU as leave a margin free there."""
    params.split_mode = getattr(xllamacpp.llama_split_mode, f"LLAMA_SPLIT_MODE_{config['split'].upper()}")
    if config["gpu_layers"] is not None:
        params.n_gpu_layers = config["gpu_layers"]
    elif config["gpu_budgets"]:
        kind = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_GPU
        free = [device["memory_free"] for device in xllamacpp.get_device_info() if device["type"] == kind]
        margins = free_margins(free, config["gpu_budgets"])
        params.fit_params_target = [*margins, *params.fit_params_target[len(margins) :]]


def free_margins(free: Sequence[int], budgets: Sequence[int]) -> list[int]:
    """Bytes of each GPU that must be free in the end, so that no more than its budget is taken."""
    return [max(_LEAST_MARGIN, now - budget) for now, budget in zip(free, budgets, strict=False)]


if __name__ == "__main__":
    sys.exit(main(sys.argv, os.environ))
