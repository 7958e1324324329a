"""The calls that may wait: from checked arguments to what the execution waits for.

Each takes the run and its arguments in the order of the parameters, and gives the wait, or None when there is
nothing to wait for. Values are plain, so that a wait can be saved and begun again by another process.
"""

import math
from collections.abc import Callable
from typing import Any, Final

from pointsman_local.workflows.errors import type_error, value_error
from pointsman_local.workflows.machine import Run
from pointsman_local.workflows.state import Wait
from pointsman_local.workflows.stdlib.catalogue import CALL_METHODS
from pointsman_local.workflows.stdlib.strings import seconds_of
from pointsman_local.workflows.values import Value, encode_json, python_name

__all__ = ["STARTS", "connector"]

YEAR_S: Final = 31_536_000
TIMEOUT_S_MAX: Final = 1800
SEVERITIES: Final = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")


def sleep(run: Run, arguments: list[Value]) -> Wait | None:
    seconds = _seconds("sys.sleep: seconds", arguments[0])
    if not 0 <= seconds <= YEAR_S:
        raise value_error(f"sys.sleep: seconds must be between 0 and {YEAR_S}")
    return {"kind": "sleep", "until": run.clock() + seconds} if seconds else None


def sleep_until(run: Run, arguments: list[Value]) -> Wait | None:
    moment = arguments[0]
    if not isinstance(moment, str):
        raise type_error(f"sys.sleep_until: time must be a string, not '{python_name(moment)}'")
    until = seconds_of(moment)
    if until is None:
        raise value_error(f"sys.sleep_until: '{moment}' is not an ISO 8601 time")
    now = run.clock()
    if until - now > YEAR_S:
        raise value_error("sys.sleep_until: time is more than a year ahead")
    return {"kind": "sleep", "until": until} if until > now else None


def log(run: Run, arguments: list[Value]) -> Wait | None:
    data, severity, text, fields, _ = arguments
    given = [part for part in (data, text, fields) if part is not None]
    if len(given) != 1:
        raise type_error("sys.log takes exactly one of data, text and json")
    if fields is not None and not isinstance(fields, dict):
        raise type_error(f"sys.log: json must be a map, not '{python_name(fields)}'")
    if not isinstance(severity, str):
        raise type_error(f"sys.log: severity must be a string, not '{python_name(severity)}'")
    if severity not in SEVERITIES:
        raise value_error(f"sys.log: unknown severity '{severity}'")
    if isinstance(given[0], bytes):
        raise type_error("sys.log: bytes cannot be logged")
    encode_json(given[0])
    run.log(severity, given[0])
    return None


def _http(method: str) -> Callable[[Run, list[Value]], Wait | None]:
    def start(run: Run, arguments: list[Value]) -> Wait | None:
        return request([method, *arguments])

    return start


def any_http(run: Run, arguments: list[Value]) -> Wait | None:
    method = arguments[0]
    if not isinstance(method, str):
        raise type_error(f"http.request: method must be a string, not '{python_name(method)}'")
    if method not in CALL_METHODS:
        raise value_error(f"http.request: unsupported method '{method}'")
    return request(arguments)


def request(arguments: list[Value]) -> Wait:
    """`http.*`: parameters in the catalogue's order, after the method."""
    method, url, timeout, body, headers, query, auth, *_ = arguments
    if not isinstance(url, str):
        raise type_error(f"http: url must be a string, not '{python_name(url)}'")
    if not url.startswith(("http://", "https://")):
        raise value_error(f"http: unsupported URL '{url}'")
    seconds = _seconds("http: timeout", timeout)
    if not 0 < seconds <= TIMEOUT_S_MAX:
        raise value_error(f"http: timeout must be between 0 and {TIMEOUT_S_MAX} seconds")
    for name, part in (("headers", headers), ("query", query), ("auth", auth)):
        if part is not None and not isinstance(part, dict):
            raise type_error(f"http: {name} must be a map, not '{python_name(part)}'")
    return {
        "kind": "http",
        "method": method,
        "url": url,
        "timeout": seconds,
        "body": body,
        "headers": headers or {},
        "query": query or {},
        "auth": auth,
    }


def connector(name: str, names: list[str]) -> Callable[[Run, list[Value]], Wait | None]:
    """A call of a Google Cloud API, which whoever runs the workflow knows or not."""

    def start(run: Run, arguments: list[Value]) -> Wait | None:
        given: dict[str, Any] = {key: value for key, value in zip(names, arguments, strict=True) if value is not None}
        return {"kind": "connector", "call": name, "arguments": given}

    return start


def _seconds(what: str, value: Value) -> float:
    if type(value) is not int and type(value) is not float:
        raise type_error(f"{what} must be a number, not '{python_name(value)}'")
    if not math.isfinite(value):
        raise value_error(f"{what} must be finite")
    return value


STARTS: Final[dict[str, Callable[[Run, list[Value]], Wait | None]]] = {
    "sys.sleep": sleep,
    "sys.sleep_until": sleep_until,
    "sys.log": log,
    "http.request": any_http,
    **{f"http.{method.lower()}": _http(method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")},
}
