"""What other controllers' documented rules would have done with the same requests."""

from collections.abc import Sequence

from pointsman_cli.judging.answers import Counted
from pointsman_cli.judging.course import Course
from pointsman_cli.judging.lengths import length_text
from pointsman_cli.judging.peers import Outcome, Window, outcomes
from pointsman_cli.judging.report.html import table

__all__ = ["draw", "windows"]

DECISIONS = {
    "rolled_back": "rolls back",
    "promoted": "lets it pass",
    "paused": "asks a person",
    "continuing": "no objection yet",
}


def draw(course: Course, counted: Sequence[Counted], bad: str, *, over: bool) -> str:
    """One row a rule, pointsman's first. Only what was recorded is known: of a rollout that went back early the
    others have seen no more than this."""
    deciding = course.deciding
    if deciding is None:
        return ""
    start = course.moments[0].tick.since
    ours = Outcome(
        "pointsman",
        "rolled_back" if deciding.verdict.action == "roll_back" else "promoted" if over else "continuing",
        (deciding.tick.until - start).total_seconds(),
        deciding.verdict.reason,
    )
    rows = [
        (found.rule, DECISIONS[found.decision], f"after {length_text(found.at_s)}", found.reason)
        for found in (ours, *outcomes(windows(counted, bad), over=over))
    ]
    return table(("Rule", "Decision", "When", "Why"), rows, caption="On the same requests, tick by tick")


def windows(counted: Sequence[Counted], bad: str) -> list[Window]:
    """The ticks as the rules take them; `bad` is the class of answers that they count as errors."""
    return [
        Window(
            t_s=one.t_s,
            canary_requests=one.canary.requests,
            canary_bad=one.canary.bad.get(bad, 0),
            baseline_requests=one.baseline.requests,
            baseline_bad=one.baseline.bad.get(bad, 0),
            canary_latency=tuple(one.canary.latency),
            baseline_latency=tuple(one.baseline.latency),
            edges_ms=one.baseline.edges_ms or one.canary.edges_ms,
            split=one.split,
        )
        for one in counted
    ]
