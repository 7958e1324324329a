"""The e-process of the guard: where there is nothing to compare with."""

from typing import cast

from pointsman.core.judge import guard
from pointsman.core.judge.bounds import share_bounds
from pointsman.core.judge.counters import Counts
from pointsman.core.judge.onset import Stakes
from pointsman.core.judge.process import Interval, Round
from pointsman.core.names import JSON

__all__ = ["GuardProcess"]


class GuardProcess:
    """Bets that more than `limit` of the answers are bad, in ticks in which no stable side is to answer."""

    def __init__(self, bad: str, limit: float, state: JSON) -> None:
        self._bad, self._limit = bad, limit
        self._stakes = Stakes.of(cast("JSON | None", state.get("stakes")), guard.WEIGHTS)
        self._seen = list(cast("list[int]", state.get("seen", (0, 0))))

    @property
    def value(self) -> float:
        return self._stakes.value

    @property
    def onset(self) -> int:
        return self._stakes.onset

    def take(self, canary: Counts, baseline: Counts, now: Round) -> str:
        # Where stable should answer, its silence is missing data, not a reason to judge without it.
        if baseline.requests or now.split < 1.0:
            return "stable answers: it is compared with"
        bad, requests = canary.answered(self._bad)
        if not requests:
            return "the canary answered nothing"
        self._seen = [self._seen[0] + bad, self._seen[1] + requests]
        evidence = [
            guard.log_evidence(bad, requests, limit=self._limit, worse=worse)
            for worse in guard.alternatives(self._limit)
        ]
        self._stakes.take(now.spared(evidence), split=now.split, seq=now.seq, length_s=now.length_s)
        return ""

    def learn(self, baseline: Counts) -> None:
        """Nothing is learned from stable: there is none."""

    def forget_last_gain(self) -> None:
        self._stakes.forget_last_gain()

    def alternative(self) -> str:
        return f"beyond {100 * self._limit:g} % bad"

    def interval(self) -> Interval | None:
        if not self._seen[1]:
            return None
        lower, upper = share_bounds(*self._seen)
        return Interval(lower, upper, "share")

    def as_json(self) -> dict[str, object]:
        return {"stakes": self._stakes.as_json(), "seen": self._seen}
