"""A registered model or a moved alias: what follows it is resolved now, and rolled out if it differs."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.handlers.fakes import Crash, World, at
from tests.handlers.plane import CHAT, Plane, service
from tests.handlers.samples import named, sample
from tests.handlers.test_webhook import door_for

from pointsman.core.events import MODEL_REGISTERED, WEBHOOK_IGNORED, Event
from pointsman.core.records import EventRecord, RevisionRecord, ServiceRecord, VersionRecord
from pointsman.errors import Denied, Unavailable
from pointsman.handlers.delivery import LEASE
from pointsman.handlers.envelope import decode

CHAMPION = service("churn", "registry: mlflow, name: churn-scorer, alias: champion", namespace="growth")
VERTEX = service("scorer", "registry: vertex, name: churn-scorer, alias: champion", namespace="growth")
LATEST = service("built", "registry: builds, name: churn-scorer, alias: latest", namespace="growth")
PINNED = service("pinned", 'registry: mlflow, name: churn-scorer, version: "7"', namespace="growth")


def plane_with(*services: str, world: World | None = None) -> Plane:
    """All these services are applied; their models are not registered yet."""
    plane = Plane(world or World())
    plane.commit({f"teams/growth/{number}.yaml": text for number, text in enumerate(services)})
    plane.push()
    return plane


def bell(alias: str | None = "champion", version: str | None = "1", identity: str = "m1", **data: object) -> Event:
    fields = {"model": "churn-scorer", "version": version, "registry": "mlflow", "alias": alias, **data}
    return Event(identity, "//mlflow/host", MODEL_REGISTERED, at(), f"churn-scorer@{alias}", fields)


def test_a_moved_alias_starts_a_rollout_of_who_follows_it() -> None:
    plane = plane_with(CHAMPION)
    plane.registries["mlflow"].register("churn-scorer", "1", "gs://churn/1", "champion")
    assert plane.deliver(bell()) == 200
    (rollout,) = plane.rollouts
    assert plane.started() == [("roll-out", rollout.id)]
    assert (plane.event.result, plane.event.led_to) == ("applied", (rollout.id,))
    kept = plane.ledger.get(RevisionRecord, f"serving/growth/churn/{rollout.to_revision}")
    assert kept.model["uri"] == "gs://churn/1"
    following = plane.ledger.get(ServiceRecord, "serving/growth/churn").following
    assert following is not None
    assert (following["registry"], following["model"], following["alias"]) == ("mlflow", "churn-scorer", "champion")


def test_the_registry_is_believed_and_not_the_event() -> None:
    plane = plane_with(CHAMPION)
    plane.registries["mlflow"].register("churn-scorer", "3", "gs://churn/3", "champion")
    plane.deliver(bell(version="1"))
    kept = plane.ledger.all(RevisionRecord)
    assert [record.model["uri"] for record in kept] == ["gs://churn/3"]


def test_an_alias_that_is_moved_back_and_forth_ends_where_it_is() -> None:
    plane = plane_with(CHAMPION)
    mlflow = plane.registries["mlflow"]
    mlflow.register("churn-scorer", "2", "gs://churn/2")
    mlflow.register("churn-scorer", "1", "gs://churn/1", "champion")
    plane.deliver(bell(identity="m1"))
    plane.promote(plane.rollouts[0])
    mlflow.aliases["churn-scorer", "champion"] = "2"
    mlflow.aliases["churn-scorer", "champion"] = "1"
    plane.deliver(bell(version="1", identity="m3"))
    plane.deliver(bell(version="2", identity="m2"))
    assert len(plane.rollouts) == 1
    assert plane.event.result == "ignored"
    assert "unchanged" in plane.event.reason


@pytest.mark.parametrize("repeats", [1, 3])
def test_however_often_it_comes_it_is_one_rollout(repeats: int) -> None:
    plane = plane_with(CHAMPION)
    plane.registries["mlflow"].register("churn-scorer", "1", "gs://churn/1", "champion")
    for number in range(repeats):
        plane.deliver(bell())
        plane.deliver(bell(identity=f"again-{number}"))
    assert len(plane.started()) == 1


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(bell(model="example_model"), "no service follows example_model@champion", id="nobody-tracks-it"),
        pytest.param(bell(alias="challenger"), "no service follows churn-scorer@challenger", id="another-alias"),
        pytest.param(bell(registry="vertex"), "no service follows churn-scorer@champion", id="another-registry"),
        pytest.param(
            Event("i", "//mlflow/host", WEBHOOK_IGNORED, at(), "", {"kind": "x", "reason": "a tag"}),
            "a tag",
            id="ignored",
        ),
    ],
)
def test_what_concerns_nobody_is_ignored_with_the_reason(event: Event, reason: str) -> None:
    plane = plane_with(CHAMPION)
    assert plane.deliver(event, "model-registered") == 200
    assert (plane.event.result, plane.event.reason) == ("ignored", reason)


@pytest.mark.parametrize(
    "event",
    [
        bell(model=""),
        bell(registry="huggingface"),
        bell(registry=None),
        bell(registry="ci", version=None),
        replace(bell(), data=b"\xff"),
        replace(bell(), data=[]),
        replace(bell(), type="org.example.other"),
    ],
)
def test_a_malformed_event_is_rejected(event: Event) -> None:
    plane = plane_with(CHAMPION)
    assert plane.deliver(event, "model-registered") == 200
    assert plane.event.result == "rejected"
    assert plane.event.reason


def test_before_the_first_commit_nobody_follows_anything() -> None:
    plane = Plane()
    plane.deliver(bell())
    assert (plane.event.result, plane.event.reason) == ("ignored", "no commit has been applied yet")


def test_an_alias_that_was_deleted_changes_nothing_and_is_told() -> None:
    plane = plane_with(CHAMPION)
    mlflow = plane.registries["mlflow"]
    mlflow.register("churn-scorer", "1", "gs://churn/1", "champion")
    plane.deliver(bell())
    plane.promote(plane.rollouts[0])
    del mlflow.aliases["churn-scorer", "champion"]
    plane.deliver(bell(version=None, identity="m2"))
    assert plane.event.result == "ignored"
    assert "growth/churn waiting" in plane.event.reason
    assert plane.notices() == ["EventDropped"]
    assert len(plane.rollouts) == 1


def test_a_version_without_an_artifact_waits_for_one() -> None:
    plane = plane_with(CHAMPION)
    plane.registries["mlflow"].register("churn-scorer", "1", None, "champion")
    plane.deliver(bell())
    assert plane.rollouts == []
    assert plane.notices() == ["EventDropped"]


def test_a_new_version_that_nobody_named_yet_is_told_to_nobody() -> None:
    plane = plane_with(CHAMPION)
    plane.registries["mlflow"].register("churn-scorer", "1", "gs://churn/1")
    plane.deliver(bell(alias=None))
    assert plane.notices() == []
    assert plane.event.result == "ignored"


def test_a_pinned_version_is_served_as_soon_as_it_is_there() -> None:
    plane = plane_with(PINNED)
    plane.registries["mlflow"].register("churn-scorer", "7", "gs://churn/7")
    plane.deliver(bell(alias=None, version="6", identity="m6"))
    assert plane.rollouts == []
    plane.deliver(bell(alias=None, version="7", identity="m7"))
    assert len(plane.rollouts) == 1


def test_a_silent_registry_brings_the_event_back_and_holds_nobody_else() -> None:
    plane = plane_with(
        CHAMPION, service("other", "registry: mlflow, name: churn-scorer, alias: champion", namespace="growth")
    )
    plane.registries["mlflow"].register("churn-scorer", "1", "gs://churn/1", "champion")
    plane.world.failing["registry.resolve"] = [Unavailable("no answer")]
    assert plane.deliver(bell()) == 503
    assert len(plane.rollouts) == 1
    assert plane.deliver(bell()) == 200
    assert len(plane.rollouts) == 2
    assert plane.event.result == "applied"
    assert set(plane.event.led_to) == {rollout.id for rollout in plane.rollouts}


def test_a_registry_that_refuses_us_is_recorded_and_not_asked_for_ever() -> None:
    plane = plane_with(CHAMPION)
    plane.world.failing["registry.resolve"] = [Denied("the registry answered 403")]
    assert plane.deliver(bell()) == 200
    assert (plane.event.result, plane.event.reason) == ("rejected", "the registry answered 403")


def test_an_orphaned_service_follows_nothing_any_more() -> None:
    plane = plane_with(CHAMPION)
    plane.registries["mlflow"].register("churn-scorer", "1", "gs://churn/1", "champion")
    plane.deliver(bell())
    plane.promote(plane.rollouts[0])
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    plane.registries["mlflow"].register("churn-scorer", "2", "gs://churn/2", "champion")
    plane.deliver(bell(version="2", identity="m2"))
    assert plane.event.reason == "no service follows churn-scorer@champion"


# --- a CI's announcement -----------------------------------------------------------------------------------------


def announced(version: str, seconds: float, identity: str | None = None) -> Event:
    data = {"model": "churn-scorer", "version": version, "registry": "ci", "artifact_uri": f"gs://churn/{version}"}
    return Event(identity or f"churn/{version}", "//ci/run", MODEL_REGISTERED, at(seconds), "", data)


def test_an_announced_version_is_kept_and_is_the_latest_by_its_own_time() -> None:
    plane = plane_with(LATEST)
    plane.deliver(announced("7", 20))
    plane.deliver(announced("6", 10))
    versions = {record.version: record for record in plane.ledger.all(VersionRecord)}
    assert set(versions) == {"6", "7"}
    assert versions["7"].registry == "builds"
    assert [record.model["uri"] for record in plane.ledger.all(RevisionRecord)] == ["gs://churn/7"]


def test_a_version_that_is_announced_again_is_the_latest_again() -> None:
    plane = plane_with(LATEST)
    plane.deliver(announced("6", 10))
    plane.deliver(announced("7", 20))
    plane.deliver(announced("6", 30, "churn/6 once more"))
    plane.deliver(announced("7", 15, "churn/7 told late"))
    newest = max(plane.ledger.all(VersionRecord), key=lambda record: record.announced_at)
    assert (newest.version, newest.announced_at) == ("6", at(30))


def test_the_image_of_an_announcement_gives_its_digest() -> None:
    plane = plane_with(LATEST)
    given = sample("ci-model-registered-structured")
    plane.deliver(decode(given.headers, given.body))
    (record,) = plane.ledger.all(VersionRecord)
    assert record.digest == "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    assert record.git == {"repository": "acme-ml/churn-training", "sha": "1197955e4244c18bdb9b375076bcb6ca05414672"}


# --- every sample ------------------------------------------------------------------------------------------------

# Sample -> result, the start of the reason. Every service follows churn-scorer, whose registries name a version.
OUTCOMES = {
    "ci-model-registered-pubsub-binding-cloudevent": ("applied", "growth/built roll out"),
    "ci-model-registered-structured": ("applied", "growth/built roll out"),
    "mlflow-model-version-alias-created": ("applied", "growth/churn roll out"),
    "mlflow-model-version-alias-created-moved": ("applied", "growth/churn roll out"),
    "mlflow-model-version-alias-deleted": ("applied", "growth/churn roll out"),  # the registry still names one
    "mlflow-model-version-created": ("applied", "growth/churn roll out"),
    "mlflow-model-version-created-no-run": ("applied", "growth/churn roll out"),
    "mlflow-model-version-tag-deleted": ("ignored", "model_version_tag.deleted changes no version"),
    "mlflow-model-version-tag-set": ("ignored", "model_version_tag.set changes no version"),
    "mlflow-registered-model-created": ("ignored", "registered_model.created changes no version"),
    "mlflow-test-webhook": ("ignored", "no service follows example_model"),
    "vertex-merge-version-aliases": ("applied", "growth/scorer roll out"),
    "vertex-upload-model-failed": ("ignored", "UploadModel failed: Model artifact gs://acme-models/churn-scorer/8"),
    "vertex-upload-model-first": ("ignored", "UploadModel has begun; its end counts"),
    "vertex-upload-model-last": ("applied", "growth/scorer roll out"),
}


@pytest.mark.parametrize("name", named("ci", "mlflow", "vertex"))
def test_every_model_event_of_the_samples_ends_as_it_should(name: str) -> None:
    plane = plane_with(CHAMPION, VERTEX, LATEST)
    for registry in ("mlflow", "vertex"):
        plane.registries[registry].register("churn-scorer", "7", f"gs://{registry}/7", "champion")
    given = sample(name)
    if name.startswith("mlflow"):
        door = door_for(name)
        assert door.send(given) == 202
        ((_, event),) = door.bus.published
    else:
        event = decode(given.headers, given.body)
    for _ in range(3):
        assert plane.deliver(event, "model-registered") == 200
    result, reason = OUTCOMES[name]
    assert plane.event.result == result
    assert plane.event.reason.startswith(reason)
    assert len(plane.started()) == (1 if result == "applied" else 0)


VERTEX_METHODS = [
    f"google.cloud.aiplatform.{api}.ModelService.{method}"
    for api in ("v1", "v1beta1", "ui")
    for method in ("UploadModel", "CopyModel", "MergeVersionAliases")
]


@pytest.mark.parametrize("method", VERTEX_METHODS)
def test_the_console_and_every_api_version_ring_alike(method: str) -> None:
    plane = plane_with(VERTEX)
    plane.registries["vertex"].register("churn-scorer", "7", "gs://vertex/7", "champion")
    entry = {
        "protoPayload": {
            "methodName": method,
            "resourceName": "projects/1/locations/us-central1/models/churn-scorer@7",
            "status": {},
        },
        "operation": {"id": "o", "last": True},
    }
    plane.deliver(Event(method, "//cloudaudit", "google.cloud.audit.log.v1.written", at(), "", entry))
    assert plane.event.result == "applied"


@pytest.mark.parametrize(
    ("changed", "result"),
    [
        pytest.param(
            {"methodName": "google.cloud.aiplatform.v1.ModelService.DeleteModel"}, "ignored", id="another-method"
        ),
        pytest.param(
            {"methodName": "google.cloud.aiplatform.v2.ModelService.UploadModel"}, "ignored", id="another-api"
        ),
        pytest.param({"resourceName": "projects/1/locations/us-central1"}, "rejected", id="names-no-model"),
    ],
)
def test_other_entries_of_the_audit_log_change_nothing(changed: dict[str, str], result: str) -> None:
    plane = plane_with(VERTEX)
    payload = {"methodName": VERTEX_METHODS[0], "resourceName": "projects/1/locations/l/models/churn-scorer", **changed}
    plane.deliver(Event("e", "//cloudaudit", "google.cloud.audit.log.v1.written", at(), "", {"protoPayload": payload}))
    assert plane.event.result == result
    assert plane.started() == []


def test_a_crash_between_any_two_calls_converges_on_redelivery() -> None:
    def prepared() -> Plane:
        plane = plane_with(CHAMPION, PINNED, LATEST)
        plane.registries["mlflow"].register("churn-scorer", "7", "gs://churn/7", "champion")
        return plane

    for event in (bell(alias=None, version="7"), announced("7", 20)):
        clean = prepared()
        before = len(clean.world.calls)
        clean.deliver(event)
        calls = len(clean.world.calls) - before
        for crash_after in range(calls + 1):
            plane = prepared()
            plane.world.calls.clear()
            plane.world.crash_after = crash_after
            try:
                plane.deliver(event)
            except Crash:
                assert crash_after <= calls
            plane.world.restart()
            plane.now += LEASE + timedelta(seconds=1)
            assert plane.deliver(event) == 200
            record = plane.ledger.get(EventRecord, event.key)
            assert (record.state, record.result) == ("done", "applied"), f"after call {crash_after}"
            assert {rollout.id for rollout in plane.rollouts} == {rollout.id for rollout in clean.rollouts}
            assert {run for _, run in plane.started()} == {rollout.id for rollout in plane.rollouts}
            assert set(record.led_to) == {rollout.id for rollout in plane.rollouts}
            versions = [record.version for record in plane.ledger.all(VersionRecord)]
            assert versions == [record.version for record in clean.ledger.all(VersionRecord)]
