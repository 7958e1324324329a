"""`pointsman.core.judge.onset` over many rollouts at once, and sums of logs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.batch import Floats
from pointsman.core.judge import onset

__all__ = ["Stakes", "log_sum"]

Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Stakes:
    """`onset.Stakes` of R rollouts and G alternatives."""

    weights: Floats
    logs: Floats
    reserve: Floats
    split: Floats
    last: Floats
    _value: Floats | None = None

    @classmethod
    def new(cls, rollouts: int, weights: Sequence[float]) -> "Stakes":
        shape = (rollouts, len(weights))
        never = np.full(rollouts, np.nan)
        return cls(np.log(weights), np.full(shape, onset.NOTHING), np.zeros(rollouts), never, np.zeros(shape))

    def take(self, evidence: Floats, split: Floats, bet: Flags, *, length_s: float) -> None:
        """One tick of `length_s` later, for the rollouts that `bet`."""
        if not bet.any():
            return
        self._value = None
        again = np.where(split != self.split, onset.NEW_SPLIT, onset.released(length_s))
        part = np.where(np.isnan(self.split), onset.FIRST, again)
        stake = np.log(part) + self.reserve
        logs = np.maximum(onset.NOTHING, np.logaddexp(self.logs, stake[:, None]) + evidence)
        reserve = np.maximum(onset.NOTHING, self.reserve + np.log1p(-part))
        if bet.all():
            self.logs, self.reserve, self.split, self.last = logs, reserve, split, evidence
            return
        self.logs = np.where(bet[:, None], logs, self.logs)
        self.reserve = np.where(bet, reserve, self.reserve)
        self.split = np.where(bet, split, self.split)
        self.last = np.where(bet[:, None], evidence, self.last)

    def forget_last_gain(self, rows: Flags) -> None:
        if not rows.any():
            return
        self._value = None
        taken = np.maximum(onset.NOTHING, self.logs - np.maximum(0.0, self.last))
        self.logs = np.where(rows[:, None], taken, self.logs)
        self.last = np.where(rows[:, None], 0.0, self.last)

    def start_again(self, rows: Flags) -> None:
        self._value = None
        self.logs = np.where(rows[:, None], onset.NOTHING, self.logs)
        self.reserve = np.where(rows, 0.0, self.reserve)
        self.split = np.where(rows, np.nan, self.split)
        self.last = np.where(rows[:, None], 0.0, self.last)

    def value(self) -> Floats:
        if self._value is None:
            self._value = np.logaddexp(log_sum(self.logs + self.weights), self.reserve)
        return self._value

    def keep(self, rows: Flags) -> None:
        self._value = None
        self.logs, self.reserve = self.logs[rows], self.reserve[rows]
        self.split, self.last = self.split[rows], self.last[rows]


def log_sum(logs: Floats) -> Floats:
    """log Σ exp over the last axis."""
    greatest = logs.max(axis=-1)
    return np.asarray(greatest + np.log(np.exp(logs - greatest[..., None]).sum(axis=-1)))
