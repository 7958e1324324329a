"""How each setting of a grid does, and which one an operator would have wanted.

What is known to whoever tunes (`comparing`'s four ways) is which nulls and regressions are given to `best`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.judge.batch import Batch, Counts, Floats
from benchmarks.judge.peers.deciding import Setting, decide
from benchmarks.judge.peers.readings import Readings

__all__ = ["Scores", "best", "scores"]


@dataclass(frozen=True, slots=True)
class Scores:
    """What became of `rollouts` under each setting: how many were rolled back, and the canary requests that were
    served from the onset to the decision, of all together (those without a decision count all until there is no more
    stable side). `later` are the requests that those without a decision served afterwards, as the promoted version."""

    rollouts: int
    found: Counts
    requests: Counts
    later: Counts

    def __add__(self, other: "Scores") -> "Scores":
        """Of more rollouts of the same family, under the same settings."""
        return Scores(
            self.rollouts + other.rollouts,
            self.found + other.found,
            self.requests + other.requests,
            self.later + other.later,
        )

    @property
    def share(self) -> Floats:
        return self.found / self.rollouts

    @property
    def mean(self) -> Floats:
        return self.requests / self.rollouts

    @property
    def mean_in_all(self) -> Floats:
        """With what is served after the last comparison: what a missed regression costs until the rollout ends."""
        return (self.requests + self.later) / self.rollouts


def scores(batch: Batch, settings: Sequence[Setting]) -> Scores:
    """The settings share what they ask of the batch, so many cost little more than a few."""
    readings = Readings(batch)
    found, requests, later = (np.zeros(len(settings), np.int64) for _ in range(3))
    rows = np.arange(batch.rollouts)
    for number, setting in enumerate(settings):
        decided = decide(readings, setting)
        found[number] = (decided >= 0).sum()
        requests[number] = readings.served[rows, decided].sum()
        later[number] = readings.served_later[decided < 0].sum()
    return Scores(batch.rollouts, found, requests, later)


def best(nulls: Sequence[Scores], regressions: Sequence[Scores], limit: float) -> int | None:
    """The setting with the least geometric mean of requests, of those that roll back at most `limit` of each null;
    None where no setting does.

    A regression that is never rolled back counts with the whole rollout, the last step at all traffic included: one
    would not choose a setting that promotes it.
    """
    allowed = np.logical_and.reduce([null.share <= limit for null in nulls])
    if not allowed.any():
        return None
    cost = np.mean([np.log(np.maximum(row.mean_in_all, 1.0)) for row in regressions], axis=0)
    return int(np.where(allowed, cost, np.inf).argmin())
