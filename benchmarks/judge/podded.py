"""Rollouts pod by pod: pods share the load, each arm's as its share of the traffic, and are not alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from benchmarks.judge.batch import Counts, Floats, Pods
from benchmarks.judge.families import Family, PodSpread

__all__ = ["HISTORY_TICKS", "Podded"]

HISTORY_TICKS = 360
"""An hour of ticks before the rollout, in which all the pods are stable's."""

BURST_TICKS, BURST_SHARE = 6, 1.0 / 60.0
"""A burst's length, and the share of a pod's time that is in one."""


@dataclass(frozen=True, slots=True)
class Podded:
    """Counts (R, T, pods) of either arm and of the hour before; `ready` is the canary's pods in each step."""

    spread: PodSpread
    steps: int
    ready: tuple[int, ...]
    n_c: Counts
    k_c: Counts
    n_b: Counts
    k_b: Counts
    n_h: Counts
    k_h: Counts
    slow_c: Floats
    slow_b: Floats

    @classmethod
    def draw(
        cls,
        family: Family,
        rollouts: int,
        random: np.random.Generator,
        steps: int,
        splits: Sequence[float],
        factor: Floats,
    ) -> "Podded":
        """`steps` ticks for each split; `factor` (T,) is the canary's regression."""
        spread = family.pods or PodSpread()
        pods = spread.pods
        ready = tuple(max(1, round(pods * split)) for split in splits)
        load_c = _loads(pods, ready, splits, steps)
        load_b = _loads(pods, [pods - each for each in ready], [1.0 - split for split in splits], steps)
        sigma = sqrt(log(1.0 + spread.cv**2))

        def factors() -> Floats:
            return np.exp(sigma * random.standard_normal((rollouts, 1, pods)) - sigma**2 / 2.0)

        canary, stable = factors(), factors()
        canary[:, :, 0] *= spread.lone
        ticks = HISTORY_TICKS if spread.watched_before else 0
        n_c, k_c = _counts(family, spread, random, canary, factor, load_c)
        n_b, k_b = _counts(family, spread, random, stable, np.ones(len(factor)), load_b)
        before = PodSpread(pods=pods) if spread.calm_before else spread
        n_h, k_h = _counts(family, before, random, stable, np.ones(ticks), np.full((ticks, pods), 1.0 / pods))
        slow_c, slow_b = (np.exp(spread.latency * random.standard_normal((rollouts, pods))) for _ in range(2))
        return cls(spread, steps, ready, n_c, k_c, n_b, k_b, n_h, k_h, slow_c, slow_b)

    def arms(self) -> tuple[Counts, Counts, Counts, Counts]:
        return self.n_c.sum(axis=2), self.n_b.sum(axis=2), self.k_c.sum(axis=2), self.k_b.sum(axis=2)

    def before(self) -> tuple[Counts, Counts]:
        """Requests and bad answers (R,) of the hour before."""
        return self.n_h.sum(axis=(1, 2)), self.k_h.sum(axis=(1, 2))

    def latencies(self) -> Iterator[list[Floats]]:
        """For the canary, then for stable: the factors (R, pods) on the latency of the pods of each step."""
        yield [self.slow_c[:, :pods] for pods in self.ready]
        yield [self.slow_b[:, : max(self.spread.pods - pods, 1)] for pods in self.ready]

    def pods(self) -> Pods:
        ready_c = np.repeat(self.ready, self.steps)
        return Pods(self.n_c, self.k_c, self.n_b, self.k_b, self.n_h, self.k_h, ready_c, self.spread.pods - ready_c)


def _loads(pods: int, ready: Sequence[int], splits: Sequence[float], steps: int) -> Floats:
    """An arm's share of the requests, evenly over the first `ready` pods in each step."""
    share = np.array([split / max(each, 1) for split, each in zip(splits, ready, strict=True)])
    return np.repeat(np.where(np.arange(pods) < np.array(ready)[:, None], share[:, None], 0.0), steps, axis=0)


def _counts(
    family: Family,
    spread: PodSpread,
    random: np.random.Generator,
    of_pod: Floats,
    of_tick: Floats,
    load: Floats,
) -> tuple[Counts, Counts]:
    """Requests and bad answers (R, ticks, pods); `load` (ticks, pods) is each pod's share of the requests."""
    size = (len(of_pod), *load.shape)
    n = random.poisson(family.rate * family.tick_s * load, size)
    share = family.base * of_pod * np.ones((1, len(of_tick), 1))
    if spread.bursts:
        share = share + family.base * spread.bursts / BURST_SHARE * _bursting(random, size)
    regression = of_tick[:, None]
    share = np.where(
        np.isinf(regression), 1.0, np.minimum(share * np.where(np.isinf(regression), 1.0, regression), 1.0)
    )
    if spread.icc:
        rest = 1.0 / spread.icc - 1.0
        share = random.beta(np.maximum(share * rest, 1e-9), np.maximum((1.0 - share) * rest, 1e-9), size)
    k = random.binomial(n, share)
    if spread.clusters:
        bunches = random.poisson(n * (family.base * spread.clusters / spread.cluster_size))
        more = np.zeros_like(k)
        some = bunches > 0
        more[some] = bunches[some] + random.negative_binomial(bunches[some], 1.0 / spread.cluster_size)
        k = np.minimum(n, k + more)
    return n, k


def _bursting(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    begun = random.random(size) < BURST_SHARE / BURST_TICKS
    here = begun.copy()
    for back in range(1, BURST_TICKS):
        here[:, back:] |= begun[:, :-back]
    return here
