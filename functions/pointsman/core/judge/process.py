"""One metric's e-process: what it is given each tick, and what every kind of metric can be asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pointsman.core.judge.counters import Counts
from pointsman.core.judge.tally import Tally

__all__ = ["PARITY_LEAST", "PARITY_MOST", "Interval", "Process", "Round"]

PARITY_LEAST, PARITY_MOST = 0.8, 1.25
"""Load per pod, canary's over stable's, between which latencies are comparable both ways. Below, a canary that
is slower still is worse for certain, but one that is faster proves nothing; above, it is slow because it is busy."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An effect with the interval that covers it at all looks together; `None` where no bound is known yet.

    `unit` says what is bounded: `ratio` of shares, canary's over stable's, `share`, or `difference` in parts of the
    score's width.
    """

    lower: float | None
    upper: float | None
    unit: str

    def as_json(self) -> dict[str, object]:
        return {"lower": self.lower, "upper": self.upper, "of": self.unit}


@dataclass(frozen=True, slots=True)
class Round:
    """One tick, apart from its counts. `length_s` is the time since the one before, `history` what stable answered
    before it. `is_burning`: stable is unhealthy in this tick or the one before, so nothing is held against the canary.
    `parity` is the load per pod, canary's over stable's."""

    seq: int
    length_s: float
    split: float
    parity: float | None
    history: Mapping[str, Tally]
    is_burning: bool

    def spared(self, evidence: list[float]) -> list[float]:
        return [min(0.0, nats) for nats in evidence] if self.is_burning else evidence


class Process(Protocol):
    """The evidence of one metric over all ticks of a rollout."""

    @property
    def value(self) -> float:
        """The log of its e-value, in nats."""

    @property
    def onset(self) -> int:
        """The tick from which the present rise began; 0 where there is none."""

    def take(self, canary: Counts, baseline: Counts, now: Round) -> str:
        """Bet on this tick; why not, where it says nothing, else ''."""

    def learn(self, baseline: Counts) -> None:
        """Learn from stable's counts, once this tick was bet on."""

    def forget_last_gain(self) -> None: ...

    def alternative(self) -> str:
        """Which effect explains the evidence best, in words."""

    def interval(self) -> Interval | None: ...

    def as_json(self) -> dict[str, object]: ...
