"""Starting a rollout: the records of one start, its plan among them. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from pointsman.core.changes import Change, placement
from pointsman.core.manifests import probe_path, render
from pointsman.core.names import JSON, RolloutId
from pointsman.core.records import RevisionRecord, RolloutRecord, ServiceRecord
from pointsman.core.revision import digest
from pointsman.core.rollout_plan import Deadlines, Plan, StepPlan
from pointsman.core.traffic import weight_total, weight_units
from pointsman.documents.effective import EffectiveService
from pointsman.documents.scalars import duration
from pointsman.errors import Invalid

__all__ = ["QUEUED_AT_MOST", "open_rollout"]

QUEUED_AT_MOST = timedelta(hours=744)
"""The longest freeze window: what has waited longer is not wanted any more."""


def open_rollout(
    change: Change,
    effective: EffectiveService,
    service: ServiceRecord | None,
    *,
    cause: str,
    commit: str,
    now: datetime,
    kept: RevisionRecord | None = None,
    tried: RolloutRecord | None = None,
) -> tuple[RolloutRecord, ServiceRecord, RevisionRecord]:
    """The records of one start, to be saved in one transaction: the rollout, its service, its revision.

    `change` must start something (`Change.starts`). `kept` is the revision's record where the ledger has one; it
    is given back as it is, and needs no write: a revision is rendered once. `cause` is the event's key, or who
    asked. `tried` is the last rollout of the same revision beside the same stable one: its evidence goes on. The same
    change at the same generation of the service gives the same rollout id, so a repeat conflicts.
    Raises Invalid for what is not carried out yet, and for a way back to a revision whose objects are gone.
    """
    if not change.starts or change.to_revision is None:
        raise Invalid(f"nothing to start: {change.why}", where=change.service)
    strategy = effective.policy.capacity.strategy
    if strategy in ("Step", "Swap") and change.kind == "roll_out":
        raise Invalid(
            f"capacity.strategy {strategy} is not carried out yet",
            where=change.service,
            remedy="set capacity.strategy: Surge in its RolloutPolicy",
        )
    known = service or ServiceRecord(cluster=effective.cluster.name, namespace=effective.namespace, name=effective.name)
    revision = kept
    if revision is None:
        if change.model is None:
            raise Invalid(
                f"the objects of {change.to_revision} are not kept",
                where=change.service,
                remedy="push its content again",
            )
        revision = render(effective, change.model, change.to_revision, commit=commit, now=now)
    plan = _plan(change, effective)
    kind: Literal["roll_out", "roll_back", "remove"] = (
        "remove" if change.remove else "roll_out" if change.kind == "roll_out" else "roll_back"
    )
    evidence = _evidence(tried, plan) if tried is not None and not plan.fast else {}
    # Each rollout that is opened counts, so that content that comes, goes and comes again while the first is yet to
    # end is another rollout.
    opened = replace(known, generation=known.generation + 1)
    rollout = RolloutRecord(
        id=RolloutId(digest([change.service, change.to_revision, commit, known.generation, kind])[:16]),
        kind=kind,
        service=change.service,
        generation=known.generation,
        from_revision=change.from_revision,
        to_revision=change.to_revision,
        state="queued",
        plan=plan.as_json(),
        cause=cause,
        commit=commit,
        started_at=now,
        state_since=now,
        deadline=now + QUEUED_AT_MOST,
        reason=change.why,
        weight_total=plan.weight_total,
        judge=evidence,
        carried=evidence,
    )
    if change.model is None:  # undo and removal: no document was read
        return rollout, replace(opened, next=rollout.id), revision
    return rollout, replace(opened, next=rollout.id, in_git=True, following=_following(effective)), revision


def _evidence(tried: RolloutRecord, plan: Plan) -> JSON:
    """What an earlier try of the same revision has shown."""
    # Whoever opens rollouts seldom needs the judge, and every import is paid in each cold start.
    from pointsman.core.judge import JudgePolicy
    from pointsman.core.judge.memory import carried

    return carried(tried.judge, JudgePolicy.of(plan.judge)) if tried.judge else {}


def _following(effective: EffectiveService) -> JSON | None:
    model = effective.model
    if model.name is None:
        return None
    return {"registry": model.registry, "model": model.name, "alias": model.alias, "version": model.version}


def _plan(change: Change, effective: EffectiveService) -> Plan:
    policy = effective.policy
    fast = change.kind != "roll_out"
    percents = [step.weight for step in policy.steps if step.weight is not None]
    total = weight_total([*percents, policy.bake.baseline_weight])
    steps = tuple(
        StepPlan(
            weight=weight_units(step.weight, total) if step.weight is not None else 0,
            hold_s=duration(step.hold).total_seconds(),
            mirror_percent=step.mirror_percent or 0,
            cohort=step.cohort.model_dump(mode="json", by_alias=True, exclude_none=True) if step.cohort else None,
            approvals=step.approval.count if step.approval else 0,
            approval_expires_s=duration(step.approval.expires_after).total_seconds() if step.approval else 0,
            canary_replicas=step.canary_replicas,
        )
        for step in policy.steps
    )
    where = placement(effective)
    judge = policy.judge.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Plan(
        cluster=_resource_name(effective),
        namespace=effective.namespace,
        name=effective.name,
        gateway=effective.gateway.name,
        gateway_namespace=effective.gateway.namespace,
        placement=where,
        hostnames=tuple(effective.hostnames),
        path=effective.path,
        request_timeout_s=duration(effective.request_timeout).total_seconds(),
        access=effective.access,
        replicas=effective.replicas,
        probe_path=probe_path(effective.template, effective.path),
        steps=() if fast else steps,
        bake_s=duration(policy.bake.duration).total_seconds(),
        bake_weight=total - weight_units(policy.bake.baseline_weight, total),
        weight_total=total,
        min_canary_replicas=policy.capacity.min_canary_replicas,
        judge=judge,
        metric_sets=tuple(policy.judge.metric_sets),
        enforced=policy.judge.mode == "Enforce",
        min_requests=policy.judge.min_requests_per_step,
        extra_bad_answers=policy.pacing.extra_bad_answers if policy.pacing is not None else None,
        without_data_wait_s=duration(policy.without_data.wait).total_seconds(),
        without_data_then=policy.without_data.then,
        when_stable_unhealthy=policy.when_stable_unhealthy,
        on_new_revision=policy.on_new_revision,
        deadlines=Deadlines(
            provisioning_s=duration(policy.deadlines.provisioning).total_seconds(),
            placing_s=duration(policy.deadlines.placing).total_seconds(),
            rollout_s=duration(policy.deadlines.rollout).total_seconds(),
        ),
        history_limit=effective.revision_history_limit,
        strategy="Refuse" if policy.capacity.strategy == "Refuse" else "Surge",
        policy=effective.policy_name or "",
        **_pool(effective),
        labels=dict(effective.labels),
        owners=tuple(effective.owners),
        channels=tuple(
            channel.model_dump(mode="json", by_alias=True, exclude_none=True) for channel in effective.channels
        ),
        freeze_windows=tuple(
            window.model_dump(mode="json", by_alias=True, exclude_none=True) for window in effective.freeze_windows
        ),
        fast=fast,
        why=change.why,
        remove=change.remove,
        blocks=change.blocks,
        waits=change.waits,
    )


def _pool(effective: EffectiveService) -> dict[str, Any]:
    if effective.pool is None:
        return {}
    spec = effective.pool.spec
    return {
        "pool": effective.pool.name,
        "pool_nodes_min": spec.nodes.min,
        "pool_nodes_max": spec.nodes.max,
        "pool_idle_s": duration(spec.idle_timeout).total_seconds(),
    }


def _resource_name(effective: EffectiveService) -> str:
    where = effective.cluster
    return f"projects/{where.project}/locations/{where.location}/clusters/{where.name}"
