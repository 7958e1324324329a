"""The dashboards are what their descriptions say, and what Cloud Monitoring and Grafana take."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from dashboards.panels import Panel, Row, placed
from google.cloud.monitoring_dashboard_v1 import Dashboard as CloudDashboard
from google.protobuf import json_format

from dashboards import __main__ as generator
from dashboards import cloud_monitoring, grafana

HERE = Path(__file__).resolve().parents[2] / "dashboards"
NAMES = [dashboard.name for dashboard in generator.DASHBOARDS]
WRITTEN = sorted(generator.files())
CLOUD_SPELLINGS = {"${namespace}": 'a="b"', "${service}": 'c="d"', "${__interval}": "1m"}
GRAFANA_SPELLINGS = {"$__rate_interval": "1m"}


def cloud(name: str) -> Any:
    return json.loads((HERE / "cloud-monitoring" / f"{name}.json").read_text())


def grafana_of(name: str) -> Any:
    return json.loads((HERE / "grafana" / f"{name}.json").read_text())


def checked(promql: str, spellings: Mapping[str, str]) -> None:
    """Raises ValueError for what is no PromQL once its variables are put in."""
    for mark, spelling in spellings.items():
        promql = promql.replace(mark, spelling)
    assert "<" not in re.sub(r"<=? ", "", promql), promql
    promql_parser.parse(promql)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_is_what_its_description_says(name: str) -> None:
    assert (HERE / name).read_text() == generator.files()[name], "run: python -m dashboards"


def test_no_file_is_left_of_a_description_that_is_gone() -> None:
    folders = [HERE / folder for folder in ("alerts", "cloud-monitoring", "grafana")]
    found = sorted(path.relative_to(HERE).as_posix() for folder in folders for path in folder.iterdir())
    assert found == [name for name in WRITTEN if "/" in name]


# --- Cloud Monitoring -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_google_takes_it_and_gives_back_the_same(name: str) -> None:
    empty: Any = CloudDashboard.pb(CloudDashboard())
    parsed = json_format.ParseDict(cloud(name), empty)
    assert json_format.ParseDict(json_format.MessageToDict(parsed), CloudDashboard.pb(CloudDashboard())) == parsed


@pytest.mark.parametrize(
    ("path", "value"),
    [(("mosaicLayout", "colums"), 48), (("mosaicLayout", "tiles", 1, "widget", "scorecard", "tresholds"), [])],
)
def test_a_misspelt_field_is_caught(path: tuple[str | int, ...], value: object) -> None:
    given = cloud("rollouts")
    at = given
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(json_format.ParseError, match=str(path[-1])):
        json_format.ParseDict(given, CloudDashboard.pb(CloudDashboard()))


def boxes(name: str, form: str) -> list[tuple[int, int, int, int]]:
    if form == "grafana":
        at = [panel["gridPos"] for panel in grafana_of(name)["panels"]]
        return [(box["x"], box["y"], box["w"], box["h"]) for box in at]
    tiles = cloud(name)["mosaicLayout"]["tiles"]
    return [(tile.get("xPos", 0), tile.get("yPos", 0), tile["width"], tile["height"]) for tile in tiles]


@pytest.mark.parametrize(("form", "columns"), [("cloud-monitoring", 48), ("grafana", 24)])
@pytest.mark.parametrize("name", NAMES)
def test_no_tile_lies_on_another_or_beyond_the_edge(name: str, form: str, columns: int) -> None:
    for x, y, width, height in boxes(name, form):
        assert x >= 0
        assert y >= 0
        assert height > 0
        assert 0 < width <= columns - x
    for (x, y, w, h), (x2, y2, w2, h2) in combinations(boxes(name, form), 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def cloud_queries(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "prometheusQuery":
                yield str(inner)
            else:
                yield from cloud_queries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from cloud_queries(inner)


@pytest.mark.parametrize("name", NAMES)
def test_every_query_of_cloud_monitoring_is_promql(name: str) -> None:
    queries = list(cloud_queries(cloud(name)))
    assert len(queries) > 10
    for query in queries:
        checked(query, CLOUD_SPELLINGS)


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_that_a_query_names_is_one_of_the_dashboard(name: str) -> None:
    declared = {item["templateVariable"] for item in cloud(name)["dashboardFilters"]}
    used = {found for query in cloud_queries(cloud(name)) for found in re.findall(r"\$\{(\w+)\}", query)}
    assert used - {"__interval"} == declared
    declared = {item["name"] for item in grafana_of(name)["templating"]["list"]}
    used = {found for query in grafana_queries(name) for found in re.findall(r"\$(\w+)", query)} - {"1"}
    assert used - {"__rate_interval"} == declared - {"datasource"}


# --- Grafana --------------------------------------------------------------------------------------------------


def grafana_queries(name: str) -> list[str]:
    return [target["expr"] for panel in grafana_of(name)["panels"] for target in panel.get("targets", ())]


@pytest.mark.parametrize("name", NAMES)
def test_every_query_of_grafana_is_promql(name: str) -> None:
    for query in grafana_queries(name):
        checked(query, GRAFANA_SPELLINGS)


@pytest.mark.parametrize("name", NAMES)
def test_grafana_finds_each_panel_by_its_id_and_each_dashboard_by_its_uid(name: str) -> None:
    given = grafana_of(name)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", given["uid"])
    numbers = [panel["id"] for panel in given["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert len({grafana_of(other)["uid"] for other in NAMES}) == len(NAMES)
    for panel in given["panels"]:
        targets = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(targets)) == len(targets)


def sources(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        if "datasource" in value:
            yield value["datasource"]
        for inner in value.values():
            yield from sources(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from sources(inner)


@pytest.mark.parametrize("name", NAMES)
def test_grafana_is_told_its_datasource_by_a_variable_alone(name: str) -> None:
    found = list(sources(grafana_of(name)))
    assert len(found) > 20
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in found)


# --- both -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dashboard", generator.DASHBOARDS, ids=NAMES)
def test_every_panel_says_how_it_is_read(dashboard: Any) -> None:
    panels = [what for what, _ in placed(dashboard) if isinstance(what, Panel)]
    for panel in panels:
        assert panel.about.endswith((".", ".)"))
        assert len(panel.about) > 20 or panel.kind == "number"
        assert len(panel.queries) == 1 or all(query.legend for query in panel.queries)
    titles = [what.title for what, _ in placed(dashboard) if isinstance(what, Row)]
    assert len(set(titles)) == len(titles)


def test_every_mark_has_a_spelling_in_both() -> None:
    assert set(cloud_monitoring.MARKS) == set(grafana.MARKS)
    from dashboards.pictures import MARKS

    assert set(MARKS) - {"24h"} == set(grafana.MARKS)
