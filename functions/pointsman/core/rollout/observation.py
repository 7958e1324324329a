"""What one tick saw, and what it decides. Both are plain values: a decision can be replayed from its record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pointsman.core.freeze import Freeze
from pointsman.core.judge.verdict import Verdict
from pointsman.core.notices import NoticeKind
from pointsman.core.records import CommandRecord, RolloutRecord
from pointsman.core.signals import Timing, timing

__all__ = [
    "Action",
    "Announce",
    "AskPool",
    "Block",
    "Decision",
    "Drained",
    "EndSuperseded",
    "Observation",
    "Placed",
    "RouteSeen",
    "SetStable",
    "Side",
]


@dataclass(frozen=True, slots=True)
class Side:
    """One revision's Deployment and pods. Everything is 0 where there is none."""

    replicas: int = 0
    """What its Deployment asks for."""
    ready: int = 0
    pods: int = 0
    unschedulable: int = 0
    waiting: str = ""
    """What the scheduler or the autoscaler says of pods that find no room."""
    broken: str = ""
    """What keeps failing: containers that crash, images that can't be pulled (three times or more)."""


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """The route, against what the rollout wanted before this tick."""

    exists: bool = False
    foreign: bool = False
    """There is one of this name that pointsman has not made."""
    as_wanted: bool = False
    reconciled: bool = False
    """Its conditions are true for its present generation."""
    weights: Mapping[str, int] = field(default_factory=dict)

    @property
    def seen(self) -> bool:
        return self.as_wanted and self.reconciled


@dataclass(frozen=True, slots=True)
class Observation:
    """One tick's reading. `sides` is by revision; `counted` holds the gateway's cumulative requests by revision.

    `verdict` is this tick's, or None when there was nothing to judge. `exhausted_until` is set when every
    candidate of the pool was tried in vain. `busy` says why the service can't be claimed yet.
    """

    route: RouteSeen = field(default_factory=RouteSeen)
    sides: Mapping[str, Side] = field(default_factory=dict)
    probed: bool | None = None
    verdict: Verdict | None = None
    source_down: str = ""
    counted: Mapping[str, int] = field(default_factory=dict)
    freeze: Freeze | None = None
    commands: tuple[CommandRecord, ...] = ()
    exhausted_until: datetime | None = None
    exhausted_why: str = ""
    busy: str = ""
    failed: str = ""
    """What became of the workflow that drives the rollout, when that failed."""
    timing: Timing = field(default_factory=lambda: timing(""))

    def side(self, revision: str | None) -> Side:
        return self.sides.get(revision or "", Side())


@dataclass(frozen=True, slots=True)
class Announce:
    """People are told."""

    notice: NoticeKind
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Placed:
    """The revision's objects are there, and its pods are to be."""

    revision: str


@dataclass(frozen=True, slots=True)
class SetStable:
    """The service's stable revision changes: all traffic was seen there. `good`: it finished a bake."""

    revision: str
    good: bool


@dataclass(frozen=True, slots=True)
class Block:
    """The revision is not rolled out again until a person releases it."""

    revision: str
    why: str


@dataclass(frozen=True, slots=True)
class Drained:
    """These revisions are at zero replicas."""

    revisions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndSuperseded:
    """These rollouts are over: their canaries were seen without weight."""

    rollouts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskPool:
    """The pool needs `nodes` more nodes."""

    pool: str
    nodes: int
    why: str


Action = Announce | Placed | SetStable | Block | Drained | EndSuperseded | AskPool


@dataclass(frozen=True, slots=True)
class Decision:
    """The rollout after the tick, what is to be recorded with it, and why."""

    rollout: RolloutRecord
    actions: tuple[Action, ...] = ()
    notes: tuple[str, ...] = ()
    """One sentence for each thing that was decided or answered."""
