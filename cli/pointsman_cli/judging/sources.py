"""Where a rollout is found: in a file, or in the ledger by its id or its service."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pointsman.core.judge import JudgePolicy
from pointsman.core.judge.recording import Marked, Recording
from pointsman.core.judge.recording import replay as judged_again
from pointsman.core.names import JSON
from pointsman_cli.judging.course import Course, Mark, Moment
from pointsman_cli.judging.replaying import opened

if TYPE_CHECKING:
    from pointsman.core.records import DecisionRecord, RolloutRecord

__all__ = ["course_of", "course_of_decisions", "find"]


def find(wanted: str, namespace: str | None, policy: JudgePolicy | None = None) -> tuple[Course, bool]:
    """The rollout that is meant, and whether it is over. A file of that name comes first; then the ledger is asked,
    as for `pointsman rollouts get`. Raises Invalid, Absent, Unavailable."""
    if Path(wanted).is_file():
        return course_of(opened(wanted), policy=policy, rollout=Path(wanted).name), True
    from pointsman.core.records import DecisionRecord
    from pointsman_cli.connection import ALL, find_rollout, ledger

    records = ledger()
    rollout = find_rollout(records, wanted, namespace)
    found = (saved.record for saved in records.find(DecisionRecord, {"rollout": rollout.id}, limit=ALL))
    decisions = sorted(found, key=lambda decision: decision.number)
    return course_of_decisions(rollout, decisions, policy), rollout.ended == "yes"


def course_of(recording: Recording, *, policy: JudgePolicy | None = None, rollout: str = "") -> Course:
    """A recording, judged again, with its marks."""
    head = recording.head
    return Course(
        rollout=head.rollout or rollout,
        model=head.model,
        stable=head.stable,
        canary=head.canary,
        policy=policy or head.policy,
        moments=tuple(Moment(tick, verdict) for tick, verdict in judged_again(recording, policy)),
        marks=tuple(_marks(recording)),
    )


def course_of_decisions(
    rollout: "RolloutRecord", decisions: "Sequence[DecisionRecord]", policy: JudgePolicy | None = None
) -> Course:
    """What the ledger has of a rollout; its marks are the decisions that moved something, and people's commands."""
    from pointsman.core.judge.recording import of_decisions

    course = course_of(of_decisions(rollout, decisions), policy=policy)
    return replace(course, marks=tuple(_moves(decisions, rollout.weight_total)))


def _moves(decisions: "Sequence[DecisionRecord]", weight_total: int) -> "Iterator[Mark]":
    from pointsman_cli.decisions import why

    before = None
    for decision in decisions:
        state = str(decision.after.get("state", ""))
        now = state, decision.after.get("want")
        for command in cast("Sequence[JSON]", decision.inputs.get("commands") or ()):
            reason = f": {command['why']}" if command.get("why") else ""
            yield Mark(decision.at, None, f"{command.get('verb')}", f"asked by {command.get('by')}{reason}")
        if now != before:
            yield Mark(decision.at, None, state.replace("_", " "), why(decision, weight_total))
        before = now


def _marks(recording: Recording) -> Iterator[Mark]:
    ends = {entry.seq: entry.until for entry in recording.entries if not isinstance(entry, Marked)}
    for entry in recording.entries:
        if isinstance(entry, Marked) and entry.kind != "verdict":
            yield Mark(ends.get(entry.seq or -1), entry.seq, entry.kind, _said(entry))


def _said(mark: Marked) -> str:
    """A mark's fields in words."""
    data = mark.data
    if mark.kind == "split":
        why = f": {data['why']}" if data.get("why") else ""
        shares = [data.get("from"), data.get("to")]
        return " → ".join(f"{100 * share:g} %" for share in shares if isinstance(share, (int, float))) + why
    return ", ".join(f"{name} {value}" for name, value in data.items() if name not in ("kind", "seq"))
