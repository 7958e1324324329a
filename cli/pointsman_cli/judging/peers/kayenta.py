"""Kayenta's judge, asked again and again while the canary runs (`kayenta-standalone-canary-analysis`, a69573be)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan

from pointsman_cli.judging.peers.kayenta_judge import Classified, Settings, classify, score
from pointsman_cli.judging.peers.windows import SLACK_S, Outcome, Query, Window, ends, every, last_s, total

__all__ = ["Kayenta", "Measured"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric of the canary config: what is queried in each point, and how it is judged. Errors are in percent."""

    name: str
    query: Query
    settings: Settings
    groups: Sequence[str] = ("metrics",)

    def points(self, windows: Sequence[Window], step_s: float, until_s: float) -> tuple[list[float], list[float]]:
        """Canary's and baseline's values in each whole step since the start; NaN without an answer."""
        canary, baseline = [], []
        for number in range(int((until_s + SLACK_S) / step_s)):
            window = total(windows, number * step_s, (number + 1) * step_s)
            both = (self.query.of(window), self.query.of(mirrored(window)))
            scale = 100.0 if self.query.metric == "errors" else 1.0
            canary.append(both[0] * scale)
            baseline.append(both[1] * scale)
        return canary, baseline


def mirrored(window: Window) -> Window:
    """Stable seen as the canary."""
    return Window(
        window.t_s,
        window.baseline_requests,
        window.baseline_bad,
        window.canary_requests,
        window.canary_bad,
        window.baseline_latency,
        window.canary_latency,
        window.edges_ms,
    )


@dataclass(frozen=True, slots=True)
class Kayenta:
    """A canary analysis with an interval: everything since the start is judged each time (`lookbackMins` 0), at 0.98
    each time. A score not above `marginal` ends it; the last score has to reach `pass_`."""

    name: str
    metrics: Sequence[Measured]
    step_s: float = 60.0
    interval_s: float = 600.0
    marginal: float = 75.0
    pass_: float = 95.0
    weights: Mapping[str, float] = field(default_factory=dict)

    def decide(self, windows: Sequence[Window], *, over: bool) -> Outcome:
        end_s, last, reason = last_s(windows), nan, "not judged yet"
        for t_s in every(ends(windows), self.interval_s):
            judged = score(
                [
                    Classified(
                        metric.name, classify(*metric.points(windows, self.step_s, t_s), metric.settings), metric.groups
                    )
                    for metric in self.metrics
                ],
                self.weights,
            )
            last, reason = judged.score, f"score {judged.score:g}" + (f": {judged.reason}" if judged.reason else "")
            if last <= self.marginal:
                return Outcome(self.name, "rolled_back", t_s, reason)
        if over and last < self.pass_:
            return Outcome(self.name, "rolled_back", end_s, f"{reason}, below {self.pass_:g} at the end")
        return Outcome(self.name, "promoted" if over else "continuing", end_s, reason)
