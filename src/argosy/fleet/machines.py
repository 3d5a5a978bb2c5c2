"""What the machines of a fleet have, now: memory here; GPUs where something tells of them."""

from __future__ import annotations

import platform

import psutil

from argosy.protocol.admin import MachineReport


def this_machine() -> MachineReport:
    memory = psutil.virtual_memory()
    return MachineReport(name=platform.node(), memory_bytes=memory.total, available_bytes=memory.available)
