"""Which candidate of an AcceleratorPool is next: order, stock-outs with their cooldown, room, money. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pointsman.core.names import JSON
from pointsman.core.pools import NodePool, PoolMode, live_holds
from pointsman.core.records import PoolRecord, StockOutNote
from pointsman.documents.machines import offer, price_per_hour
from pointsman.documents.pool import AcceleratorPool, Candidate
from pointsman.documents.scalars import duration

__all__ = ["ASK_AGAIN", "Budget", "Choice", "Rung", "choose", "forgiven", "noted", "rungs", "spending", "standing"]

COOLDOWN_FACTOR_MAX = 6
"""The cooldown doubles with each stock-out in a row, up to so many times the document's value."""
ASK_AGAIN = timedelta(minutes=5)
"""When to try again where no cooldown says so: a cap or a full pool may have changed by then."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One candidate, by the name of its node pool."""

    name: str
    candidate: Candidate

    @property
    def deadline(self) -> timedelta:
        return duration(self.candidate.deadline_or_default)

    @property
    def cooldown(self) -> timedelta:
        return duration(self.candidate.cooldown)

    @property
    def foreign(self) -> bool:
        """Made by somebody else: moved within its own limits, never created or deleted."""
        return self.candidate.node_pool is not None


@dataclass(frozen=True, slots=True)
class Budget:
    """The Platform's spending cap in its currency an hour (None: no cap), and what all other pools take of it."""

    per_hour_max: float | None = None
    others_per_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The next candidate; or none, with a sentence for each why not, and when to try again."""

    rung: Rung | None
    passed_over: tuple[str, ...] = ()
    retry_at: datetime | None = None


def rungs(pool: AcceleratorPool) -> tuple[Rung, ...]:
    """The pool's candidates in order of preference."""
    named = {
        candidate.node_pool_name(pool.metadata.name, pool.spec.node): candidate
        for candidate in reversed(pool.spec.candidates)
    }
    return tuple(Rung(name, candidate) for name, candidate in reversed(named.items()))


def choose(
    ladder: Sequence[Rung],
    record: PoolRecord,
    seen: Mapping[str, NodePool],
    *,
    wanted: int,
    budget: Budget,
    mode: PoolMode,
    now: datetime,
) -> Choice:
    """The first candidate that is not cooling down, may be had in this mode, has room, and can be paid.

    `record.since` is when this climb began: a candidate that was tried in it is not tried again, or a climb over
    candidates whose deadlines are longer than their cooldowns would never end.
    """
    reasons: list[str] = []
    times: list[datetime] = []
    for rung in ladder:
        note = record.stockouts.get(rung.name)
        if note is not None and (note.until > now or _tried(note, record)):
            reasons.append(f"{rung.name}: {note.why}")
            times.append(max(note.until, now))
            continue
        reason = _unfit(rung, seen.get(rung.name), mode, record.name) or _unpaid(rung, ladder, seen, wanted, budget)
        if not reason:
            return Choice(rung, tuple(reasons))
        reasons.append(f"{rung.name}: {reason}")
        times.append(now + ASK_AGAIN)
    return Choice(None, tuple(reasons), min(times, default=now + ASK_AGAIN))


def noted(record: PoolRecord, rung: Rung, why: str, now: datetime, *, longest: bool = False) -> PoolRecord:
    """The record with a stock-out of this candidate, and the ladder off it.

    Stock-outs in a row double the cooldown; in a row are those that follow within the longest cooldown after
    the one before it ended. `longest` is for a quota, where asking again soon does not help.
    """
    before = record.stockouts.get(rung.name)
    longest_cooldown = rung.cooldown * COOLDOWN_FACTOR_MAX
    in_a_row = before is not None and now < before.until + longest_cooldown
    count = before.count + 1 if in_a_row and before is not None else 1
    factor = COOLDOWN_FACTOR_MAX if longest else min(2 ** min(count - 1, 8), COOLDOWN_FACTOR_MAX)
    note = StockOutNote(until=now + rung.cooldown * factor, why=why, count=count, at=now)
    return replace(
        record,
        stockouts={**record.stockouts, rung.name: note},
        candidate=None,
        operation=None,
        deadline=None,
        reason=f"{rung.name}: {why}",
    )


def forgiven(record: PoolRecord, name: str) -> PoolRecord:
    """The record without stock-outs of a candidate: it has nodes now."""
    if name not in record.stockouts:
        return record
    return replace(record, stockouts={key: note for key, note in record.stockouts.items() if key != name})


def spending(ladder: Sequence[Rung], record: PoolRecord) -> float:
    """What a pool takes of the cap: its nodes at its candidate's list price, or at the first candidate's."""
    used = [rung for rung in ladder if rung.name == record.candidate] or list(ladder[:1])
    price = price_per_hour(used[0].candidate) if used else None
    return (price or 0.0) * max(record.wanted, record.seen)


def standing(pool: AcceleratorPool, record: PoolRecord, now: datetime) -> JSON:
    """What a pool is like, as the log tells it (`pool-standing`): nodes, their accelerators, and what they cost.

    Nodes are taken to be all of the candidate in use, or of the first: the record keeps no count by candidate.
    """
    ladder = rungs(pool)
    used = next((rung for rung in ladder if rung.name == record.candidate), ladder[0])
    of_node, price = offer(used.candidate), price_per_hour(used.candidate)
    return {
        "pool": record.name,
        "wanted": record.wanted,
        "seen": record.seen,
        "held": sum(hold.nodes for hold in live_holds(record, now).values()),
        "stockouts": sum(note.until > now for note in record.stockouts.values()),
        "candidate": record.candidate,
        "accelerators": record.seen * ((of_node.count or 0) if of_node is not None else 0),
        "cost_per_hour": round(record.seen * price, 4) if price is not None else None,
    }


def _tried(note: StockOutNote, record: PoolRecord) -> bool:
    return record.since is not None and note.at is not None and note.at >= record.since


def _unfit(rung: Rung, pool: NodePool | None, mode: PoolMode, owner: str) -> str:
    if mode == "observe":
        return ""  # whoever makes the nodes decides; pointsman says which candidate, waits, times out
    if pool is None and rung.foreign:
        return f"no such node pool with label pointsman.dev/pool: {owner}"
    if pool is None and mode == "resize":
        return "not there, and POINTSMAN_POOLS=resize makes no node pool"
    if pool is not None and rung.foreign and pool.nodes_ready >= pool.nodes_max:
        return f"at its own limit of {pool.nodes_max} nodes"
    return ""


def _unpaid(rung: Rung, ladder: Sequence[Rung], seen: Mapping[str, NodePool], wanted: int, budget: Budget) -> str:
    if budget.per_hour_max is None:
        return ""
    price = price_per_hour(rung.candidate)
    if price is None:
        return "no list price is known, so the spending cap can't be kept"
    there = {other: seen[other.name].nodes_ready for other in ladder if other.name in seen}
    cost = budget.others_per_hour + sum(
        count * (price_per_hour(other.candidate) or 0.0) for other, count in there.items()
    )
    cost += max(0, wanted - sum(there.values())) * price
    if cost <= budget.per_hour_max:
        return ""
    return f"{cost:.2f} an hour would be over the spending cap of {budget.per_hour_max:.2f}"
