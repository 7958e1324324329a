"""The ports, made by hand, holding state: what a handler meets in tests.

All fakes of one test share a `World`, which counts their calls and can end the process after any of them,
or let one fail. A record goes through the real encoding, so that a record which cannot be written fails here.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any, Literal, TypeVar, cast

from pointsman.core.encoding import decode, encode
from pointsman.core.events import Event
from pointsman.core.judge.ticks import PodCounters
from pointsman.core.names import JSON, Commit, Ref
from pointsman.core.notices import Notice
from pointsman.core.records import Record
from pointsman.core.revision import ModelVersion
from pointsman.errors import Absent, Conflict, Denied, Invalid
from pointsman.ports import Execution, Saved, Write

__all__ = [
    "Crash",
    "FakeBus",
    "FakeChannel",
    "FakeCluster",
    "FakeLedger",
    "FakeMetrics",
    "FakeRegistry",
    "FakeSecrets",
    "FakeSource",
    "FakeWorkflows",
    "World",
]

R = TypeVar("R", bound=Record)


class Crash(BaseException):
    """The process is gone. No Exception: nothing in a handler may catch it."""


@dataclass
class World:
    """Counts the calls of every fake made with it. `crash_after` = n: the process ends once call n has had its effect.

    `crash_after=0` ends it before the first. `failing` gives a call (`ledger.save`) the errors it raises next,
    before it has any effect.
    """

    crash_after: int | None = None
    calls: list[str] = field(default_factory=list)
    failing: dict[str, list[Exception]] = field(default_factory=dict)

    def before(self, call: str) -> None:
        if self.crash_after == 0 and not self.calls:
            raise Crash(f"before {call}")
        errors = self.failing.get(call)
        if errors:
            raise errors.pop(0)

    def after(self, call: str) -> None:
        self.calls.append(call)
        if self.crash_after is not None and len(self.calls) == self.crash_after:
            raise Crash(f"after call {self.crash_after}, {call}")

    def restart(self) -> None:
        """A new process: nothing crashes any more."""
        self.crash_after = None


class FakeLedger:
    """Compare-and-set as the port says: one transaction, all of it or nothing."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self._rows: dict[tuple[str, str], tuple[str, int]] = {}  # (collection, key) -> (encoded record, version)
        self._written = 0

    def read(self, kind: type[R], key: str) -> Saved[R] | None:
        self.world.before("ledger.read")
        row = self._rows.get((kind.collection, key))
        self.world.after("ledger.read")
        return None if row is None else Saved(decode(kind, json.loads(row[0])), str(row[1]))

    def save(self, writes: Sequence[Write], unchanged: Sequence[Saved[Any]] = ()) -> None:
        self.world.before("ledger.save")
        keys = [(write.record.collection, write.record.key) for write in writes]
        if len(set(keys)) != len(keys):
            raise AssertionError(f"one record twice in a save: {keys}")
        for write, key in zip(writes, keys, strict=True):
            self._expect(key, write.over)
        for saved in unchanged:
            self._expect((saved.record.collection, saved.record.key), saved)
        for write, key in zip(writes, keys, strict=True):
            text = json.dumps(encode(write.record))
            assert len(text) < 256 * 1024, f"{key} is over 256 KiB"
            assert decode(type(write.record), json.loads(text)) is not None
            self._written += 1
            self._rows[key] = text, self._written
        self.world.after("ledger.save")

    def find(self, kind: type[R], where: Mapping[str, str] | None = None, limit: int = 100) -> Sequence[Saved[R]]:
        self.world.before("ledger.find")
        unknown = set(where or {}) - set(kind.indexed)
        assert not unknown, f"{kind.__name__} has no index on {unknown}"
        rows = sorted(
            (row for (collection, _), row in self._rows.items() if collection == kind.collection),
            key=lambda row: -row[1],
        )
        found = [Saved(decode(kind, json.loads(text)), str(version)) for text, version in rows]
        self.world.after("ledger.find")
        return [
            saved
            for saved in found
            if all(getattr(saved.record, name) == value for name, value in (where or {}).items())
        ][:limit]

    def delete(self, saved: Saved[Any]) -> None:
        self.world.before("ledger.delete")
        key = (saved.record.collection, saved.record.key)
        if key in self._rows:
            self._expect(key, saved)
            del self._rows[key]
        self.world.after("ledger.delete")

    def _expect(self, key: tuple[str, str], over: Saved[Any] | None) -> None:
        row = self._rows.get(key)
        if (row is None) != (over is None) or (row is not None and over is not None and str(row[1]) != over.version):
            raise Conflict("somebody wrote first", where="/".join(key))

    # For tests, uncounted.

    def put(self, *records: Record) -> None:
        """Write records whatever was there."""
        for record in records:
            self._written += 1
            self._rows[record.collection, record.key] = json.dumps(encode(record)), self._written

    def all(self, kind: type[R]) -> list[R]:
        """Every record of a kind, first written first."""
        rows = sorted((row for (name, _), row in self._rows.items() if name == kind.collection), key=lambda row: row[1])
        return [decode(kind, json.loads(text)) for text, _ in rows]

    def get(self, kind: type[R], key: str) -> R:
        return decode(kind, json.loads(self._rows[kind.collection, key][0]))


@dataclass
class Started:
    workflow: str
    argument: JSON
    name: str
    state: Literal["ACTIVE", "QUEUED", "SUCCEEDED", "FAILED", "CANCELLED", "UNAVAILABLE"] = "ACTIVE"
    result: str | None = None
    error: str | None = None


class FakeWorkflows:
    """Executions that stay ACTIVE until a test ends them."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.started: list[Started] = []
        self.rung: list[str] = []
        self.ended_callbacks: set[str] = set()

    def start(self, workflow: str, argument: JSON) -> str:
        self.world.before("workflows.start")
        name = f"projects/p/locations/us-central1/workflows/{workflow}/executions/{len(self.started) + 1}"
        self.started.append(Started(workflow, json.loads(json.dumps(argument)), name))
        self.world.after("workflows.start")
        return name

    def execution(self, name: str) -> Execution | None:
        self.world.before("workflows.execution")
        found = next((item for item in self.started if item.name == name), None)
        self.world.after("workflows.execution")
        return None if found is None else Execution(found.name, found.state, found.result, found.error)

    def cancel(self, name: str) -> None:
        self.world.before("workflows.cancel")
        for item in self.started:
            if item.name == name and item.state in ("ACTIVE", "QUEUED"):
                item.state = "CANCELLED"
        self.world.after("workflows.cancel")

    def ring(self, callback: str) -> bool:
        self.world.before("workflows.ring")
        if not callback.startswith("https://workflowexecutions.googleapis.com/"):
            raise Invalid("no callback of ours", where=callback)
        if callback not in self.ended_callbacks:
            self.rung.append(callback)
        self.world.after("workflows.ring")
        return callback not in self.ended_callbacks

    def end(
        self, name: str, state: Literal["SUCCEEDED", "FAILED", "CANCELLED"] = "SUCCEEDED", result: str | None = None
    ) -> None:
        for item in self.started:
            if item.name == name:
                item.state, item.result = state, result


class FakeSource:
    """Config repositories: a test commits, branches move."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.branches: dict[str, dict[str, Commit]] = {}
        self.trees: dict[Commit, dict[str, bytes]] = {}

    def heads(self, repository: str) -> Mapping[str, Commit]:
        self.world.before("source.heads")
        if repository not in self.branches:
            raise Denied("no such repository, or no access", where=repository)
        self.world.after("source.heads")
        return dict(self.branches[repository])

    def files(self, repository: str, commit: Commit) -> Mapping[str, bytes]:
        self.world.before("source.files")
        if commit not in self.trees:
            raise Absent("no such commit", where=f"{repository}@{commit}")
        self.world.after("source.files")
        return dict(self.trees[commit])

    def commit(self, repository: str, files: Mapping[str, str | bytes], branch: str = "main") -> Commit:
        """Put a tree at the head of a branch, and give its commit. Same parent and files: same commit."""
        tree = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
        parent = self.branches.get(repository, {}).get(branch, "")
        content = b"".join(path.encode() + b"\0" + body + b"\0" for path, body in sorted(tree.items()))
        name = Commit(sha1(parent.encode() + content, usedforsecurity=False).hexdigest())
        self.trees[name] = tree
        self.branches.setdefault(repository, {})[branch] = name
        return name

    def point(self, repository: str, commit: Commit, branch: str = "main") -> None:
        """Move a branch to a commit that exists, as a forced push does."""
        self.branches[repository][branch] = commit


class FakeBus:
    """Topics as lists. `dead` is what lies in TOPIC-dead, with the mark that it was redriven before."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.published: list[tuple[str, Event]] = []
        self.dead: dict[str, list[tuple[Event, bool]]] = {}

    def publish(self, topic: str, event: Event) -> str:
        self.world.before("bus.publish")
        self.published.append((topic, event))
        self.world.after("bus.publish")
        return str(len(self.published))

    def redrive(self, topic: str) -> Sequence[Event]:
        self.world.before("bus.redrive")
        found = self.dead.pop(topic, [])
        self.published += [(topic, event) for event, redriven in found if not redriven]
        self.world.after("bus.redrive")
        return [event for event, redriven in found if redriven]

    def on(self, topic: str) -> list[Event]:
        return [event for name, event in self.published if name == topic]


Path = tuple[str, ...]


@dataclass
class _Object:
    live: dict[str, Any]
    applied: dict[Path, Any]  # what manager `pointsman` applied last, leaf by leaf
    others: set[Path]  # leaves that another manager wrote last


class FakeCluster:
    """Server-side apply in small: owned leaves, lists are atomic, one resourceVersion over all objects.

    What we applied before and leave out now is removed; what another manager wrote (`edit`) and we apply
    with another value is a Conflict unless forced. `metadata.generation` rises when the spec changes.
    """

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.objects: dict[Ref, _Object] = {}
        self.version = 0

    def get(self, ref: Ref) -> JSON | None:
        self.world.before("cluster.get")
        found = self.objects.get(ref)
        self.world.after("cluster.get")
        return None if found is None else _copied(found.live)

    def find(self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]) -> Sequence[JSON]:
        self.world.before("cluster.find")
        found = [
            _copied(item.live)
            for ref, item in self.objects.items()
            if (ref.api_version, ref.kind, ref.namespace) == (api_version, kind, namespace)
            and labels.items() <= item.live["metadata"].get("labels", {}).items()
        ]
        self.world.after("cluster.find")
        return found

    def apply(self, obj: JSON, *, force: bool = False) -> JSON:
        self.world.before("cluster.apply")
        wanted = cast("dict[str, Any]", _copied(obj))
        ref = _ref(wanted)
        expected = wanted["metadata"].pop("resourceVersion", None)
        item = self.objects.get(ref)
        if expected is not None and (item is None or item.live["metadata"]["resourceVersion"] != expected):
            raise Conflict("resourceVersion no longer holds", where=str(ref))
        leaves = dict(_leaves(wanted))
        if item is None:
            item = self.objects[ref] = _Object(
                {"metadata": {"uid": f"uid-{self.version + 1}", "generation": 0}}, {}, set()
            )
        taken = {path for path in item.others if path in leaves and _at(item.live, path) != leaves[path]}
        if taken and not force:
            raise Conflict(
                "another manager owns " + ", ".join(".".join(path) for path in sorted(taken)), where=str(ref)
            )
        item.others -= taken
        before = _copied(item.live)
        for path in item.applied:
            if path not in leaves and path not in item.others:
                _remove(item.live, path)
        for path, value in leaves.items():
            _set(item.live, path, value)
        item.applied = leaves
        self._touch(item, before)
        self.world.after("cluster.apply")
        return cast("JSON", _copied(item.live))

    def delete(self, ref: Ref, *, resource_version: str | None = None) -> None:
        self.world.before("cluster.delete")
        item = self.objects.get(ref)
        if item is not None:
            if resource_version is not None and item.live["metadata"]["resourceVersion"] != resource_version:
                raise Conflict("resourceVersion no longer holds", where=str(ref))
            del self.objects[ref]
        self.world.after("cluster.delete")

    def _touch(self, item: _Object, before: Mapping[str, Any]) -> None:
        if item.live == before:
            return
        if item.live.get("spec") != before.get("spec"):
            item.live["metadata"]["generation"] += 1
        self.version += 1
        item.live["metadata"]["resourceVersion"] = str(self.version)

    # For tests, uncounted.

    def edit(self, ref: Ref, change: Callable[[dict[str, Any]], object]) -> None:
        """Another manager (kubectl, a controller) changes the object, and owns what it changed."""
        item = self.objects[ref]
        before = _copied(item.live)
        change(item.live)
        old = dict(_leaves(before))
        item.others |= {path for path, value in _leaves(item.live) if old.get(path) != value and path[0] != "status"}
        self._touch(item, before)

    def put(self, obj: Mapping[str, Any]) -> None:
        """An object that is not ours: a pod, a node, an event, a Gateway."""
        live = cast("dict[str, Any]", _copied(obj))
        ref = _ref(live)
        self.version += 1
        live["metadata"] = {
            "uid": f"uid-{self.version}",
            "generation": 1,
            "resourceVersion": str(self.version),
            **live["metadata"],
        }
        self.objects[ref] = _Object(live, {}, {path for path, _ in _leaves(live)})


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))  # a fraction of what deepcopy takes


def _ref(obj: Mapping[str, Any]) -> Ref:
    return Ref(obj["apiVersion"], obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _leaves(value: Mapping[str, Any], path: Path = ()) -> Iterable[tuple[Path, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, (*path, name))
        else:
            yield (*path, name), item


def _at(value: Any, path: Path) -> Any:
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _set(value: dict[str, Any], path: Path, leaf: Any) -> None:
    for name in path[:-1]:
        if not isinstance(value.get(name), dict):
            value[name] = {}
        value = value[name]
    value[path[-1]] = _copied(leaf)


def _remove(value: dict[str, Any], path: Path) -> None:
    parent = _at(value, path[:-1])
    if isinstance(parent, dict):
        parent.pop(path[-1], None)
        if not parent and path[:-1]:
            _remove(value, path[:-1])


class FakeMetrics:
    """Samples that a test wrote: the newest at or before the time asked for."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.samples: dict[str, list[PodCounters]] = {}  # revision -> samples of its pods
        self.seen: list[tuple[datetime, dict[str, int]]] = []

    def pods(
        self,
        namespace: str,
        service: str,
        revisions: Sequence[str],
        at: datetime,
        *,
        metric_sets: Sequence[str] = ("Gateway",),
        own: Sequence[JSON] = (),
    ) -> Mapping[str, Sequence[PodCounters]]:
        self.world.before("metrics.pods")
        answer: dict[str, Sequence[PodCounters]] = {}
        for revision in revisions:
            newest: dict[str, PodCounters] = {}
            for sample in sorted(self.samples.get(revision, ()), key=lambda item: item.sampled_at):
                if sample.sampled_at <= at:
                    newest[sample.pod] = sample
            if newest:
                answer[revision] = list(newest.values())
        self.world.after("metrics.pods")
        return answer

    def past(
        self,
        namespace: str,
        revision: str,
        times: Sequence[datetime],
        *,
        metric_sets: Sequence[str] = ("Gateway",),
        own: Sequence[JSON] = (),
    ) -> Sequence[Sequence[PodCounters]]:
        self.world.before("metrics.past")
        found = []
        for at in times:
            newest = {one.pod: one for one in self.samples.get(revision, ()) if one.sampled_at <= at}
            found.append(list(newest.values()))
        self.world.after("metrics.past")
        return found

    def gateway(self, namespace: str, service: str, at: datetime) -> Mapping[str, int]:
        self.world.before("metrics.gateway")
        newest: dict[str, int] = {}
        for when, counts in sorted(self.seen, key=lambda item: item[0]):
            if when <= at:
                newest = counts
        self.world.after("metrics.gateway")
        return dict(newest)


class FakeRegistry:
    """A registry of models: aliases move, versions have artifacts."""

    def __init__(self, world: World | None = None, registry: str | None = None) -> None:
        self.world = world or World()
        self.registry = registry
        self.versions: dict[tuple[str, str], ModelVersion] = {}
        self.aliases: dict[tuple[str, str], str] = {}

    def resolve(self, model: str, *, alias: str | None = None, version: str | None = None) -> ModelVersion | None:
        self.world.before("registry.resolve")
        if (alias is None) == (version is None):
            raise AssertionError("exactly one of alias and version")
        wanted = version if version is not None else self.aliases.get((model, alias or ""))
        found = None if wanted is None else self.versions.get((model, wanted))
        self.world.after("registry.resolve")
        return found

    def register(self, model: str, version: str, uri: str | None, *aliases: str) -> None:
        self.versions[model, version] = ModelVersion(model, version, uri, registry=self.registry)
        for alias in aliases:
            self.aliases[model, alias] = version


class FakeSecrets:
    def __init__(self, world: World | None = None, **values: str) -> None:
        self.world = world or World()
        self.values = values

    def read(self, name: str) -> str:
        self.world.before("secrets.read")
        if name not in self.values:
            raise Absent("no such secret", where=name, remedy="create it in Secret Manager")
        self.world.after("secrets.read")
        return self.values[name]


class FakeChannel:
    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.sent: list[Notice] = []

    def send(self, notice: Notice) -> None:
        self.world.before("channel.send")
        self.sent.append(replace(notice))
        self.world.after("channel.send")


def at(seconds: float = 0) -> datetime:
    """A moment in tests: `seconds` after noon of 22 November 2026, UTC."""
    return datetime.fromtimestamp(1795348800 + seconds, UTC)
