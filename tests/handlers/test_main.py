"""The entry points: a request in, an answer out, everything wired; clients are fakes, the rest is what is deployed."""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flask
import pytest
import yaml
from tests.handlers.fakes import FakeBus, FakeLedger, FakeSecrets, FakeSource, FakeWorkflows
from tests.handlers.plane import CHAT, PLATFORM, POOL, REPOSITORY
from tests.handlers.samples import sample
from tests.handlers.test_command import token

import main
from pointsman.core.records import EventRecord, RolloutRecord
from pointsman.errors import Unavailable

POST = "POST"
ROOT = Path(__file__).parents[2]
TOPOLOGY = yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())
ENVIRONMENT = {
    "GOOGLE_CLOUD_PROJECT": "acme",
    "POINTSMAN_LOCATION": "us-central1",
    "POINTSMAN_CLUSTER": "serving",
    "POINTSMAN_REPOSITORY": REPOSITORY,
    "POINTSMAN_WEBHOOK_SECRETS": json.dumps({"github": ["It's a Secret to Everybody"]}),
}


class Cloud:
    """What the entry points are connected to."""

    def __init__(self) -> None:
        self.bus = FakeBus()
        self.source = FakeSource()
        self.ledger = FakeLedger()
        self.workflows = FakeWorkflows()
        self.ports: dict[str, Any] = {
            "pubsub": self.bus,
            "git": self.source,
            "ledger": self.ledger,
            "workflows": self.workflows,
            "secrets": FakeSecrets(),
        }
        self.connected: list[str] = []

    def port(self, name: str, *arguments: object) -> Any:
        self.connected.append(name)
        if name not in self.ports:
            raise Unavailable(f"{name} is not there")
        return self.ports[name]

    def call(
        self,
        name: str,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        method: str = "POST",
    ) -> tuple[int, str]:
        app = flask.Flask(__name__)
        with app.test_request_context(path, method=method, headers=dict(headers or {}), data=body):
            answer = app.make_response(getattr(main, name)(flask.request))
        return answer.status_code, answer.get_data(as_text=True)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name in list(os.environ):
        if name.startswith(("POINTSMAN_", "GOOGLE_")):
            monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    found = Cloud()
    forget()
    monkeypatch.setattr(main, "connected", found.port)
    monkeypatch.setattr(main, "sleep", lambda seconds: None)
    yield found
    forget()


def forget() -> None:
    """What is kept once a process."""
    for kept in (main.settings, main.port, main.spans):
        kept.cache_clear()


@pytest.mark.parametrize("name", TOPOLOGY["functions"])
def test_every_function_of_the_topology_is_an_http_entry_point(name: str) -> None:
    from functions_framework import _function_registry

    assert _function_registry.get_func_signature_type(name, "") == "http"
    assert getattr(main, name).__name__ == name


def test_there_is_no_entry_point_that_the_topology_does_not_know() -> None:
    entries = {name for name, value in vars(main).items() if getattr(value, "__wrapped__", None) and callable(value)}
    assert entries - {"settings", "port", "spans", "traced"} == set(TOPOLOGY["functions"])


@pytest.mark.parametrize("name", TOPOLOGY["functions"])
def test_what_is_no_post_is_neither_recorded_nor_connected_to_anything(cloud: Cloud, name: str) -> None:
    assert cloud.call(name, "/", {}, b"", "GET") == (405, "")
    assert cloud.connected == []


def test_a_webhook_is_published_and_a_stranger_connects_to_nothing(cloud: Cloud) -> None:
    given = sample("github-push-update")
    assert cloud.call("receive_webhook", given.path, given.headers, b"forged") == (401, "")
    assert cloud.connected == []
    assert cloud.call("receive_webhook", given.path, given.headers, given.body) == (202, "")
    assert [event.id for event in cloud.bus.on("repo-pushed")] == [given.headers["X-GitHub-Delivery"]]


def test_a_push_is_applied_and_recorded(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.source.commit(REPOSITORY, {"platform.yaml": PLATFORM, "pools/l4.yaml": POOL, "teams/nlp/chat.yaml": CHAT})
    given = sample("github-push-update")
    cloud.call("receive_webhook", given.path, given.headers, given.body)
    (pushed,) = cloud.bus.on("repo-pushed")
    body = {
        "specversion": "1.0",
        "id": pushed.id,
        "source": pushed.source,
        "type": pushed.type,
        "subject": pushed.subject,
        "data": pushed.data,
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    assert cloud.call("on_repo_push", "/", headers, json.dumps(body).encode()) == (200, "applied")
    (rollout,) = cloud.ledger.all(RolloutRecord)
    assert [item.argument for item in cloud.workflows.started] == [{"rollout": rollout.id}]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == [
        "webhook-published",
        "answered",
        "event-claimed",
        "head-applied",
        "rollout-opened",
        "execution-started",
        "event-handled",
        "answered",
    ]
    # One event, one trace: from the webhook to the execution, whoever wrote the line.
    assert {line["logging.googleapis.com/trace"] for line in lines if line["event"] != "answered"} == {
        f"projects/acme/traces/{pushed.key}"
    }
    assert {line["function"] for line in lines} == {"receive_webhook", "on_repo_push"}


@pytest.mark.parametrize("function", ["on_repo_push", "on_model_registered", "on_alert"])
def test_a_message_that_nobody_can_read_is_recorded_and_acknowledged(cloud: Cloud, function: str) -> None:
    given = sample("pubsub-push-unwrapped")
    assert cloud.call(function, given.path, given.headers, given.body) == (200, "rejected")
    (record,) = cloud.ledger.all(EventRecord)
    assert "payload unwrapping" in record.reason


@pytest.mark.parametrize("function", ["on_repo_push", "on_model_registered", "on_alert", "sweep"])
def test_what_is_missing_in_the_environment_is_said_at_once(
    cloud: Cloud, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    monkeypatch.delenv("POINTSMAN_REPOSITORY")
    monkeypatch.setattr(main, "connected", lambda *_: main.settings())
    status, text = cloud.call(function, "/", {}, b"{}")
    assert status == 400
    assert "GOOGLE_CLOUD_PROJECT" in json.loads(text)["what"]


def test_a_ledger_out_of_reach_is_503(cloud: Cloud) -> None:
    del cloud.ports["ledger"]
    given = sample("pubsub-push-raw")
    status, text = cloud.call("on_alert", "/", given.headers, given.body)
    assert (status, json.loads(text)["code"]) == (503, "unavailable")


def test_a_command_needs_a_proven_caller(cloud: Cloud) -> None:
    body = json.dumps({"service": "nlp/chat", "rollout": None, "why": ""}).encode()
    assert cloud.call("command", "/abort", {}, body)[0] == 403
    lea = {"Authorization": token({"email": "lea@example.com", "email_verified": True})}
    status, text = cloud.call("command", "/abort", lea, body)
    assert (status, json.loads(text)["code"]) == (400, "absent")
    assert cloud.call("command", "/abort", lea, b"[")[0] == 400


def test_the_sweep_answers_what_it_found(cloud: Cloud) -> None:
    cloud.source.commit(REPOSITORY, {"platform.yaml": PLATFORM})
    status, text = cloud.call("sweep", "/", {"Content-Type": "application/json"}, b'{"scope": "all"}')
    answer = json.loads(text)
    assert status == 200
    assert answer["scope"] == "all"
    assert len(answer["found"]) == 1
    assert set(answer["failed"]) == {"weights", "idle pools"}, "no step function is there to ask"
    assert cloud.call("sweep", "/", {}, b'{"scope": "leases"}')[0] == 200


def test_a_notice_is_printed_and_acknowledged(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    headers = {
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "i",
        "ce-source": "//pointsman/nlp/chat",
        "ce-type": "dev.pointsman.notice.v1",
        "ce-time": datetime.now(UTC).isoformat(),
    }
    body = {"notice": "RolloutPromoted", "title": "chat-1 serves", "text": "no harm was found", "channels": []}
    assert cloud.call("notify", "/", headers, json.dumps(body).encode())[0] == 200
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (line["event"], line["title"]) == ("notice", "chat-1 serves")


def test_a_defect_answers_500_and_tells_nothing_of_the_request(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> Any:
        raise RuntimeError("token=hunter2")

    monkeypatch.setattr(main, "connected", broken)
    status, text = cloud.call("on_alert", "/", {}, b"{}")
    assert status == 500
    assert "hunter2" not in text
