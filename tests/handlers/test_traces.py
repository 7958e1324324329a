"""One event, one trace: from the webhook's call to the last weight, across Pub/Sub and Workflows; and nothing said
on the way that a sender would not want to read in a log."""

import base64
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from inspect import unwrap
from typing import Any

import flask
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.handlers.fakes import FakeSource
from tests.handlers.plane import REPOSITORY
from tests.handlers.rollout_cloud import PLATFORM, SERVICE, Cloud

import main
from pointsman.adapters.pubsub import message_of
from pointsman.adapters.tracing import Spans
from pointsman.core.events import Event
from pointsman.core.names import JSON
from pointsman.core.records import RolloutRecord
from pointsman.core.traces import CARRIED, Parent, below, traceparent

SECRET = "It's a Secret to Everybody"  # GitHub's own test vector
ENVIRONMENT = {
    "GOOGLE_CLOUD_PROJECT": "lab",
    "POINTSMAN_LOCATION": "us-central1",
    "POINTSMAN_CLUSTER": "local",
    "POINTSMAN_REPOSITORY": REPOSITORY,
    "POINTSMAN_WEBHOOK_SECRETS": json.dumps({"github": [SECRET], "alertmanager": ["hunter2-token"]}),
}


@dataclass
class Whole(Cloud):
    """The whole plane, by the entry points as they are wired; clients are fakes, time is the cloud's."""

    source: FakeSource = field(default_factory=FakeSource)

    def connected(self, name: str, *arguments: object) -> Any:
        ports = {
            "pubsub": self.bus,
            "git": self.source,
            "ledger": self.ledger,
            "workflows": self.workflows,
            "kubernetes": self.cluster,
            "metrics": self.metrics,
            "probe": self._probe,
        }
        return ports[name]

    def ask(self, name: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        app = flask.Flask(__name__)
        with app.test_request_context(path, method="POST", headers=dict(headers), data=body):
            # Below its decorators, of which one reads the clock.
            answer = app.make_response(unwrap(getattr(main, name))(flask.request, self.now))
        return answer.status_code, answer.get_data(as_text=True)

    def call(self, verb: str, rollout: str, execution: str, callback: str = "") -> JSON:
        body = {"rollout": rollout, "execution": execution, "callback": callback or f"{execution}/callbacks/1"}
        status, text = self.ask("rollout_step", f"/{verb}", {}, json.dumps(body).encode())
        assert status == 200, text
        return dict(json.loads(text))

    def webhook(self, version: str) -> Event:
        """Push a version of the service, and tell the receiver; what it publishes."""
        text = SERVICE.replace("VERSION", version).replace("REPLICAS", "1").replace("  MORE\n", "")
        commit = self.source.commit(REPOSITORY, {"platform.yaml": PLATFORM, "teams/demo/digits.yaml": text})
        pushed = {
            "ref": "refs/heads/main",
            "after": commit,
            "before": "0" * 40,
            "deleted": False,
            "forced": False,
            "repository": {"full_name": "acme-ml/model-config", "clone_url": REPOSITORY, "id": 7},
            "head_commit": {"message": "the password is hunter2", "id": commit},
            "pusher": {"name": "lea", "email": "hunter2@example.com"},
            "sender": {"login": "lea"},
            "commits": [],
        }
        body = json.dumps(pushed).encode()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": f"delivery-{version}",
            "X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, sha256).hexdigest(),
            "Cookie": "hunter2",
        }
        assert self.ask("receive_webhook", "/webhooks/github", headers, body) == (202, "")
        return self.bus.on("repo-pushed")[-1]

    def deliver(self, name: str, event: Event) -> tuple[int, str]:
        """As Pub/Sub pushes it."""
        data, attributes = message_of(event)
        message = {"data": base64.b64encode(data).decode(), "attributes": attributes, "messageId": "1"}
        body = {"message": message, "subscription": "projects/lab/subscriptions/x", "deliveryAttempt": 1}
        return self.ask(name, "/", {"Authorization": "Bearer hunter2"}, json.dumps(body).encode())

    def roll_out(self, version: str) -> tuple[Event, RolloutRecord]:
        event = self.webhook(version)
        assert self.deliver("on_repo_push", event) == (200, "applied")
        rollout = self.ledger.all(RolloutRecord)[-1]
        assert rollout.cause == event.key
        assert self.execute(rollout.id).run() == "promoted"
        return event, self.rollout(rollout.id)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    for name in list(os.environ):
        if name.startswith(("POINTSMAN_", "GOOGLE_")):
            monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    cloud = Whole()
    monkeypatch.setattr(main, "connected", cloud.connected)
    kept = [main.settings, main.port, main.spans]
    for item in kept:
        item.cache_clear()
    yield cloud
    for item in kept:
        item.cache_clear()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    monkeypatch.setenv("POINTSMAN_TRACES", "http://127.0.0.1:9/v1/traces")
    monkeypatch.setattr("pointsman.adapters.tracing.connect", lambda *_: Spans(exporter, {"service.name": "pointsman"}))
    return exporter


def hexed(span: ReadableSpan) -> tuple[str, str, str]:
    """Ids of a span's trace, of itself, and of the span above."""
    context = span.get_span_context()
    assert context is not None
    above = f"{span.parent.span_id:016x}" if span.parent is not None else ""
    return f"{context.trace_id:032x}", f"{context.span_id:016x}", above


def test_every_span_from_webhook_to_weight_is_of_the_events_trace(cloud: Whole, sent: InMemorySpanExporter) -> None:
    cloud.roll_out("v1")
    sent.clear()
    event, rollout = cloud.roll_out("v2")
    spans = sent.get_finished_spans()
    assert {hexed(span)[0] for span in spans} == {event.key}
    names = [span.name for span in spans]
    assert names[0] == "publish repo-pushed"
    for name in ("handle dev.pointsman.repo.pushed.v1", "workflows start", "rollout claim", "rollout finish"):
        assert name in names, name
    ids = {hexed(span)[1]: span for span in spans}
    assert len(ids) == len(spans)
    [whole] = [span for span in spans if span.name == "rollout promoted"]
    assert hexed(whole) == (event.key, rollout.id, "")
    # Each step is below its rollout, each call below its step, the handler below who published.
    assert {hexed(span)[2] for span in spans if span.name.startswith("rollout ") and span is not whole} == {rollout.id}
    [handled] = [span for span in spans if span.name.startswith("handle ")]
    assert ids[hexed(handled)[2]].name == "publish repo-pushed"
    weights = [str((span.attributes or {})["weights"]) for span in spans if "weights" in (span.attributes or {})]
    canary = [entry.split()[-1] for text in weights for entry in text.split(", ") if rollout.to_revision in entry]
    assert [int(weight) for weight in dict.fromkeys(canary)] == [0, 5, 25, 50, 98, 100]


def test_every_read_of_metrics_is_a_span_below_the_step_that_waits_for_it(
    cloud: Whole, sent: InMemorySpanExporter
) -> None:
    cloud.roll_out("v1")
    sent.clear()
    cloud.roll_out("v2")
    spans = sent.get_finished_spans()
    names = {hexed(span)[1]: span.name for span in spans}
    above = {span.name: names[hexed(span)[2]] for span in spans if span.name.startswith("metrics ")}
    assert above == {
        "metrics past": "rollout place",
        "metrics pods": "rollout advance",
        "metrics gateway": "rollout advance",
    }


def test_what_is_published_carries_the_span_that_publishes(cloud: Whole, sent: InMemorySpanExporter) -> None:
    event = cloud.webhook("v1")
    _, attributes = message_of(event)
    [span] = sent.get_finished_spans()
    assert attributes[CARRIED] == traceparent(*hexed(span)[:2])


def test_a_span_of_somebody_elses_trace_is_not_followed(cloud: Whole, sent: InMemorySpanExporter) -> None:
    event = replace(cloud.webhook("v1"), traceparent=traceparent("c" * 32, "d" * 16))
    sent.clear()
    cloud.deliver("on_repo_push", event)
    handled = sent.get_finished_spans()[-1]
    assert (hexed(handled)[0], hexed(handled)[2]) == (event.key, "")


def test_without_traces_nothing_is_carried_and_nothing_loaded(cloud: Whole) -> None:
    event = cloud.webhook("v1")
    assert event.traceparent == ""
    assert CARRIED not in message_of(event)[1]
    assert main.spans() is None


def test_a_failure_is_noted_by_its_class_alone(cloud: Whole, sent: InMemorySpanExporter) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("token=hunter2")

    cloud.source.heads = broken  # type: ignore[method-assign, assignment]
    event = cloud.webhook("v1")
    assert cloud.deliver("on_repo_push", event)[0] == 500
    [failed] = [span for span in sent.get_finished_spans() if not span.status.is_ok and span.status.description]
    assert failed.status.description == "RuntimeError"
    assert all("hunter2" not in span.to_json() for span in sent.get_finished_spans())


def test_every_line_of_an_events_way_is_of_its_trace_too(cloud: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    event, rollout = cloud.roll_out("v1")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    traces = {line["event"]: line.get("logging.googleapis.com/trace") for line in lines}
    assert {"webhook-published", "event-claimed", "rollout-opened", "rollout-claimed", "rollout-ended"} <= set(traces)
    assert set(traces.values()) == {f"projects/lab/traces/{event.key}"}
    labelled = [line["logging.googleapis.com/labels"] for line in lines if "execution" in line]
    assert {labels.get("rollout") for labels in labelled} == {rollout.id}


def test_no_line_quotes_a_header_a_payload_or_a_secret(cloud: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.roll_out("v1")
    alert = {"alerts": [{"status": "firing", "labels": {"alertname": "a"}, "annotations": {"summary": "hunter2"}}]}
    headers = {"Authorization": "Bearer hunter2-token", "Content-Type": "application/json"}
    cloud.ask("receive_webhook", "/webhooks/alertmanager", headers, json.dumps(alert).encode())
    cloud.ask("receive_webhook", "/webhooks/github", {"X-Hub-Signature-256": "hunter2"}, b"hunter2")
    cloud.deliver("on_alert", Event("hunter-1", "//x", "unknown", cloud.now, "", {"data": "hunter2"}))
    text = capsys.readouterr().out
    assert text.count("\n") > 20
    assert "hunter2" not in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(
            {"Traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}, Parent("a" * 32, "b" * 16, sampled=True), id="W3C's"
        ),
        pytest.param(
            {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00", "X-Cloud-Trace-Context": f"{'c' * 32}/1;o=1"},
            Parent("a" * 32, "b" * 16, sampled=False),
            id="W3C's comes first",
        ),
        pytest.param(
            {"X-Cloud-Trace-Context": f"{'C' * 32}/255;o=1"},
            Parent("c" * 32, "00000000000000ff", sampled=True),
            id="Google's older one, in decimal",
        ),
        pytest.param({"traceparent": f"00-{'0' * 32}-{'b' * 16}-01"}, None, id="zeros mean nothing"),
        pytest.param({"traceparent": "00-x-y-01"}, None, id="nonsense"),
        pytest.param({"X-Cloud-Trace-Context": f"{'c' * 32}/99999999999999999999"}, None, id="a span beyond 64 bits"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_who_called_is_read_from_either_header(headers: Mapping[str, str], expected: Parent | None) -> None:
    assert Parent.of(headers) == expected


def test_a_span_is_above_only_in_its_own_trace() -> None:
    carried = traceparent("a" * 32, "b" * 16)
    assert below(carried, "a" * 32) == "b" * 16
    assert below(carried, "c" * 32) == ""
    assert below("", "a" * 32) == ""


def test_times_of_a_rollouts_span_are_its_own(cloud: Whole, sent: InMemorySpanExporter) -> None:
    _, rollout = cloud.roll_out("v1")
    [whole] = [span for span in sent.get_finished_spans() if span.name == "rollout promoted"]
    assert [_seconds(whole.start_time), _seconds(whole.end_time)] == [rollout.started_at, rollout.state_since]


def _seconds(nanoseconds: int | None) -> datetime:
    return datetime.fromtimestamp(round((nanoseconds or 0) / 1e9, 6), UTC)
