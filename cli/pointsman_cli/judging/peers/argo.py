"""Argo Rollouts: an AnalysisTemplate's metric (`analysis/analysis.go`, `utils/evaluate/evaluate.go`, 9f8d111d).

A query's value against constants, measured again and again; failures are counted over the whole run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Literal

from pointsman_cli.judging.peers.windows import SLACK_S, Outcome, Query, Window, total

__all__ = ["ERROR_RETRY_S", "Argo", "Phase", "Run"]

ERROR_RETRY_S = 10.0
"""`DefaultErrorRetryInterval`: a measurement that could not be made is repeated after it, not after the interval."""

Phase = Literal["Successful", "Failed", "Inconclusive", "Error", "Running"]


@dataclass(slots=True)
class Run:
    """The counters of one AnalysisRun's metric."""

    failed: int = 0
    inconclusive: int = 0
    count: int = 0  # measurements that were no error
    errors_in_a_row: int = 0
    successes_in_a_row: int = 0

    def add(self, phase: Phase) -> None:
        self.errors_in_a_row = self.errors_in_a_row + 1 if phase == "Error" else 0
        self.successes_in_a_row = self.successes_in_a_row + 1 if phase == "Successful" else 0
        self.count += phase != "Error"
        self.failed += phase == "Failed"
        self.inconclusive += phase == "Inconclusive"


@dataclass(frozen=True, slots=True)
class Argo:
    """One metric of an analysis. `success_max` is a successCondition `result <= x`, `failure_min` a failureCondition
    `result > x`; with one of them alone, what is not the one is the other.

    `count` 0 runs as long as the rollout (background analysis). `each_step` is an inline analysis: a new run begins
    with every weight. The first measurement waits one interval, as `initialDelay` does in the documentation's
    examples: at once there would be nothing to measure. Until the canary has ever answered, a query is an error.
    """

    name: str
    query: Query = field(default_factory=Query)
    interval_s: float = 60.0
    success_max: float | None = None
    failure_min: float | None = None
    failure_limit: int = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = 4
    consecutive_success_limit: int = 0
    count: int = 0
    each_step: bool = False

    def evaluate(self, value: float) -> Phase:
        """`EvaluateResult`: failure goes before success, neither is Inconclusive. NaN fulfils no condition."""
        success = self.success_max is not None and value <= self.success_max
        failure = self.failure_min is not None and value > self.failure_min
        if self.success_max is None:
            success = not failure
        elif self.failure_min is None:
            failure = not success
        return "Failed" if failure else "Successful" if success else "Inconclusive"

    def assess(self, run: Run) -> tuple[Phase, str]:
        """`assessMetricStatus`: where the run stands, and why. A later check overwrites an earlier one."""
        phase: Phase = "Running"
        reason = ""
        if 0 <= self.failure_limit < run.failed:
            phase, reason = "Failed", f"failed ({run.failed}) > failureLimit ({self.failure_limit})"
        if run.inconclusive > self.inconclusive_limit:
            reason = f"inconclusive ({run.inconclusive}) > inconclusiveLimit ({self.inconclusive_limit})"
            phase = "Inconclusive"
        if run.errors_in_a_row > self.consecutive_error_limit:
            limit = self.consecutive_error_limit
            reason = f"consecutiveErrors ({run.errors_in_a_row}) > consecutiveErrorLimit ({limit})"
            phase = "Error"
        if phase != "Running":
            return phase, reason
        if 0 < self.consecutive_success_limit <= run.successes_in_a_row:
            return "Successful", f"{run.successes_in_a_row} successes in a row"
        if self.count and run.count >= self.count:
            if self.consecutive_success_limit > 0:
                phase = "Inconclusive" if self.failure_limit >= 0 else "Failed"
                return phase, "consecutiveSuccessLimit was not reached"
            return "Successful", f"count ({self.count}) reached"
        return "Running", ""

    def decide(self, windows: Sequence[Window], *, over: bool) -> Outcome:
        run, due, running = Run(), self.interval_s, True
        split, answered, before_s, value = windows[0].split if windows else None, False, 0.0, nan
        for window in windows:
            answered = answered or window.canary_requests > 0
            if self.each_step and window.split != split:
                run, due, running = Run(), before_s + self.interval_s, True
            split, before_s = window.split, window.t_s
            if not running or window.t_s < due - SLACK_S:
                continue
            if answered:
                value = self.query.of(total(windows, window.t_s - self.interval_s, window.t_s))
                run.add(self.evaluate(value))
            else:
                run.add("Error")
            due = window.t_s + (self.interval_s if answered else ERROR_RETRY_S)
            phase, reason = self.assess(run)
            if phase in ("Failed", "Error"):
                return Outcome(self.name, "rolled_back", window.t_s, f"{reason}; last value {value:.4g}")
            if phase == "Inconclusive":
                return Outcome(self.name, "paused", window.t_s, reason)
            running = phase == "Running"
        return Outcome(
            self.name,
            "promoted" if over else "continuing",
            before_s,
            f"{run.failed} of {run.count} measurements failed",
        )
