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
    """One row a rule, pointsman's first; times since the canary's first share. `bad` is the class of answers that the
    rules count as errors. Only what was recorded is known: a rollout that went back ended for everybody."""
    deciding = course.deciding
    shared = [one for one in counted if one.split > 0.0]
    if deciding is None or not any(one.canary.requests for one in shared):
        return "<p>Nothing: the canary answered no request.</p>"
    start_s = next((one.t_s for one in reversed(counted) if one.t_s < shared[0].t_s), 0.0)
    decided_s = (deciding.tick.until - course.moments[0].tick.since).total_seconds()
    went_back = deciding.verdict.action == "roll_back"
    ours = Outcome(
        "pointsman",
        "rolled_back" if went_back else "promoted" if over else "continuing",
        decided_s - start_s,
        course.said(deciding),
    )
    rows = [
        (found.rule, DECISIONS[found.decision], length_text(found.at_s), found.reason)
        for found in (ours, *outcomes(windows(shared, start_s, bad), over=over and not went_back))
    ]
    return table(("Rule", "Decision", "After", "Why"), rows, caption="On the same requests, tick by tick")


def windows(counted: Sequence[Counted], start_s: float, bad: str) -> list[Window]:
    """The ticks as the rules take them."""
    return [_window(one, start_s, bad) for one in counted]


def _window(one: Counted, start_s: float, bad: str) -> Window:
    edges = one.baseline.edges_ms or one.canary.edges_ms
    nothing = (0,) * (len(edges) + 1) if edges else ()
    return Window(
        t_s=one.t_s - start_s,
        canary_requests=one.canary.requests,
        canary_bad=one.canary.bad.get(bad, 0),
        baseline_requests=one.baseline.requests,
        baseline_bad=one.baseline.bad.get(bad, 0),
        canary_latency=tuple(one.canary.latency) or nothing,
        baseline_latency=tuple(one.baseline.latency) or nothing,
        edges_ms=edges,
        split=one.split,
    )
