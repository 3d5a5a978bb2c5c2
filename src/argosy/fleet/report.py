"""The fleet as `argosy ps` shows it: what is wanted, beside what runs and why not. Pure; also tells what changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from argosy.config.engine_name import UNDECIDED
from argosy.config.schema import Deployment, Fleet
from argosy.fleet.launcher import LaunchedReplica
from argosy.fleet.planner import deployment_of, planned_id, replica_id
from argosy.protocol.admin import DeploymentReport, Event, FleetReport, ProcessReport, ReplicaReport, ReplicaView
from argosy.protocol.replica import ReplicaState


@dataclass(frozen=True)
class Absence:
    """Why a replica that is wanted does not run, and how often its worker was started again."""

    state: ReplicaState = ReplicaState.PENDING
    reason: str = ""
    restarts: int = 0


def fleet_report(
    name: str,
    fleet: Fleet,
    stopped: Collection[str],
    *,
    launched: Mapping[str, LaunchedReplica],
    absences: Mapping[str, Absence],
    gateways: Sequence[ProcessReport],
    controller: ProcessReport,
    fastchat: ProcessReport | None = None,
    drained: Collection[str] = (),
    views: Iterable[ReplicaView] = (),
    waiting: Mapping[str, int] | None = None,
) -> FleetReport:
    """`views`: what the gateway sees; it alone knows remote deployments and workers that were started by hand."""
    seen = {view.id: view for view in views}
    reports = {
        each: _deployment(
            each,
            deployment,
            stopped=each in stopped,
            launched=launched,
            absences={**absences, **{replica: _drained(replica) for replica in drained}},
            drained=drained,
            seen=seen,
            waiting=(waiting or {}).get(each, 0),
        )
        for each, deployment in fleet.deployments.items()
    }
    leaving = [each for each in launched.values() if each.alive and deployment_of(each.id) not in reports]
    alone = controller.state == "none"  # nobody but the gateway knows then what it serves
    others = [each for each in seen.values() if each.deployment not in reports and (alone or not planned_id(each.id))]
    for deployment in sorted({deployment_of(each.id) for each in leaving} | {view.deployment for view in others}):
        replicas = [
            _replica(each, absences.get(each.id), seen) for each in leaving if deployment_of(each.id) == deployment
        ]
        views_of_it = [view for view in others if view.deployment == deployment]
        replicas += [_viewed(view) for view in views_of_it]
        urls = sum(not view.worker_pid for view in views_of_it)  # of a `remote` deployment: these have no worker
        reports[deployment] = DeploymentReport(
            name=deployment,
            engine="remote" if urls else "",
            wanted=urls,
            ready=_count_ready(replicas),
            replicas=replicas,
        )
    return FleetReport(
        name=name,
        gateways=list(gateways),
        controller=controller,
        fastchat=fastchat,
        deployments=list(reports.values()),
    )


def changes(before: FleetReport | None, after: FleetReport, *, now: float) -> Iterator[Event]:
    """What is worth a line: every state, reason or restart that is another than before."""
    old_replicas = dict(_replicas(before)) if before else {}
    for replica in dict(_replicas(after)).values():
        old = old_replicas.get(replica.id)
        if old is None or (old.state, old.reason, old.restarts) != (replica.state, replica.reason, replica.restarts):
            yield replica_event(replica, now, began=old.since if old else None)
    for gone in old_replicas.keys() - dict(_replicas(after)).keys():
        yield Event(at=now, kind="replica", name=gone, state=ReplicaState.STOPPED)
    old_gateways = [(each.state, each.address, each.reason) for each in before.gateways] if before else []
    for number, gateway in enumerate(after.gateways):
        if [(gateway.state, gateway.address, gateway.reason)] != old_gateways[number : number + 1]:
            yield gateway_event(gateway, now)


def replica_event(replica: ReplicaReport, at: float, *, began: float | None = None) -> Event:
    reason = replica.reason
    if replica.state == ReplicaState.READY and not reason:
        took = f" after {replica.since - began:.1f} s" if began and replica.since > began else ""
        reason = f"{replica.address or ''}{took}"
    return Event(at=at, kind="replica", name=replica.id, state=replica.state, reason=reason)


def gateway_event(gateway: ProcessReport, at: float) -> Event:
    reason = gateway.reason or (gateway.address or "" if gateway.state == "running" else "")
    return Event(at=at, kind="gateway", name="gateway", state=gateway.state, reason=reason)


def snapshot(report: FleetReport) -> list[Event]:
    """How each thing stands, as an event of when that began; 0.0: nobody knows."""
    replicas = [replica_event(each, each.since) for each in dict(_replicas(report)).values()]
    return replicas + [gateway_event(each, each.since) for each in report.gateways]


def index_order(replica: str) -> tuple[bool, int, str]:
    """m.2 before m.10, started by hand last."""
    index = replica.rpartition(".")[2]
    return (not index.isdecimal(), int(index) if index.isdecimal() else 0, replica)


def _deployment(
    name: str,
    deployment: Deployment,
    *,
    stopped: bool,
    launched: Mapping[str, LaunchedReplica],
    absences: Mapping[str, Absence],
    drained: Collection[str],
    seen: Mapping[str, ReplicaView],
    waiting: int,
) -> DeploymentReport:
    remote = deployment.engine_name == "remote"
    planned = [] if remote else [replica_id(name, index) for index in range(deployment.replicas)]
    wanted = len(deployment.urls) if remote else sum(each not in drained for each in planned)
    ids = {each.id for each in launched.values() if each.alive and deployment_of(each.id) == name}
    if not stopped:
        ids |= set(planned)
    replicas = [_replica(launched.get(each), absences.get(each), seen, id_=each) for each in ids]
    # What the controller started, it knows better: a gateway remembers silent ones for a while.
    joined = (view for view in seen.values() if view.deployment == name and (remote or not planned_id(view.id)))
    replicas += [_viewed(view) for view in joined if view.id not in ids]
    replicas.sort(key=lambda replica: index_order(replica.id))
    return DeploymentReport(
        name=name,
        engine=_engine(deployment, launched, name),
        source=deployment.source,
        aliases=list(deployment.aliases),
        wanted=wanted,
        ready=_count_ready(replicas),
        stopped=stopped,
        waiting=waiting,
        replicas=replicas,
    )


def _engine(deployment: Deployment, launched: Mapping[str, LaunchedReplica], name: str) -> str:
    """Where the files decide, a replica that has them tells."""
    if deployment.engine_name != UNDECIDED:
        return deployment.engine_name
    told = (each.status.traits.engine for each in launched.values() if each.status and deployment_of(each.id) == name)
    return next(filter(None, told), UNDECIDED)


def _replica(
    launched: LaunchedReplica | None,
    absence: Absence | None,
    seen: Mapping[str, ReplicaView],
    *,
    id_: str = "",
) -> ReplicaReport:
    absence = absence or Absence()
    if launched is None or not launched.alive:
        return ReplicaReport(
            id=launched.id if launched else id_,
            state=absence.state,
            reason=absence.reason,
            restarts=absence.restarts + (launched.status.restarts if launched and launched.status else 0),
            since=launched.status.since if launched and launched.status else 0.0,
        )
    status = launched.status
    view = seen.get(launched.id)
    in_flight = view.in_flight if view else 0
    tokens_per_second = view.tokens_per_second if view else 0.0
    if status is None:
        return ReplicaReport(
            id=launched.id,
            state=ReplicaState.PENDING,
            worker_pid=launched.worker_pid,
            restarts=absence.restarts,
            in_flight=in_flight,
            tokens_per_second=tokens_per_second,
        )
    return ReplicaReport(
        id=launched.id,
        state=status.state,
        reason=status.reason or _left_alone(view) or absence.reason,
        node=status.node,
        devices=list(status.devices),
        address=status.address,
        worker_pid=launched.worker_pid,
        engine_pid=status.engine_pid,
        in_flight=in_flight,
        restarts=status.restarts + absence.restarts,
        since=status.since,
        tokens_per_second=tokens_per_second,
        memory_bytes=status.memory_bytes,
    )


def _left_alone(view: ReplicaView | None) -> str:
    """Why a gateway sends nothing to a replica that says it can serve."""
    if view is None or view.routable or view.state != ReplicaState.READY or not view.reason:
        return ""
    return f"the gateway leaves it alone: {view.reason}"


def _viewed(view: ReplicaView) -> ReplicaReport:
    silent = view.state == ReplicaState.READY and not view.routable
    # One that the gateway hears and leaves alone, it asks again; the other it has lost.
    unused = ReplicaState.BACKOFF if view.reason else ReplicaState.STOPPED
    return ReplicaReport(
        id=view.id,
        state=unused if silent else view.state,
        reason=view.reason or ("the gateway hears nothing of it" if silent else ""),
        node=view.node,
        devices=list(view.devices),
        address=view.address,
        worker_pid=view.worker_pid or None,
        engine_pid=view.engine_pid,
        in_flight=view.in_flight,
        restarts=view.restarts,
        since=view.since,
        tokens_per_second=view.tokens_per_second,
        memory_bytes=view.memory_bytes,
    )


def _drained(replica: str) -> Absence:
    return Absence(ReplicaState.STOPPED, f"drained; `argosy start {replica}` brings it back")


def _count_ready(replicas: Iterable[ReplicaReport]) -> int:
    return sum(replica.state == ReplicaState.READY for replica in replicas)


def _replicas(report: FleetReport) -> Iterator[tuple[str, ReplicaReport]]:
    for deployment in report.deployments:
        for replica in deployment.replicas:
            yield replica.id, replica
