"""Errors of the language, and the refusal of a source that cannot be deployed.

An error is any value: a string or map that a workflow raised, or a map with `message` and `tags` of the service.
Tags: Workflows' reference, "Workflow errors"; the base tags beside them (LookupError, OSError, …) are those that
executions of the service were seen to carry.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pointsman_local.workflows.values import Value

__all__ = [
    "Place",
    "Raised",
    "Refused",
    "Trace",
    "http_error",
    "index_error",
    "key_error",
    "resource_error",
    "system_error",
    "timeout_error",
    "type_error",
    "unimplemented",
    "value_error",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the source; line and column count from 1."""

    line: int
    column: int
    length: int = 0


class Refused(Exception):  # the word of the service: a deployment is refused
    """The source cannot be deployed. `message` is the service's text without its code."""

    def __init__(self, message: str, place: Place | None = None, step: str | None = None) -> None:
        super().__init__(message)
        self.detail = message
        self.place = place
        self.step = step

    @property
    def message(self) -> str:
        where = f"error in step {self.step}: " if self.step else ""
        return f"failed to build: {where}{self.detail}"


@dataclass(frozen=True, slots=True)
class Trace:
    """One line of an error's context."""

    step: str
    routine: str
    place: Place


class Raised(Exception):  # an error of the workflow, which may be caught by it
    """An error that travels through a workflow. `value` is what `except` binds.

    `message` opens the context; `uncatchable` is the service's word on exhausted limits.
    """

    def __init__(self, value: "Value", *, message: str | None = None, uncatchable: bool = False) -> None:
        super().__init__(message)
        self.value = value
        self.text = message
        self.uncatchable = uncatchable
        self.place: Place | None = None
        self.trace: list[Trace] = []
        self.passing = False

    @property
    def message(self) -> str:
        if self.text is not None:
            return self.text
        if isinstance(self.value, dict) and isinstance(self.value.get("tags"), list):
            message = self.value.get("message")
            if isinstance(message, str):
                return message
        text = json.dumps(self.value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=repr)
        return f"RuntimeError: {text}"

    @property
    def context(self) -> str:
        """The message, then where it happened, innermost first."""
        lines = [f'in step "{at.step}", routine "{at.routine}", line: {at.place.line}' for at in self.trace]
        return "\n".join([self.message, *lines])


def _tagged(message: str, *tags: str) -> Raised:
    return Raised({"message": message, "tags": [*tags]})


def type_error(message: str) -> Raised:
    return _tagged(f"TypeError: {message}", "TypeError")


def value_error(message: str) -> Raised:
    return _tagged(f"ValueError: {message}", "ValueError")


def key_error(key: str) -> Raised:
    return _tagged(f"KeyError: key not found: {key}", "KeyError", "LookupError")


def index_error(message: str) -> Raised:
    return _tagged(f"IndexError: {message}", "IndexError", "LookupError")


def timeout_error(message: str) -> Raised:
    return _tagged(message, "TimeoutError", "OSError")


def system_error(message: str) -> Raised:
    return _tagged(message, "SystemError")


def resource_error(tag: str | None, message: str) -> Raised:
    """A limit is exhausted. No `except` sees it ("Access workflow execution results", ResourceLimitError)."""
    tags = ["ResourceLimitError", *([tag] if tag else [])]
    return Raised({"message": f"ResourceLimitError: {message}", "tags": tags}, uncatchable=True)


def http_error(code: int, headers: "Value", body: "Value") -> Raised:
    return Raised(
        {
            "message": f"HTTP server responded with error code {code}",
            "tags": ["HttpError"],
            "code": code,
            "headers": headers,
            "body": body,
        }
    )


def unimplemented(call: str) -> Raised:
    """A call of Google Cloud that this executor does not make."""
    message = f"UNIMPLEMENTED: {call} is not available here"
    return Raised(
        {
            "message": message,
            "tags": ["HttpError"],
            "code": 501,
            "headers": {},
            "body": {"error": {"code": 501, "message": message, "status": "UNIMPLEMENTED"}},
        }
    )
