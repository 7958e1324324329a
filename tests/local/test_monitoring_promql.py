"""PromQL over a small store: expected values are written out, from what the series counted."""

import math
from collections.abc import Mapping

import pytest

from pointsman_local.monitoring.exposition import Histogram, Sample
from pointsman_local.monitoring.promql import Query
from pointsman_local.monitoring.series import Reading, Store
from pointsman_local.monitoring.wire import Refused

BEGAN, END = 1000.0, 1120.0
TARGET = {"namespace": "demo", "job": "j"}
RUN = "run.googleapis.com/request_count"


def store() -> Store:
    """Two minutes, a point every ten seconds; what is scraped counts from its first sample on."""
    made = Store(BEGAN)
    for step in range(13):
        at = BEGAN + 10 * step
        for pod, rate in (("a", 1.0), ("b", 3.0)):
            made.write(Sample("requests_total", "counter", (("pod", pod),), 100 + rate * 10 * step), at, TARGET, {})
        made.write(Sample("load", "gauge", (("pod", "a"),), float(step)), at, TARGET, {})
        if step < 5:
            made.write(Sample("gone", "gauge", (), 1.0), at, TARGET, {})
        counts = (6 * step, 3 * step, step)
        made.write(Sample("seconds", "histogram", (), Histogram((0.1, 1.0), counts, 2.0 * step)), at, TARGET, {})
        service = {"service_name": "pointsman-sweep"}
        made.put(Reading(RUN, "cloud_run_revision", True, float(step), service, {"response_code": "200"}), at, BEGAN)
        if step >= 6:  # a counter that begins in the middle, with two at once
            started = Reading(RUN, "cloud_run_revision", True, 2.0, service, {"response_code": "500"})
            made.put(started, at, at - 10.0)
    return made


STORE = store()


def answer(promql: str, at: float = END) -> dict[str, float]:
    """Labels, but for those of the target, as text → value."""
    found = {}
    for labels, value in Query(promql).at(STORE, at):
        shown = {name: text for name, text in labels.items() if name not in TARGET}
        found[",".join(f"{name}={text}" for name, text in sorted(shown.items()))] = round(value, 6)
    return found


RESET = 'run_googleapis_com:request_count{monitored_resource="cloud_run_revision",response_code="500"}'


@pytest.mark.parametrize(
    ("promql", "expected"),
    [
        ("1 + 2 * 3", {"": 7.0}),
        ("2 ^ 3 % 5", {"": 3.0}),
        ("load", {"pod=a": 12.0}),
        ('{"prometheus.googleapis.com/load/gauge", pod="a"}', {"pod=a": 12.0}),
        ("load offset 1m", {"pod=a": 6.0}),
        ("-load", {"pod=a": -12.0}),
        ("gone", {}),
        ("rate(requests_total[1m])", {"pod=a": 1.0, "pod=b": 3.0}),
        ("increase(requests_total[20s])", {"pod=a": 20.0, "pod=b": 60.0}),
        ('increase(requests_total{pod!="a"}[20s])', {"pod=b": 60.0}),
        ('increase(requests_total{pod=~"a|c"}[20s])', {"pod=a": 20.0}),
        ('increase(requests_total{pod!~"a|c"}[20s])', {"pod=b": 60.0}),
        ("sum(rate(requests_total[1m]))", {"": 4.0}),
        ("avg by (namespace) (rate(requests_total[1m]))", {"": 2.0}),
        ("max without (pod) (rate(requests_total[1m]))", {"": 3.0}),
        ("count(requests_total)", {"": 2.0}),
        ("topk(1, rate(requests_total[1m]))", {"pod=b": 3.0}),
        ("bottomk(1, rate(requests_total[1m]))", {"pod=a": 1.0}),
        ("avg_over_time(load[30s])", {"pod=a": 11.0}),
        ("min_over_time(load[30s]) + max_over_time(load[30s])", {"pod=a": 22.0}),
        ("sum_over_time(load[30s]) / count_over_time(load[30s])", {"pod=a": 11.0}),
        ("last_over_time(gone[2m])", {"": 1.0}),
        ("rate(requests_total[1m]) > 2", {"pod=b": 3.0}),
        ("rate(requests_total[1m]) > bool 2", {"pod=a": 0.0, "pod=b": 1.0}),
        ("2 < rate(requests_total[1m])", {"pod=b": 3.0}),
        ("load / 0", {"pod=a": math.inf}),
        ("requests_total and on (pod) load", {"pod=a": 120.0}),
        ("requests_total unless on (pod) load", {"pod=b": 360.0}),
        ("load or vector(0)", {"pod=a": 12.0, "": 0.0}),
        ("gone or vector(0)", {"": 0.0}),
        ("rate(requests_total[1m]) / on (pod) load", {"pod=a": 0.083333}),
        (
            "rate(requests_total[1m]) / ignoring (pod) group_left sum without (pod) (rate(requests_total[1m]))",
            {"pod=a": 0.25, "pod=b": 0.75},
        ),
        (
            "sum by (job) (rate(requests_total[1m])) * on (job) group_right rate(requests_total[1m])",
            {"pod=a": 4.0, "pod=b": 12.0},
        ),
        ("absent(gone)", {"": 1.0}),
        ("absent(load)", {}),
        ("clamp_max(load, 5) - clamp_min(load, 20)", {"pod=a": -15.0}),
        ("scalar(load) * 2", {"": 24.0}),
        ("increase(seconds_count[1m])", {"": 60.0}),
        ("increase(seconds_sum[1m])", {"": 12.0}),
        ("increase(seconds_bucket[1m])", {"le=0.1": 36.0, "le=1": 54.0, "le=+Inf": 60.0}),
        ("histogram_quantile(0.5, rate(seconds_bucket[1m]))", {"": 0.083333}),
        ("histogram_quantile(0.75, sum by (le) (rate(seconds_bucket[1m])))", {"": 0.55}),
        ("histogram_quantile(0.99, rate(seconds_bucket[1m]))", {"": 1.0}),
        ('label_replace(load, "letter", "is-$1", "pod", "(.).*")', {"letter=is-a,pod=a": 12.0}),
        ('label_replace(load, "letter", "$1", "pod", "x(.*)")', {"pod=a": 12.0}),
        ('label_join(load, "both", "-", "namespace", "pod")', {"both=demo-a,pod=a": 12.0}),
        (
            f"increase({RESET}[2m])",
            {"monitored_resource=cloud_run_revision,response_code=500,service_name=pointsman-sweep": 2.0},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_query_is_answered(promql: str, expected: Mapping[str, float]) -> None:
    assert answer(promql) == expected


def test_a_counter_that_began_anew_counts_from_nothing() -> None:
    made = Store(BEGAN)
    for step, value in enumerate((50.0, 60.0, 5.0, 8.0)):
        made.write(Sample("requests_total", "counter", (), value), BEGAN + 10 * step, {}, {})
    ((_, increase),) = Query("increase(requests_total[30s])").at(made, BEGAN + 30)
    assert increase == 10.0 + 5.0 + 3.0


def test_who_counts_anew_is_known_by_when_it_began_whatever_it_has_counted_since() -> None:
    made = Store(BEGAN)
    service = {"service_name": "pointsman-notify"}
    for at, began, value in ((10.0, 0.0, 4.0), (20.0, 0.0, 4.0), (30.0, 25.0, 4.0), (40.0, 25.0, 9.0)):
        reading = Reading(RUN, "cloud_run_revision", True, value, service)
        made.put(reading, BEGAN + at, BEGAN, began=BEGAN + began)
    ((_, increase),) = Query("increase(run_googleapis_com:request_count[25s])").at(made, BEGAN + 40)
    assert increase == 4.0 + 5.0


def test_half_of_nothing_is_not_a_number() -> None:
    ((_, value),) = Query("vector(0) / vector(0)").at(STORE, END)
    assert math.isnan(value)
    assert answer("vector(0) / vector(0) > 0") == {}


@pytest.mark.parametrize(
    ("promql", "code", "says"),
    [
        ("sum(", "INVALID_ARGUMENT", "invalid PromQL"),
        ("rate(load)", "INVALID_ARGUMENT", "expected type matrix"),
        ('{pod="a"}', "INVALID_ARGUMENT", "metric name"),
        ('{__name__=~"lo.*"}', "UNIMPLEMENTED", "metric name by a regular expression"),
        ("load @ 100", "UNIMPLEMENTED", "@"),
        ("max_over_time(rate(requests_total[1m])[2m:10s])", "UNIMPLEMENTED", "SubqueryExpr"),
        ("stddev(load)", "UNIMPLEMENTED", "stddev"),
        ("deriv(load[1m])", "UNIMPLEMENTED", "deriv"),
        ("requests_total / on (job) requests_total", "INVALID_ARGUMENT", "matching must be unique"),
        ("requests_total / on (job) load", "INVALID_ARGUMENT", "many-to-one"),
        ('"text"', "INVALID_ARGUMENT", "string"),
    ],
)
def test_what_is_wrong_or_not_imitated_is_refused_by_name(promql: str, code: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        Query(promql).at(STORE, END)
    assert refused.value.code.name == code
