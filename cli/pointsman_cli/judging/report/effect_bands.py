"""How many times worse the canary is by one metric: best guess and the band in which it lies, against the margin."""

from pointsman.core.judge.policy import Metric
from pointsman_cli.judging.course import Course, MetricSeen
from pointsman_cli.judging.report.clock import Clock
from pointsman_cli.judging.report.svg import Plot, logarithmic

__all__ = ["draw", "times_text", "told"]

LEAST, MOST = 0.25, 64.0
TICKS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
ROOM = 17


def times_text(value: float) -> str:
    return f"×{value:.2g}" if value < 10.0 else f"×{value:,.0f}"


def draw(course: Course, metric: Metric, width: float, key: str) -> str:
    """The band over time, on a logarithmic scale: twice as bad is as far from equal as half as bad."""
    plot, clock = Plot(width, 220, top=16), Clock(course)
    x = clock.scale(plot)
    seen = [(clock.until_s(moment), moment.metric(metric.name)) for moment in course.moments]
    values = [value for _, at in seen for value in (at.effect, at.lower, at.upper) if value is not None]
    low = max(LEAST, min([0.5, *values]))
    high = min(MOST, max([3.0, 1.3 * (1.0 + metric.margin), *values]))
    y = logarithmic(low, high, plot.y1, plot.y0)
    shown: list[tuple[float, str]] = []
    for tick in TICKS:
        if low <= tick <= high and (not shown or abs(y(tick) - y(shown[-1][0])) >= ROOM or tick == 1.0):
            shown.append((tick, times_text(tick)))
    plot.axis_y(y, shown)
    clock.axis(plot, x)
    limit = 1.0 + metric.margin
    plot.rule(plot.x0, y(1.0), plot.x1, y(1.0), "equal")
    if metric.margin:
        plot.rule(plot.x0, y(limit), plot.x1, y(limit), "limit")
    for stretch in _stretches([(at, one) for at, one in seen]):
        upper = [(x(at), y(one.upper if one.upper is not None else high)) for at, one in stretch]
        lower = [(x(at), y(one.lower if one.lower is not None else low)) for at, one in stretch]
        plot.area(upper, lower, "band")
        plot.line(upper, "band-edge")
        plot.line(lower, "band-edge")
    plot.line([(x(at), y(one.effect)) for at, one in seen if one.effect is not None], "effect")
    words = f"at most {times_text(limit)} is forgiven" if metric.margin else "×1: as good as stable"
    # On the side of the line where the curve is not.
    last = seen[-1][1].effect
    beside = y(limit) + 14 if last is not None and last > limit else y(limit) - 6
    plot.text(plot.x1 - 4, beside, words, "limit-label" if metric.margin else "equal-label", "end")
    return plot.svg(key, f"{metric.name}: how many times worse the canary is", told(course, metric))


def _stretches(seen: list[tuple[float, MetricSeen]]) -> list[list[tuple[float, MetricSeen]]]:
    """The runs of ticks in which a band is known."""
    found: list[list[tuple[float, MetricSeen]]] = []
    for at, one in seen:
        if one.lower is None and one.upper is None:
            found.append([])
        else:
            if not found:
                found.append([])
            found[-1].append((at, one))
    return [stretch for stretch in found if len(stretch) > 1]


def told(course: Course, metric: Metric) -> str:
    """The last value and its band, in words."""
    last = course.moments[-1].metric(metric.name)
    if last.effect is None:
        return f"{metric.name}: nothing was seen of it on both sides."
    text = f"{metric.name}: the canary's is {times_text(last.effect)} stable's"
    if last.lower is not None or last.upper is not None:
        low = times_text(last.lower) if last.lower is not None else "nothing"
        high = times_text(last.upper) if last.upper is not None else "any"
        text += f", between {low} and {high} with 95 % confidence at whatever moment one looks"
    return f"{text}. {f'Up to {times_text(1.0 + metric.margin)} is forgiven.' if metric.margin else ''}".strip()
