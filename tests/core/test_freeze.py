"""Freeze windows: cron with time zones, single windows, Deny and Allow, what they stop."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.core.freeze import Freeze, frozen
from pointsman.documents.platform import FreezeWindow


def window(**fields: Any) -> FreezeWindow:
    return FreezeWindow.model_validate({"name": "w", **fields})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


WEEKEND = window(schedule="0 16 * * FRI", duration="64h", timeZone="Europe/Berlin")
OFFICE = window(
    schedule="0 9 * * MON-THU", duration="8h", timeZone="Europe/Berlin", effect="Allow", stops="NewRollouts"
)
FRIDAY = window(start="2026-11-26T00:00:00Z", end="2026-12-01T00:00:00Z", reason="Peak trade")


@pytest.mark.parametrize(
    ("windows", "now", "until"),
    [
        pytest.param([WEEKEND], "2026-11-20T14:59", None, id="a-minute-before"),
        pytest.param([WEEKEND], "2026-11-20T15:00", "2026-11-23T07:00", id="opens-at-16-in-berlin"),
        pytest.param([WEEKEND], "2026-11-23T06:59", "2026-11-23T07:00", id="last-minute"),
        pytest.param([WEEKEND], "2026-11-23T07:00", None, id="over"),
        pytest.param([WEEKEND], "2026-10-24T12:00", "2026-10-26T06:00", id="the-clock-goes-back-inside-it"),
        pytest.param([WEEKEND], "2026-03-29T03:00", "2026-03-30T07:00", id="and-forward"),
        pytest.param([FRIDAY], "2026-11-25T23:59", None, id="before-its-start"),
        pytest.param([FRIDAY], "2026-11-26T00:00", "2026-12-01T00:00", id="inside"),
        pytest.param([FRIDAY], "2026-12-01T00:00", None, id="after-its-end"),
        pytest.param([OFFICE], "2026-11-23T08:00", None, id="allowed-at-nine"),
        pytest.param([OFFICE], "2026-11-23T16:00", "2026-11-24T08:00", id="outside-until-it-opens-again"),
        pytest.param([OFFICE], "2026-11-20T10:00", "2026-11-23T08:00", id="not-on-fridays"),
        pytest.param([OFFICE, FRIDAY], "2026-11-26T09:00", "2026-12-01T00:00", id="deny-wins-inside-allow"),
        pytest.param([WEEKEND, FRIDAY], "2026-11-27T20:00", "2026-12-01T00:00", id="the-longer-one-is-said"),
    ],
)
def test_a_freeze_holds_while_its_window_says_so(windows: list[FreezeWindow], now: str, until: str | None) -> None:
    found = frozen(windows, {}, "growth", utc(now))
    assert (found.until if found else None) == (utc(until) if until else None)


def test_a_window_without_end_holds_until_the_commit_is_reverted() -> None:
    found = frozen([window(start="2026-11-26T00:00:00Z")], {}, "growth", utc("2027-11-26T00:00"))
    assert found == Freeze("w", "", "WeightIncreases", None)


def test_an_hourly_window_that_is_longer_than_an_hour_never_closes_in_between() -> None:
    hourly = window(schedule="0 * * * *", duration="90m")
    found = frozen([hourly], {}, "growth", utc("2026-11-22T12:45"))
    assert found is not None
    assert found.until == utc("2026-11-22T13:30")


@pytest.mark.parametrize(
    ("fields", "applies"),
    [
        ({}, True),
        ({"namespaces": ["growth"]}, True),
        ({"namespaces": ["nlp"]}, False),
        ({"selector": {"matchLabels": {"tier": "1"}}}, True),
        ({"selector": {"matchLabels": {"tier": "2"}}}, False),
        ({"selector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}}, True),
        ({"namespaces": ["growth"], "selector": {"matchLabels": {"tier": "2"}}}, False),
    ],
)
def test_a_window_applies_to_the_namespaces_and_services_it_names(fields: dict[str, Any], applies: bool) -> None:
    found = frozen([window(start="2026-01-01T00:00:00Z", **fields)], {"tier": "1"}, "growth", utc("2026-11-22T12:00"))
    assert (found is not None) == applies


def test_what_holds_running_rollouts_is_said_before_what_stops_new_ones() -> None:
    new = window(start="2026-01-01T00:00:00Z", stops="NewRollouts")
    running = window(start="2026-01-01T00:00:00Z", end="2026-12-01T00:00:00Z")
    found = frozen([new, running], {}, "growth", utc("2026-11-22T12:00"))
    assert found is not None
    assert found.holds_running
    assert str(frozen([FRIDAY], {}, "growth", utc("2026-11-27T00:00"))) == (
        "freeze window w: Peak trade, until 2026-12-01 00:00 UTC"
    )
