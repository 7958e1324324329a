"""Spans as they leave a function: one call to a collector at a request's end, and never a failure of the request."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pointsman.adapters.endpoints import Settings, read
from pointsman.adapters.tracing import GOOGLE, connect
from pointsman.errors import Denied, Invalid

TRACE = "0123456789abcdef0123456789abcdef"


class Collector(HTTPServer):
    """An OTLP collector: keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.requests: list[ExportTraceServiceRequest] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_request(self, code: object = 0, size: object = 0) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def settings(traces: str) -> Settings:
    return Settings(project="acme", location="us-central1", cluster="c", traces=traces)


def test_the_spans_of_a_request_are_sent_in_one_call_when_it_ends(collector: Collector) -> None:
    spans = connect(settings(collector.url), "rollout_step")
    with spans.span("rollout advance", trace=TRACE, parent="a" * 16, rollout="r1"):
        with spans.span("save"):
            pass
        assert collector.requests == []
    [request] = collector.requests
    [sent] = request.resource_spans
    resource = {item.key: item.value.string_value for item in sent.resource.attributes}
    assert (resource["service.name"], resource["faas.name"], resource["gcp.project_id"]) == (
        "pointsman",
        "rollout_step",
        "acme",
    )
    [inner, outer] = sent.scope_spans[0].spans
    assert (inner.name, outer.name) == ("save", "rollout advance")
    assert {inner.trace_id.hex(), outer.trace_id.hex()} == {TRACE}
    assert (outer.parent_span_id.hex(), inner.parent_span_id) == ("a" * 16, outer.span_id)


def test_a_collector_that_refuses_or_is_not_there_costs_the_request_nothing(collector: Collector) -> None:
    collector.status = 400
    done: list[Any] = []
    for url in (collector.url, "http://127.0.0.1:9/v1/traces"):
        with connect(settings(url), "notify").span("handle", trace=TRACE) as span:
            done.append(span)
    assert [len(span) for span in done] == [16, 16]


def test_what_fails_within_a_span_fails_as_it_did(collector: Collector) -> None:
    with pytest.raises(KeyError, match="hunter2"), connect(settings(collector.url), "x").span("handle", trace=TRACE):
        raise KeyError("hunter2")
    [request] = collector.requests
    assert b"hunter2" not in request.SerializeToString()
    assert request.resource_spans[0].scope_spans[0].spans[0].status.message == "KeyError"


def test_google_needs_credentials_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.auth.exceptions import DefaultCredentialsError

    def none(**_: object) -> Any:
        raise DefaultCredentialsError("no file")  # type: ignore[no-untyped-call]

    monkeypatch.setattr("google.auth.default", none)
    with pytest.raises(Denied, match="no credentials for traces"):
        connect(settings("google"), "notify")
    assert GOOGLE == "https://telemetry.googleapis.com/v1/traces"


@pytest.mark.parametrize(
    ("value", "expected"), [("", "off"), ("google", "google"), ("http://127.0.0.1:4318/v1/traces", None)]
)
def test_where_spans_go_is_one_of_three(value: str, expected: str | None) -> None:
    found = read({"GOOGLE_CLOUD_PROJECT": "acme", "POINTSMAN_TRACES": value})
    assert found.traces == (expected or value)


@pytest.mark.parametrize("value", ["on", "https://collector.example.com", "http://collector.example.com/v1/traces"])
def test_spans_go_to_no_other_machine(value: str) -> None:
    with pytest.raises(Invalid) as refused:
        read({"GOOGLE_CLOUD_PROJECT": "acme", "POINTSMAN_TRACES": value})
    assert refused.value.where == "POINTSMAN_TRACES"
