"""Bytes that are nearly HTTP, from clients that may leave at any point."""

from __future__ import annotations

from drawing import clients
from fuzzing import fuzz_cases
from live import LiveDoor


def test_sockets(door: LiveDoor) -> None:
    fuzz_cases(door, "sockets", clients(), share=0.3)
