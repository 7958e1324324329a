"""A metric's evidence over all ticks, when neither the size of a regression nor its beginning is known.

For each alternative the product of its e-values is kept as a log. What has not been staked yet waits in a
reserve, and every tick some of it is released into the products: a regression that begins late is then not
drowned by the good ticks before it. Much is released in the first tick and after each change of the split,
since that is when regressions begin, and otherwise as much as time has passed: who looks more often stakes no
more by it. Any release that is decided before its tick keeps the error rate.
"""

from collections.abc import Sequence
from math import exp, inf, log, log1p
from typing import cast

from pointsman.core.names import JSON

__all__ = ["Stakes", "log_sum", "released"]

NOTHING = -745.0
"""The log of nothing: the least exponent a float can still raise e to."""

FIRST, NEW_SPLIT = 0.60, 0.15
"""Of what is left, in the first tick and in the first tick of a new split."""

EVERY_S = 1200.0
"""Otherwise a regression is taken to begin once in 20 minutes."""

TICK_LEAST_S = 0.1
"""Of a tick without length something is staked, too: nothing has no log."""


def released(length_s: float) -> float:
    """What part of the reserve goes into a tick of so many seconds without a new split: at most as much as with one."""
    return min(NEW_SPLIT, max(length_s, TICK_LEAST_S) / EVERY_S)


class Stakes:
    """What is staked on each alternative, in logs; `reserve` is the log of what is not staked yet.

    `split` is the one last bet at (None: never), `last` what that tick spoke against the canary, `least` the lowest
    value so far and `onset` the tick after it: where the present rise began. `value` is the log of the e-value.
    """

    __slots__ = ("_log_weights", "last", "least", "logs", "onset", "reserve", "split", "value")

    def __init__(self, weights: Sequence[float]) -> None:
        self._log_weights = [log(weight) for weight in weights]
        self.logs = [NOTHING] * len(weights)
        self.reserve = 0.0
        self.split: float | None = None
        self.last: list[float] = []
        self.least = 0.0
        self.onset = 0
        self.value = 0.0

    def take(self, evidence: Sequence[float], *, split: float, seq: int, length_s: float) -> None:
        """One tick of `length_s` later. `evidence` is in nats for each alternative."""
        part = FIRST if self.split is None else NEW_SPLIT if split != self.split else released(length_s)
        stake = log(part) + self.reserve
        # Written out, since it is done for every alternative of every metric in every tick.
        summed = [
            (staked + log1p(exp(stake - staked)) if staked > stake else stake + log1p(exp(staked - stake))) + nats
            for staked, nats in zip(self.logs, evidence, strict=True)
        ]
        self.logs = summed if min(summed) > NOTHING else [max(NOTHING, nats) for nats in summed]
        self.reserve = max(NOTHING, self.reserve + log1p(-part))
        self.split, self.last = split, [nats if nats > 0.0 else 0.0 for nats in evidence]
        self._revalue()
        # Until the value has fallen or stayed at its lowest, a rise has not begun.
        if self.value <= self.least:
            self.least, self.onset = self.value, seq + 1

    def apart(self, weights: Sequence[float]) -> "Stakes":
        """These stakes, each alternative in parts that may go different ways from now on: first parts first."""
        found, parts = Stakes(weights), len(weights) // len(self.logs)
        found.logs, found.last = self.logs * parts, self.last * parts
        found.reserve, found.split = self.reserve, self.split
        found.least, found.onset, found.value = self.least, self.onset, self.value
        return found

    def forget_last_gain(self) -> None:
        """Take the last tick's evidence against the canary back; what spoke for it stays."""
        if self.last:
            self.logs = [max(NOTHING, staked - nats) for staked, nats in zip(self.logs, self.last, strict=True)]
            self.last = []
            self._revalue()

    def best(self) -> int:
        """Which alternative explains the evidence best."""
        terms = [weight + staked for weight, staked in zip(self._log_weights, self.logs, strict=True)]
        return terms.index(max(terms))

    def _revalue(self) -> None:
        terms = [weight + staked for weight, staked in zip(self._log_weights, self.logs, strict=True)]
        self.value = log_sum([*terms, self.reserve])

    def as_json(self) -> dict[str, object]:
        return {
            "logs": self.logs,
            "reserve": self.reserve,
            "split": self.split,
            "last": self.last if any(self.last) else [],
            "least": self.least,
            "onset": self.onset,
        }

    @classmethod
    def of(cls, data: JSON | None, weights: Sequence[float]) -> "Stakes":
        """From what `as_json` wrote; None, or stakes on another number of alternatives: from the beginning."""
        found = cls(weights)
        if data is None or len(cast("list[float]", data["logs"])) != len(weights):
            return found
        found.logs = list(cast("list[float]", data["logs"]))
        found.reserve = cast("float", data["reserve"])
        found.split = cast("float | None", data["split"])
        found.last = list(cast("list[float]", data["last"]))
        found.least = cast("float", data["least"])
        found.onset = cast("int", data["onset"])
        found._revalue()
        return found


def log_sum(logs: Sequence[float]) -> float:
    """log Σ exp(x), in the order given, so that a replay sums alike."""
    greatest = max(logs, default=-inf)
    if greatest == -inf:
        return -inf
    return greatest + log(sum([exp(value - greatest) for value in logs]))
