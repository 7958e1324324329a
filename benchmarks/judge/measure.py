"""Run the judge over families, in blocks on all cores, and keep the figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.judge.batch import Batch, Counts
from benchmarks.judge.bounds import upper
from benchmarks.judge.families import Family
from benchmarks.judge.scenarios import Arrivals, draw, stream
from benchmarks.judge.vectorised import judged
from pointsman.core.judge import JudgePolicy
from pointsman_cli.judging.processes import in_parallel

__all__ = ["BLOCK", "POLICY", "Figures", "Task", "measure", "tasks"]

POLICY = JudgePolicy.of({"warmup": "0s"})
"""The default profile. The simulated pods are warm when they get their first share."""

BLOCK = 1000


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one family: `found` of `rollouts` were rolled back; canary requests and bad answers from the onset to the
    decision, one a rollout (those without a decision count all)."""

    family: Family
    rollouts: int
    found: int
    requests: Counts
    bad: Counts

    @property
    def share(self) -> float:
        return self.found / self.rollouts

    @property
    def upper(self) -> float:
        return upper(self.found, self.rollouts)

    @property
    def mean(self) -> float:
        return float(self.requests.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return float(self.requests.std() / np.sqrt(max(self.rollouts - 1, 1)))


@dataclass(frozen=True, slots=True)
class Task:
    """One block of one family. `traces` is only what the family needs."""

    family: Family
    rollouts: int
    seed: int
    block: int
    traces: Arrivals

    def batch(self) -> Batch:
        return draw(self.family, self.rollouts, stream(self.family, self.seed, self.block), self.traces)


def tasks(family: Family, rollouts: int, seed: int, traces: Arrivals) -> list[Task]:
    # Half of it where a block is many times as large.
    size = BLOCK if family.pods is None and family.tick_s > 5.0 and family.buckets != "1.1" else BLOCK // 2
    return [
        Task(family, min(size, rollouts - first), seed, number, traces)
        for number, first in enumerate(range(0, rollouts, size))
    ]


def measure(wanted: Sequence[tuple[Family, int]], seed: int, traces: Arrivals) -> Iterator[Figures]:
    """Figures of each family with its number of rollouts, in the order asked for."""
    work = [task for family, rollouts in wanted for task in tasks(family, rollouts, seed, traces)]
    results = in_parallel(_judge, work)
    for family, rollouts in wanted:
        parts = [next(results) for _ in tasks(family, rollouts, seed, traces)]
        found, requests, bad = (np.concatenate(column) for column in zip(*parts, strict=True))
        yield Figures(family, rollouts, int(found.sum()), requests, bad)


def _judge(task: Task) -> tuple[Counts, Counts, Counts]:
    batch = task.batch()
    decided = judged(batch, POLICY).decided
    return np.where(decided < 0, 0, 1), batch.exposed(decided), batch.harmed(decided)
