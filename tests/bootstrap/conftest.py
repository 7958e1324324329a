"""The command `pointsman bootstrap`, in this process, and a server of recorded answers for it to ask."""

import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.bootstrap.recorded import LOCATION, PROJECT, Answers, answer, healthy

from pointsman_cli.main import main


class Answering(ThreadingHTTPServer):
    """Every host of Google's at once: `/HOST/PATH`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.answers: Answers = healthy()
        self.tokens: list[str] = []


class Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart
    server: Answering

    def do_GET(self) -> None:
        self._answer(self.path[1:].partition("?")[0])

    def do_POST(self) -> None:
        self._answer(f"POST {self.path[1:]}")

    def _answer(self, key: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.tokens += self.headers.get_all("Authorization") or []
        status, data = answer(self.server.answers, key, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def serving() -> Iterator[Answering]:
    server = Answering()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def google(serving: Answering, monkeypatch: pytest.MonkeyPatch) -> Answering:
    serving.answers = healthy()
    monkeypatch.setenv("POINTSMAN_GOOGLE_ENDPOINT", f"127.0.0.1:{serving.server_address[1]}")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
    monkeypatch.setenv("POINTSMAN_LOCATION", LOCATION)
    monkeypatch.setenv("POINTSMAN_CLUSTER", "serving")
    monkeypatch.delenv("POINTSMAN_POOLS", raising=False)
    return serving


@pytest.fixture
def bootstrap(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pointsman", "bootstrap", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return run
