"""How much worse the canary is by one metric: what was seen, and the band in which it lies at every look together."""

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman.core.judge.policy import Metric
from pointsman_cli.judging.answers import Answers, Reading
from pointsman_cli.judging.course import Course, MetricSeen
from pointsman_cli.judging.lengths import milliseconds
from pointsman_cli.judging.report.clock import Clock
from pointsman_cli.judging.report.svg import Plot, Scale, count_ticks, linear, logarithmic

__all__ = ["Band", "bands", "between_text", "draw", "times_text", "told", "what"]

LEAST, MOST = 0.1, 1000.0
TICKS = (0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
ROOM = 17
OPEN = 3.0
"""A band without an upper end is drawn so many times as far as its lower one, at least."""


@dataclass(frozen=True, slots=True)
class Band:
    """One tick: its end in seconds, what was seen by then, and the interval. None: not known (of `upper`: no limit)."""

    at_s: float
    seen: float | None
    lower: float | None
    upper: float | None


def times_text(value: float) -> str:
    return f"×{value:.2g}" if value < 10.0 else f"×{value:,.0f}"


def what(course: Course, metric: Metric) -> str:
    """What is compared, in words."""
    last = course.moments[-1].metric(metric.name)
    if last.above_ms is not None:
        return f"share of answers that took longer than {milliseconds(last.above_ms)}, in multiples of stable's"
    if last.of == "difference":
        return "difference to stable's, in parts of the score's width; above 0 is worse"
    measured = {"Ratio": "share of bad answers", "Latency": "time to answer"}.get(metric.kind, "mean")
    return f"{measured}, in multiples of stable's"


def bands(course: Course, metric: Metric, reading: Reading) -> list[Band]:
    """The metric, tick by tick. Of a latency it is the share of slow answers, whose interval is known."""
    clock, last = Clock(course), course.moments[-1].metric(metric.name)
    seen: Sequence[float | None] = [moment.metric(metric.name).effect for moment in course.moments]
    if last.above_ms is not None:
        seen = _slow_shares(reading, last.above_ms)
    elif last.of == "difference":
        seen = [None] * len(course.moments)
    found = []
    for moment, value in zip(course.moments, seen, strict=True):
        at = moment.metric(metric.name)
        is_known = at.of == last.of and not at.is_torn
        found.append(Band(clock.until_s(moment), value, at.lower if is_known else None, at.upper if is_known else None))
    return found


def _slow_shares(reading: Reading, above_ms: float) -> list[float | None]:
    """Canary's share of slow answers over stable's, of all answers so far."""
    canary, stable = Answers(), Answers()
    found = []
    for one in reading.ticks:
        for total, now in ((canary, one.canary), (stable, one.baseline)):
            total.add(now.requests, now.bad, now.edges_ms, now.latency)
        ours, theirs = (_slow_share(total, above_ms) for total in (canary, stable))
        found.append(ours / theirs if ours is not None and theirs else None)
    return found


def _slow_share(answers: Answers, above_ms: float) -> float | None:
    slow = sum(
        count
        for low, count in zip(answers.edges_ms, answers.latency[1:], strict=True)
        if low >= above_ms * (1.0 - 1e-4)
    )
    return slow / answers.measured() if answers.measured() else None


def draw(course: Course, metric: Metric, found: Sequence[Band], width: float, key: str) -> str:
    """The band over time. Ratios on a logarithmic scale: twice as bad is as far from equal as half as bad."""
    plot, clock = Plot(width, 220, top=16), Clock(course)
    x = clock.scale(plot)
    last = course.moments[-1].metric(metric.name)
    is_ratio = last.of != "difference"
    y = _ratios(plot, metric, found) if is_ratio else _differences(plot, found)
    equal = 1.0 if is_ratio else 0.0
    clock.axis(plot, x)
    plot.rule(plot.x0, y(equal), plot.x1, y(equal), "equal")
    is_forgiving = is_ratio and last.above_ms is None and course.is_forgiving(metric)
    limit = 1.0 + metric.margin if is_forgiving else None
    if limit is not None:
        plot.rule(plot.x0, y(limit), plot.x1, y(limit), "limit")
    for stretch in _stretches(found):
        upper = [(x(one.at_s), y(one.upper if one.upper is not None else y.high)) for one in stretch]
        lower = [(x(one.at_s), y(one.lower if one.lower is not None else y.low)) for one in stretch]
        plot.area(upper, lower, "band")
        plot.line(upper, "band-edge")
        plot.line(lower, "band-edge")
        if len(stretch) == 1:  # a tick has no width: a bar in place of an area that nobody would see
            plot.line([*upper, *lower], "band-edge")
    seen = [(x(one.at_s), y(one.seen)) for one in found if one.seen is not None]
    plot.line(seen, "effect")
    for at in seen[-1:]:
        plot.dot(*at, 4, "last")
    words = f"at most {times_text(limit)} is forgiven" if limit is not None else "as good as stable"
    line = limit if limit is not None else equal
    # On the side of the line where the curve is not.
    beside = y(line) + 14 if (found[-1].seen or equal) > line else y(line) - 6
    plot.text(plot.x1 - 4, beside, words, "limit-label" if limit is not None else "equal-label", "end")
    return plot.svg(key, f"{metric.name}: {what(course, metric)}", told(course, metric, found))


def _ratios(plot: Plot, metric: Metric, found: Sequence[Band]) -> Scale:
    values = [value for one in found for value in (one.seen, one.lower, one.upper) if value]
    values += [OPEN * one.lower for one in found if one.lower and one.upper is None]
    low = max(LEAST, min([0.5, *values]))
    high = min(MOST, max([3.0, 1.3 * (1.0 + metric.margin), *values]))
    y = logarithmic(low, high, plot.y1, plot.y0)
    shown: list[tuple[float, str]] = []
    for tick in TICKS:
        if low <= tick <= high and (not shown or abs(y(tick) - y(shown[-1][0])) >= ROOM or tick == 1.0):
            shown.append((tick, times_text(tick)))
    plot.axis_y(y, shown)
    return y


def _differences(plot: Plot, found: Sequence[Band]) -> Scale:
    values = [value for one in found for value in (one.lower, one.upper) if value is not None]
    low, high = min([-0.1, *values]), max([0.1, *values])
    y = linear(max(-1.0, low), min(1.0, high), plot.y1, plot.y0)
    plot.axis_y(y, [(tick, f"{tick:+.2g}" if tick else "0") for tick in count_ticks(y.low, y.high, 5)])
    return y


def _stretches(found: Sequence[Band]) -> list[list[Band]]:
    """The runs of ticks in which a band is known."""
    stretches: list[list[Band]] = [[]]
    for one in found:
        if one.lower is None and one.upper is None:
            stretches.append([])
        else:
            stretches[-1].append(one)
    return [stretch for stretch in stretches if stretch]


def told(course: Course, metric: Metric, found: Sequence[Band]) -> str:
    """The last value and its band, in words."""
    last, at = found[-1], course.moments[-1].metric(metric.name)
    told = [f"{times_text(last.seen)} was seen"] if last.seen is not None else []
    if between := between_text(at):
        told.append(f"it lies {between}{at.sureness}" + ("" if at.is_torn else " at whatever moment one looks"))
    if not told:
        return f"{metric.name}: nothing was seen of it on both sides."
    if at.above_ms is None and at.of != "difference" and course.is_forgiving(metric):
        told.append(f"up to {times_text(1.0 + metric.margin)} is forgiven")
    return f"{metric.name}, {what(course, metric)}: {'; '.join(told)}."


def between_text(at: MetricSeen) -> str:
    """`between ×2 and ×5`, `above ×2`, `below ×5`; nothing where no end is known."""
    if at.is_torn:
        return "at no one value, since it has changed"
    form = times_text if at.of != "difference" else "{:+.2g}".format
    if at.upper is not None:
        return f"between {form(at.lower)} and {form(at.upper)}" if at.lower else f"below {form(at.upper)}"
    return f"above {form(at.lower)}" if at.lower else ""
