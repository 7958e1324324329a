"""Forced requests: at the gateway's address, for the service's host; no answer is 0 and no error."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pointsman.adapters.endpoints import Settings
from pointsman.adapters.probe import connect
from pointsman.ports import Target


class Gateway:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Host"], self.headers["x-pointsman-probe"]))
                status = {"/health": 200, "/moved": 302}.get(self.path, 503)
                self.send_response(status)
                self.send_header("Location", "/health")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    found = Gateway()
    yield found
    found.close()


def probe(port: int, path: str) -> int:
    target = Target("127.0.0.1", port, "digits-demo.localhost")
    return connect(Settings("lab", "us-central1", "c1"))(target, path, {"x-pointsman-probe": "sesame"})


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/busy", 503), ("/moved", 302)])
def test_the_answer_is_the_gateways_own_status(gateway: Gateway, path: str, status: int) -> None:
    assert probe(gateway.server.server_port, path) == status
    assert gateway.asked == [(path, "digits-demo.localhost", "sesame")]


def test_nobody_there_is_no_answer(free_port: Callable[[], int]) -> None:
    assert probe(free_port(), "/health") == 0
