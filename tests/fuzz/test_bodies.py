"""Bodies that are nearly right, to every endpoint: taken, or refused in an envelope."""

from __future__ import annotations

from drawing import PATHS, bodies, body_case
from fuzzing import fuzz_cases
from hypothesis import strategies as st
from live import LiveDoor


def test_bodies(door: LiveDoor) -> None:
    drawn = st.sampled_from(PATHS).flatmap(lambda path: bodies(path).map(lambda body: body_case(path, body)))
    fuzz_cases(door, "bodies", drawn, share=0.2)
