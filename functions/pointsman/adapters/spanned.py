"""Ports with a span around each call that changes something or waits for somebody: what a trace is made of."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, cast

from pointsman.adapters.tracing import Spans
from pointsman.core.events import Event
from pointsman.core.names import JSON
from pointsman.core.records import RolloutRecord
from pointsman.core.routes import weights_of
from pointsman.core.traces import rollout_trace
from pointsman.ports import Bus, Ledger, Saved, Write

__all__ = ["spanned"]

CALLS: Mapping[str, tuple[str, ...]] = {
    "git": ("heads", "files"),
    "workflows": ("start", "ring"),
    "kubernetes": ("apply", "delete"),
    "metrics": ("pods", "past", "gateway"),
    "node_pools": ("create", "resize", "limit", "delete"),
}
"""Adapter → its calls that get a span, inside one that is open; reads of single objects and records are too many."""


def spanned(name: str, adapter: Any, spans: Spans) -> Any:
    """The adapter `pointsman.adapters.<name>`, traced."""
    match name:
        case "pubsub":
            return _Bus(adapter, spans)
        case "ledger":
            return _Ledger(adapter, spans)
        case _:
            return _Port(name, adapter, spans) if name in CALLS else adapter


class _Port:
    def __init__(self, name: str, adapter: Any, spans: Spans) -> None:
        self._name = name
        self._adapter = adapter
        self._spans = spans

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._adapter, name)
        return self._traced(name, found) if name in CALLS[self._name] else found

    def _traced(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def traced(*arguments: Any, **options: Any) -> Any:
            if not self._spans.is_open():
                return call(*arguments, **options)
            with self._spans.span(f"{self._name} {name}", **_about(self._name, name, arguments)):
                return call(*arguments, **options)

        return traced


class _Bus:
    """What is published carries the span; where none is open, as in the receiver, the event's trace begins here."""

    def __init__(self, bus: Bus, spans: Spans) -> None:
        self._bus = bus
        self._spans = spans

    def publish(self, topic: str, event: Event) -> str:
        trace = "" if self._spans.is_open() else event.key
        with self._spans.span(f"publish {topic}", trace=trace, type=event.type, id=event.id):
            return self._bus.publish(topic, replace(event, traceparent=self._spans.carried()))

    def redrive(self, topic: str) -> Any:
        return self._bus.redrive(topic)


class _Ledger:
    """A save is a span, and the last save of a rollout is that of the whole rollout."""

    def __init__(self, ledger: Ledger, spans: Spans) -> None:
        self._ledger = ledger
        self._spans = spans

    def save(self, writes: Iterable[Write], unchanged: Iterable[Saved[Any]] = ()) -> None:
        writes, unchanged = list(writes), list(unchanged)
        rollouts = [record for write in writes if isinstance(record := write.record, RolloutRecord)]
        if not self._spans.is_open() and not rollouts:
            self._ledger.save(writes, unchanged)
            return
        trace = "" if self._spans.is_open() else rollout_trace(rollouts[0])
        kinds = sorted({type(write.record).__name__ for write in writes})
        with self._spans.span("save", trace=trace, records=kinds):
            self._ledger.save(writes, unchanged)
            for rollout in _ended(writes):
                self._spans.rollout(rollout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


def _ended(writes: Iterable[Write]) -> Iterator[RolloutRecord]:
    """Rollouts that were under way before."""
    for write in writes:
        before, after = write.over and write.over.record, write.record
        match before, after:
            case RolloutRecord(ended="no"), RolloutRecord(ended="yes"):
                yield after


def _about(port: str, call: str, arguments: tuple[Any, ...]) -> Mapping[str, Any]:
    """What a span says of its call: names and weights, never content."""
    match port, call, arguments:
        case "kubernetes", "apply", (Mapping() as item, *_):
            meta = cast("JSON", item["metadata"])
            about = {"kind": str(item["kind"]), "name": str(meta["name"])}
            if item["kind"] != "HTTPRoute":
                return about
            weights = ", ".join(f"{name} {weight}" for name, weight in sorted(weights_of(item).items()))
            return {**about, "weights": weights}
        case "kubernetes", "delete", (ref, *_):
            return {"kind": ref.kind, "name": ref.name}
        case "workflows", "start", (workflow, *_):
            return {"workflow": workflow}
        case "node_pools", _, (pool, *_):
            return {"node_pool": pool}
        case _:
            return {}
