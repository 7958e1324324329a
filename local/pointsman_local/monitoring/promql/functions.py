"""Functions of PromQL: over windows of one series, on single values, on buckets and on labels."""

import math
from collections.abc import Callable, Mapping

import re2

from pointsman_local.monitoring.promql.matching import Vector
from pointsman_local.monitoring.promql.selection import Window

__all__ = ["INSTANT", "RANGE", "histogram_quantile", "label_join", "label_replace"]

RangeFunction = Callable[[Window, float, float], float | None]
"""Of a window, its start and its length in seconds; None: it says nothing."""


def _increase(window: Window, since: float, seconds: float) -> float | None:
    """What was counted in the window; a counter that began in it counts whole, after a reset from nothing."""
    before, total = window.before, None
    if not window.cumulative:
        values = [value for _, _, value in window.points]
        return values[-1] - values[0] if len(values) > 1 else None
    for point in window.points:
        start, _, value = point
        if before is not None and before[0] == start:
            step: float | None = value - before[2]
        elif before is not None or start >= since - 1e-6:
            step = value
        else:
            step = None
        if step is not None:
            total = step if total is None else total + step
        before = point
    return total


def _rate(window: Window, since: float, seconds: float) -> float | None:
    increase = _increase(window, since, seconds)
    return None if increase is None else increase / seconds


def _over(function: Callable[[list[float]], float]) -> RangeFunction:
    return lambda window, since, seconds: function([value for _, _, value in window.points])


RANGE: Mapping[str, RangeFunction] = {
    "increase": _increase,
    "rate": _rate,
    "avg_over_time": _over(lambda values: math.fsum(values) / len(values)),
    "min_over_time": _over(min),
    "max_over_time": _over(max),
    "sum_over_time": _over(math.fsum),
    "count_over_time": _over(lambda values: float(len(values))),
    "last_over_time": _over(lambda values: values[-1]),
}

INSTANT: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": lambda value: float(math.ceil(value)),
    "floor": lambda value: float(math.floor(value)),
    "clamp_min": max,
    "clamp_max": min,
    "exp": math.exp,
    "sgn": lambda value: float((value > 0) - (value < 0)),
}


def histogram_quantile(share: float, found: Vector) -> Vector:
    """Interpolated inside its bucket; of the last, which has no end, its lower bound; of a first below 0, its own."""
    groups: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for labels, value in found:
        if "le" in labels:
            key = tuple(sorted((name, text) for name, text in labels.items() if name != "le"))
            groups.setdefault(key, []).append((float(labels["le"]), value))
    return [(dict(key), _quantile(share, sorted(buckets))) for key, buckets in groups.items()]


def _quantile(share: float, buckets: list[tuple[float, float]]) -> float:
    total = buckets[-1][1]
    if total <= 0 or buckets[-1][0] != math.inf or len(buckets) < 2:
        return math.nan
    wanted = share * total
    index = next(number for number, (_, below) in enumerate(buckets) if below >= wanted)
    if index == len(buckets) - 1:
        return buckets[-2][0]
    upper, below = buckets[index]
    if index == 0:
        if upper <= 0:
            return upper
        lower, under = 0.0, 0.0
    else:
        lower, under = buckets[index - 1]
    return lower + (upper - lower) * ((wanted - under) / (below - under) if below > under else 0.0)


def label_replace(found: Vector, to: str, replacement: str, source: str, pattern: str) -> Vector:
    """A label made of another one, where that matches the whole pattern; an empty one is none."""
    compiled = re2.compile(pattern)
    result: Vector = []
    for labels, value in found:
        hit = compiled.fullmatch(labels.get(source, ""))
        made = dict(labels)
        if hit is not None:
            made[to] = hit.expand(replacement.replace("${", "$").replace("}", "").replace("$", "\\"))
            if not made[to]:
                del made[to]
        result.append((made, value))
    return result


def label_join(found: Vector, to: str, separator: str, *sources: str) -> Vector:
    return [
        ({**labels, to: separator.join(labels.get(source, "") for source in sources)}, value) for labels, value in found
    ]
