"""What is scraped, how it is kept, and what filters and aggregations make of it: all without a server."""

from math import inf

import pytest
from google.cloud import monitoring_v3 as v3

from pointsman_local.monitoring.align import Aggregation, aligned, reduced
from pointsman_local.monitoring.exposition import Histogram, Sample, parse
from pointsman_local.monitoring.filters import parse as parse_filter
from pointsman_local.monitoring.query import list_time_series
from pointsman_local.monitoring.series import Distribution, Series, Store
from pointsman_local.monitoring.wire import Refused, message

RESOURCE = {"project_id": "lab", "cluster": "c1", "namespace": "demo", "job": "j", "instance": "i"}
REQUESTS = "prometheus.googleapis.com/requests_total/counter"

ENVOY = """
# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{envoy_cluster_name="demo/digits-0a1b2c3d"} 60
# TYPE envoy_cluster_membership_healthy gauge
envoy_cluster_membership_healthy{envoy_cluster_name="demo/digits-0a1b2c3d"} 1
# TYPE envoy_cluster_upstream_rq_time histogram
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="demo/digits-0a1b2c3d",le="1.10000000000000008881"} 1
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="demo/digits-0a1b2c3d",le="1.20999999999999996447"} 4
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="demo/digits-0a1b2c3d",le="+Inf"} 60
envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="demo/digits-0a1b2c3d"} 5308.33960557464
envoy_cluster_upstream_rq_time_count{envoy_cluster_name="demo/digits-0a1b2c3d"} 60
"""


def test_envoys_text_becomes_counters_gauges_and_disjoint_buckets() -> None:
    cluster = (("envoy_cluster_name", "demo/digits-0a1b2c3d"),)
    assert parse(ENVOY) == [
        Sample("envoy_cluster_upstream_rq_total", "counter", cluster, 60.0),
        Sample("envoy_cluster_membership_healthy", "gauge", cluster, 1.0),
        Sample(
            "envoy_cluster_upstream_rq_time",
            "histogram",
            cluster,
            Histogram((1.1, 1.21), (1, 3, 56), 5308.33960557464),
        ),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("up 1", [Sample("up", "unknown", (), 1.0)], id="no-type"),
        pytest.param("# TYPE a untyped\na 2 1700000000000", [Sample("a", "unknown", (), 2.0)], id="timestamp-ignored"),
        pytest.param("# HELP a b c\n# TYPE a gauge\na NaN", 1, id="not-a-number"),
        pytest.param("# TYPE a gauge\na +Inf", [Sample("a", "gauge", (), inf)], id="infinite"),
        pytest.param(
            '# TYPE a counter\na{p="x\\"y\\\\z\\n",q=""} 1',
            [Sample("a", "counter", (("p", 'x"y\\z\n'), ("q", "")), 1.0)],
            id="escapes",
        ),
        pytest.param(
            "# TYPE a counter\na_total 5\na_created 1.7e9\n# EOF",
            [Sample("a_total", "counter", (), 5.0)],
            id="openmetrics",
        ),
        pytest.param('# TYPE a summary\na{quantile="0.5"} 1\na_sum 1\na_count 1', [], id="summaries-are-left-out"),
        pytest.param('# TYPE a histogram\na_bucket{le="1"} 1', [], id="half-a-histogram-is-left-out"),
    ],
)
def test_the_formats_corners(text: str, expected: object) -> None:
    found = parse(text)
    assert len(found) == expected if isinstance(expected, int) else found == expected


def test_text_that_is_none_is_refused_with_its_line() -> None:
    with pytest.raises(ValueError, match="not a sample: <html>"):
        parse("a 1\n<html>oops</html>")


def counter(value: float, **labels: str) -> Sample:
    return Sample("requests_total", "counter", tuple(sorted(labels.items())), value)


def only(store: Store) -> Series:
    (series,) = store.of_type(REQUESTS)
    return series


def test_a_counters_first_sample_only_says_where_it_stood() -> None:
    store = Store(0.0)
    for at, value in ((100.0, 7.0), (101.0, 9.0), (102.0, 9.0)):
        store.write(counter(value), at, RESOURCE, {})
    assert [(point.start, point.end, point.value) for point in only(store).points] == [
        (100.0, 101.0, 2.0),
        (100.0, 102.0, 2.0),
    ]


def test_a_counter_that_falls_begins_anew_after_every_earlier_sample() -> None:
    store = Store(0.0)
    for at, value in ((100.0, 7.0), (101.0, 9.0), (102.0, 3.0), (103.0, 4.0)):
        store.write(counter(value), at, RESOURCE, {})
    starts = [(point.start, point.value) for point in only(store).points]
    assert starts == [(100.0, 2.0), (102.0 - 0.001, 3.0), (102.0 - 0.001, 4.0)]


def test_where_counters_began_outlives_the_process_and_a_reset_in_between_is_seen() -> None:
    first = Store(0.0)
    for at, value in ((100.0, 7.0), (101.0, 9.0)):
        first.write(counter(value), at, RESOURCE, {})
    going_on, reset = Store(102.0, first.origins), Store(102.0, Store(0.0, first.origins).origins)
    going_on.write(counter(12.0), 103.0, RESOURCE, {})
    assert [(point.start, point.value) for point in only(going_on).points] == [(100.0, 5.0)]
    reset.write(counter(1.0), 104.0, RESOURCE, {})
    assert [(point.start, point.value) for point in only(reset).points] == [(104.0 - 0.001, 1.0)]


def test_series_that_nobody_exports_any_more_are_forgotten_and_points_have_an_age() -> None:
    store = Store(0.0)
    for at in range(0, 1000, 100):
        store.write(counter(float(at)), float(at), RESOURCE, {})
    assert [point.end for point in only(store).points] == [300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0]
    store.forget(1500.0)
    assert only(store)
    store.forget(1501.0)
    assert (list(store.of_type(REQUESTS)), store.origins) == ([], {})


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ('metric.type = "{T}"', True),
        ('metric.type="{T}" AND resource.type = "prometheus_target"', True),
        ('metric.type="{T}" resource.type = "k8s_container"', False),
        ('metric.type="{T}" AND metric.labels.revision = "digits-1"', True),
        ('metric.type="{T}" AND metric.label.revision = "digits-2"', False),
        ('metric.type="{T}" AND metric.labels.revision != "digits-2"', True),
        ('metric.type="{T}" AND metric.labels."revision" = "digits-1"', True),
        ('metric.type="{T}" AND metric.labels.code = 500', True),
        ('metric.type="{T}" AND metric.labels.nothing = ""', True),
        ('metric.type="{T}" AND metric.labels.revision = one_of("digits-2", "digits-1")', True),
        ('metric.type="{T}" AND metric.labels.revision = starts_with("dig")', True),
        ('metric.type="{T}" AND metric.labels.revision = ends_with("dig")', False),
        ('metric.type="{T}" AND metric.labels.revision = has_substring("its-")', True),
        ('metric.type="{T}" AND metric.labels.revision = monitoring.regex.full_match("digits-[0-9]")', True),
        ('metric.type="{T}" AND metric.labels.revision = monitoring.regex.full_match("digits")', False),
        ('metric.type="{T}" AND resource.labels.cluster = "c1" AND resource.label.namespace = "demo"', True),
    ],
)
def test_filters(text: str, matches: bool) -> None:
    series = Series(REQUESTS, True, False, RESOURCE, {"revision": "digits-1", "code": "500"})
    assert parse_filter(text.replace("{T}", REQUESTS)).matches(series) is matches


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ('resource.type = "x"', "INVALID_ARGUMENT", "one metric type"),
        ("metric.type", "INVALID_ARGUMENT", "no comparison"),
        ("metric.type =", "INVALID_ARGUMENT", "ends after"),
        ('metric.type = "a" AND metric.labels.x = one_of()', "INVALID_ARGUMENT", "one_of"),
        ('metric.type = "a" ;', "INVALID_ARGUMENT", "not understood"),
        ('metric.type = "a" OR metric.type = "b"', "UNIMPLEMENTED", "OR"),
        ('metric.type = "a" AND NOT metric.labels.x = "b"', "UNIMPLEMENTED", "NOT"),
        ('metric.type = "a" AND metric.labels.x > 3', "UNIMPLEMENTED", "operator >"),
        ('metric.type = "a" AND metric.labels.x = in_group("b")', "UNIMPLEMENTED", "in_group"),
        ('metric.type = "a" AND group.id = "b"', "UNIMPLEMENTED", "group.id"),
    ],
)
def test_filters_that_are_wrong_or_not_imitated_are_refused(text: str, code: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        parse_filter(text)
    assert refused.value.code.name == code


def two_revisions() -> list[Series]:
    store = Store(0.0)
    for at in range(11):
        for revision, per_second in (("a", 10), ("b", 30)):
            for pod in ("1", "2"):
                store.write(counter(float(at * per_second), revision=revision, pod=pod), float(at), RESOURCE, {})
    return list(store.of_type(REQUESTS))


def test_rates_are_summed_by_revision() -> None:
    how = Aggregation(5.0, "ALIGN_RATE", "REDUCE_SUM", ("metric.label.revision",))
    groups = reduced([(series, aligned(series, how, 0.0, 10.0)) for series in two_revisions()], how)
    assert [(dict(group.metric_labels), [(point.end, point.value) for point in group.points]) for group in groups] == [
        ({"revision": "a"}, [(10.0, 20.0), (5.0, 20.0)]),
        ({"revision": "b"}, [(10.0, 60.0), (5.0, 60.0)]),
    ]


@pytest.mark.parametrize(
    ("aligner", "kind", "expected"),
    [
        ("ALIGN_DELTA", "counter", 8.0),
        ("ALIGN_RATE", "counter", 2.0),
        ("ALIGN_MEAN", "gauge", 6.0),
        ("ALIGN_MAX", "gauge", 9.0),
        ("ALIGN_MIN", "gauge", 3.0),
        ("ALIGN_COUNT", "gauge", 4.0),
    ],
)
def test_aligners(aligner: str, kind: str, expected: float) -> None:
    store = Store(0.0)
    values = (0.0, 1.0, 3.0, 9.0, 3.0, 9.0) if kind == "gauge" else (0.0, 5.0, 1.0, 3.0, 4.0, 8.0)
    for at, value in enumerate(values):
        store.write(Sample("x", kind, (), value), float(at), RESOURCE, {})
    (series,) = store.of_type(f"prometheus.googleapis.com/x/{kind}")
    assert [point.value for point in aligned(series, Aggregation(4.0, aligner), 1.0, 5.0)] == [expected]


def test_a_percentile_is_of_what_was_observed_inside_the_period() -> None:
    store = Store(0.0)
    for at, counts in enumerate(((0, 0, 0), (100, 0, 0), (100, 50, 50))):
        store.write(Sample("h", "histogram", (), Histogram((1.0, 2.0), counts, 0.0)), float(at), RESOURCE, {})
    (series,) = store.of_type("prometheus.googleapis.com/h/histogram")
    for aligner, expected in (("ALIGN_PERCENTILE_50", 2.0), ("ALIGN_PERCENTILE_05", 1.1), ("ALIGN_PERCENTILE_99", 2.0)):
        (point,) = aligned(series, Aggregation(1.0, aligner), 1.0, 2.0)
        assert point.value == pytest.approx(expected)
    (point,) = aligned(series, Aggregation(1.0, "ALIGN_DELTA"), 1.0, 2.0)
    assert isinstance(point.value, Distribution)
    assert list(point.value.counts) == [0, 50, 50]


@pytest.mark.parametrize(
    ("aligner", "reducer", "code"),
    [
        ("ALIGN_STDDEV", "REDUCE_NONE", "UNIMPLEMENTED"),
        ("ALIGN_RATE", "REDUCE_PERCENTILE_99", "UNIMPLEMENTED"),
        ("ALIGN_NONE", "REDUCE_SUM", "INVALID_ARGUMENT"),
        ("ALIGN_MEAN", "REDUCE_NONE", "INVALID_ARGUMENT"),
    ],
)
def test_aggregations_that_do_not_fit_or_are_not_imitated_are_refused(aligner: str, reducer: str, code: str) -> None:
    series = two_revisions()[0]
    with pytest.raises(Refused) as refused:
        aligned(series, Aggregation(5.0, aligner, reducer), 0.0, 10.0)
    assert refused.value.code.name == code


def request(**fields: object) -> object:
    interval = v3.TimeInterval({"start_time": {"seconds": 2}, "end_time": {"seconds": 10}})
    given = {"name": "projects/lab", "filter": f'metric.type = "{REQUESTS}"', "interval": interval, **fields}
    return v3.ListTimeSeriesRequest.pb(v3.ListTimeSeriesRequest(given))


def stored() -> Store:
    store = Store(0.0)
    for at in range(11):
        for pod in ("1", "2", "3"):
            store.write(counter(float(at), pod=pod), float(at), RESOURCE, {})
    return store


def test_points_are_cumulative_with_their_start_and_newest_first() -> None:
    (first, *_) = list_time_series(request(), stored(), "lab").time_series
    assert [point.interval.end_time.seconds for point in first.points] == [10, 9, 8, 7, 6, 5, 4, 3]
    assert {point.interval.start_time.seconds for point in first.points} == {0}
    assert first.points[0].value.double_value == 10.0
    assert (first.metric_kind, first.value_type, first.resource.type) == (3, 3, "prometheus_target")
    assert dict(first.resource.labels)["cluster"] == "c1"


def test_pages_cover_everything_once() -> None:
    found, token = [], ""
    for _ in range(2):
        answer = list_time_series(request(page_size=2, page_token=token), stored(), "lab")
        found += [series.metric.labels["pod"] for series in answer.time_series]
        token = answer.next_page_token
    assert (found, token) == (["1", "2", "3"], "")


def test_headers_have_no_points() -> None:
    answer = list_time_series(request(view="HEADERS"), stored(), "lab")
    assert [len(series.points) for series in answer.time_series] == [0, 0, 0]


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"name": "projects/other"}, "NOT_FOUND", "projects/other"),
        ({"filter": 'metric.type = "prometheus.googleapis.com/nothing/counter"'}, "NOT_FOUND", "Cannot find metric"),
        ({"order_by": "x"}, "INVALID_ARGUMENT", "order_by"),
        ({"interval": v3.TimeInterval()}, "INVALID_ARGUMENT", "end_time"),
        ({"page_token": "!"}, "INVALID_ARGUMENT", "page_token"),
        ({"secondary_aggregation": {"group_by_fields": ["x"]}}, "UNIMPLEMENTED", "secondary_aggregation"),
    ],
)
def test_requests_that_are_refused(fields: dict[str, object], code: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        list_time_series(request(**fields), stored(), "lab")
    assert refused.value.code.name == code


def test_distributions_have_explicit_buckets_without_trailing_zeros() -> None:
    store = Store(0.0)
    for at, counts in ((1.0, (0, 0, 0, 0)), (2.0, (3, 1, 0, 0))):
        store.write(Sample("h", "histogram", (), Histogram((1.0, 2.0, 4.0), counts, at * 2)), at, RESOURCE, {})
    given = request(
        filter='metric.type = "prometheus.googleapis.com/h/histogram"',
        interval={"end_time": {"seconds": 3}, "start_time": {"seconds": 1}},
    )
    (series,) = list_time_series(given, store, "lab").time_series
    value = series.points[0].value.distribution_value
    assert (series.value_type, value.count, value.mean) == (5, 4, 0.5)
    assert list(value.bucket_options.explicit_buckets.bounds) == [1.0, 2.0, 4.0]
    assert list(value.bucket_counts) == [3, 1]


def test_message_names_the_protobuf_class() -> None:
    assert message("TimeSeries").DESCRIPTOR.full_name == "google.monitoring.v3.TimeSeries"
