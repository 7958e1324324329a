"""Each kind of metric's bets over many rollouts at once: `ratio_process`, `latency_process`, `guard_process`."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.batch import Batch, Counts, Floats
from benchmarks.judge.shapes import Shapes
from benchmarks.judge.spread import Dispersions, Wobbles
from benchmarks.judge.stakes import Stakes
from pointsman.core.judge import guard, latency, ratio
from pointsman.core.judge.dispersion import CAP_WEIGHTS, CAPS, PODS_MANY, PODS_MIN
from pointsman.core.judge.latency_process import BET_EVERY, BET_OFTEN
from pointsman.core.judge.policy import JudgePolicy, Metric
from pointsman.core.judge.ratio_process import LONE_NATS, LONE_ODDS, OTHERS_MAX, WELL_NATS, WELL_ODDS

__all__ = ["Guards", "Latencies", "Process", "Ratios"]

Flags = NDArray[np.bool_]


class Process(Protocol):
    """One metric of R rollouts. A batch is given anew each tick, since rollouts that are decided leave it."""

    stakes: Stakes

    def take(self, batch: Batch, tick: int, burning: Flags) -> None:
        """Bet on the tick; nothing is held against the canary where stable is `burning`."""

    def learn(self, batch: Batch, tick: int, rows: Flags) -> None:
        """Learn from stable's counts in the tick, where stable is well (`rows`)."""

    def keep(self, rows: Flags) -> None:
        """Go on with some of the rollouts."""


class Ratios:
    """Bad answers of one class. Batches with pods are judged by pod, as stable has enough of them."""

    def __init__(self, batch: Batch, policy: JudgePolicy, metric: Metric) -> None:
        history, self._bad = batch.history, metric.bad
        self._odds, weights = np.array(policy.odds()[0]), policy.odds()[1]
        self._margin = 1.0 + metric.margin
        self._n, self._k = history.requests.astype(float), history.bad[metric.bad].astype(float)
        self._wobbles = Wobbles(batch.rollouts)
        self._dispersions: Dispersions | None = None
        self.lone = _Lone(batch) if batch.pods is not None else None
        pods, everyone = batch.pods, np.ones(batch.rollouts, bool)
        if history.ticks is not None:
            for n, k in zip(history.ticks[0].T, history.ticks[1].T, strict=True):
                self._wobbles.take(k, n, everyone)
        if pods is not None and min(pods.n_h.shape[2], int(pods.ready_b[0])) >= PODS_MIN:
            self._dispersions = Dispersions(batch.rollouts, pods.n_h.shape[2])
            for before in range(pods.n_h.shape[1]):
                self._dispersions.take(pods.n_h[:, before], pods.k_h[:, before], everyone)
            weights = tuple(cap * weight for cap in CAP_WEIGHTS for weight in weights)
        self.stakes = Stakes.new(batch.rollouts, weights)

    def take(self, batch: Batch, tick: int, burning: Flags) -> None:
        n_b, k_b = batch.n_b[:, tick], batch.k_b[self._bad][:, tick]
        n_c, k_c = batch.n_c[:, tick], batch.k_c[self._bad][:, tick]
        if self.lone is not None:
            n_c, k_c = (of.sum(axis=1) for of in self.lone.counted(batch, tick))
        rate = np.clip((self._k + 0.5) / (self._n + 100.0), 1e-6, 0.5)
        bet = (n_c > 0) & (n_b > 0)
        if self._dispersions is None:
            evidence = self._plain(n_c, k_c, n_b, k_b, rate, np.full(len(rate), self._margin))
            evidence = evidence / self._wobbles.divisor()[:, None]
        else:
            evidence = self._by_pod(batch, tick, rate, self._dispersions)
        evidence = np.where(burning[:, None], np.minimum(0.0, evidence), evidence)
        self.stakes.take(np.where(bet[:, None], evidence, 0.0), batch.split[:, tick], bet, length_s=batch.tick_s)
        if self.lone is not None:
            self.lone.take(batch, tick, bet)

    def _plain(self, n_c: Counts, k_c: Counts, n_b: Counts, k_b: Counts, rate: Floats, margin: Floats) -> Floats:
        p, odds = rate[:, None], self._odds
        worse = odds * p / (1.0 - p + odds * p)
        ratios = np.stack([(1.0 - worse) / (1.0 - p), worse / p], axis=2)
        canary, baseline = np.stack([n_c - k_c, k_c], axis=1), np.stack([n_b - k_b, k_b], axis=1)
        exact = _log_block(canary, baseline, ratios, np.log(ratios))
        if (margin == 1.0).all():
            return exact
        beyond = _log_beyond(n_c, k_c, n_b, k_b, self._beyond(rate, margin), margin)
        return np.where((margin == 1.0)[:, None], exact, beyond)

    def _beyond(self, rate: Floats, margin: Floats) -> Floats:
        p = rate[:, None]
        return np.maximum(ratio.BEYOND_LEAST, self._odds / (1.0 - p + self._odds * p) / margin[:, None])

    def _by_pod(self, batch: Batch, tick: int, rate: Floats, dispersions: Dispersions) -> Floats:
        pods = batch.pods
        assert pods is not None
        assert self.lone is not None
        pods_n, pods_k = self.lone.counted(batch, tick)
        n_c, n_b, k_b = pods_n.sum(axis=1), batch.n_b[:, tick], batch.k_b[self._bad][:, tick]
        serving = (pods_n > 0).sum(axis=1), (pods.n_b[:, tick] > 0).sum(axis=1)
        margin = self._margin * dispersions.margin(*serving)
        plain = self._plain(n_c, pods_k.sum(axis=1), n_b, k_b, rate, margin)
        beyond, divisors = self._beyond(rate, margin), dispersions.divisors()
        usual = n_b / np.maximum(serving[1], 1)
        part = np.minimum(1.0, pods_n / np.maximum(usual, 1e-9)[:, None])
        capped = [
            _log_beyond(
                n_c,
                np.minimum(pods_k, cap * part).sum(axis=1),
                n_b,
                np.minimum(pods.k_b[:, tick], cap).sum(axis=1),
                beyond,
                margin,
            )
            / divisors[:, index, None]
            for index, cap in enumerate(CAPS)
        ]
        # Few pods of which nothing is known yet are judged as one.
        few = ((serving[1] < PODS_MANY) & ~dispersions.is_known())[:, None]
        clean = dispersions.is_clean()[:, None]
        found = [np.where(clean, plain, each) for each in capped]
        if few.any():
            as_one = self._plain(n_c, pods_k.sum(axis=1), n_b, k_b, rate, np.full(len(rate), self._margin))
            found = [np.where(few, as_one / self._wobbles.divisor()[:, None], each) for each in found]
        return np.concatenate(found, axis=1)

    def learn(self, batch: Batch, tick: int, rows: Flags) -> None:
        n_b, k_b = batch.n_b[:, tick], batch.k_b[self._bad][:, tick]
        if self._dispersions is not None and batch.pods is not None:
            self._dispersions.take(batch.pods.n_b[:, tick], batch.pods.k_b[:, tick], rows)
        self._wobbles.take(k_b, n_b, rows)
        self._n, self._k = self._n + rows * n_b, self._k + rows * k_b

    def start_again(self, rows: Flags) -> None:
        self.stakes.start_again(rows)

    def keep(self, rows: Flags) -> None:
        self._n, self._k = self._n[rows], self._k[rows]
        self.stakes.keep(rows)
        self._wobbles.keep(rows)
        if self._dispersions is not None:
            self._dispersions.keep(rows)
        if self.lone is not None:
            self.lone.keep(rows)


class _Lone:
    """Pods of the canary that are bad alone: such a one is replaced, once a rollout, and counts no more."""

    def __init__(self, batch: Batch) -> None:
        assert batch.pods is not None
        shape = (batch.rollouts, batch.pods.n_c.shape[2])
        self._n, self._k = np.zeros(shape), np.zeros(shape)
        self._kept = np.ones(shape, bool)
        self._begun = np.zeros(batch.rollouts, bool)
        self._stable_n, self._stable_k = np.zeros(batch.rollouts), np.zeros(batch.rollouts)

    def counted(self, batch: Batch, tick: int) -> tuple[Counts, Counts]:
        """Requests and bad answers (R, P) of the canary's pods that count."""
        assert batch.pods is not None
        return batch.pods.n_c[:, tick] * self._kept, batch.pods.k_c[:, tick] * self._kept

    def take(self, batch: Batch, tick: int, bet: Flags) -> None:
        assert batch.pods is not None
        n, k = self.counted(batch, tick)
        there = self._kept[:, : int(batch.pods.ready_c[tick])].sum(axis=1)
        self._begun = self._begun | (bet & (there > 1))
        self._n, self._k = (of + (bet & self._begun)[:, None] * new for of, new in ((self._n, n), (self._k, k)))

    def tally(self, batch: Batch, tick: int) -> None:
        self._stable_n = self._stable_n + batch.n_b[:, tick]
        self._stable_k = self._stable_k + batch.bad_b[:, tick]

    def found(self, rows: Flags) -> Flags:
        """Of `rows`, those whose evidence comes from one pod; it is taken away."""
        if not rows.any():
            return rows
        some = np.arange(len(self._n))
        worst = (self._k / np.maximum(self._n, 1.0)).argmax(axis=1)
        lone_k, lone_n = self._k[some, worst], self._n[some, worst]
        k, n = (self._k.sum(axis=1) - lone_k).astype(np.int64), (self._n.sum(axis=1) - lone_n).astype(np.int64)
        stable_n, stable_k = self._stable_n.astype(np.int64), self._stable_k.astype(np.int64)
        p = np.clip((self._stable_k + 0.5) / (self._stable_n + 100.0), 1e-6, 0.5)
        lone = np.stack([lone_n - lone_k, lone_k], axis=1).astype(np.int64)
        others, stable = (np.stack([of_n - of_k, of_k], axis=1) for of_n, of_k in ((n, k), (stable_n, stable_k)))
        excess, others_excess = lone_k - p * lone_n, k - p * n
        is_lone = rows & self._kept.all(axis=1) & self._begun & (n > 0) & (lone_n > 0) & (stable_n > 0)
        is_lone &= self._speaks(lone, stable, p, LONE_ODDS) >= LONE_NATS
        is_lone &= self._speaks(others, stable, p, WELL_ODDS) <= WELL_NATS
        is_lone &= others_excess <= OTHERS_MAX * excess
        self._kept[some[is_lone], worst[is_lone]] = False
        self._n[is_lone], self._k[is_lone], self._begun[is_lone] = 0.0, 0.0, False
        return np.asarray(is_lone)

    def _speaks(self, ours: Counts, stable: Counts, p: Floats, odds: float) -> Floats:
        """Evidence of (good, bad) counts for these odds, beside stable's."""
        worse = odds * p / (1.0 - p + odds * p)
        ratios = np.stack([(1.0 - worse) / (1.0 - p), worse / p], axis=1)[:, None]
        return np.asarray(_log_block(ours, stable, ratios, np.log(ratios))[:, 0])

    def keep(self, rows: Flags) -> None:
        self._n, self._k, self._kept, self._begun = self._n[rows], self._k[rows], self._kept[rows], self._begun[rows]
        self._stable_n, self._stable_k = self._stable_n[rows], self._stable_k[rows]


class Latencies:
    """A histogram, all buckets at once. Pods' latencies are not told apart."""

    def __init__(self, batch: Batch, policy: JudgePolicy, metric: Metric) -> None:
        slowdowns, weights = policy.slowdowns()
        edges = [float(edge) for edge in batch.edges_ms]
        self.stakes = Stakes.new(batch.rollouts, weights)
        self._history = batch.history.latency
        self._bet_on = np.zeros(batch.rollouts, np.int64)
        self._shapes = Shapes(edges, slowdowns) if edges else None
        self._targets = latency.forgiving(edges, metric.margin, metric.margin_ms)
        self._staked = np.ones((batch.rollouts, len(weights), len(edges) + 1))
        self._logs = np.zeros_like(self._staked)
        self._known = np.zeros(batch.rollouts, bool)

    def take(self, batch: Batch, tick: int, burning: Flags) -> None:
        if self._shapes is None or self._history is None or batch.latency_c is None or batch.latency_b is None:
            return
        baseline = batch.latency_b[:, tick]
        canary = np.zeros_like(baseline)
        for bucket, target in enumerate(self._targets):
            canary[:, target] += batch.latency_c[:, tick, bucket]
        both = canary.any(axis=1) & baseline.any(axis=1)
        enough = self._history.sum(axis=1) >= latency.HISTORY_MIN
        due = both & enough & ((self._bet_on < BET_OFTEN) | (self._bet_on % BET_EVERY == 0))
        if due.any():
            self._staked[due] = self._shapes.bets(self._history[due])
            self._logs[due] = np.log(self._staked[due])
            self._known |= due
        bet = both & self._known & (due | ((self._bet_on >= BET_OFTEN) & (self._bet_on % BET_EVERY != 0)))
        self._bet_on = self._bet_on + bet
        evidence = _log_block(canary, baseline, self._staked, self._logs)
        evidence = np.where(burning[:, None], np.minimum(0.0, evidence), evidence)
        self.stakes.take(evidence, batch.split[:, tick], bet, length_s=batch.tick_s)

    def learn(self, batch: Batch, tick: int, rows: Flags) -> None:
        if self._history is not None and batch.latency_b is not None:
            self._history = self._history + rows[:, None] * batch.latency_b[:, tick]

    def keep(self, rows: Flags) -> None:
        self.stakes.keep(rows)
        self._history = None if self._history is None else self._history[rows]
        self._staked, self._logs = self._staked[rows], self._logs[rows]
        self._bet_on, self._known = self._bet_on[rows], self._known[rows]


class Guards:
    """The share of bad answers where no stable side is to answer."""

    def __init__(self, batch: Batch, policy: JudgePolicy, metric: Metric) -> None:
        self._bad, self._limit = metric.bad, policy.bad_limit
        self.stakes = Stakes.new(batch.rollouts, guard.WEIGHTS)

    def take(self, batch: Batch, tick: int, burning: Flags) -> None:
        n, k = batch.n_c[:, tick], batch.k_c[self._bad][:, tick]
        bet = (batch.n_b[:, tick] == 0) & (batch.split[:, tick] >= 1.0) & (n > 0)
        if not bet.any():
            return
        worse, limit = np.array(guard.alternatives(self._limit)), self._limit
        nats = k[:, None] * np.log(worse / limit) + (n - k)[:, None] * np.log((1.0 - worse) / (1.0 - limit))
        nats = np.where(burning[:, None], np.minimum(0.0, nats), nats)
        self.stakes.take(nats, batch.split[:, tick], bet, length_s=batch.tick_s)

    def learn(self, batch: Batch, tick: int, rows: Flags) -> None:
        """Nothing is learned from stable: there is none."""

    def keep(self, rows: Flags) -> None:
        self.stakes.keep(rows)


def _log_block(canary: Counts, baseline: Counts, ratios: Floats, logs: Floats) -> Floats:
    """`block.log_block` of (R, J) counts for (R, G, J) ratios: (R, G)."""
    both = canary + baseline
    share = canary.sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    mixed = np.log(1.0 + share[:, None, None] * (ratios - 1.0))
    nats = np.einsum("rj,rgj->rg", canary.astype(float), logs) - np.einsum("rj,rgj->rg", both.astype(float), mixed)
    empty = (canary.sum(axis=1) == 0) | (baseline.sum(axis=1) == 0)
    return np.where(empty[:, None], 0.0, nats)


def _log_beyond(n_c: Counts, k_c: Counts | Floats, n_b: Counts, k_b: Counts, beyond: Floats, margin: Floats) -> Floats:
    share = margin * n_c / np.maximum(margin * n_c + n_b, 1.0)
    nats = k_c[:, None] * np.log(beyond) - (k_c + k_b)[:, None] * np.log1p(share[:, None] * (beyond - 1.0))
    return np.where(((n_c > 0) & (n_b > 0))[:, None], nats, 0.0)
