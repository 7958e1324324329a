"""A batch's rollouts as the judge itself is given them: ticks of cumulative counters, pod by pod."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.judge.batch import Batch, Counts, Floats
from pointsman.core.judge import Arm, JudgePolicy, PodCounters, Tick, judge
from pointsman.core.judge.memory import Memory, Tally
from pointsman.core.names import JSON

__all__ = ["START", "beginning", "evidence", "ticks"]

START = datetime(2026, 1, 1, tzinfo=UTC)


def beginning(batch: Batch, row: int) -> JSON:
    """The judge's state before the first tick: it knows what stable served."""
    history = batch.history
    latency = [] if history.latency is None else [float(count) for count in history.latency[row]]
    bad = {name: float(values[row]) for name, values in history.bad.items()}
    edges = tuple(float(edge) for edge in batch.edges_ms)
    return Memory(history={"Gateway": Tally(float(history.requests[row]), bad, edges, latency)}).as_json()


def ticks(batch: Batch, row: int) -> Iterator[Tick]:
    """The rollout's ticks, numbered from 0."""
    canary, baseline = _Arm(batch, row, "c"), _Arm(batch, row, "b")
    for tick in range(batch.ticks):
        since = START + timedelta(seconds=batch.tick_s * tick)
        until = since + timedelta(seconds=batch.tick_s)
        split = float(batch.split[row, tick])
        yield Tick(tick, since, until, split, canary.after(tick, until), baseline.after(tick, until))


def evidence(batch: Batch, row: int, policy: JudgePolicy) -> Floats:
    """The judge's own log E after each tick."""
    state = beginning(batch, row)
    found = []
    for tick in ticks(batch, row):
        state, verdict = judge(state, tick, policy)
        found.append(verdict.log_e)
    return np.array(found)


class _Arm:
    """Counters that add up. Without pods the arm is one pod `*`."""

    def __init__(self, batch: Batch, row: int, arm: str) -> None:
        self._edges = tuple(float(edge) for edge in batch.edges_ms)
        n, k, latency = (
            (batch.n_c, batch.k_c, batch.latency_c) if arm == "c" else (batch.n_b, batch.k_b, batch.latency_b)
        )
        self._requests: Counts = np.cumsum(n[row])
        self._bad = {name: np.cumsum(values[row]) for name, values in k.items()}
        self._latency = None if latency is None else np.cumsum(latency[row], axis=0)

    def after(self, tick: int, until: datetime) -> Arm:
        latency = () if self._latency is None else tuple(int(count) for count in self._latency[tick])
        bad = {name: int(values[tick]) for name, values in self._bad.items()}
        pod = PodCounters("*", START, until, int(self._requests[tick]), bad, self._edges, latency)
        return Arm((pod,))
