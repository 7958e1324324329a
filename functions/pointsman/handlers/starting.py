"""Saved first, then started: a rollout is in the ledger, and in the claim of what caused it, before it runs.

A crash between the two must not lose it, so a redelivery finds it by the claim and starts it; that it may then be
started twice is harmless, since of two executions only the first to claim the service goes on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pointsman.core.changes import Change
from pointsman.core.events import Event
from pointsman.core.plan import open_rollout
from pointsman.core.records import EventRecord, RevisionRecord, RolloutRecord, ServiceRecord
from pointsman.documents.effective import EffectiveService
from pointsman.ports import Ledger, Saved, Workflows, Write

__all__ = ["WORKFLOWS", "Opening", "claim_of", "intent", "opening", "start", "unstarted"]

TRIED_MAX = 10
"""Rollouts that are looked through for an earlier try of the same revision."""

WORKFLOWS = {"roll_out": "roll-out", "roll_back": "roll-back", "remove": "roll-back"}


@dataclass(frozen=True, slots=True)
class Opening:
    """A rollout that is to be started, and all that must be saved with it in one transaction."""

    rollout: RolloutRecord
    writes: tuple[Write, ...]


def opening(
    ledger: Ledger,
    change: Change,
    effective: EffectiveService,
    service: Saved[ServiceRecord] | None,
    *,
    cause: str,
    commit: str,
    now: datetime,
) -> Opening:
    """The records of one start over what was read. Raises Invalid for what is not carried out yet."""
    kept = ledger.read(RevisionRecord, f"{change.service}/{change.to_revision}") if change.to_revision else None
    rollout, record, revision = open_rollout(
        change,
        effective,
        service.record if service else None,
        cause=cause,
        commit=commit,
        now=now,
        kept=kept.record if kept else None,
        tried=_tried(ledger, change),
    )
    writes = [Write(rollout), Write(record, service)]
    return Opening(rollout, tuple(writes if kept else [*writes, Write(revision)]))


def _tried(ledger: Ledger, change: Change) -> RolloutRecord | None:
    """The last rollout of this revision beside the same stable one that has ended."""
    ended = ledger.find(RolloutRecord, {"service": change.service, "ended": "yes"}, TRIED_MAX)
    return next(
        (
            saved.record
            for saved in ended
            if saved.record.to_revision == change.to_revision and saved.record.from_revision == change.from_revision
        ),
        None,
    )


def start(workflows: Workflows, rollouts: Iterable[RolloutRecord]) -> None:
    """Start an execution for each; its name is only a hint, *claim* records it."""
    for rollout in rollouts:
        workflows.start(WORKFLOWS[rollout.kind], {"rollout": rollout.id})


def claim_of(ledger: Ledger, event: Event) -> Saved[EventRecord] | None:
    """The event's claim as it stands, to be written over by what the event leads to."""
    return ledger.read(EventRecord, event.key)


def intent(claim: Saved[EventRecord] | None, led_to: Sequence[str]) -> list[Write]:
    """The claim with what is about to be done; nothing where there is no claim."""
    if claim is None or not led_to:
        return []
    record = claim.record
    added = tuple(item for item in led_to if item not in record.led_to)
    return [Write(replace(record, led_to=(*record.led_to, *added)), claim)]


def unstarted(ledger: Ledger, claim: Saved[EventRecord] | None) -> tuple[RolloutRecord, ...]:
    """Rollouts that an earlier delivery of this event saved, and perhaps died before starting."""
    found = [ledger.read(RolloutRecord, item) for item in (claim.record.led_to if claim else ()) if " " not in item]
    return tuple(
        saved.record
        for saved in found
        if saved is not None and saved.record.ended == "no" and saved.record.execution is None
    )
