"""What a listener is told of a fleet."""

from __future__ import annotations

from argosy.fleet.report import snapshot
from argosy.protocol.admin import DeploymentReport, FleetReport, ProcessReport, ReplicaReport


def test_what_is_so_already_is_told_with_the_hour_when_it_began() -> None:
    report = FleetReport(
        name="demo",
        controller=ProcessReport(state="running", since=10.0),
        gateways=[ProcessReport(state="running", address="http://127.0.0.1:1", since=20.0)],
        deployments=[
            DeploymentReport(
                name="m",
                engine="echo",
                replicas=[ReplicaReport(id="m.0", state="ready", since=30.0), ReplicaReport(id="m.1", state="pending")],
            )
        ],
    )
    assert [(event.name, event.state, event.at) for event in snapshot(report)] == [
        ("m.0", "ready", 30.0),
        ("m.1", "pending", 0.0),
        ("gateway", "running", 20.0),
    ]
