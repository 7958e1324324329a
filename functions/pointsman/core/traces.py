"""Which trace a thing belongs to: an event's key is the id of its trace, and a rollout's id that of its span.

Both have the very form of W3C's Trace Context (32 and 16 hex digits), so nothing has to be carried from function to
function: every line and span of an event's way finds its trace by the record that it is about, whoever started the
execution, and however often. What a caller names (`traceparent`) says only which span was before.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from pointsman.core.records import RolloutRecord

__all__ = ["CARRIED", "Parent", "below", "pool_trace", "rollout_trace", "traceparent"]

CARRIED = "googclient_traceparent"
"""The attribute in which Google's own Pub/Sub clients carry a trace (google-cloud-pubsub, `context_propagation`)."""

_TRACE = re.compile(r"[0-9a-f]{32}")
_W3C = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_GOOGLES = re.compile(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([01]))?.*")


@dataclass(frozen=True, slots=True)
class Parent:
    """The span that a caller named."""

    trace: str
    span: str
    sampled: bool

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Parent | None":
        """From `traceparent`, or else Google's older `X-Cloud-Trace-Context`; None where neither says anything."""
        lower = {name.lower(): value for name, value in headers.items()}
        if found := _W3C.fullmatch(lower.get("traceparent", "")):
            return _parent(found[1], found[2], bool(int(found[3], 16) & 1))
        if found := _GOOGLES.fullmatch(lower.get("x-cloud-trace-context", "")):
            span = int(found[2] or 0)
            return _parent(found[1].lower(), f"{span:016x}", found[3] == "1") if span < 1 << 64 else None
        return None


def traceparent(trace: str, span: str) -> str:
    """W3C's header for a span that is kept."""
    return f"00-{trace}-{span}-01"


def below(carried: str, trace: str) -> str:
    """The span that a `traceparent` names, where it belongs to `trace`; otherwise nothing: it is somebody else's."""
    found = Parent.of({"traceparent": carried})
    return found.span if found is not None and found.trace == trace else ""


def rollout_trace(rollout: RolloutRecord) -> str:
    """The trace of the event that led to it; one of its own where a person asked for it."""
    return rollout.cause if _TRACE.fullmatch(rollout.cause) else _of("rollouts", rollout.id)


def pool_trace(pool: str, token: int) -> str:
    """One trace for each time that a pool was claimed: it works for several rollouts at once."""
    return _of("pools", f"{pool}/{token}")


def _of(collection: str, key: str) -> str:
    return sha256(f"{collection}\0{key}".encode()).hexdigest()[:32]


def _parent(trace: str, span: str, sampled: bool) -> Parent | None:
    """All zeros mean nothing."""
    return Parent(trace, span, sampled) if int(trace, 16) and int(span, 16) else None
