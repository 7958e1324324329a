"""Node pools: what is known of one, and how many nodes an AcceleratorPool must keep. Pure.

Who needs nodes says so by a *hold* in the pool's record: a rollout under its id, an alert under
`<namespace>/<AlertRule>`. The minimum that a pool keeps is recomputed from the holds each time, never
restored to an older value, so that nobody has to remember what was there before. A hold with an end keeps
nodes that are there: an alert's, or an ended rollout's, whose nodes stay for whoever comes next.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from pointsman.core.records import Hold, PoolRecord
from pointsman.errors import PointsmanError

__all__ = [
    "NodePool",
    "Operation",
    "PoolMode",
    "exhausted_until",
    "is_short",
    "live_holds",
    "released",
    "uncovered",
    "wanted_nodes",
    "with_hold",
    "without_hold",
]

PoolMode = Literal["observe", "resize", "full"]
"""What may be done to node pools: look, move limits of pools that exist, create and delete."""

SETTLING = timedelta(minutes=5)
"""From a running machine to a pod on it: the node registers, drivers load, then its accelerators can be had."""

NodePoolStatus = Literal["PROVISIONING", "RUNNING", "RUNNING_WITH_ERROR", "RECONCILING", "STOPPING", "ERROR"]


@dataclass(frozen=True, slots=True)
class NodePool:
    """A GKE node pool as it was read. Nodes are totals over all its zones."""

    name: str
    machine_type: str
    status: NodePoolStatus
    nodes_wanted: int
    nodes_ready: int
    nodes_min: int
    nodes_max: int
    autoscaled: bool
    labels: dict[str, str] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    created_by_us: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A long-running operation of the Container API; `error` is classified from its text."""

    name: str
    done: bool
    started_at: datetime | None = None
    error: PointsmanError | None = None


def live_holds(record: PoolRecord, now: datetime) -> Mapping[str, Hold]:
    """The holds that still count: those without an end, or with one to come."""
    return {key: hold for key, hold in record.holds.items() if hold.until is None or hold.until > now}


def wanted_nodes(record: PoolRecord, *, nodes_min: int, nodes_max: int, now: datetime) -> int:
    """The minimum that the pool keeps: `nodes_min` or the sum of holds, whichever is more, at most `nodes_max`."""
    return min(max(nodes_min, _sum(live_holds(record, now))), nodes_max)


def uncovered(record: PoolRecord, *, nodes_max: int, now: datetime) -> int:
    """Nodes that rollouts hold beyond `nodes_max`: they'll never come, however long one waits.

    What an alert demands and what an ended rollout leaves is capped silently: nobody waits for it.
    """
    held = {key: hold for key, hold in live_holds(record, now).items() if "/" not in key and hold.until is None}
    return max(0, _sum(held) - nodes_max)


def with_hold(
    record: PoolRecord,
    key: str,
    *,
    nodes_more: int,
    nodes_min: int,
    why: str,
    now: datetime,
    until: datetime | None = None,
) -> PoolRecord:
    """The record with a hold of `key` for `nodes_more` nodes beyond those that are there.

    The hold is as large as makes the wanted minimum max(minimum without it, nodes seen ready) + `nodes_more`:
    nodes that are there are taken to be in use, else nobody would need more; ended rollouts' holds on them are
    taken over. `key` may hold already: its hold is then replaced, but keeps when it began. It is left alone while
    an execution works on it, and, a rollout's, for a while after the nodes came, so that asking at every tick
    doesn't add up.
    """
    if key in record.holds and (record.execution is not None or _are_settling(record, key, now)):
        return record
    live = {name: hold for name, hold in live_holds(record, now).items() if name != key}
    others = {name: hold for name, hold in live.items() if "/" in name or hold.until is None}
    there = max(nodes_min, _sum(others), record.seen)
    since = record.holds[key].since if key in record.holds else now
    hold = Hold(nodes=there + nodes_more - _sum(others), why=why, since=since, until=until)
    return replace(record, holds={**others, key: hold})


def is_short(record: PoolRecord, *, nodes_min: int, nodes_max: int, now: datetime) -> bool:
    """Whether an execution is to be started: nobody works on it, and fewer nodes were seen than are wanted.

    Or more are held than there may be, which nobody is told of but by an execution.
    """
    wanted = wanted_nodes(record, nodes_min=nodes_min, nodes_max=nodes_max, now=now)
    beyond = uncovered(record, nodes_max=nodes_max, now=now)
    return record.execution is None and (wanted > record.seen or beyond > 0)


def without_hold(record: PoolRecord, key: str) -> PoolRecord:
    """The record without the hold of `key`; the same when there is none."""
    if key not in record.holds:
        return record
    return replace(record, holds={name: hold for name, hold in record.holds.items() if name != key})


def released(record: PoolRecord, key: str, *, now: datetime, until: datetime) -> PoolRecord:
    """The record after the end of the rollout `key`: its hold on nodes that are there ends at `until`.

    They may be needed again soon, and cost more to get than to keep. What it asked for and did not get, nobody
    waits for any more.
    """
    others = {name: hold for name, hold in live_holds(record, now).items() if name != key}
    hold = record.holds.get(key)
    nodes = min(hold.nodes, record.seen - _sum(others)) if hold is not None else 0
    if hold is None or nodes <= 0 or until <= now:
        return without_hold(record, key)
    return replace(record, holds={**record.holds, key: replace(hold, nodes=nodes, until=until)})


def exhausted_until(record: PoolRecord, key: str) -> datetime | None:
    """When to try again, if every candidate was tried for the hold of `key` and none had machines.

    None while an execution works on it, or when the hold came after the last attempt: then nothing is known yet.
    """
    hold = record.holds.get(key)
    if record.execution is not None or hold is None or record.retry_at is None:
        return None
    return record.retry_at if record.since is not None and hold.since <= record.since else None


def _are_settling(record: PoolRecord, key: str, now: datetime) -> bool:
    """Whether a rollout's nodes came so lately that its pods may still find their way to them."""
    if "/" in key or record.retry_at is not None or record.came_at is None:
        return False
    return record.seen >= _sum(live_holds(record, now)) and now < record.came_at + SETTLING


def _sum(holds: Mapping[str, Hold]) -> int:
    return sum(hold.nodes for hold in holds.values())
