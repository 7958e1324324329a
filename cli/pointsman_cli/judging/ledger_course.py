"""A rollout from the ledger: its decisions have every tick as it was read, and the verdict as it was given."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from pointsman.core.judge import JudgePolicy, Verdict
from pointsman.core.judge.fold import Judge
from pointsman.core.judge.memory import Memory
from pointsman.core.judge.recording_lines import tick_of
from pointsman.core.names import JSON
from pointsman.core.records import DecisionRecord, RolloutRecord
from pointsman_cli.connection import ALL, find_rollout, ledger
from pointsman_cli.decisions import why
from pointsman_cli.judging.course import Course, Mark, Moment
from pointsman_cli.judging.replaying import loosened_by

__all__ = ["ask", "course_of_decisions"]


def ask(wanted: str, namespace: str | None, section: JSON | None) -> tuple[Course, bool]:
    """A rollout by its id, its start, or its service; and whether it is over."""
    records = ledger()
    rollout = find_rollout(records, wanted, namespace)
    found = (saved.record for saved in records.find(DecisionRecord, {"rollout": rollout.id}, limit=ALL))
    decisions = sorted(found, key=lambda decision: decision.number)
    return course_of_decisions(rollout, decisions, section), rollout.ended == "yes"


def course_of_decisions(
    rollout: RolloutRecord, decisions: Sequence[DecisionRecord], section: JSON | None = None
) -> Course:
    """What was seen and said, from the audit log; judged again only by another policy's `judge` section."""
    own = JudgePolicy.of(cast("JSON", rollout.plan.get("judge") or {}))
    policy = own if section is None else JudgePolicy.of(section)
    return Course(
        rollout=rollout.id,
        model=rollout.service.partition("/")[2] or rollout.service,
        stable=rollout.from_revision or "",
        canary=rollout.to_revision,
        policy=policy,
        moments=tuple(_as_said(decisions) if section is None else _again(rollout, decisions, policy)),
        marks=tuple(_moves(decisions, rollout.weight_total)),
        loosened=() if section is None else loosened_by(own, policy),
        ended=rollout.state if rollout.ended == "yes" else "",
        carried=rollout.carried,
    )


def _as_said(decisions: Sequence[DecisionRecord]) -> Iterator[Moment]:
    for decision in decisions:
        tick, verdict = decision.inputs.get("tick"), decision.after.get("verdict")
        if isinstance(tick, Mapping) and isinstance(verdict, Mapping):
            yield Moment(tick_of(tick), Verdict.of(verdict))


def _again(rollout: RolloutRecord, decisions: Sequence[DecisionRecord], policy: JudgePolicy) -> Iterator[Moment]:
    judging = Judge(policy, Memory.of(rollout.carried, policy))
    for decision in decisions:
        if isinstance(recorded := decision.inputs.get("tick"), Mapping):
            tick = tick_of(recorded)
            if judging.take(tick):
                yield Moment(tick, judging.verdict())


def _moves(decisions: Sequence[DecisionRecord], weight_total: int) -> Iterator[Mark]:
    """What people asked for, and every decision that moved the state or the weight."""
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
