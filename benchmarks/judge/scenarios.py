"""Draw a family's rollouts: steps of 5, 25 and 50 % for ten minutes each, then all traffic for ten.

Everything comes from one PCG64 stream a (seed, family, rate, block), so that any block can be drawn again alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isinf, log, sqrt
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from benchmarks.judge.batch import Batch, Counts, Floats, History
from benchmarks.judge.families import Family
from benchmarks.judge.podded import Podded

__all__ = ["EDGES_MS", "SPLITS", "STEP_S", "blocks", "cells", "draw", "stream"]

SPLITS = (0.05, 0.25, 0.50, 1.0)
STEP_S = 600.0
MEDIAN_MS = 200.0
HISTORY = 2000
"""Requests that stable served before the first tick, and that the rules may learn from."""

EDGES_MS: Mapping[str, tuple[float, ...]] = {
    "": (),
    "prometheus": (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000),
    "1.3": tuple(20.0 * 1.3**step for step in range(22)),
    "1.1": tuple(20.0 * 1.1**step for step in range(56)),
}

Arrivals = Mapping[str, NDArray[np.int64]]
"""Requests per second of a trace, by its name."""


def blocks(
    family: Family, rollouts: int, seed: int, traces: Arrivals | None = None, size: int = 500
) -> Iterator[Batch]:
    """`rollouts` of the family, in batches of at most `size`."""
    for number, first in enumerate(range(0, rollouts, size)):
        yield draw(family, min(size, rollouts - first), stream(family, seed, number), traces or {})


def stream(family: Family, seed: int, block: int) -> np.random.Generator:
    key = crc32(f"{family.name}|{family.rate:g}".encode())
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, key, block])))


def draw(family: Family, rollouts: int, random: np.random.Generator, traces: Arrivals) -> Batch:
    """One batch. `traces` holds what the families with recorded arrivals need."""
    return _Drawing(family, rollouts, random, traces).batch()


def cells(family: Family, slow: Floats) -> Floats:
    """Probabilities of the latency buckets (…, J) when all is `slow` (…) times as long."""
    edges = np.asarray(EDGES_MS[family.buckets], float)
    at = edges / slow[..., None]
    below = ndtr(np.log(at / MEDIAN_MS) / family.sigma)
    if family.heavy_tail:
        below = 0.9 * below + 0.1 * np.where(at > 500.0, 1.0 - (500.0 / np.maximum(at, 500.0)) ** 1.1, 0.0)
    edge_shares = np.concatenate([np.zeros((*slow.shape, 1)), below, np.ones((*slow.shape, 1))], axis=-1)
    shares = np.maximum(np.diff(edge_shares, axis=-1), 0.0)
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True), np.float64)


@dataclass(slots=True)
class _Drawing:
    family: Family
    rollouts: int
    random: np.random.Generator
    traces: Arrivals

    def batch(self) -> Batch:
        family, random, podded = self.family, self.random, None
        steps = int(STEP_S / family.tick_s)
        ticks = steps * len(SPLITS)
        onset = int(family.onset_s / family.tick_s)
        worse = np.arange(ticks) >= onset
        bad, slow = self._shared(ticks)
        broken = isinf(family.errors)
        bad_c = np.where(worse, 1.0 if broken else np.minimum(bad * (1.0 if broken else family.errors), 1.0), bad)
        split = np.broadcast_to(np.repeat(SPLITS, steps), (self.rollouts, ticks))
        if family.splitting == "all":
            split = np.ones((self.rollouts, ticks))
        if family.pods is not None:
            podded = Podded.draw(family, self.rollouts, random, steps, SPLITS, np.where(worse, family.errors, 1.0))
            n_c, n_b, k_c, k_b = podded.arms()
        elif family.splitting == "evidence":
            split, (n_c, n_b, k_c, k_b) = self._on_evidence(bad, bad_c)
        else:
            total = self._arrivals(ticks)
            n_c = random.binomial(total, split)
            n_b = total - n_c
            k_c, k_b = random.binomial(n_c, bad_c), random.binomial(n_b, bad)
        latency = (None, None) if not family.buckets else self._latency(n_c, n_b, slow, worse, podded)
        batch = Batch(
            name=family.name,
            tick_s=family.tick_s,
            split=split,
            n_c=n_c,
            n_b=n_b,
            k_c={"5xx": k_c},
            k_b={"5xx": k_b},
            history=self._history(podded),
            edges_ms=np.asarray(EDGES_MS[family.buckets], float),
            latency_c=latency[0],
            latency_b=latency[1],
            pods=podded.pods() if podded and podded.spread.reported else None,
            onset=onset,
            base_rate=family.base,
            quantiles_ms={q: MEDIAN_MS * float(np.exp(family.sigma * ndtri(q))) for q in (0.5, 0.95, 0.99)},
        )
        return self._counted(batch) if family.counting else batch

    def _arrivals(self, ticks: int) -> Counts:
        family, random, size = self.family, self.random, (self.rollouts, ticks)
        mean = family.rate * family.tick_s
        match family.arrivals:
            case "poisson":
                return random.poisson(mean, size)
            case "bursty":
                return random.poisson(mean * random.gamma(4.0, 0.25, size))
            case "minutes":
                minutes = random.choice([0.25, 1.0, 4.0], (self.rollouts, int(ticks * family.tick_s / 60) + 1))
                return random.poisson(mean / 1.75 * np.repeat(minutes, round(60 / family.tick_s), axis=1)[:, :ticks])
            case "daily":
                return random.poisson(mean * (1.0 + 0.8 * _day(ticks, self.rollouts)))
            case "azure conv" | "azure code":
                trace = self.traces[family.arrivals.removeprefix("azure ")]
                return _of_trace(trace, family, random, size)

    def _shared(self, ticks: int) -> tuple[Floats, Floats]:
        """Stable's share of bad answers, and how many times slower than usual, (R or 1, T)."""
        family, random, rollouts = self.family, self.random, self.rollouts
        seconds = np.arange(ticks) * family.tick_s
        inside = ((seconds >= 300.0) & (seconds < 600.0))[None]
        usual, none = np.full((1, ticks), family.base), np.ones((1, ticks))
        match family.shared:
            case "":
                return usual, none
            case "incident":
                return np.where(inside, np.minimum(20.0 * usual, 1.0), usual), none
            case "any time":
                start = random.uniform(0.0, 1800.0, (rollouts, 1))
                length = random.uniform(20.0, 600.0, (rollouts, 1))
                during = (seconds >= start) & (seconds < start + length)
                height = np.exp(random.uniform(0.0, log(60.0), (rollouts, 1)))
                return np.where(during, np.minimum(height * usual, 1.0), usual), none
            case "outage":
                return np.where((seconds >= 300.0) & (seconds < 360.0), 1.0, usual), none
            case "slow":
                return usual, np.where(inside, 3.0, none)
            case "drift":
                return np.minimum(usual * np.exp(_wandering(random, rollouts, ticks)), 0.9), none
            case "slow drift":
                return np.broadcast_to(usual, (rollouts, ticks)), np.exp(0.5 * _wandering(random, rollouts, ticks))
            case "daily":
                day = _day(ticks, rollouts)
                return usual * np.exp(day), np.exp(0.5 * day)

    def _on_evidence(self, bad: Floats, bad_c: Floats) -> tuple[Floats, tuple[Counts, Counts, Counts, Counts]]:
        """More traffic after a tick without bad answers of the canary, the least after one with: a split that
        leans on the outcomes as much as any controller's could."""
        ticks, random, rollouts = bad.shape[1], self.random, self.rollouts
        split, here = np.zeros((rollouts, ticks)), np.full(rollouts, SPLITS[0])
        n_c, n_b, k_c, k_b = (np.zeros((rollouts, ticks), np.int64) for _ in range(4))
        total = self._arrivals(ticks)
        for tick in range(ticks):
            split[:, tick] = here
            n_c[:, tick] = random.binomial(total[:, tick], here)
            n_b[:, tick] = total[:, tick] - n_c[:, tick]
            k_c[:, tick] = random.binomial(n_c[:, tick], bad_c[:, tick])
            k_b[:, tick] = random.binomial(n_b[:, tick], bad[:, tick])
            here = np.where(k_c[:, tick] > 0, SPLITS[0], np.minimum(1.5 * here, 0.5))
        return split, (n_c, n_b, k_c, k_b)

    def _latency(
        self, n_c: Counts, n_b: Counts, slow: Floats, worse: NDArray[np.bool_], podded: "Podded | None"
    ) -> tuple[Counts, Counts]:
        family = self.family
        canary = baseline = cells(family, slow)
        if podded is not None and podded.spread.latency:
            # Pods share the load evenly: an arm's requests are spread as the mean over its pods.
            canary, baseline = (
                np.repeat(np.stack([cells(family, slow_p).mean(axis=1) for slow_p in of], axis=1), podded.steps, axis=1)
                for of in podded.latencies()
            )
            return self._multinomial(n_c, canary), self._multinomial(n_b, baseline)
        if family.slower != 1.0:
            moved = cells(family, slow * family.slower)
            moved = family.slow_share * moved + (1.0 - family.slow_share) * baseline
            canary = np.where(worse[:, None], moved, baseline)
        return self._multinomial(n_c, canary), self._multinomial(n_b, baseline)

    def _multinomial(self, n: Counts, shares: Floats) -> Counts:
        flat = shares[0, 0] if shares.shape[:2] == (1, 1) or (shares == shares[:1, :1]).all() else shares
        return self.random.multinomial(n, flat)

    def _history(self, podded: "Podded | None") -> History:
        family, random = self.family, self.random
        latency = None
        if family.buckets:
            latency = random.multinomial(HISTORY, cells(family, np.ones(1))[0], self.rollouts).astype(float)
        if podded is not None and podded.spread.watched_before:
            requests, bad = podded.before()
            part = np.minimum(1.0, HISTORY / requests)
            ticks = podded.n_h.sum(axis=2), podded.k_h.sum(axis=2)
            return History(part * requests, {"5xx": part * bad}, latency, ticks)
        known = random.binomial(HISTORY, family.base, self.rollouts).astype(float)
        return History(np.full(self.rollouts, float(HISTORY)), {"5xx": known}, latency)

    def _counted(self, batch: Batch) -> Batch:
        """What becomes of the counts on their way to the judge."""
        random, size = self.random, (self.rollouts, batch.ticks)
        canary, baseline = np.ones(size), np.ones(size)
        match self.family.counting:
            case "resets":
                for kept in (canary, baseline):
                    for _ in range(2):
                        kept[np.arange(size[0]), random.integers(0, size[1], size[0])] = random.random()
            case "lost ticks":
                return _merged(batch, random.random(size) < 0.1)
            case "silence":
                for kept in (canary, baseline):
                    start = random.integers(0, size[1], (size[0], 3, 1))
                    kept[((np.arange(size[1]) - start) % size[1] < 12).any(axis=1)] = 0.0
            case "no traffic":
                canary[:], baseline[:] = 0.0, 0.0
            case "apart":
                return _apart(batch, random)
        return _thinned(batch, canary, baseline, random)


def _wandering(random: np.random.Generator, rollouts: int, ticks: int) -> Floats:
    """AR(1), coefficient 0.98, in its stationary state with standard deviation 1."""
    steps = random.standard_normal((rollouts, ticks)) * sqrt(1.0 - 0.98**2)
    steps[:, 0] /= sqrt(1.0 - 0.98**2)
    for tick in range(1, ticks):
        steps[:, tick] += 0.98 * steps[:, tick - 1]
    return steps


def _day(ticks: int, rollouts: int) -> Floats:
    """One sine over the rollout, of a phase for each: a whole day in forty minutes."""
    phase = np.arange(rollouts)[:, None] / rollouts
    return np.asarray(np.sin(2.0 * np.pi * (np.arange(ticks) / ticks + phase)))


def _of_trace(trace: Counts, family: Family, random: np.random.Generator, size: tuple[int, int]) -> Counts:
    """Counts per tick from a random second of the trace on, round its end; scaled to the family's rate."""
    step = int(family.tick_s)
    start = random.integers(0, len(trace), size[0])[:, None]
    sums = np.concatenate([[0], np.cumsum(np.tile(trace, 2 + size[1] * step // len(trace)))])
    at = start + step * np.arange(size[1] + 1)
    counts = np.diff(sums[at], axis=1)
    scale = family.rate / trace.mean()
    return np.asarray(counts if abs(scale - 1.0) < 0.05 else random.poisson(scale * counts), np.int64)


def _merged(batch: Batch, lost: NDArray[np.bool_]) -> Batch:
    """Counters are cumulative: what a lost tick counted comes with the next."""

    def merge(values: Counts | None) -> Counts | None:
        if values is None:
            return None
        result = values.copy()
        for tick in range(values.shape[1] - 1):
            gone = lost[:, tick].reshape(-1, *(1,) * (values.ndim - 2))
            result[:, tick + 1] += gone * result[:, tick]
            result[:, tick] *= ~gone
        return result

    k_c, k_b = merge(batch.k_c["5xx"]), merge(batch.k_b["5xx"])
    n_c, n_b = merge(batch.n_c), merge(batch.n_b)
    assert n_c is not None and n_b is not None and k_c is not None and k_b is not None  # noqa: PT018
    return replace(
        batch,
        n_c=n_c,
        n_b=n_b,
        k_c={"5xx": k_c},
        k_b={"5xx": k_b},
        latency_c=merge(batch.latency_c),
        latency_b=merge(batch.latency_b),
    )


def _apart(batch: Batch, random: np.random.Generator) -> Batch:
    """A tenth of the canary's answers are seen in the tick after theirs."""
    late = random.binomial(batch.k_c["5xx"], 0.1)
    moved = batch.k_c["5xx"] - late
    moved[:, 1:] += late[:, :-1]
    return replace(batch, k_c={"5xx": np.minimum(moved, batch.n_c)})


def _thinned(batch: Batch, canary: Floats, baseline: Floats, random: np.random.Generator) -> Batch:
    def thin(values: Counts | None, kept: Floats) -> Counts | None:
        if values is None:
            return None
        return random.binomial(values, kept.reshape(*kept.shape, *(1,) * (values.ndim - 2)))

    def arm(n: Counts, k: Counts, latency: Counts | None, kept: Floats) -> tuple[Counts, Counts, Counts | None]:
        good, bad = thin(n - k, kept), thin(k, kept)
        assert good is not None
        assert bad is not None
        return good + bad, bad, thin(latency, kept)

    n_c, k_c, latency_c = arm(batch.n_c, batch.k_c["5xx"], batch.latency_c, canary)
    n_b, k_b, latency_b = arm(batch.n_b, batch.k_b["5xx"], batch.latency_b, baseline)
    return replace(
        batch, n_c=n_c, n_b=n_b, k_c={"5xx": k_c}, k_b={"5xx": k_b}, latency_c=latency_c, latency_b=latency_b
    )
