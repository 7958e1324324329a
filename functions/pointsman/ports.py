"""What handlers need of the world, on the side of those who need it.

An adapter satisfies a port without inheriting from it. Adapters raise only the errors of
`pointsman.errors`: Absent where a lookup must exist (`None` where absence is an answer), Unavailable for
anything transient; every call has a deadline of 10 s. Datetimes are aware and in UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from pointsman.core.events import Event
from pointsman.core.names import JSON, Commit, Ref
from pointsman.core.notices import Notice
from pointsman.core.pools import NodePool, Operation
from pointsman.core.records import Record
from pointsman.core.revision import ModelVersion

if TYPE_CHECKING:  # the judge and the document models (pydantic) would be loaded by every function
    from pointsman.core.judge.ticks import PodCounters
    from pointsman.documents.pool import Candidate, NodeSettings

__all__ = [
    "Bus",
    "Channel",
    "Cluster",
    "Execution",
    "Ledger",
    "Log",
    "Metrics",
    "NodePools",
    "Probe",
    "Registry",
    "Saved",
    "Secrets",
    "Source",
    "Target",
    "Workflows",
    "Write",
]

R = TypeVar("R", bound=Record)
S = TypeVar("S", bound=Record, covariant=True)


class Source(Protocol):
    """The config repositories."""

    def heads(self, repository: str) -> Mapping[str, Commit]:
        """Branch → the commit it names now."""

    def files(self, repository: str, commit: Commit) -> Mapping[str, bytes]:
        """Path → content of the tree's `.yaml` and `.yml` files.

        Raises Invalid when a limit of the documents (file size, number of files) is passed.
        """


@dataclass(frozen=True, slots=True)
class Saved(Generic[S]):
    """A record as it was read. `version` is opaque: SQLite's counter, Firestore's update time."""

    record: S
    version: str


@dataclass(frozen=True, slots=True)
class Write:
    """A record to be saved over what was read (`None`: it must not exist yet)."""

    record: Record
    over: Saved[Any] | None = None


class Ledger(Protocol):
    """Typed records by kind and key; `save` is the one write: all of it or nothing."""

    def read(self, kind: type[R], key: str) -> Saved[R] | None: ...

    def save(self, writes: Sequence[Write], unchanged: Sequence[Saved[Any]] = ()) -> None:
        """One transaction.

        Raises Conflict, naming the record, if anything written over or held `unchanged` has moved since
        it was read, or if a record to be created exists.
        """

    def find(self, kind: type[R], where: Mapping[str, str] | None = None, limit: int = 100) -> Sequence[Saved[R]]:
        """Records whose indexed fields equal `where`, last written first."""

    def delete(self, saved: Saved[Any]) -> None:
        """Remove a record that nobody changed since it was read. Raises Conflict. Gone is fine."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A workflow execution as the service reports it."""

    name: str
    state: Literal["ACTIVE", "QUEUED", "SUCCEEDED", "FAILED", "CANCELLED", "UNAVAILABLE"]
    result: str | None = None
    error: str | None = None


class Workflows(Protocol):
    """Cloud Workflows: start, look, ring."""

    def start(self, workflow: str, argument: JSON) -> str:
        """Start an execution and give its name. Not idempotent: *claim* makes a second start harmless."""

    def execution(self, name: str) -> Execution | None: ...

    def cancel(self, name: str) -> None: ...

    def ring(self, callback: str) -> bool:
        """Post `{}` to a callback URL. False when the execution has ended; True also when it was rung already.

        Raises Invalid for a URL that is not of the configured Executions host.
        """


class NodePools(Protocol):
    """One cluster's node pools. Each change is one long-running operation, given by its name."""

    def get(self, pool: str) -> NodePool | None: ...

    def find(self) -> Sequence[NodePool]:
        """All node pools of the cluster."""

    def create(
        self,
        pool: str,
        candidate: "Candidate",
        node: "NodeSettings",
        *,
        owner: str,
        nodes: int,
        nodes_max: int,
        nodes_min: int = 0,
    ) -> str:
        """Create an autoscaled node pool with `nodes` at first, labelled for the AcceleratorPool `owner`."""

    def resize(self, pool: str, nodes: int) -> str: ...

    def limit(self, pool: str, nodes_min: int, nodes_max: int) -> str:
        """Set the autoscaler's limits, totals over all zones."""

    def delete(self, pool: str) -> str: ...

    def operation(self, name: str) -> Operation:
        """Raises Absent for an unknown one. A pool or cluster busy with another operation is Unavailable."""


class Cluster(Protocol):
    """One Kubernetes cluster; objects are plain JSON."""

    def get(self, ref: Ref) -> JSON | None: ...

    def find(self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]) -> Sequence[JSON]: ...

    def apply(self, obj: JSON, *, force: bool = False) -> JSON:
        """Server-side apply as manager `pointsman`; gives the object as it is then.

        Raises Conflict when a `metadata.resourceVersion` in `obj` no longer holds, or when another manager
        owns a field and `force` is not set.
        """

    def delete(self, ref: Ref, *, resource_version: str | None = None) -> None:
        """Gone is fine. Raises Conflict when `resource_version` no longer holds."""


class Metrics(Protocol):
    """One cluster's counters. No series is an absent key, never a zero."""

    def pods(
        self,
        namespace: str,
        service: str,
        revisions: Sequence[str],
        at: datetime,
        *,
        metric_sets: Sequence[str] = ("Gateway",),
        own: Sequence[JSON] = (),
    ) -> Mapping[str, Sequence["PodCounters"]]:
        """Revision → cumulative counters, newest sample at or before `at`; `own` are metrics of the policy's own.

        Raises Unavailable: the source is down.
        """

    def past(
        self,
        namespace: str,
        revision: str,
        times: Sequence[datetime],
        *,
        metric_sets: Sequence[str] = ("Gateway",),
        own: Sequence[JSON] = (),
    ) -> Sequence[Sequence["PodCounters"]]:
        """A revision's counters as they stood at each of these times; nothing where nothing was kept."""

    def gateway(self, namespace: str, service: str, at: datetime) -> Mapping[str, int]:
        """Revision → requests sent there by the gateway, cumulative: the split that was *seen*."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a gateway listens. `host` is whom a request is for."""

    address: str
    port: int
    host: str
    tls: bool = False


class Probe(Protocol):
    """A request through a gateway, as a user would make it."""

    def __call__(self, target: Target, path: str, headers: Mapping[str, str]) -> int:
        """GET `path`: the status of the answer, or 0 when there was none within a few seconds. Raises nothing."""


class Bus(Protocol):
    """Pub/Sub."""

    def publish(self, topic: str, event: Event) -> str:
        """Message id, once the service has it."""

    def redrive(self, topic: str) -> Sequence[Event]:
        """Publish what lies in TOPIC-dead to TOPIC once more (attribute `redriven`), then acknowledge it.

        What bears that attribute already is acknowledged and only returned: it is given up.
        """


class Registry(Protocol):
    """A model registry."""

    def resolve(self, model: str, *, alias: str | None = None, version: str | None = None) -> ModelVersion | None:
        """Version and artifact that the alias names *now*, or of a pinned version: exactly one of the two."""


class Channel(Protocol):
    """Where notices go: commit status, Slack, Google Chat, webhook, console."""

    def send(self, notice: Notice) -> None: ...


class Secrets(Protocol):
    """Secret Manager."""

    def read(self, name: str) -> str:
        """The newest enabled version of a secret, by id or full name. Raises Absent, Denied."""


class Log(Protocol):
    """Writes one structured line: one of `core.log_lines`, and its fields. Raises nothing."""

    def __call__(self, event: str, *, severity: str = "INFO", **fields: object) -> None: ...
