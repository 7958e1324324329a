"""A dashboard as Grafana imports it. Its datasource is a variable: Managed Prometheus' own, or a local cloud's."""

from collections.abc import Mapping

from dashboards.panels import Dashboard, Kind, Panel, Place, Row, placed

__all__ = ["MARKS", "as_json"]

MARKS: Mapping[str, str] = {
    "<namespace>": 'namespace=~"$namespace"',
    "<service>": 'service=~"$service"',
    "<window>": "$__rate_interval",
    "<tick>": "5m",
    "<sweep>": "10m",
}
SCHEMA = 39
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
TYPES: Mapping[Kind, str] = {
    "lines": "timeseries",
    "area": "timeseries",
    "bars": "timeseries",
    "number": "stat",
    "table": "table",
}


def as_json(dashboard: Dashboard) -> dict[str, object]:
    return {
        "uid": f"pointsman-{dashboard.name}",
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["pointsman"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [_datasource(), *(_variable(*item) for item in dashboard.variables.items())]},
        "panels": [_panel(number, what, place) for number, (what, place) in enumerate(placed(dashboard), 1)],
    }


def _datasource() -> dict[str, object]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def _variable(name: str, promql: str) -> dict[str, object]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        # The values of a label, read from the query's result: it has no other labels.
        "query": {"query": f"query_result({promql})", "refId": name},
        "regex": f'/{name}="([^"]+)"/',
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "sort": 1,
    }


def _panel(number: int, what: Row | Panel, place: Place) -> dict[str, object]:
    at = {"x": place.x, "y": place.y, "w": place.width, "h": place.height}
    if isinstance(what, Row):
        return {"id": number, "type": "row", "title": what.title, "collapsed": False, "gridPos": at, "panels": []}
    return {
        "id": number,
        "type": TYPES[what.kind],
        "title": what.title,
        "description": what.about,
        "datasource": SOURCE,
        "gridPos": at,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": _marked(query.promql),
                "legendFormat": query.legend or "__auto",
                "instant": what.kind in ("number", "table"),
                "range": what.kind not in ("number", "table"),
            }
            for index, query in enumerate(what.queries)
        ],
        "fieldConfig": {"defaults": _defaults(what), "overrides": []},
        "options": _options(what),
    }


def _marked(promql: str) -> str:
    for mark, spelling in MARKS.items():
        promql = promql.replace(mark, spelling)
    return promql


def _defaults(panel: Panel) -> dict[str, object]:
    steps: list[dict[str, object]] = [{"color": "green", "value": None}]
    if panel.calm == "zero":
        steps.append({"color": "orange", "value": 1})
    steps += [{"color": "red", "value": threshold.value} for threshold in panel.thresholds]
    found: dict[str, object] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.kind in ("number", "table"):
        return {**found, "color": {"mode": "thresholds"}}
    bars = panel.kind == "bars"
    return {
        **found,
        "color": {"mode": "palette-classic"},
        "custom": {
            "drawStyle": "bars" if bars else "line",
            "fillOpacity": {"lines": 0, "area": 30, "bars": 80}.get(panel.kind, 0),
            "lineWidth": 1,
            "showPoints": "auto",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.kind in ("area", "bars") else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if panel.thresholds else "off"},
        },
    }


def _options(panel: Panel) -> dict[str, object]:
    if panel.kind == "number":
        calc = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": calc, "colorMode": "value", "graphMode": "none", "justifyMode": "auto"}
    if panel.kind == "table":
        return {"showHeader": True}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
