"""A rollout of the ledger as a recording: every tick that was judged, with its verdict and what people asked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from pointsman.core.judge import JudgePolicy, Tick
from pointsman.core.judge.recording import Entry, Head, Marked, Recording
from pointsman.core.judge.recording_lines import head_line, tick_line, tick_of
from pointsman.core.names import JSON
from pointsman.core.records import DecisionRecord, RolloutRecord

__all__ = ["lines_of", "recorded"]


def recorded(rollout: RolloutRecord, decisions: Iterable[DecisionRecord]) -> Recording:
    """The recording of a rollout, from its decisions in any order. Replayed, it gives the very verdicts again."""
    head = Head(
        rollout=rollout.id,
        model=rollout.service.rpartition("/")[2],
        stable=rollout.from_revision or "",
        canary=rollout.to_revision,
        policy=JudgePolicy.of(cast("JSON", rollout.plan["judge"])),
        carried=rollout.carried,
    )
    entries: list[Entry] = []
    for decision in sorted(decisions, key=lambda one: one.number):
        entries += _entries(decision)
    return Recording(head, tuple(entries))


def _entries(decision: DecisionRecord) -> Iterator[Entry]:
    at = decision.at.isoformat()
    before, after = decision.before, decision.after
    for command in cast("Sequence[JSON]", decision.inputs.get("commands") or ()):
        yield Marked("command", decision.number, {**command, "at": at})
    data = cast("JSON | None", decision.inputs.get("tick"))
    if data is not None:
        tick = tick_of(data)
        yield tick
        verdict = cast("JSON | None", after.get("verdict"))
        if verdict is not None:
            line = {"action": verdict["action"], "log_e": verdict["log_e"], "reason": verdict["reason"]}
            yield Marked("verdict", tick.seq, {"kind": "verdict", "seq": tick.seq, **line})
    if after.get("want") != before.get("want"):
        total = cast("int", after.get("weight_total", 100))
        share = {name: cast("int", side.get("want", 0)) / total for name, side in (("from", before), ("to", after))}
        yield Marked("split", decision.number, {**share, "why": decision.reason, "at": at})
    if after.get("state") != before.get("state"):
        states = {"from": before.get("state"), "to": after.get("state")}
        yield Marked("state", decision.number, {**states, "why": decision.reason, "at": at})


def lines_of(recording: Recording) -> Iterator[Mapping[str, object]]:
    """The file's lines, as JSON objects."""
    head, ticks = recording.head, [entry for entry in recording.entries if isinstance(entry, Tick)]
    edges: dict[str, Sequence[float]] = {}
    for metric in head.policy.metrics:
        if metric.kind == "Latency":
            found = (
                pod.edges_ms
                for tick in ticks
                for pod in (*tick.baseline.pods, *tick.canary.pods)
                if pod.metric_set == metric.metric_set and pod.edges_ms
            )
            edges[metric.name] = next(found, ())
    names = {"rollout": head.rollout, "model": head.model, "stable": head.stable, "canary": head.canary}
    yield head_line(head.policy, edges=edges, carried=head.carried, **names)
    for entry in recording.entries:
        if isinstance(entry, Tick):
            yield tick_line(entry, head.policy)
        else:
            yield {**entry.data, "kind": entry.kind, "seq": entry.seq}
