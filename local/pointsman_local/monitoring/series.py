"""Time series in memory, kept as Managed Prometheus keeps them.

A counter's first sample only says where it stood: its start time, and the value that later ones are counted from.
So the first increments of a series that appears late are lost, here as there. A fall is a reset: counting begins
anew just before it. Points are kept for `KEPT_S`; where counters began also survives a restart.
"""

from array import array
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pointsman_local.monitoring.exposition import Histogram, Sample

__all__ = ["RESOURCE", "Distribution", "Origin", "Point", "Reading", "Series", "SeriesKey", "Store"]

KEPT_S = 600.0
RESOURCE = "prometheus_target"

SeriesKey = tuple[str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]
"""Metric type, resource labels, metric labels."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Disjoint counts per bucket, and the sum of the observations."""

    bounds: tuple[float, ...]
    counts: "array[int]"
    total: float

    @property
    def count(self) -> int:
        return sum(self.counts)

    def minus(self, other: "Distribution") -> "Distribution":
        counts = array("q", (max(a - b, 0) for a, b in zip(self.counts, other.counts, strict=True)))
        return Distribution(self.bounds, counts, self.total - other.total)

    def plus(self, other: "Distribution") -> "Distribution":
        counts = array("q", (a + b for a, b in zip(self.counts, other.counts, strict=True)))
        return Distribution(self.bounds, counts, self.total + other.total)


@dataclass(frozen=True, slots=True)
class Point:
    """A value at `end`; a cumulative one is counted from `start` (both in Unix seconds)."""

    start: float
    end: float
    value: float | Distribution


@dataclass(frozen=True, slots=True)
class Reading:
    """What a service of Google's reports of itself: the present value of one series, a counter's since it began."""

    metric_type: str
    resource_type: str
    cumulative: bool
    value: float | Histogram
    resource_labels: Mapping[str, str]
    metric_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Origin:
    """Where a counter is counted from: when, the raw value then, and the raw value last seen."""

    start: float
    base: float | Distribution
    last: float
    saved: bool = False


@dataclass(slots=True)
class Series:
    """One series; points in the order of time. `seen` is its last scrape's time."""

    metric_type: str
    cumulative: bool
    distribution: bool
    resource_labels: Mapping[str, str]
    metric_labels: Mapping[str, str]
    resource_type: str = RESOURCE
    points: deque[Point] = field(default_factory=deque)
    seen: float = 0.0


class Store:
    """All series. `origins` are those of an earlier life, by key; it begins at `now`, and keeps points so long."""

    def __init__(
        self, now: float, origins: Mapping[SeriesKey, Origin] | None = None, *, kept_s: float = KEPT_S
    ) -> None:
        self._since = now
        self._kept_s = kept_s
        self.origins: dict[SeriesKey, Origin] = dict(origins or {})
        self._by_type: dict[str, dict[SeriesKey, Series]] = {}

    def write(self, sample: Sample, at: float, resource: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Take one scraped sample; `labels` are added to its own, and win."""
        metric_type = f"prometheus.googleapis.com/{sample.name}/{sample.kind}"
        metric_labels = {**dict(sample.labels), **labels}
        key = (metric_type, tuple(sorted(resource.items())), tuple(sorted(metric_labels.items())))
        series = self._by_type.setdefault(metric_type, {}).get(key)
        if series is None:
            cumulative = sample.kind in ("counter", "histogram")
            series = Series(metric_type, cumulative, sample.kind == "histogram", dict(resource), metric_labels)
            self._by_type[metric_type][key] = series
        self._add(key, series, _raw(sample.value), at)

    def put(self, reading: Reading, at: float, since: float, began: float = 0.0) -> None:
        """Take one reading; a counter that was not there before began at `since`, with nothing.

        So its first increments are not lost, as they are not in the cloud: there these are differences. `began` is
        when whoever counts began: later than a counter's own beginning, and it has begun anew.
        """
        key = (
            reading.metric_type,
            tuple(sorted(reading.resource_labels.items())),
            tuple(sorted(reading.metric_labels.items())),
        )
        series = self._by_type.setdefault(reading.metric_type, {}).get(key)
        value = _raw(reading.value)
        if series is None:
            series = Series(
                reading.metric_type,
                reading.cumulative,
                isinstance(value, Distribution),
                dict(reading.resource_labels),
                dict(reading.metric_labels),
                reading.resource_type,
            )
            self._by_type[reading.metric_type][key] = series
            if reading.cumulative:
                self.origins[key] = Origin(since, _nothing(value), 0.0)
        elif reading.cumulative and began > self.origins[key].start:
            self.origins[key] = Origin(began, _nothing(value), 0.0)
        self._add(key, series, value, at)

    def _add(self, key: SeriesKey, series: Series, value: float | Distribution, at: float) -> None:
        series.seen = at
        point = self._counted(key, value, at) if series.cumulative else Point(at, at, value)
        if point is not None:
            series.points.append(point)
        while series.points and series.points[0].end < at - self._kept_s:
            series.points.popleft()

    def _counted(self, key: SeriesKey, raw: float | Distribution, at: float) -> Point | None:
        size = raw.count if isinstance(raw, Distribution) else raw
        origin = self.origins.get(key)
        if origin is None or _bounds(origin.base) != _bounds(raw):
            self.origins[key] = Origin(at, raw, size)
            return None
        if size < origin.last:
            # When exactly it began anew is not known; a millisecond before is after every earlier sample.
            origin = self.origins[key] = Origin(at - 0.001, _nothing(raw), size)
        origin.last = size
        return Point(origin.start, at, _less(raw, origin.base))

    def of_type(self, metric_type: str) -> Iterator[Series]:
        yield from self._by_type.get(metric_type, {}).values()

    def knows(self, metric_type: str) -> bool:
        return metric_type in self._by_type

    def types(self) -> list[str]:
        """Every metric type that there is or was."""
        return list(self._by_type)

    def forget(self, now: float) -> None:
        """Drop series that were not seen for so long, and where they were counted from."""
        for by_key in self._by_type.values():
            for key in [key for key, series in by_key.items() if series.seen < now - self._kept_s]:
                del by_key[key]
        if self._since < now - self._kept_s:
            seen = {key for by_key in self._by_type.values() for key in by_key}
            self.origins = {key: origin for key, origin in self.origins.items() if key in seen}


def _raw(value: float | Histogram) -> float | Distribution:
    if isinstance(value, Histogram):
        return Distribution(value.bounds, array("q", value.counts), value.total)
    return value


def _less(value: float | Distribution, base: float | Distribution) -> float | Distribution:
    if isinstance(value, Distribution) and isinstance(base, Distribution):
        return value.minus(base)
    assert not isinstance(value, Distribution)
    assert not isinstance(base, Distribution)
    return value - base


def _bounds(value: float | Distribution) -> tuple[float, ...] | None:
    return value.bounds if isinstance(value, Distribution) else None


def _nothing(value: float | Distribution) -> float | Distribution:
    if isinstance(value, Distribution):
        return Distribution(value.bounds, array("q", bytes(8 * len(value.counts))), 0.0)
    return 0.0
