"""The local Monitoring over the wire: Google's unmodified clients and our own adapter against it.

Envoy, the pods, Kubernetes and Pub/Sub are one small HTTP server here, whose counters a test sets.
"""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from google.api_core import exceptions
from google.cloud import monitoring_v3 as v3

from pointsman.adapters import metrics
from pointsman.adapters.endpoints import Settings, client
from pointsman.core.judge.ticks import PodCounters
from pointsman.errors import Denied, Invalid, Unavailable
from pointsman_local.monitoring import server
from pointsman_local.site import ENDPOINTS, Site

STABLE, CANARY = "digits-0000000a", "digits-0000000b"
TOPIC = "projects/lab/topics/alert-fired"
T = TypeVar("T")


@dataclass
class Backend:
    """One Envoy cluster's counters; None: the series is not there yet."""

    total: int = 0
    completed: int = 0
    good: int | None = None
    bad: int | None = None
    buckets: tuple[int, int, int] = (0, 0, 0)

    def text(self, name: str) -> str:
        label = f'envoy_cluster_name="{name}"'
        below = [sum(self.buckets[: n + 1]) for n in range(3)]
        classes = [
            f'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="{code}",{label}}} {count}'
            for code, count in (("2", self.good), ("5", self.bad))
            if count is not None
        ]
        return "\n".join(
            [
                "# TYPE envoy_cluster_upstream_rq_total counter",
                f"envoy_cluster_upstream_rq_total{{{label}}} {self.total}",
                "# TYPE envoy_cluster_upstream_rq_completed counter",
                f"envoy_cluster_upstream_rq_completed{{{label}}} {self.completed}",
                "# TYPE envoy_cluster_upstream_rq_xx counter",
                *classes,
                "# TYPE envoy_cluster_upstream_rq_time histogram",
                *(
                    f'envoy_cluster_upstream_rq_time_bucket{{{label},le="{le}"}} {count}'
                    for le, count in zip(("10", "11", "+Inf"), below, strict=True)
                ),
                f"envoy_cluster_upstream_rq_time_sum{{{label}}} {10 * below[-1]}",
                f"envoy_cluster_upstream_rq_time_count{{{label}}} {below[-1]}",
                "",
            ]
        )


@dataclass
class World:
    """What is scraped, and what was published. `scrapes` counts Envoy's."""

    backends: dict[str, Backend] = field(default_factory=dict)
    pods: dict[str, tuple[str, str]] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=list)
    scrapes: int = 0
    broken: bool = False
    port: int = 0

    def answer(self, path: str) -> tuple[int, str]:
        match path.partition("?")[0].split("/"):
            case ["", "stats", "prometheus"]:
                self.scrapes += 1
                return (
                    (503, "") if self.broken else (200, "".join(b.text(f"demo/{n}") for n, b in self.backends.items()))
                )
            case ["", "api", "v1", "services"]:
                return 200, json.dumps({"items": [_object(name, name) for name in self.backends]})
            case ["", "api", "v1", "pods"]:
                items = [
                    {
                        **_object(name, revision),
                        "status": {"phase": "Running"},
                    }
                    for name, (revision, _) in self.pods.items()
                ]
                for item in items:
                    item["metadata"]["annotations"] = {"pointsman.local/port": str(self.port)}
                return 200, json.dumps({"items": items})
            case ["", "metrics"]:
                return 200, next(iter(self.pods.values()))[1]
            case _:
                return 404, ""


def _object(name: str, revision: str) -> dict[str, Any]:
    labels = {"pointsman.dev/service": "digits", "pointsman.dev/revision": revision}
    return {"metadata": {"namespace": "demo", "name": name, "labels": labels}}


@pytest.fixture
def world() -> Iterator[World]:
    made = World({STABLE: Backend(), CANARY: Backend()})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(*made.answer(self.path))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == f"/v1/{TOPIC}:publish"
            made.published += [json.loads(base64.b64decode(message["data"])) for message in body["messages"]]
            self._send(200, "{}")

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/plain")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    made.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield made
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def settings(
    world: World, tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Monitoring runs, scraping the world twenty times a second; settings that find it."""
    monkeypatch.setattr(server, "SCRAPE_S", 0.05)
    own = {"monitoring": free_port(), "monitoring-rest": free_port()}
    ports = {**dict.fromkeys(ENDPOINTS, world.port), **own}
    site = Site(tmp_path, "lab", "us-central1", "c1", ports)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(site, stop),))
    thread.start()
    until(lambda: world.scrapes, lambda scrapes: scrapes >= 2)
    yield Settings("lab", "us-central1", "c1", endpoints={"monitoring": site.address("monitoring")})
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def until(ask: Callable[[], T], good: Callable[[T], object], seconds: float = 20.0) -> T:
    """Ask until the answer is good; bounded."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if good(answer):
            return answer
        assert time.monotonic() < end, f"still {answer!r}"
        time.sleep(0.02)


def now() -> datetime:
    return datetime.now(UTC)


def read(settings: Settings, *, sets: tuple[str, ...] = ("Gateway",)) -> dict[str, dict[str, PodCounters]]:
    """Revision → pod and metric set → counters."""
    found = metrics.connect(settings, "c1", "envoy").pods("demo", "digits", [STABLE, CANARY], now(), metric_sets=sets)
    return {revision: {f"{pod.pod} {pod.metric_set}": pod for pod in pods} for revision, pods in found.items()}


def envoy(settings: Settings, revision: str) -> PodCounters | None:
    return read(settings).get(revision, {}).get("* Gateway")


def test_counters_of_both_sides_are_read_with_their_start(settings: Settings, world: World) -> None:
    world.backends[STABLE] = Backend(100, 100, 97, 0, (50, 40, 10))
    world.backends[CANARY] = Backend(7, 7, 4, None, (3, 3, 1))
    until(lambda: envoy(settings, CANARY), lambda pod: pod and pod.requests == 7)
    world.backends[CANARY] = Backend(27, 27, 20, 3, (13, 9, 5))
    until(lambda: envoy(settings, CANARY), lambda pod: pod and "5xx" not in pod.bad and pod.requests == 27)
    world.backends[CANARY] = Backend(30, 30, 20, 6, (13, 9, 8))
    canary = until(lambda: envoy(settings, CANARY), lambda pod: pod and pod.bad.get("5xx") and sum(pod.latency) == 30)
    assert canary is not None
    assert (canary.requests, canary.edges_ms, canary.latency) == (30, (10.0, 11.0), (13, 9, 8))
    assert canary.bad == {"5xx": 3}  # the first three came with the series, and only say where it stood
    assert timedelta(0) < canary.sampled_at - canary.started_at < timedelta(minutes=1)
    stable = envoy(settings, STABLE)
    assert stable is not None
    assert (stable.requests, stable.bad, stable.latency) == (100, {"5xx": 0}, (50, 40, 10))


def test_requests_without_a_connection_count_as_answered_and_bad(settings: Settings, world: World) -> None:
    world.backends[CANARY] = Backend(0, 0, None, 0)
    until(lambda: envoy(settings, CANARY), lambda pod: pod and "5xx" in pod.bad)
    world.backends[CANARY] = Backend(0, 12, None, 12)
    canary = until(lambda: envoy(settings, CANARY), lambda pod: pod and pod.requests)
    assert canary is not None
    assert (canary.requests, canary.bad) == (12, {"5xx": 12})


def test_the_split_that_was_seen_is_counted_by_the_gateway(settings: Settings, world: World) -> None:
    source = metrics.connect(settings, "projects/lab/locations/us-central1/clusters/c1", "envoy")
    world.backends[STABLE].total, world.backends[CANARY].total = 95, 5
    split = until(lambda: source.gateway("demo", "digits", now()), lambda counts: 5 in counts.values())
    assert split == {STABLE: 95, CANARY: 5}
    assert source.gateway("demo", "other", now()) == {}


def test_a_gateway_that_starts_again_counts_from_zero_with_a_new_start(settings: Settings, world: World) -> None:
    world.backends[CANARY] = Backend(50, 50)
    before = until(lambda: envoy(settings, CANARY), lambda pod: pod and pod.requests == 50)
    world.backends[CANARY] = Backend(3, 3)
    after = until(lambda: envoy(settings, CANARY), lambda pod: pod and pod.requests < 50)
    assert before is not None
    assert after is not None
    assert after.requests == 3
    assert after.started_at > before.sampled_at


def test_a_revision_nobody_counts_is_absent_and_never_zero(settings: Settings, world: World) -> None:
    until(lambda: envoy(settings, STABLE), lambda pod: pod)
    source = metrics.connect(settings, "c1", "envoy")
    assert source.pods("demo", "digits", ["digits-ffffffff"], now()) == {}
    assert source.pods("elsewhere", "digits", [STABLE], now()) == {}
    assert source.pods("demo", "digits", [STABLE], now() - timedelta(hours=1)) == {}
    assert metrics.connect(settings, "c2", "envoy").pods("demo", "digits", [STABLE], now()) == {}


def test_when_the_gateway_is_silent_its_counters_grow_old_and_then_absent(
    settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: envoy(settings, STABLE), lambda pod: pod)
    monkeypatch.setitem(metrics.LOOKBACK, "envoy", timedelta(seconds=0.5))
    world.broken = True
    until(lambda: envoy(settings, STABLE), lambda pod: pod is None)
    world.broken = False
    until(lambda: envoy(settings, STABLE), lambda pod: pod)


VLLM = """
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{handler="/v1/chat/completions",le="+Inf"}} {total}
http_request_duration_seconds_bucket{{handler="/health",le="+Inf"}} 999
# TYPE http_requests_total counter
http_requests_total{{handler="/v1/chat/completions",status="2xx"}} {good}
http_requests_total{{handler="/v1/chat/completions",status="4xx"}} {refused}
http_requests_total{{handler="/health",status="2xx"}} 999
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{{le="0.5",model_name="m"}} {total}
vllm:time_to_first_token_seconds_bucket{{le="+Inf",model_name="m"}} {total}
# TYPE vllm:inter_token_latency_seconds histogram
vllm:inter_token_latency_seconds_bucket{{le="0.025",model_name="m"}} {tokens}
vllm:inter_token_latency_seconds_bucket{{le="+Inf",model_name="m"}} {tokens}
"""


def test_a_model_servers_own_series_are_read_by_pod(settings: Settings, world: World) -> None:
    world.pods["digits-b-1"] = CANARY, VLLM.format(total=0, good=0, refused=0, tokens=0)
    until(
        lambda: read(settings, sets=("VLLM",)).get(CANARY, {}),
        lambda pods: "digits-b-1 VLLM" in pods and "5xx" in pods["digits-b-1 VLLM"].bad,
    )
    world.pods["digits-b-1"] = CANARY, VLLM.format(total=100, good=80, refused=15, tokens=4000)
    pods = until(
        lambda: read(settings, sets=("Gateway", "VLLM")).get(CANARY, {}),
        lambda pods: pods.get("digits-b-1 VLLM inter-token") and pods["digits-b-1 VLLM inter-token"].requests,
    )
    assert sorted(pods) == ["* Gateway", "digits-b-1 VLLM", "digits-b-1 VLLM inter-token"]
    server_side, tokens = pods["digits-b-1 VLLM"], pods["digits-b-1 VLLM inter-token"]
    assert (server_side.requests, dict(server_side.bad)) == (100, {"4xx": 15, "5xx": 5})
    assert (server_side.edges_ms, server_side.latency) == ((500.0,), (100, 0))
    assert (tokens.requests, tokens.edges_ms, tokens.latency) == (4000, (25.0,), (4000, 0))


def test_a_source_that_does_not_answer_is_unavailable(settings: Settings, free_port: Callable[[], int]) -> None:
    gone = replace(settings, endpoints={"monitoring": f"127.0.0.1:{free_port()}"})
    with pytest.raises(Unavailable):
        read(gone)


def test_another_project_and_unknown_sets_are_refused(settings: Settings) -> None:
    with pytest.raises(Invalid, match="KServe"):
        read(settings, sets=("KServe",))
    with pytest.raises(Exception, match="projects/other does not exist") as refused:
        metrics.connect(replace(settings, project="other"), "c1", "envoy").gateway("demo", "digits", now())
    assert not isinstance(refused.value, (Unavailable, Denied))


def test_an_alert_policy_fires_into_its_topic_and_closes(settings: Settings, world: World) -> None:
    policies = client(v3.AlertPolicyServiceClient, settings, "monitoring")
    channels = client(v3.NotificationChannelServiceClient, settings, "monitoring")
    channel = channels.create_notification_channel(
        name="projects/lab", notification_channel=v3.NotificationChannel(type_="pubsub", labels={"topic": TOPIC})
    )
    policy = policies.create_alert_policy(
        name="projects/lab",
        alert_policy=v3.AlertPolicy(
            {
                "display_name": "digits queue",
                "combiner": "OR",
                "notification_channels": [channel.name],
                "conditions": [
                    {
                        "display_name": "over 5",
                        "condition_threshold": {
                            "filter": 'metric.type = "prometheus.googleapis.com/queue/gauge" metric.labels.pod != ""',
                            "comparison": "COMPARISON_GT",
                            "threshold_value": 5,
                        },
                    }
                ],
            }
        ),
    )
    assert [found.name for found in policies.list_alert_policies(name="projects/lab")] == [policy.name]
    assert policies.get_alert_policy(name=policy.name).conditions[0].name.startswith(f"{policy.name}/conditions/")
    for told, queue in ((1, 9), (2, 2)):
        world.pods["digits-b-1"] = CANARY, f"# TYPE queue gauge\nqueue {queue}\n"
        until(lambda: len(world.published), told.__eq__)
    first, last = (message["incident"] for message in world.published)
    assert [first["state"], last["state"]] == ["open", "closed"]
    assert [message["version"] for message in world.published] == ["1.2", "1.2"]
    assert (first["policy_name"], first["metric"]["labels"]["revision"]) == ("digits queue", CANARY)
    assert (first["incident_id"], first["observed_value"], last["observed_value"]) == (
        last["incident_id"],
        "9.000",
        "2.000",
    )
    policies.delete_alert_policy(name=policy.name)
    channels.delete_notification_channel(name=channel.name)
    with pytest.raises(exceptions.NotFound):
        policies.get_alert_policy(name=policy.name)
    assert list(channels.list_notification_channels(name="projects/lab")) == []


def test_what_is_not_imitated_is_refused_by_name(settings: Settings) -> None:
    descriptors = client(v3.MetricServiceClient, settings, "monitoring")
    with pytest.raises(exceptions.MethodNotImplemented, match="MetricService/ListMetricDescriptors"):
        list(descriptors.list_metric_descriptors(name="projects/lab"))
    with pytest.raises(exceptions.MethodNotImplemented, match="REDUCE_STDDEV"):
        descriptors.list_time_series(
            {
                "name": "projects/lab",
                "filter": 'metric.type = "prometheus.googleapis.com/up/gauge"',
                "interval": {"end_time": now(), "start_time": now() - timedelta(seconds=60)},
                "aggregation": {
                    "alignment_period": {"seconds": 60},
                    "per_series_aligner": "ALIGN_MEAN",
                    "cross_series_reducer": "REDUCE_STDDEV",
                },
            }
        )


def test_counters_and_policies_survive_a_crash(world: World, local_process: Callable[..., Any]) -> None:
    process = local_process(
        "monitoring", ports={"envoy-admin": world.port, "kubernetes": world.port, "pubsub-rest": world.port}
    )
    ready = f"http://127.0.0.1:{world.port}/api/v1/services"
    settings = Settings("lab", "us-central1", "c1", endpoints={"monitoring": process.site.address("monitoring")})
    world.backends[STABLE].total = 40
    process.start(ready)
    until(lambda: world.scrapes, lambda scrapes: scrapes >= 2)
    world.backends[STABLE].total = 50
    before = until(lambda: _patiently(settings), lambda pod: pod and pod.requests == 10)
    policies = client(v3.AlertPolicyServiceClient, settings, "monitoring")
    threshold = {
        "filter": 'metric.type = "prometheus.googleapis.com/up/gauge"',
        "comparison": "COMPARISON_LT",
        "threshold_value": -1,
    }
    policy = policies.create_alert_policy(
        name="projects/lab",
        alert_policy=v3.AlertPolicy(
            {
                "display_name": "never",
                "combiner": "OR",
                "conditions": [{"display_name": "never", "condition_threshold": threshold}],
            }
        ),
    )
    process.kill()
    world.backends[STABLE].total = 75
    process.start(ready)
    after = until(lambda: _patiently(settings), lambda pod: pod and pod.requests == 35)
    assert before is not None
    assert after is not None
    assert after.started_at == before.started_at
    found = client(v3.AlertPolicyServiceClient, settings, "monitoring").list_alert_policies(name="projects/lab")
    assert [kept.name for kept in found] == [policy.name]
    assert process.stop() == 0


def _patiently(settings: Settings) -> PodCounters | None:
    """Also while the process is still starting."""
    try:
        return envoy(settings, STABLE)
    except Unavailable:
        return None


OWN = """
# TYPE answers_total counter
answers_total{{kind="chat"}} {answers}
answers_total{{kind="probe"}} 999
# TYPE refusals_total counter
refusals_total{{kind="chat"}} {refusals}
# TYPE think_seconds histogram
think_seconds_bucket{{le="0.5"}} {answers}
think_seconds_bucket{{le="+Inf"}} {answers}
think_seconds_sum {answers}
think_seconds_count {answers}
# TYPE score_total counter
score_total {score}
# TYPE squares_total counter
squares_total {squares}
"""


def test_metrics_of_ones_own_are_read_by_their_selectors(settings: Settings, world: World) -> None:
    own: list[dict[str, object]] = [
        {"name": "refusals", "type": "Ratio", "bad": "refusals_total", "total": 'answers_total{kind="chat"}'},
        {"name": "think", "type": "Latency", "histogram": "think_seconds"},
        {
            "name": "score",
            "type": "Mean",
            "count": 'answers_total{kind="chat"}',
            "sum": "score_total",
            "sumOfSquares": "squares_total",
        },
    ]
    source = metrics.connect(settings, "c1", "envoy")

    def sets() -> dict[str, PodCounters]:
        found = source.pods("demo", "digits", [CANARY], now(), metric_sets=(), own=own)
        return {pod.metric_set: pod for pod in found.get(CANARY, ())}

    world.pods["digits-b-1"] = CANARY, OWN.format(answers=0, refusals=0, score=0, squares=0)
    until(sets, lambda found: len(found) == 3)
    world.pods["digits-b-1"] = CANARY, OWN.format(answers=40, refusals=3, score=30.5, squares=25.25)
    found = until(sets, lambda found: found.get("score") and found["score"].sums[:1] == (40.0,))
    assert (found["refusals"].requests, found["refusals"].bad) == (40, {"bad": 3})
    assert (found["think"].edges_ms, found["think"].latency) == ((500.0,), (40, 0))
    assert found["score"].sums == (40.0, 30.5, 25.25)


def test_the_past_of_a_revision_is_read_as_it_stood(settings: Settings, world: World) -> None:
    world.backends[STABLE] = Backend(10, 10, 10, 0, (10, 0, 0))
    until(lambda: envoy(settings, STABLE), lambda pod: pod and pod.requests == 10)
    first = now()
    world.backends[STABLE] = Backend(30, 30, 29, 1, (20, 10, 0))
    until(lambda: envoy(settings, STABLE), lambda pod: pod and pod.requests == 30)
    source = metrics.connect(settings, "c1", "envoy")
    before, then, last = source.past("demo", STABLE, [first - timedelta(hours=1), first, now()])
    assert list(before) == []
    assert [(pod.pod, pod.requests, pod.latency) for pod in then] == [("*", 10, (10, 0, 0))]
    assert [(pod.requests, pod.latency) for pod in last] == [(30, (20, 10, 0))]
    assert source.past("demo", "digits-ffffffff", [first, now()]) == [[], []]
