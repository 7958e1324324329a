"""The public door: what is let in, what is published of it, and what strangers see (nothing)."""

import base64
import hmac
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from tests.handlers.fakes import FakeBus, World
from tests.handlers.samples import HOOKS, Sample, sample
from tests.handlers.test_delivery import Lines

from pointsman.core.events import ALERT_FIRED, MODEL_REGISTERED, REPO_PUSHED, WEBHOOK_IGNORED
from pointsman.errors import Denied, Invalid, Unavailable
from pointsman.handlers.webhook import BODY_BYTES_MAX, receive

SENT = datetime(2026, 11, 20, 10, 0, 2, tzinfo=UTC)
CAPTURED = datetime.fromtimestamp(1795308493, UTC)
SIGNED = datetime.fromtimestamp(1795168503, UTC)
SECRETS = {
    "github": ["It's a Secret to Everybody"],
    "gitlab": ["pointsman-gitlab-token"],
    "mlflow": ["pointsman-test-secret"],
    "alertmanager": ["pointsman-am-token"],
    "grafana": ["pointsman-grafana-secret"],
}
SIGNING = {"gitlab": ["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]}
GITHUB = "//github.com/acme-ml/model-config"
GITLAB = "//gitlab.example/acme-ml/model-config"
MLFLOW = "//mlflow/"

# Sample -> type, source, id, what its data holds at least.
EXPECTED: Mapping[str, tuple[str, str, str, Mapping[str, object]]] = {
    "alertmanager-firing": (
        ALERT_FIRED,
        "//alertmanager/pointsman",
        "9a1f4c2b7d3e5a60/2026-11-20T10:00:00Z/firing",
        {"policy": "ChurnP99High", "state": "open", "severity": "page", "summary": "p99 0.91s > 0.5s"},
    ),
    "alertmanager-resolved": (
        ALERT_FIRED,
        "//alertmanager/pointsman",
        "9a1f4c2b7d3e5a60/2026-11-20T10:00:00Z/resolved",
        {"state": "closed", "started_at": "2026-11-20T10:00:00Z"},
    ),
    "github-ping": (WEBHOOK_IGNORED, GITHUB, "7a0c0008-c5d1-11f0-8f6a-3b1e5a2d7c01", {"kind": "ping"}),
    "github-push-create-branch-zero-commits": (
        REPO_PUSHED,
        GITHUB,
        "7a0c0003-c5d1-11f0-8f6a-3b1e5a2d7c01",
        {"before": "0" * 40, "deleted": False},
    ),
    "github-push-delete-branch": (
        REPO_PUSHED,
        GITHUB,
        "7a0c0004-c5d1-11f0-8f6a-3b1e5a2d7c01",
        {"after": "0" * 40, "deleted": True},
    ),
    "github-push-docs-only": (REPO_PUSHED, GITHUB, "7a0c0007-c5d1-11f0-8f6a-3b1e5a2d7c01", {"forced": False}),
    "github-push-forced": (REPO_PUSHED, GITHUB, "7a0c0005-c5d1-11f0-8f6a-3b1e5a2d7c01", {"forced": True}),
    "github-push-forced-rewind-zero-commits": (
        REPO_PUSHED,
        GITHUB,
        "7a0c0006-c5d1-11f0-8f6a-3b1e5a2d7c01",
        {"forced": True},
    ),
    "github-push-form.body": (
        REPO_PUSHED,
        GITHUB,
        "7a0c0009-c5d1-11f0-8f6a-3b1e5a2d7c01",
        {"after": "2f22765d04931a078909145ca628d2264c852d7d"},
    ),
    "github-push-tag": (WEBHOOK_IGNORED, GITHUB, "7a0c0002-c5d1-11f0-8f6a-3b1e5a2d7c01", {"kind": "tag_push"}),
    "github-push-update": (
        REPO_PUSHED,
        GITHUB,
        "7a0c0001-c5d1-11f0-8f6a-3b1e5a2d7c01",
        {
            "repository": "https://github.com/acme-ml/model-config.git",
            "repository_id": 700100200,
            "ref": "refs/heads/main",
            "before": "859d455b8ebd64a26ac0b5eb7278e93d30fb10ac",
            "after": "2f22765d04931a078909145ca628d2264c852d7d",
            "forced": False,
            "deleted": False,
            "pusher": "acme-bot",
        },
    ),
    "github-push-update-redelivery": (REPO_PUSHED, GITHUB, "7a0c0001-c5d1-11f0-8f6a-3b1e5a2d7c01", {}),
    "github-vector.body": (
        WEBHOOK_IGNORED,
        "//github.com",
        "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f",
        {"kind": "unreadable", "reason": "the body is not JSON"},
    ),
    "gitlab-push": (
        REPO_PUSHED,
        GITLAB,
        "f5e57fe0-6d3c-4f0a-9b5c-000000000001",
        {
            "repository": "https://gitlab.example/acme-ml/model-config.git",
            "repository_id": 4242,
            "ref": "refs/heads/main",
            "pusher": "ada-ops",
        },
    ),
    "gitlab-push-delete-branch": (REPO_PUSHED, GITLAB, "f5e57fe0-6d3c-4f0a-9b5c-000000000004", {"deleted": True}),
    "gitlab-push-signed": (REPO_PUSHED, GITLAB, "f5e57fe0-6d3c-4f0a-9b5c-000000000002", {"deleted": False}),
    "gitlab-push-truncated": (REPO_PUSHED, GITLAB, "f5e57fe0-6d3c-4f0a-9b5c-000000000005", {}),
    "gitlab-tag-push": (WEBHOOK_IGNORED, GITLAB, "f5e57fe0-6d3c-4f0a-9b5c-000000000003", {"kind": "tag_push"}),
    "grafana-firing": (
        ALERT_FIRED,
        "//grafana/pointsman",
        "c6eadffa33fcdf37/2026-11-20T10:00:00Z/firing",
        {"policy": "Churn 5xx", "severity": "", "summary": "5xx ratio 8%"},
    ),
    "mlflow-model-version-alias-created": (
        MODEL_REGISTERED,
        MLFLOW,
        "53fc53d9-66c8-4862-bcc8-674891cc2ef5",
        {"model": "churn-scorer", "alias": "champion", "version": "1", "registry": "mlflow", "artifact_uri": None},
    ),
    "mlflow-model-version-alias-created-moved": (
        MODEL_REGISTERED,
        MLFLOW,
        "8e4a6c5b-869a-406a-9706-8a5078b6abb6",
        {"alias": "champion", "version": "2"},
    ),
    "mlflow-model-version-alias-deleted": (
        MODEL_REGISTERED,
        MLFLOW,
        "0fbb8c7f-5beb-41d9-b5c5-f53f280ce6e7",
        {"alias": "champion", "version": None},
    ),
    "mlflow-model-version-created": (
        MODEL_REGISTERED,
        MLFLOW,
        "cc43864e-f6c6-476d-a15f-03fa581f7aad",
        {
            "version": "1",
            "alias": None,
            "artifact_uri": "mlflow-artifacts:/0/dfa72a6243a043c7ab4d4c1265f6d9a3/artifacts/model",
        },
    ),
    "mlflow-model-version-created-no-run": (
        MODEL_REGISTERED,
        MLFLOW,
        "f4144010-b099-406b-bae9-a0fe3b457c03",
        {"version": "2", "artifact_uri": "gs://acme-models/churn-scorer/2"},
    ),
    "mlflow-model-version-tag-deleted": (
        WEBHOOK_IGNORED,
        MLFLOW,
        "783d883a-f4cb-41a1-b71f-20bee7adc85f",
        {"kind": "model_version_tag.deleted"},
    ),
    "mlflow-model-version-tag-set": (
        WEBHOOK_IGNORED,
        MLFLOW,
        "88ea6aac-b4a1-4d63-8ad4-bf7af5ab4443",
        {"kind": "model_version_tag.set"},
    ),
    "mlflow-registered-model-created": (
        WEBHOOK_IGNORED,
        MLFLOW,
        "68657b9f-f4e0-441b-a52a-e4a24dc1da3e",
        {"kind": "registered_model.created"},
    ),
    "mlflow-test-webhook": (
        MODEL_REGISTERED,
        MLFLOW,
        "30706714-e29a-4609-829a-922de6591c91",
        {"model": "example_model", "artifact_uri": "models:/123"},
    ),
}
TOPICS = {
    "github": "repo-pushed",
    "gitlab": "repo-pushed",
    "mlflow": "model-registered",
    "alertmanager": "alert-fired",
    "grafana": "alert-fired",
}


@dataclass
class Door:
    """The receiver with its surroundings."""

    secrets: Mapping[str, list[str]] = field(default_factory=lambda: SECRETS)
    now: datetime = SENT
    world: World = field(default_factory=World)
    read: int = 0
    connected: int = 0

    def __post_init__(self) -> None:
        self.bus, self.log = FakeBus(self.world), Lines()

    def post(self, path: str, headers: Mapping[str, str], body: bytes, method: str = "POST") -> int:
        stream = io.BytesIO(body)

        def read(limit: int) -> bytes:
            self.read += 1
            return stream.read(min(limit, 1_000_000))

        def bus() -> FakeBus:
            self.connected += 1
            return self.bus

        text, status, _ = receive(
            method, path, headers, read, secrets=lambda: self.secrets, bus=bus, now=self.now, log=self.log
        )
        assert text == ""
        return status

    def send(self, given: Sample, **changed: Any) -> int:
        headers = {**given.headers, **changed.get("headers", {})}
        return self.post(given.path, headers, changed.get("body", given.body))


def door_for(name: str) -> Door:
    if name == "gitlab-push-signed":
        return Door(secrets=SIGNING, now=SIGNED)
    return Door(now=CAPTURED if name.startswith("mlflow") else SENT)


@pytest.mark.parametrize("name", HOOKS)
def test_every_sample_is_published_as_a_few_fields(name: str) -> None:
    door = door_for(name)
    assert door.send(sample(name)) == 202
    ((topic, event),) = door.bus.published
    expected_type, source, identity, data = EXPECTED[name]
    assert topic == TOPICS[name.split("-")[0]]
    assert (event.type, event.source, event.id) == (expected_type, source, identity)
    assert data.items() <= event.fields().items()
    assert len(json.dumps(event.data)) < 4096
    assert event.time.tzinfo is not None


# A bearer or secret token covers no body.
SIGNING_SAMPLES = [
    name for name in HOOKS if not name.startswith(("alertmanager", "gitlab")) or name == "gitlab-push-signed"
]


@pytest.mark.parametrize("name", SIGNING_SAMPLES)
def test_another_body_is_refused_and_nothing_is_published(name: str) -> None:
    door, given = door_for(name), sample(name)
    assert door.send(given, body=given.body + b" ") == 401
    assert door.bus.published == []
    assert door.connected == 0, "a stranger costs no client"


@pytest.mark.parametrize("name", HOOKS)
def test_without_its_proof_a_call_is_refused(name: str) -> None:
    door, given = door_for(name), sample(name)
    proofs = ("x-hub-signature-256", "x-gitlab-token", "webhook-signature", "x-mlflow-signature", "authorization")
    bare = {
        key: value
        for key, value in given.headers.items()
        if key.lower() not in (*proofs, "x-grafana-alerting-signature")
    }
    assert door.post(given.path, bare, given.body) == 401
    assert door.bus.published == []


@pytest.mark.parametrize("name", HOOKS)
def test_without_a_configured_secret_nobody_is_let_in(name: str) -> None:
    given = sample(name)
    nobody: list[dict[str, list[str]]] = [{}, {name.split("-")[0]: []}, {name.split("-")[0]: [""]}]
    for secrets in nobody:
        door = Door(secrets=secrets, now=door_for(name).now)
        assert door.send(given) == 401


@pytest.mark.parametrize("name", HOOKS)
def test_either_of_two_secrets_verifies_during_a_rotation(name: str) -> None:
    before = door_for(name)
    sender = name.split("-")[0]
    (secret,) = before.secrets[sender]
    other = "whsec_" + base64.b64encode(b"other").decode() if secret.startswith("whsec_") else "other"
    for pair in ([other, secret], [secret, other]):
        assert Door(secrets={sender: pair}, now=before.now).send(sample(name)) == 202


@pytest.mark.parametrize(
    ("name", "window_s"), [("gitlab-push-signed", 300), ("mlflow-model-version-created", 600), ("grafana-firing", 300)]
)
def test_outside_its_window_a_signed_call_is_a_replay(name: str, window_s: int) -> None:
    given = sample(name)
    stamps = ("webhook-timestamp", "x-mlflow-timestamp", "x-grafana-alerting-signature-timestamp")
    stamp = next(int(value) for key, value in given.headers.items() if key.lower() in stamps)
    for seconds, status in ((window_s, 202), (window_s + 1, 401), (-window_s, 202), (-window_s - 1, 401)):
        door = door_for(name)
        door.now = datetime.fromtimestamp(stamp, UTC) + timedelta(seconds=seconds)
        assert door.send(given) == status, seconds


def test_a_signing_token_ends_the_plain_one() -> None:
    door = Door(secrets={"gitlab": [*SIGNING["gitlab"], "pointsman-gitlab-token"]})
    assert door.send(sample("gitlab-push")) == 401, "its plain token is right, but it is not signed"


def test_a_signature_of_gitlab_may_stand_among_others() -> None:
    door, given = door_for("gitlab-push-signed"), sample("gitlab-push-signed")
    right = given.headers["webhook-signature"]
    assert door.send(given, headers={"webhook-signature": f"v1,AAAA v2,xyz {right}"}) == 202


def test_a_signed_delivery_of_gitlab_is_known_by_the_id_that_is_signed() -> None:
    door, given = door_for("gitlab-push-signed"), sample("gitlab-push-signed")
    assert door.send(given, headers={"Idempotency-Key": "forged"}) == 202
    assert door.bus.published[0][1].id == given.headers["webhook-id"]


def test_sha_1_does_not_let_anybody_in() -> None:
    given = sample("github-push-update")
    headers = {key: value for key, value in given.headers.items() if key != "X-Hub-Signature-256"}
    assert "X-Hub-Signature" in headers
    assert Door().post(given.path, headers, given.body) == 401


def test_headers_are_known_in_any_case() -> None:
    given = sample("github-push-update")
    assert Door().post(given.path, {key.upper(): value for key, value in given.headers.items()}, given.body) == 202


def test_a_header_that_is_not_ascii_is_refused_not_a_crash() -> None:
    assert Door().send(sample("github-push-update"), headers={"X-Hub-Signature-256": "sha256=é"}) == 401
    assert Door(now=CAPTURED).send(sample("mlflow-test-webhook"), headers={"X-MLflow-Timestamp": "١٢٣"}) == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 404),
        ("POST", "/webhooks", 404),
        ("POST", "/webhooks/bitbucket", 404),
        ("POST", "/webhooks/github/", 404),
        ("GET", "/webhooks/other", 404),
        ("GET", "/webhooks/github", 405),
        ("PUT", "/webhooks/github", 405),
    ],
)
def test_other_paths_and_methods_are_closed(method: str, path: str, status: int) -> None:
    door = Door()
    assert door.post(path, {}, b"{}", method) == status
    assert door.read == 0


def test_a_body_over_25_mb_is_refused_unread() -> None:
    door = Door()
    assert door.post("/webhooks/github", {"Content-Length": str(BODY_BYTES_MAX + 1)}, b"") == 413
    assert door.read == 0


def test_a_body_that_does_not_say_its_length_is_read_up_to_the_limit() -> None:
    door = Door()
    assert door.post("/webhooks/github", {}, b" " * (BODY_BYTES_MAX + 2)) == 413
    assert door.bus.published == []


@pytest.mark.parametrize("error", [Unavailable("no answer"), Denied("no permission to publish")])
def test_when_publishing_fails_the_sender_is_told_to_come_again(error: Exception) -> None:
    door = Door(world=World(failing={"bus.publish": [error]}))
    assert door.send(sample("github-push-update")) == 503
    assert door.send(sample("github-push-update")) == 202


def test_secrets_that_cannot_be_read_are_our_trouble_and_told_to_nobody() -> None:
    def unreadable() -> Mapping[str, list[str]]:
        raise Invalid("the webhooks' secrets cannot be read")

    given = sample("github-push-update")
    stream = io.BytesIO(given.body)
    answer = receive(
        "POST", given.path, given.headers, stream.read, secrets=unreadable, bus=FakeBus, now=SENT, log=Lines()
    )
    assert answer[:2] == ("", 503)


def signed(body: bytes, event: str = "push", **headers: str) -> dict[str, str]:
    signature = hmac.new(SECRETS["github"][0].encode(), body, sha256).hexdigest()
    return {"X-GitHub-Event": event, "X-GitHub-Delivery": "d", "X-Hub-Signature-256": f"sha256={signature}", **headers}


@pytest.mark.parametrize(
    ("body", "event", "kind"),
    [
        pytest.param(b"", "push", "unreadable", id="empty"),
        pytest.param(b"[" * 100_000, "push", "unreadable", id="deep"),
        pytest.param(b"[]", "push", "unreadable", id="a-list"),
        pytest.param(b'{"ref": 7}', "push", "unreadable", id="ref-is-a-number"),
        pytest.param(b'{"ref": "refs/heads/main", "after": "a"}', "push", "unreadable", id="no-repository"),
        pytest.param(b'{"action": "opened"}', "issues", "issues", id="another-event"),
        pytest.param(
            json.dumps(
                {
                    "ref": "refs/heads/" + "x" * 5000,
                    "before": "b",
                    "after": "a",
                    "repository": {"full_name": "a/b", "clone_url": "u"},
                }
            ).encode(),
            "push",
            "too_large",
            id="fields-too-large",
        ),
    ],
)
def test_a_verified_call_that_is_none_of_ours_is_published_as_ignored(body: bytes, event: str, kind: str) -> None:
    door = Door()
    assert door.post("/webhooks/github", signed(body, event), body) == 202
    ((topic, ignored),) = door.bus.published
    assert (topic, ignored.type, ignored.fields()["kind"]) == ("repo-pushed", WEBHOOK_IGNORED, kind)
    assert ignored.id == "d"
    assert ignored.fields()["reason"]


def test_a_form_with_a_broken_payload_is_ignored() -> None:
    door = Door()
    for body in (b"payload=%7B", b"other=1", b"\xff", b"="):
        headers = signed(body, **{"Content-Type": "application/x-www-form-urlencoded"})
        assert door.post("/webhooks/github", headers, body) == 202
    assert {event.type for _, event in door.bus.published} == {WEBHOOK_IGNORED}


def test_a_group_of_alerts_is_one_event_an_alert() -> None:
    group = json.loads(sample("alertmanager-firing").body)
    over = {**group["alerts"][0], "status": "resolved", "endsAt": "2026-11-20T10:01:00Z", "fingerprint": "b"}
    plain = {**group["alerts"][0], "labels": {"alertname": "A", "prose": "x" * 9000}, "annotations": None}
    group["alerts"] += [over, plain]
    door = Door()
    body = json.dumps(group).encode()
    assert door.post("/webhooks/alertmanager", sample("alertmanager-firing").headers, body) == 202
    events = door.bus.on("alert-fired")
    assert [event.fields()["state"] for event in events] == ["open", "closed", "open"]
    assert events[2].fields()["labels"] == {"alertname": "A"}, "what is too long to select by is left out"
    assert all(len(json.dumps(event.data)) < 4096 for event in events)


def test_a_group_without_alerts_is_ignored() -> None:
    door = Door()
    headers = {"Authorization": "Bearer pointsman-am-token"}
    assert door.post("/webhooks/alertmanager", headers, b'{"receiver": "r", "alerts": []}') == 202
    assert door.bus.published[0][1].type == WEBHOOK_IGNORED


def test_grafana_is_let_in_by_its_token_unless_it_signs_wrongly() -> None:
    given = sample("grafana-firing")
    token = {"Authorization": "Bearer pointsman-grafana-secret"}
    unsigned = {key: value for key, value in given.headers.items() if not key.startswith("X-Grafana")}
    assert Door().post(given.path, {**unsigned, **token}, given.body) == 202
    assert (
        Door().post(given.path, {**given.headers, **token, "X-Grafana-Alerting-Signature": "0" * 64}, given.body) == 401
    )


def test_grafana_may_sign_the_body_alone() -> None:
    given = sample("grafana-firing")
    signature = hmac.new(b"pointsman-grafana-secret", given.body, sha256).hexdigest()
    assert Door().post(given.path, {"X-Grafana-Alerting-Signature": signature}, given.body) == 202


def test_the_log_holds_no_secret_and_no_header() -> None:
    for name in HOOKS:
        door, given = door_for(name), sample(name)
        door.send(given)
        door.send(given, body=b"tampered")
        text = str(door.log.lines)
        facts = [given.facts.get(name) for name in ("secret", "token", "signing_token")]
        proofs = [value for key, value in given.headers.items() if "signature" in key.lower() or "auth" in key.lower()]
        assert [secret for secret in (*facts, *proofs) if secret and secret in text] == []
