"""Argo Rollouts over a batch: when it measures, which no limit changes, and what the limits make of the values."""

from math import inf
from weakref import WeakKeyDictionary

import numpy as np

from benchmarks.judge.batch import Counts
from benchmarks.judge.peers.readings import NEVER, Bools, Readings, first
from pointsman_cli.judging.peers.argo import ERROR_RETRY_S, Argo
from pointsman_cli.judging.peers.windows import SLACK_S

__all__ = ["argo"]

Schedule = tuple[Bools, Counts, Counts]


def argo(readings: Readings, rule: Argo) -> Counts:
    if rule.consecutive_success_limit or (rule.success_max is not None and rule.failure_min is not None):
        raise ValueError(f"{rule.name}: neither consecutiveSuccessLimit nor two conditions at once are simulated")
    measured, begun, aborted = _scheduled(readings, rule)
    columns = np.flatnonzero(measured.any(axis=0))
    values = readings.values(rule.query, columns, rule.interval_s)
    if rule.success_max is not None:
        failed = ~(values <= rule.success_max)
    else:
        failed = values > (rule.failure_min if rule.failure_min is not None else inf)
    total = np.cumsum(failed & measured[:, columns], axis=1)
    if rule.each_step:
        before: Counts = total - (failed & measured[:, columns])
        run = begun[:, columns]
        fresh = np.concatenate([run[:, :1] * 0, np.diff(run, axis=1)], axis=1) > 0
        total = total - np.maximum.accumulate(np.where(fresh, before, 0), axis=1)
    decided = first(total > rule.failure_limit, columns) if rule.failure_limit >= 0 else np.full(len(total), NEVER)
    late = (decided < 0) | ((aborted >= 0) & (aborted < decided))
    return np.where(late, aborted, decided)


_SCHEDULES: "WeakKeyDictionary[Readings, dict[tuple[float, int, int, bool], Schedule]]" = WeakKeyDictionary()


def _scheduled(readings: Readings, rule: Argo) -> Schedule:
    of_batch = _SCHEDULES.setdefault(readings, {})
    key = (rule.interval_s, rule.count, rule.consecutive_error_limit, rule.each_step)
    if key not in of_batch:
        of_batch[key] = _schedule(readings, rule)
    return of_batch[key]


def _schedule(readings: Readings, rule: Argo) -> Schedule:
    """In which ticks a value is measured (R, T), the number of the run it belongs to (R, T), and the tick (R,) in
    which errors in a row abort it. None of it depends on the values."""
    size = (readings.rollouts, readings.ticks)
    measured, run = np.zeros(size, bool), np.zeros(size, np.int64)
    aborted = np.full(size[0], NEVER)
    due = np.full(size[0], rule.interval_s)
    count, errors, number = (np.zeros(size[0], np.int64) for _ in range(3))
    split = readings.batch.split
    for tick, end_s in enumerate(readings.ends_s):
        if rule.each_step and tick:
            new = split[:, tick] != split[:, tick - 1]
            due = np.where(new, readings.ends_s[tick - 1] + rule.interval_s, due)
            count, errors, number = np.where(new, 0, count), np.where(new, 0, errors), number + new
        run[:, tick] = number
        now = (end_s >= due - SLACK_S) & ~((count >= rule.count) & (rule.count > 0))
        answered = readings.answered[:, tick]
        measured[:, tick] = now & answered
        count = count + (now & answered)
        errors = np.where(now, np.where(answered, 0, errors + 1), errors)
        aborted = np.where((errors > rule.consecutive_error_limit) & (aborted < 0), tick, aborted)
        due = np.where(now, end_s + np.where(answered, rule.interval_s, ERROR_RETRY_S), due)
    return measured, run, aborted
