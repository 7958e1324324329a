"""The port `Workflows` on the local executor, and what it makes of errors."""

import json
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast

import pytest
from tests.local.cluster import until

from pointsman.adapters import workflows
from pointsman.adapters.endpoints import Settings
from pointsman.errors import Absent, Denied, Invalid, PointsmanError, Unavailable
from pointsman.ports import Execution, Workflows

PARENT = "projects/lab/locations/us-central1"
SOURCES = {
    "echo": "main:\n  params: [x]\n  steps:\n    - a: {return: '${x}'}",
    "fails": "- a: {raise: {code: 7}}",
    "sleeps": "- a: {call: sys.sleep, args: {seconds: 1000}}",
    "waits": """
    main:
      steps:
        - cb: {call: events.create_callback_endpoint, result: cb}
        - one: {call: events.await_callback, args: {callback: "${cb}", timeout: 60}}
        - pause: {call: sys.sleep, args: {seconds: 1000}}
    """,
}


@pytest.fixture(scope="module")
def site(local_process: Callable[..., Any]) -> Any:
    process = local_process("workflows")
    base = f"{process.site.url('workflows-rest')}/v1/{PARENT}/workflows"
    process.start(base)
    for name, source in SOURCES.items():
        body = json.dumps({"sourceContents": source}).encode()
        with urllib.request.urlopen(f"{base}?workflowId={name}", body, timeout=10) as answer:
            assert "error" not in json.loads(answer.read())
    return process.site


@pytest.fixture
def settings(site: Any) -> Settings:
    return Settings(
        project="lab",
        location="us-central1",
        cluster="c1",
        endpoints={"workflowexecutions": site.address("workflows")},
        callback_origin=site.url("workflows-rest"),
    )


@pytest.fixture
def port(settings: Settings) -> Workflows:
    return workflows.connect(settings)


def ended(port: Workflows, name: str) -> Execution:
    def execution() -> Execution | None:
        found = port.execution(name)
        assert found is not None
        return found if found.state != "ACTIVE" else None

    return cast("Execution", until(execution))


def callback_of(site: Any, name: str) -> str:
    def callbacks() -> Any:
        with urllib.request.urlopen(f"{site.url('workflows-rest')}/v1/{name}/callbacks", timeout=10) as answer:
            return json.loads(answer.read()).get("callbacks", [])

    return f"{site.url('workflows-rest')}/v1/{name}/callbacks/{until(callbacks)[0]['name'].rpartition('/')[2]}"


def test_an_execution_takes_its_argument_and_gives_its_result(port: Workflows) -> None:
    name = port.start("echo", {"rollout": "r1", "n": [1, None]})
    assert name.startswith(f"{PARENT}/workflows/echo/executions/")
    assert ended(port, name) == Execution(name, "SUCCEEDED", result='{"n":[1,null],"rollout":"r1"}')


def test_a_failure_gives_its_error(port: Workflows) -> None:
    name = port.start("fails", {})
    assert ended(port, name) == Execution(name, "FAILED", error='{"code":7}')


def test_cancelling_ends_it_once_and_for_all(port: Workflows) -> None:
    name = port.start("sleeps", {})
    port.cancel(name)
    assert ended(port, name).state == "CANCELLED"
    port.cancel(name)


def test_what_does_not_exist(port: Workflows) -> None:
    with pytest.raises(Absent):
        port.start("nobody", {})
    assert port.execution(f"{PARENT}/workflows/echo/executions/nobody") is None
    with pytest.raises(Absent):
        port.cancel(f"{PARENT}/workflows/echo/executions/nobody")


def test_an_argument_that_is_too_large_is_invalid(port: Workflows) -> None:
    with pytest.raises(Invalid):
        port.start("echo", {"x": "x" * 40_000})


def test_ringing_is_heard_until_the_execution_has_ended(site: Any, port: Workflows) -> None:
    name = port.start("waits", {})
    callback = callback_of(site, name)
    assert [port.ring(callback) for _ in range(3)] == [True, True, True]  # heard, kept, rung already
    port.cancel(name)
    assert port.ring(callback) is False


@pytest.mark.parametrize(
    "callback",
    [
        "https://workflowexecutions.googleapis.com/v1/x/callbacks/y",
        "http://127.0.0.1:1/v1/x/callbacks/y",
        "file:///etc/passwd",
        "",
    ],
)
def test_only_callbacks_of_the_configured_origin_are_rung(port: Workflows, callback: str) -> None:
    with pytest.raises(Invalid):
        port.ring(callback)


def test_a_name_before_the_host_does_not_pass_for_it(site: Any, port: Workflows) -> None:
    with pytest.raises(Invalid):
        port.ring(f"{site.url('workflows-rest')}@example.com/callbacks/y")


def test_nobody_there_is_unavailable(settings: Settings, free_port: Callable[[], int]) -> None:
    address = f"127.0.0.1:{free_port()}"
    port = workflows.connect(
        replace(settings, endpoints={"workflowexecutions": address}, callback_origin=f"http://{address}")
    )
    with pytest.raises(Unavailable):
        port.start("echo", {})
    with pytest.raises(Unavailable):
        port.ring(f"http://{address}/v1/x/callbacks/y")


@pytest.mark.parametrize(
    ("status", "error"), [(401, Denied), (403, Denied), (500, Unavailable), (503, Unavailable), (302, Unavailable)]
)
def test_other_answers_to_a_ring(settings: Settings, status: int, error: type[PointsmanError]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        origin = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(error):
            workflows.connect(replace(settings, callback_origin=origin)).ring(f"{origin}/v1/x/callbacks/y")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_in_production_a_ring_bears_an_access_token(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Credentials:
        valid = False
        token = ""

        def refresh(self, request: object) -> None:
            self.valid, self.token = True, "secret"

    asked: list[Any] = []

    def request(pool: object, method: str, url: str, **options: Any) -> Any:
        asked.append((method, url, options["headers"].get("Authorization")))
        return type("Answer", (), {"status": 200})

    monkeypatch.setattr("google.auth.default", lambda scopes: (Credentials(), "lab"))
    monkeypatch.setattr("urllib3.PoolManager.request", request)
    origin = "https://workflowexecutions.googleapis.com"
    port = workflows.connect(replace(settings, callback_origin=origin))
    assert port.ring(f"{origin}/v1/x/callbacks/y") is True
    assert asked == [("POST", f"{origin}/v1/x/callbacks/y", "Bearer secret")]
