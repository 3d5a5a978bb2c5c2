"""A fleet of which a part does not fit into this machine: that part is refused with the numbers, the rest comes up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from command import Argosy

pytestmark = pytest.mark.model


def test_a_context_that_does_not_fit_is_refused_with_the_numbers_and_others_come_up(
    argosy: Argosy, smollm2: Path
) -> None:
    text = f"""
gateway: {{port: 0}}
deployments:
  good: {{source: {smollm2}, replicas: 2, options: {{context: 256, slots: 1, threads: 1, gpu_layers: 0}}}}
  absurd: {{source: {smollm2}, replicas: 2, options: {{context: 4000000, slots: 64, threads: 1, gpu_layers: 0}}}}
"""
    argosy.run("up", "-d", argosy.file(text), code=1)
    replicas = argosy.replicas()
    assert {name: replicas[name]["state"] for name in replicas} == {
        **{f"good.{index}": "ready" for index in (0, 1)},
        **{f"absurd.{index}": "failed" for index in (0, 1)},
    }
    for index in (0, 1):
        reason = replicas[f"absurd.{index}"]["reason"]
        assert re.match(
            rf"absurd\.{index} needs at least \d+\.\d GiB of memory \(weights 0\.09, cache \d+\.\d\).* and "
            r"\d+\.\d+ GiB are available here.*: would fit: context \d+ with 64 slots, or context \d+ with \d+ slots?",
            reason,
        ), reason
    reservations = argosy.home / "memory"
    assert sorted(file.name for file in reservations.glob("*.json")) == ["fleet@good.0.json", "fleet@good.1.json"]
    argosy.run("down")
    assert not list(reservations.glob("*.json"))
