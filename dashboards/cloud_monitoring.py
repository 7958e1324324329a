"""A dashboard as Cloud Monitoring takes it: `google.monitoring.dashboard.v1.Dashboard` in JSON, a mosaic."""

from collections.abc import Mapping

from dashboards.panels import COLUMNS, Dashboard, Kind, Panel, Place, Row, placed

__all__ = ["MARKS", "as_json"]

SCALE = 48 // COLUMNS
MARKS: Mapping[str, str] = {
    "<namespace>": "${namespace}",
    "<service>": "${service}",
    "<window>": "${__interval}",
    "<tick>": "5m",
    "<sweep>": "10m",
}
"""A variable stands for a whole matcher: `${namespace}` is `namespace="…"`, and matches everything by default."""
PLOTS: Mapping[Kind, str] = {"lines": "LINE", "area": "STACKED_AREA", "bars": "STACKED_BAR"}
UNITS: Mapping[str, str] = {"percent": "%", "percentunit": "10^2.%", "s": "s", "ms": "ms", "reqps": "1/s"}
"""As Monitoring writes units (UCUM); others have none."""


def as_json(dashboard: Dashboard) -> dict[str, object]:
    return {
        "displayName": dashboard.title,
        "labels": {"pointsman": ""},
        "dashboardFilters": [
            {"filterType": "METRIC_LABEL", "labelKey": name, "templateVariable": name} for name in dashboard.variables
        ],
        "mosaicLayout": {"columns": 48, "tiles": [_tile(what, place) for what, place in placed(dashboard)]},
    }


def _tile(what: Row | Panel, place: Place) -> dict[str, object]:
    # A tile at 0 says nothing of it: the API leaves zeros out, and what is read back is to be what was written.
    at = {"xPos": SCALE * place.x, "yPos": SCALE * place.y}
    size = {"width": SCALE * place.width, "height": SCALE * place.height}
    return {**{name: value for name, value in at.items() if value}, **size, "widget": _widget(what)}


def _widget(what: Row | Panel) -> dict[str, object]:
    if isinstance(what, Row):
        return {"title": what.title, "sectionHeader": {}}
    if what.kind == "number":
        return {"title": what.title, "scorecard": _scorecard(what)}
    if what.kind == "table":
        rows = [{"timeSeriesQuery": _query(what, query.promql)} for query in what.queries]
        return {"title": what.title, "timeSeriesTable": {"dataSets": rows}}
    return {"title": what.title, "xyChart": _chart(what)}


def _query(panel: Panel, promql: str) -> dict[str, object]:
    for mark, spelling in MARKS.items():
        promql = promql.replace(mark, spelling)
    unit = UNITS.get(panel.unit)
    return {"prometheusQuery": promql, **({"unitOverride": unit} if unit else {})}


def _scorecard(panel: Panel) -> dict[str, object]:
    card: dict[str, object] = {"timeSeriesQuery": _query(panel, panel.queries[0].promql)}
    if panel.calm == "zero":
        card["thresholds"] = [{"value": 0.0, "color": "YELLOW", "direction": "ABOVE"}]
    return card


def _chart(panel: Panel) -> dict[str, object]:
    return {
        "dataSets": [
            {
                "plotType": PLOTS[panel.kind],
                "targetAxis": "Y1",
                "legendTemplate": query.legend.replace("{{", "${metric.labels.").replace("}}", "}"),
                "timeSeriesQuery": _query(panel, query.promql),
            }
            for query in panel.queries
        ],
        "thresholds": [
            {"label": threshold.label, "value": threshold.value, "targetAxis": "Y1"} for threshold in panel.thresholds
        ],
        "yAxis": {"scale": "LINEAR"},
        "chartOptions": {"mode": "COLOR"},
    }
