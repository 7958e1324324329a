"""The tick in which each rollout of a batch is rolled back by a peer's rule; the settings are those of the command's
`pointsman_cli.judging.peers`, the arithmetic is numpy's."""

from statistics import NormalDist
from typing import assert_never

import numpy as np

from benchmarks.judge.batch import Batch, Counts, Floats
from benchmarks.judge.peers.measurements import argo
from benchmarks.judge.peers.posterior import probability_worse
from benchmarks.judge.peers.ranks import kayenta
from benchmarks.judge.peers.readings import Columns, Readings, first
from pointsman_cli.judging.peers.alert import Alert
from pointsman_cli.judging.peers.argo import Argo
from pointsman_cli.judging.peers.bayes import Bayes
from pointsman_cli.judging.peers.documented import Setting
from pointsman_cli.judging.peers.flagger import Flagger
from pointsman_cli.judging.peers.iter8 import Iter8
from pointsman_cli.judging.peers.kayenta import Kayenta
from pointsman_cli.judging.peers.windows import Query
from pointsman_cli.judging.peers.ztest import ZTest

__all__ = ["Setting", "decide"]


def decide(batch: Batch | Readings, rule: Setting) -> Counts:
    """The tick (R,) whose end brings the rollback; -1: never. Give `Readings` to try many rules on one batch."""
    readings = batch if isinstance(batch, Readings) else Readings(batch)
    match rule:
        case Argo():
            return argo(readings, rule)
        case Flagger():
            return _flagger(readings, rule)
        case Kayenta():
            return kayenta(readings, rule)
        case Iter8():
            return _iter8(readings, rule)
        case Alert():
            columns = readings.struck(rule.interval_s)
            return first(readings.values(rule.query, columns, rule.window_s) > rule.times, columns)
        case ZTest():
            columns = readings.struck(rule.interval_s)
            score = _z_by_tick(readings, columns, rule) if rule.by_tick else _z(readings, columns, rule)
            return first(score > NormalDist().inv_cdf(1.0 - rule.alpha), columns)
        case Bayes():
            columns = readings.struck(rule.interval_s)
            counts = readings.counted(columns, None, rule.slower_than_ms)
            return first(probability_worse(*counts) > rule.probability, columns)
        case _:
            assert_never(rule)


def _iter8(readings: Readings, rule: Iter8) -> Counts:
    columns = readings.struck(rule.interval_s)
    values = readings.values(rule.query, columns, readings.ends_s[-1] + 1.0)
    return first(~(values <= rule.limit), columns)


def _flagger(readings: Readings, rule: Flagger) -> Counts:
    columns = readings.struck(rule.interval_s)
    failed = np.zeros((readings.rollouts, len(columns)), bool)
    if rule.success_min_percent is not None:
        bad, requests, _, _ = readings.counted(columns, rule.window_s)
        share = np.divide(requests - bad, requests, out=np.zeros(bad.shape), where=requests > 0)
        failed |= (requests == 0) | (share * 100.0 < rule.success_min_percent)
    if rule.latency_max_ms is not None:
        latency = readings.values(Query("latency", rule.quantile), columns, rule.window_s)
        failed |= ~(np.trunc(latency) <= rule.latency_max_ms)
    reached = np.cumsum(failed, axis=1) >= rule.threshold
    return first(reached[:, :-1], columns[1:])  # looked at when the next round begins


def _z_by_tick(readings: Readings, columns: Columns, rule: ZTest) -> Floats:
    everywhere = np.arange(readings.ticks)
    bad, requests, stable_bad, stable_requests = readings.counted(
        everywhere, readings.batch.tick_s, rule.slower_than_ms
    )
    both, both_bad = requests + stable_requests, bad + stable_bad
    told = (requests > 0) & (stable_requests > 0) & (both > 1)
    n = np.where(told, both, 2)
    excess = np.where(told, bad - requests * both_bad / n, 0.0)
    spread = np.where(told, requests * stable_requests * both_bad * (both - both_bad) / (n * n * (n - 1.0)), 0.0)
    summed, variance = np.cumsum(excess, axis=1)[:, columns], np.cumsum(spread, axis=1)[:, columns]
    z: Floats = np.divide(summed, np.sqrt(variance), where=variance > 0.0, out=np.zeros(summed.shape))
    return z


def _z(readings: Readings, columns: Columns, rule: ZTest) -> Floats:
    bad, requests, stable_bad, stable_requests = readings.counted(columns, None, rule.slower_than_ms)
    both = (requests > 0) & (stable_requests > 0)
    n, m = np.where(both, requests, 1), np.where(both, stable_requests, 1)
    pooled = (bad + stable_bad) / (n + m)
    variance = pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)
    certain = both & (variance > 0.0)
    return np.divide(
        bad / n - stable_bad / m, np.sqrt(np.where(certain, variance, 1.0)), where=certain, out=np.zeros(n.shape)
    )
