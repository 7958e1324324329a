"""`pointsman.core.judge`'s `dispersion` and `wobble` over many rollouts at once."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.batch import Counts, Floats
from pointsman.core.judge import dispersion, wobble

__all__ = ["Dispersions", "Wobbles"]

Flags = NDArray[np.bool_]

CAPS = np.array([*dispersion.CAPS, np.inf])
FINITE = np.array(dispersion.CAPS, float)
RAISED = np.array([dispersion.FEW.get(pods, 1.0) for pods in range(dispersion.TOTALS_MAX + 1)])


@dataclass(slots=True)
class _Scales:
    """`dispersion._Scale`: (R, caps), and (R,) for the terms."""

    squares: Floats
    expected: Floats
    terms: Floats
    free: Floats
    _phi: Floats | None = None
    _deviation: Floats | None = None

    @classmethod
    def new(cls, rollouts: int) -> "_Scales":
        shape = (rollouts, len(CAPS))
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(rollouts), np.zeros(rollouts))

    def take(self, requests: Floats, counts: Floats, rows: Flags) -> None:
        """`requests` (R, P), `counts` (R, caps, P); only `rows` learn."""
        self._phi = self._deviation = None
        served = (requests > 0).sum(axis=1)
        shares = requests / np.maximum(requests.sum(axis=1, keepdims=True), 1.0)
        squared = (shares**2).sum(axis=1)[:, None]
        total = counts.sum(axis=2)
        cross = np.einsum("rcp,rp->rc", counts, shares)
        unlike = total**2 * squared + np.einsum("rcp,rcp->rc", counts, counts) - 2.0 * total * cross
        self.squares += rows[:, None] * unlike
        self.expected += rows[:, None] * total * (1.0 - squared)
        self.terms += rows * served
        self.free += rows * (served - 1)

    def phi(self) -> Floats:
        if self._phi is None:
            self._phi = np.divide(self.squares, self.expected, out=np.ones_like(self.squares), where=self.expected > 0)
        return self._phi

    def deviation(self) -> Floats:
        if self._deviation is None:
            free = np.maximum(self.free, 1.0)[:, None]
            expected = np.where(self.expected > 0, self.expected, 1.0)
            known = (self.expected > 0) & (self.free > 0)[:, None]
            self._deviation = np.where(known, np.sqrt((2.0 + self.terms[:, None] / expected) / free), np.inf)
        return self._deviation

    def is_significant(self) -> Flags:
        return self.phi() > 1.0 + dispersion.SIGMAS * self.deviation()

    def keep(self, rows: Flags) -> None:
        self._phi = self._deviation = None
        self.squares, self.expected = self.squares[rows], self.expected[rows]
        self.terms, self.free = self.terms[rows], self.free[rows]


class Dispersions:
    """`dispersion.Dispersion` of R rollouts with P stable pods, which keep their places."""

    def __init__(self, rollouts: int, pods: int) -> None:
        self.short, self.long = _Scales.new(rollouts), _Scales.new(rollouts)
        self._block_n = np.zeros((rollouts, pods))
        self._block_y = np.zeros((rollouts, len(CAPS), pods))
        self._ticks = np.zeros(rollouts, np.int64)
        self._n, self._y = np.zeros((rollouts, pods)), np.zeros((rollouts, pods))
        self._most = np.zeros(rollouts)

    def take(self, requests: Counts, bad: Counts, rows: Flags) -> None:
        """Learn from one tick, (R, P) each; only `rows` do."""
        rows = rows & ((requests > 0).sum(axis=1) >= dispersion.PODS_MIN)
        n, y = requests * rows[:, None].astype(float), bad * rows[:, None].astype(float)
        capped = np.minimum(y[:, None], CAPS[:, None])
        self.short.take(n, capped, rows)
        self._most = np.maximum(self._most, y.max(axis=1))
        self._n, self._y = self._n + n, self._y + y
        self._block_n, self._block_y = self._block_n + n, self._block_y + capped
        self._ticks = self._ticks + rows
        full = rows & (self._ticks % dispersion.BLOCK == 0)
        if full.any():
            self.long.take(self._block_n, self._block_y, full)
            self._block_n[full], self._block_y[full] = 0.0, 0.0

    def is_known(self) -> Flags:
        return np.asarray(self._y.sum(axis=1) >= dispersion.BAD_MIN)

    def is_clean(self) -> Flags:
        spread = self.short.is_significant().any(axis=1) | self.long.is_significant().any(axis=1)
        return np.asarray(self.is_known() & ~spread)

    def divisors(self) -> Floats:
        """(R, finite caps)."""
        finite = slice(0, len(FINITE))
        phi, deviation = self.short.phi()[:, finite], self.short.deviation()[:, finite]
        least = np.broadcast_to(np.minimum(np.sqrt(FINITE), 6.0), phi.shape)
        observed = np.minimum(self._most[:, None], FINITE) / 2.0
        least = np.where(FINITE >= 10, np.maximum(least, observed), least)
        found = np.maximum(least, np.minimum(FINITE, 1.0 + 2.0 * np.maximum(0.0, phi + deviation - 1.0)))
        longer = np.where(self.long.is_significant()[:, finite], np.maximum(1.0, self.long.phi()[:, finite] / phi), 1.0)
        return np.asarray(np.where(self.is_known()[:, None], found * longer, np.maximum(found, dispersion.UNKNOWN)))

    def margin(self, canary_pods: Counts, stable_pods: Counts) -> Floats:
        some = (canary_pods > 0) & (stable_pods > 0)
        per_pod = np.sqrt(1.0 / np.maximum(canary_pods, 1) + 1.0 / np.maximum(stable_pods, 1))
        return np.where(some, np.exp(dispersion.DEVIATIONS * self.spread() * per_pod), 1.0)

    def spread(self) -> Floats:
        there = self._n > 0
        pods, bad = there.sum(axis=1), self._y.sum(axis=1)
        whole = self.long.phi()[:, -1]
        phi = np.maximum(
            np.maximum(1.0, self.short.phi()[:, -1]), np.where(self.long.is_significant()[:, -1], whole, 1.0)
        )
        mean = self._n * (bad / np.maximum(self._n.sum(axis=1), 1.0))[:, None]
        terms = np.divide((self._y - mean) ** 2, mean, out=np.zeros_like(mean), where=there & (mean > 0))
        degrees = np.maximum(pods - 1, 1)
        chi = terms.sum(axis=1) / degrees / phi
        excess = np.maximum(0.0, chi - 1.0 + 0.5 * np.sqrt(2.0 / degrees)) * RAISED[pods]
        found = np.sqrt(excess * phi / np.maximum(bad / np.maximum(pods, 1), 1.0))
        return np.where((pods < dispersion.PODS_MIN) | (bad == 0), 0.0, np.minimum(dispersion.SPREAD_MAX, found))

    def keep(self, rows: Flags) -> None:
        for scale in (self.short, self.long):
            scale.keep(rows)
        self._block_n, self._block_y, self._ticks = self._block_n[rows], self._block_y[rows], self._ticks[rows]
        self._n, self._y, self._most = self._n[rows], self._y[rows], self._most[rows]


@dataclass(slots=True)
class Wobbles:
    """`wobble.Wobble` of R rollouts; `_n` is 0 where no tick waits for its partner."""

    rollouts: int
    _total: Floats = field(init=False)
    _terms: Floats = field(init=False)
    _greatest: Floats = field(init=False)
    _k: Counts = field(init=False)
    _n: Counts = field(init=False)

    def __post_init__(self) -> None:
        self._total, self._terms = np.zeros(self.rollouts), np.zeros(self.rollouts)
        self._greatest = np.zeros((self.rollouts, len(wobble.Wobble().greatest)))
        self._k, self._n = np.zeros(self.rollouts, np.int64), np.zeros(self.rollouts, np.int64)

    def take(self, bad: Counts, requests: Counts, rows: Flags) -> None:
        rows = rows & (requests > 0)
        both = self._k + bad
        paired = rows & (self._n > 0) & (both >= wobble.BAD_MIN)
        share = requests / np.maximum(requests + self._n, 1)
        spread = np.where(paired, both * share * (1.0 - share), 1.0)
        term = np.where(paired, (bad - both * share) ** 2 / spread, 0.0)
        three = np.sort(np.concatenate([self._greatest, term[:, None]], axis=1), axis=1)
        self._total = self._total + np.where(paired, three[:, 0], 0.0)
        self._greatest = np.where(paired[:, None], three[:, 1:], self._greatest)
        self._terms = self._terms + paired
        self._k = np.where(paired, 0, np.where(rows, bad, self._k))
        self._n = np.where(paired, 0, np.where(rows, requests, self._n))

    def divisor(self) -> Floats:
        terms = np.maximum(self._terms, wobble.TERMS_MIN)
        phi = self._total / (terms - self._greatest.shape[1])
        uneven = (self._terms >= wobble.TERMS_MIN) & (phi > 1.0 + wobble.SIGMAS * np.sqrt(2.0 / terms))
        return np.where(uneven, 1.0 + 4.0 * (phi - 1.0), 1.0)

    def keep(self, rows: Flags) -> None:
        self._total, self._terms, self._greatest = self._total[rows], self._terms[rows], self._greatest[rows]
        self._k, self._n = self._k[rows], self._n[rows]
