"""What the ledger remembers: one frozen dataclass for each collection. `core.encoding` is how they are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, Protocol

from pointsman.core.names import JSON

__all__ = [
    "CommandRecord",
    "DecisionRecord",
    "DocumentRecord",
    "EventRecord",
    "HeadRecord",
    "Hold",
    "PoolRecord",
    "Record",
    "RevisionRecord",
    "RevisionStatus",
    "RolloutRecord",
    "RolloutState",
    "ServiceRecord",
    "StockOutNote",
    "Stopped",
    "VersionRecord",
]

RolloutState = Literal[
    "queued",
    "pending",
    "placing",
    "provisioning",
    "stepping",
    "held",
    "baking",
    "completing",
    "promoted",
    "giving_back",
    "rolled_back",
    "aborted",
    "superseded",
    "failed",
]
"""A rollout's states (`docs/rollout.md`); the last five but `giving_back` are final."""


class Record(Protocol):
    """A ledger record: its collection, its key there, and the fields that can be searched."""

    collection: ClassVar[str]
    indexed: ClassVar[tuple[str, ...]]

    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event's claim, and what it led to. `key` is `Event.key`."""

    collection: ClassVar[str] = "events"
    indexed: ClassVar[tuple[str, ...]] = ("type", "state", "result")

    event: str
    id: str
    source: str
    type: str
    subject: str
    received_at: datetime
    payload_sha256: str
    state: Literal["leased", "done"]
    lease_until: datetime
    expires_at: datetime
    attempts: int = 1
    deliveries: int = 1
    result: Literal["", "applied", "ignored", "rejected"] = ""
    reason: str = ""
    led_to: tuple[str, ...] = ()
    sent_at: datetime | None = None
    """The event's own time; None where it told none."""

    @property
    def key(self) -> str:
        return self.event


@dataclass(frozen=True, slots=True)
class Stopped:
    """`pointsman pause --all`: who stopped the line, when and why."""

    by: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class HeadRecord:
    """The last commit applied of a branch. `faults` are those of a newer head that was refused."""

    collection: ClassVar[str] = "heads"
    indexed: ClassVar[tuple[str, ...]] = ()

    repository: str
    branch: str
    commit: str
    applied_at: datetime
    digests: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    refused: str | None = None
    stopped: Stopped | None = None

    @property
    def key(self) -> str:
        return f"{self.repository}#{self.branch}"


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """One effective document of the commit applied, for all that never read git."""

    collection: ClassVar[str] = "documents"
    indexed: ClassVar[tuple[str, ...]] = ("kind", "namespace")

    kind: str
    namespace: str
    name: str
    document: JSON
    commit: str
    file: str
    digest: str

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class RevisionStatus:
    """What a service knows of one of its revisions. `good`: it finished a bake here."""

    placed: Literal["warm", "drained", "deleted"]
    since: datetime
    good: bool = False
    blocked: bool = False
    model: str = ""
    digest: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A service: its stable revision, and who owns its traffic by which fencing token."""

    collection: ClassVar[str] = "services"
    indexed: ClassVar[tuple[str, ...]] = ("namespace", "owner")

    cluster: str
    namespace: str
    name: str
    stable: str | None = None
    owner: str | None = None
    next: str | None = None
    token: int = 0
    generation: int = 0
    """How many rollouts of the service were opened."""
    lease_until: datetime | None = None
    revisions: Mapping[str, RevisionStatus] = field(default_factory=dict)
    following: JSON | None = None
    in_git: bool = True
    placement: JSON = field(default_factory=dict)
    """What is no content and was last put in force: replicas, hostnames, path, request timeout, access."""

    @property
    def key(self) -> str:
        return f"{self.cluster}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """A revision's rendered objects, sent as they are by every later apply."""

    collection: ClassVar[str] = "revisions"
    indexed: ClassVar[tuple[str, ...]] = ("service",)

    service: str
    revision: str
    objects: tuple[JSON, ...]
    digest: str
    commit: str
    model: JSON
    rendered_at: datetime
    images: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.service}/{self.revision}"


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """One rollout: where it is, what it wants, what was seen, and whose execution drives it.

    Weights are whole numbers of `weight_total` (100, or 1000 where the plan has tenths): the canary's
    share that is wanted and that was seen. `plan` and `judge` are whole: no step reads git.
    """

    collection: ClassVar[str] = "rollouts"
    indexed: ClassVar[tuple[str, ...]] = ("service", "state", "ended")

    id: str
    kind: Literal["roll_out", "roll_back", "remove"]
    service: str
    generation: int
    from_revision: str | None
    to_revision: str
    state: RolloutState
    plan: JSON
    cause: str
    commit: str
    started_at: datetime
    state_since: datetime
    deadline: datetime | None = None
    seq: int = 0
    attempt: int = 0
    token: int = 0
    step: int = 0
    reason: str = ""
    held_from: str = ""
    want: int = 0
    seen: int = 0
    weight_total: int = 100
    judge: JSON = field(default_factory=dict)
    carried: JSON = field(default_factory=dict)
    """What `judge` began with: evidence of earlier tries of the same revision, or what stable's past has taught."""
    judged_until: datetime | None = None
    verdict: JSON | None = None
    memory: JSON = field(default_factory=dict)
    execution: str | None = None
    lease_until: datetime | None = None
    callback: str | None = None
    ended: Literal["yes", "no"] = "no"

    @property
    def key(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """What somebody asked of a rollout. `taken` is `no`, or the number of the decision that took it."""

    collection: ClassVar[str] = "commands"
    indexed: ClassVar[tuple[str, ...]] = ("rollout", "taken")

    rollout: str
    id: str
    verb: str
    by: str
    at: datetime
    why: str = ""
    taken: str = "no"

    @property
    def key(self) -> str:
        return f"{self.rollout}/{self.id}"


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision with its inputs; append-only: the audit log."""

    collection: ClassVar[str] = "decisions"
    indexed: ClassVar[tuple[str, ...]] = ("rollout",)

    rollout: str
    number: int
    at: datetime
    kind: Literal["state", "weight", "verdict", "command"]
    inputs: JSON
    before: JSON
    after: JSON
    reason: str

    @property
    def key(self) -> str:
        return f"{self.rollout}/{self.number:06}"


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A model version that a CI announced. The newest `announced_at` is `latest`."""

    collection: ClassVar[str] = "versions"
    indexed: ClassVar[tuple[str, ...]] = ("registry", "model")

    registry: str
    model: str
    version: str
    artifact_uri: str | None
    announced_at: datetime
    image: str | None = None
    digest: str | None = None
    git: JSON | None = None

    @property
    def key(self) -> str:
        return f"{self.registry}/{self.model}/{self.version}"


@dataclass(frozen=True, slots=True)
class Hold:
    """Nodes that a rollout (by id) or an AlertRule (`<namespace>/<name>`) needs of a pool."""

    nodes: int
    why: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StockOutNote:
    """A candidate that had no machines, and until when it is not asked again."""

    until: datetime
    why: str
    count: int = 1
    at: datetime | None = None
    """When it was noted: one climb of the ladder asks each candidate once, however short its cooldown."""


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """An AcceleratorPool at work: what is wanted and seen, by which candidate, for whom.

    `candidate` is the name of the node pool in use; `stockouts` is by node pool's name.
    """

    collection: ClassVar[str] = "pools"
    indexed: ClassVar[tuple[str, ...]] = ()

    name: str
    token: int = 0
    wanted: int = 0
    seen: int = 0
    holds: Mapping[str, Hold] = field(default_factory=dict)
    candidate: str | None = None
    stockouts: Mapping[str, StockOutNote] = field(default_factory=dict)
    operation: str | None = None
    execution: str | None = None
    lease_until: datetime | None = None
    deadline: datetime | None = None
    since: datetime | None = None
    reason: str = ""
    draining: Mapping[str, datetime] = field(default_factory=dict)
    callbacks: tuple[str, ...] = ()
    retry_at: datetime | None = None
    """Set when every candidate was tried in vain: the earliest time at which trying again may help."""
    came_at: datetime | None = None
    """When nodes that were asked for were last seen ready."""

    @property
    def key(self) -> str:
        return self.name
