"""`claim`: one execution owns a rollout, one rollout owns a service, by a token that only rises.

A rollout waits here, asked again and again, until nothing holds it: a freeze window, a stopped line, an owner that is
not superseded. Then one transaction takes the service. An execution that finds another one alive is a duplicate.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

from pointsman.core.freeze import Freeze, frozen
from pointsman.core.names import JSON
from pointsman.core.records import (
    CommandRecord,
    DecisionRecord,
    DocumentRecord,
    HeadRecord,
    RolloutRecord,
    ServiceRecord,
)
from pointsman.core.rollout import FINAL, Observation, memory_of, remembered, transition, wait_s
from pointsman.core.rollout.turn import Turn
from pointsman.core.rollout_plan import Plan, plan_of
from pointsman.errors import Absent, Conflict, Unavailable
from pointsman.handlers.rollout_finish import release
from pointsman.handlers.rollout_ports import LEASE, LEASE_OVER, TRIES, Steps, answer
from pointsman.ports import Ledger, Saved, Write

__all__ = ["claim", "commands_of", "freeze_of"]

SILENT = 2 * LEASE
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


def claim(steps: Steps, rollout: str, execution: str, callback: str | None, now: datetime) -> JSON:
    """Own the rollout and its service, wait for that, or be told that another does."""
    for _ in range(TRIES):
        try:
            return _claim(steps, rollout, execution, callback, now)
        except Conflict:
            continue
    raise Unavailable("the rollout's records keep changing", where=rollout)


def _claim(steps: Steps, name: str, execution: str, callback: str | None, now: datetime) -> JSON:
    saved = steps.ledger.read(RolloutRecord, name)
    if saved is None:
        raise Absent("there is no such rollout", where=name, remedy="pointsman rollouts list")
    rollout = saved.record
    service = steps.ledger.read(ServiceRecord, rollout.service)
    if service is None:
        raise Absent("the rollout's service is not in the ledger", where=rollout.service)
    if rollout.ended == "yes":
        release(steps, saved.record, now)
        return answer(rollout, done=True, outcome=rollout.state)
    if rollout.execution not in (None, execution) and _is_alive(steps, rollout, now):
        return answer(rollout, done=True, outcome="duplicate")
    if rollout.state == "queued":
        service = _after_the_last(steps, rollout, service, now)
        return _take_or_wait(steps, saved, service, execution, callback, now)
    if service.record.owner != name or rollout.token != service.record.token:
        return answer(rollout, done=True, outcome="superseded")
    return _take_over(steps, saved, service, execution, callback, now)


def _after_the_last(
    steps: Steps, rollout: RolloutRecord, service: Saved[ServiceRecord], now: datetime
) -> Saved[ServiceRecord]:
    """The service, free of an owner that ended and died before it had finished."""
    if service.record.owner in (None, rollout.id):
        return service
    owner = steps.ledger.read(RolloutRecord, service.record.owner or "")
    if owner is None or owner.record.ended == "no":
        return service
    release(steps, owner.record, now)
    return steps.ledger.read(ServiceRecord, rollout.service) or service


def _is_alive(steps: Steps, rollout: RolloutRecord, now: datetime) -> bool:
    """Whether the execution that drives the rollout may still write."""
    until = rollout.lease_until or now
    if now < until + LEASE_OVER:
        return True
    found = steps.workflows.execution(rollout.execution or "")
    return found is not None and found.state not in _ENDED and now < until + SILENT


def _take_over(
    steps: Steps,
    saved: Saved[RolloutRecord],
    service: Saved[ServiceRecord],
    execution: str,
    callback: str | None,
    now: datetime,
) -> JSON:
    """Go on where another execution of the rollout was, by a new token; the same execution keeps its own."""
    rollout = saved.record
    if rollout.execution == execution:
        steps.ledger.save([Write(replace(rollout, callback=callback, lease_until=now + LEASE), saved)], [service])
        return answer(rollout, done=True)
    token = service.record.token + 1
    memory = replace(memory_of(rollout), ticks=0, since=now)
    taken = replace(
        rollout,
        execution=execution,
        callback=callback,
        lease_until=now + LEASE,
        token=token,
        attempt=rollout.attempt + 1,
        seq=rollout.seq + 1,
        memory=remembered(memory),
    )
    decision = _decision(rollout, taken, f"attempt {taken.attempt} goes on", now)
    owned = replace(service.record, token=token, lease_until=now + LEASE)
    steps.ledger.save([Write(taken, saved), Write(owned, service), Write(decision)])
    return answer(taken, done=True)


def _take_or_wait(
    steps: Steps,
    saved: Saved[RolloutRecord],
    service: Saved[ServiceRecord],
    execution: str,
    callback: str | None,
    now: datetime,
) -> JSON:
    rollout, plan = saved.record, plan_of(saved.record)
    commands = commands_of(steps.ledger, rollout.id)
    others = [
        other
        for other in steps.ledger.find(RolloutRecord, {"service": rollout.service, "ended": "no"})
        if other.record.id != rollout.id
    ]
    owner = next((other for other in others if other.record.id == service.record.owner), None)
    mine = replace(rollout, execution=execution, callback=callback)
    if service.record.generation > rollout.generation + 1:  # even where that one has come and gone
        return _overtaken(steps, saved, mine, service, now)
    observed = Observation(
        freeze=freeze_of(steps.ledger, plan, now),
        busy=_busy(rollout, plan, owner.record) if owner is not None else "",
        commands=tuple(command.record for command in commands),
    )
    decision = transition(mine, observed, now)
    after = decision.rollout
    wait = wait_s(after, observed, now)
    after = replace(after, lease_until=now + timedelta(seconds=wait) + LEASE)
    writes: list[Write] = []
    changed = service.record
    if after.state == "pending":
        running = [other for other in others if other.record.state != "queued"]
        after, changed, writes = _taken(after, service.record, running, now)
    elif after.state in FINAL:
        changed = replace(changed, next=None)  # what ended while it waited is not what comes next
    if after.state != rollout.state or commands:
        after = replace(after, seq=rollout.seq + 1)
        writes.append(Write(_decision(rollout, after, "; ".join(decision.notes), now, commands)))
        writes += [Write(replace(item.record, taken=str(after.seq)), item) for item in commands]
    if changed != service.record:
        writes.append(Write(changed, service))
        steps.ledger.save([Write(after, saved), *writes])
    else:
        steps.ledger.save([Write(after, saved), *writes], [service])
    outcome = after.state if after.state in FINAL else None
    return answer(after, wait_s=0.0 if after.state != "queued" else wait, done=after.state != "queued", outcome=outcome)


def _taken(
    rollout: RolloutRecord, service: ServiceRecord, others: list[Saved[RolloutRecord]], now: datetime
) -> tuple[RolloutRecord, ServiceRecord, list[Write]]:
    """The service is the rollout's: its token rises, and what ran is superseded."""
    token = service.token + 1
    older: list[str] = []
    writes = []
    for other in others:
        turn = Turn(other.record, Observation(), now)
        turn.give_back("superseded", f"superseded by {rollout.to_revision}")
        given = turn.decision().rollout
        writes.append(Write(replace(given, seq=other.record.seq), other))
        before = memory_of(other.record)
        older += [other.record.to_revision, *before.older]
    memory = memory_of(rollout)
    memory = replace(
        memory,
        word=memory.word or _word(rollout),
        older=tuple(dict.fromkeys(name for name in older if name not in (service.stable, rollout.to_revision))),
        superseding=tuple(other.record.id for other in others),
        ticks=0,
        since=now,
    )
    taken = replace(
        rollout,
        token=token,
        attempt=rollout.attempt + 1,
        from_revision=service.stable,
        lease_until=now + LEASE,
        memory=remembered(memory),
    )
    owned = replace(
        service,
        owner=rollout.id,
        token=token,
        next=None if service.next == rollout.id else service.next,
        lease_until=now + LEASE,
    )
    return taken, owned, writes


def _word(rollout: RolloutRecord) -> str:
    """The probe rule's word: nobody knows the callback's URL but the execution and us."""
    return sha256(f"{rollout.id}\0{rollout.execution}\0{rollout.callback}".encode()).hexdigest()[:16]


def _busy(rollout: RolloutRecord, plan: Plan, owner: RolloutRecord) -> str:
    """Why the present owner is waited for; nothing where it is superseded."""
    said = f"{owner.to_revision} is {owner.state.replace('_', ' ')} ({owner.id})"
    if plan.waits or owner.kind == "remove":
        return said
    if owner.kind == "roll_back" and owner.state in ("completing", "giving_back"):
        return said
    if owner.state == "completing":
        return said
    if rollout.kind == "roll_out" and (owner.state == "baking" or plan.on_new_revision != "Supersede"):
        return said if owner.state != "giving_back" else ""
    return ""


def _overtaken(
    steps: Steps, saved: Saved[RolloutRecord], mine: RolloutRecord, service: Saved[ServiceRecord], now: datetime
) -> JSON:
    """Another rollout was opened while this one waited."""
    turn = Turn(mine, Observation(), now)
    newer = service.record.next or service.record.owner or "a newer rollout"
    turn.give_back("superseded", f"superseded by {newer} while it waited")
    after = replace(turn.decision().rollout, seq=mine.seq + 1)
    steps.ledger.save([Write(after, saved), Write(_decision(mine, after, after.reason, now))], [service])
    return answer(after, done=True, outcome=after.state)


def freeze_of(ledger: Ledger, plan: Plan, now: datetime) -> Freeze | None:
    """What holds the service now: a stopped line, or the freeze windows of the last commit applied."""
    for head in ledger.find(HeadRecord):
        stopped = head.record.stopped
        if stopped is not None:
            reason = f"stopped by {stopped.by}" + (f": {stopped.why}" if stopped.why else "")
            return Freeze("pause --all", reason, "WeightIncreases", None)
    document = ledger.read(DocumentRecord, f"ModelService/{plan.namespace}/{plan.name}")
    windows = document.record.document.get("freezeWindows") if document is not None else None
    found = windows if isinstance(windows, (list, tuple)) else plan.freeze_windows
    if not found:
        return None
    from pointsman.documents.platform import FreezeWindow  # only now: the models cost most of a cold start

    return frozen([FreezeWindow.model_validate(window) for window in found], plan.labels, plan.namespace, now)


def commands_of(ledger: Ledger, rollout: str) -> list[Saved[CommandRecord]]:
    """Commands that no decision has taken yet."""
    return list(ledger.find(CommandRecord, {"rollout": rollout, "taken": "no"}))


def _decision(
    before: RolloutRecord,
    after: RolloutRecord,
    reason: str,
    now: datetime,
    commands: list[Saved[CommandRecord]] | None = None,
) -> DecisionRecord:
    taken = [{"verb": item.record.verb, "by": item.record.by, "why": item.record.why} for item in commands or ()]
    return DecisionRecord(
        rollout=after.id,
        number=after.seq,
        at=now,
        kind="command" if taken else "state",
        inputs={"commands": taken, "execution": after.execution},
        before={"state": before.state, "token": before.token, "attempt": before.attempt},
        after={"state": after.state, "token": after.token, "attempt": after.attempt},
        reason=reason or after.state,
    )
