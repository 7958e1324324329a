"""What a decision changes beside the rollout: its service, its pool, rollouts it took over; and who is told."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from pointsman.core.names import JSON
from pointsman.core.notices import ChannelRef, Notice, NoticeKind, notice_event
from pointsman.core.pools import exhausted_until, is_short, released, with_hold
from pointsman.core.records import (
    HeadRecord,
    PoolRecord,
    RevisionRecord,
    RevisionStatus,
    RolloutRecord,
    ServiceRecord,
)
from pointsman.core.rollout.memory import memory_of, remembered
from pointsman.core.rollout.observation import (
    Action,
    Announce,
    AskPool,
    Block,
    Drained,
    EndSuperseded,
    Placed,
    SetStable,
)
from pointsman.core.rollout.turn import ENDS_AS
from pointsman.core.rollout_plan import Plan, plan_of
from pointsman.errors import Conflict
from pointsman.handlers.rollout_ports import Steps
from pointsman.ports import Ledger, Saved, Write

__all__ = ["Effects", "effects", "tell"]

TOPIC = "notices"


@dataclass(slots=True)
class Effects:
    """Writes to be saved with the rollout, and the service as it is then. `need` names a pool that an execution of
    provision-pool is to be started for."""

    service: ServiceRecord
    rollout: RolloutRecord
    writes: list[Write] = field(default_factory=list)
    pools: dict[str, tuple[PoolRecord, Saved[PoolRecord] | None]] = field(default_factory=dict)
    need: str | None = None


def effects(
    ledger: Ledger,
    rollout: RolloutRecord,
    service: ServiceRecord,
    plan: Plan,
    actions: Sequence[Action],
    now: datetime,
) -> Effects:
    """What follows from a decision's actions. The rollout's `seq` is the decision's number already."""
    found = Effects(service, rollout)
    for action in actions:
        match action:
            case Announce():
                found.rollout = _with_notice(found.rollout, action)
            case Placed():
                record = ledger.read(RevisionRecord, f"{rollout.service}/{action.revision}")
                found.service = _placed(found.service, action.revision, record, rollout.commit, now)
            case SetStable():
                found.service = replace(found.service, stable=action.revision, placement=plan.placement)
                before = found.service.revisions.get(action.revision)
                found.service = _status(
                    found.service, action.revision, now, placed="warm", good=action.good or bool(before and before.good)
                )
            case Block():
                found.service = _status(found.service, action.revision, now, blocked=True, why=action.why)
            case Drained():
                for revision in action.revisions:
                    if revision in found.service.revisions:
                        found.service = _status(found.service, revision, now, placed="drained")
            case EndSuperseded():
                for name in action.rollouts:
                    _end(found, ledger, name, now)
            case AskPool():
                _ask(found, ledger, action, plan, now)
    pools = found.pools.values()
    found.writes += [Write(record, saved) for record, saved in pools if saved is None or record != saved.record]
    return found


def tell(steps: Steps, rollout: RolloutRecord, plan: Plan, now: datetime) -> None:
    """Tell people what was decided, and note that it was told. Who dies between the two tells it again, as the same
    event: a notice's id is its decision."""
    outbox = memory_of(rollout).outbox
    if not outbox:
        return
    head = next(iter(steps.ledger.find(HeadRecord, limit=1)), None)
    repository = head.record.repository if head is not None else None
    for entry in outbox:
        notice = _notice(entry, rollout, plan, repository)
        cause = f"{notice.rollout}/superseded" if "superseded" in entry else f"{rollout.id}/{entry['number']}"
        steps.bus.publish(TOPIC, notice_event(notice, cause=cause, now=now))
    saved = steps.ledger.read(RolloutRecord, rollout.id)
    if saved is not None and memory_of(saved.record).outbox == outbox:
        told = remembered(replace(memory_of(saved.record), outbox=()))
        with suppress(Conflict):
            steps.ledger.save([Write(replace(saved.record, memory=told), saved)])


def _notice(entry: JSON, rollout: RolloutRecord, plan: Plan, repository: str | None) -> Notice:
    kind, verdict = cast("NoticeKind", entry["notice"]), rollout.verdict or {}
    if "superseded" in entry:
        # For its commit's status alone: people hear of the newer rollout.
        return Notice(
            kind,
            str(entry["title"]),
            str(entry["text"]),
            service=f"{plan.namespace}/{plan.name}",
            rollout=str(entry["superseded"]),
            revision=str(entry["revision"]),
            repository=repository,
            commit=str(entry["commit"]),
            state=str(entry["state"]),
        )
    shown = {name: verdict[name] for name in ("action", "metric", "reason", "effect") if name in verdict}
    state, commit = str(entry["state"]), rollout.commit or None
    if plan.blocks:
        # An undo is not what its commit asks for, but what becomes of it; until it is done, nothing has.
        state, commit = ("rolled_back", commit) if state == "promoted" else (state, None)
    return Notice(
        kind,
        str(entry["title"]),
        str(entry["text"]),
        _channels(plan, kind),
        service=f"{plan.namespace}/{plan.name}",
        rollout=rollout.id,
        revision=rollout.to_revision,
        repository=repository,
        commit=commit,
        state=state,
        verdict=shown or None,
    )


def _with_notice(rollout: RolloutRecord, action: Announce) -> RolloutRecord:
    """One notice a decision, since the decision's number is its id: the last is what became of it."""
    entry: JSON = {
        "notice": action.notice,
        "title": action.title,
        "text": action.text,
        "state": rollout.state,
        "number": rollout.seq,
    }
    memory = memory_of(rollout)
    others = tuple(item for item in memory.outbox if item["number"] != rollout.seq or "superseded" in item)
    return replace(rollout, memory=remembered(replace(memory, outbox=(*others, entry))))


def _with_superseded(rollout: RolloutRecord, older: RolloutRecord) -> RolloutRecord:
    """The older one's commit had a status that said it was on its way, and nobody else would take that back."""
    if not older.commit or older.commit == rollout.commit:
        return rollout
    plan = plan_of(older)
    entry: JSON = {
        "notice": "RolloutRolledBack",
        "title": f"{plan.namespace}/{plan.name}: {older.to_revision} is superseded by {rollout.to_revision}",
        "text": f"commit {rollout.commit[:12]} was pushed" if rollout.commit else "a newer revision came",
        "state": "superseded",
        "number": rollout.seq,
        "superseded": older.id,
        "revision": older.to_revision,
        "commit": older.commit,
    }
    memory = memory_of(rollout)
    return replace(rollout, memory=remembered(replace(memory, outbox=(*memory.outbox, entry))))


def _placed(
    service: ServiceRecord, revision: str, record: Saved[RevisionRecord] | None, commit: str, now: datetime
) -> ServiceRecord:
    known = service.revisions.get(revision)
    if known is not None:
        return _status(service, revision, now, placed="warm")
    model = record.record.model if record is not None else {}
    status = RevisionStatus(
        placed="warm",
        since=now,
        model=str(model.get("version") or model.get("uri") or ""),
        digest=record.record.digest if record is not None else "",
        why=f"commit {commit[:12]}" if commit else "",
    )
    return replace(service, revisions={**service.revisions, revision: status})


def _status(service: ServiceRecord, revision: str, now: datetime, **fields: Any) -> ServiceRecord:
    known = service.revisions.get(revision) or RevisionStatus(placed="warm", since=now)
    changed = replace(known, **fields)
    if changed == known and revision in service.revisions:
        return service
    return replace(service, revisions={**service.revisions, revision: replace(changed, since=now)})


def _end(found: Effects, ledger: Ledger, name: str, now: datetime) -> None:
    """A rollout that was superseded is over; what it was given back for stays its end."""
    saved = ledger.read(RolloutRecord, name)
    if saved is None or saved.record.ended == "yes":
        return
    state = ENDS_AS[memory_of(saved.record).cause or "superseded"]
    ended = replace(saved.record, state=state, state_since=now, deadline=None, ended="yes", want=0, seen=0)
    found.writes.append(Write(ended, saved))
    if state == "superseded":
        found.rollout = _with_superseded(found.rollout, saved.record)
    plan = plan_of(saved.record)
    if plan.pool is not None:
        record, before = _pool(found, ledger, plan.pool)
        until = now + timedelta(seconds=plan.pool_idle_s)
        found.pools[plan.pool] = released(record, name, now=now, until=until), before


def _ask(found: Effects, ledger: Ledger, action: AskPool, plan: Plan, now: datetime) -> None:
    record, saved = _pool(found, ledger, action.pool)
    held = with_hold(
        record, found.rollout.id, nodes_more=action.nodes, nodes_min=plan.pool_nodes_min, why=action.why, now=now
    )
    found.pools[action.pool] = held, saved
    # Asked in vain, it is asked again when that may help; with enough nodes there, pods are only on their way to them.
    again = exhausted_until(held, found.rollout.id)
    short = is_short(held, nodes_min=plan.pool_nodes_min, nodes_max=plan.pool_nodes_max, now=now)
    if short and (again is None or now >= again):
        found.need = action.pool


def _pool(found: Effects, ledger: Ledger, name: str) -> tuple[PoolRecord, Saved[PoolRecord] | None]:
    if name not in found.pools:
        saved = ledger.read(PoolRecord, name)
        found.pools[name] = (saved.record if saved is not None else PoolRecord(name=name)), saved
    return found.pools[name]


def _channels(plan: Plan, kind: NoticeKind) -> tuple[ChannelRef, ...]:
    """Those of the service's channels that ask for this notice, or for all."""
    refs = []
    for channel in plan.channels:
        wanted = channel.get("notices")
        if not isinstance(wanted, (list, tuple)) or kind in wanted:
            secret, url = channel.get("secret"), channel.get("url")
            refs.append(
                ChannelRef(
                    str(channel["name"]),
                    cast("Literal['Slack', 'GoogleChat', 'Webhook']", channel["type"]),
                    str(secret) if secret else None,
                    str(url) if url else None,
                )
            )
    return tuple(refs)
