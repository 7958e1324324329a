"""What was lost is found here: every minute what has a lease, every five minutes everything else.

A lost push or alias is rung for again, as if its sender had: the handlers do the rest. Nothing found here is acted
on by the sweep itself, but by starting the workflow or waking the rollout that can; each of them may be started once
too often without harm. One part's trouble does not keep the others from being looked at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol

from pointsman.core.changes import change_of
from pointsman.core.events import MODEL_REGISTERED, REPO_PUSHED, Event
from pointsman.core.names import JSON
from pointsman.core.notices import Notice
from pointsman.core.records import CommandRecord, EventRecord, HeadRecord, PoolRecord, RolloutRecord
from pointsman.core.revision import ModelVersion
from pointsman.documents.effective import EffectiveService
from pointsman.documents.platform import RegistrySettings
from pointsman.errors import PointsmanError
from pointsman.handlers.commanding import wake
from pointsman.handlers.following import ask
from pointsman.handlers.repo_push import Followed
from pointsman.handlers.standing import EVERYTHING, effective_services, platform_of, standings
from pointsman.handlers.starting import start
from pointsman.handlers.telling import channels, tell
from pointsman.ports import Bus, Ledger, Log, Registry, Source, Workflows, Write

__all__ = ["SCHEDULED", "SOURCE", "Inspector", "Scope", "handle", "scope_of"]

Scope = Literal["leases", "all"]

SOURCE = "//pointsman/sweep"
SCHEDULED = "X-CloudScheduler-ScheduleTime"
EVERY_MINUTES = 5
LEASE_OVER = timedelta(seconds=30)
"""A lease that has just ended may belong to an answer that is on its way."""
STARTS_WITHIN = timedelta(seconds=60)
"""An execution that was created claims well within this."""
TAKEN_WITHIN = timedelta(seconds=2)
BEHIND_S = 5.0
"""A webhook comes a moment after its push: who looks in that moment waits and looks again, or the push would be
told of twice."""
ON_ITS_WAY = timedelta(minutes=10)
"""A delivery that is being retried is not rung for a second time."""
GIVEN_UP = timedelta(hours=6)
"""20 deliveries take about 2.5 h, twice as long with the dead letter redriven once."""
TOPICS = ("repo-pushed", "model-registered", "alert-fired", "notices")
REGISTRIES: Mapping[str, str] = {"MLflow": "mlflow", "VertexAI": "vertex", "Announced": "ci"}


class Inspector(Protocol):
    """Asks a step function what differs from the ledger."""

    def inspect(self, function: str) -> JSON: ...


def scope_of(body: object, scheduled: str | None, now: datetime) -> Scope:
    """What to look at: what the call says, or else everything in minutes that five divides.

    The minute is that of the schedule, where Cloud Scheduler tells it (`SCHEDULED`), since a call may come late; a job
    that is run by hand is due in the middle of a minute, and looks at everything.
    """
    asked = body.get("scope") if isinstance(body, Mapping) else None
    if asked in ("all", "leases"):
        return "all" if asked == "all" else "leases"
    try:
        due = datetime.fromisoformat(scheduled or "")
    except ValueError:
        return "all" if now.minute % EVERY_MINUTES == 0 else "leases"
    return "all" if due.minute % EVERY_MINUTES == 0 or due.second or due.microsecond else "leases"


def handle(
    scope: Scope,
    *,
    ledger: Ledger,
    workflows: Workflows,
    source: Callable[[], Source],
    registry: Callable[[RegistrySettings], Registry],
    bus: Bus,
    inspector: Callable[[], Inspector],
    followed: Followed,
    now: datetime,
    log: Log,
    pause: Callable[[float], object],
) -> JSON:
    """Look, ring and restart; answer what was found and what could not be looked at.

    `pause` waits so many seconds. Raises the last transient error only when nothing could be looked at: the next
    minute looks again anyway.
    """
    sweep = _Sweep(ledger, workflows, source, registry, bus, inspector, followed, now, pause)
    parts: list[tuple[str, Callable[[], Iterator[str]]]] = [
        ("rollouts", sweep.rollouts),
        ("commands", sweep.commands),
        ("pools", sweep.pools),
    ]
    if scope == "all":
        parts += [
            ("pushes", sweep.pushes),
            ("aliases", sweep.aliases),
            ("dead letters", sweep.dead_letters),
            ("claims", sweep.claims),
            ("weights", sweep.weights),
            ("idle pools", sweep.idle_pools),
        ]
    found: list[str] = []
    failed: dict[str, PointsmanError] = {}
    for name, part in parts:
        try:
            for sentence in part():
                log("swept", severity="WARNING" if name == "weights" else "INFO", part=name, found=sentence)
                found.append(sentence)
        except PointsmanError as error:
            log("sweep-failed", severity="WARNING", part=name, code=error.code, reason=str(error))
            failed[name] = error
    if len(failed) == len(parts):
        raise next(iter(failed.values()))
    return {"scope": scope, "found": found, "failed": {name: str(error) for name, error in failed.items()}}


@dataclass(frozen=True, slots=True)
class _Sweep:
    """Each part yields a sentence for each thing it found and dealt with."""

    ledger: Ledger
    workflows: Workflows
    source: Callable[[], Source]
    registry: Callable[[RegistrySettings], Registry]
    bus: Bus
    inspector: Callable[[], Inspector]
    followed: Followed
    now: datetime
    pause: Callable[[float], object]

    def rollouts(self) -> Iterator[str]:
        """Rollouts that nobody drives: never claimed, or by an execution that is gone."""
        for saved in self.ledger.find(RolloutRecord, {"ended": "no"}, EVERYTHING):
            rollout = saved.record
            # A queued rollout has a lease too: its execution asks again and again.
            since = rollout.lease_until + LEASE_OVER if rollout.lease_until else rollout.started_at + STARTS_WITHIN
            if since < self.now:
                start(self.workflows, [rollout])
                yield f"rollout {rollout.id} ({rollout.state}) had no execution: started"

    def commands(self) -> Iterator[str]:
        """Commands whose ring was lost, and those that came after their rollout's end."""
        waiting: dict[str, list[CommandRecord]] = {}
        for asked in self.ledger.find(CommandRecord, {"taken": "no"}, EVERYTHING):
            if asked.record.at + TAKEN_WITHIN < self.now:
                waiting.setdefault(asked.record.rollout, []).append(asked.record)
        for rollout, commands in waiting.items():
            saved = self.ledger.read(RolloutRecord, rollout)
            if saved is not None and saved.record.ended == "no":
                wake(self.workflows, saved.record)
                yield f"rollout {rollout}: {', '.join(item.verb for item in commands)} not taken yet: rung"
                continue
            for command in commands:
                found = self.ledger.read(CommandRecord, command.key)
                if found is not None:
                    self.ledger.save([Write(replace(found.record, taken="ended"), found)])

    def pools(self) -> Iterator[str]:
        """Pools whose execution went silent."""
        for saved in self.ledger.find(PoolRecord, limit=EVERYTHING):
            record = saved.record
            if record.execution is not None and (record.lease_until or self.now) + LEASE_OVER < self.now:
                self._start_pool("scale-pool", record.name)
                yield f"pool {record.name} had no execution: started"

    def pushes(self) -> Iterator[str]:
        """A head that nobody told of."""
        commit = self._untold()
        if commit is None:
            return
        self.pause(BEHIND_S)
        if self._untold() != commit:
            return
        followed, head = self.followed, self._head()
        ref = f"refs/heads/{followed.branch}"
        data = {
            "repository": followed.repository,
            "repository_id": None,
            "ref": ref,
            "before": head.commit if head else "",
            "after": commit,
            "forced": False,
            "deleted": False,
            "pusher": "sweep",
        }
        identity = f"{followed.repository}@{followed.branch}@{commit}"
        self._ring("repo-pushed", REPO_PUSHED, identity, f"{ref}@{commit}", data)
        yield f"{commit[:12]} was pushed and nobody said so: rung"

    def _head(self) -> HeadRecord | None:
        saved = self.ledger.read(HeadRecord, f"{self.followed.repository}#{self.followed.branch}")
        return saved.record if saved else None

    def _untold(self) -> str | None:
        """The branch's head, where it is neither applied, nor refused, nor being told of."""
        commit = self.source().heads(self.followed.repository).get(self.followed.branch)
        head = self._head()
        known = commit is None or (head is not None and commit in (head.commit, head.refused))
        return None if known or self._on_its_way(f"refs/heads/{self.followed.branch}@{commit}") else commit

    def aliases(self) -> Iterator[str]:
        """Services that follow a registry and should serve another version now."""
        moved, silent = self._moved()
        if moved:
            self.pause(BEHIND_S)
            before, (moved, silent) = moved, self._moved()
            moved = {name: found for name, found in moved.items() if before.get(name) == found}
        for name, (service, version) in moved.items():
            model = service.model
            named = f"{model.name}@{model.alias or model.version}"
            self._ring(
                "model-registered",
                MODEL_REGISTERED,
                f"{model.registry}/{named}@{version.version}",
                named,
                _registered(service, version.version, version.artifact_uri),
            )
            yield f"{named} is version {version.version} and {name} does not know: rung"
        if silent is not None:
            raise silent

    def _moved(self) -> tuple[dict[str, tuple[EffectiveService, ModelVersion]], PointsmanError | None]:
        """Services and the version that each should serve; and what a registry that did not answer raised."""
        standing = standings(self.ledger)
        services = {
            name: service
            for name, service in effective_services(self.ledger).items()
            if service.model.name is not None and (name not in standing or standing[name].saved.record.in_git)
        }
        answers = ask(services, self.registry)
        moved: dict[str, tuple[EffectiveService, ModelVersion]] = {}
        for name, version in answers.versions.items():
            change = change_of(services[name], standing[name].known if name in standing else None, version)
            if change.starts and version is not None:
                moved[name] = services[name], version
        return moved, next(iter(answers.silent.values()), None)

    def dead_letters(self) -> Iterator[str]:
        """Events that failed 20 times get another 20; what fails those too is given up, and said."""
        for topic in TOPICS:
            for event in self.bus.redrive(topic):
                saved = self.ledger.read(EventRecord, event.key)
                reason = saved.record.reason if saved else ""
                if saved is not None and saved.record.state != "done":
                    gave_up = f"given up after {saved.record.deliveries} deliveries: {reason}"
                    self.ledger.save(
                        [Write(replace(saved.record, state="done", result="rejected", reason=gave_up), saved)]
                    )
                notice = Notice(
                    notice="EventDropped",
                    title=f"An event of {topic} was given up",
                    text=f"{event.source} {event.id}: {reason or 'see pointsman events list'}",
                    channels=channels(platform_of(self.ledger), "EventDropped"),
                )
                tell(self.bus, notice, cause=event.key, now=self.now)
                yield f"event {event.id} of {topic} was given up"

    def claims(self) -> Iterator[str]:
        """Claims that no delivery will finish any more. What they were about is looked at by the other parts."""
        for saved in self.ledger.find(EventRecord, {"state": "leased"}, EVERYTHING):
            record = saved.record
            if record.lease_until + GIVEN_UP < self.now:
                reason = f"never finished after {record.attempts} attempts: {record.reason or 'it died'}"
                self.ledger.save([Write(replace(record, state="done", result="rejected", reason=reason), saved)])
                yield f"event {record.id} was claimed and never finished"

    def weights(self) -> Iterator[str]:
        """Services whose route differs from the ledger, as the function that may look at clusters says."""
        for finding in _findings(self.inspector().inspect("rollout_step")):
            workflow, rollout = finding.get("start"), finding.get("rollout")
            if isinstance(workflow, str) and isinstance(rollout, str):
                self.workflows.start(workflow, {"rollout": rollout})
            yield f"{finding.get('service') or rollout}: {finding.get('what')}"

    def idle_pools(self) -> Iterator[str]:
        """Pools whose nodes differ from what is held."""
        for finding in _findings(self.inspector().inspect("pool_step")):
            workflow, pool = finding.get("start"), finding.get("pool")
            if isinstance(workflow, str) and isinstance(pool, str):
                self._start_pool(workflow, pool)
            yield f"pool {pool}: {finding.get('what')}"

    def _start_pool(self, workflow: str, pool: str) -> None:
        self.workflows.start(workflow, {"pool": pool, "callback": None})

    def _on_its_way(self, subject: str) -> bool:
        """Whether a delivery of this very push is being worked on, or retried."""
        recent = self.ledger.find(EventRecord, {"type": REPO_PUSHED, "state": "leased"})
        return any(
            saved.record.subject == subject and saved.record.received_at + ON_ITS_WAY > self.now for saved in recent
        )

    def _ring(self, topic: str, kind: str, identity: str, subject: str, data: Mapping[str, object]) -> None:
        event = Event(identity, SOURCE, kind, self.now, subject, data)
        known = self.ledger.read(EventRecord, event.key)
        if known is not None and known.record.state == "done":
            # Heads and aliases go back and forth: the same bell is rung again for the same content.
            event = replace(event, id=f"{identity}@{int(self.now.timestamp())}")
        self.bus.publish(topic, event)


def _registered(service: EffectiveService, version: str, artifact: str | None) -> dict[str, object]:
    model, registry = service.model, service.registry
    return {
        "model": model.name,
        "version": version,
        "registry": REGISTRIES[registry.type] if registry else None,
        "alias": model.alias,
        "artifact_uri": artifact,
        "image": None,
        "git": None,
    }


def _findings(answer: JSON) -> Sequence[JSON]:
    findings = answer.get("findings")
    return [item for item in findings if isinstance(item, Mapping)] if isinstance(findings, Sequence) else []
