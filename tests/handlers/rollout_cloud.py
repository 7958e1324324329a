"""A cloud of a few lines around the fakes: pods follow Deployments, a gateway follows routes, requests follow weights.

Time is virtual. An `Execution` asks `rollout_step` as the workflow files do, so that whole rollouts run here.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.handlers.fakes import FakeBus, FakeCluster, FakeLedger, FakeMetrics, FakeWorkflows, World, at

from pointsman.core.changes import Change, Known, change_of
from pointsman.core.judge.ticks import PodCounters
from pointsman.core.labels import LABEL_REVISION
from pointsman.core.names import JSON, Ref
from pointsman.core.plan import open_rollout
from pointsman.core.records import (
    CommandRecord,
    DecisionRecord,
    DocumentRecord,
    HeadRecord,
    RevisionRecord,
    RolloutRecord,
    ServiceRecord,
)
from pointsman.core.routes import PROBE_HEADER, weights_of
from pointsman.documents import load
from pointsman.documents.effective import EffectiveService, effective
from pointsman.handlers.rollout_step import Steps, handle
from pointsman.ports import Target, Write

__all__ = ["NAME", "Behaviour", "Cloud", "Execution", "service"]

NAME = "demo/digits"
KEY = "local/demo/digits"
ROUTE = Ref("gateway.networking.k8s.io/v1", "HTTPRoute", "demo", "digits")
EDGES = tuple(round(1.1**power, 3) for power in range(60))

PLATFORM = """
apiVersion: pointsman.dev/v1
kind: Platform
metadata: {name: demo}
spec:
  clusters: [{name: local, location: us-central1}]
  gateway: {name: models, namespace: gateway, domain: localhost}
  namespaces: [{name: demo, paths: [teams/demo]}]
  channels:
    - {name: hook, type: Webhook, url: "http://127.0.0.1:1/x"}
    - {name: quiet, type: Webhook, url: "http://127.0.0.1:1/y", notices: [RolloutFailed]}
  defaults:
    pool: cpu
    channels: [hook, quiet]
    requestTimeout: 1s
    rollout:
      steps: [{weight: 5, hold: 6s}, {weight: 25, hold: 6s}, {weight: 50, hold: 6s}]
      bake: {duration: 8s}
      withoutData: {wait: 1m}
      judge: {warmup: 0s, minRequestsPerStep: 20}
---
apiVersion: pointsman.dev/v1
kind: AcceleratorPool
metadata: {name: cpu}
spec: {nodes: {max: 20}, candidates: [{machineType: e2-standard-4}]}
"""

SERVICE = """
apiVersion: pointsman.dev/v1
kind: ModelService
metadata: {name: digits, namespace: demo}
spec:
  model: {uri: "file:///models/digits/VERSION"}
  replicas: REPLICAS
  MORE
  template: {spec: {containers: [{name: server, image: "python:3.12-slim", ports: [{containerPort: 8080}]}]}}
"""


def service(version: str, *, replicas: int = 1, more: str = "") -> EffectiveService:
    """The demo's service at a model version."""
    text = SERVICE.replace("VERSION", version).replace("REPLICAS", str(replicas)).replace("MORE", more or "{}: {}")
    text = text.replace("  {}: {}\n", "")
    loaded = load({"platform.yaml": PLATFORM.encode(), "teams/demo/digits.yaml": text.encode()})
    assert loaded.config is not None, [str(fault) for fault in loaded.faults]
    return effective(loaded.config, project="lab")[NAME]


@dataclass
class Behaviour:
    """What a revision's servers do. `errors` is their share of bad answers; `latency_ms` of every answer."""

    errors: float = 0.0
    latency_ms: float = 20.0
    starts: bool = True
    """Whether its pods become ready."""
    room: bool = True
    crashes: bool = False


@dataclass
class Cloud:
    """Everything around `rollout_step`. `tick` lets time pass: pods start, the gateway reconciles, requests come."""

    requests_per_s: int = 150
    world: World = field(default_factory=World)
    now: datetime = field(default_factory=at)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    deaf: bool = False
    blind: bool = False
    weights: list[tuple[datetime, dict[str, int]]] = field(default_factory=list)
    counters: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.world)
        self.cluster = FakeCluster(self.world)
        self.metrics = FakeMetrics(self.world)
        self.bus = FakeBus(self.world)
        self.workflows = FakeWorkflows(self.world)
        self.executions = 0
        self._sampled = self.now
        self.ledger.put(HeadRecord("https://github.com/acme/config", "main", "c0", self.now))
        self.cluster.put(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": {"name": "models", "namespace": "gateway"},
                "spec": {"gatewayClassName": "envoy", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]},
                "status": {"addresses": [{"type": "IPAddress", "value": "127.0.0.1"}]},
            }
        )

    # --- what is wired ---------------------------------------------------------------------------------------------

    @property
    def steps(self) -> Steps:
        return Steps(
            self.ledger, self.workflows, self.bus, lambda _: self.cluster, lambda *_: self._metrics(), self._probe
        )

    def _metrics(self) -> FakeMetrics:
        return self.metrics

    def _probe(self, target: Target, path: str, headers: Mapping[str, str]) -> int:
        """Only the probe rule with the right word leads to a revision."""
        assert (target.host, path) == ("digits-demo.localhost", "/health")
        item = self.cluster.objects.get(ROUTE)
        for rule in item.live["spec"]["rules"] if item else ():
            for header in rule["matches"][0].get("headers", ()):
                if header["name"] == PROBE_HEADER and header["value"] == headers[PROBE_HEADER]:
                    return 200 if self.ready(rule["backendRefs"][0]["name"]) else 503
        return 404

    def call(self, verb: str, rollout: str, execution: str, callback: str = "") -> JSON:
        request = {"rollout": rollout, "execution": execution, "callback": callback or callback_of(execution)}
        answer = handle(verb, request, self.steps, self.now)
        return dict(json.loads(json.dumps(answer)))

    # --- what git and people do ------------------------------------------------------------------------------------

    def push(self, wanted: EffectiveService, commit: str = "c1") -> RolloutRecord:
        """What `on_repo_push` does of a commit: document, change, records of a start. Raises AssertionError if none."""
        document = wanted.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.ledger.put(DocumentRecord("ModelService", "demo", "digits", document, commit, "digits.yaml", commit))
        change = change_of(wanted, self.known(), None)
        assert change.starts, change.why
        return self.open(change, wanted, commit)

    def open(self, change: Change, wanted: EffectiveService, commit: str) -> RolloutRecord:
        saved = self.ledger.read(ServiceRecord, change.service)
        kept = self.ledger.read(RevisionRecord, f"{change.service}/{change.to_revision}")
        rollout, record, revision = open_rollout(
            change,
            wanted,
            saved.record if saved else None,
            cause="e1",
            commit=commit,
            now=self.now,
            kept=kept.record if kept else None,
        )
        writes = [Write(rollout), Write(record, saved)]
        self.ledger.save(writes if kept else [*writes, Write(revision)])
        return rollout

    def known(self) -> Known | None:
        found = [record for record in self.ledger.all(ServiceRecord) if record.key == KEY]
        running = tuple(record for record in self.ledger.all(RolloutRecord) if record.ended == "no")
        return Known(found[0], running) if found else None

    def command(self, rollout: str, verb: str, why: str = "since", by: str = "lea@example.com") -> None:
        self.ledger.put(CommandRecord(rollout, f"{verb}-{by}-{self.now.timestamp()}", verb, by, self.now, why))

    def execute(self, rollout: str) -> "Execution":
        self.executions += 1
        record = self.ledger.get(RolloutRecord, rollout)
        workflow = "roll-out" if record.kind == "roll_out" else "roll-back"
        name = self.workflows.start(workflow, {"rollout": rollout})
        third = "advance" if record.kind == "roll_out" else "restore"
        return Execution(self, rollout, name, ["claim", "place", third, "finish"])

    def deployed(self, version: str = "v1", **options: Any) -> str:
        """A service that serves a version already; its revision."""
        rollout = self.push(service(version, **options), "c1")
        assert self.execute(rollout.id).run() == "promoted"
        return rollout.to_revision

    # --- what is there ---------------------------------------------------------------------------------------------

    def rollout(self, name: str) -> RolloutRecord:
        return self.ledger.get(RolloutRecord, name)

    @property
    def service(self) -> ServiceRecord:
        return self.ledger.get(ServiceRecord, KEY)

    def decisions(self, rollout: str) -> list[DecisionRecord]:
        return [record for record in self.ledger.all(DecisionRecord) if record.rollout == rollout]

    def route(self) -> dict[str, int]:
        item = self.cluster.objects.get(ROUTE)
        return weights_of(item.live) if item else {}

    def replicas(self) -> dict[str, int]:
        return {
            ref.name: item.live["spec"]["replicas"]
            for ref, item in self.cluster.objects.items()
            if ref.kind == "Deployment"
        }

    def ready(self, revision: str) -> int:
        return sum(
            1
            for ref, item in self.cluster.objects.items()
            if ref.kind == "Pod"
            and item.live["metadata"]["labels"][LABEL_REVISION] == revision
            and item.live["status"]["conditions"][0] == {"type": "Ready", "status": "True"}
        )

    def notices(self) -> list[str]:
        return [str(event.fields()["notice"]) for event in self.bus.on("notices")]

    # --- time ------------------------------------------------------------------------------------------------------

    def tick(self, seconds: float) -> None:
        """Let time pass, at most a second at once."""
        left = max(seconds, 0.02)
        while left > 0:
            part = min(left, 1.0)
            self.now += timedelta(seconds=part)
            self._pods()
            self._reconcile()
            self._serve(part)
            left -= part

    def _behaviour(self, revision: str) -> Behaviour:
        return self.behaviours.get(revision, Behaviour())

    def _pods(self) -> None:
        objects = self.cluster.objects
        wanted: set[Ref] = set()
        for ref, item in list(objects.items()):
            if ref.kind != "Deployment":
                continue
            for number in range(item.live["spec"]["replicas"]):
                pod = Ref("v1", "Pod", ref.namespace, f"{ref.name}-{number}")
                wanted.add(pod)
                status = self._status(ref.name)
                if pod not in objects or objects[pod].live["status"] != status:
                    self._put_pod(pod, item.live["spec"]["template"]["metadata"]["labels"], status)
        for ref in [ref for ref in objects if ref.kind == "Pod" and ref not in wanted]:
            del objects[ref]

    def _put_pod(self, ref: Ref, labels: Mapping[str, str], status: JSON) -> None:
        meta = {"name": ref.name, "namespace": ref.namespace, "labels": dict(labels)}
        meta["creationTimestamp"] = self.now.isoformat()
        self.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": dict(status)})

    def _status(self, revision: str) -> JSON:
        how = self._behaviour(revision)
        if not how.room:
            why = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node has room"}
            return {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}, why]}
        if how.crashes:
            waiting = {"name": "server", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
            return {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [waiting],
            }
        ready = {"type": "Ready", "status": "True" if how.starts else "False"}
        return {"phase": "Running", "conditions": [ready]}

    def _reconcile(self) -> None:
        item = self.cluster.objects.get(ROUTE)
        if item is None or self.deaf:
            return
        generation = item.live["metadata"]["generation"]
        conditions = [
            {"type": kind, "status": "True", "observedGeneration": generation} for kind in ("Accepted", "ResolvedRefs")
        ]
        parents = [{"parentRef": {"name": "models"}, "conditions": conditions}]
        if item.live.get("status") != {"parents": parents}:
            self.cluster.edit(ROUTE, lambda live: live.update(status={"parents": parents}))

    def _serve(self, seconds: float) -> None:
        """Requests of these seconds, and a sample of every series each second."""
        weights = self.route()
        if not self.weights or self.weights[-1][1] != weights:
            self.weights.append((self.now, weights))
        total = sum(weights.values())
        for revision, weight in weights.items():
            self._answer(revision, self.requests_per_s * seconds * weight / total if total else 0.0)
        if self.now - self._sampled >= timedelta(seconds=1):
            self._sampled = self.now
            for revision, counted in self.counters.items():
                self.metrics.samples.setdefault(revision, []).append(
                    PodCounters(
                        pod="*",
                        started_at=at(),
                        sampled_at=self.now,
                        requests=int(counted["requests"]),
                        bad={"5xx": int(counted["bad"])},
                        edges_ms=EDGES,
                        latency=tuple(int(count) for count in counted["latency"]),
                    )
                )
            seen = {revision: int(counted["requests"]) for revision, counted in self.counters.items()}
            self.metrics.seen.append((self.now, seen))

    def _answer(self, revision: str, requests: float) -> None:
        how = self._behaviour(revision)
        counted = self.counters.setdefault(revision, {"requests": 0.0, "bad": 0.0, "latency": [0.0] * (len(EDGES) + 1)})
        bad = requests if not self.ready(revision) else requests * how.errors
        bucket = next((number for number, edge in enumerate(EDGES) if how.latency_ms <= edge), len(EDGES))
        counted["requests"] += requests
        counted["bad"] += bad
        # Not all answers take the same time: a histogram of one bucket is no shape to compare.
        for offset, share in ((-2, 0.2), (-1, 0.2), (0, 0.3), (1, 0.2), (2, 0.1)):
            counted["latency"][bucket + offset] += requests * share


def callback_of(execution: str) -> str:
    return f"https://workflowexecutions.googleapis.com/v1/{execution}/callbacks/1"


class Execution:
    """Asks as roll-out.yaml does: each verb until it is done; waits as it is told, unless somebody rings."""

    def __init__(self, cloud: Cloud, rollout: str, name: str, verbs: Sequence[str]) -> None:
        self.cloud = cloud
        self.rollout = rollout
        self.name = name
        self.verbs = list(verbs)
        self.outcome: str | None = None
        self.states: list[str] = []
        self.needs: list[object] = []
        self.calls = 0

    def step(self) -> float | None:
        """One call; how long to wait before the next, or None at the end."""
        answer = self.cloud.call(self.verbs[0], self.rollout, self.name)
        self.calls += 1
        state = str(answer["state"])
        if not self.states or self.states[-1] != state:
            self.states.append(state)
        if answer["need"] is not None:
            self.needs.append(answer["need"])
        if answer["outcome"] is not None:
            self.outcome = str(answer["outcome"])
            self.cloud.workflows.end(self.name)
            return None
        if answer["done"]:
            self.verbs.pop(0)
            return 0.0
        return float(str(answer["wait_s"]))

    def run(self, *, until: Callable[[], bool] | None = None, calls: int = 600) -> str | None:
        """To the end, or until something is so; the outcome."""
        for _ in range(calls):
            if until is not None and until():
                return self.outcome
            wait_s = self.step()
            if wait_s is None:
                return self.outcome
            self.cloud.tick(wait_s)
        raise AssertionError(f"no end after {calls} calls: {self.states} {self.cloud.rollout(self.rollout).reason}")

    def until(self, state: str, calls: int = 400) -> "Execution":
        self.run(until=lambda: self.cloud.rollout(self.rollout).state == state, calls=calls)
        return self
