"""The Mann–Whitney test as Kayenta and R's `wilcox.test` make it: an interval and an estimate of a shift.

Of all shifts mu, those are in the interval for which x − mu and y do not differ: the roots of the standardised rank
sum, by the normal approximation with corrections for ties and continuity (`kayenta-mannwhitney/.../MannWhitney.scala`,
a69573be). The rank sum is a step function, so the root's tolerance of 1e-4 is part of the result.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

__all__ = ["Shift", "brent", "critical", "mann_whitney", "roots", "standardised"]

TOLERANCE = 1e-4
EPSILON = 2.220446049250313e-16
ITERATIONS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much x lies above y: the bounds of the interval, and the Hodges–Lehmann estimate."""

    lower: float
    upper: float
    estimate: float


def mann_whitney(x: Sequence[float], y: Sequence[float], confidence: float) -> Shift:
    """Raises ArithmeticError where all observations are tied."""
    ordered = sorted(y)
    low, high = min(x) - ordered[-1], max(x) - ordered[0]
    return roots(lambda mu: standardised(x, ordered, mu), low, high, confidence)


def standardised(x: Sequence[float], ordered: Sequence[float], mu: float) -> float:
    """z of the rank sum of x − mu among both, for y in ascending order. Falls as mu rises."""
    moved = [value - mu for value in x]
    n, m = len(moved), len(ordered)
    above = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in moved) / 2
    ties = sum(count**3 - count for count in Counter([*moved, *ordered]).values())
    return corrected(above - n * m / 2, n, m, ties)


def corrected(above: float, n: int, m: int, ties: float) -> float:
    """The rank sum's distance from its expectation, in standard deviations, brought half a rank nearer to it."""
    deviation = sqrt((n * m / 12) * ((n + m + 1) - ties / ((n + m) * (n + m - 1))))
    if deviation == 0.0:
        raise ArithmeticError("all observations are tied")
    return (above - (above > 0) * 0.5 + (above < 0) * 0.5) / deviation


def critical(confidence: float) -> float:
    """The normal quantile of a two-sided interval."""
    return -NormalDist().inv_cdf((1.0 - confidence) / 2)


def roots(z: Callable[[float], float], low: float, high: float, confidence: float) -> Shift:
    """Where z(mu) crosses plus and minus the critical value, and 0; all within `low`..`high`."""
    at_low, at_high = z(low), z(high)

    def bound(quantile: float) -> float:
        if at_low - quantile <= 0:
            return low
        if at_high - quantile >= 0:
            return high
        return brent(lambda mu: z(mu) - quantile, low, high, at_low - quantile, at_high - quantile)

    quantile = critical(confidence)
    return Shift(bound(quantile), bound(-quantile), brent(z, low, high, at_low, at_high))


def brent(f: Callable[[float], float], low: float, high: float, at_low: float, at_high: float) -> float:
    """A root of f by Brent's method (Algorithms for Minimization without Derivatives, 1973, chapter 4), stopped as
    R's `zeroin` stops it. f is known at both ends."""
    if at_low == 0:
        return low
    if at_high == 0:
        return high
    previous, best, other = low, high, low
    f_previous, f_best, f_other = at_low, at_high, at_low
    for _ in range(ITERATIONS_MAX + 1):
        last_step = best - previous
        if abs(f_other) < abs(f_best):
            previous, best, other = best, other, best
            f_previous, f_best, f_other = f_best, f_other, f_best
        tolerance = 2 * EPSILON * abs(best) + TOLERANCE / 2
        step = (other - best) / 2
        if abs(step) <= tolerance or f_best == 0:
            return best
        if abs(last_step) >= tolerance and abs(f_previous) > abs(f_best):
            step = _interpolated(previous, best, other, f_previous, f_best, f_other, last_step, tolerance, step)
        if abs(step) < tolerance:
            step = tolerance if step > 0 else -tolerance
        previous, f_previous = best, f_best
        best += step
        f_best = f(best)
        if (f_best > 0 and f_other > 0) or (f_best < 0 and f_other < 0):
            other, f_other = previous, f_previous
    return best


def _interpolated(
    previous: float,
    best: float,
    other: float,
    f_previous: float,
    f_best: float,
    f_other: float,
    last_step: float,
    tolerance: float,
    half: float,
) -> float:
    """The step of the secant, or of inverse quadratic interpolation where three points differ; `half` the way where
    that would leave the bracket or shrink it too slowly."""
    distance = other - best
    s = f_best / f_previous
    if previous == other:
        p, q = distance * s, 1.0 - s
    else:
        r, t = f_previous / f_other, f_best / f_other
        p = s * (distance * r * (r - t) - (best - previous) * (t - 1.0))
        q = (r - 1.0) * (t - 1.0) * (s - 1.0)
    p, q = (p, -q) if p > 0 else (-p, q)
    inside = p < 0.75 * distance * q - abs(tolerance * q) / 2 and p < abs(last_step * q / 2)
    return p / q if inside else half
