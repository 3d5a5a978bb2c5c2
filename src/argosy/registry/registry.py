"""Who serves what now: deployments, their replicas, leases in time, requests in flight. The sole owner of all of it.

Fed by heartbeats, by the fleet's table, and by the relay's and the prober's findings; never by a reading request. Does
no I/O and has no clock of its own: times are monotonic seconds passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from argosy.protocol.admin import FleetTable, ReplicaView
from argosy.protocol.deployment import DeploymentRecord, RemoteRecord
from argosy.protocol.heartbeat import LEASE_SECONDS, Heartbeat
from argosy.protocol.replica import ReplicaState
from argosy.registry import claims, health
from argosy.registry.records import Deployment, Replica
from argosy.registry.remotes import remote_status, replicas_of
from argosy.registry.routable import routable_of
from argosy.registry.views import view

FORGET_SECONDS = 60.0  # a replica that has been silent for so long is dropped from the table
STALL_SECONDS = 1.0  # a sweep that comes so much later than asked tells of our own stall, not of dead workers
MOST_DROPPED = 10_000


class Registry:
    """`on_change(deployment)` is called when a deployment may have gained or lost a routable replica."""

    def __init__(self, on_change: Callable[[Deployment], None] = lambda _: None) -> None:
        self.on_change = on_change
        self.deployments: dict[str, Deployment] = {}
        self.replicas: dict[str, Replica] = {}
        self.table = FleetTable(revision=0)
        self._aliases: dict[str, Deployment] = {}
        self._dropped: dict[str, int] = {}  # replicas that have left → the seq of their last heartbeat
        self._turn = 0

    # asking

    def find(self, model: str) -> Deployment | None:
        """The deployment of that name, or with that alias."""
        return self.deployments.get(model) or self._aliases.get(model)

    def models(self) -> list[tuple[str, Deployment]]:
        """(name or alias, deployment), names first."""
        names = list(self.deployments.items())
        return names + [(alias, found) for alias, found in self._aliases.items() if alias not in self.deployments]

    def given_up(self, deployment: Deployment) -> dict[str, str]:
        """Replica id → reason, of those that failed for good."""
        reasons = {
            replica.id: replica.status.reason
            for replica in deployment.replicas.values()
            if replica.status.state == ReplicaState.FAILED
        }
        for replica, reason in self.table.failed.items():
            if replica.rpartition(".")[0] == deployment.record.name and not self._lives(replica):
                reasons[replica] = reason
        return reasons

    def settled(self, deployment: Deployment) -> bool:
        """It has reached its wanted replicas since the start, or what is missing has failed, or it is stopped."""
        missing = deployment.record.replicas - len(deployment.routable)
        failed = self.given_up(deployment).keys() | {
            # Whether a remote that does not answer ever comes is not ours to say.
            replica.id
            for replica in deployment.replicas.values()
            if replica.remote is not None and replica.status.state == ReplicaState.BACKOFF
        }
        return deployment.record.stopped or deployment.reached or missing <= len(failed)

    def views(self) -> list[ReplicaView]:
        return [
            view(replica, routable=replica in self.deployments[replica.deployment].routable)
            for replica in self.replicas.values()
        ]

    # leases: the dispatcher's

    def acquire(self, replica: Replica) -> None:
        replica.in_flight += 1
        self._turn += 1
        replica.turn = self._turn

    def release(self, replica: Replica) -> None:
        assert replica.in_flight > 0, f"{replica.id} was released more often than it was acquired"
        replica.in_flight -= 1

    # telling

    def apply_heartbeat(self, heartbeat: Heartbeat, now: float) -> Replica | None:
        """Takes what a worker says; None for one that is older than the last (replayed, or overtaken on its way)."""
        status = heartbeat.status
        replica = self.replicas.get(status.id)
        if heartbeat.seq <= (replica.seq if replica is not None else self._dropped.get(status.id, 0)):
            return None
        name = heartbeat.deployment.name
        if replica is not None and replica.deployment != name:
            self._drop(replica)
            replica = None
        deployment = self.deployments.get(name)
        record, aliases = heartbeat.deployment, tuple[str, ...]()
        if status.by_hand:  # its aliases are there as long as it is, whatever others of its deployment bring along
            record, aliases = msgspec.structs.replace(record, aliases=[]), tuple(record.aliases)
        if deployment is None:
            deployment = self._add_deployment(record)
        elif record.revision > deployment.record.revision and not deployment.asked_for:
            self._set_record(deployment, record)
        known = replica is not None and replica.status.model == status.model
        if replica is None:
            replica = Replica(status.id, name, status, serving_since=now, unproven=status.by_hand)
            self.replicas[status.id] = deployment.replicas[status.id] = replica
        elif (status.epoch, status.address) != (replica.status.epoch, replica.status.address):
            replica.absolve()
            replica.forgive()
            replica.trusted_until = 0.0
            replica.unproven = status.by_hand
            replica.serving_since = now
        before, served = replica.status, replica.serving
        replica.status, replica.seq, replica.heard_at = status, heartbeat.seq, now
        if not known:
            self._judge(deployment)
        if aliases != replica.aliases:
            replica.aliases = aliases
            self._index_aliases()
        replica.weigh(now, served=served)
        if status.state == ReplicaState.STOPPED and replica.in_flight == 0:
            self._drop(replica)
        self._refresh(deployment, now)
        # Those who wait may have been kept out by what it was: tried it before, or found it full.
        renewed = (status.epoch, status.concurrency) != (before.epoch, before.concurrency)
        if renewed or status.state == ReplicaState.FAILED:
            self.on_change(deployment)
        return replica

    def apply_table(self, table: FleetTable, now: float) -> bool:
        """Takes desired state; False for one that is older than what is known."""
        if table.revision < self.table.revision:
            return False
        changed = table != self.table
        self.table = table
        wanted = {record.name: record for record in table.deployments}
        for name, record in wanted.items():
            deployment = self.deployments.get(name)
            if deployment is None:
                deployment = self._add_deployment(record)
            elif record.revision > deployment.record.revision:
                self._set_record(deployment, record)
            deployment.asked_for = True
        for name, deployment in list(self.deployments.items()):
            if name not in wanted:
                deployment.asked_for = False
                self._drop_if_empty(deployment)
        self._drop_the_dead(table.failed, now)
        self._apply_remotes(table.remotes)
        for deployment in list(self.deployments.values()):
            self._refresh(deployment, now)
            if changed:
                self.on_change(deployment)
        return True

    def report_probe(
        self, replica: Replica, fault: str | None, now: float, *, for_good: bool = False, answered: bool = False
    ) -> None:
        """What a probe found: None is well. A remote replica's state follows it; an ejected one comes back by it.

        `for_good`: no later probe will find anything else. `answered`: it did what requests ask for, so that what they
        failed by was their own.
        """
        if self.replicas.get(replica.id) is not replica:
            return
        gave_up, served = False, replica.serving
        if replica.remote is not None:
            state = ReplicaState.READY
            if fault is not None:
                state = ReplicaState.FAILED if for_good else ReplicaState.BACKOFF
            if replica.status.state != state or replica.status.reason != (fault or ""):
                replica.status = remote_status(replica.id, replica.remote, replica.status.address or "", state, fault)
                gave_up = state == ReplicaState.FAILED
        elif fault is not None and not (replica.ejected or replica.unproven) and self._has_others(replica):
            self._eject(replica, fault, now, failing=True)
        if replica.unproven:
            replica.unproven, replica.fault = fault is not None, fault or ""
        elif fault is None and replica.ejected:
            replica.absolve()
            if self._has_others(replica) and not answered:
                replica.trial_until = now + health.TRIAL_SECONDS
        if fault is None and answered:
            replica.forgive()
            replica.trusted_until = now + health.TRUSTED_SECONDS
        replica.weigh(now, served=served)
        deployment = self.deployments[replica.deployment]
        self._refresh(deployment, now)
        if gave_up:
            self.on_change(deployment)

    def eject(self, replica: Replica, fault: str, now: float) -> None:
        """A connection to it failed: nothing is sent there until a probe succeeds."""
        if self.replicas.get(replica.id) is replica:
            replica.failures += 1
            self._eject(replica, fault, now, failing=False)

    def report_failure(self, replica: Replica, code: str, fault: str, now: float, *, answered: str = "") -> None:
        """It failed a request. One that does so again and again is ejected, where there are others.

        `answered`: the path of one that it answered in its own words."""
        replica.errors[code] = replica.errors.get(code, 0) + 1
        if code not in health.TELLING or self.replicas.get(replica.id) is not replica:
            return
        replica.failures += 1
        replica.doubted = answered or replica.doubted
        trusted = bool(answered) and now < replica.trusted_until
        on_trial, others = replica.trial_until > 0, self._has_others(replica)
        if not replica.ejected and health.is_out(replica.failures, on_trial=on_trial, others=others, trusted=trusted):
            told = f"{replica.failures} requests failed in a row, the last one: {fault}"
            self._eject(replica, told, now, failing=True)

    def report_success(self, replica: Replica, now: float) -> None:
        """It served a request: wanted only of one that has failed some (`failures`)."""
        deployment = self.deployments.get(replica.deployment)
        # Who is out and serves nobody tells of the time before.
        if deployment is None or replica not in deployment.routable:
            return
        served = replica.serving
        replica.absolve()
        replica.forgive()
        replica.weigh(now, served=served)
        self._refresh(deployment, now)
        self.on_change(deployment)  # it may take more than before

    def count_retry(self, replica: Replica) -> None:
        """A request that it failed is sent on."""
        replica.retries += 1

    def sweep(self, now: float, due: float) -> None:
        """Lets leases run out. `due`: when this sweep was meant to come; if we are late, silence is our own fault."""
        late = now - due
        if late > STALL_SECONDS:
            for replica in self.replicas.values():
                replica.heard_at = min(now, replica.heard_at + late)
        for replica in list(self.replicas.values()):
            silent = replica.remote is None and now - replica.heard_at > FORGET_SECONDS
            if silent and replica.in_flight == 0:
                self._drop(replica)
        for replica in self.replicas.values():
            trial_ends = 0 < replica.trial_until <= now
            if trial_ends:
                replica.trial_until = 0.0
            replica.weigh(now, served=True)
            if trial_ends:
                self.on_change(self.deployments[replica.deployment])
        for deployment in list(self.deployments.values()):
            self._refresh(deployment, now)
            self._drop_if_empty(deployment)

    # own affairs

    def _has_others(self, replica: Replica) -> bool:
        return any(other is not replica for other in self.deployments[replica.deployment].routable)

    def _eject(self, replica: Replica, fault: str, now: float, *, failing: bool) -> None:
        replica.eject(fault, failing=failing)
        self._refresh(self.deployments[replica.deployment], now)

    def _lives(self, replica: str) -> bool:
        known = self.replicas.get(replica)
        return known is not None and known.status.state != ReplicaState.FAILED

    def _refresh(self, deployment: Deployment, now: float) -> None:
        """Which replicas are routable, and whether it has what it wants."""
        routable = routable_of(deployment.replicas.values(), now)
        if len(routable) >= deployment.record.replicas and not deployment.reached:
            deployment.reached = True
        if routable != deployment.routable:
            deployment.routable = routable
            self.on_change(deployment)

    def _add_deployment(self, record: DeploymentRecord) -> Deployment:
        deployment = self.deployments[record.name] = Deployment(record)
        self._index_aliases()
        return deployment

    def _set_record(self, deployment: Deployment, record: DeploymentRecord) -> None:
        before = deployment.record
        grown = record.replicas > before.replicas or (before.stopped and not record.stopped)
        deployment.record = record
        deployment.reached = deployment.reached and not grown
        self._index_aliases()
        self.on_change(deployment)

    def _index_aliases(self) -> None:
        brought = [(alias, each.deployment) for each in self.replicas.values() for alias in each.aliases]
        self._aliases = {alias: self.deployments[name] for alias, name in reversed(brought)}
        self._aliases |= {alias: entry for entry in self.deployments.values() for alias in entry.record.aliases}

    def _judge(self, deployment: Deployment) -> None:
        """Who was started by hand serves only the model that the others of its name serve."""
        measured = claims.measure(deployment.replicas.values())
        for replica in deployment.replicas.values():
            if replica.status.by_hand and replica is not measured:
                replica.refusal = claims.misfit(deployment.record.name, replica.status.model, measured)
        if measured is not None:
            measured.refusal = ""

    def _drop(self, replica: Replica) -> None:
        del self.replicas[replica.id]
        if replica.seq:
            self._dropped[replica.id] = replica.seq
            if len(self._dropped) > MOST_DROPPED:
                del self._dropped[next(iter(self._dropped))]
        deployment = self.deployments[replica.deployment]
        del deployment.replicas[replica.id]
        if replica in deployment.routable:
            deployment.routable = tuple(other for other in deployment.routable if other is not replica)
            self.on_change(deployment)
        if replica.aliases:
            self._index_aliases()
        if any(other.refusal for other in deployment.replicas.values()):
            self._judge(deployment)
        self._drop_if_empty(deployment)

    def _drop_the_dead(self, failed: Iterable[str], now: float) -> None:
        """A worker that was killed too often could not say that it gave up: its last word would stand for a minute."""
        for replica in [self.replicas[each] for each in failed if each in self.replicas]:
            silent = replica.remote is None and now - replica.heard_at > LEASE_SECONDS
            if silent and replica.in_flight == 0:
                deployment = self.deployments[replica.deployment]
                self._drop(replica)
                self.on_change(deployment)

    def _drop_if_empty(self, deployment: Deployment) -> None:
        """A deployment that only workers told of goes with its last replica."""
        name = deployment.record.name
        if not deployment.asked_for and not deployment.replicas and self.deployments.pop(name, None) is not None:
            self._index_aliases()
            self.on_change(deployment)

    def _apply_remotes(self, remotes: Iterable[RemoteRecord]) -> None:
        wanted = replicas_of(remotes)
        for replica in [known for known in self.replicas.values() if known.remote is not None]:
            remote, url = wanted.get(replica.id, (None, None))
            if (replica.remote, replica.status.address) != (remote, url):
                self._drop(replica)
        for replica_id, (remote, url) in wanted.items():
            if replica_id not in self.replicas and remote.deployment in self.deployments:
                status = remote_status(replica_id, remote, url, ReplicaState.STARTING, "not probed yet")
                replica = Replica(replica_id, remote.deployment, status, remote=remote)
                self.replicas[replica_id] = self.deployments[remote.deployment].replicas[replica_id] = replica
