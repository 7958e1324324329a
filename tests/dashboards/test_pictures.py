"""The pictures of the documents: one a dashboard, small, whole, and of the dashboard as it is described now."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from dashboards.__main__ import DASHBOARDS
from dashboards.drawing import Picture, picture
from dashboards.panels import Dashboard, Panel, Query, Row, Threshold
from dashboards.pictures import FOLDER, spelled
from dashboards.scales import shown, ticks

KIB_MAX = 150
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "dashboards.md").read_text()


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_a_picture_is_small_and_has_every_panel(dashboard: Dashboard) -> None:
    path = FOLDER / f"{dashboard.name}.svg"
    assert path.stat().st_size < KIB_MAX * 1024
    words = texts(path.read_text())
    for row in dashboard.rows:
        assert row.title in words
        for panel in row.panels:
            assert panel.title in words, "draw it again: python -m dashboards.pictures"
    assert f"pictures/{dashboard.name}.svg" in PAGE


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_every_panel_is_fed_by_a_series_that_the_local_cloud_produced(dashboard: Dashboard) -> None:
    assert "no data" not in texts((FOLDER / f"{dashboard.name}.svg").read_text())


def drawn(kind: Any, series: dict[str, list[tuple[float, str]]], **fields: Any) -> str:
    """A dashboard of one panel."""
    panel = Panel("Things", kind, (Query("things", "{{name}}"),), "They are counted.", width=24, **fields)
    if kind == "number":
        found: list[dict[str, Any]] = [{"metric": {}, "value": values[-1]} for values in series.values()]
    else:
        found = [{"metric": {"name": name}, "values": values} for name, values in series.items()]
    dashboard = Dashboard("d", "D", "About.", (Row("R", (panel,)),))
    return picture(dashboard, Picture(0.0, 100.0, {"things": found}), spelled)


def paths(svg: str) -> list[str]:
    return re.findall(r'<path d="([^"]*)" fill="none"', svg)


def test_a_gap_in_time_is_a_gap_in_the_line() -> None:
    (whole,) = paths(drawn("lines", {"a": [(0.0, "1"), (2.0, "2"), (4.0, "1")]}))
    (broken,) = paths(drawn("lines", {"a": [(0.0, "1"), (2.0, "2"), (40.0, "1"), (42.0, "2")]}))
    assert (whole.count("M"), broken.count("M")) == (1, 2)


def test_what_is_no_number_is_not_drawn() -> None:
    svg = drawn("lines", {"a": [(0.0, "NaN"), (2.0, "+Inf")]})
    assert "no data" in texts(svg)
    assert "NaN" not in svg


def test_the_two_of_a_pair_share_a_colour_and_an_entry() -> None:
    svg = drawn("lines", {"asked x": [(0.0, "1"), (2.0, "2")], "seen x": [(0.0, "1"), (2.0, "1")]})
    assert texts(svg).count("x") == 1
    colours = re.findall(r'fill="none" stroke="(#\w+)"', svg)
    assert len(colours) == 2
    assert len(set(colours)) == 1
    assert svg.count('stroke-dasharray="5 3"') == 1


def test_a_revision_has_one_colour_in_every_panel() -> None:
    first, second = (Panel(name, "lines", (Query(name, "{{name}}"),), "About.") for name in ("first", "second"))
    values = [[0.0, "1"], [2.0, "2"]]
    results: dict[str, Any] = {
        "first": [{"metric": {"name": name}, "values": values} for name in ("chat-0000000a", "chat-0000000b")],
        "second": [{"metric": {"name": "nlp-chat-0000000b"}, "values": values}],
    }
    svg = picture(Dashboard("d", "D", "About.", (Row("R", (first, second)),)), Picture(0.0, 100.0, results), spelled)
    one, other, again = re.findall(r'fill="none" stroke="(#\w+)"', svg)
    assert one != other == again


def test_a_series_that_counted_nothing_has_no_bar_and_no_entry() -> None:
    words = texts(drawn("bars", {"nothing": [(0.0, "0"), (2.0, "0")], "something": [(0.0, "0"), (2.0, "3")]}))
    assert "something" in words
    assert "nothing" not in words


def test_a_number_that_wants_attention_is_red() -> None:
    calm, alarmed = (drawn("number", {"a": [(0.0, value)]}, calm="zero") for value in ("0", "2"))
    assert "#c2410c" not in calm
    assert "#c2410c" in alarmed


def test_a_threshold_is_within_the_axis() -> None:
    svg = drawn("lines", {"a": [(0.0, "1"), (2.0, "1")]}, thresholds=(Threshold(7.0, "too much"),))
    assert "too much" in texts(svg)
    assert "10" in texts(svg)


def test_names_are_written_as_text_whatever_is_in_them() -> None:
    assert "<b>&" in texts(drawn("lines", {"<b>&": [(0.0, "1"), (2.0, "2")]}))


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0, "short", "0"),
        (12345.0, "short", "12,345"),
        (0.25, "percentunit", "25 %"),
        (98.0, "percent", "98 %"),
        (1.5, "s", "1.5 s"),
        (300.0, "s", "5 min"),
        (999.0, "ms", "999 ms"),
        (4400.0, "ms", "4.4 s"),
        (1.994, "currencyUSD", "$1.99"),
        (1250.0, "currencyUSD", "$1,250"),
        (150.0, "reqps", "150/s"),
    ],
)
def test_numbers_are_written_as_people_read_them(value: float, unit: str, expected: str) -> None:
    assert shown(value, unit) == expected


@pytest.mark.parametrize(
    ("top", "unit", "expected"),
    [
        (0.0, "short", [0.0, 1.0]),
        (3.0, "short", [0.0, 1.0, 2.0, 3.0]),
        (9.1, "short", [0.0, 2.5, 5.0, 7.5, 10.0]),
        (98.0, "percent", [0.0, 25.0, 50.0, 75.0, 100.0]),
        (0.06, "percentunit", [0.0, 0.02, 0.04, 0.06]),
        (290.0, "s", [0.0, 120.0, 240.0, 360.0]),
    ],
)
def test_an_axis_has_round_marks(top: float, unit: str, expected: list[float]) -> None:
    assert ticks(top, unit) == pytest.approx(expected)
