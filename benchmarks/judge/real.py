"""A batch's rollouts as the judge itself is given them: ticks of cumulative counters, pod by pod."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.judge.batch import Batch, Counts, Floats
from pointsman.core.judge import Arm, JudgePolicy, PodCounters, Tick
from pointsman.core.judge.counters import Counts as ArmCounts
from pointsman.core.judge.counters import PodCounts
from pointsman.core.judge.fold import Judge
from pointsman.core.judge.memory import Memory, seeded
from pointsman.core.judge.ratio_process import RatioProcess
from pointsman.core.judge.tally import Tally

__all__ = ["START", "beginning", "evidence", "ticks"]

START = datetime(2026, 1, 1, tzinfo=UTC)


def beginning(batch: Batch, row: int, policy: JudgePolicy) -> Memory:
    """What the judge knows before the first tick: what stable served, and how its pods differed."""
    history = batch.history
    latency = [] if history.latency is None else [float(count) for count in history.latency[row]]
    bad = {name: float(values[row]) for name, values in history.bad.items()}
    edges = tuple(float(edge) for edge in batch.edges_ms)
    memory = seeded({"Gateway": Tally(float(history.requests[row]), bad, edges, latency)}, policy)
    process = memory.processes["5xx"]
    if history.ticks is not None and isinstance(process, RatioProcess):
        for number, (n, k) in enumerate(zip(history.ticks[0][row], history.ticks[1][row], strict=True)):
            pods = batch.pods and _pod_counts(batch.pods.n_h[row, number], batch.pods.k_h[row, number])
            process.learn(ArmCounts(int(n), {"5xx": int(k)}, pods=pods or []))
    return memory


def ticks(batch: Batch, row: int) -> Iterator[Tick]:
    """The rollout's ticks, numbered from 0."""
    arms: list[_Arm | _Pods]
    if (pods := batch.pods) is not None:
        arms = [_Pods(pods.n_c[row], pods.k_c[row]), _Pods(pods.n_b[row], pods.k_b[row])]
        ready = np.stack([pods.ready_c, pods.ready_b], axis=1)
    else:
        arms = [
            _Arm(batch, batch.n_c[row], {name: k[row] for name, k in batch.k_c.items()}, batch.latency_c, row),
            _Arm(batch, batch.n_b[row], {name: k[row] for name, k in batch.k_b.items()}, batch.latency_b, row),
        ]
        ready = np.ones((batch.ticks, 2), np.int64)
    for tick in range(batch.ticks):
        since = START + timedelta(seconds=batch.tick_s * tick)
        until = since + timedelta(seconds=batch.tick_s)
        canary, baseline = (
            arm.after(tick, since, until, int(there)) for arm, there in zip(arms, ready[tick], strict=True)
        )
        yield Tick(tick, since, until, float(batch.split[row, tick]), canary, baseline)


def evidence(batch: Batch, row: int, policy: JudgePolicy) -> tuple[Floats, int]:
    """The judge's own log E after each tick, and the tick in which it rolled back (-1: it did not)."""
    judge = Judge(policy, beginning(batch, row, policy))
    found, decided = np.zeros(batch.ticks), -1
    for tick in ticks(batch, row):
        judge.take(tick)
        found[tick.seq] = judge.log_e
        if judge.action == "roll_back" and decided < 0:
            decided = tick.seq
    return found, decided


def _pod_counts(requests: Counts, bad: Counts) -> list[PodCounts]:
    return [
        PodCounts(f"p{number:02}", int(n), {"5xx": int(k)}, ())
        for number, (n, k) in enumerate(zip(requests, bad, strict=True))
    ]


class _Arm:
    """Counters that add up, of an arm whose pods are not known: one pod `*`."""

    def __init__(
        self, batch: Batch, requests: Counts, bad: Mapping[str, Counts], latency: Counts | None, row: int
    ) -> None:
        self._edges = tuple(float(edge) for edge in batch.edges_ms)
        self._requests = np.cumsum(requests)
        self._bad = {name: np.cumsum(values) for name, values in bad.items()}
        self._latency = None if latency is None else np.cumsum(latency[row], axis=0)

    def after(self, tick: int, since: datetime, until: datetime, ready: int) -> Arm:
        latency = () if self._latency is None else tuple(int(count) for count in self._latency[tick])
        bad = {name: int(values[tick]) for name, values in self._bad.items()}
        return Arm((PodCounters("*", START, until, int(self._requests[tick]), bad, self._edges, latency),))


class _Pods:
    """Counters that add up, pod by pod; the first `ready` pods are there."""

    def __init__(self, requests: Counts, bad: Counts) -> None:
        self._requests, self._bad = np.cumsum(requests, axis=0), np.cumsum(bad, axis=0)
        self._started: dict[int, datetime] = {}

    def after(self, tick: int, since: datetime, until: datetime, ready: int) -> Arm:
        pods = []
        for pod in range(ready):
            started = self._started.setdefault(pod, since)
            requests, bad = int(self._requests[tick, pod]), int(self._bad[tick, pod])
            pods.append(PodCounters(f"p{pod:02}", started, until, requests, {"5xx": bad}))
        return Arm(tuple(pods), ready)
