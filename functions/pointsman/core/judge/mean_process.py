"""The e-process of a Mean: a score that is bounded, or that is seen not to be skewed."""

from collections.abc import Sequence
from typing import cast

from pointsman.core.judge import mean
from pointsman.core.judge.counters import Counts
from pointsman.core.judge.onset import Stakes
from pointsman.core.judge.process import Interval, Round
from pointsman.core.judge.tally import Tally
from pointsman.core.names import JSON

__all__ = ["MeanProcess"]

HISTORY_MIN = 50
"""Values of stable's from which its mean, variance and skewness are taken."""


ROUNDING = 1e-9


class MeanProcess:
    """Bets on a worse mean, λ by λ for a bounded score, effect by effect for another."""

    def __init__(self, metric_set: str, scale: mean.Scale | None, worse: str, state: JSON) -> None:
        self._scale, self._worse = scale, worse
        size = len(mean.RATES if scale is not None else mean.EFFECTS)
        self._stakes = Stakes.of(cast("JSON | None", state.get("stakes")), [1.0 / size] * size)
        self._set = metric_set
        self._pending = [list(one) for one in cast("Sequence[Sequence[float]]", state.get("pending", ((), ())))]
        self._terms = [list(one) for one in cast("Sequence[Sequence[float]]", state.get("terms", ()))]

    @property
    def value(self) -> float:
        return self._stakes.value

    @property
    def onset(self) -> int:
        return self._stakes.onset

    def take(self, canary: Counts, baseline: Counts, now: Round) -> str:
        if not canary.sums or not baseline.sums or not canary.sums[0] or not baseline.sums[0]:
            return "one side has no values"
        history = now.history.get(self._set, Tally()).sums
        if not history or history[0] < HISTORY_MIN:
            return f"stable has fewer than {HISTORY_MIN} values to compare with"
        if self._scale is not None:
            evidence = self._bounded(self._scale, canary.sums, baseline.sums, history)
        else:
            skewness = mean.skewness(history)
            if skewness is None:
                return "neither bounds nor a third moment are known: declare bounds, or use a histogram"
            if abs(skewness) >= mean.SKEWNESS_MAX:
                return f"its values are skewed ({skewness:.2g}): use a histogram"
            pending = [_added(a, b) for a, b in zip(self._pending, (canary.sums, baseline.sums), strict=True)]
            if min(pending[0][0], pending[1][0]) < mean.BLOCK_MIN:
                self._pending = pending
                return f"a block has {mean.BLOCK_MIN} values of each side, at least"
            self._pending = [[], []]
            evidence = self._normal(pending[0], pending[1], history)
        self._stakes.take(now.spared(evidence), split=now.split, seq=now.seq, length_s=now.length_s)
        return ""

    def learn(self, baseline: Counts) -> None:
        """What stable answered is in the history already."""

    def forget_last_gain(self) -> None:
        self._stakes.forget_last_gain()

    def alternative(self) -> str:
        best = self._stakes.best()
        return f"λ {mean.RATES[best]:g}" if self._scale is not None else f"{mean.EFFECTS[best]:g} standard deviations"

    def interval(self) -> Interval | None:
        if not self._terms:
            return None
        lower, upper = mean.interval(self._terms, 1.0 / len(self._terms))
        return Interval(lower, upper, "difference")

    def as_json(self) -> dict[str, object]:
        return {
            "stakes": self._stakes.as_json(),
            "pending": self._pending,
            "terms": self._terms,
        }

    def _bounded(
        self, scale: mean.Scale, canary: Sequence[float], baseline: Sequence[float], history: Sequence[float]
    ) -> list[float]:
        ours, theirs = scale.loss(canary), scale.loss(baseline)
        if not all(0.0 <= arm[2] * (1.0 - ROUNDING) <= arm[1] <= arm[0] * (1.0 + ROUNDING) for arm in (ours, theirs)):
            return [0.0] * len(mean.RATES)  # beyond the declared bounds: nothing can be said
        n, total, _ = scale.loss(history)
        centre = min(max(total / n, 0.0), 1.0)
        self._terms = self._terms or [[0.0, 0.0, 0.0] for _ in mean.RATES]
        evidence = []
        for rate, sums in zip(mean.RATES, self._terms, strict=True):
            terms = mean.terms(ours, theirs, rate=rate, centre=centre)
            for index, term in enumerate(terms):
                sums[index] += term
            evidence.append(terms[0] - terms[1])
        return evidence

    def _normal(self, canary: Sequence[float], baseline: Sequence[float], history: Sequence[float]) -> list[float]:
        n, total, squares = _added(history, baseline)[:3]
        variance = max(0.0, squares / n - (total / n) ** 2)
        return [
            mean.log_normal(canary, baseline, variance=variance, known=n, effect=effect, worse=self._worse)
            for effect in mean.EFFECTS
        ]


def _added(a: Sequence[float], b: Sequence[float]) -> list[float]:
    if not a:
        return list(b)
    return [x + y for x, y in zip(a, b, strict=False)]
