"""An engine's ways: what sets it apart from one that does all that the OpenAI wire asks for.

Stands in the engine's own file, travels in its replica's status, and is read by the gateway, which makes good what is
missing. Of an engine that nobody knows (`remote`, `command`) only the ends of its streams are looked at.
"""

from __future__ import annotations

import msgspec


class EngineTraits(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults are those of an engine that does what the wire asks for, and no more."""

    tells_usage: bool = False  # a stream's last events count its tokens, also where nobody asked for it
    # On `return_progress: true` it tells how far it has read a prompt; while it tells nothing it does not notice that a
    # stream's client has left.
    tells_progress: bool = False
    cancels_plain: bool = True  # it stops working on a plain request whose client has left, as on a stream
    engine: str = ""  # its name, for people
    ignores: tuple[str, ...] = ()  # what it would overlook without a word (Peek.special): refused at the door
    # Of several choices it counts each by itself; a completion's logprobs have a chat's shape.
    counts_apart: bool = False
    # It overlooks a forced `tool_choice` and `parallel_tool_calls: false`, but binds an answer to a response_format, of
    # which the gateway makes forced calls; it keeps back second ones.
    binds_answers: bool = False
    loose_ends: bool = False  # nobody knows whether its streams end with a finish reason and the usage asked for
    sees: bool | None = None  # it takes images in messages; None: nobody knows
    context: int | None = None  # tokens of a request that it was started for; None: nobody has said
    most_inputs: int | None = None  # of an embeddings request that it is well served with; None: any number
    too_long: str = ""  # words of the 500 by which it refuses an input that is too long for it


WELL_BEHAVED = EngineTraits()
