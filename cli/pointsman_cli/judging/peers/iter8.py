"""Iter8: objectives over everything since the start (`base/assess.go`, before 8e5aedf7 removed it in August 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pointsman_cli.judging.peers.windows import Outcome, Query, Window, ends, every, last_s, total

__all__ = ["Iter8"]


@dataclass(frozen=True, slots=True)
class Iter8:
    """One SLO with an upper limit, assessed every loop. A value that is missing is an objective that is not met.

    Iter8 only said so; to roll back on it was up to the caller, as is assumed here.
    """

    name: str
    limit: float
    query: Query = field(default_factory=Query)
    interval_s: float = 60.0

    def decide(self, windows: Sequence[Window], *, over: bool) -> Outcome:
        value, end_s = 0.0, last_s(windows)
        for t_s in every(ends(windows), self.interval_s):
            value = self.query.of(total(windows, -1.0, t_s))
            if not value <= self.limit:
                return Outcome(self.name, "rolled_back", t_s, f"{value:.4g} since the start > {self.limit:g}")
        return Outcome(self.name, "promoted" if over else "continuing", end_s, f"{value:.4g} since the start")
