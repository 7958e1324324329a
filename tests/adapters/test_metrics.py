"""Counters as the adapter makes them of what Cloud Monitoring answers: load balancers, errors, odd histograms.

The answers are canned, and served over gRPC to Google's unmodified client; the Prometheus series are tested against
the local Monitoring.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.cloud import monitoring_v3 as v3

from pointsman.adapters.endpoints import Settings
from pointsman.adapters.metrics import CloudMetrics, connect
from pointsman.errors import Absent, Denied, Invalid, PointsmanError, Unavailable

AT = datetime(2026, 11, 22, 14, 30, 42, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
REVISIONS = ["chat-0000000a", "chat-0000000b"]
REGIONAL = "gke-l7-regional-external-managed"


@dataclass
class Service:
    """ListTimeSeries that answers by metric type, in pages; `refusal` answers everything."""

    answers: dict[str, list[list[dict[str, Any]]]] = field(default_factory=dict)
    refusal: tuple[grpc.StatusCode, str] | None = None
    asked: list[Any] = field(default_factory=list)
    address: str = ""

    def list(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(request)
        if self.refusal is not None:
            context.abort(*self.refusal)
        metric = request.filter.partition('metric.type = "')[2].partition('"')[0].rpartition("/")
        pages = self.answers.get(metric[2], [[]])
        number = int(request.page_token or 0)
        answer = v3.ListTimeSeriesResponse({"time_series": pages[number]})
        answer.next_page_token = str(number + 1) if number + 1 < len(pages) else ""
        return v3.ListTimeSeriesResponse.pb(answer)

    def metrics(self, gateway_class: str) -> CloudMetrics:
        return connect(
            Settings("lab", "us-central1", "c1", endpoints={"monitoring": self.address}), "c1", gateway_class
        )


@pytest.fixture
def service(free_port: Callable[[], int]) -> Iterator[Service]:
    made = Service(address=f"127.0.0.1:{free_port()}")
    handler: Any = grpc.unary_unary_rpc_method_handler(
        made.list,
        request_deserializer=v3.ListTimeSeriesRequest.pb(v3.ListTimeSeriesRequest()).__class__.FromString,
        response_serializer=lambda answer: answer.SerializeToString(),
    )
    served = grpc.server(ThreadPoolExecutor(2))
    served.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("google.monitoring.v3.MetricService", {"ListTimeSeries": handler}),)
    )
    served.add_insecure_port(made.address)
    served.start()
    yield made
    served.stop(None).wait()


def target(revision: str) -> str:
    return f"gkegw1-4f7c-nlp-{revision}-8000-x1y2z3"


def balanced(revision: str, code_class: str, requests: int) -> dict[str, Any]:
    return {
        "resource": {"type": "http_external_regional_lb_rule", "labels": {"backend_target_name": target(revision)}},
        "metric": {"labels": {"response_code_class": code_class}},
        "points": [{"interval": {"end_time": AT}, "value": {"int64_value": requests}}],
    }


def latencies(revision: str, counts: list[int], **options: Any) -> dict[str, Any]:
    return {
        "resource": {"labels": {"backend_target_name": target(revision)}},
        "points": [
            {
                "interval": {"end_time": AT},
                "value": {
                    "distribution_value": {"count": sum(counts), "bucket_counts": counts, "bucket_options": options}
                },
            }
        ],
    }


def test_a_load_balancers_counts_are_those_since_midnight(service: Service) -> None:
    service.answers = {
        "request_count": [
            [balanced(REVISIONS[0], "200", 9000), balanced(REVISIONS[0], "500", 30)],
            [balanced(REVISIONS[1], "200", 400), balanced(REVISIONS[1], "0", 7), balanced(REVISIONS[1], "400", 3)],
        ],
        "backend_latencies": [
            [
                latencies(
                    REVISIONS[0],
                    [0, 5, 3],
                    exponential_buckets={"num_finite_buckets": 3, "growth_factor": 2.0, "scale": 10.0},
                )
            ]
        ],
    }
    found = service.metrics(REGIONAL).pods("nlp", "chat", REVISIONS, AT)
    ((stable,), (canary,)) = (found[revision] for revision in REVISIONS)
    assert (stable.pod, stable.requests, stable.bad) == ("*", 9030, {"5xx": 30})
    assert (stable.edges_ms, stable.latency) == ((10.0, 20.0, 40.0, 80.0), (0, 5, 3, 0, 0))
    assert (canary.requests, canary.bad, canary.latency) == (410, {"5xx": 7}, ())  # no answer at all is bad
    assert (canary.started_at, canary.sampled_at) == (MIDNIGHT, AT.replace(second=0))


def test_a_load_balancer_is_asked_for_one_sum_over_the_day(service: Service) -> None:
    service.metrics(REGIONAL).pods("nlp", "chat", REVISIONS, AT)
    request = service.asked[0]
    assert request.name == "projects/lab"
    assert "loadbalancing.googleapis.com/https/external/regional/request_count" in request.filter
    assert 'full_match(".*-nlp-(chat-0000000a|chat-0000000b)-.*")' in request.filter
    assert request.aggregation.alignment_period.seconds == (14 * 60 + 30) * 60
    assert request.interval.start_time.ToDatetime(tzinfo=UTC) == MIDNIGHT


@pytest.mark.parametrize(
    ("at", "start"),
    [
        pytest.param(
            datetime(2026, 11, 22, 0, 0, 40, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC), id="day-that-ended"
        ),
        pytest.param(datetime(2026, 11, 22, 0, 1, 0, tzinfo=UTC), MIDNIGHT, id="first-minute"),
    ],
)
def test_no_minute_is_counted_in_two_days(service: Service, at: datetime, start: datetime) -> None:
    service.answers = {"request_count": [[balanced(REVISIONS[0], "200", 1)]]}
    ((pod,),) = service.metrics(REGIONAL).pods("nlp", "chat", REVISIONS[:1], at).values()
    assert pod.started_at == start


def test_the_split_seen_by_a_load_balancer_is_by_revision(service: Service) -> None:
    service.answers = {"request_count": [[balanced(REVISIONS[0], "200", 95), balanced(REVISIONS[1], "200", 5)]]}
    assert service.metrics("gke-l7-rilb").gateway("nlp", "chat", AT) == {REVISIONS[0]: 95, REVISIONS[1]: 5}


@pytest.mark.parametrize(
    ("gateway_class", "prefix"),
    [
        ("gke-l7-global-external-managed", "https/request_count"),
        ("gke-l7-global-external-managed-mc", "https/request_count"),
        (REGIONAL, "https/external/regional/request_count"),
        ("gke-l7-rilb", "https/internal/request_count"),
    ],
)
def test_each_class_of_gateway_has_its_own_metrics(service: Service, gateway_class: str, prefix: str) -> None:
    service.metrics(gateway_class).gateway("nlp", "chat", AT)
    assert f"loadbalancing.googleapis.com/{prefix}" in service.asked[0].filter


def test_a_class_without_known_metrics_is_refused_but_the_servers_own_are_read(service: Service) -> None:
    metrics = service.metrics("gke-l7-gxlb")
    with pytest.raises(Invalid, match="gke-l7-gxlb"):
        metrics.pods("nlp", "chat", REVISIONS, AT)
    assert metrics.pods("nlp", "chat", REVISIONS, AT, metric_sets=("Triton",)) == {}


def scraped(pod: str, count: int, *, start: int = 0, end: int = 100, **labels: str) -> dict[str, Any]:
    return {
        "metric": {"labels": {"revision": REVISIONS[0], "pod": pod, **labels}},
        "points": [
            {
                "interval": {"start_time": {"seconds": start}, "end_time": {"seconds": end}},
                "value": {"double_value": count},
            }
        ],
    }


def test_what_a_restarted_container_no_longer_has_is_not_added_to_it(service: Service) -> None:
    service.answers = {
        "counter": [
            [
                scraped("a", 500, start=10, end=85, model="old"),
                scraped("a", 20, start=90, end=100, model="new"),
                scraped("b", 70, start=20, end=100, model="new"),
                scraped("b", 7, start=60, end=100, model="other"),
            ]
        ]
    }
    first, second = service.metrics(REGIONAL).pods("nlp", "chat", REVISIONS, AT, metric_sets=("TGI",))[REVISIONS[0]]
    assert (first.pod, first.requests, first.started_at.timestamp()) == ("a", 20, 90.0)
    assert (second.pod, second.requests, second.started_at.timestamp()) == ("b", 77, 20.0)


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, "try later", Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "quota of reads", Unavailable),
        (grpc.StatusCode.INTERNAL, "oops", Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "slow", Unavailable),
        (grpc.StatusCode.ABORTED, "again", Unavailable),
        (grpc.StatusCode.PERMISSION_DENIED, "no", Denied),
        (grpc.StatusCode.UNAUTHENTICATED, "who", Denied),
        (grpc.StatusCode.INVALID_ARGUMENT, "what", Invalid),
        (grpc.StatusCode.UNIMPLEMENTED, "not here", Invalid),
        (grpc.StatusCode.NOT_FOUND, "the project is gone", Absent),
    ],
)
def test_refusals_are_told_apart(
    service: Service, code: grpc.StatusCode, message: str, expected: type[PointsmanError]
) -> None:
    service.refusal = code, message
    with pytest.raises(expected, match=message):
        service.metrics("envoy").gateway("nlp", "chat", AT)
    assert len(service.asked) == 1  # whether to ask again is the rollout's to say


def test_a_metric_that_nobody_ever_wrote_is_no_series(service: Service) -> None:
    service.refusal = grpc.StatusCode.NOT_FOUND, 'Cannot find metric(s) that match type = "x".'
    assert service.metrics("envoy").pods("nlp", "chat", REVISIONS, AT) == {}
