"""The ladder of an AcceleratorPool: how nodes are got from one candidate after another. Pure.

Theory of operation. Each `advance` looks at the world and at the record and says one thing to do; nothing is
remembered that could be read. A candidate is *chosen*, its node pool *created* (at 0 nodes and autoscaled; with
nodes at first only for a reservation, which answers at once) or its limits *moved*, and then its nodes are
*waited* for until the candidate's deadline. An operation that ends in a stock-out, a quota or a failure, and a
deadline that passes, are *noted* with a cooldown, and the next candidate is chosen: its node pool is another,
so a failed one may stay busy meanwhile. With enough nodes ready the ladder *settles*: limits of all node pools
are brought to what is wanted, and it is done. With no candidate left it is *exhausted*: done too, saying what
was tried and when to try again.

What a crash leaves behind is found by reading: a node pool that is being created is waited for, one that is in
ERROR and was not known to be so is noted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from pointsman.core.pool_choice import ASK_AGAIN, Budget, Rung, choose, forgiven, noted, rungs
from pointsman.core.pools import NodePool, Operation, PoolMode, uncovered, wanted_nodes
from pointsman.core.records import PoolRecord
from pointsman.documents.pool import AcceleratorPool, Candidate
from pointsman.documents.scalars import text
from pointsman.errors import Denied, Invalid, PointsmanError, QuotaExceeded

__all__ = [
    "Action",
    "Create",
    "Delete",
    "LadderState",
    "Limit",
    "Move",
    "Resize",
    "World",
    "advance",
    "refused",
    "targets",
]

DRAINING = timedelta(minutes=10)
"""How long an empty node pool is marked before it is deleted."""
SETTLING = timedelta(minutes=2)
"""For so long limits are tidied before the ladder is done; what is left then, `inspect` finds."""
WAIT_S_MIN = 0.5
WAIT_S_MAX = 30.0
_BUSY = ("PROVISIONING", "RECONCILING", "STOPPING")

LadderState = Literal["creating", "limiting", "deleting", "waiting", "ready", "exhausted"]


@dataclass(frozen=True, slots=True)
class Create:
    """Create a node pool with `nodes` nodes at first."""

    pool: str
    candidate: Candidate
    nodes: int
    nodes_min: int
    nodes_max: int


@dataclass(frozen=True, slots=True)
class Limit:
    """Set the autoscaler's limits."""

    pool: str
    nodes_min: int
    nodes_max: int


@dataclass(frozen=True, slots=True)
class Resize:
    """Set the size of a node pool that has no autoscaler."""

    pool: str
    nodes: int


@dataclass(frozen=True, slots=True)
class Delete:
    pool: str


Action = Create | Limit | Resize | Delete


@dataclass(frozen=True, slots=True)
class World:
    """What is decided by: the document, the node pools that were seen (by name), the operation that is known."""

    pool: AcceleratorPool
    seen: Mapping[str, NodePool]
    mode: PoolMode
    operation: Operation | None = None
    budget: Budget = field(default_factory=Budget)

    @property
    def ladder(self) -> tuple[Rung, ...]:
        return rungs(self.pool)

    @property
    def ready(self) -> int:
        return sum(pool.nodes_ready for pool in self.seen.values())

    def rung(self, name: str | None) -> Rung | None:
        return next((rung for rung in self.ladder if rung.name == name), None)

    def wanted(self, record: PoolRecord, now: datetime) -> int:
        nodes = self.pool.spec.nodes
        return wanted_nodes(record, nodes_min=nodes.min, nodes_max=nodes.max, now=now)


@dataclass(frozen=True, slots=True)
class Move:
    """One decision: the record to save, then what to do (at most one thing), then how long to wait."""

    record: PoolRecord
    state: LadderState
    wait_s: float = 0.0
    action: Action | None = None

    @property
    def done(self) -> bool:
        return self.action is None and self.state in ("ready", "exhausted")

    @property
    def tracked(self) -> bool:
        """Whether the action's operation decides about the candidate, and so is remembered; tidying is not."""
        return (
            self.action is not None and self.record.deadline is not None and self.action.pool == self.record.candidate
        )


def advance(world: World, record: PoolRecord, now: datetime) -> Move:
    """The next move. `world.operation` is the record's, or None when the service no longer knows it."""
    record = replace(record, wanted=world.wanted(record, now), seen=world.ready, draining=_draining(world, record, now))
    if record.operation is not None:
        operation = world.operation
        if operation is not None and not operation.done:
            if record.deadline is None or now < record.deadline:
                return _waiting(world, record, now)
            return _next(world, _late(world, record, now), now)
        record = replace(record, operation=None)
        if operation is not None and operation.error is not None:
            return refused(world, record, operation.error, now)
    if world.ready >= record.wanted:
        return _settle(world, record, now)
    rung = world.rung(record.candidate)
    if record.deadline is None or rung is None:
        return _next(world, record, now)
    if now >= record.deadline:
        return _next(world, _late(world, record, now), now)
    return _climb(world, record, rung, now)


def refused(world: World, record: PoolRecord, error: PointsmanError, now: datetime) -> Move:
    """What follows when the last action, or the operation it began, ended in an error.

    A stock-out, a quota and a failure of the service turn the ladder. The user's mistake and a missing right
    do not: falling back would pay for another machine because of a typo.
    """
    rung = world.rung(record.candidate)
    if record.deadline is None or rung is None:
        return Move(replace(record, reason=error.what, since=now), "ready")  # only limits were to be tidied
    record = _off(world, noted(record, rung, error.what, now, longest=isinstance(error, QuotaExceeded)), rung.name, now)
    if isinstance(error, (Invalid, Denied)):
        return _exhausted(record, f"{rung.name}: {error}", record.stockouts[rung.name].until, now)
    return _next(world, record, now)


def targets(world: World, record: PoolRecord) -> Mapping[str, tuple[int, int]]:
    """The limits that each node pool there should have, least and most nodes.

    Nodes that other candidates have count first; the candidate in use takes the rest. The most are over all
    together, so that a fallback never doubles the bill. A node pool that somebody else made keeps its own most.
    """
    found: dict[str, tuple[int, int]] = {}
    left, used = record.wanted, 0
    names = [rung.name for rung in world.ladder if rung.name != record.candidate]
    for name in [name for name in names if name in world.seen]:
        pool = world.seen[name]
        share = min(pool.nodes_ready, left)
        left -= share
        used += pool.nodes_ready
        found[name] = (share, max(pool.nodes_ready, 1))
    used_name = record.candidate or ""
    if used_name in world.seen and world.rung(used_name) is not None:
        found[used_name] = (left, max(world.pool.spec.nodes.max - used, left, 1))
    for name, pool in world.seen.items():
        if name not in found and pool.created_by_us:
            found[name] = (0, max(pool.nodes_ready, 1))  # its candidate is no longer in the document
    for rung in world.ladder:
        if rung.foreign and rung.name in found:
            most = world.seen[rung.name].nodes_max
            found[rung.name] = (min(found[rung.name][0], most), most)
    return found


def _next(world: World, record: PoolRecord, now: datetime) -> Move:
    """Choose a candidate and begin with it; or say that there is none."""
    choice = choose(
        world.ladder, record, world.seen, wanted=record.wanted, budget=world.budget, mode=world.mode, now=now
    )
    if choice.rung is None:
        return _exhausted(record, "; ".join(choice.passed_over), choice.retry_at, now)
    chosen = replace(
        record,
        candidate=choice.rung.name,
        operation=None,
        deadline=now + choice.rung.deadline,
        retry_at=None,
        reason=f"{choice.rung.name}: asked for",
    )
    return _climb(world, chosen, choice.rung, now)


def _climb(world: World, record: PoolRecord, rung: Rung, now: datetime) -> Move:
    """The next thing to do with the candidate in use, before its deadline."""
    pool = world.seen.get(rung.name)
    waiting = Move(record, "waiting", _wait_s(world, record, now))
    if world.mode == "observe":
        return waiting
    if pool is not None and pool.status in _BUSY:
        return _waiting(world, record, now)
    if pool is None:
        if rung.foreign or world.mode != "full":
            return waiting
        share, most = targets(world, record).get(rung.name, _share(world, record))
        first = share if rung.candidate.provisioning == "Reservation" else 0
        return Move(
            _undrained(record, rung.name), "creating", 0.0, Create(rung.name, rung.candidate, first, share, most)
        )
    if pool.status == "ERROR" and pool.nodes_ready == 0:
        if rung.name not in record.draining:
            why = pool.conditions[0] if pool.conditions else "the node pool is in ERROR"
            return _next(world, _off(world, noted(record, rung, why, now), rung.name, now), now)
        if world.mode == "full" and pool.created_by_us:
            return Move(record, "deleting", 0.0, Delete(rung.name))  # no node, so no pod: made anew
    record = _undrained(record, rung.name)
    action = _adjust(pool, targets(world, record)[rung.name])
    return _waiting(world, record, now) if action is None else Move(record, "limiting", 0.0, action)


def _waiting(world: World, record: PoolRecord, now: datetime) -> Move:
    action = _tidied(world, record)
    return Move(record, "waiting" if action is None else "limiting", _wait_s(world, record, now), action)


def _settle(world: World, record: PoolRecord, now: datetime) -> Move:
    """Enough nodes are ready: bring every node pool's limits to what is wanted, then be done."""
    used = world.seen.get(record.candidate or "")
    if used is not None and used.nodes_ready > 0:
        record = forgiven(record, used.name)
    if record.deadline is not None:
        record = replace(record, deadline=None, since=now, came_at=now)
    record = replace(record, since=record.since or now)
    if record.since is not None and now - record.since < SETTLING:
        action = _tidied(world, record) or _emptied(world, record, now)
        if action is not None:
            state: LadderState = "deleting" if isinstance(action, Delete) else "limiting"
            return Move(record, state, 0.0, action)
    beyond = uncovered(record, nodes_max=world.pool.spec.nodes.max, now=now)
    if beyond:
        why = f"all {world.pool.spec.nodes.max} nodes of nodes.max are taken, {beyond} more are needed"
        return _exhausted(record, why, now + ASK_AGAIN, now)
    return Move(replace(record, retry_at=None, reason=f"{record.seen} nodes ready, {record.wanted} wanted"), "ready")


def _tidied(world: World, record: PoolRecord) -> Action | None:
    """One node pool's limits that differ from what they should be; while climbing, a minimum left behind."""
    if world.mode == "observe":
        return None
    for name, limits in targets(world, record).items():
        pool = world.seen[name]
        if pool.status in _BUSY or not pool.autoscaled:
            continue
        lower = pool.nodes_min > limits[0]
        climbing = record.deadline is not None
        if (lower and name != record.candidate) if climbing else (lower or pool.status != "ERROR"):
            action = _adjust(pool, limits)
            if action is not None:
                return action
    return None


def _emptied(world: World, record: PoolRecord, now: datetime) -> Action | None:
    """A node pool that we made and that has been empty and of no use for long enough."""
    if world.mode != "full":
        return None
    for name, since in record.draining.items():
        if now - since >= DRAINING and world.seen[name].status not in _BUSY:
            return Delete(name)
    return None


def _exhausted(record: PoolRecord, why: str, retry_at: datetime | None, now: datetime) -> Move:
    return Move(replace(record, deadline=None, operation=None, since=now, retry_at=retry_at, reason=why), "exhausted")


def _late(world: World, record: PoolRecord, now: datetime) -> PoolRecord:
    rung = world.rung(record.candidate)
    if rung is None:
        return replace(record, operation=None)
    late = noted(record, rung, f"no ready node within {text(rung.deadline)}", now)
    return _off(world, late, rung.name, now)


def _off(world: World, record: PoolRecord, name: str, now: datetime) -> PoolRecord:
    """The ladder leaves a candidate: an empty node pool that we made for it is marked."""
    pool = world.seen.get(name)
    if pool is not None and (pool.nodes_ready or not pool.created_by_us):
        return record
    return replace(record, draining={**record.draining, name: record.draining.get(name, now)})


def _draining(world: World, record: PoolRecord, now: datetime) -> Mapping[str, datetime]:
    """Marks of node pools that are there and empty: those set before, and those of candidates that are gone."""
    empty = [pool for pool in world.seen.values() if pool.created_by_us and pool.nodes_ready == 0]
    return {
        pool.name: record.draining.get(pool.name, now)
        for pool in empty
        if pool.name in record.draining or world.rung(pool.name) is None
    }


def _undrained(record: PoolRecord, name: str) -> PoolRecord:
    return replace(record, draining={key: since for key, since in record.draining.items() if key != name})


def _share(world: World, record: PoolRecord) -> tuple[int, int]:
    """Limits of a node pool that is yet to be made."""
    used = sum(world.seen[rung.name].nodes_ready for rung in world.ladder if rung.name in world.seen)
    share = max(0, record.wanted - used)
    return share, max(world.pool.spec.nodes.max - used, share, 1)


def _adjust(pool: NodePool, limits: tuple[int, int]) -> Action | None:
    """What brings a node pool to its limits; nodes of one without an autoscaler are added, never taken away."""
    if pool.autoscaled:
        return None if (pool.nodes_min, pool.nodes_max) == limits else Limit(pool.name, *limits)
    return Resize(pool.name, limits[0]) if pool.nodes_wanted < limits[0] else None


def _wait_s(world: World, record: PoolRecord, now: datetime) -> float:
    """A quarter of the time waited so far: quick while things may be quick, rare while they take hours."""
    rung = world.rung(record.candidate)
    began = record.deadline - rung.deadline if record.deadline is not None and rung is not None else now
    return round(min(max((now - began).total_seconds() / 4, WAIT_S_MIN), WAIT_S_MAX), 1)
