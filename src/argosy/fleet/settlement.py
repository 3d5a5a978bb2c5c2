"""Whether a fleet has come as far as it can: all ready, or some failed for good, or still on its way. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from argosy.fleet.launcher import LaunchedReplica
from argosy.protocol.admin import DeploymentReport, FleetReport
from argosy.protocol.replica import ReplicaSpec, ReplicaState

READY, FAILED, STARTING = "ready", "failed", "starting"


@dataclass(frozen=True)
class Settlement:
    state: str  # READY | FAILED | STARTING
    failed: tuple[str, ...] = ()  # what failed: deployments, or `gateway`


def settlement(
    report: FleetReport,
    wanted: Mapping[str, ReplicaSpec],
    launched: Mapping[str, LaunchedReplica],
    stopping: Collection[str],
    refused: Collection[str] = (),
) -> Settlement:
    """`stopping`: ids of replicas that are being stopped, to be replaced or for good. `refused`: of those that have no
    place to run."""
    states = {
        deployment.name: _deployment(deployment, wanted, launched, stopping, refused)
        for deployment in report.deployments
        if deployment.engine  # else it has left the fleet and is only finishing
    }
    for gateway in report.gateways:
        answers = READY if not gateway.reason else STARTING
        states["gateway"] = {"running": answers, "stopped": READY, "failed": FAILED}.get(gateway.state, STARTING)
    if STARTING in states.values():
        return Settlement(STARTING)
    failed = tuple(name for name, state in states.items() if state == FAILED)
    return Settlement(FAILED if failed else READY, failed)


def _deployment(
    report: DeploymentReport,
    wanted: Mapping[str, ReplicaSpec],
    launched: Mapping[str, LaunchedReplica],
    stopping: Collection[str],
    refused: Collection[str],
) -> str:
    if report.stopped:
        return READY
    if report.engine == "remote":
        states = [replica.state for replica in report.replicas]
        if len(states) < report.wanted or ReplicaState.STARTING in states:
            return STARTING
        # Whether a remote ever comes is not ours to say: one that does not answer now counts as failed.
        return READY if all(state == ReplicaState.READY for state in states) else FAILED
    failed = waiting = 0
    serving_old = True  # all that has not failed is an old replica that waits for its replacement
    for replica in report.replicas:
        spec, found = wanted.get(replica.id), launched.get(replica.id)
        failed += replica.id in refused
        if spec is None:
            continue
        current = found is None or not found.alive or found.spec.generation == spec.generation
        if current and replica.state == ReplicaState.FAILED:
            failed += 1
        elif not current or replica.id in stopping or replica.state != ReplicaState.READY:
            waiting += 1
            serving_old &= not current and found is not None and found.ready and replica.id not in stopping
    if waiting and not (failed and serving_old):  # one that failed holds back the replacement of the others
        return STARTING
    return FAILED if failed else READY
