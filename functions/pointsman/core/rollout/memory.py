"""What a rollout remembers between two ticks, beside what its record says to everybody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pointsman.core.encoding import decode, encode
from pointsman.core.names import JSON
from pointsman.core.records import RolloutRecord

__all__ = ["Cause", "Memory", "Phase", "memory_of", "remembered"]

Phase = Literal["moving", "draining", "closing"]
"""Of `completing` and `giving_back`: the weight is on its way; answers under way are waited for; the side that was
left is scaled to nothing and the route is as it stays."""

Cause = Literal[
    "worse", "bad", "alert", "aborted", "undecided", "unapproved", "late", "capacity", "error", "superseded"
]
"""Why traffic is given back. `worse` is the judge's verdict, `bad` pods that crash or can't be pulled."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Every field has a default that means "nothing yet", so that records of every release load."""

    word: str = ""
    """The probe rule's word."""
    gateway_class: str = ""
    replicas: int | None = None
    """R: what stable ran when the service was claimed, or what the document wants, whichever is more."""
    target: int = 0
    """Pods that the canary is to have now."""
    ticks: int = 0
    """Calls by the present execution."""
    since: datetime | None = None
    """When the present execution claimed."""
    due: datetime | None = None
    """`deadlines.rollout`, as a time; moved on while a freeze holds."""
    frozen: datetime | None = None
    """Since when a freeze holds it, and `due` stands still."""
    paused: str = ""
    """Who paused."""
    skipped: bool = False
    promote: str = ""
    """Who promotes, and why."""
    approvals: tuple[str, ...] = ()
    asked: datetime | None = None
    """Since when approval is waited for."""
    clock: datetime | None = None
    """When the present weight was first seen in force: the step's own time."""
    counted: Mapping[str, int] = field(default_factory=dict)
    """The gateway's counters at the first reading after `clock`, by revision."""
    confirmed: bool = False
    """The route was once seen as it is wanted now, so a difference is somebody else's."""
    carried: bool = False
    """The canary has had requests of its own, so answers may be under way there."""
    resets: int = 0
    lost: int = 0
    """How often this step's canary lost its pods."""
    astray: bool = False
    """The canary's pods are lost now: it gets nothing until they are back."""
    blind: datetime | None = None
    """Since when the metric source is down."""
    undecided: datetime | None = None
    """Since when a step whose time is over lacks data."""
    unjudged: tuple[int, ...] = ()
    """Steps left without enough data, because the policy says so."""
    replaced: tuple[str, ...] = ()
    """Pods of the canary's that were bad alone: they are deleted where they are still there."""
    phase: Phase = "moving"
    drained: datetime | None = None
    """When the side that was left was seen without weight."""
    cause: Cause | None = None
    moved: bool = False
    """The service's stable revision is this rollout's."""
    baked: bool = False
    stuck: bool = False
    found: str = ""
    """Who had the traffic when there was no stable revision yet: a first deployment that was superseded."""
    older: tuple[str, ...] = ()
    """Revisions of rollouts that this one superseded."""
    older_drained: datetime | None = None
    """When those were seen without weight."""
    older_over: bool = False
    """They have answered what they had, and may go."""
    superseding: tuple[str, ...] = ()
    """Those rollouts, until the older weights were seen at 0."""
    outbox: tuple[JSON, ...] = ()
    """Notices that were decided and may not have been published yet."""


def memory_of(rollout: RolloutRecord) -> Memory:
    return decode(Memory, {"v": 1, **rollout.memory})


def remembered(memory: Memory) -> JSON:
    """As `RolloutRecord.memory` keeps it: without what is at its default."""
    default = encode(Memory())
    return {name: value for name, value in encode(memory).items() if value != default[name]}
