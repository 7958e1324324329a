"""`finish`: what a settled rollout leaves behind goes, its service is free. `inspect`: what differs from the ledger."""

from dataclasses import replace
from datetime import datetime, timedelta

from pointsman.core.names import JSON
from pointsman.core.pools import released
from pointsman.core.records import (
    PoolRecord,
    RevisionRecord,
    RevisionStatus,
    RolloutRecord,
    ServiceRecord,
)
from pointsman.core.rollout_plan import Plan, plan_of
from pointsman.core.routes import route_ref, weights_of
from pointsman.errors import Absent, Conflict, PointsmanError, Unavailable
from pointsman.handlers.rollout_effects import tell
from pointsman.handlers.rollout_ports import TRIES, Steps, answer
from pointsman.handlers.rollout_write import objects_of
from pointsman.ports import Cluster, Saved, Write

__all__ = ["finish", "inspect", "release"]


def finish(steps: Steps, rollout: str, now: datetime) -> JSON:
    """Free the service, if the rollout is settled; its state is the workflow's outcome."""
    saved = steps.ledger.read(RolloutRecord, rollout)
    if saved is None:
        raise Absent("there is no such rollout", where=rollout, remedy="pointsman rollouts list")
    if saved.record.ended == "no":
        return answer(saved.record, wait_s=1.0)
    release(steps, saved.record, now)
    return answer(saved.record, done=True, outcome=saved.record.state)


def release(steps: Steps, rollout: RolloutRecord, now: datetime) -> None:
    """Let go of the service, and of the pool in `idleTimeout`; the token stays. Old revisions beyond the limit are
    deleted first."""
    plan = plan_of(rollout)
    tell(steps, rollout, plan, now)
    for _ in range(TRIES):
        service = steps.ledger.read(ServiceRecord, rollout.service)
        if service is None or service.record.owner != rollout.id:
            return
        writes = [Write(_freed(steps, service.record, rollout, plan, now), service)]
        pool = steps.ledger.read(PoolRecord, plan.pool) if plan.pool is not None else None
        if pool is not None and rollout.id in pool.record.holds:
            until = now + timedelta(seconds=plan.pool_idle_s)
            writes.append(Write(released(pool.record, rollout.id, now=now, until=until), pool))
        try:
            steps.ledger.save(writes)
        except Conflict:
            continue
        return
    raise Unavailable("the service's record keeps changing", where=rollout.service)


def _freed(steps: Steps, service: ServiceRecord, rollout: RolloutRecord, plan: Plan, now: datetime) -> ServiceRecord:
    freed = replace(service, owner=None, lease_until=None)
    removed = rollout.kind == "remove" and rollout.state == "promoted"
    if removed:
        going = {name for name, status in service.revisions.items() if status.placed != "deleted"}
        freed = replace(freed, stable=None, placement={})
    else:
        going = _beyond_limit(service, plan.history_limit)
    if not going:
        return freed
    cluster = steps.cluster(plan.cluster)
    revisions = dict(freed.revisions)
    for name in sorted(going):
        _delete(steps, cluster, rollout.service, name)
        revisions[name] = replace(revisions[name], placed="deleted", since=now)
    return replace(freed, revisions=revisions)


def _beyond_limit(service: ServiceRecord, limit: int) -> set[str]:
    """Drained revisions that are not kept: the newest good ones are, for a fast way back."""

    def worth(name: str) -> tuple[bool, datetime]:
        status: RevisionStatus = service.revisions[name]
        return status.good and not status.blocked, status.since

    drained = [name for name, status in service.revisions.items() if status.placed == "drained"]
    return set(sorted(drained, key=worth, reverse=True)[limit:]) - {service.stable or ""}


def _delete(steps: Steps, cluster: Cluster, service: str, revision: str) -> None:
    """A revision's objects; the ledger keeps what they were."""
    saved = steps.ledger.read(RevisionRecord, f"{service}/{revision}")
    for ref in objects_of(saved.record) if saved is not None else ():
        try:
            cluster.delete(ref)
        except Absent:
            continue  # a cluster that does not know the kind


def inspect(steps: Steps, now: datetime) -> JSON:
    """What differs from the ledger, of services that no rollout owns. Changes nothing."""
    findings: list[JSON] = []
    for saved in steps.ledger.find(ServiceRecord, limit=10_000):
        service = saved.record
        if service.owner is not None:
            owner = steps.ledger.read(RolloutRecord, service.owner)
            if owner is not None and owner.record.ended == "yes":
                workflow = "roll-out" if owner.record.kind == "roll_out" else "roll-back"
                what = f"{owner.record.id} has ended and was not finished"
                findings.append({"service": service.key, "rollout": owner.record.id, "start": workflow, "what": what})
            continue
        if service.stable is None:
            continue
        found = _differs(steps, service)
        if found:
            findings.append({"service": service.key, "what": f"{found}; {_by_hand(service)}"})
    return {"findings": findings}


def _differs(steps: Steps, service: ServiceRecord) -> str:
    """How a settled service's route differs from its stable revision alone; nothing where it does not."""
    last = _last_plan(steps, service)
    if last is None:
        return ""
    try:
        route = steps.cluster(last.cluster).get(route_ref(last))
    except PointsmanError as error:
        return f"its route can't be read: {error}"
    if route is None:
        return "its HTTPRoute is gone"
    weights = {name: weight for name, weight in weights_of(route).items() if weight}
    if set(weights) != {service.stable}:
        said = ", ".join(f"{name} {weight}" for name, weight in sorted(weights.items())) or "nobody"
        return f"its HTTPRoute gives weight to {said}, the ledger to {service.stable}"
    return ""


def _by_hand(service: ServiceRecord) -> str:
    """What a person types: nobody knows who changed the route and why, so nothing is written unasked."""
    return f"to look at it and give it back: pointsman rescue {service.name} -n {service.namespace}"


def _last_plan(steps: Steps, service: ServiceRecord) -> Plan | None:
    found: list[Saved[RolloutRecord]] = list(steps.ledger.find(RolloutRecord, {"service": service.key}, 1))
    return plan_of(found[0].record) if found else None
