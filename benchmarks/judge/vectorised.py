"""The judge's rule over many rollouts at once.

It follows `pointsman.core.judge` step by step and takes every constant from there; a test, and the benchmark
itself, hold it to the judge's own log E in every tick. What a batch cannot express (a metric source that is
down, ticks of split 0, pods that warm up) is not imitated.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.batch import Batch, Counts, Floats
from benchmarks.judge.shapes import Shapes
from pointsman.core.judge import guard, latency, onset
from pointsman.core.judge.fold import BURNING_MIN, LOG_E_MOST
from pointsman.core.judge.policy import JudgePolicy, Metric

__all__ = ["Outcome", "judged"]

Flags = NDArray[np.bool_]

COMPACT = 8
"""Ticks between two clearances of rollouts that are decided."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`decided` (R,): the tick that rolled back, -1 for none; `metric` (R,): the one to blame then, by its place
    in the policy. `log_e` (R, T): the evidence after each tick, where a trace was asked for."""

    decided: Counts
    metric: Counts
    log_e: Floats | None


def judged(batch: Batch, policy: JudgePolicy, *, trace: bool = False) -> Outcome:
    """Judge every rollout of the batch. Without `trace` a rollout ends when it is rolled back."""
    rows = np.arange(batch.rollouts)
    decided, blamed = np.full(batch.rollouts, -1), np.full(batch.rollouts, -1)
    log_e = np.zeros((batch.rollouts, batch.ticks)) if trace else None
    fold = _Fold(batch, policy)
    for tick in range(batch.ticks):
        values = fold.step(tick)
        evidence = np.minimum(LOG_E_MOST, _log_sum(values))
        crossed = (evidence >= policy.needed) & (decided[rows] < 0)
        decided[rows[crossed]] = tick
        blamed[rows[crossed]] = values[crossed].argmax(axis=1)
        if log_e is not None:
            log_e[:, tick] = evidence
        elif tick % COMPACT == COMPACT - 1:
            left = decided[rows] < 0
            if not left.any():
                break
            if left.mean() < 0.9:
                rows = rows[left]
                fold.keep(left)
    return Outcome(decided, blamed, log_e)


@dataclass(slots=True)
class _Stakes:
    """`onset.Stakes` of R rollouts and G alternatives."""

    weights: Floats
    logs: Floats
    reserve: Floats
    split: Floats
    last: Floats

    @classmethod
    def new(cls, rollouts: int, weights: tuple[float, ...]) -> "_Stakes":
        shape = (rollouts, len(weights))
        empty = np.full(rollouts, np.nan)
        return cls(np.log(weights), np.full(shape, onset.NOTHING), np.zeros(rollouts), empty, np.zeros(shape))

    def after(self, evidence: Floats, split: Floats, bet: Flags) -> None:
        """One tick later, for the rollouts that `bet`."""
        again = np.where(split != self.split, onset.NEW_SPLIT, onset.OTHERWISE)
        released = np.where(np.isnan(self.split), onset.FIRST, again)
        stake = np.log(released) + self.reserve
        logs = np.maximum(onset.NOTHING, np.logaddexp(self.logs, stake[:, None]) + evidence)
        reserve = np.maximum(onset.NOTHING, self.reserve + np.log1p(-released))
        self.logs = np.where(bet[:, None], logs, self.logs)
        self.reserve = np.where(bet, reserve, self.reserve)
        self.split = np.where(bet, split, self.split)
        self.last = np.where(bet[:, None], evidence, self.last)

    def without_last_gain(self, rows: Flags) -> None:
        taken = np.maximum(onset.NOTHING, self.logs - np.maximum(0.0, self.last))
        self.logs = np.where(rows[:, None], taken, self.logs)
        self.last = np.where(rows[:, None], 0.0, self.last)

    def value(self) -> Floats:
        return np.logaddexp(_log_sum(self.logs + self.weights), self.reserve)

    def keep(self, rows: Flags) -> None:
        self.logs, self.reserve = self.logs[rows], self.reserve[rows]
        self.split, self.last = self.split[rows], self.last[rows]


@dataclass(slots=True)
class _Fold:
    batch: Batch
    policy: JudgePolicy
    metrics: tuple[Metric, ...] = ()
    stakes: dict[str, _Stakes] = field(default_factory=dict)
    requests: Floats = field(default_factory=lambda: np.zeros(0))
    bad: dict[str, Floats] = field(default_factory=dict)
    latency: Floats | None = None
    burning: Flags = field(default_factory=lambda: np.zeros(0, bool))
    shapes: Shapes | None = None
    targets: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))

    def __post_init__(self) -> None:
        batch, policy = self.batch, self.policy
        self.metrics = tuple(metric for metric in policy.metrics if metric.enforced)
        self.stakes = {m.name: _Stakes.new(batch.rollouts, policy.weights(m)) for m in self.metrics}
        history = batch.history
        self.requests = history.requests.astype(float)
        self.bad = {name: values.astype(float) for name, values in history.bad.items()}
        self.burning = np.zeros(batch.rollouts, bool)
        of_latency = next((metric for metric in self.metrics if metric.kind == "Latency"), None)
        if of_latency is not None and batch.latency_c is not None:
            assert history.latency is not None
            self.latency = history.latency.astype(float)
            edges = [float(edge) for edge in batch.edges_ms]
            self.shapes = Shapes(edges, policy.slowdowns()[0])
            self.targets = np.array(latency.forgiving(edges, of_latency.margin, of_latency.margin_ms))

    def keep(self, rows: Flags) -> None:
        """Go on with some of the rollouts only."""
        self.batch = self.batch.some(rows)
        self.requests, self.burning = self.requests[rows], self.burning[rows]
        self.bad = {name: values[rows] for name, values in self.bad.items()}
        self.latency = None if self.latency is None else self.latency[rows]
        for stakes in self.stakes.values():
            stakes.keep(rows)

    def step(self, tick: int) -> Floats:
        """Take one tick; each metric's log weight and log e-value, (R, metrics)."""
        batch = self.batch
        primary = self.policy.primary
        burning = np.zeros(batch.rollouts, bool)
        if primary is not None:
            bad = batch.k_b[primary.bad][:, tick]
            burning = (bad >= BURNING_MIN) & (bad > self.policy.bad_limit * batch.n_b[:, tick])
        values = []
        for metric in self.metrics:
            stakes = self.stakes[metric.name]
            stakes.without_last_gain(burning & ~self.burning)
            evidence, bet = self._evidence(metric, tick)
            evidence = np.where((burning | self.burning)[:, None], np.minimum(0.0, evidence), evidence)
            stakes.after(evidence, batch.split[:, tick], bet)
            values.append(np.log(metric.weight) + stakes.value())
        self._remember(tick, burning)
        return np.stack(values, axis=1)

    def _remember(self, tick: int, burning: Flags) -> None:
        batch, calm = self.batch, ~burning
        self.requests = self.requests + calm * batch.n_b[:, tick]
        self.bad = {name: values + calm * batch.k_b[name][:, tick] for name, values in self.bad.items()}
        if self.latency is not None and batch.latency_b is not None:
            self.latency = self.latency + calm[:, None] * batch.latency_b[:, tick]
        self.burning = burning

    def _evidence(self, metric: Metric, tick: int) -> tuple[Floats, Flags]:
        match metric.kind:
            case "Ratio":
                return self._ratio(metric, tick)
            case "Latency":
                return self._latency(tick)
            case "Guard":
                return self._guard(metric, tick)

    def _ratio(self, metric: Metric, tick: int) -> tuple[Floats, Flags]:
        batch = self.batch
        n_c, n_b = batch.n_c[:, tick], batch.n_b[:, tick]
        k_c, k_b = batch.k_c[metric.bad][:, tick], batch.k_b[metric.bad][:, tick]
        rate = np.clip((self.bad[metric.bad] + 0.5) / (self.requests + 100.0), 1e-6, 0.5)
        odds = np.array(self.policy.odds()[0])
        both = (n_c > 0) & (n_b > 0)
        margin = 1.0 + metric.margin
        if margin == 1.0:
            p = rate[:, None]
            worse = odds * p / (1.0 - p + odds * p)
            ratios = np.stack([(1.0 - worse) / (1.0 - p), worse / p], axis=2)
            canary, baseline = np.stack([n_c - k_c, k_c], axis=1), np.stack([n_b - k_b, k_b], axis=1)
            return _log_block(canary, baseline, ratios, np.log(ratios)), both
        share = margin * n_c / np.maximum(margin * n_c + n_b, 1)
        nats = k_c[:, None] * np.log(odds) - (k_c + k_b)[:, None] * np.log1p(share[:, None] * (odds - 1.0))
        return np.where(both[:, None], nats, 0.0), both

    def _latency(self, tick: int) -> tuple[Floats, Flags]:
        batch = self.batch
        none = np.zeros(batch.rollouts, bool)
        if self.shapes is None or batch.latency_c is None or batch.latency_b is None or self.latency is None:
            return np.zeros((batch.rollouts, len(latency.SLOWDOWNS))), none
        baseline = batch.latency_b[:, tick]
        canary = np.zeros_like(baseline)
        for bucket, target in enumerate(self.targets):
            canary[:, target] += batch.latency_c[:, tick, bucket]
        staked = self.shapes.bets(self.latency)
        bet = canary.any(axis=1) & baseline.any(axis=1) & (self.latency.sum(axis=1) >= latency.HISTORY_MIN)
        return _log_block(canary, baseline, staked, np.log(staked)), bet

    def _guard(self, metric: Metric, tick: int) -> tuple[Floats, Flags]:
        batch, limit = self.batch, self.policy.bad_limit
        n, k = batch.n_c[:, tick], batch.k_c[metric.bad][:, tick]
        worse = np.array(guard.alternatives(limit))
        nats = k[:, None] * np.log(worse / limit) + (n - k)[:, None] * np.log((1.0 - worse) / (1.0 - limit))
        return nats, (batch.n_b[:, tick] == 0) & (batch.split[:, tick] >= 1.0) & (n > 0)


def _log_block(canary: Counts, baseline: Counts, ratios: Floats, logs: Floats) -> Floats:
    """`block.log_block` of (R, J) counts for (R, G, J) ratios: (R, G)."""
    both = canary + baseline
    share = canary.sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    mixed = np.log(1.0 + share[:, None, None] * (ratios - 1.0))
    nats = np.einsum("rj,rgj->rg", canary.astype(float), logs) - np.einsum("rj,rgj->rg", both.astype(float), mixed)
    empty = (canary.sum(axis=1) == 0) | (baseline.sum(axis=1) == 0)
    return np.where(empty[:, None], 0.0, nats)


def _log_sum(logs: Floats) -> Floats:
    greatest = logs.max(axis=1)
    return np.asarray(greatest + np.log(np.exp(logs - greatest[:, None]).sum(axis=1)))
