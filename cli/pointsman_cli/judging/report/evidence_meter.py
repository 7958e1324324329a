"""The evidence, look by look: each metric's part of it, their sum, and the line at which the canary goes back."""

from math import log

from pointsman_cli.judging.course import Course
from pointsman_cli.judging.odds import odds
from pointsman_cli.judging.report.clock import Clock
from pointsman_cli.judging.report.svg import Plot, linear

__all__ = ["draw", "told"]

TEN = log(10.0)
LEAST = -2.0 * TEN
BEYOND = 1.6
"""How far above the line is drawn, as a multiple of it: what lies higher decides nothing more."""


def draw(course: Course, width: float, key: str) -> str:
    """Lines by metric, thin, and the sum, thick."""
    needed = course.policy.needed
    plot, clock = Plot(width, 300, top=22), Clock(course)
    x = clock.scale(plot)
    seen = [moment.verdict.log_e for moment in course.moments]
    high = min(max([needed * 1.15, *seen]), needed * BEYOND)
    y = linear(LEAST, high, plot.y1, plot.y0)
    powers = range(-2, int(high / TEN) + 1)
    plot.axis_y(y, [(power * TEN, f"{10**power:,}" if power >= 0 else f"1/{10**-power}") for power in powers])
    plot.text(6, 13, "to 1", "axis-title")
    plot.box(plot.x0, y(high), plot.x1 - plot.x0, y(needed) - y(high), "beyond")
    plot.rule(plot.x0, y(needed), plot.x1, y(needed), "limit")
    plot.text(plot.x0 + 6, y(needed) - 6, f"{odds(needed)}: the canary goes back", "limit-label")
    clock.axis(plot, x)
    for index, metric in enumerate(course.policy.metrics):
        if metric.enforced:
            points = [(x(clock.until_s(m)), y(m.metric(metric.name).share)) for m in course.moments]
            plot.line(points, f"series s{index % 6}")
    plot.line([(x(clock.until_s(m)), y(m.verdict.log_e)) for m in course.moments], "sum")
    clock.mark_decision(plot, x)
    return plot.svg(key, "Evidence against the canary", told(course))


def told(course: Course) -> str:
    """The chart in words."""
    needed = odds(course.policy.needed)
    highest = max(course.moments, key=lambda moment: moment.verdict.log_e)
    last = course.moments[-1].verdict.log_e
    return (
        f"After {len(course.moments)} ticks the evidence that the canary is worse is {odds(last)}; it was highest at "
        f"tick {highest.tick.seq}, {odds(highest.verdict.log_e)}. At {needed} the canary is rolled back."
    )
