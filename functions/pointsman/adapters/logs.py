"""One JSON object a line on stdout, which Cloud Logging takes apart ("Structured logging" in its docs).

Fields are what a caller names, one by one (`core.log_lines`): never a header, a body or a foreign error's text, which
may hold secrets.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

__all__ = ["TEXT_MAX", "Lines"]

TEXT_MAX = 2000
"""Characters of a field, so that no line comes near the 256 KiB at which Cloud Logging refuses an entry."""
NOTHING: Mapping[str, Any] = MappingProxyType({})
GOOGLES = "logging.googleapis.com/"
LABELS = ("service", "rollout", "pool", "execution")
TOLD = ("reason", "found", "title")
"""Fields that say a line in words. The message, for people, is the event, the first label and the first of these."""


class Lines:
    """The log of one process: `core.log_lines`, written by whom `within` says, in the trace of what they are about."""

    def __init__(self, project: Callable[[], str], clock: Callable[[], datetime]) -> None:
        self._project = project
        self._clock = clock
        self._within: ContextVar[Mapping[str, Any]] = ContextVar("within", default=NOTHING)

    def __call__(self, event: str, *, severity: str = "INFO", **fields: object) -> None:
        """Write one line; what is None is left out. `trace` and `span` (hex) say where it belongs."""
        known = {name: _value(value) for name, value in {**self._within.get(), **fields}.items() if value is not None}
        trace, span = known.pop("trace", None), known.pop("span", None)
        about = next((f" {known[name]}" for name in LABELS if name in known), "")
        words = next((f": {known[name]}" for name in TOLD if name in known), "")
        line: dict[str, object] = {
            "severity": severity,
            "event": event,
            "message": f"{event}{about}{words}",
            "time": self._clock().astimezone(UTC).isoformat().replace("+00:00", "Z"),
            **known,
        }
        if trace is not None:
            line[f"{GOOGLES}trace"] = f"projects/{self._project()}/traces/{trace}"
        if span is not None:
            line[f"{GOOGLES}spanId"] = span
        if labels := {name: str(known[name]) for name in LABELS if name in known}:
            line[f"{GOOGLES}labels"] = labels
        # In one call, or two requests of one process would write into each other's line.
        sys.stdout.write(json.dumps(line, default=str) + "\n")
        sys.stdout.flush()

    @contextmanager
    def within(self, **fields: object) -> Iterator[None]:
        """Give every line of this request these fields; what a line names itself counts more."""
        reset = self._within.set({**self._within.get(), **fields})
        try:
            yield
        finally:
            self._within.reset(reset)


def _value(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str) and len(value) > TEXT_MAX:
        return value[: TEXT_MAX - 1] + "…"
    return value
