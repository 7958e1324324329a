"""What provision-pool and scale-pool call: `claim`, `advance` until done, `finish`; and `inspect` for the sweep.

An execution owns a pool by name and lease, and every write is a compare-and-set on the pool's record, so that
of two executions one goes on and the other is told so. Both workflows do the same: the record says how many
nodes are wanted, by whom, and the ladder (`core.pool_ladder`) what to do next. Node pools alone are touched.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pointsman.core import pool_choice, pool_ladder
from pointsman.core.names import JSON
from pointsman.core.notices import Notice, NoticeKind
from pointsman.core.pool_choice import Budget, rungs, spending
from pointsman.core.pool_ladder import Action, Create, Delete, Limit, Move, Resize, World
from pointsman.core.pools import NodePool, Operation, PoolMode, wanted_nodes
from pointsman.core.records import PoolRecord
from pointsman.documents.pool import AcceleratorPool
from pointsman.documents.scalars import duration
from pointsman.errors import Absent, Conflict, Invalid, PointsmanError, Unavailable
from pointsman.handlers.standing import EVERYTHING, platform_of, pool_of
from pointsman.handlers.telling import channels, tell
from pointsman.ports import Bus, Ledger, Log, NodePools, Saved, Workflows, Write

__all__ = ["Steps", "handle"]

LEASE = timedelta(seconds=90)
"""An execution is alive for its `wait_s` and so long after each call."""
LEASE_OVER = timedelta(seconds=30)
SILENT = 2 * LEASE
BUSY_S = 5.0
TRIES = 5
"""A compare-and-set is lost to holds that rollouts and alerts write; more in a row than this is trouble."""
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")

POOL_LABEL = "pointsman.dev/pool"


@dataclass(frozen=True, slots=True)
class Steps:
    """What the verbs are wired to. `node_pools` gives a cluster's, by its full resource name."""

    ledger: Ledger
    workflows: Workflows
    bus: Bus
    node_pools: Callable[[str], NodePools]
    mode: PoolMode
    project: str
    """The project that clusters are in unless the Platform says otherwise."""
    log: Log


def handle(verb: str, request: JSON, steps: Steps, now: datetime) -> JSON:
    """Answer one call of a workflow.

    Raises Invalid for a request that makes no sense (the workflow fails), Unavailable and Conflict for what may go
    well when it is asked again.
    """
    if verb == "inspect":
        return _inspect(steps, now)
    name, execution = _text(request, "pool"), _text(request, "execution")
    match verb:
        case "claim":
            callback = request.get("callback")
            return _claim(steps, name, execution, callback if isinstance(callback, str) else None, now)
        case "advance":
            return _advance(steps, name, execution, now)
        case "finish":
            return _finish(steps, name, execution, now)
        case _:
            raise Invalid(f"no verb {verb!r}", where="pool_step", remedy="claim, advance, finish or inspect")


def _claim(steps: Steps, name: str, execution: str, callback: str | None, now: datetime) -> JSON:
    """Own the pool, or be a duplicate: then the owner rings this execution's parent too."""
    for _ in range(TRIES):
        saved = steps.ledger.read(PoolRecord, name)
        record = saved.record if saved is not None else PoolRecord(name=name)
        if callback is not None and callback not in record.callbacks:
            record = replace(record, callbacks=(*record.callbacks, callback))
        owned = record.execution not in (None, execution) and not _is_over(steps, record, now)
        if not owned:
            record = replace(
                record,
                token=record.token + (record.execution != execution),
                execution=execution,
                lease_until=now + LEASE,
                since=record.since if record.deadline is not None else now,
            )
        try:
            steps.ledger.save([Write(record, saved)])
        except Conflict:
            continue
        return _answer("claimed", done=True, outcome="duplicate" if owned else None)
    raise Conflict("the pool's record keeps changing", where=name)


def _is_over(steps: Steps, record: PoolRecord, now: datetime) -> bool:
    """Whether the recorded execution has ended, or is silent for so long that it must be dead."""
    assert record.execution is not None
    found = steps.workflows.execution(record.execution)
    if found is not None and found.state in _ENDED:
        return True
    until = record.lease_until or now
    return now >= until + (LEASE_OVER if found is None else SILENT)


def _advance(steps: Steps, name: str, execution: str, now: datetime) -> JSON:
    saved = _owned(steps, name, execution)
    if saved is None:
        return _answer("lost", done=True, outcome="superseded")
    record = saved.record
    try:
        pool = pool_of(steps.ledger, name)
    except Absent as error:
        # Removed from git while somebody holds nodes: who waits is told, nothing is touched.
        record = replace(record, deadline=None, since=now, retry_at=now + timedelta(hours=1), reason=error.what)
        return _saved(steps, record, saved, Move(record, "exhausted"), now)
    cluster = steps.node_pools(_cluster(steps, pool))
    world = _world(steps, pool, cluster, record)
    move = pool_ladder.advance(world, record, now)
    answer = _saved(steps, move.record, saved, move, now)
    if move.action is None or answer["state"] == "conflict":
        return answer
    return _act(steps, name, execution, world, cluster, move, now)


def _saved(steps: Steps, record: PoolRecord, saved: Saved[PoolRecord], move: Move, now: datetime) -> JSON:
    """Save a decision; a lost compare-and-set is an answer: ask again at once."""
    try:
        _save(steps, record, saved, move.wait_s, now)
    except Conflict:
        return _answer("conflict")
    if move.state == "exhausted":
        retry = record.retry_at.strftime("%H:%M UTC") if record.retry_at else "later"
        _notice(steps, record, "PoolExhausted", f"{record.reason}. Next try: {retry}", now)
    elif saved.record.deadline is not None and record.deadline is None:
        _notice(steps, record, "PoolScaled", f"{record.seen} nodes ready, {record.wanted} wanted", now)
    return _answer(move.state, wait_s=move.wait_s, done=move.done)


def _act(steps: Steps, name: str, execution: str, world: World, cluster: NodePools, move: Move, now: datetime) -> JSON:
    """Begin the one operation that was decided, and note it."""
    assert move.action is not None
    try:
        operation = _begin(cluster, world.pool, move.action)
    except (Unavailable, Conflict):
        # Busy with another operation, perhaps GKE's own: the candidate's time has not begun.
        if move.tracked:
            _amend(steps, name, execution, BUSY_S, now, deadline=_postponed(world.pool, move.record, now))
        return _answer(move.state, wait_s=BUSY_S)
    except PointsmanError as error:
        saved = _owned(steps, name, execution)
        if saved is None or move.action.pool != saved.record.candidate:
            return _answer(move.state, wait_s=BUSY_S)
        after = pool_ladder.refused(world, saved.record, error, now)
        # What it would do next is decided anew by the next call.
        return _saved(steps, after.record, saved, replace(after, action=None, wait_s=0.0), now)
    if move.tracked:
        _amend(steps, name, execution, move.wait_s, now, operation=operation)
    match move.action:
        case Limit(node_pool, least, most) if move.record.deadline is None and least < world.seen[node_pool].nodes_min:
            text = f"{node_pool} keeps at least {least} nodes, at most {most}"
            _notice(steps, move.record, "PoolScaled", text, now)
        case _:
            pass
    return _answer(move.state, wait_s=move.wait_s)


def _begin(cluster: NodePools, pool: AcceleratorPool, action: Action) -> str:
    match action:
        case Create():
            return cluster.create(
                action.pool,
                action.candidate,
                pool.spec.node,
                owner=pool.metadata.name,
                nodes=action.nodes,
                nodes_min=action.nodes_min,
                nodes_max=action.nodes_max,
            )
        case Limit():
            return cluster.limit(action.pool, action.nodes_min, action.nodes_max)
        case Resize():
            return cluster.resize(action.pool, action.nodes)
        case Delete():
            return cluster.delete(action.pool)


def _finish(steps: Steps, name: str, execution: str, now: datetime) -> JSON:
    """Let go of the pool, and say whom to ring; unless somebody came to need more in the meantime."""
    for _ in range(TRIES):
        saved = _owned(steps, name, execution)
        if saved is None:
            return _answer("lost", done=True, outcome="superseded")
        record = saved.record
        if record.retry_at is None and _short(steps, record, now) > 0:
            return _answer("waiting", done=False)
        try:
            steps.ledger.save([Write(replace(record, execution=None, lease_until=None, callbacks=()), saved)])
        except Conflict:
            continue
        return {**_answer("exhausted" if record.retry_at else "ready", done=True), "ring": list(record.callbacks)}
    raise Conflict("the pool's record keeps changing", where=name)


def _inspect(steps: Steps, now: datetime) -> JSON:
    """What differs from the ledger; changes nothing. Each finding names the workflow that mends it."""
    findings: list[JSON] = []
    for saved in steps.ledger.find(PoolRecord, limit=EVERYTHING):
        record = saved.record
        _tell_standing(steps, record, now)
        what = _differs(steps, record, now)
        if what:
            findings.append({"pool": record.name, "what": what, "start": "scale-pool"})
    return {"findings": findings}


def _tell_standing(steps: Steps, record: PoolRecord, now: datetime) -> None:
    """What the pool is like, for those who draw it: a pool that nobody moves says nothing otherwise."""
    try:
        standing = pool_choice.standing(pool_of(steps.ledger, record.name), record, now)
    except Absent:
        return
    steps.log("pool-standing", severity="INFO", **standing)


def _differs(steps: Steps, record: PoolRecord, now: datetime) -> str:
    if record.execution is not None:
        return f"execution {record.execution} ended without finishing" if _is_over(steps, record, now) else ""
    try:
        pool = pool_of(steps.ledger, record.name)
    except Absent:
        return ""
    short = _short(steps, record, now)
    if short > 0:
        due = record.retry_at is None or record.retry_at <= now
        return f"{short} nodes short of what is held" if due else ""
    world = _world(steps, pool, steps.node_pools(_cluster(steps, pool)), record)
    wanted = world.wanted(record, now)
    limits = pool_ladder.targets(world, replace(record, wanted=wanted))
    for name, (least, _) in limits.items():
        if world.mode != "observe" and world.seen[name].autoscaled and world.seen[name].nodes_min > least:
            return f"{name} keeps at least {world.seen[name].nodes_min} nodes, {least} are needed"
    idle = [name for name, since in record.draining.items() if now - since >= pool_ladder.DRAINING]
    return f"{idle[0]} is empty and of no use" if idle and world.mode == "full" and idle[0] in world.seen else ""


def _short(steps: Steps, record: PoolRecord, now: datetime) -> int:
    """Nodes that are wanted beyond those seen."""
    try:
        nodes = pool_of(steps.ledger, record.name).spec.nodes
    except Absent:
        return 0
    return wanted_nodes(record, nodes_min=nodes.min, nodes_max=nodes.max, now=now) - record.seen


def _world(steps: Steps, pool: AcceleratorPool, cluster: NodePools, record: PoolRecord) -> World:
    seen: dict[str, NodePool] = {
        found.name: found for found in cluster.find() if found.labels.get(POOL_LABEL) == pool.metadata.name
    }
    operation: Operation | None = None
    if record.operation is not None:
        try:
            operation = cluster.operation(record.operation)
        except Absent:
            operation = None
    return World(pool, seen, steps.mode, operation, _budget(steps, pool))


def _budget(steps: Steps, pool: AcceleratorPool) -> Budget:
    platform = platform_of(steps.ledger)
    cap = platform.spec.spending_cap if platform is not None else None
    if cap is None:
        return Budget()
    others = 0.0
    for saved in steps.ledger.find(PoolRecord, limit=EVERYTHING):
        if saved.record.name != pool.metadata.name:
            try:
                others += spending(rungs(pool_of(steps.ledger, saved.record.name)), saved.record)
            except Absent:
                continue
    return Budget(cap.per_hour, others)


def _cluster(steps: Steps, pool: AcceleratorPool) -> str:
    """Full resource name of the pool's cluster."""
    platform = platform_of(steps.ledger)
    if platform is None:
        raise Invalid("no Platform was applied yet", where=pool.metadata.name, remedy="push one")
    cluster = platform.cluster(pool.spec.cluster)
    return f"projects/{cluster.project or steps.project}/locations/{cluster.location}/clusters/{cluster.name}"


def _owned(steps: Steps, name: str, execution: str) -> Saved[PoolRecord] | None:
    saved = steps.ledger.read(PoolRecord, name)
    return saved if saved is not None and saved.record.execution == execution else None


def _save(steps: Steps, record: PoolRecord, saved: Saved[PoolRecord], wait_s: float, now: datetime) -> None:
    lease = now + timedelta(seconds=wait_s) + LEASE
    steps.ledger.save([Write(replace(record, lease_until=lease), saved)])


def _amend(
    steps: Steps,
    name: str,
    execution: str,
    wait_s: float,
    now: datetime,
    *,
    operation: str | None = None,
    deadline: datetime | None = None,
) -> None:
    """Note what came of an action, over whatever holds were written meanwhile.

    When it can't be noted the next call finds the node pool busy and waits for it all the same.
    """
    for _ in range(TRIES):
        saved = _owned(steps, name, execution)
        if saved is None:
            return
        record = replace(saved.record, operation=operation, deadline=deadline or saved.record.deadline)
        try:
            _save(steps, record, saved, wait_s, now)
        except Conflict:
            continue
        return


def _postponed(pool: AcceleratorPool, record: PoolRecord, now: datetime) -> datetime | None:
    candidate = pool.candidate_named(record.candidate or "")
    return now + duration(candidate.deadline_or_default) if candidate is not None else record.deadline


def _notice(steps: Steps, record: PoolRecord, kind: NoticeKind, text: str, now: datetime) -> None:
    title = f"Pool {record.name} is out of machines" if kind == "PoolExhausted" else f"Pool {record.name} scaled"
    notice = Notice(kind, title, text, channels(platform_of(steps.ledger), kind), pool=record.name)
    tell(steps.bus, notice, cause=f"pools/{record.name}/{record.token}/{record.wanted}", now=now)


def _answer(state: str, *, wait_s: float = 0.0, done: bool = False, outcome: str | None = None) -> dict[str, object]:
    return {"state": state, "wait_s": wait_s, "done": done, "outcome": outcome, "need": None}


def _text(request: JSON, field: str) -> str:
    value = request.get(field)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{field} is missing", where="pool_step", remedy="send the pool's name and the execution's id")
    return value
