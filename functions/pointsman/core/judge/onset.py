"""A metric's evidence over all ticks, when neither the size of a regression nor its beginning is known.

For each alternative the product of its e-values is kept as a log. What has not been staked yet waits in a
reserve, and every tick some of it is released into the products: a regression that begins late is then not
drowned by the good ticks before it. Much is released in the first tick and after each change of the split,
since that is when regressions begin. Any release that is decided before its tick keeps the error rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, log1p
from typing import cast

from pointsman.core.names import JSON

__all__ = ["Stakes", "log_sum"]

NOTHING = -745.0
"""The log of nothing: the least exponent a float can still raise e to."""

FIRST, NEW_SPLIT, OTHERWISE = 0.60, 0.15, 1.0 / 120.0


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is staked on each alternative, in logs; `reserve` is the log of what is not staked yet.

    `split` is the one last bet at (None: never), `last` that tick's evidence, `least` the lowest value so far
    and `onset` the tick after it: where the present rise began.
    """

    logs: tuple[float, ...]
    reserve: float = 0.0
    split: float | None = None
    last: tuple[float, ...] = ()
    least: float = 0.0
    onset: int = 0

    @classmethod
    def new(cls, alternatives: int) -> "Stakes":
        return cls((NOTHING,) * alternatives)

    def after(self, evidence: Sequence[float], *, split: float, seq: int, weights: Sequence[float]) -> "Stakes":
        """One tick later. `evidence` is in nats for each alternative."""
        released = FIRST if self.split is None else NEW_SPLIT if split != self.split else OTHERWISE
        stake = log(released) + self.reserve
        logs = tuple(
            max(NOTHING, log_sum((staked, stake)) + nats) for staked, nats in zip(self.logs, evidence, strict=True)
        )
        then = Stakes(
            logs, max(NOTHING, self.reserve + log1p(-released)), split, tuple(evidence), self.least, self.onset
        )
        value = then.value(weights)
        # Until the value has fallen or stayed at its lowest, a rise has not begun.
        return Stakes(logs, then.reserve, split, then.last, value, seq + 1) if value <= self.least else then

    def without_last_gain(self) -> "Stakes":
        """The last tick's evidence against the canary taken back; what spoke for it stays."""
        logs = tuple(max(NOTHING, staked - max(0.0, nats)) for staked, nats in zip(self.logs, self.last, strict=False))
        return Stakes(logs or self.logs, self.reserve, self.split, (), self.least, self.onset)

    def value(self, weights: Sequence[float]) -> float:
        """The log of the metric's e-value."""
        return log_sum((*(log(w) + staked for w, staked in zip(weights, self.logs, strict=True)), self.reserve))

    def best(self, weights: Sequence[float]) -> int:
        """Which alternative explains the evidence best."""
        terms = [log(w) + staked for w, staked in zip(weights, self.logs, strict=True)]
        return terms.index(max(terms))

    def as_json(self) -> dict[str, object]:
        return {
            "logs": list(self.logs),
            "reserve": self.reserve,
            "split": self.split,
            "last": list(self.last),
            "least": self.least,
            "onset": self.onset,
        }

    @classmethod
    def of(cls, data: JSON) -> "Stakes":
        return cls(
            tuple(cast("list[float]", data["logs"])),
            cast("float", data["reserve"]),
            cast("float | None", data["split"]),
            tuple(cast("list[float]", data["last"])),
            cast("float", data["least"]),
            cast("int", data["onset"]),
        )


def log_sum(logs: Sequence[float]) -> float:
    """log Σ exp(x), in the order given, so that a replay sums alike."""
    greatest = max(logs, default=-inf)
    if greatest == -inf:
        return -inf
    return greatest + log(sum(exp(value - greatest) for value in logs))
