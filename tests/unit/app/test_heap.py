from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from argosy.app.heap import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    bytes(2_000_000)  # fresh pages once, or each time
before = faults()
for _ in range(100):
    bytes(bytearray(2_000_000))
print((faults() - before) / 100)
"""


def faults_of_a_body(how: str) -> float:
    return float(subprocess.check_output([sys.executable, "-c", SCRIPT, how]))


@pytest.mark.skipif(sys.platform != "linux", reason="another C library")
def test_a_large_body_after_another_gets_the_same_pages() -> None:
    assert faults_of_a_body("keep") < 20
    assert faults_of_a_body("leave") > 100, "else there is nothing to do here any more"
