"""The canary's share of the requests over time, and below it what was said after each tick."""

from itertools import groupby

from pointsman_cli.judging.course import Course, Moment
from pointsman_cli.judging.lengths import length_text
from pointsman_cli.judging.report.clock import Clock
from pointsman_cli.judging.report.svg import Plot, linear

__all__ = ["VERDICTS", "draw", "told"]

VERDICTS = {
    "advance": "advance: known to do no harm",
    "continue": "continue: nothing against it",
    "hold": "hold: nothing can be said",
    "roll_back": "roll back: worse",
}
STRIP = 14
TOPS = (10.0, 20.0, 50.0, 100.0)


def draw(course: Course, width: float, key: str) -> str:
    """Steps as an area; the strip under it has a colour and, where there is room, a word for each verdict."""
    plot, clock = Plot(width, 196, bottom=62), Clock(course)
    highest = 100.0 * max(moment.tick.split for moment in course.moments)
    top = next(percent for percent in TOPS if percent >= highest)
    x, y = clock.scale(plot), linear(0.0, top, plot.y1, plot.y0)
    plot.axis_y(y, [(value, f"{value:g} %") for value in (0.0, top / 2, top)])
    points = [
        (x(at), y(100.0 * moment.tick.split))
        for moment in course.moments
        for at in (clock.since_s(moment), clock.until_s(moment))
    ]
    plot.area(points, [(x(0.0), plot.y1), (points[-1][0], plot.y1)], "share")
    plot.line(points, "share-line")
    strip = plot.y1 + 6
    for action, run in _runs(course):
        start, end = x(clock.since_s(run[0])), x(clock.until_s(run[-1]))
        words = f"{action}: {length_text(clock.until_s(run[-1]) - clock.since_s(run[0]))}"
        plot.box(start, strip, max(1.0, end - start), STRIP, f"verdict v-{action}", words)
        if end - start > 9 * len(action):
            plot.text((start + end) / 2, strip + 11, action.replace("_", " "), "strip-label", "middle")
    clock.mark_decision(plot, x)
    below = Plot(width, plot.height, bottom=62 - 6 - STRIP)
    clock.axis(below, x)
    plot.parts += below.parts
    return plot.svg(key, "Share of requests and verdicts", told(course))


def _runs(course: Course) -> list[tuple[str, list[Moment]]]:
    return [(action, list(run)) for action, run in groupby(course.moments, lambda moment: moment.verdict.action)]


def told(course: Course) -> str:
    """Shares and verdicts in words, in order."""
    shares = [f"{100.0 * split:g} %" for split, _ in groupby(course.moments, lambda moment: moment.tick.split)]
    verdicts = [
        f"{action.replace('_', ' ')} for {len(run)} {'tick' if len(run) == 1 else 'ticks'}"
        for action, run in _runs(course)
    ]
    return f"The canary's share went {', '.join(shares)}. Verdicts, in order: {', '.join(verdicts[:20])}."
