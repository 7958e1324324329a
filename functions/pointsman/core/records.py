"""What the ledger remembers: one frozen dataclass for each collection, and their only encoding.

A record is written as `{"v": 1, …}` with its fields' names; times are RFC 3339 in UTC. A field added
later has a default, so that records of every past release still load; a field that is not known
(written by a newer release) is an error, because dropping it would lose what that release saved.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    Protocol,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pointsman.core.names import JSON
from pointsman.errors import Invalid

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
    "decode",
    "encode",
]

VERSION = 1

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


R = TypeVar("R")


def encode(record: object) -> dict[str, object]:
    """The record as JSON values, with its schema version."""
    return {"v": VERSION, **_encode_fields(record)}


def decode(kind: type[R], data: JSON) -> R:
    """The record that `encode` wrote. Raises Invalid, naming the field, when it does not fit."""
    if data.get("v") != VERSION:
        raise Invalid(
            f"a {kind.__name__} of version {data.get('v')!r}",
            remedy=f"this release reads version {VERSION}: upgrade pointsman",
        )
    return cast(
        "R", _decode_dataclass(kind, {name: value for name, value in data.items() if name != "v"}, kind.__name__)
    )


def _encode_fields(value: object) -> dict[str, object]:
    return {item.name: _encode(getattr(value, item.name)) for item in fields(cast("Any", value))}


def _encode(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if is_dataclass(value):
        return _encode_fields(value)
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    return value


@cache
def _hints(kind: type) -> dict[str, object]:
    hints = get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(kind)}


def _decode_dataclass(kind: type, data: object, where: str) -> object:
    if not isinstance(data, Mapping):
        raise Invalid("not a map", where=where)
    hints = _hints(kind)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise Invalid(f"unknown fields {', '.join(unknown)}", where=where, remedy="a newer release wrote it: upgrade")
    missing = [
        item.name
        for item in fields(kind)
        if item.name not in data and item.default is MISSING and item.default_factory is MISSING
    ]
    if missing:
        raise Invalid(f"missing fields {', '.join(missing)}", where=where)
    return kind(**{name: _decode(hints[name], value, f"{where}.{name}") for name, value in data.items()})


def _decode(hint: object, value: object, where: str) -> object:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _decode(arguments[0], value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _decode(inner, value, where)
    if origin is Literal:
        if value not in arguments:
            raise Invalid(f"{value!r} is none of {', '.join(map(str, arguments))}", where=where)
        return value
    if origin is tuple:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise Invalid("not a list", where=where)
        return tuple(_decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is not None and issubclass(cast("type", origin), Mapping):
        if not isinstance(value, Mapping):
            raise Invalid("not a map", where=where)
        return {str(key): _decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is datetime:
        if not isinstance(value, str):
            raise Invalid("not a time", where=where)
        return datetime.fromisoformat(value)
    if is_dataclass(hint):
        return _decode_dataclass(cast("type", hint), value, where)
    if hint is object:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, cast("type", hint)) or (hint is int and isinstance(value, bool)):
        raise Invalid(f"{value!r} is no {getattr(hint, '__name__', hint)}", where=where)
    return value
