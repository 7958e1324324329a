"""What the log says of a save: records as they were and as they are, told as lines (`core.log_lines`).

The log is a projection of the ledger. Handlers decide and save; that a save went well is the one moment at which
something is so, and there alone it is told: no decision is logged that was lost, and none is kept and not logged.
Every function here is total: a line must not undo what was saved.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from pointsman.core.records import (
    CommandRecord,
    DecisionRecord,
    HeadRecord,
    PoolRecord,
    Record,
    RolloutRecord,
    ServiceRecord,
)
from pointsman.core.traces import pool_trace, rollout_trace

__all__ = ["Told", "narrated"]

Told = tuple[str, Mapping[str, object]]
"""Event of the line and its fields; `trace` is the id of the trace that it belongs to."""


def narrated(saved: Sequence[tuple[Record, Record | None]]) -> Iterator[Told]:
    """The lines of one save: each record, and what it was written over."""
    decisions = {record.rollout: record for record, _ in saved if isinstance(record, DecisionRecord)}
    traces = {record.id: rollout_trace(record) for record, _ in saved if isinstance(record, RolloutRecord)}
    for record, before in saved:
        match record:
            case RolloutRecord():
                yield from _rollout(record, before, decisions.get(record.id))
            case ServiceRecord():
                yield from _service(record, before, traces)
            case CommandRecord():
                yield from _command(record, before, traces)
            case PoolRecord():
                yield from _pool(record, before)
            case HeadRecord():
                yield from _head(record, before)
            case _:
                pass  # events are told by `deliver`, decisions with their rollout; documents are the head's


def _rollout(after: RolloutRecord, over: Record | None, decision: DecisionRecord | None) -> Iterator[Told]:
    about = {
        "trace": rollout_trace(after),
        "service": after.service,
        "rollout": after.id,
        "revision": after.to_revision,
        "token": after.token,
        "commit": after.commit,
        "execution": after.execution,
        "decision": decision.number if decision is not None else None,
    }
    if not isinstance(over, RolloutRecord):
        opened = {"kind": after.kind, "cause": after.cause, "from_revision": after.from_revision, "state": after.state}
        yield "rollout-opened", {**about, **opened}
        return
    if after.token != over.token:
        yield "rollout-claimed", {**about, "attempt": after.attempt}
    if decision is not None:
        yield from _verdict(after, decision, about)
        said = {
            "kind": decision.kind,
            "state": after.state,
            "step": after.step,
            "weight_pct": _percent(after, after.want),
            "seen_pct": _percent(after, after.seen),
            "reason": decision.reason,
        }
        yield "decided", {**about, **said}
    if after.state != over.state:
        moved = {"state": after.state, "was": over.state, "step": after.step, "reason": after.reason or None}
        yield "state-changed", {**about, **moved}
    if after.want != over.want:
        weights = {"weight_pct": _percent(after, after.want), "was": _percent(over, over.want)}
        yield "weight-set", {**about, **weights, "step": after.step}
    if after.seen != over.seen:
        weights = {"seen_pct": _percent(after, after.seen), "was": _percent(over, over.seen)}
        yield "weight-seen", {**about, **weights, "step": after.step}
    if after.ended == "yes" and over.ended == "no":
        requests, bad = _exposure(after.verdict)
        ended = {
            "kind": after.kind,
            "outcome": after.state,
            "reason": after.reason or None,
            "duration_s": (after.state_since - after.started_at).total_seconds(),
            "canary_requests": requests,
            "canary_bad": bad,
        }
        yield "rollout-ended", {**about, **ended}


def _verdict(after: RolloutRecord, decision: DecisionRecord, about: Mapping[str, object]) -> Iterator[Told]:
    verdict = decision.after.get("verdict")
    if not isinstance(verdict, Mapping):
        return
    numbers = _mapping(verdict.get("numbers"))
    canary, baseline = (_in_tick(_mapping(numbers.get("tick")).get(arm)) for arm in ("canary", "baseline"))
    said = {
        "baseline": after.from_revision,
        "action": verdict.get("action"),
        "metric": verdict.get("metric"),
        "cause": numbers.get("cause"),
        "reason": verdict.get("reason"),
        "log_e": verdict.get("log_e"),
        "log_e_needed": numbers.get("log_e_needed"),
        "canary_requests": canary[0],
        "canary_bad": canary[1],
        "baseline_requests": baseline[0],
        "baseline_bad": baseline[1],
    }
    yield "verdict", {**about, **said}


def _in_tick(arm: object) -> tuple[int, int]:
    """An arm's requests of a tick and how many were bad, by the metric set that saw most: each sees all it can."""
    counts = [(_whole(seen.get("requests")), _mapping(seen.get("bad"))) for seen in map(_mapping, _values(arm))]
    requests, bad = max(counts, key=lambda item: item[0], default=(0, {}))
    return requests, sum(_whole(value) for value in bad.values())


def _exposure(verdict: object) -> tuple[int, int]:
    """The canary's requests and bad requests since the rollout began, as a verdict counts them."""
    counts = _mapping(_mapping(_mapping(verdict).get("numbers")).get("exposure"))
    return _whole(counts.get("requests")), _whole(counts.get("bad"))


def _percent(rollout: RolloutRecord, weight: int) -> float:
    return round(100.0 * weight / max(1, rollout.weight_total), 1)


def _service(after: ServiceRecord, over: Record | None, traces: Mapping[str, str]) -> Iterator[Told]:
    was = over.stable if isinstance(over, ServiceRecord) else None
    if after.stable != was:
        about = {"service": after.key, "rollout": after.owner, "token": after.token}
        yield "stable-set", {**_traced(traces, after.owner), **about, "revision": after.stable, "was": was}


def _command(after: CommandRecord, over: Record | None, traces: Mapping[str, str]) -> Iterator[Told]:
    about = {"rollout": after.rollout, "verb": after.verb, "by": after.by, "number": after.id}
    about |= _traced(traces, after.rollout)
    if not isinstance(over, CommandRecord):
        yield "command-given", about
    elif over.taken == "no" != after.taken:
        yield "command-taken", {**about, "decision": int(after.taken) if after.taken.isdecimal() else None}


def _traced(traces: Mapping[str, str], rollout: str | None) -> dict[str, str]:
    """The trace of a rollout that was saved with it; else the line is of the request's."""
    return {"trace": traces[rollout]} if rollout is not None and rollout in traces else {}


def _pool(after: PoolRecord, over: Record | None) -> Iterator[Told]:
    before = over if isinstance(over, PoolRecord) else PoolRecord(name=after.name)
    about = {
        "trace": pool_trace(after.name, after.token),
        "pool": after.name,
        "token": after.token,
        "execution": after.execution,
    }
    for name, note in sorted(after.stockouts.items()):
        if before.stockouts.get(name) != note:
            yield "pool-stock-out", {**about, "candidate": name, "until": note.until, "reason": note.why}
    if after.retry_at is not None and before.retry_at is None:
        yield "pool-exhausted", {**about, "reason": after.reason, "retry_at": after.retry_at}
    if _held(after) != _held(before) or any(
        getattr(after, name) != getattr(before, name) for name in ("wanted", "seen", "candidate", "reason")
    ):
        nodes = {"wanted": after.wanted, "seen": after.seen, "held": _held(after), "candidate": after.candidate}
        yield "pool-changed", {**about, **nodes, "reason": after.reason or None}


def _held(pool: PoolRecord) -> int:
    return sum(hold.nodes for hold in pool.holds.values())


def _head(after: HeadRecord, over: Record | None) -> Iterator[Told]:
    before = over if isinstance(over, HeadRecord) else None
    about = {"branch": after.branch}
    if after.commit and (before is None or after.commit != before.commit):
        yield "head-applied", {**about, "commit": after.commit}
    if after.refused is not None and (before is None or after.refused != before.refused):
        yield "head-refused", {**about, "commit": after.refused, "faults": len(after.faults)}
    stopped = before.stopped if before is not None else None
    if after.stopped != stopped:
        if after.stopped is not None:
            yield "line-stopped", {**about, "by": after.stopped.by}
        else:
            yield "line-resumed", about


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _values(value: object) -> Iterable[object]:
    return _mapping(value).values()


def _whole(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and isfinite(value) else 0
