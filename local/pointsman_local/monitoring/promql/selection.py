"""From a selector to samples: which series of the store have that name in PromQL, and what they say in a window.

Names: "Mapping Cloud Monitoring metrics to PromQL". A distribution has three names, as a histogram has.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import promql_parser
import re2

from pointsman_local.monitoring.series import RESOURCE, Distribution, Point, Series, Store
from pointsman_local.monitoring.wire import Refused

__all__ = ["LOOKBACK_S", "Window", "instant", "windows"]

LOOKBACK_S = 60.0
"""An instant value is no older. Prometheus looks back five minutes; here scrapes are a second apart."""
SCRAPED = "prometheus.googleapis.com/"
SUFFIXES = ("_bucket", "_sum", "_count")
Labels = Mapping[str, str]
Value = Callable[[Point], float]


@dataclass(frozen=True, slots=True)
class Window:
    """One series within a time: its points, oldest first, and the one before them, as `(start, end, value)`."""

    labels: Labels
    cumulative: bool
    before: tuple[float, float, float] | None
    points: Sequence[tuple[float, float, float]]


def windows(store: Store, selector: Any, since: float, until: float) -> Iterator[Window]:
    """Every series that the selector names, with its points in (since, until]; those without any are left out."""
    name, tests = _asked(selector)
    for series, suffix in _named(store, name):
        points = list(series.points)
        first = bisect_left(points, since + 1e-6, key=lambda point: point.end)
        last = bisect_left(points, until + 1e-6, key=lambda point: point.end)
        if first == last:
            continue
        labels = _labels(series)
        for extra, value in _parts(points[last - 1], suffix):
            mine = {**labels, **extra}
            if all(test(mine.get(label, "")) for label, test in tests):
                inside = [(point.start, point.end, value(point)) for point in points[first:last]]
                before = points[first - 1] if first else None
                prior = (before.start, before.end, value(before)) if before is not None else None
                yield Window(mine, series.cumulative, prior, inside)


def instant(store: Store, selector: Any, at: float) -> Iterator[tuple[Labels, float]]:
    """The newest value of every series that the selector names, with its labels."""
    for window in windows(store, selector, at - LOOKBACK_S, at):
        yield window.labels, window.points[-1][2]


def _asked(selector: Any) -> tuple[str, list[tuple[str, Callable[[str], bool]]]]:
    """The metric's name, and what its labels must pass. Raises Refused without a name."""
    name = selector.name or ""
    tests: list[tuple[str, Callable[[str], bool]]] = []
    if selector.matchers.or_matchers:
        raise Refused.unserved("`or` between label matchers")
    for matcher in selector.matchers.matchers:
        if matcher.name == "__name__":
            if matcher.op != promql_parser.MatchOp.Equal:
                raise Refused.unserved("a metric name by a regular expression")
            name = matcher.value
        else:
            tests.append((matcher.name, _test(matcher.op, matcher.value)))
    if not name:
        raise Refused.invalid("a selector needs a metric name")
    return name, tests


def _test(op: Any, wanted: str) -> Callable[[str], bool]:
    match op:
        case promql_parser.MatchOp.Equal:
            return lambda value: value == wanted
        case promql_parser.MatchOp.NotEqual:
            return lambda value: value != wanted
        case _:
            pattern, hit = re2.compile(wanted), op == promql_parser.MatchOp.Re
            return lambda value: (pattern.fullmatch(value) is not None) is hit


def _named(store: Store, name: str) -> Iterator[tuple[Series, str]]:
    for metric_type in store.types():
        suffix = _suffix(metric_type, name)
        if suffix is None:
            continue
        for series in store.of_type(metric_type):
            if series.distribution is bool(suffix):
                yield series, suffix


@lru_cache(maxsize=4096)
def _suffix(metric_type: str, name: str) -> str | None:
    """What follows the metric's own name; None: it is not called so."""
    called = (metric_type, _promql(metric_type))
    for suffix in ("", *SUFFIXES):
        if any(name == own + suffix for own in called):
            return suffix
    return None


def _promql(metric_type: str) -> str:
    if metric_type.startswith(SCRAPED):
        return metric_type.split("/")[1]
    domain, _, path = metric_type.partition("/")
    return f"{re.sub('[^a-zA-Z0-9_]', '_', domain)}:{re.sub('[^a-zA-Z0-9_]', '_', path)}"


def _labels(series: Series) -> dict[str, str]:
    own = {} if series.resource_type == RESOURCE else {"monitored_resource": series.resource_type}
    return {**own, **series.resource_labels, **series.metric_labels}


def _parts(newest: Point, suffix: str) -> Iterator[tuple[Labels, Value]]:
    """Labels to add and how a value is read: a distribution's buckets are a series each."""
    match suffix:
        case "_bucket":
            assert isinstance(newest.value, Distribution)
            for index, bound in enumerate((*newest.value.bounds, float("inf"))):
                yield {"le": "+Inf" if bound == float("inf") else f"{bound:g}"}, _below(index)
        case "_sum":
            yield {}, _total
        case "_count":
            yield {}, _count
        case _:
            yield {}, _number


def _below(index: int) -> Value:
    def value(point: Point) -> float:
        assert isinstance(point.value, Distribution)
        counts = point.value.counts
        return float(list(accumulate(counts[: index + 1]))[-1]) if len(counts) > index else float(sum(counts))

    return value


def _total(point: Point) -> float:
    assert isinstance(point.value, Distribution)
    return point.value.total


def _count(point: Point) -> float:
    assert isinstance(point.value, Distribution)
    return float(point.value.count)


def _number(point: Point) -> float:
    assert not isinstance(point.value, Distribution)
    return point.value
