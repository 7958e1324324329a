"""Flagger: checks of the canary alone, counted (`pkg/controller/scheduler.go`, `scheduler_metrics.go`, 15bd6ad5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from pointsman_cli.judging.peers.windows import Outcome, Query, Window, ends, every, last_s, total

__all__ = ["Flagger"]


@dataclass(frozen=True, slots=True)
class Flagger:
    """`analysis.interval`, `analysis.threshold`, and the two built-in metrics with their own `interval` (`window_s`).

    Every round one failed check counts one, however many fail, and good rounds forgive none. The count is looked at
    when the *next* round begins. A query without a value is a failed check. `request-duration` is the 0.99-quantile
    in whole milliseconds; other quantiles stand for metric templates.
    """

    name: str
    interval_s: float = 60.0
    window_s: float = 60.0
    threshold: int = 1
    success_min_percent: float | None = None
    latency_max_ms: float | None = None
    quantile: float = 0.99

    def decide(self, windows: Sequence[Window], *, over: bool) -> Outcome:
        failed, last = 0, ""
        for t_s in every(ends(windows), self.interval_s):
            if failed >= self.threshold:
                return Outcome(self.name, "rolled_back", t_s, f"{failed} failed checks; the last: {last}")
            objection = self.objection(total(windows, t_s - self.window_s, t_s))
            if objection:
                failed, last = failed + 1, objection
        end_s = last_s(windows)
        return Outcome(self.name, "promoted" if over else "continuing", end_s, f"{failed} failed checks")

    def objection(self, window: Window) -> str:
        """Why a round does not advance; empty when it does. The first failing metric ends the round."""
        if self.success_min_percent is not None:
            if not window.canary_requests:
                return "no values found for request-success-rate"
            success = (window.canary_requests - window.canary_bad) / window.canary_requests * 100.0
            if success < self.success_min_percent:
                return f"success rate {success:.2f} % < {self.success_min_percent:g} %"
        if self.latency_max_ms is not None:
            latency = Query("latency", self.quantile).of(window)
            if isnan(latency):
                return "no values found for request-duration"
            if int(latency) > self.latency_max_ms:
                return f"request duration {int(latency)} ms > {self.latency_max_ms:g} ms"
        return ""
