"""Alignment and reduction: many points of many series to one value a period and group.

Only what alert policies and dashboards of ours ask for; the rest is refused by name. Differences are taken between
the points that there are, without interpolation to the edges of a period.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from pointsman_local.monitoring.filters import label_of, value_of
from pointsman_local.monitoring.series import Distribution, Point, Series
from pointsman_local.monitoring.wire import Refused

__all__ = ["Aggregation", "Group", "aligned", "reduced"]

Value = float | Distribution

PERCENTILES = {
    "ALIGN_PERCENTILE_99": 0.99,
    "ALIGN_PERCENTILE_95": 0.95,
    "ALIGN_PERCENTILE_50": 0.5,
    "ALIGN_PERCENTILE_05": 0.05,
}
GAUGES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "ALIGN_MEAN": lambda values: sum(values) / len(values),
    "ALIGN_MAX": max,
    "ALIGN_MIN": min,
    "ALIGN_SUM": sum,
    "ALIGN_COUNT": len,
    "ALIGN_NEXT_OLDER": lambda values: values[-1],
}
REDUCERS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "REDUCE_SUM": sum,
    "REDUCE_MEAN": lambda values: sum(values) / len(values),
    "REDUCE_MAX": max,
    "REDUCE_MIN": min,
    "REDUCE_COUNT": len,
}


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`Aggregation` of a request or a condition, by the names of its enums; `period_s` of alignment."""

    period_s: float = 0.0
    aligner: str = "ALIGN_NONE"
    reducer: str = "REDUCE_NONE"
    group_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.aligner not in ("ALIGN_NONE", "ALIGN_RATE", "ALIGN_DELTA", *PERCENTILES, *GAUGES):
            raise Refused.unserved(self.aligner)
        if self.reducer not in ("REDUCE_NONE", *REDUCERS):
            raise Refused.unserved(self.reducer)
        if self.aligner != "ALIGN_NONE" and self.period_s <= 0:
            raise Refused.invalid("An alignment needs an alignment_period")
        if self.reducer != "REDUCE_NONE" and self.aligner == "ALIGN_NONE":
            raise Refused.invalid("A cross_series_reducer needs a per_series_aligner other than ALIGN_NONE")

    def fields(self) -> tuple[str, ...]:
        """`group_by` in one spelling."""
        return tuple(label_of(name) for name in self.group_by)


@dataclass(frozen=True, slots=True)
class Group:
    """What an aggregation gives: values at the ends of periods, newest first, and the labels that are left."""

    metric_labels: Mapping[str, str]
    resource_labels: Mapping[str, str]
    points: tuple[Point, ...]


def aligned(series: Series, how: Aggregation, start: float, end: float) -> tuple[Point, ...]:
    """One point a period, newest first: periods end at `end` and go back to `start`. Raises Refused."""
    _refuse_misfit(series, how)
    points = list(series.points)
    found = []
    for back in range(max(1, ceil((end - start) / how.period_s))):
        until = end - back * how.period_s
        value = _value(points, how, until - how.period_s, until)
        if value is not None:
            found.append(Point(until - how.period_s, until, value))
    return tuple(found)


def _refuse_misfit(series: Series, how: Aggregation) -> None:
    fits = (
        how.aligner in PERCENTILES
        if series.distribution
        else how.aligner == "ALIGN_RATE"
        if series.cumulative
        else how.aligner in GAUGES
    ) or (series.cumulative and how.aligner == "ALIGN_DELTA")
    if not fits:
        kind = "distribution" if series.distribution else "cumulative" if series.cumulative else "gauge"
        raise Refused.invalid(f"The aligner {how.aligner} is not for a {kind} metric ({series.metric_type})")


def _value(points: Sequence[Point], how: Aggregation, start: float, end: float) -> Value | None:
    inside = [point for point in points if start < point.end <= end]
    if not inside:
        return None
    if how.aligner in GAUGES:
        return float(GAUGES[how.aligner]([_number(point.value) for point in inside]))
    before = next((point for point in reversed(points) if point.end <= start), None)
    increase = _increase(before, inside, start)
    if increase is None:
        return None
    if how.aligner == "ALIGN_RATE":
        # A series that is younger than the period has its rate over the time it was watched.
        watched = end - max(start, before.end if before else inside[0].start)
        return _number(increase) / (watched if 0 < watched < how.period_s else how.period_s)
    if how.aligner in PERCENTILES:
        return _percentile(increase, PERCENTILES[how.aligner])
    return increase


def _increase(before: Point | None, inside: Sequence[Point], start: float) -> Value | None:
    """What was counted inside a period; None when only one old total is known."""
    total: Value | None = None
    for point in inside:
        if before is not None and before.start == point.start:
            step = _minus(point.value, before.value)
        elif before is not None or point.start >= start:
            step = point.value  # it began anew, or for the first time, inside the period
        else:
            step = None
        if step is not None:
            total = step if total is None else _plus(total, step)
        before = point
    return total


def reduced(found: Sequence[tuple[Series, tuple[Point, ...]]], how: Aggregation) -> list[Group]:
    """Series of equal `group_by` labels combined; without a reducer each series by itself."""
    if how.reducer == "REDUCE_NONE":
        return [Group(series.metric_labels, series.resource_labels, points) for series, points in found]
    fields = how.fields()
    groups: dict[tuple[str, ...], dict[float, list[Point]]] = {}
    for series, points in found:
        group = groups.setdefault(tuple(value_of(series, name) for name in fields), {})
        for point in points:
            group.setdefault(point.end, []).append(point)
    return [
        Group(
            {
                name.rpartition(".")[2]: value
                for name, value in zip(fields, key, strict=True)
                if name.startswith("metric.labels.")
            },
            {
                name.rpartition(".")[2]: value
                for name, value in zip(fields, key, strict=True)
                if name.startswith("resource.labels.")
            },
            tuple(Point(at[0].start, end, _combined(at, how)) for end, at in sorted(group.items(), reverse=True)),
        )
        for key, group in sorted(groups.items())
    ]


def _combined(points: Sequence[Point], how: Aggregation) -> Value:
    values = [point.value for point in points]
    first = values[0]
    if not isinstance(first, Distribution):
        return float(REDUCERS[how.reducer]([_number(value) for value in values]))
    if how.reducer != "REDUCE_SUM":
        raise Refused.unserved(f"{how.reducer} of distributions")
    for value in values[1:]:
        first = _plus(first, value)
    return first


def _number(value: Value) -> float:
    if isinstance(value, Distribution):
        raise Refused.invalid("A distribution is no number: align it to a percentile")
    return value


def _minus(a: Value, b: Value) -> Value:
    return a.minus(b) if isinstance(a, Distribution) and isinstance(b, Distribution) else _number(a) - _number(b)


def _plus(a: Value, b: Value) -> Value:
    if isinstance(a, Distribution) and isinstance(b, Distribution):
        if a.bounds != b.bounds:
            raise Refused.unserved("the sum of distributions with different buckets")
        return a.plus(b)
    return _number(a) + _number(b)


def _percentile(value: Value, share: float) -> float | None:
    """Interpolated inside its bucket, as Monitoring does; the last bucket has no end: its lower bound."""
    assert isinstance(value, Distribution)
    wanted, below = share * value.count, 0
    if not value.count or not value.bounds:
        return None
    for bucket, count in enumerate(value.counts):
        if count and below + count >= wanted:
            lower = value.bounds[bucket - 1] if bucket else 0.0
            upper = value.bounds[bucket] if bucket < len(value.bounds) else lower
            return lower + (upper - lower) * (wanted - below) / count
        below += count
    return value.bounds[-1]
