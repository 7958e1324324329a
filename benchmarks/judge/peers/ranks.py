"""Kayenta over a batch: which metric is High in which rollout at which look, asked only where a setting needs it.

Of critical metrics of which only an increase counts, one that is High or has no data makes the score 0, and
nothing else does. So a look is decided by two things: whether the shift is certain (one Mann–Whitney test, the same
for all settings) and whether the effect is large enough (a ratio of means).
"""

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np

from benchmarks.judge.batch import Counts, Floats
from benchmarks.judge.peers.readings import Readings
from pointsman_cli.judging.peers.kayenta import Kayenta, Measured
from pointsman_cli.judging.peers.kayenta_judge import Settings, spread
from pointsman_cli.judging.peers.mann_whitney import TOLERANCE, brent, corrected, critical, roots
from pointsman_cli.judging.peers.windows import SLACK_S, Query

__all__ = ["kayenta"]

UNKNOWN, NO, YES = -1, 0, 1


def kayenta(readings: Readings, rule: Kayenta) -> Counts:
    """The tick (R,) whose end brings a score of 0; -1: never."""
    columns = readings.struck(rule.interval_s)
    decided = np.full(readings.rollouts, -1)
    for metric in rule.metrics:
        _refuse_what_is_not_simulated(rule, metric.settings)
        points = _points(readings, metric.query, rule.step_s)
        for row, look, column in points.candidates(metric, columns, readings, rule.step_s):
            if (decided[row] < 0 or column < decided[row]) and points.fails(row, look):
                decided[row] = column
    return decided


def _refuse_what_is_not_simulated(rule: Kayenta, settings: Settings) -> None:
    usual = Settings(direction="increase", critical=True, allowed_increase=settings.allowed_increase)
    if settings != usual or rule.marginal < 0.0:
        raise ValueError(f"{rule.name}: only critical metrics that must not increase are simulated")
    if rule.interval_s < rule.step_s:
        raise ValueError(f"{rule.name}: looks before the first point is whole are not simulated")


class _Points:
    """One metric's points of all rollouts, and what was found out about the shifts so far."""

    def __init__(self, canary: Floats, stable: Floats) -> None:
        self._canary, self._stable = canary, stable
        self._counts = tuple(np.cumsum(~np.isnan(side), axis=1) for side in (canary, stable))
        self._sums = tuple(np.cumsum(np.nan_to_num(side), axis=1) for side in (canary, stable))
        self._certain = np.full(canary.shape, UNKNOWN, np.int8)

    def candidates(
        self, metric: Measured, columns: Counts, readings: Readings, step_s: float
    ) -> list[tuple[int, int, int]]:
        """(rollout, last point, tick) of looks at which the effect is large enough, or there are no data."""
        ends = [readings.ends_s[column] for column in columns]
        looks = np.asarray([int((end + SLACK_S) / step_s) - 1 for end in ends], np.intp)
        counts, sums = ([side[:, looks] for side in of] for of in (self._counts, self._sums))
        silent = (counts[0] == 0) | (counts[1] == 0)
        means = [total / np.maximum(count, 1) for total, count in zip(sums, counts, strict=True)]
        undefined = (means[0] == 0.0) | (means[1] == 0.0)
        ratio = means[0] / np.where(undefined, 1.0, means[1])
        needed = metric.settings.limit(metric.settings.allowed_increase)
        rows, at = np.nonzero(silent | undefined | (ratio >= needed))
        return list(zip(rows.tolist(), looks[at].tolist(), columns[at].tolist(), strict=True))

    def fails(self, row: int, look: int) -> bool:
        if self._certain[row, look] == UNKNOWN:
            x, y = (side[row, : look + 1] for side in (self._canary, self._stable))
            self._certain[row, look] = YES if _fails(x[~np.isnan(x)], y[~np.isnan(y)]) else NO
        return bool(self._certain[row, look] == YES)


_POINTS: "WeakKeyDictionary[Readings, dict[tuple[Query, float], _Points]]" = WeakKeyDictionary()


def _points(readings: Readings, query: Query, step_s: float) -> _Points:
    of_batch = _POINTS.setdefault(readings, {})
    if (query, step_s) not in of_batch:
        scale = 100.0 if query.metric == "errors" else 1.0
        canary, stable = readings.points(query, step_s)
        of_batch[query, step_s] = _Points(canary * scale, stable * scale)
    return of_batch[query, step_s]


def _fails(x: Floats, y: Floats) -> bool:
    """No data, or High whatever the effect."""
    if not x.size or not y.size:
        return True
    y = np.sort(y)
    if x.size == y.size and (np.sort(x) == y).all():
        return False
    if (x == x[0]).all() and (y == y[0]).all():
        if x[0] == y[0]:
            return False
        x, y = np.asarray(spread(x.tolist())), np.asarray(spread(y.tolist()))

    def z(mu: float) -> float:
        moved = x - mu
        above = (np.searchsorted(y, moved, "left").sum() + np.searchsorted(y, moved, "right").sum()) / 2
        both = np.sort(np.concatenate([moved, y]))
        starts = np.flatnonzero(np.concatenate([[True], both[1:] != both[:-1], [True]]))
        equal = np.diff(starts)
        return corrected(float(above) - x.size * y.size / 2, x.size, y.size, int((equal**3 - equal).sum()))

    try:
        return _certainly_above(
            z, float(x.min() - y.max()), float(x.max() - y.min()), float(np.median(x) - np.median(y))
        )
    except ArithmeticError:
        return False


def _certainly_above(z: Callable[[float], float], low: float, high: float, difference: float) -> bool:
    """Whether the lower bound of the shift exceeds its tolerated share of the estimate.

    z falls, so most cases are clear from a few of its values, without the roots: the bound and the estimate are the
    roots, found to a tolerance, or `low`.
    """
    settings = Settings()
    enough = critical(settings.confidence)
    if low < 0.0 and z(-2 * TOLERANCE) <= enough:
        return False  # The bound is below 0.
    for most in (1.1 * difference + 2 * TOLERANCE, 1.5 * difference + 2 * TOLERANCE):
        if difference > 0.0 > z(most):
            tolerated = settings.tolerance * most + 4 * TOLERANCE
            if low > tolerated or z(tolerated) > enough:
                return True  # The estimate is at most `most`, and the bound more than what is tolerated of that.
            break
    estimate = brent(z, low, high, z(low), z(high))
    tolerated = settings.tolerance * abs(estimate)
    if low < 0.0 and z(tolerated + 2 * TOLERANCE) > enough:
        return True
    if low < 0.0 and z(tolerated - 2 * TOLERANCE) <= enough:
        return False
    return roots(z, low, high, settings.confidence).lower > tolerated
