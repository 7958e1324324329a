"""Latency by histogram buckets: all of them at once, not a quantile and not one threshold.

From stable's histogram so far a smooth curve is drawn (the normal score of each edge, piecewise linear in log
time: exact for log-normal, right to a bucket's width for any shape); "s times slower" is that curve moved by
ln s. The likelihood ratio per bucket, made nondecreasing, is the bet for the next tick.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from math import ceil, erfc, log, sqrt

from pointsman.core.judge.block import isotonic

__all__ = ["SLOWDOWNS", "WEIGHTS", "bets", "can_forgive", "forgiving", "moved", "pods_differ"]

SLOWDOWNS = ((1.25, 1.0), (1.5, 1.0), (2.0, 1.0), (4.0, 1.0), (5.0, 0.10), (30.0, 0.03))
"""Alternatives: how many times slower, and which share of the requests is."""

WEIGHTS = (0.16, 0.26, 0.24, 0.14, 0.12, 0.08)

HISTORY_MIN = 50
"""No bet before stable has so many requests: the curve would be a guess."""

RELIABLE_MIN = 8
"""Requests beyond an edge, on the rarer side, from which its own score is trusted rather than the line's."""

PODS_ANSWERED_MIN = 30
"""Answers of a pod from which its mean latency is known well enough to be compared with others'."""

ROUNDING = 0.02
"""Edges are often written with few digits (1.1, 1.21, 1.33): what a step may differ by, in logs."""


def bets(
    edges_ms: Sequence[float],
    history: Sequence[float],
    slowdowns: Sequence[tuple[float, float]] = SLOWDOWNS,
) -> list[list[float]] | None:
    """For each slowdown the ratios per bucket; None while the history is too short.

    `history` counts stable's requests per bucket, before the tick that is bet on; fractions are allowed.
    """
    if sum(history) < HISTORY_MIN or not edges_ms:
        return None
    curve = _Curve([log(edge) for edge in edges_ms], history)
    null = curve.cells(0.0)
    return [_ratios(null, curve.cells(log(times)), share) for times, share in slowdowns]


def _ratios(null: Sequence[float], slower: Sequence[float], share: float) -> list[float]:
    alternative = [share * p1 + (1.0 - share) * p0 for p1, p0 in zip(slower, null, strict=True)]
    fitted = isotonic([p + 1e-6 for p in alternative], [p + 1e-6 for p in null])
    return [min(max(ratio, 0.02), 50.0) for ratio in fitted]


class _Curve:
    """Normal scores of stable's latency over log milliseconds."""

    def __init__(self, x: list[float], history: Sequence[float]) -> None:
        # Every function imports the ports, hence this package; only one of them judges and needs this.
        from statistics import NormalDist

        score = NormalDist().inv_cdf
        total = sum(history)
        below, shares = 0.0, []
        for count in history[:-1]:
            below += count
            shares.append((below + 0.5) / (total + 1.0))
        scores = [score(share) for share in shares]
        weights = [share * (1.0 - share) * total for share in shares]
        mass = sum(weights)
        x_mean = sum(w * v for w, v in zip(weights, x, strict=True)) / mass
        z_mean = sum(w * z for w, z in zip(weights, scores, strict=True)) / mass
        spread = sum(w * (v - x_mean) ** 2 for w, v in zip(weights, x, strict=True))
        tilt = sum(w * (v - x_mean) * (z - z_mean) for w, v, z in zip(weights, x, scores, strict=True))
        self._slope = min(max(tilt / spread, 0.3), 8.0) if spread > 0.0 else 1.0
        line = [z_mean + self._slope * (v - x_mean) for v in x]
        trusted = [i for i, share in enumerate(shares) if min(share, 1.0 - share) * total >= RELIABLE_MIN]
        for i in range(len(scores)):
            if not trusted:
                scores[i] = line[i]
            elif i < trusted[0]:
                scores[i] = min(line[i], scores[trusted[0]])
            elif i > trusted[-1]:
                scores[i] = max(line[i], scores[trusted[-1]])
        for i in range(1, len(scores)):
            scores[i] = max(scores[i], scores[i - 1])
        self._x, self._z = x, scores

    def cells(self, later: float) -> list[float]:
        """Probability of each bucket when every request takes e^`later` times as long."""
        cumulative, segment = [], 0
        for edge in self._x:
            at = edge - later
            while segment < len(self._x) - 2 and at > self._x[segment + 1]:
                segment += 1
            cumulative.append(_normal(self._score(at, segment)))
        return [b - a for a, b in zip([0.0, *cumulative], [*cumulative, 1.0], strict=True)]

    def _score(self, at: float, segment: int) -> float:
        x, z = self._x, self._z
        if at < x[0] or len(x) == 1:
            return z[0] + self._slope * (at - x[0])
        return z[segment] + (z[segment + 1] - z[segment]) * (at - x[segment]) / (x[segment + 1] - x[segment])


def _normal(score: float) -> float:
    return 0.5 * erfc(-score / sqrt(2.0))


def can_forgive(edges_ms: Sequence[float], margin: float) -> bool:
    """Whether the buckets are fine enough for so small a margin to be forgiven for certain."""
    step = _step(tuple(edges_ms)) if margin > 0.0 else None
    return step is not None and step <= log(1.0 + margin) + ROUNDING


@cache
def _step(edges_ms: tuple[float, ...]) -> float | None:
    """The logarithm of the factor between edges; None where they are not geometric."""
    if len(edges_ms) < 3:
        return None
    steps = sorted(log(b / a) for a, b in pairwise(edges_ms))
    middle = steps[len(steps) // 2]
    return middle if steps[0] >= middle - ROUNDING and steps[-1] <= middle + ROUNDING else None


def forgiving(edges_ms: Sequence[float], margin: float, margin_ms: float = 0.0) -> list[int]:
    """For each bucket the one in which the canary's requests are counted, so that a slowdown by `margin` (0.1:
    10 %) or `margin_ms`, whichever is more, is forgiven for certain.

    The bucket itself where the buckets are not geometric or wider than the margin: the next one would then
    forgive far too much.
    """
    middle = _step(tuple(edges_ms)) if margin > 0.0 else None
    if middle is None or middle > log(1.0 + margin) + ROUNDING:
        return list(range(len(edges_ms) + 1))
    by_share = max(1, ceil((log(1.0 + margin) - ROUNDING) / middle))
    targets = [0]
    for bucket, lower in enumerate(edges_ms, start=1):
        # A request of this bucket took longer than `lower`; one that it is compared with, so much less.
        targets.append(max(0, min(bucket - by_share, bisect_right(edges_ms, lower - margin_ms))))
    return targets


def pods_differ(pods: Iterable[Sequence[float]]) -> float:
    """τ of latencies: how far pods' mean log latencies differ beyond luck, as a standard deviation.

    `pods` holds each pod's n, Σ ln x and Σ ln² x, with x in the middle of its bucket.
    """
    known = [(n, a / n, max(0.0, b / n - (a / n) ** 2)) for n, a, b in pods if n >= PODS_ANSWERED_MIN]
    if len(known) < 2:
        return 0.0
    centre = sum([mean for _, mean, _ in known]) / len(known)
    between = sum([(mean - centre) ** 2 for _, mean, _ in known]) / (len(known) - 1)
    by_luck = sum([variance / n for n, _, variance in known]) / len(known)
    return sqrt(max(0.0, between - by_luck))


def moved(counts: Sequence[int], targets: Sequence[int]) -> list[int]:
    """The counts, each in its target's bucket."""
    result = [0] * len(counts)
    for count, target in zip(counts, targets, strict=True):
        result[target] += count
    return result
