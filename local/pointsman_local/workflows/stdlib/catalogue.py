"""Every function by name ("Standard library overview" and "Expression helpers"), with its parameters in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pointsman_local.workflows.stdlib import containers, conversions, strings
from pointsman_local.workflows.values import FunctionRef, Value

__all__ = ["CALL_METHODS", "CONSTANTS", "FUNCTIONS", "REQUIRED", "Function", "is_connector"]


class Required:
    """Stands where a parameter has no default."""


REQUIRED: Final = Required()


@dataclass(frozen=True, slots=True)
class Function:
    """`apply` takes the arguments by position. It is None where the execution itself has to act.

    `step_only` marks the calls that may not stand in an expression ("Expressions", Blocking calls).
    """

    name: str
    parameters: Mapping[str, Value | Required]
    apply: Callable[..., Value] | None = None
    step_only: bool = False


CALL_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")

_BACKOFF: Final[dict[str, Value]] = {"initial_delay": 1, "max_delay": 60, "multiplier": 1.25}
CONSTANTS: Final[dict[str, Value]] = {
    "http.default_retry": {
        "predicate": FunctionRef("http.default_retry_predicate"),
        "max_retries": 5,
        "backoff": _BACKOFF,
    },
    "http.default_retry_non_idempotent": {
        "predicate": FunctionRef("http.default_retry_predicate_non_idempotent"),
        "max_retries": 5,
        "backoff": _BACKOFF,
    },
    "retry.default_backoff": _BACKOFF,
}


def _predicate(codes: tuple[int, ...], tags: tuple[str, ...]) -> Callable[[Value], Value]:
    def retryable(error: Value) -> Value:
        if not isinstance(error, dict):
            return False
        carried = error.get("tags")
        tagged = isinstance(carried, list) and any(tag in carried for tag in tags)
        return tagged or error.get("code") in codes

    return retryable


_REQUEST: Final[dict[str, Value | Required]] = {
    "timeout": 300,
    "body": None,
    "headers": None,
    "query": None,
    "auth": None,
    "private_service_name": None,
    "ca_certificate": None,
}


def _all() -> list[Function]:
    r = REQUIRED
    request = _predicate((429, 502, 503, 504), ("ConnectionError", "ConnectionFailedError", "TimeoutError"))
    once = _predicate((429, 503), ("ConnectionFailedError",))
    return [
        Function("double", {"x": r}, conversions.double),
        Function("int", {"x": r}, conversions.integer),
        Function("string", {"x": r}, conversions.string),
        Function("keys", {"map": r}, containers.keys),
        Function("len", {"value": r}, containers.length),
        Function("default", {"val": r, "defaultVal": r}, containers.default),
        Function("if", {"condition": r, "ifTrue": r, "ifFalse": r}, containers.choose),
        Function("get_type", {"value": r}, conversions.get_type),
        Function("base64.decode", {"data": r, "padding": True}, conversions.base64_decode),
        Function("base64.encode", {"data": r, "padding": True}, conversions.base64_encode),
        Function("events.create_callback_endpoint", {"http_callback_method": "POST"}),
        Function("events.await_callback", {"callback": r, "timeout": 43200.0}, step_only=True),
        Function(
            "experimental.executions.run",
            {"workflow_id": r, "project_id": None, "location": None, "argument": None},
            step_only=True,
        ),
        Function(
            "experimental.executions.map",
            {"workflow_id": r, "arguments": r, "project_id": None, "location": None},
            step_only=True,
        ),
        Function("hash.compute_checksum", {"data": r, "algorithm": r}, conversions.checksum),
        Function("hash.compute_hmac", {"key": r, "data": r, "algorithm": r}, conversions.hmac),
        Function("http.get", {"url": r, **_REQUEST}, step_only=True),
        Function("http.delete", {"url": r, **_REQUEST}, step_only=True),
        Function("http.patch", {"url": r, **_REQUEST}, step_only=True),
        Function("http.post", {"url": r, **_REQUEST}, step_only=True),
        Function("http.put", {"url": r, **_REQUEST}, step_only=True),
        Function("http.request", {"method": r, "url": r, **_REQUEST}, step_only=True),
        Function("http.default_retry_predicate", {"exception": r}, request),
        Function("http.default_retry_predicate_non_idempotent", {"exception": r}, once),
        Function("json.decode", {"data": r}, conversions.json_decode),
        Function("json.encode", {"data": r, "indent": None}, conversions.json_encode),
        Function("json.encode_to_string", {"data": r, "indent": None}, conversions.json_encode_to_string),
        Function("list.concat", {"objs": r, "val": r}, containers.concat),
        Function("list.prepend", {"objs": r, "val": r}, containers.prepend),
        Function("map.get", {"map": r, "keys": r}, containers.get),
        Function("map.delete", {"map": r, "key": r}, containers.delete),
        Function("map.merge", {"first": r, "second": r}, containers.merge),
        Function("map.merge_nested", {"first": r, "second": r}, containers.merge_nested),
        Function("math.abs", {"x": r}, conversions.absolute),
        Function("math.floor", {"x": r}, conversions.floor),
        Function("math.max", {"x": r, "y": r}, conversions.larger),
        Function("math.min", {"x": r, "y": r}, conversions.smaller),
        Function("retry.always", {"exception": r}, lambda error: True),
        Function("retry.never", {"exception": r}, lambda error: False),
        Function("sys.get_env", {"name": r, "default": None}),
        Function(
            "sys.log",
            {"data": None, "severity": "DEFAULT", "text": None, "json": None, "timeout": None},
            step_only=True,
        ),
        Function("sys.now", {}),
        Function("sys.sleep", {"seconds": r}, step_only=True),
        Function("sys.sleep_until", {"time": r}, step_only=True),
        Function("text.decode", {"data": r, "charset": "UTF-8"}, strings.decode),
        Function("text.encode", {"text": r, "charset": "UTF-8"}, strings.encode),
        Function("text.find_all", {"source": r, "substr": r}, strings.find_all),
        Function("text.find_all_regex", {"source": r, "regexp": r}, strings.find_all_regex),
        Function("text.match_regex", {"source": r, "regexp": r}, strings.match_regex),
        Function("text.replace_all", {"source": r, "substr": r, "repl": r}, strings.replace_all),
        Function("text.replace_all_regex", {"source": r, "regexp": r, "repl": r}, strings.replace_all_regex),
        Function("text.split", {"source": r, "separator": r}, strings.split),
        Function("text.substring", {"source": r, "start": r, "end": r}, strings.substring),
        Function("text.to_lower", {"source": r}, strings.to_lower),
        Function("text.to_upper", {"source": r}, strings.to_upper),
        Function("text.url_decode", {"source": r}, strings.url_decode),
        Function("text.url_encode", {"source": r}, strings.url_encode),
        Function("text.url_encode_plus", {"source": r}, strings.url_encode_plus),
        Function("time.format", {"seconds": r, "timezone": "UTC"}, strings.time_format),
        Function("time.parse", {"value": r}, strings.time_parse),
        Function("uuid.generate", {}),
        Function(
            "gke.request",
            {
                "cluster_id": r,
                "path": r,
                "method": r,
                "project": None,
                "location": None,
                "timeout": 300,
                "body": None,
                "headers": None,
                "query": None,
            },
            step_only=True,
        ),
        Function(
            "gke.create_job",
            {
                "cluster_id": r,
                "job": r,
                "namespace": "default",
                "project": None,
                "location": None,
                "query": None,
                "timeout": 300.0,
            },
            step_only=True,
        ),
        *(
            Function(
                name,
                {
                    "cluster_id": r,
                    "job_name": r,
                    "namespace": "default",
                    "project": None,
                    "location": None,
                    "query": None,
                    "timeout": 1800.0,
                    "polling_policy": None,
                },
                step_only=True,
            )
            for name in ("gke.await_job", "gke.delete_job")
        ),
    ]


FUNCTIONS: Final[dict[str, Function]] = {function.name: function for function in _all()}


def is_connector(name: str) -> bool:
    """Whether a call names a connector: its arguments are those of a REST method, which are not checked here."""
    return name.startswith("googleapis.") and name.count(".") >= 3
