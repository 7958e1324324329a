"""`pointsman why SERVICE`: what a person asks at 3 a.m.: the state, the verdict, what happens next, what to type."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, assert_never

import click

from pointsman.core.records import HeadRecord, RolloutRecord, ServiceRecord
from pointsman.ports import Ledger
from pointsman_cli.connection import ALL, find_service, ledger
from pointsman_cli.output import age, emit, namespace_option, output_option, say, state_text

if TYPE_CHECKING:
    from pointsman.core.rollout import Memory
    from pointsman.core.rollout_plan import Plan

__all__ = ["command"]

PROBE_HEADER = "x-pointsman-probe"


@dataclass(frozen=True, slots=True)
class _Answer:
    """One service's answer. `summary` and `next` are sentences, `type` the commands that may help."""

    service: str
    state: str
    summary: str
    verdict: Mapping[str, object] | None
    next: str
    type: Sequence[str]
    notes: Sequence[str]


@click.command()
@click.argument("service")
@namespace_option()
@output_option("table", "json", "yaml")
def command(service: str, namespace: str | None, output: str) -> None:
    """Say why a service is as it is, what happens next, and what to type."""
    records = ledger()
    found = find_service(records, service, namespace)
    answer = _answer(records, found, datetime.now(UTC))
    if output in ("json", "yaml"):
        emit(asdict(answer), output)
        return
    say(f"{answer.service}: {answer.summary}")
    if answer.verdict:
        say(f"verdict: {answer.verdict['action']}, {answer.verdict['reason']}")
    say(f"next:    {answer.next}")
    for note in answer.notes:
        say(f"note:    {note}")
    for index, line in enumerate(answer.type):
        say(f"{'type:' if index == 0 else '':<8} {line}")


def _answer(records: Ledger, service: ServiceRecord, now: datetime) -> _Answer:
    found = [saved.record for saved in records.find(RolloutRecord, {"service": service.key}, limit=ALL)]
    rollouts = sorted(found, key=lambda rollout: rollout.started_at, reverse=True)
    running = [rollout for rollout in rollouts if rollout.ended == "no"]
    name, notes = f"{service.namespace}/{service.name}", _notes(records, service)
    if running:
        # The owner moves the traffic; what else runs waits for it.
        leading = next((rollout for rollout in running if rollout.id == service.owner), running[0])
        waiting = [
            f"{rollout.to_revision} is {rollout.state} behind it" for rollout in running if rollout is not leading
        ]
        return _of_running(name, service, leading, [*waiting, *notes], now)
    if not rollouts:
        begins = "the next push of its document starts a rollout"
        return _Answer(name, "new", "never rolled out", None, begins, (), notes)
    newest = rollouts[0]
    serves = f"{service.stable} serves" if service.stable else "nothing serves"
    return _Answer(
        name,
        newest.state,
        f"{serves}; {newest.to_revision} {_ended(newest)} {age(newest.state_since, now)} ago",
        newest.verdict if newest.state != "promoted" else None,
        "nothing, until something is pushed, registered or fires",
        _after(newest, service),
        notes,
    )


def _of_running(
    name: str, service: ServiceRecord, rollout: RolloutRecord, notes: Sequence[str], now: datetime
) -> _Answer:
    from pointsman.core.rollout import memory_of
    from pointsman.core.rollout_plan import plan_of

    plan, memory = plan_of(rollout), memory_of(rollout)
    want, seen = plan.percent(rollout.want), plan.percent(rollout.seen)
    share = f"{want:g} %" if want == seen else f"{want:g} % wanted, {seen:g} % seen"
    state = state_text(rollout.state, rollout.step, rollout.reason)
    if memory.word:
        notes = [*notes, f"to ask the canary alone: curl -H '{PROBE_HEADER}: {memory.word}' {_address(plan)}"]
    return _Answer(
        name,
        rollout.state,
        f"{rollout.to_revision} is {state} for {age(rollout.state_since, now)}, canary at {share}; "
        f"stable is {service.stable or 'nothing yet'}",
        rollout.verdict,
        _next(rollout, plan, memory, now),
        [*(_typed(verb, service) for verb in _verbs(rollout, memory)), f"pointsman rollouts watch {rollout.id[:12]}"],
        notes,
    )


def _address(plan: "Plan") -> str:
    """Where curl finds the service: by its name, or through the gateway that this shell knows of."""
    host = plan.hostnames[0] if plan.hostnames else "HOST"
    gateway = os.environ.get("POINTSMAN_GATEWAY_URL")
    return f"-H 'Host: {host}' {gateway}{plan.probe_path}" if gateway else f"https://{host}{plan.probe_path}"


def _ended(rollout: RolloutRecord) -> str:
    words = {"failed": "failed"}.get(rollout.state, f"was {rollout.state.replace('_', ' ')}")
    told = rollout.state == "promoted" or rollout.reason == (rollout.verdict or {}).get("reason")
    return f"{words} ({rollout.reason})" if rollout.reason and not told else words


def _after(rollout: RolloutRecord, service: ServiceRecord) -> Sequence[str]:
    where = f"{service.name} -n {service.namespace}"
    if rollout.state == "promoted":
        return (f"pointsman undo {where}", f"pointsman rollouts get {rollout.id[:12]} --decisions")
    again = f"pointsman retry {where}"
    status = service.revisions.get(rollout.to_revision)
    release = (f"pointsman unblock {where}",) if status is not None and status.blocked else ()
    return (*release, again, f"pointsman rollouts get {rollout.id[:12]} --decisions")


def _typed(verb: str, service: ServiceRecord) -> str:
    why = " --why REASON" if verb == "promote" else ""
    return f"pointsman {verb} {service.name} -n {service.namespace}{why}"


def _verbs(rollout: RolloutRecord, memory: "Memory") -> Sequence[str]:
    """The commands that may help in a state; abort acts in all but the last."""
    turn = "resume" if memory.paused else "pause"
    match rollout.state:
        case "queued":
            return ("abort", "promote")
        case "pending" | "placing":
            return ("abort", turn)
        case "stepping" | "baking":
            return ("abort", turn, "skip", "promote")
        case "held":
            ends = {"paused": "resume", "reset": "resume", "approval": "approve"}.get(_kind(rollout))
            return ("abort", *((ends,) if ends else ()), "promote")
        case "provisioning" | "completing":
            return ("abort",)
        case "giving_back" | "promoted" | "rolled_back" | "aborted" | "superseded" | "failed":
            return ()
        case _:
            assert_never(rollout.state)


def _kind(rollout: RolloutRecord) -> str:
    """What a rollout is held by: the first words of its reason; `reset` where somebody else writes the route."""
    if rollout.reason.startswith("conflict: somebody else"):
        return "reset"
    return rollout.reason.partition(":")[0]


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
            return f"{_over(rollout)}{late}"
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


def _over(rollout: RolloutRecord) -> str:
    """When a hold ends."""
    return {
        "paused": "nothing, until somebody resumes it",
        "reset": "nothing, until somebody resumes it",
        "approval": "it goes on once enough owners approve",
    }.get(_kind(rollout), "it goes on when that is over")


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
            why = f" ({head.stopped.why})" if head.stopped.why else ""
            notes.append(f"the line is stopped by {head.stopped.by}{why}; to go on: pointsman resume --all")
        if head.refused:
            more = f" and {len(head.faults) - 1} more" if len(head.faults) > 1 else ""
            notes.append(f"commit {head.refused[:12]} was refused: {head.faults[0] if head.faults else ''}{more}")
    for name, status in service.revisions.items():
        if status.blocked:
            notes.append(f"{name} is blocked: {status.why or 'it was rolled back'}")
    if not service.in_git:
        delete = f"pointsman delete {service.name} -n {service.namespace}"
        notes.append(f"its document is gone from git; it is left as it is until: {delete}")
    return notes
