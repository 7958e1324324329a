"""Durations, quantities, schedules, time zones and selectors: what is one and what is none."""

from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from pointsman.documents.faults import nearest, path_text
from pointsman.documents.machines import Offer, offer, price_per_hour
from pointsman.documents.pool import Candidate
from pointsman.documents.scalars import duration, quantity, text
from pointsman.documents.schedule import schedule_fault, time_zone_known
from pointsman.documents.selectors import not_a_selector


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("0s", 0), ("90s", 90), ("1h30m", 5400), ("1m30s", 90), ("250ms", 0.25), ("1h1m1s1ms", 3661.001), ("5m5m", 600)],
)
def test_a_duration_has_a_length(written: str, seconds: float) -> None:
    assert duration(written).total_seconds() == seconds


@pytest.mark.parametrize("written", ["", "5", "1.5h", "1d", "-1s", "1 h", "123456s", "1h1h1h1h1h", "h", "1H"])
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        duration(written)


@given(st.integers(0, 10**9))
def test_a_length_is_written_as_the_duration_that_it_was(milliseconds: int) -> None:
    length = timedelta(milliseconds=milliseconds)
    assert duration(text(length)) == length if milliseconds < 99_999 * 3_600_000 else True


@pytest.mark.parametrize(
    ("written", "number"),
    [("1", 1), ("500m", 0.5), ("2Ki", 2048), ("1.5Gi", 1.5 * 2**30), ("1e3", 1000), ("4M", 4e6), (".5", 0.5), (3, 3)],
)
def test_a_quantity_is_kubernetes_own(written: str | int, number: float) -> None:
    assert quantity(written) == pytest.approx(number)


@pytest.mark.parametrize("written", ["", "4 GB", "GB", "1KiB", "1ki", "--1", "1e"])
def test_what_is_no_quantity_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity(written)


SCHEDULES = [
    "0 16 * * FRI",
    "*/5 * * * *",
    "0 9 * * MON-THU",
    "0 0 1,15 * *",
    "30 4 1 jan,jul 0",
    "0 0 * * 7",
    "0 0-6/2 * * *",
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_is_one_that_the_clock_takes_too(schedule: str) -> None:
    assert schedule_fault(schedule) is None
    next(CronSim(schedule, datetime(2026, 1, 1, tzinfo=UTC)))


NO_SCHEDULES = """\
@daily|* * * *|* * * * * *|60 * * * *|* 24 * * *|* * 0 * *|* * * 13 *|* * * * 8|*/0 * * * *|5-1 * * * *
a * * * *|1,, * * * *|0 0 30 feb *|0 0 31 4,6 *|TZ=UTC 0 0 * * *"""


@pytest.mark.parametrize("schedule", ["", *(piece for line in NO_SCHEDULES.splitlines() for piece in line.split("|"))])
def test_what_never_comes_or_is_no_schedule_is_told(schedule: str) -> None:
    assert schedule_fault(schedule)


@pytest.mark.parametrize(
    ("zone", "known"), [("UTC", True), ("Europe/Berlin", True), ("CET+1", False), ("../etc", False)]
)
def test_a_time_zone_is_an_iana_name(zone: str, known: bool) -> None:
    assert time_zone_known(zone) is known


SELECTORS = [
    "http_requests_total",
    "job:http:rate5m",
    'http_requests_total{code=~"5.."}',
    'http_requests_total { code = "500" , handler !~ "/health|/ready", }',
    '{__name__="http_requests_total"}',
    '{"http.requests_total", code="500"}',
    "up{}",
    r'up{path="a\"}b"}',
    "up{path='rate(x[5m])'}",
]


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_series_selector_is_taken(selector: str) -> None:
    assert not_a_selector(selector) is None


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("rate(http_requests_total[5m])", "rate(...) is a function"),
        ("sum by (code) (up)", "sum(...) is a function"),
        ("up[5m]", "has a range"),
        ("up offset 5m", "has an offset"),
        ("a / b", "is an expression"),
        ("a or b", "is an expression"),
        ("{}", "names no metric"),
        ("up{code=500}", "is no series selector"),
        ('up{code="500"', "is no series selector"),
        ("5xx", "is no series selector"),
        ("", "is no series selector"),
    ],
)
def test_what_is_no_series_selector_is_told_why(selector: str, why: str) -> None:
    assert not_a_selector(selector) == why


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("replica", "replicas"),
        ("request_timeout", "requestTimeout"),
        ("Pool", "pool"),
        ("pool-pol", "pool"),
        ("x", None),
    ],
)
def test_the_nearest_name_is_the_one_that_was_probably_meant(name: str, meant: str | None) -> None:
    assert nearest(name, ["model", "replicas", "pool", "requestTimeout"]) == meant


def test_a_path_is_written_as_kubectl_writes_it() -> None:
    assert path_text(("spec", "steps", 2, "weight")) == "spec.steps[2].weight"
    assert path_text(()) == ""


@pytest.mark.parametrize(
    ("candidate", "offered", "price"),
    [
        (Candidate(machine_type="g2-standard-24"), Offer("nvidia.com/gpu", 2, "nvidia-l4"), 2.001),
        (Candidate(machine_type="g2-standard-24", provisioning="Spot"), Offer("nvidia.com/gpu", 2, "nvidia-l4"), 1.125),
        (Candidate(machine_type="ct6e-standard-4t"), Offer("google.com/tpu", 4, "tpu-v6e-slice"), 10.8),
        (Candidate(machine_type="e2-standard-4"), Offer(None, 0), 0.134),
        (
            Candidate(machine_type="n1-standard-4", accelerator="nvidia-tesla-t4", accelerator_count=2),
            Offer("nvidia.com/gpu", 2, "nvidia-tesla-t4"),
            0.89,
        ),
        (Candidate(machine_type="a4-highgpu-8g"), Offer("nvidia.com/gpu", 8, "nvidia-b200"), None),
        (Candidate(machine_type="z9-new-8"), None, None),
        (Candidate(node_pool="mine"), None, None),
    ],
)
def test_what_a_node_has_and_costs_is_in_the_table_or_not_known(
    candidate: Candidate, offered: Offer | None, price: float | None
) -> None:
    assert offer(candidate) == offered
    assert price_per_hour(candidate) == (None if price is None else pytest.approx(price, rel=0.01))
