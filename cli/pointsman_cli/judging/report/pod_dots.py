"""Every pod of both sides as a dot: its share of bad answers, or its latency; the larger, the more it answered."""

from collections.abc import Callable, Mapping
from math import sqrt

from pointsman_cli.judging.answers import Answers
from pointsman_cli.judging.lengths import milliseconds
from pointsman_cli.judging.report.latency_shapes import quantiles
from pointsman_cli.judging.report.svg import Plot, Scale, count_ticks, linear, logarithmic

__all__ = ["bad_share", "draw_bad", "draw_latency", "told"]

ROWS = ("canary", "stable")
SPREAD = (0, -9, 9, -18, 18)
"""Pods beside one another are moved up and down in turn, so that none hides another."""

Pods = Mapping[str, Answers]


def bad_share(answers: Answers) -> float | None:
    """Bad answers of all classes in percent; None of a pod that answered nothing."""
    return 100.0 * min(1.0, sum(answers.bad.values()) / answers.requests) if answers.requests else None


def draw_bad(canary: Pods, stable: Pods, width: float, key: str) -> str:
    """One dot a pod, along its share of bad answers."""
    values = [share for pods in (canary, stable) for pod in pods.values() if (share := bad_share(pod)) is not None]
    plot = _plot(width)
    scale = linear(0.0, max(1.0, 1.1 * max(values, default=0.0)), plot.x0, plot.x1)
    ticks = [(tick, f"{tick:g} %") for tick in count_ticks(0.0, scale.high, int((plot.x1 - plot.x0) / 90))]
    plot.axis_x(scale, ticks, "bad answers")
    _dots(plot, scale, canary, stable, bad_share, lambda value: f"{value:.2g} % bad")
    return plot.svg(key, "Bad answers by pod", told(canary, stable, bad_share, lambda value: f"{value:.2g} %"))


def draw_latency(canary: Pods, stable: Pods, width: float, key: str) -> str:
    """One dot a pod, along its 90th percentile."""
    values = [at for pods in (canary, stable) for pod in pods.values() if (at := _p90(pod)) is not None]
    plot = _plot(width)
    scale = logarithmic(0.8 * min(values), 1.25 * max(values), plot.x0, plot.x1)
    ticks = [(tick, milliseconds(tick)) for tick in count_ticks(scale.low, scale.high, int((plot.x1 - plot.x0) / 90))]
    plot.axis_x(scale, ticks, "90 % of requests took less")
    _dots(plot, scale, canary, stable, _p90, lambda value: f"p90 {milliseconds(value)}")
    return plot.svg(key, "Latency by pod", told(canary, stable, _p90, milliseconds))


def _p90(answers: Answers) -> float | None:
    return quantiles(answers)["p90"] if answers.latency else None


def _plot(width: float) -> Plot:
    return Plot(width, 176, left=64, bottom=40)


def _dots(
    plot: Plot,
    scale: Scale,
    canary: Pods,
    stable: Pods,
    value: Callable[[Answers], float | None],
    words: Callable[[float], str],
) -> None:
    most = max((pod.requests for pods in (canary, stable) for pod in pods.values()), default=1)
    for row, (side, pods) in enumerate(zip(ROWS, (canary, stable), strict=True)):
        middle = plot.y0 + (plot.y1 - plot.y0) * (2 * row + 1) / 4
        plot.rule(plot.x0, middle, plot.x1, middle, "grid")
        plot.text(plot.x0 - 8, middle + 4, side, "tick-label", "end")
        for number, (name, pod) in enumerate(sorted(pods.items())):
            at = value(pod)
            if at is not None:
                radius = 3.0 + 5.0 * sqrt(pod.requests / max(1, most))
                told = f"{name}: {words(at)} of {pod.requests:,} requests"
                plot.dot(scale(at), middle + SPREAD[number % len(SPREAD)], radius, f"pod {side}", told)


def told(canary: Pods, stable: Pods, value: Callable[[Answers], float | None], words: Callable[[float], str]) -> str:
    """The range of each side, in words."""
    parts = []
    for side, pods in zip(ROWS, (canary, stable), strict=True):
        values = [at for pod in pods.values() if (at := value(pod)) is not None]
        if values:
            parts.append(f"{len(values)} pods of the {side} from {words(min(values))} to {words(max(values))}")
    return "; ".join(parts) + "." if parts else "No pod answered anything."
