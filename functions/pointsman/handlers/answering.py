"""Requests that are no events: one named verb, JSON in and out; and how every refusal is said."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pointsman.core.names import JSON
from pointsman.errors import Denied, Invalid, PointsmanError
from pointsman.handlers.delivery import Answer, place_of
from pointsman.ports import Log

__all__ = ["asked", "guarded", "in_json"]

TYPE = {"Content-Type": "application/json"}
RETRY_AFTER_S = 2
"""Workflows' own retry waits anyway; this is for who asks by hand."""


def guarded(function: str, call: Callable[[], Answer], log: Log) -> Answer:
    """The answer, or how it was refused: 403 to who may not, 503 for what may pass, otherwise 400; 500 for ours.

    Workflows repeat a 503 and never a 500 ("http.default_retry" in their docs).
    """
    try:
        return call()
    except PointsmanError as error:
        log("refused", severity="WARNING", function=function, code=error.code, reason=str(error))
        status = 503 if error.retry else 403 if isinstance(error, Denied) else 400
        headers = {**TYPE, "Retry-After": str(RETRY_AFTER_S)} if error.retry else TYPE
        return json.dumps(error.as_json()), status, headers
    except Exception as error:  # noqa: BLE001  # the last place: what is not caught here is told to the caller
        # Neither its text nor its traceback: both may quote the request.
        place = place_of(error)
        log("failed", severity="ERROR", function=function, code="defect", error=type(error).__name__, where=place)
        return json.dumps({"code": "defect", "what": "see the function's log", "where": place, "remedy": ""}), 500, TYPE


class Asking(Protocol):
    """What is read of a POST."""

    path: str

    def get_json(self, force: bool = ..., silent: bool = ...) -> Any: ...


def asked(request: Asking, handle: Callable[[str, JSON], JSON]) -> Answer:
    """Answer `POST /VERB` of a JSON object. Raises Invalid for anything else, and what `handle` raises."""
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, Mapping):
        raise Invalid("the body is no JSON object", where=request.path, remedy="POST a JSON object to /VERB")
    return in_json(handle(request.path.strip("/"), body))


def in_json(value: JSON) -> Answer:
    return json.dumps(value), 200, TYPE
