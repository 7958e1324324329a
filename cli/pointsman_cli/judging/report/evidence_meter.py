"""The evidence, look by look: each metric's part of it, their sum, and the line at which the canary goes back."""

from collections.abc import Iterator
from math import asinh, log

from pointsman.core.judge.verdict import odds
from pointsman_cli.judging.course import Course
from pointsman_cli.judging.report.clock import Clock
from pointsman_cli.judging.report.svg import Plot, Scale

__all__ = ["draw", "told"]

TEN = log(10.0)
POWERS = (1, 2, 3, 4, 5, 10, 20, 50, 100)
"""Powers of ten that the axis may name, on either side of 1; those that there is room for."""
LEAST = -2.0 * TEN
ROOM = 17
SPELLED_MAX = 4
"""Higher powers of ten are named by their exponent."""


def draw(course: Course, width: float, key: str) -> str:
    """Lines by metric, thin, and the sum, thick."""
    needed = course.policy.needed
    plot, clock = Plot(width, 300, top=22), Clock(course)
    x = clock.scale(plot)
    enforced = [(index % 6, metric.name) for index, metric in enumerate(course.policy.metrics) if metric.enforced]
    parts = {name: [moment.metric(name).share for moment in course.moments] for _, name in enforced}
    together = [moment.verdict.log_e for moment in course.moments]
    lowest = min([LEAST, *together, *(nats for part in parts.values() for nats in part)])
    y = _scale(lowest, max([needed * 1.15, *together]), needed, plot)
    plot.axis_y(y, [(power * TEN, _power_text(power)) for power in _powers(y)])
    plot.text(6, 13, "to 1", "axis-title")
    plot.box(plot.x0, plot.y0, plot.x1 - plot.x0, y(needed) - plot.y0, "beyond")
    plot.rule(plot.x0, y(needed), plot.x1, y(needed), "limit")
    plot.text(plot.x0 + 6, y(needed) - 6, f"{odds(needed)}: the canary goes back", "limit-label")
    clock.axis(plot, x)
    times = [x(clock.until_s(moment)) for moment in course.moments]
    for colour, name in enforced:
        plot.line([(at, y(nats)) for at, nats in zip(times, parts[name], strict=True)], f"series s{colour}")
    plot.line([(at, y(nats)) for at, nats in zip(times, together, strict=True)], "sum")
    clock.mark_decision(plot, x)
    return plot.svg(key, "Evidence against the canary", told(course))


def _scale(low: float, high: float, needed: float, plot: Plot) -> Scale:
    """Powers of ten are about equally far apart up to the line, and draw together beyond it: evidence of 10^75 is
    shown for what it is, and what happened below the line can still be seen."""
    return Scale(low, high, plot.y1, plot.y0, lambda nats: asinh(nats / needed))


def _powers(y: Scale) -> Iterator[int]:
    """The powers of ten to name, none closer to another than its words are high."""
    yield 0
    for sign in (1, -1):
        last = 0
        for power in POWERS:
            nats = sign * power * TEN
            if y.low <= nats <= y.high and abs(y(nats) - y(last * TEN)) >= ROOM:
                last = sign * power
                yield last


def _power_text(power: int) -> str:
    times = f"{10 ** abs(power):,}" if abs(power) <= SPELLED_MAX else f"10^{abs(power)}"
    return times if power >= 0 else f"1/{times}"


def told(course: Course) -> str:
    """The chart in words."""
    needed = odds(course.policy.needed)
    highest = max(course.moments, key=lambda moment: moment.verdict.log_e)
    last = course.moments[-1].verdict.log_e
    return (
        f"After {len(course.moments)} ticks the evidence that the canary is worse is {odds(last)}; it was highest at "
        f"tick {highest.tick.seq}, {odds(highest.verdict.log_e)}. At {needed} the canary is rolled back."
    )
