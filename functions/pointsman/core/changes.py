"""What a commit would change: effective services against what the ledger knows of them. Pure.

A revision is compared by name, which is its content, so the order of pushes does not matter: only where the head
is and what serves. Replicas, route and access are no content; they are put in force on the revision that serves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pointsman.core.names import JSON, RevisionName, ServiceKey
from pointsman.core.records import RolloutRecord, ServiceRecord
from pointsman.core.revision import ModelVersion, ResolvedModel, resolve, revision_name
from pointsman.documents.effective import EffectiveService
from pointsman.documents.scalars import duration
from pointsman.errors import Invalid

__all__ = [
    "Change",
    "ChangeKind",
    "Known",
    "change_of",
    "changes",
    "placement",
    "removal",
    "retry",
    "service_key",
    "undo",
]

ChangeKind = Literal["roll_out", "way_back", "in_place", "orphaned", "blocked", "rejected", "waiting", "unchanged"]
"""`roll_out`, `way_back` and `in_place` start something (`plan.open_rollout`); the others are only said.

`way_back` goes to a revision that serves or was good here, without steps. `waiting`: the registry has not
answered, or names no artifact. `rejected`: a rollout runs, and the policy takes no newer revision meanwhile.
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows of one service: its record, and its rollouts that have not ended."""

    service: ServiceRecord
    running: tuple[RolloutRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One service's difference. `why` is a sentence for people."""

    service: ServiceKey
    namespace: str
    name: str
    kind: ChangeKind
    from_revision: RevisionName | None
    to_revision: RevisionName | None
    why: str
    model: ResolvedModel | None = None
    remove: bool = False
    blocks: bool = False
    """Whether the revision that is left is blocked: it was found to be bad, not only replaced in git."""
    waits: bool = False
    """Whether it waits for a running rollout's end, because it has nothing to do with that one's revision."""

    @property
    def starts(self) -> bool:
        """Whether something has to be started for it."""
        return self.kind in ("roll_out", "way_back", "in_place")


def service_key(effective: EffectiveService) -> ServiceKey:
    """`<cluster>/<namespace>/<name>`."""
    return ServiceKey(f"{effective.cluster.name}/{effective.namespace}/{effective.name}")


def placement(effective: EffectiveService) -> dict[str, object]:
    """What of a service is no content, as `ServiceRecord.placement` keeps it."""
    return {
        "replicas": effective.replicas,
        "hostnames": list(effective.hostnames),
        "path": effective.path,
        "request_timeout_s": duration(effective.request_timeout).total_seconds(),
        "access": effective.access,
    }


def changes(
    wanted: Mapping[str, EffectiveService], known: Mapping[str, Known], versions: Mapping[str, ModelVersion | None]
) -> tuple[Change, ...]:
    """What is to be done for each service, sorted by name.

    All three mappings are by `<namespace>/<name>`. `versions` holds what registries name now; a service that
    follows a registry and isn't in it waits. Services of `known` that aren't wanted any more are orphaned.
    """
    found = [change_of(wanted[name], known.get(name), versions.get(name)) for name in sorted(wanted)]
    return (*found, *(_orphan(known[name].service) for name in sorted(set(known) - set(wanted))))


def change_of(effective: EffectiveService, known: Known | None, version: ModelVersion | None) -> Change:
    """The difference of one service that is in git."""
    stable = known.service.stable if known else None
    model = resolve(effective.model.model_dump(mode="json", by_alias=True, exclude_none=True), version)
    subject = _Subject(effective, RevisionName(stable) if stable else None, model)
    if model is None:
        return subject.change("waiting", None, f"no artifact of {effective.model.name} is known yet")
    to = revision_name(
        effective.name, model.content, effective.template, effective.pool.name if effective.pool else None
    )
    if known is None:
        return subject.change("roll_out", to, "first deployment")
    status = known.service.revisions.get(to)
    if status is not None and status.blocked and to != stable:
        return subject.change("blocked", to, f"{to} is blocked: {status.why or 'it was rolled back'}")
    leading = _leading(known)
    if leading is not None and leading.kind == "remove":
        return subject.change("rejected", to, f"the service is being removed by {leading.id}")
    if leading is not None and leading.to_revision == to:
        return _same_content(subject, to, leading, known)
    if to == stable:
        if leading is not None:
            return subject.change("way_back", to, f"{to} serves, so {leading.to_revision} is given back")
        before, after = known.service.placement, placement(effective)
        if before and dict(before) != after:
            return subject.change("in_place", to, _differences(before, after))
        return subject.change("unchanged", to, f"{to} serves")
    if leading is not None and leading.state != "queued" and effective.policy.on_new_revision == "Reject":
        why = f"{leading.to_revision} is being rolled out, and the policy rejects newer ones meanwhile"
        return subject.change("rejected", to, why)
    return _towards(subject, to, known.service)


def undo(service: ServiceRecord, why: str, *, to: str | None = None) -> Change:
    """Back to the revision before the stable one, which is blocked. Raises Invalid where there is none to go to.

    The one before is the last that was good here, is not blocked and not deleted; or `to`, which must be that.
    """
    candidates = {
        name: status
        for name, status in service.revisions.items()
        if name != service.stable and status.good and not status.blocked and status.placed != "deleted"
    }
    target = to or max(candidates, key=lambda name: candidates[name].since, default=None)
    if target is None or target not in candidates:
        raise Invalid(
            f"{to} is not a good revision of it" if to else "no good revision before the one that serves",
            where=service.key,
            remedy="push the content that should serve",
        )
    return Change(
        ServiceKey(service.key),
        service.namespace,
        service.name,
        "way_back",
        RevisionName(service.stable) if service.stable else None,
        RevisionName(target),
        why,
        blocks=True,
    )


def retry(effective: EffectiveService, known: Known, version: ModelVersion | None, why: str) -> Change:
    """The head's revision once more. Raises Invalid when it serves, is blocked or is on its way."""
    change = change_of(effective, known, version)
    if change.starts and change.kind != "in_place":
        return Change(
            change.service,
            change.namespace,
            change.name,
            change.kind,
            change.from_revision,
            change.to_revision,
            why,
            change.model,
        )
    remedy = f"pointsman unblock {change.name} -n {change.namespace}" if change.kind == "blocked" else ""
    raise Invalid(change.why, where=change.service, remedy=remedy)


def removal(service: ServiceRecord, why: str) -> Change:
    """The whole service away: route off, drained, objects deleted. Raises Invalid where nothing is there."""
    newest = max(service.revisions, key=lambda name: service.revisions[name].since, default=None)
    named = service.stable or newest
    if named is None:
        raise Invalid("nothing of it is there", where=service.key)
    serves = RevisionName(named)
    return Change(
        ServiceKey(service.key), service.namespace, service.name, "way_back", serves, serves, why, remove=True
    )


@dataclass(frozen=True, slots=True)
class _Subject:
    """The service that is being compared."""

    effective: EffectiveService
    stable: RevisionName | None
    model: ResolvedModel | None

    def change(self, kind: ChangeKind, to: str | None, why: str, *, waits: bool = False) -> Change:
        key, revision = service_key(self.effective), RevisionName(to) if to else None
        name, namespace = self.effective.name, self.effective.namespace
        return Change(key, namespace, name, kind, self.stable, revision, why, self.model, waits=waits)


def _leading(known: Known) -> RolloutRecord | None:
    """The rollout that decides where the service is heading: the one to come, else the one under way."""
    for rollout in known.running:
        if rollout.id == known.service.next:
            return rollout
    under_way = [rollout for rollout in known.running if rollout.state != "giving_back"]
    return max(under_way, key=lambda rollout: rollout.started_at, default=None)


def _towards(subject: _Subject, to: str, service: ServiceRecord) -> Change:
    """Whether `to` walks its steps, or is known to be good here and may go without."""
    status = service.revisions.get(to)
    kept = status is not None and status.good and status.placed != "deleted"
    if kept and service.stable is not None and subject.effective.revision_history_limit > 0:
        return subject.change("way_back", to, f"{to} was good here before: no steps")
    why = f"{to} in place of {service.stable}" if service.stable else f"{to} is to be the first to serve"
    return subject.change("roll_out", to, why)


def _same_content(subject: _Subject, to: str, leading: RolloutRecord, known: Known) -> Change:
    """The head's content is on its way already; what is no content may still differ."""
    if leading.plan.get("placement") == placement(subject.effective):
        return subject.change("unchanged", to, f"{to} is on its way by {leading.id}")
    if leading.state == "queued":
        return _towards(subject, to, known.service)
    return subject.change("in_place", to, f"after {leading.id}: what is no content changed", waits=True)


def _differences(before: JSON, after: JSON) -> str:
    changed = [f"{name} {before.get(name)} → {value}" for name, value in after.items() if before.get(name) != value]
    return ", ".join(changed)


def _orphan(service: ServiceRecord) -> Change:
    stable = RevisionName(service.stable) if service.stable else None
    kind: ChangeKind = "orphaned" if service.in_git else "unchanged"
    return Change(
        ServiceKey(service.key),
        service.namespace,
        service.name,
        kind,
        stable,
        stable,
        f"its document is gone; it is left as it is until `pointsman delete {service.name} -n {service.namespace}`",
    )
