"""`pointsman why SERVICE`: what a person asks at 3 a.m.: the state, the verdict, what happens next, what to type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, assert_never

import click

from pointsman.core.records import HeadRecord, RolloutRecord, ServiceRecord
from pointsman.ports import Ledger
from pointsman_cli.connection import ALL, find_service, ledger
from pointsman_cli.output import age, emit, output_option, say, state_text

if TYPE_CHECKING:
    from pointsman.core.rollout import Memory
    from pointsman.core.rollout_plan import Plan

__all__ = ["command"]

PROBE_HEADER = "x-pointsman-probe"


@dataclass(frozen=True, slots=True)
class _Answer:
    """One service's answer. `state` and `next` are sentences, `type` the commands that may help."""

    service: str
    state: str
    verdict: Mapping[str, object] | None
    next: str
    type: Sequence[str]
    notes: Sequence[str]


@click.command()
@click.argument("service")
@click.option("-n", "--namespace", help="Namespace of the service.")
@output_option("table", "json", "yaml")
def command(service: str, namespace: str | None, output: str) -> None:
    """Say why a service is as it is, what happens next, and what to type."""
    records = ledger()
    found = find_service(records, service, namespace)
    answer = _answer(records, found, datetime.now(UTC))
    if output in ("json", "yaml"):
        content = {"service": answer.service, "state": answer.state, "verdict": answer.verdict}
        emit({**content, "next": answer.next, "type": list(answer.type), "notes": list(answer.notes)}, output)
        return
    say(f"{answer.service}: {answer.state}")
    if answer.verdict:
        say(f"verdict: {answer.verdict['action']}, {answer.verdict['reason']}")
    say(f"next:    {answer.next}")
    for note in answer.notes:
        say(f"note:    {note}")
    for index, line in enumerate(answer.type):
        say(f"{'type:' if index == 0 else '':<8} {line}")


def _answer(records: Ledger, service: ServiceRecord, now: datetime) -> _Answer:
    rollouts = [saved.record for saved in records.find(RolloutRecord, {"service": service.key}, limit=ALL)]
    newest = max(rollouts, key=lambda rollout: (rollout.ended == "no", rollout.started_at), default=None)
    name = f"{service.namespace}/{service.name}"
    notes = _notes(records, service)
    if newest is None:
        return _Answer(name, "never rolled out", None, "the next push of its document starts a rollout", (), notes)
    stable = service.stable or "nothing"
    if newest.ended == "yes":
        return _Answer(
            name,
            f"{stable} serves; {newest.to_revision} {_ended(newest)} {age(newest.state_since, now)} ago",
            newest.verdict,
            "nothing, until something is pushed, registered or fires",
            _after(newest, service),
            notes,
        )
    from pointsman.core.rollout import memory_of
    from pointsman.core.rollout_plan import plan_of

    plan, memory = plan_of(newest), memory_of(newest)
    want, seen = plan.percent(newest.want), plan.percent(newest.seen)
    share = f"{want:g} %" if want == seen else f"{want:g} % wanted, {seen:g} % seen"
    state = state_text(newest.state, newest.step, newest.reason)
    where = f"-n {service.namespace}"
    if memory.word:
        path = plan.probe_path
        notes = [*notes, f"to ask the canary alone: curl -H '{PROBE_HEADER}: {memory.word}' http://HOST{path}"]
    return _Answer(
        name,
        f"{newest.to_revision} is {state} for {age(newest.state_since, now)}, canary at {share}; stable is {stable}",
        newest.verdict,
        _next(newest, plan, memory, now),
        [f"pointsman {verb} {service.name} {where}" for verb in _verbs(newest)]
        + [f"pointsman rollouts watch {newest.id[:12]}"],
        notes,
    )


def _ended(rollout: RolloutRecord) -> str:
    because = f" ({rollout.reason})" if rollout.reason and rollout.state != "promoted" else ""
    words = {"rolled_back": "was rolled back", "aborted": "was aborted", "failed": "failed"}
    return {"promoted": "was promoted", "superseded": "was superseded"}.get(
        rollout.state, words.get(rollout.state, rollout.state) + because
    )


def _after(rollout: RolloutRecord, service: ServiceRecord) -> Sequence[str]:
    where = f"{service.name} -n {service.namespace}"
    if rollout.state == "promoted":
        return (f"pointsman undo {where}", f"pointsman rollouts get {rollout.id[:12]} --decisions")
    again = f"pointsman retry {where}"
    status = service.revisions.get(rollout.to_revision)
    release = (f"pointsman unblock {where}",) if status is not None and status.blocked else ()
    return (*release, again, f"pointsman rollouts get {rollout.id[:12]} --decisions")


def _verbs(rollout: RolloutRecord) -> Sequence[str]:
    """The commands that act in a state; abort acts in every one."""
    match rollout.state:
        case "queued":
            return ("abort", "promote")
        case "pending" | "placing":
            return ("abort", "pause")
        case "stepping" | "baking":
            return ("abort", "pause", "skip")
        case "held":
            return ("abort", "approve" if rollout.reason.startswith("approval") else "resume")
        case "giving_back":
            return ()
        case _:
            return ("abort",)


def _next(rollout: RolloutRecord, plan: "Plan", memory: "Memory", now: datetime) -> str:
    """What will happen if nobody does anything."""
    late = f"; given up {_in(rollout.deadline, now)}" if rollout.deadline else ""
    match rollout.state:
        case "queued":
            return f"it starts when the service is free and no freeze holds it: {rollout.reason or 'soon'}"
        case "pending":
            return f"it takes the service over and starts its pods{late}"
        case "placing":
            return f"{memory.target} pods become ready and answer 5 probes, then the first weight{late}"
        case "provisioning":
            return f"its pods wait for nodes of pool {plan.pool}; then the first weight{late}"
        case "stepping":
            return _next_step(rollout, plan, memory, now)
        case "held":
            return f"it goes on when that is over{late}"
        case "baking":
            until = memory.clock + timedelta(seconds=plan.bake_s) if memory.clock else None
            return f"100 % {_in(until, now)}, if nothing speaks against it"
        case "completing":
            return f"all traffic goes to {rollout.to_revision}, then the old side is drained{late}"
        case "giving_back":
            return f"all traffic goes to {rollout.from_revision or 'nobody'}, then the canary is scaled to nothing"
        case "promoted" | "rolled_back" | "aborted" | "superseded" | "failed":
            return "nothing: it has ended"
        case _:
            assert_never(rollout.state)


def _next_step(rollout: RolloutRecord, plan: "Plan", memory: "Memory", now: datetime) -> str:
    step = plan.steps[rollout.step]
    until = memory.clock + timedelta(seconds=step.hold_s) if memory.clock else None
    last = rollout.step + 1 >= len(plan.steps)
    goal = f"the bake at {plan.percent(plan.bake_weight):g} %" if last else f"{_weight(plan, rollout.step + 1)}"
    approval = f", once {step.approvals} owners approve" if step.approvals else ""
    return f"{goal} {_in(until, now)}{approval}, if the judge has data and nothing against it"


def _weight(plan: "Plan", step: int) -> str:
    found = plan.steps[step]
    return f"a mirror of {found.mirror_percent} %" if found.mirror_percent else f"{plan.percent(found.weight):g} %"


def _in(when: datetime | None, now: datetime) -> str:
    if when is None:
        return "some time after the weight was seen"
    return "now" if when <= now else f"in {age(now, when)}"


def _notes(records: Ledger, service: ServiceRecord) -> list[str]:
    """What people would not look for: refused commits, a blocked head, a stopped line, a document that is gone."""
    notes: list[str] = []
    for saved in records.find(HeadRecord):
        head = saved.record
        if head.stopped:
            notes.append(f"the line is stopped by {head.stopped.by}: {head.stopped.why or 'no reason given'}")
        if head.refused:
            more = f" and {len(head.faults) - 1} more" if len(head.faults) > 1 else ""
            notes.append(f"commit {head.refused[:12]} was refused: {head.faults[0] if head.faults else ''}{more}")
    for name, status in service.revisions.items():
        if status.blocked:
            notes.append(f"{name} is blocked: {status.why or 'it was rolled back'}")
    if not service.in_git:
        notes.append("its document is gone from git; it is left as it is until `pointsman delete`")
    return notes
