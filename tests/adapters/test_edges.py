"""The small adapters: the webhooks' secrets, and one function asking another."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pointsman.adapters import webhook_secrets
from pointsman.adapters.endpoints import Settings
from pointsman.adapters.steps import connect
from pointsman.errors import Denied, Invalid, PointsmanError, Unavailable


def settings(**fields: Any) -> Settings:
    return Settings(project="p", location="us-central1", cluster="c", **fields)


def test_secrets_are_given_in_place_or_as_a_file_that_may_change(tmp_path: Path) -> None:
    assert webhook_secrets.read(settings()) == {}
    assert webhook_secrets.read(settings(webhook_secrets='{"github": ["new", "old"]}')) == {"github": ["new", "old"]}
    file = tmp_path / "secrets.json"
    for secrets in (["one"], ["two", "one"]):
        file.write_text(json.dumps({"github": secrets}))
        assert webhook_secrets.read(settings(webhook_secrets=str(file))) == {"github": secrets}


@pytest.mark.parametrize("text", ['{"github": "hunter2"', '{"github": "hunter2"}', '{"github": [7]}', "/no/such/file"])
def test_secrets_that_cannot_be_read_are_never_quoted(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        webhook_secrets.read(settings(webhook_secrets=text))
    assert "hunter2" not in str(refused.value)
    # The error below quotes what it could not read: a traceback must not show it.
    assert refused.value.__context__ is None or refused.value.__suppress_context__


class Step(BaseHTTPRequestHandler):
    """A step function and a metadata server in one."""

    status = 200
    answer: bytes = b'{"findings": []}'
    token_status = 200
    seen: ClassVar[list[tuple[str, str]]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Metadata-Flavor"] or ""))
        self._send(self.token_status, b"a.b.c")

    def do_POST(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        self._send(self.status, self.answer)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = 0, size: object = 0) -> None:
        pass


@contextmanager
def serving(**fields: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    handler: type[Step] = type("Handler", (Step,), {"seen": [], **fields})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", handler.seen
        finally:
            server.shutdown()
            thread.join()


def test_a_step_function_is_asked_with_the_callers_own_token() -> None:
    with serving(answer=b'{"findings": [{"what": "x"}]}') as (host, seen):
        steps = connect(settings(step_urls={"pool_step": f"http://{host}/pool"}, metadata_host=host))
        assert steps.inspect("pool_step") == {"findings": [{"what": "x"}]}
        identity = "/computeMetadata/v1/instance/service-accounts/default/identity"
        assert seen == [
            (f"{identity}?audience=http://{host}/pool&format=full", "Google"),
            ("/pool/inspect", "Bearer a.b.c"),
        ]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"status": 403}, Denied),
        ({"status": 503}, Unavailable),
        ({"status": 500}, Unavailable),
        ({"answer": b"no json"}, Unavailable),
        ({"token_status": 404}, Unavailable),
    ],
)
def test_a_step_function_that_does_not_answer_is_said_so(fields: Any, error: type[PointsmanError]) -> None:
    with serving(**fields) as (host, _):
        steps = connect(settings(step_urls={"pool_step": f"http://{host}"}, metadata_host=host))
        with pytest.raises(error):
            steps.inspect("pool_step")


def test_a_step_function_without_an_address_names_the_variable() -> None:
    with pytest.raises(Invalid, match="ROLLOUT_STEP_URL"):
        connect(settings()).inspect("rollout_step")


def test_nobody_there_is_unavailable(free_port: Any) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable):
        connect(settings(step_urls={"pool_step": f"http://{nowhere}"}, metadata_host=nowhere)).inspect("pool_step")
