"""What a local service counts of itself, as Google's service would report it to Cloud Monitoring.

A service answers `GET /local/v1/series` with it, and the local Monitoring asks for it, as it scrapes everything else.
Names, labels and resources are those of "Google Cloud metrics" (cloud.google.com/monitoring/api/metrics_gcp).
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock

__all__ = ["MILLISECONDS", "PATH", "Counters", "Resource", "gauge"]

PATH = "/local/v1/series"
MILLISECONDS = tuple(round(1.3**power, 3) for power in range(45))
"""Buckets of latencies: from 1 ms to 100 s, each 30 % wide."""

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """A monitored resource: its type, and its labels."""

    type: str
    labels: Mapping[str, str]


class Counters:
    """Counters and distributions since `since` (Unix seconds). Safe to use from several threads."""

    def __init__(self, since: float) -> None:
        self._since = since
        self._lock = Lock()
        self._counts: dict[tuple[str, Key, Key], tuple[Resource, dict[str, str], float]] = {}
        self._observed: dict[tuple[str, Key, Key], tuple[Resource, dict[str, str], list[int], list[float]]] = {}

    def add(self, metric: str, resource: Resource, labels: Mapping[str, str] | None = None, count: float = 1.0) -> None:
        own = dict(labels or {})
        key = _key(metric, resource, own)
        with self._lock:
            before = self._counts.get(key, (resource, own, 0.0))[2]
            self._counts[key] = (resource, own, before + count)

    def observe(self, metric: str, resource: Resource, labels: Mapping[str, str], milliseconds: float) -> None:
        own = dict(labels)
        with self._lock:
            empty = (resource, own, [0] * (len(MILLISECONDS) + 1), [0.0])
            _, _, counts, total = self._observed.setdefault(_key(metric, resource, own), empty)
            counts[bisect_left(MILLISECONDS, milliseconds)] += 1
            total[0] += milliseconds

    def as_json(self, gauges: Iterable[Mapping[str, object]] = ()) -> dict[str, object]:
        """What the service answers; `gauges` are made by `gauge`."""
        with self._lock:
            series = [
                _series(key[0], resource, labels, value, cumulative=True)
                for key, (resource, labels, value) in self._counts.items()
            ]
            for key, (resource, labels, counts, total) in self._observed.items():
                value = {"bounds": list(MILLISECONDS), "counts": list(counts), "total": total[0]}
                series.append(_series(key[0], resource, labels, value, cumulative=True))
        return {"since": self._since, "series": [*series, *gauges]}


def gauge(
    metric: str, resource: Resource, value: float, labels: Mapping[str, str] | None = None
) -> Mapping[str, object]:
    """A value that is neither counted nor observed, but there."""
    return _series(metric, resource, labels or {}, value, cumulative=False)


def _key(metric: str, resource: Resource, labels: Mapping[str, str]) -> tuple[str, Key, Key]:
    return metric, tuple(sorted(resource.labels.items())), tuple(sorted(labels.items()))


def _series(
    metric: str, resource: Resource, labels: Mapping[str, str], value: object, *, cumulative: bool
) -> dict[str, object]:
    return {
        "metric": metric,
        "resource_type": resource.type,
        "resource": dict(resource.labels),
        "labels": dict(labels),
        "cumulative": cumulative,
        "value": value,
    }
