"""Engines that answer with nearly the OpenAI wire, cut off anywhere or never."""

from __future__ import annotations

from drawing import engines
from fuzzing import fuzz_cases
from live import LiveDoor


def test_engines(door: LiveDoor) -> None:
    fuzz_cases(door, "engines", engines(), share=0.3)
