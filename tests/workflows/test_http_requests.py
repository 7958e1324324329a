"""http.* against a real server: "Make an HTTP request" and the pages of the http module."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Answering:
    """Answers by path; keeps what it was asked."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


BODIES = {
    "/json": ("application/json", b'{"a": [1, 2.5, null]}'),
    "/problem": ("application/problem+json", b'{"p": 1}'),
    "/list": ("application/json; charset=utf-8", b"[1]"),
    "/broken": ("application/json", b"{"),
    "/nothing": ("application/json", b""),
    "/text": ("text/plain; charset=iso-8859-1", "é".encode("latin-1")),
    "/html": ("text/html", b"<p>"),
    "/bytes": ("application/octet-stream", b"\x00\xff"),
    "/large": ("application/octet-stream", b"x" * (2 * 1024 * 1024 + 1)),
}


@pytest.fixture
def server() -> Iterator[Answering]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            answering.requests.append(
                {
                    "method": self.command,
                    "path": self.path,
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "body": self.rfile.read(length),
                }
            )
            path = self.path.partition("?")[0]
            status = answering.statuses.pop(0) if answering.statuses else 200
            kind, content = BODIES.get(path, ("application/json", json.dumps({"path": path}).encode()))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("x-custom-header", "one")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.handle_any
            raise AttributeError(name)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    answering = Answering(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield answering
    http.shutdown()
    http.server_close()
    thread.join()


def call(run: Any, function: str, **arguments: Any) -> Any:
    return run(
        json.dumps([{"ask": {"call": function, "args": arguments, "result": "r"}}, {"answer": {"return": "${r}"}}])
    )


def test_the_answer_has_body_code_and_headers(run: Any, server: Answering) -> None:
    answer = call(run, "http.get", url=f"{server.url}/json").result
    assert answer["body"] == {"a": [1, 2.5, None]}
    assert answer["code"] == 200
    assert answer["headers"]["Content-Type"] == "application/json"
    assert answer["headers"]["X-Custom-Header"] == "one"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/problem", {"p": 1}),
        ("/list", [1]),
        ("/broken", "{"),
        ("/nothing", None),
        ("/text", "é"),
        ("/html", "<p>"),
    ],
)
def test_the_body_is_decoded_by_its_type(run: Any, server: Answering, path: str, body: Any) -> None:
    assert call(run, "http.get", url=server.url + path).result["body"] == body


def test_other_bodies_are_bytes(run: Any, server: Answering) -> None:
    ended = run(f"""
    - ask: {{call: http.get, args: {{url: "{server.url}/bytes"}}, result: r}}
    - answer: {{return: "${{[get_type(r.body), base64.encode(r.body)]}}"}}
    """)
    assert ended.result == ["bytes", "AP8="]


@pytest.mark.parametrize(
    ("function", "more", "method"),
    [
        ("http.get", {}, "GET"),
        ("http.post", {}, "POST"),
        ("http.put", {}, "PUT"),
        ("http.patch", {}, "PATCH"),
        ("http.delete", {}, "DELETE"),
        *(
            ("http.request", {"method": method}, method)
            for method in ("GET", "POST", "DELETE", "OPTIONS", "PATCH", "HEAD")
        ),
    ],
)
def test_methods(run: Any, server: Answering, function: str, more: Any, method: str) -> None:
    assert call(run, function, url=server.url, **more).context is None
    assert server.requests[0]["method"] == method


@pytest.mark.parametrize(
    ("arguments", "content_type", "body"),
    [
        ({"body": {"b": 1, "a": "é"}}, "application/json; charset=utf-8", '{"a":"é","b":1}'.encode()),
        ({"body": [1]}, "application/json; charset=utf-8", b"[1]"),
        ({"body": "text"}, "application/json; charset=utf-8", b'"text"'),
        ({"body": '${text.encode("raw")}'}, "application/octet-stream", b"raw"),
        (
            {"body": {"a": 1}, "headers": {"Content-Type": "application/merge-patch+json"}},
            "application/merge-patch+json",
            b'{"a":1}',
        ),
        (
            {"body": "a=1&b=2", "headers": {"content-type": "application/x-www-form-urlencoded"}},
            "application/x-www-form-urlencoded",
            b"a=1&b=2",
        ),
        ({"body": "hello", "headers": {"Content-Type": "text/plain"}}, "text/plain", b"hello"),
        ({}, None, b""),
    ],
)
def test_how_bodies_are_sent(run: Any, server: Answering, arguments: Any, content_type: str, body: bytes) -> None:
    assert call(run, "http.post", url=server.url, **arguments).context is None
    assert server.requests[0]["headers"].get("content-type") == content_type
    assert server.requests[0]["body"] == body


@pytest.mark.parametrize(
    "arguments",
    [
        {"body": "no map", "headers": {"Content-Type": "application/json"}},
        {"body": {"a": 1}, "headers": {"Content-Type": "text/plain"}},
        {"headers": {"X": ["list"]}},
        {"query": {"q": {"a": 1}}},
        {"headers": "X: 1"},
        {"query": [1]},
        {"timeout": "10"},
        {"url": 5},
    ],
)
def test_arguments_of_a_wrong_type(run: Any, server: Answering, arguments: Any) -> None:
    assert "TypeError" in call(run, "http.post", **{"url": server.url, **arguments}).tags


@pytest.mark.parametrize("arguments", [{"timeout": 1801}, {"timeout": 0}, {"url": "ftp://example.com"}, {"url": "x"}])
def test_arguments_out_of_bounds(run: Any, server: Answering, arguments: Any) -> None:
    assert "ValueError" in call(run, "http.post", **{"url": server.url, **arguments}).tags


def test_query_and_headers(run: Any, server: Answering) -> None:
    arguments = {
        "query": {"q": "a b&c", "n": 1, "t": True, "l": ["x", 2]},
        "headers": {"X-Mine": "1", "User-Agent": "me"},
    }
    assert call(run, "http.get", url=f"{server.url}/p?first=1", **arguments).context is None
    request = server.requests[0]
    assert request["path"] == "/p?first=1&q=a+b%26c&n=1&t=true&l=x&l=2"
    assert request["headers"]["x-mine"] == "1"
    assert request["headers"]["user-agent"] == "me GoogleCloudWorkflows; (+https://cloud.google.com/workflows/docs)"
    assert "authorization" not in request["headers"]


def test_the_default_agent_is_the_services(run: Any, server: Answering) -> None:
    call(run, "http.get", url=server.url)
    assert server.requests[0]["headers"]["user-agent"] == (
        "GoogleCloudWorkflows; (+https://cloud.google.com/workflows/docs)"
    )


def test_percent_encoded_paths_stay_so(run: Any, server: Answering) -> None:
    call(run, "http.get", url=f"{server.url}/o/a%2Fb%20c")
    assert server.requests[0]["path"] == "/o/a%2Fb%20c"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_from_400_on_an_answer_is_an_http_error(run: Any, server: Answering, status: int) -> None:
    server.statuses.append(status)
    error = call(run, "http.get", url=f"{server.url}/json").payload
    assert error["tags"] == ["HttpError"]
    assert error["code"] == status
    assert error["message"] == f"HTTP server responded with error code {status}"
    assert error["body"] == {"a": [1, 2.5, None]}
    assert error["headers"]["Content-Type"] == "application/json"


def test_retries_reach_the_server(run: Any, server: Answering) -> None:
    server.statuses.extend([503, 429])
    ended = run(f"""
    - ask:
        try: {{call: http.get, args: {{url: "{server.url}/json"}}, result: r}}
        retry: ${{http.default_retry}}
    - answer: {{return: "${{r.code}}"}}
    """)
    assert ended.result == 200
    assert len(server.requests) == 3


def test_nobody_listening_is_a_connection_failed_error(run: Any, free_port: Callable[[], int]) -> None:
    tags = call(run, "http.get", url=f"http://127.0.0.1:{free_port()}").tags
    assert "ConnectionFailedError" in tags
    assert "ConnectionError" not in tags


def test_a_connection_that_breaks_is_a_connection_error(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            peer, _ = listening.accept()
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            peer.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        tags = call(run, "http.get", url=f"http://127.0.0.1:{listening.getsockname()[1]}").tags
        thread.join()
    assert "ConnectionError" in tags


def test_no_answer_in_time_is_a_timeout_error(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert "TimeoutError" in call(run, "http.get", url=url, timeout=0.1).tags


def test_more_than_two_megabytes_exhaust_a_limit(run: Any, server: Answering) -> None:
    assert call(run, "http.get", url=f"{server.url}/large").tags[0] == "ResourceLimitError"


def test_requests_of_branches_are_on_their_way_together(run: Any) -> None:
    """Each request is answered only once both have come."""
    both = threading.Barrier(2, timeout=20)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            both.wait()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    ended = run(f"""
    - both:
        parallel:
          for:
            value: v
            in: [1, 2]
            steps:
              - ask: {{call: http.get, args: {{url: "http://127.0.0.1:{http.server_port}"}}}}
    - answer: {{return: done}}
    """)
    http.shutdown()
    http.server_close()
    thread.join()
    assert ended.result == "done"


def test_unknown_kinds_of_auth_are_refused(run: Any, server: Answering) -> None:
    assert "ValueError" in call(run, "http.get", url=server.url, auth={"type": "Basic"}).tags
    assert server.requests == []
