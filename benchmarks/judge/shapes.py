"""`pointsman.core.judge.latency` over many rollouts at once: the same bets, from a histogram per rollout."""

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc, ndtri

from benchmarks.judge.batch import Floats
from pointsman.core.judge import latency

__all__ = ["Shapes", "isotonic"]


class Shapes:
    """Bets for histograms over the same `edges_ms`; what depends on the edges alone is worked out once."""

    def __init__(self, edges_ms: Sequence[float], slowdowns: Sequence[tuple[float, float]]) -> None:
        self._x = np.log(np.asarray(edges_ms, float))
        self._shares = [share for _, share in slowdowns]
        self._moves = [self._moved(log(times)) for times, _ in slowdowns]

    def _moved(self, later: float) -> tuple[NDArray[np.intp], Floats, Floats]:
        """For each edge: the segment in which it lies after the move, how far inside, how far below the first edge."""
        at = self._x - later
        segment = np.clip(np.searchsorted(self._x, at, side="left") - 1, 0, len(self._x) - 2)
        inside = (at - self._x[segment]) / (self._x[segment + 1] - self._x[segment])
        below = np.minimum(at - self._x[0], 0.0)
        return segment, np.where(below < 0.0, 0.0, inside), below

    def bets(self, history: Floats) -> Floats:
        """Ratios (R, alternatives, J) from stable's `history` (R, J); all 1 where it is too short to bet."""
        total = history.sum(axis=1, keepdims=True)
        enough = (total >= latency.HISTORY_MIN)[:, 0]
        scores, slope = self._scores(np.where(enough[:, None], history, 1.0))
        null = _cells(scores)
        result = np.ones((len(history), len(self._moves), history.shape[1]))
        for number, ((segment, inside, below), share) in enumerate(zip(self._moves, self._shares, strict=True)):
            low, high = scores[:, segment], scores[:, segment + 1]
            slower = _cells(low + (high - low) * inside + slope[:, None] * below)
            result[:, number] = share * slower + (1.0 - share) * null
        size = result.shape
        repeated = np.broadcast_to(null[:, None], size).reshape(-1, size[2])
        fitted = isotonic(result.reshape(-1, size[2]) + 1e-6, repeated + 1e-6).reshape(size)
        return np.where(enough[:, None, None], np.clip(fitted, 0.02, 50.0), 1.0)

    def _scores(self, history: Floats) -> tuple[Floats, Floats]:
        total = history.sum(axis=1, keepdims=True)
        shares = (np.cumsum(history[:, :-1], axis=1) + 0.5) / (total + 1.0)
        scores = ndtri(shares)
        weights = shares * (1.0 - shares) * total
        mass = weights.sum(axis=1)
        x_mean = (weights * self._x).sum(axis=1) / mass
        z_mean = (weights * scores).sum(axis=1) / mass
        apart = self._x - x_mean[:, None]
        spread = (weights * apart**2).sum(axis=1)
        tilt = (weights * apart * (scores - z_mean[:, None])).sum(axis=1)
        slope = np.where(spread > 0.0, np.clip(tilt / np.where(spread > 0.0, spread, 1.0), 0.3, 8.0), 1.0)
        line = z_mean[:, None] + slope[:, None] * apart
        trusted = np.minimum(shares, 1.0 - shares) * total >= latency.RELIABLE_MIN
        first, last = trusted.argmax(axis=1), trusted.shape[1] - 1 - trusted[:, ::-1].argmax(axis=1)
        rows, place = np.arange(len(scores)), np.arange(scores.shape[1])
        lowest, highest = scores[rows, first][:, None], scores[rows, last][:, None]
        kept = np.where(place < first[:, None], np.minimum(line, lowest), scores)
        kept = np.where(place > last[:, None], np.maximum(line, highest), kept)
        kept = np.where(trusted.any(axis=1, keepdims=True), kept, line)
        return np.maximum.accumulate(kept, axis=1), slope


def _cells(scores: Floats) -> Floats:
    cumulative = 0.5 * erfc(scores * -(0.5**0.5))
    return np.diff(cumulative, axis=1, prepend=0.0, append=1.0)


def isotonic(alternative: Floats, null: Floats) -> Floats:
    """`block.isotonic` for each row: pools are pushed column by column and merged only where a row needs it."""
    rows, columns = alternative.shape
    p1, p0 = np.zeros((rows, columns)), np.zeros((rows, columns))
    size = np.zeros((rows, columns), np.intp)
    top = np.full(rows, -1)
    everyone = np.arange(rows)
    for column in range(columns):
        top += 1
        p1[everyone, top], p0[everyone, top] = alternative[:, column], null[:, column]
        size[everyone, top] = 1
        open_rows = everyone
        while True:
            at = top[open_rows]
            open_rows, at = open_rows[at > 0], at[at > 0]
            falls = p1[open_rows, at - 1] * p0[open_rows, at] >= p1[open_rows, at] * p0[open_rows, at - 1]
            open_rows, at = open_rows[falls], at[falls]
            if not len(open_rows):
                break
            for values in (p1, p0, size):
                values[open_rows, at - 1] += values[open_rows, at]
            size[open_rows, at] = 0
            top[open_rows] -= 1
    ratios = np.divide(p1, p0, out=np.zeros_like(p1), where=size > 0)
    return np.repeat(ratios.ravel(), size.ravel()).reshape(rows, columns)
