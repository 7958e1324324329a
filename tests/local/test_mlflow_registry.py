"""The local MLflow: its REST API as MLflow's own client uses it, and its webhooks as MLflow sends them."""

import base64
import hashlib
import hmac
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pointsman_local.mlflow.webhooks import signature
from pointsman_local.site import Site

SECRET = "pointsman-test-secret"


class Receiver:
    """Stands where `receive_webhook` is; answers as told, 202 by default."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.arrived:
                    outer.requests.append((self.path, dict(self.headers), body))
                    status = outer.answers.pop(0) if outer.answers else 202
                    outer.arrived.notify_all()
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, count: int) -> list[tuple[str, dict[str, str], bytes]]:
        """The next requests, in the order in which they arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, 20), self.requests
            taken, self.requests = self.requests[:count], self.requests[count:]
            return taken

    def events(self, count: int) -> list[dict[str, Any]]:
        """The next events' entity, action and data, whatever their order."""
        bodies = [json.loads(body) for _, _, body in self.take(count)]
        return sorted(({name: body[name] for name in ("entity", "action", "data")} for body in bodies), key=str)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def process(local_process: Callable[..., Any], receiver: Receiver) -> Any:
    made = local_process("mlflow", ports={"functions/receive_webhook": receiver.server.server_port})
    (made.site.data / "run").mkdir()
    (made.site.data / "run" / "webhook_secrets.json").write_text(json.dumps({"mlflow": [SECRET, "older"]}))
    made.start(f"{made.site.url('mlflow')}/health")
    return made


@pytest.fixture
def site(process: Any, receiver: Receiver) -> Site:
    receiver.requests.clear()
    receiver.answers.clear()
    site: Site = process.site
    return site


@pytest.fixture
def model(site: Site, receiver: Receiver, request: pytest.FixtureRequest) -> str:
    """A registered model of its own for each test, with two versions."""
    name = f"model-{abs(hash(request.node.name))}"
    call(site, "POST", "registered-models/create", {"name": name, "tags": [{"key": "team", "value": "growth"}]})
    for number in (1, 2):
        call(site, "POST", "model-versions/create", {"name": name, "source": f"gs://models/{number}"})
    receiver.take(3)
    return name


def call(site: Site, method: str, path: str, fields: dict[str, Any]) -> Any:
    url = f"{site.url('mlflow')}/api/2.0/mlflow/{path}"
    body = None
    if method == "GET":
        url += "?" + urllib.parse.urlencode(fields)
    else:
        body = json.dumps(fields).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=10) as answer:
        return json.load(answer)


def refusal(site: Site, method: str, path: str, fields: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        call(site, method, path, fields)
    answer = json.load(refused.value)
    assert answer["message"]
    return refused.value.code, answer["error_code"]


def test_an_alias_names_a_version_until_it_is_moved(site: Site, model: str) -> None:
    for number in ("1", "2"):
        call(site, "POST", "registered-models/alias", {"name": model, "alias": "champion", "version": number})
        found = call(site, "GET", "registered-models/alias", {"name": model, "alias": "champion"})["model_version"]
        assert (found["version"], found["aliases"]) == (number, ["champion"])
        assert found["source"] == f"gs://models/{number}"
    assert call(site, "GET", "model-versions/get", {"name": model, "version": "1"})["model_version"]["aliases"] == []
    uri = call(site, "GET", "model-versions/get-download-uri", {"name": model, "version": "2"})
    assert uri == {"artifact_uri": "gs://models/2"}
    about = call(site, "GET", "registered-models/get", {"name": model})["registered_model"]
    assert about["aliases"] == [{"alias": "champion", "version": "2"}]
    assert about["tags"] == [{"key": "team", "value": "growth"}]


def test_latest_is_the_newest_version(site: Site, model: str) -> None:
    found = call(site, "GET", "registered-models/alias", {"name": model, "alias": "latest"})
    assert found["model_version"]["version"] == "2"


@pytest.mark.parametrize("asked", ["name='{}'", "name = \"{}\" AND tag.`mlflow.prompt.is_prompt` != 'true'"])
def test_a_search_by_name_finds_its_versions(site: Site, model: str, asked: str) -> None:
    found = call(site, "GET", "model-versions/search", {"filter": asked.format(model)})["model_versions"]
    assert [item["version"] for item in found] == ["2", "1"]
    models = call(site, "GET", "registered-models/search", {"filter": asked.format(model)})["registered_models"]
    assert [item["name"] for item in models] == [model]


# What MLflow 3.17 answers was compared with a server of that version.
@pytest.mark.parametrize(
    ("method", "path", "fields", "expected"),
    [
        pytest.param(
            "GET",
            "registered-models/alias",
            {"alias": "none"},
            (400, "INVALID_PARAMETER_VALUE"),
            id="an-alias-that-is-not-set-is-a-bad-parameter",
        ),
        pytest.param(
            "GET",
            "registered-models/alias",
            {"name": "none", "alias": "a"},
            (404, "RESOURCE_DOES_NOT_EXIST"),
            id="model",
        ),
        pytest.param(
            "GET", "model-versions/get", {"version": "9"}, (404, "RESOURCE_DOES_NOT_EXIST"), id="no-such-version"
        ),
        pytest.param("GET", "model-versions/get", {"version": "x"}, (400, "INVALID_PARAMETER_VALUE"), id="version-x"),
        pytest.param("POST", "registered-models/create", {}, (400, "RESOURCE_ALREADY_EXISTS"), id="exists"),
        pytest.param(
            "POST", "registered-models/create", {"name": "a/b"}, (400, "INVALID_PARAMETER_VALUE"), id="slash-in-name"
        ),
        pytest.param(
            "POST",
            "registered-models/alias",
            {"alias": "latest", "version": "1"},
            (400, "INVALID_PARAMETER_VALUE"),
            id="latest-is-reserved",
        ),
        pytest.param(
            "POST",
            "registered-models/alias",
            {"alias": "v1", "version": "1"},
            (400, "INVALID_PARAMETER_VALUE"),
            id="v1",
        ),
        pytest.param(
            "POST",
            "registered-models/alias",
            {"alias": "champion", "version": "9"},
            (404, "RESOURCE_DOES_NOT_EXIST"),
            id="alias-of-no-version",
        ),
        pytest.param("POST", "runs/create", {}, (501, "NOT_IMPLEMENTED"), id="another-call"),
        pytest.param(
            "GET", "model-versions/search", {"filter": "run_id='1'"}, (501, "NOT_IMPLEMENTED"), id="another-filter"
        ),
    ],
)
def test_refusals_have_mlflows_codes(
    site: Site, model: str, method: str, path: str, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert refusal(site, method, path, {"name": model, **fields}) == expected


def test_what_is_registered_is_told_by_webhook(site: Site, receiver: Receiver) -> None:
    call(site, "POST", "registered-models/create", {"name": "told", "description": "d"})
    call(
        site,
        "POST",
        "model-versions/create",
        {"name": "told", "source": "gs://a", "run_id": "r", "tags": [{"key": "k", "value": "v"}]},
    )
    call(site, "POST", "registered-models/alias", {"name": "told", "alias": "champion", "version": "1"})
    call(site, "DELETE", "registered-models/alias", {"name": "told", "alias": "champion"})
    call(site, "DELETE", "registered-models/alias", {"name": "told", "alias": "champion"})
    assert receiver.events(4) == sorted(
        [
            {
                "entity": "registered_model",
                "action": "created",
                "data": {"name": "told", "tags": {}, "description": "d"},
            },
            {
                "entity": "model_version",
                "action": "created",
                "data": {
                    "name": "told",
                    "version": "1",
                    "source": "gs://a",
                    "run_id": "r",
                    "tags": {"k": "v"},
                    "description": None,
                },
            },
            {
                "entity": "model_version_alias",
                "action": "created",
                "data": {"name": "told", "alias": "champion", "version": "1"},
            },
            {"entity": "model_version_alias", "action": "deleted", "data": {"name": "told", "alias": "champion"}},
        ],
        key=str,
    )


def test_a_webhook_is_signed_over_delivery_time_and_body(site: Site, model: str, receiver: Receiver) -> None:
    call(site, "POST", "registered-models/alias", {"name": model, "alias": "champion", "version": "1"})
    ((path, headers, body),) = receiver.take(1)
    signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert path == "/webhooks/mlflow"
    assert headers["X-MLflow-Signature"] == f"v1,{expected}"
    assert headers["Content-Type"] == "application/json"


def test_the_signature_is_that_of_a_webhook_mlflow_sent() -> None:
    body = (
        b'{"entity": "model_version_alias", "action": "created", "timestamp": "2026-11-22T00:48:11.851482+00:00", '
        b'"data": {"name": "churn-scorer", "alias": "champion", "version": "1"}}'
    )
    assert (
        signature(SECRET, "53fc53d9-66c8-4862-bcc8-674891cc2ef5", "1795308491", body)
        == "v1,BlvWKwwHmQ1IXCpyHqD4d3yn+UP/8Y9GFKryYeAhUhQ="
    )


def test_a_refused_webhook_comes_again_with_the_same_identity(site: Site, model: str, receiver: Receiver) -> None:
    receiver.answers = [503]
    call(site, "POST", "registered-models/alias", {"name": model, "alias": "champion", "version": "1"})
    first, second = receiver.take(2)
    for header in ("X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature"):
        assert first[1][header] == second[1][header]
    assert first[2] == second[2]


def test_an_unauthorized_webhook_is_not_sent_again(site: Site, model: str, receiver: Receiver) -> None:
    receiver.answers = [401]
    call(site, "POST", "registered-models/alias", {"name": model, "alias": "first", "version": "1"})
    receiver.take(1)
    call(site, "POST", "registered-models/alias", {"name": model, "alias": "second", "version": "1"})
    (event,) = receiver.events(1)
    assert event["data"]["alias"] == "second"


def test_webhooks_can_be_lost_and_doubled(site: Site, model: str, receiver: Receiver) -> None:
    def misbehave(**faults: int) -> None:
        url = f"{site.url('mlflow')}/local/v1/webhooks"
        request = urllib.request.Request(url, json.dumps(faults).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=10).close()

    misbehave(drop=1, copies=3)
    for alias in ("lost", "tripled"):
        call(site, "POST", "registered-models/alias", {"name": model, "alias": alias, "version": "1"})
    deliveries = receiver.take(3)
    misbehave()
    assert {json.loads(body)["data"]["alias"] for _, _, body in deliveries} == {"tripled"}
    assert len({headers["X-MLflow-Delivery-Id"] for _, headers, _ in deliveries}) == 1


def test_what_is_registered_survives_kill_nine(process: Any, site: Site, model: str) -> None:
    call(site, "POST", "registered-models/alias", {"name": model, "alias": "champion", "version": "2"})
    process.kill()
    process.start(f"{site.url('mlflow')}/health")
    found = call(site, "GET", "registered-models/alias", {"name": model, "alias": "champion"})
    assert found["model_version"]["source"] == "gs://models/2"
