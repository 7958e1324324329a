"""How long both sides took: two distributions on one logarithmic scale, and their quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log, sqrt

from pointsman_cli.judging.answers import Answers
from pointsman_cli.judging.lengths import milliseconds
from pointsman_cli.judging.report.svg import Plot, linear, logarithmic

__all__ = ["draw", "quantiles", "told"]

QUANTILES = (("median", 0.5), ("p90", 0.9), ("p99", 0.99))
TICKS_MS = [digit * 10.0**power for power in range(-2, 7) for digit in (1, 2, 5)]
TAIL = 0.001
BARS_MIN = 10


@dataclass(frozen=True, slots=True)
class _Bar:
    low: float
    high: float
    canary: float
    stable: float


def quantiles(answers: Answers) -> dict[str, float | None]:
    """Quantiles by name, interpolated inside their bucket on the logarithmic scale; None where they are above all
    edges, or nothing was measured."""
    return {name: _quantile(answers, share) for name, share in QUANTILES}


def _quantile(answers: Answers, share: float) -> float | None:
    target, below = share * sum(answers.latency), 0.0
    for low, high, count in zip(_lows(answers.edges_ms), answers.edges_ms, answers.latency, strict=False):
        if count and below + count >= target:
            return float(low * (high / low) ** ((target - below) / count))
        below += count
    return None


def _lows(edges: Sequence[float]) -> list[float]:
    first = edges[0] / (edges[1] / edges[0]) if len(edges) > 1 else edges[0] / 2.0
    return [first, *edges]


def draw(canary: Answers, stable: Answers, width: float, key: str) -> str:
    """Shares of requests by how long they took, as outlines; areas are comparable, whatever the counts."""
    plot = Plot(width, 230)
    bars = _bars(canary, stable)
    x = logarithmic(bars[0].low, bars[-1].high, plot.x0, plot.x1)
    most = max(max(bar.canary, bar.stable) for bar in bars)
    y = linear(0.0, 1.08 * most, plot.y1, plot.y0)
    for side in ("stable", "canary"):
        outline = [(x(edge), y(getattr(bar, side))) for bar in bars for edge in (bar.low, bar.high)]
        plot.area(outline, [(plot.x0, plot.y1), (plot.x1, plot.y1)], f"shape {side}")
        plot.line(outline, f"outline {side}")
    shown: list[tuple[float, str]] = []
    for tick in TICKS_MS:
        if bars[0].low <= tick <= bars[-1].high and (not shown or x(tick) - x(shown[-1][0]) > 58):
            shown.append((tick, milliseconds(tick)))
    plot.axis_x(x, shown, "time to answer")
    for side, answers in (("stable", stable), ("canary", canary)):
        middle = _quantile(answers, 0.5)
        if middle is not None:
            plot.rule(x(middle), plot.y0, x(middle), plot.y1, f"median {side}")
    return plot.svg(key, "Time to answer, both sides", told(canary, stable))


def _bars(canary: Answers, stable: Answers) -> list[_Bar]:
    """Buckets between the rarest thousandths, joined where there are too few requests for so many; each as a share
    for each unit of log time."""
    edges = list(canary.edges_ms)
    lows, highs = _lows(edges), [*edges, edges[-1] ** 2 / edges[-2] if len(edges) > 1 else 2.0 * edges[-1]]
    totals = sum(canary.latency), sum(stable.latency)
    first, last = _range(canary.latency, stable.latency, totals)
    bars_max = max(BARS_MIN, 1.5 * sqrt(min(totals)))
    together = max(1, ceil((last - first + 1) / bars_max))
    bars = []
    for index in range(first, last + 1, together):
        end = min(index + together, len(highs))
        spread = log(highs[end - 1] / lows[index])
        shares = [
            sum(counts[index:end]) / total / spread
            for counts, total in zip((canary.latency, stable.latency), totals, strict=True)
        ]
        bars.append(_Bar(lows[index], highs[end - 1], shares[0], shares[1]))
    return bars


def _range(canary: Sequence[int], stable: Sequence[int], totals: tuple[int, int]) -> tuple[int, int]:
    """The first and the last bucket that are worth drawing."""
    shares = [a / totals[0] + b / totals[1] for a, b in zip(canary, stable, strict=True)]
    below, above = 0.0, 0.0
    first, last = 0, len(shares) - 1
    while first < last and below + shares[first] < TAIL:
        below, first = below + shares[first], first + 1
    while last > first and above + shares[last] < TAIL:
        above, last = above + shares[last], last - 1
    return max(0, first - 1), last


def told(canary: Answers, stable: Answers) -> str:
    """Quantiles of both sides, in words."""
    parts = []
    for (name, ours), theirs in zip(quantiles(canary).items(), quantiles(stable).values(), strict=True):
        said = [milliseconds(value) if value is not None else "above all buckets" for value in (ours, theirs)]
        parts.append(f"{name} {said[0]} against {said[1]}")
    counts = f"{sum(canary.latency):,} requests of the canary, {sum(stable.latency):,} of stable"
    return (
        f"Time to answer, canary against stable: {'; '.join(parts)}. {counts}, those of ticks that were not judged as "
        "well. Quantiles are read between the buckets' edges; in reasons they are the upper edge."
    )
