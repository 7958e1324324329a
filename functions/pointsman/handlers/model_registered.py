"""A model version was registered or an alias moved: whoever follows it is resolved anew, and rolled out if it differs.

The event says what happened, the registry what is true now: aliases are moved back and forth, and deliveries
overtake one another. Only a CI's announcement is itself the truth, and kept (`VersionRecord`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, cast

from pointsman.core.changes import Change, change_of
from pointsman.core.events import MODEL_REGISTERED, WEBHOOK_IGNORED, Event
from pointsman.core.notices import Notice
from pointsman.core.records import EventRecord, ServiceRecord, VersionRecord
from pointsman.documents.effective import EffectiveService
from pointsman.documents.platform import Platform, RegistrySettings
from pointsman.errors import Conflict, Invalid
from pointsman.handlers.delivery import Outcome
from pointsman.handlers.following import ask
from pointsman.handlers.standing import effective_services, head_commit, platform_of, standings
from pointsman.handlers.starting import Opening, claim_of, intent, opening, start, unstarted
from pointsman.handlers.telling import channels, tell
from pointsman.ports import Bus, Ledger, Registry, Saved, Workflows, Write

__all__ = ["handle"]

TRIES = 3
SWEEP = "//pointsman/sweep"
AUDIT_LOG = "google.cloud.audit.log.v1.written"
METHODS = ("UploadModel", "CopyModel", "MergeVersionAliases")
NAMESPACES = ("google.cloud.aiplatform.v1", "google.cloud.aiplatform.v1beta1", "google.cloud.aiplatform.ui")
TYPES: Mapping[str, Literal["MLflow", "VertexAI", "Announced"]] = {
    "mlflow": "MLflow",
    "vertex": "VertexAI",
    "ci": "Announced",
}
DROPPED = "EventDropped "


@dataclass(frozen=True, slots=True)
class _Bell:
    """Which model it is, in what type of registry; `alias` where one alias was moved or deleted."""

    model: str
    type: Literal["MLflow", "VertexAI", "Announced"]
    alias: str | None = None
    version: str | None = None
    announced: VersionRecord | None = None


def handle(
    event: Event,
    *,
    ledger: Ledger,
    workflows: Workflows,
    registry: Callable[[RegistrySettings], Registry],
    bus: Bus,
    now: datetime,
) -> Outcome:
    """Start a rollout for every service that follows the model and should serve another version now.

    Safe to repeat and to reorder. Raises Invalid for a malformed event, Unavailable while the registry is silent.
    """
    if event.type == WEBHOOK_IGNORED:
        return Outcome("ignored", str(event.fields().get("reason") or "no event of ours"))
    bell = _bell_of(event)
    if isinstance(bell, str):
        return Outcome("ignored", bell)
    registered = _Registered(event, bell, ledger, workflows, registry, bus, now)
    for _ in range(TRIES - 1):
        try:
            return registered.apply()
        except Conflict:
            continue
    return registered.apply()


@dataclass(frozen=True, slots=True)
class _Registered:
    """One attempt, with all it needs."""

    event: Event
    bell: _Bell
    ledger: Ledger
    workflows: Workflows
    registry: Callable[[RegistrySettings], Registry]
    bus: Bus
    now: datetime

    def apply(self) -> Outcome:
        ledger, bell = self.ledger, self.bell
        claim = claim_of(ledger, self.event)
        start(self.workflows, unstarted(ledger, claim))
        platform = platform_of(ledger)
        if platform is None:
            return Outcome("ignored", "no commit has been applied yet")
        self._keep(platform)
        standing = standings(ledger)
        following = {
            name: service
            for name, service in effective_services(ledger).items()
            if self._follows(service) and (name not in standing or standing[name].saved.record.in_git)
        }
        if not following:
            return Outcome("ignored", f"no service follows {bell.model}" + (f"@{bell.alias}" if bell.alias else ""))
        answers = ask(following, self.registry)
        decided = [
            change_of(service, standing[name].known if name in standing else None, answers.versions[name])
            for name, service in following.items()
            if name in answers.versions
        ]
        openings, refused = self._openings(decided, following, {name: item.saved for name, item in standing.items()})
        # A version that nobody has named yet is no reason to tell anybody; an alias that is gone is.
        concerned = self.bell.alias is not None or self.bell.announced is not None
        nameless = [f"{change.namespace}/{change.name}" for change in decided if change.kind == "waiting" and concerned]
        led_to = [*(item.rollout.id for item in openings), *(f"{DROPPED}{name}" for name in nameless)]
        writes = [*(write for item in openings for write in item.writes), *intent(claim, led_to)]
        if writes:
            ledger.save(writes)
        start(self.workflows, [item.rollout for item in openings])
        for name in nameless:
            self._tell(platform, name)
        if answers.silent:
            # What was decided is saved; the services of a silent registry are why the event must come again.
            raise next(iter(answers.silent.values()))
        return self._outcome(claim, decided, openings, refused, led_to)

    def _keep(self, platform: Platform) -> None:
        """A CI's announcement is kept for every registry that announcements make up."""
        announced = self.bell.announced
        if announced is None:
            return
        for settings in platform.spec.registries:
            record = replace(announced, registry=settings.name)
            found = self.ledger.read(VersionRecord, record.key) if settings.type == "Announced" else None
            # Announced again, a version is the latest again; an announcement that comes late is not.
            known = found is not None and found.record.announced_at >= record.announced_at
            if settings.type == "Announced" and not known:
                self.ledger.save([Write(record, found)])

    def _follows(self, service: EffectiveService) -> bool:
        model, bell = service.model, self.bell
        if model.name != bell.model or service.registry is None or service.registry.type != bell.type:
            return False
        if model.version is not None:
            # A pinned version does not move, but may have been missing until now.
            return bell.version in (None, model.version)
        return bell.alias in (None, model.alias)

    def _openings(
        self,
        decided: list[Change],
        following: Mapping[str, EffectiveService],
        saved: Mapping[str, Saved[ServiceRecord]],
    ) -> tuple[list[Opening], dict[str, str]]:
        openings: list[Opening] = []
        refused: dict[str, str] = {}
        commit = head_commit(self.ledger)
        for change in decided:
            name = f"{change.namespace}/{change.name}"
            if not change.starts:
                continue
            try:
                item = opening(
                    self.ledger,
                    change,
                    following[name],
                    saved.get(name),
                    cause=self.event.key,
                    commit=commit,
                    now=self.now,
                )
            except Invalid as error:
                refused[name] = str(error)
            else:
                openings.append(item)
        return openings, refused

    def _tell(self, platform: Platform, service: str) -> None:
        bell = self.bell
        named = f"{bell.model}@{bell.alias}" if bell.alias else bell.model
        notice = Notice(
            notice="EventDropped",
            title=f"{service}: {named} names no version with an artifact",
            text="What serves goes on serving. It is tried again as soon as the registry names one.",
            channels=channels(platform, "EventDropped", namespace=service.partition("/")[0]),
            service=service,
        )
        tell(self.bus, notice, cause=f"{self.event.key}/{service}", now=self.now)

    def _outcome(
        self,
        claim: Saved[EventRecord] | None,
        decided: list[Change],
        openings: list[Opening],
        refused: Mapping[str, str],
        led_to: list[str],
    ) -> Outcome:
        said = [f"{change.namespace}/{change.name} {change.kind.replace('_', ' ')}, {change.why}" for change in decided]
        said += [f"{name} refused, {why}" for name, why in refused.items()]
        begun = tuple(item for item in (claim.record.led_to if claim else ()) if not item.startswith(DROPPED))
        result: Literal["applied", "ignored"] = "applied" if openings or begun else "ignored"
        return Outcome(result, "; ".join(said), (*begun, *led_to))


def _bell_of(event: Event) -> _Bell | str:
    """The model that the event is about, or why it changes nothing. Raises Invalid for a malformed event."""
    if event.type == AUDIT_LOG:
        return _audited(event.fields())
    if event.type != MODEL_REGISTERED:
        raise Invalid(f"{event.type} is no model's")
    data = event.fields()
    model, registry = data.get("model"), data.get("registry")
    if not isinstance(model, str) or not model or not isinstance(registry, str) or registry not in TYPES:
        raise Invalid("the event names no model, or none of the registries mlflow, vertex and ci")
    alias, version = data.get("alias"), data.get("version")
    bell = _Bell(model, TYPES[registry], str(alias) if alias else None, str(version) if version else None)
    # The sweep rings for what was announced before: that is no new announcement.
    told = registry == "ci" and event.source != SWEEP
    return replace(bell, announced=_announced(event, bell, data)) if told else bell


def _announced(event: Event, bell: _Bell, data: Mapping[str, object]) -> VersionRecord:
    if bell.version is None:
        raise Invalid("the announcement names no version")
    image, git, artifact = data.get("image"), data.get("git"), data.get("artifact_uri")
    return VersionRecord(
        registry="",
        model=bell.model,
        version=bell.version,
        artifact_uri=artifact if isinstance(artifact, str) else None,
        announced_at=event.time,
        image=image if isinstance(image, str) else None,
        digest=image.partition("@")[2] or None if isinstance(image, str) else None,
        git=cast("Mapping[str, object]", git) if isinstance(git, Mapping) else None,
    )


def _audited(entry: Mapping[str, object]) -> _Bell | str:
    """Vertex AI's audit log. An upload is two entries, of which the last without an error counts."""
    payload = _mapping(entry.get("protoPayload"))
    method = str(payload.get("methodName") or "")
    service, _, verb = method.rpartition(".ModelService.")
    if service not in NAMESPACES or verb not in METHODS:
        return f"{method or 'the entry'} registers no model and moves no alias"
    operation = entry.get("operation")
    if isinstance(operation, Mapping) and operation.get("last") is not True:
        return f"{verb} has begun; its end counts"
    status = _mapping(payload.get("status"))
    if status.get("code"):
        return f"{verb} failed: {status.get('message') or status.get('code')}"
    response = _mapping(payload.get("response"))
    names = (response.get("model"), response.get("name"), payload.get("resourceName"), _mapping(operation).get("id"))
    model = next((found for name in names if (found := _model_id(name))), None)
    if model is None:
        raise Invalid(f"the entry of {verb} names no model")
    return _Bell(model, "VertexAI")


def _model_id(name: object) -> str | None:
    """`ID` of `projects/N/locations/L/models/ID`, with `@version` or more after it or not."""
    parts = str(name or "").split("/")
    if "models" not in parts[:-1]:
        return None
    return parts[parts.index("models") + 1].partition("@")[0] or None


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
