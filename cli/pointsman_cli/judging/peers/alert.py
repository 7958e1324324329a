"""A Prometheus alerting rule that compares the canary with stable: what many write by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pointsman_cli.judging.peers.windows import Outcome, Query, Window, ends, every, last_s, total

__all__ = ["Alert"]


@dataclass(frozen=True, slots=True)
class Alert:
    """Fires when canary / stable > `times` over the window, evaluated every interval, without `for`. NaN is silent."""

    name: str
    times: float = 2.0
    query: Query = field(default_factory=lambda: Query(relative=True))
    window_s: float = 60.0
    interval_s: float = 60.0

    def decide(self, windows: Sequence[Window], *, over: bool) -> Outcome:
        for t_s in every(ends(windows), self.interval_s):
            value = self.query.of(total(windows, t_s - self.window_s, t_s))
            if value > self.times:
                return Outcome(self.name, "rolled_back", t_s, f"{value:.3g} times stable's > {self.times:g}")
        end_s = last_s(windows)
        return Outcome(self.name, "promoted" if over else "continuing", end_s, "never fired")
