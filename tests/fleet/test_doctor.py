"""`argosy doctor` over a real fleet that falls ill."""

from __future__ import annotations

import json
import socket
from typing import Any

from command import Argosy, kill

FLEET = "gateway: {port: 0}\ngrace: 1\ndeployments: {a: {engine: echo}}"


def examine(argosy: Argosy, code: int) -> list[dict[str, Any]]:
    findings: list[dict[str, Any]] = json.loads(argosy.run("doctor", "--json", code=code).stdout)
    return findings


def ill(findings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["level"], each["check"]) for each in findings if each["level"] != "ok" and each["check"] != "memory"]


def test_a_well_fleet_then_without_its_controller_then_without_its_gateway(argosy: Argosy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub:
        argosy.variables = {
            "ARGOSY_SOURCES": "hf,modelscope",
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.getsockname()[1]}",
            "MODELSCOPE_ENDPOINT": "http://127.0.0.1:1",
        }
        argosy.run("up", "-d", argosy.file(FLEET))
        well = examine(argosy, 0)
    hubs = {each["found"].partition(":")[0]: each["level"] for each in well if each["check"] == "hubs"}
    assert hubs == {"hf": "ok", "modelscope": "warn"}
    own = {"fleet", "leftovers", "keys"}
    assert {each["level"] for each in well if each["check"] in own} == {"ok"}
    assert any("fleet: 1 of 1 replicas ready at http://127.0.0.1:" in each["found"] for each in well)

    kill(argosy.pid("controller"))
    assert ("warn", "fleet") in ill(examine(argosy, 0))

    kill(argosy.pid("gateway"))
    (argosy.fleet().root / "secrets" / "admin_key").chmod(0o644)
    findings = ill(examine(argosy, 1))
    assert ("fail", "fleet") in findings
    assert ("fail", "keys") in findings

    for who in argosy.everything():
        who.send_signal(9)
    page = argosy.run("doctor", code=1).stdout
    assert "fleet fleet ended without `argosy down`; its records are left" in page
    assert "→ chmod 600" in page
