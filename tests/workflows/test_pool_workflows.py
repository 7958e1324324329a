"""provision-pool.yaml and scale-pool.yaml as they are deployed: the order of calls, waiting, retry, who is rung."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

WORKFLOWS = Path(__file__).parents[2] / "workflows"
WORKING = {"state": "waiting", "wait_s": 25.0, "done": False, "outcome": None, "need": None}
DONE = {"state": "ready", "wait_s": 0, "done": True, "outcome": None, "need": None}
CLAIMED = {**DONE, "state": "claimed"}


class Steps:
    """`pool_step` and a parent's callback: answers as scripted, one list a path, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.script: dict[str, list[tuple[int, Any]]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append((self.path, json.loads(body or b"null")))
                answers = outer.script.get(self.path, [])
                status, answer = answers.pop(0) if answers else (200, DONE)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def verbs(self) -> list[str]:
        return [path.removeprefix("/step/") for path, _ in self.asked]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def steps() -> Iterator[Steps]:
    found = Steps()
    found.script["/step/claim"] = [(200, CLAIMED)]
    yield found
    found.close()


@pytest.fixture(params=["provision-pool", "scale-pool"])
def work(request: pytest.FixtureRequest, run: Any, steps: Steps) -> Callable[..., Any]:
    """Run the workflow for the pool `cpu`; `rings`: its parent has a callback."""
    source = (WORKFLOWS / f"{request.param}.yaml").read_text()

    def ended(*, rings: bool = True) -> Any:
        argument = {"pool": "cpu", "callback": f"{steps.url}/parent" if rings else None}
        return run(source, argument, {"POOL_STEP_URL": f"{steps.url}/step"})

    return ended


def test_it_claims_advances_until_done_finishes_and_rings_everybody(steps: Steps, work: Callable[..., Any]) -> None:
    steps.script["/step/advance"] = [(200, WORKING), (200, {**WORKING, "wait_s": 0}), (200, DONE)]
    steps.script["/step/finish"] = [(200, {**DONE, "ring": [f"{steps.url}/parent", f"{steps.url}/other"]})]
    assert work().result == {"state": "ready", "outcome": None}
    assert steps.verbs == ["claim", "advance", "advance", "advance", "finish", "/parent", "/other"]
    _, request = steps.asked[0]
    assert (request["pool"], request["callback"]) == ("cpu", f"{steps.url}/parent")
    assert request["execution"].startswith("projects/lab/locations/us-central1/workflows/tested/executions/")
    assert all(body["execution"] == request["execution"] for path, body in steps.asked if path.startswith("/step/"))


def test_a_duplicate_leaves_at_once_and_rings_nobody(steps: Steps, work: Callable[..., Any]) -> None:
    steps.script["/step/claim"] = [(200, {**CLAIMED, "outcome": "duplicate"})]
    assert work().result == {"state": "claimed", "outcome": "duplicate"}
    assert steps.verbs == ["claim"]


def test_who_was_superseded_leaves(steps: Steps, work: Callable[..., Any]) -> None:
    steps.script["/step/advance"] = [(200, WORKING), (200, {**DONE, "state": "lost", "outcome": "superseded"})]
    assert work().result == {"state": "lost", "outcome": "superseded"}
    assert steps.verbs == ["claim", "advance", "advance"]


def test_needs_that_came_meanwhile_are_worked_off_before_the_end(steps: Steps, work: Callable[..., Any]) -> None:
    steps.script["/step/finish"] = [(200, WORKING), (200, {**DONE, "ring": []})]
    assert work().result == {"state": "ready", "outcome": None}
    assert steps.verbs == ["claim", "advance", "finish", "advance", "finish"]


def test_what_is_transient_is_tried_again(steps: Steps, work: Callable[..., Any]) -> None:
    steps.script["/step/advance"] = [(503, {}), (503, {}), (200, DONE)]
    assert work().result == {"state": "ready", "outcome": None}
    assert steps.verbs == ["claim", "advance", "advance", "advance", "finish"]


def test_a_refusal_fails_the_execution_and_rings_the_parent_first(steps: Steps, work: Callable[..., Any]) -> None:
    steps.script["/step/advance"] = [(400, {"code": "invalid", "what": "no", "where": "", "remedy": ""})]
    ended = work()
    assert (ended.tags, ended.payload["code"]) == (["HttpError"], 400)
    assert steps.verbs == ["claim", "advance", "/parent"]


def test_nobody_to_ring_is_no_trouble(steps: Steps, work: Callable[..., Any]) -> None:
    steps.script["/step/advance"] = [(500, {})]
    assert work(rings=False).payload["code"] == 500
    assert steps.verbs == ["claim", "advance"]


@pytest.mark.parametrize("status", [404, 429])
def test_a_callback_that_refuses_is_no_trouble(steps: Steps, work: Callable[..., Any], status: int) -> None:
    steps.script["/step/finish"] = [(200, {**DONE, "ring": [f"{steps.url}/parent", f"{steps.url}/other"]})]
    steps.script["/parent"] = [(status, {})]
    assert work().result == {"state": "ready", "outcome": None}
    assert steps.verbs[-2:] == ["/parent", "/other"]


def test_the_two_differ_in_who_starts_them_and_in_nothing_else() -> None:
    bodies = [
        [line for line in (WORKFLOWS / f"{name}.yaml").read_text().splitlines() if not line.startswith("#")]
        for name in ("provision-pool", "scale-pool")
    ]
    assert bodies[0] == bodies[1]


def test_both_are_in_the_subset_that_deploys() -> None:
    text = (WORKFLOWS / "provision-pool.yaml").read_text()
    assert len(text) < 128 * 1024
    assert all(len(line.strip()) < 400 for line in text.splitlines())
