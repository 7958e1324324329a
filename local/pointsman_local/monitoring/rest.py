"""Prometheus' HTTP API over the local store, where Cloud Monitoring has it: Grafana can be pointed here.

https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui: queries, and the values of labels.
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import grpc
from aiohttp import web
from promql_parser import parse_duration

from pointsman_local.monitoring.promql import Query
from pointsman_local.monitoring.series import Store
from pointsman_local.monitoring.wire import Refused

__all__ = ["application", "over_range"]

STEPS_MAX = 11_000
"""Prometheus' own bound of the points of one series in an answer."""


def application(store: Store, project: str) -> web.Application:
    app = web.Application()
    base = f"/v1/projects/{project}/location/global/prometheus/api/v1"
    for path, handle in (("/query", _query), ("/query_range", _query_range)):
        for method in ("GET", "POST"):
            app.router.add_route(method, base + path, _answering(handle, store))
    app.router.add_get(base + "/label/{name}/values", _answering(_values, store))
    app.router.add_route("*", "/{path:.*}", _answering(_unserved, store))
    return app


def over_range(query: Query, store: Store, start: float, end: float, step: float) -> list[dict[str, Any]]:
    """The query's value at every step, by series: `{"metric": labels, "values": [[time, text]…]}`."""
    found: dict[tuple[tuple[str, str], ...], list[list[object]]] = {}
    for number in range(math.floor((end - start) / step + 1e-9) + 1):
        when = start + number * step
        for labels, value in query.at(store, when):
            found.setdefault(tuple(sorted(labels.items())), []).append([round(when, 3), _text(value)])
    return [{"metric": dict(labels), "values": values} for labels, values in sorted(found.items())]


async def _query(request: web.Request, given: Mapping[str, str], store: Store) -> object:
    when = _time(given.get("time")) if given.get("time") else time.time()
    found = Query(given.get("query", "")).at(store, when)
    result = [{"metric": dict(labels), "value": [round(when, 3), _text(value)]} for labels, value in found]
    return {"resultType": "vector", "result": result}


async def _query_range(request: web.Request, given: Mapping[str, str], store: Store) -> object:
    start, end, step = _time(given.get("start")), _time(given.get("end")), _step(given.get("step"))
    if step <= 0 or end < start or (end - start) / step > STEPS_MAX:
        raise Refused.invalid(f"a range ends after it starts and has at most {STEPS_MAX} steps")
    return {"resultType": "matrix", "result": over_range(Query(given.get("query", "")), store, start, end, step)}


async def _values(request: web.Request, given: Mapping[str, str], store: Store) -> object:
    if not given.get("match[]"):
        raise Refused.unserved("the values of a label without match[]")
    found = Query(given["match[]"]).at(store, time.time())
    name = request.match_info["name"]
    return sorted({labels[name] for labels, _ in found if labels.get(name)})


async def _unserved(request: web.Request, given: Mapping[str, str], store: Store) -> object:
    raise Refused.unserved(f"{request.method} {request.path}")


def _answering(
    handle: Callable[[web.Request, Mapping[str, str], Store], Awaitable[object]], store: Store
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        given = {**request.query, **(await request.post() if request.method == "POST" else {})}
        try:
            data = await handle(request, {name: str(value) for name, value in given.items()}, store)
        except Refused as error:
            status = 501 if error.code == grpc.StatusCode.UNIMPLEMENTED else 400
            return web.json_response(
                {"status": "error", "errorType": "bad_data", "error": error.message}, status=status
            )
        return web.json_response({"status": "success", "data": data})

    return answer


def _text(value: float) -> str:
    """As Prometheus writes a number."""
    if math.isnan(value):
        return "NaN"
    return ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else f"{value:.10g}"


def _time(text: str | None) -> float:
    """Unix seconds or RFC 3339."""
    try:
        return float(text or "")
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError as error:
        raise Refused.invalid(f"{text!r} is no time") from error


def _step(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        pass
    try:
        return parse_duration(text or "").total_seconds()
    except ValueError as error:
        raise Refused.invalid(f"{text!r} is no step") from error
