"""What people ask, with the identity that IAM proved: written down first, then the rollout is woken.

A command lies in the ledger until a tick took it, so that none is lost while nobody listens. What concerns a
service without a running rollout makes a rollout of its own, or changes the service's record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from pointsman.core.changes import Change, change_of, removal, retry, undo
from pointsman.core.names import JSON, RevisionName
from pointsman.core.records import (
    CommandRecord,
    DocumentRecord,
    HeadRecord,
    RevisionRecord,
    RolloutRecord,
    ServiceRecord,
    Stopped,
)
from pointsman.core.revision import ModelVersion
from pointsman.documents.effective import EffectiveService
from pointsman.errors import Absent, Conflict, Denied, Invalid
from pointsman.handlers.commanding import ordered, wake
from pointsman.handlers.documenting import is_placed
from pointsman.handlers.standing import (
    EVERYTHING,
    Standing,
    effective_of,
    head_commit,
    platform_of,
    standing_of,
)
from pointsman.handlers.starting import opening, start
from pointsman.ports import Ledger, Workflows, Write

__all__ = ["VERBS", "handle"]

OF_A_ROLLOUT = ("promote", "abort", "pause", "resume", "skip", "approve", "roll_back")
OF_A_SERVICE = ("undo", "retry", "unblock", "delete")
VERBS = (*OF_A_ROLLOUT, *OF_A_SERVICE)
EVERY_SERVICE = "*"
WHY_MAX = 1000
TRIES = 3


def handle(
    verb: str, body: object, *, caller: str, ledger: Ledger, workflows: Workflows, number: str, now: datetime
) -> JSON:
    """Carry out one command and answer `{"command", "state"}`; a null command changed nothing.

    `caller` is a proven email, `number` new for each call. Raises Denied to who is no owner, Absent for an unknown
    service or rollout, Invalid for what cannot be done, Conflict and Unavailable for what may be tried again.
    """
    order = _order(verb, body, caller, number, now)
    desk = _Desk(order, ledger, workflows)
    if order.namespace == EVERY_SERVICE:
        return desk.stop_all() if verb == "pause" else desk.go_on_all()
    desk.admit()
    act = desk.of_a_rollout if verb in OF_A_ROLLOUT else getattr(desk, verb)
    for _ in range(TRIES - 1):
        try:
            return cast("JSON", act())
        except Conflict:
            continue
    return cast("JSON", act())


@dataclass(frozen=True, slots=True)
class _Order:
    """One call, read."""

    verb: str
    namespace: str
    name: str
    rollout: str | None
    why: str
    by: str
    number: str
    now: datetime

    @property
    def service(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def said(self) -> str:
        return f"{self.verb} by {self.by}" + (f": {self.why}" if self.why else "")


def _order(verb: str, body: object, caller: str, number: str, now: datetime) -> _Order:
    if verb not in VERBS:
        raise Invalid(f"no command {verb!r}", remedy=f"one of {', '.join(VERBS)}")
    if not isinstance(body, Mapping):
        raise Invalid(
            "the body is no JSON object", remedy='send {"service": "NAMESPACE/NAME", "rollout": null, "why": ""}'
        )
    service, rollout, why = body.get("service"), body.get("rollout"), body.get("why") or ""
    if not isinstance(why, str) or len(why) > WHY_MAX or not isinstance(rollout, (str, type(None))):
        raise Invalid(f"`why` is text of at most {WHY_MAX} characters, `rollout` an id or null")
    if service == EVERY_SERVICE and verb in ("pause", "resume"):
        return _Order(verb, EVERY_SERVICE, "", None, why, caller, number, now)
    namespace, _, name = service.partition("/") if isinstance(service, str) else ("", "", "")
    if not namespace or not name or "/" in name:
        raise Invalid(f"{service!r} names no service", where="service", remedy="name it as NAMESPACE/NAME")
    if verb == "promote" and not why.strip():
        raise Invalid("promote needs a reason", where="why", remedy="say why with --why")
    return _Order(verb, namespace, name, rollout, why.strip(), caller, number, now)


def _served(rollout: RolloutRecord, service: ServiceRecord) -> bool:
    """Whether a rollout is past the point of no return: its revision is the stable one, the rest is tidying up."""
    return rollout.state == "completing" and rollout.kind == "roll_out" and service.stable == rollout.to_revision


@dataclass(frozen=True, slots=True)
class _Desk:
    """Carries one order out."""

    order: _Order
    ledger: Ledger
    workflows: Workflows

    def admit(self) -> None:
        """Only owners of the namespace; where none are listed, whom IAM let call at all. Raises Denied."""
        platform = platform_of(self.ledger)
        tenant = platform.namespace(self.order.namespace) if platform else None
        owners = tenant.owners if tenant else ()
        emails = {owner.partition(":")[2].lower() for owner in owners}
        if owners and self.order.by.lower() not in emails:
            listed = ", ".join(owner.partition(":")[2] for owner in owners)
            raise Denied(
                f"{self.order.by} is no owner of namespace {self.order.namespace}",
                where=self.order.service,
                remedy=f"ask one of {listed}",
            )

    def of_a_rollout(self) -> JSON:
        """A command that a tick takes."""
        rollout = self._rollout()
        if rollout.ended == "yes":
            return {"command": None, "state": rollout.state}
        if self.order.verb == "abort" and _served(rollout, self._standing().saved.record):
            return self.undo()  # all traffic is there already: what is wanted is the way back
        order = self.order
        command = ordered(rollout, order.verb, by=order.by, why=order.why, number=order.number, now=order.now)
        self.ledger.save([Write(command)])
        wake(self.workflows, rollout)
        return {"command": order.number, "state": rollout.state}

    def undo(self) -> JSON:
        standing = self._standing()
        leading = standing.leading
        # Beside a rollout that only drains and scales down what it has left, the way back waits for its end.
        if leading is None or not _served(leading, standing.saved.record):
            standing = self._idle("pointsman abort")
        return self._begin(undo(standing.saved.record, self.order.said), standing)

    def retry(self) -> JSON:
        standing = self._standing()
        effective = self._effective()
        version = self._version(standing, effective)
        return self._begin(retry(effective, standing.known, version, self.order.said), standing)

    def delete(self) -> JSON:
        standing = self._idle("pointsman abort")
        record = standing.saved.record
        if record.in_git:
            raise Invalid(
                "its document is still in git",
                where=self.order.service,
                remedy="remove the document, push, then delete",
            )
        if not is_placed(record):
            # Nothing is in the cluster. The record stays, since its token and its generation only rise.
            document = self.ledger.read(DocumentRecord, f"ModelService/{self.order.service}")
            if document is not None:
                self.ledger.delete(document)
            return {"command": self.order.number, "state": "deleted"}
        change = removal(record, self.order.said)
        if change.to_revision is None:
            # It never served: what is taken away is what was tried last.
            tried = max(record.revisions, key=lambda name: record.revisions[name].since)
            change = replace(change, to_revision=RevisionName(tried))
        return self._begin(change, standing)

    def unblock(self) -> JSON:
        """Release the head's revision. It is rolled out by `retry`, or by the next push."""
        standing = self._standing()
        record = standing.saved.record
        effective = self._effective()
        change = change_of(effective, standing.known, self._version(standing, effective))
        if change.kind != "blocked" or change.to_revision is None:
            raise Invalid(f"the head's revision is not blocked: {change.why}", where=self.order.service)
        status = record.revisions[change.to_revision]
        revisions = {**record.revisions, change.to_revision: replace(status, blocked=False, why=self.order.said)}
        self.ledger.save([Write(replace(record, revisions=revisions), standing.saved)])
        return {"command": self.order.number, "state": "unblocked"}

    def stop_all(self) -> JSON:
        """Stop the line: no weight rises anywhere until `resume` of every service."""
        order = self.order
        self._set_stopped(Stopped(by=order.by, at=order.now, why=order.why))
        return {"command": order.number, "state": "stopped"}

    def go_on_all(self) -> JSON:
        self._set_stopped(None)
        return {"command": self.order.number, "state": "running"}

    def _set_stopped(self, stopped: Stopped | None) -> None:
        heads = self.ledger.find(HeadRecord)
        if not heads:
            raise Absent("no commit has been applied yet: nothing runs")
        self.ledger.save([Write(replace(head.record, stopped=stopped), head) for head in heads])
        for rollout in self.ledger.find(RolloutRecord, {"ended": "no"}, EVERYTHING):
            wake(self.workflows, rollout.record)

    def _begin(self, change: Change, standing: Standing) -> JSON:
        """Save a rollout of the order's own, with the order beside it, then start it."""
        order = self.order
        opened = opening(
            self.ledger,
            change,
            self._effective(),
            standing.saved,
            cause=f"{order.verb}:{order.by}",
            commit=head_commit(self.ledger),
            now=order.now,
        )
        asked = CommandRecord(
            rollout=opened.rollout.id,
            id=order.number,
            verb=order.verb,
            by=order.by,
            at=order.now,
            why=order.why,
            taken="start",
        )
        self.ledger.save([*opened.writes, Write(asked)])
        start(self.workflows, [opened.rollout])
        return {"command": order.number, "state": opened.rollout.state}

    def _rollout(self) -> RolloutRecord:
        standing = self._standing()
        service = standing.saved.record
        if self.order.rollout is not None:
            found = self.ledger.read(RolloutRecord, self.order.rollout)
            if found is None or found.record.service != service.key:
                raise Absent(
                    f"no rollout {self.order.rollout} of {self.order.service}", remedy="pointsman rollouts list"
                )
            return found.record
        if standing.leading is not None:
            return standing.leading
        past = self.ledger.find(RolloutRecord, {"service": service.key}, 1)
        if not past:
            raise Absent(f"no rollout of {self.order.service}", remedy="pointsman rollouts list")
        return past[0].record

    def _standing(self) -> Standing:
        found = standing_of(self.ledger, self.order.namespace, self.order.name)
        if found is None:
            raise Absent(f"no service {self.order.service} was rolled out", remedy="pointsman status")
        return found

    def _idle(self, remedy: str) -> Standing:
        standing = self._standing()
        if standing.leading is not None:
            raise Invalid(
                f"rollout {standing.leading.id} is {standing.leading.state}",
                where=self.order.service,
                remedy=f"{remedy} {self.order.name} -n {self.order.namespace}",
            )
        return standing

    def _effective(self) -> EffectiveService:
        found = effective_of(self.ledger, self.order.namespace, self.order.name)
        if found is None:
            raise Absent(f"no document of {self.order.service} is known", remedy="push it")
        return found

    def _version(self, standing: Standing, effective: EffectiveService) -> ModelVersion | None:
        """The version that the service was last resolved to: registries are not asked from here."""
        if effective.model.name is None:
            return None
        for past in self.ledger.find(RolloutRecord, {"service": standing.saved.record.key}):
            if past.record.kind != "roll_out":
                continue
            kept = self.ledger.read(RevisionRecord, f"{past.record.service}/{past.record.to_revision}")
            content = kept.record.model.get("content") if kept else None
            if isinstance(content, Mapping) and content.get("name") == effective.model.name:
                return ModelVersion(
                    model=effective.model.name,
                    version=str(content["version"]),
                    artifact_uri=str(content["artifact"]),
                    registry=str(content["registry"]) if content.get("registry") else None,
                )
        return None
