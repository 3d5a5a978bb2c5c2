"""What is wanted of a fleet, and how each command changes it. Pure: the time is passed in, nothing is written here.

`up` replaces all of it. `stop`, `drain` and `scale` last until the next `up`; a `restart` is remembered by the revision
that asked for it, so that a controller that dies over it leaves the rest of it to the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from argosy.config.schema import Deployment, Fleet
from argosy.config.values import RESERVED_NAMES
from argosy.errors import InputError, NotFoundError
from argosy.fleet.planner import deployment_of, planned_id, replica_id
from argosy.state import DesiredState

# Names that no deployment may have: what `stop` and `start` take besides.
GATEWAY, WORKERS = "gateway", "workers"


@dataclass(frozen=True)
class Desired:
    """`now`, in all that changes it: Unix milliseconds. Raises NotFoundError, InputError for what cannot be wanted."""

    fleet: Fleet
    revision: int
    stopped: frozenset[str] = frozenset()  # deployments, and GATEWAY
    drained: frozenset[str] = frozenset()  # replicas
    restarts: Mapping[str, int] = field(default_factory=dict)  # deployment → the revision that asked for it last

    @classmethod
    def of(cls, state: DesiredState) -> Desired:
        """Raises ValidationError for what another version wrote."""
        return cls(
            fleet=Fleet.model_validate(state.fleet),
            revision=state.revision,
            stopped=frozenset(state.stopped),
            drained=frozenset(state.drained),
            restarts=state.restarts,
        )

    def state(self) -> DesiredState:
        return DesiredState(
            fleet=self.fleet.model_dump(mode="json", exclude_defaults=True),
            revision=self.revision,
            stopped=sorted(self.stopped),
            drained=sorted(self.drained),
            restarts=dict(self.restarts),
        )

    def applied(self, fleet: Fleet, now: int) -> Desired:
        """Another fleet; whatever was stopped or drained is wanted again."""
        restarts = {name: revision for name, revision in self.restarts.items() if name in fleet.deployments}
        return Desired(fleet, self._next(now), restarts=restarts)

    def with_stopped(self, name: str, now: int) -> Desired:
        """`name`: a deployment, `gateway`, or `workers` for every deployment that has some."""
        return replace(self, revision=self._next(now), stopped=self.stopped | self._meant(name))

    def with_started(self, name: str, now: int) -> Desired:
        """`name`: as above, a deployment with all of its replicas; or one replica that was drained."""
        if name in RESERVED_NAMES:
            meant = self._meant(name)
            drained = frozenset(replica for replica in self.drained if deployment_of(replica) not in meant)
            return replace(self, revision=self._next(now), stopped=self.stopped - meant, drained=drained)
        if name not in self.fleet.deployments and (replica := self._replica(name)) is not None:
            return replace(self, revision=self._next(now), drained=self.drained - {replica})
        self._known(name)
        return replace(self, revision=self._next(now), stopped=self.stopped - {name}, drained=self._undrained(name))

    def with_replicas(self, name: str, replicas: int, now: int) -> Desired:
        before = self._known(name)
        if before.engine_name == "remote":
            raise InputError(
                f"{name} is remote: it has one replica for each of its urls. Change them in the fleet file, then"
                " `argosy up`"
            )
        try:
            given = before.model_dump(exclude_unset=True)
            after = Deployment.model_validate({**given, "replicas": replicas})
        except ValidationError as error:
            raise InputError(f"{name}: {replicas} replicas cannot be had: {error.errors()[0]['msg']}") from None
        deployments = {each: after if each == name else kept for each, kept in self.fleet.deployments.items()}
        fleet = self.fleet.model_copy(update={"deployments": deployments})
        return replace(self, fleet=fleet, revision=self._next(now), drained=self._undrained(name))

    def with_restart(self, name: str, now: int) -> Desired:
        deployment = self._known(name)
        if deployment.engine_name == "remote":
            raise InputError(f"{name} is remote: it runs elsewhere, and is restarted there")
        if name in self.stopped:
            raise InputError(f"{name} is stopped: `argosy start {name}` starts it")
        revision = self._next(now)
        return replace(self, revision=revision, restarts={**self.restarts, name: revision})

    def with_drained(self, replica: str, now: int) -> Desired:
        found = self._replica(replica)
        if found is None:
            raise self._no_replica(replica)
        return replace(self, revision=self._next(now), drained=self.drained | {found})

    @property
    def gateway_stopped(self) -> bool:
        return GATEWAY in self.stopped

    def _meant(self, name: str) -> frozenset[str]:
        if name == WORKERS:
            return frozenset(
                each for each, deployment in self.fleet.deployments.items() if deployment.engine_name != "remote"
            )
        if name != GATEWAY:
            self._known(name)
        return frozenset({name})

    def _next(self, now: int) -> int:
        return max(now, self.revision + 1)

    def _undrained(self, name: str) -> frozenset[str]:
        return frozenset(replica for replica in self.drained if deployment_of(replica) != name)

    def _known(self, name: str) -> Deployment:
        if name not in self.fleet.deployments:
            known = ", ".join(self.fleet.deployments) or "none"
            raise NotFoundError(f"the fleet has no deployment {name!r}; it has: {known}")
        return self.fleet.deployments[name]

    def _replica(self, replica: str) -> str | None:
        """The id, where it is one of the replicas that the fleet asks for."""
        deployment = self.fleet.deployments.get(deployment_of(replica))
        if deployment is None or deployment.engine_name == "remote" or not planned_id(replica):
            return None
        index = int(replica.rpartition(".")[2])
        name = deployment_of(replica)
        return replica if index < deployment.replicas and replica == replica_id(name, index) else None

    def _no_replica(self, replica: str) -> InputError | NotFoundError:
        name = deployment_of(replica)
        if replica in self.fleet.deployments:
            return InputError(f"{replica} is a deployment: `argosy stop {replica}` stops it; drain takes one replica")
        deployment = self.fleet.deployments.get(name)
        if deployment is None:
            known = ", ".join(self.fleet.deployments) or "none"
            return NotFoundError(f"the fleet has no replica {replica!r}; its deployments: {known}")
        if deployment.engine_name == "remote":
            return InputError(f"{replica} is remote: take its URL out of the fleet file, then `argosy up`")
        if not planned_id(replica):
            return InputError(f"{replica} was started by hand: Ctrl-C or SIGTERM where it runs drains it")
        ids = ", ".join(replica_id(name, index) for index in range(min(deployment.replicas, 10))) or "none"
        return NotFoundError(f"{name} has no replica {replica!r}; it has: {ids}")
