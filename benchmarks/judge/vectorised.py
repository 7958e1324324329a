"""The judge's rule over many rollouts at once.

It follows `pointsman.core.judge` step by step and takes every constant from there; a test, and the benchmark
itself, hold it to the judge's own log E in every tick. What a batch cannot express (a metric source that is down,
ticks of split 0, pods that warm up, latencies by pod, strata) is not imitated.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.batch import Batch, Counts, Floats
from benchmarks.judge.processes import Guards, Latencies, Process, Ratios
from benchmarks.judge.stakes import log_sum
from pointsman.core.judge.fold import BURNING_MIN, LOG_E_MOST
from pointsman.core.judge.policy import JudgePolicy, Metric

__all__ = ["Outcome", "judged"]

Flags = NDArray[np.bool_]

COMPACT = 8
"""Ticks between two clearances of rollouts that are decided."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`decided` (R,): the tick that rolled back, -1 for none; `metric` (R,): the one to blame then, by its place
    among the policy's enforced metrics. `log_e` (R, T): the evidence after each tick, where a trace was asked for."""

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
        evidence = np.minimum(LOG_E_MOST, log_sum(values))
        crossed = (evidence >= policy.needed) & (decided[rows] < 0)
        crossed &= ~fold.spare_a_pod(crossed, values)
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


class _Fold:
    def __init__(self, batch: Batch, policy: JudgePolicy) -> None:
        self._batch, self._policy = batch, policy
        self._metrics = [metric for metric in policy.metrics if metric.enforced]
        self._weights = np.log([metric.weight for metric in self._metrics])
        self._processes = [_process(batch, policy, metric) for metric in self._metrics]
        self._burning = np.zeros(batch.rollouts, bool)

    def step(self, tick: int) -> Floats:
        """Take one tick; each metric's log weight and log e-value, (R, metrics)."""
        batch, burning = self._batch, np.zeros(self._batch.rollouts, bool)
        primary = self._policy.primary
        if primary is not None:
            bad = batch.k_b[primary.bad][:, tick]
            burning = (bad >= BURNING_MIN) & (bad > self._policy.bad_limit * batch.n_b[:, tick])
        for process in self._processes:
            process.stakes.forget_last_gain(burning & ~self._burning)
            process.take(batch, tick, burning | self._burning)
            process.learn(batch, tick, ~burning)
            if isinstance(process, Ratios) and process.lone is not None:
                process.lone.tally(batch, tick)
        self._burning = burning
        return self._weights + np.stack([process.stakes.value() for process in self._processes], axis=1)

    def spare_a_pod(self, crossed: Flags, values: Floats) -> Flags:
        """Of the rollouts that `crossed`, those in which one pod is to blame, and goes in the version's place."""
        worst, spared = values.argmax(axis=1), np.zeros(len(crossed), bool)
        for index, process in enumerate(self._processes):
            if isinstance(process, Ratios) and process.lone is not None:
                found = process.lone.found(crossed & (worst == index))
                process.start_again(found)
                spared |= found
        return spared

    def keep(self, rows: Flags) -> None:
        """Go on with some of the rollouts only."""
        self._batch, self._burning = self._batch.some(rows), self._burning[rows]
        for process in self._processes:
            process.keep(rows)


def _process(batch: Batch, policy: JudgePolicy, metric: Metric) -> Process:
    match metric.kind:
        case "Ratio":
            return Ratios(batch, policy, metric)
        case "Latency":
            return Latencies(batch, policy, metric)
        case _:
            return Guards(batch, policy, metric)
