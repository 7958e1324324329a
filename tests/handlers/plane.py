"""A small control plane on fakes: a config repository, a registry, and deliveries as Pub/Sub makes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, cast

from tests.handlers.fakes import FakeBus, FakeLedger, FakeRegistry, FakeSource, FakeWorkflows, World, at

from pointsman.adapters.endpoints import Settings
from pointsman.core.events import ALERT_FIRED, MODEL_REGISTERED, REPO_PUSHED, Event
from pointsman.core.names import JSON, Commit
from pointsman.core.records import EventRecord, RevisionStatus, RolloutRecord, ServiceRecord
from pointsman.documents.platform import RegistrySettings
from pointsman.handlers import alert, command, model_registered, repo_push, sweep
from pointsman.handlers.delivery import Outcome, deliver
from pointsman.ports import Registry

__all__ = ["CHAT", "PLATFORM", "POOL", "REPOSITORY", "RULES", "Lines", "Plane", "service"]

AUDIT_LOG = "google.cloud.audit.log.v1.written"
TOPICS = {REPO_PUSHED: "repo-pushed", MODEL_REGISTERED: "model-registered", AUDIT_LOG: "model-registered"}

REPOSITORY = "https://github.com/acme-ml/model-config.git"

PLATFORM = """\
apiVersion: pointsman.dev/v1
kind: Platform
metadata: {name: acme}
spec:
  clusters: [{name: serving, location: us-central1}]
  gateway: {name: models, namespace: gateway, domain: models.example.com}
  namespaces:
    - name: nlp
      paths: [teams/nlp]
      owners: ["user:lea@example.com", "serviceAccount:bot@acme.iam.gserviceaccount.com"]
    - {name: growth, paths: [teams/growth]}
  registries:
    - {name: mlflow, type: MLflow, url: "https://mlflow.example.com"}
    - {name: vertex, type: VertexAI}
    - {name: builds, type: Announced}
  channels:
    - {name: oncall, type: Slack, secret: slack-oncall, notices: [RolloutHeld]}
    - {name: all, type: Webhook, url: "https://hooks.example.com/x"}
  defaults: {channels: [oncall, all]}
"""
POOL = """\
apiVersion: pointsman.dev/v1
kind: AcceleratorPool
metadata: {name: l4}
spec: {nodes: {max: 8, min: 1}, idleTimeout: 30m, candidates: [{machineType: g2-standard-8, accelerator: nvidia-l4}]}
"""


def service(name: str, model: str, *, namespace: str = "nlp", replicas: int = 1, more: str = "") -> str:
    """A ModelService; `model` and `more` are lines of YAML in flow style."""
    return f"""\
apiVersion: pointsman.dev/v1
kind: ModelService
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  model: {{{model}}}
  replicas: {replicas}
  {more}
  template:
    spec:
      containers:
        - name: server
          image: registry.example.com/server:1.0
          ports: [{{containerPort: 8000}}]
"""


CHAT = service("chat", "uri: gs://models/chat/1", more="pool: l4")
RULES = """\
apiVersion: pointsman.dev/v1
kind: AlertRule
metadata: {name: burn-rate, namespace: nlp}
spec:
  alert: {selector: {matchLabels: {pointsman_alert: burn-rate}}}
  actions: [{rollBack: {serviceLabel: pointsman_service}}, {notify: {channels: [oncall]}}]
---
apiVersion: pointsman.dev/v1
kind: AlertRule
metadata: {name: saturated, namespace: nlp}
spec:
  alert: {name: queue over 20, severities: [Error, Critical]}
  actions: [{scalePool: {pool: l4, addNodes: 2}}, {startPipeline: {workflow: {name: retrain}}}]
---
apiVersion: pointsman.dev/v1
kind: AlertRule
metadata: {name: slow, namespace: nlp}
spec: {alert: {name: slow}, actions: [{pause: {service: chat}}], cooldown: 0s}
"""


class Lines:
    """The log, kept."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def __call__(self, event: str, *, severity: str = "INFO", **fields: object) -> None:
        self.lines.append({"event": event, "severity": severity, **fields})


@dataclass
class Plane:
    """Everything a handler is wired to. `now` moves only when a test moves it."""

    world: World = field(default_factory=World)
    now: datetime = field(default_factory=at)

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.world)
        self.workflows = FakeWorkflows(self.world)
        self.source = FakeSource(self.world)
        self.bus = FakeBus(self.world)
        self.log = Lines()
        self.settings = Settings(project="acme", location="us-central1", cluster="serving", repository=REPOSITORY)
        self.registries: dict[str, FakeRegistry] = {
            name: FakeRegistry(self.world, name) for name in ("mlflow", "vertex", "builds")
        }
        self.pushes = 0

    # --- the world -------------------------------------------------------------------------------------------

    def commit(self, files: Mapping[str, str]) -> Commit:
        return self.source.commit(REPOSITORY, {"platform.yaml": PLATFORM, "pools/l4.yaml": POOL, **files})

    def registry(self, settings: RegistrySettings) -> Registry:
        if settings.type == "Announced":
            from pointsman.adapters.registries import Announced

            return Announced(settings.name, self.ledger)
        return self.registries[settings.name]

    # --- deliveries ------------------------------------------------------------------------------------------

    def push(self, *, after: str = "", ref: str = "refs/heads/main", delivery: str = "", **data: Any) -> int:
        """Deliver a push event, a new one unless it is named; the head decides what happens."""
        self.pushes += 1
        head = self.source.branches.get(REPOSITORY, {}).get("main", "")
        fields = {"repository": REPOSITORY, "ref": ref, "after": after or head, "deleted": False, **data}
        event = Event(
            delivery or f"push-{self.pushes}",
            "//github.com/acme-ml/model-config",
            REPO_PUSHED,
            self.now,
            f"{ref}@{after or head}",
            fields,
        )
        return self.deliver(event)

    def deliver(self, event: Event, topic: str = "") -> int:
        """Deliver to the function of a topic, by default the one where events of this type are published."""
        handle: Callable[[Event], Outcome]
        ports: dict[str, Any] = {"ledger": self.ledger, "workflows": self.workflows, "bus": self.bus, "now": self.now}
        match topic or TOPICS.get(event.type, "alert-fired"):
            case "repo-pushed":
                ports |= {"source": self.source, "registry": self.registry, "followed": self.settings}
                handle = partial(repo_push.handle, **ports)
            case "model-registered":
                handle = partial(model_registered.handle, **ports, registry=self.registry)
            case _:
                handle = partial(alert.handle, **ports)
        return deliver(event, handle, ledger=self.ledger, now=self.now, log=self.log)[1]

    def alert(self, policy: str = "", *, identity: str = "a1", state: str = "open", **data: Any) -> Event:
        fields = {
            "policy": policy,
            "state": state,
            "severity": "Error",
            "labels": {},
            "summary": "it burns",
            "started_at": self.now.isoformat(),
            **data,
        }
        status = "firing" if state == "open" else "resolved"
        return Event(f"{identity}/{status}", "//alertmanager/pointsman", ALERT_FIRED, self.now, policy, fields)

    def command(self, verb: str, service: str, *, by: str = "lea@example.com", why: str = "", **body: Any) -> Any:
        return self.command_raw(verb, {"service": service, "rollout": None, "why": why, **body}, by=by)

    def command_raw(self, verb: str, body: Any, *, by: str = "lea@example.com") -> Any:
        return command.handle(
            verb,
            body,
            caller=by,
            ledger=self.ledger,
            workflows=self.workflows,
            number=f"c{len(self.world.calls)}",
            now=self.now,
        )

    def sweep(
        self, scope: sweep.Scope = "all", inspector: Any = None, meanwhile: Callable[[], object] | None = None
    ) -> Any:
        """`meanwhile` happens while the sweep waits to look again."""
        return sweep.handle(
            scope,
            ledger=self.ledger,
            workflows=self.workflows,
            source=lambda: self.source,
            registry=self.registry,
            bus=self.bus,
            inspector=lambda: inspector or Nothing(),
            followed=self.settings,
            now=self.now,
            log=self.log,
            pause=lambda seconds: meanwhile() if meanwhile else None,
        )

    # --- what became of it -----------------------------------------------------------------------------------

    @property
    def event(self) -> EventRecord:
        """The event that was written last."""
        return self.ledger.all(EventRecord)[-1]

    @property
    def rollouts(self) -> list[RolloutRecord]:
        return sorted(self.ledger.all(RolloutRecord), key=lambda rollout: rollout.started_at)

    def started(self) -> list[tuple[str, object]]:
        return [
            (item.workflow, item.argument.get("rollout") or item.argument.get("pool"))
            for item in self.workflows.started
        ]

    def notices(self) -> list[str]:
        return [str(event.fields()["notice"]) for event in self.bus.on("notices")]

    def run(self, rollout: RolloutRecord, state: Any = "stepping", **fields: Any) -> RolloutRecord:
        """The rollout's execution has claimed the service."""
        running = replace(
            rollout,
            state=state,
            execution="projects/p/locations/l/workflows/roll-out/executions/1",
            callback="https://workflowexecutions.googleapis.com/v1/callbacks/1",
            lease_until=at(self.now.timestamp() - at().timestamp() + 60),
            **fields,
        )
        service = self.ledger.get(ServiceRecord, rollout.service)
        self.ledger.put(running, replace(service, owner=rollout.id, next=None, token=service.token + 1))
        return running

    def settle(self) -> None:
        """Every rollout that was under way has ended."""
        for rollout in self.rollouts:
            if rollout.ended == "no":
                service = self.ledger.get(ServiceRecord, rollout.service)
                self.ledger.put(
                    replace(rollout, state="superseded", ended="yes"),
                    replace(service, owner=None, next=None, generation=service.generation + 1),
                )

    def promote(self, rollout: RolloutRecord) -> None:
        """The rollout has ended well: its revision is stable and good."""
        service = self.ledger.get(ServiceRecord, rollout.service)
        revisions = {
            **service.revisions,
            rollout.to_revision: RevisionStatus(placed="warm", since=self.now, good=True),
        }
        self.ledger.put(
            replace(rollout, state="promoted", ended="yes", state_since=self.now),
            replace(
                service,
                stable=rollout.to_revision,
                owner=None,
                next=None,
                generation=service.generation + 1,
                revisions=revisions,
                placement=cast("JSON", rollout.plan["placement"]),
            ),
        )


class Nothing:
    """An inspector that finds nothing."""

    def inspect(self, function: str) -> Mapping[str, object]:
        return {"findings": []}
