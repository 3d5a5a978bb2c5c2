"""Which engine a deployment is served by, as far as its fields tell. Pure."""

from __future__ import annotations

UNDECIDED = "auto"  # what an engine is called that is chosen when the weights are here: engines/choice.py


def decide_engine(engine: str | None, *, urls: object, command: object, source: object) -> str:
    """`source` as a loaded fleet has it: a path there is absolute. Those of hubs and folders may be of either kind."""
    if engine:
        return engine
    if urls:
        return "remote"
    if command:
        return "command"
    text = str(source or "").lower()
    open_ = text.startswith(("hf:", "modelscope:", "/")) and "gguf" not in text.rpartition("/")[2]
    return UNDECIDED if open_ else "llama.cpp"
