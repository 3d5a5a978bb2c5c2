"""Events of a stream that the gateway asked for on its own account: clients, who did not, do not get them. Pure.

Looks for names with their quotes: inside a text those have backslashes before them. Most events hold none and are
passed on without a closer look.
"""

from __future__ import annotations

import re

from argosy.wire.sse import split_events

LATEST_BYTES = 2048  # of what came together, in which usage is looked for
_NO_CHOICES = re.compile(rb'"choices":\s*\[\]')
_USAGE = re.compile(rb'"usage":\s*\{')
_PROGRESS = b'"prompt_progress":'


def without_usage(events: bytes) -> bytes:
    """Whole events but those that tell nothing but usage."""
    # It is among a stream's last: a search through every burst would cost more than all else that is done with it.
    if events.find(b'"choices":[]', -LATEST_BYTES) < 0 and events.find(b'"choices": []', -LATEST_BYTES) < 0:
        return events
    return b"".join(event for event in split_events(events) if not (_NO_CHOICES.search(event) and _USAGE.search(event)))


def without_progress(events: bytes) -> bytes:
    """Whole events but those that tell how far llama.cpp has read a prompt; they say nothing else."""
    if _PROGRESS not in events:
        return events
    return b"".join(event for event in split_events(events) if _PROGRESS not in event)
