"""What the peers' rules are given of a rollout, tick by tick, and how they ask for it: sums over a time window.

Their metrics come from Prometheus, whose `rate` and `histogram_quantile` are what `Query` imitates. Scrapes are the
ticks of the recording, so a peer is never slower here than its own scrape interval would make it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Literal

__all__ = [
    "SLACK_S",
    "Decision",
    "Outcome",
    "Query",
    "Window",
    "counted",
    "ends",
    "every",
    "histogram_quantile",
    "last_s",
    "total",
]

SLACK_S = 0.25
"""Ticks of a recording end a little early or late; a measurement that is due waits for none of that."""

Decision = Literal["rolled_back", "promoted", "paused", "continuing"]


@dataclass(frozen=True, slots=True)
class Window:
    """Requests that were answered in one tick, by arm. `t_s` is the tick's end, in seconds since the rollout began.

    Latency is in disjoint buckets, one more than `edges_ms` has upper edges. `split` is the canary's share that was
    in force; None where it is not known.
    """

    t_s: float
    canary_requests: int
    canary_bad: int
    baseline_requests: int
    baseline_bad: int
    canary_latency: tuple[int, ...] = ()
    baseline_latency: tuple[int, ...] = ()
    edges_ms: tuple[float, ...] = ()
    split: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule would have done, `at_s` seconds after the rollout began.

    `promoted` and `continuing` say that it had no objection in all the data there was, of a rollout that is over or
    is not. `paused` waits for a person.
    """

    rule: str
    decision: Decision
    at_s: float
    reason: str


def total(windows: Sequence[Window], after_s: float, until_s: float) -> Window:
    """All that was answered in ticks that ended after `after_s` and not after `until_s`.

    Latency counts where the buckets are those of the last tick.
    """
    ended = ends(windows)
    chosen = windows[bisect_right(ended, after_s + SLACK_S) : bisect_right(ended, until_s + SLACK_S)]
    edges = next((window.edges_ms for window in reversed(chosen) if window.edges_ms), ())
    alike = [window for window in chosen if window.edges_ms == edges]
    return Window(
        until_s,
        sum(window.canary_requests for window in chosen),
        sum(window.canary_bad for window in chosen),
        sum(window.baseline_requests for window in chosen),
        sum(window.baseline_bad for window in chosen),
        _added_up([window.canary_latency for window in alike], edges),
        _added_up([window.baseline_latency for window in alike], edges),
        edges,
    )


def _added_up(histograms: Sequence[tuple[int, ...]], edges_ms: Sequence[float]) -> tuple[int, ...]:
    whole = [histogram for histogram in histograms if edges_ms and len(histogram) == len(edges_ms) + 1]
    return tuple(map(sum, zip(*whole, strict=True)))


def every(ends_s: Iterable[float], interval_s: float) -> Iterator[float]:
    """Those ends of ticks at which a clock that strikes every `interval_s` has struck since the tick before."""
    due = interval_s
    for end_s in ends_s:
        if end_s >= due - SLACK_S:
            yield end_s
            while due - SLACK_S <= end_s:
                due += interval_s


def ends(windows: Sequence[Window]) -> list[float]:
    return [window.t_s for window in windows]


def last_s(windows: Sequence[Window]) -> float:
    return windows[-1].t_s if windows else 0.0


@dataclass(frozen=True, slots=True)
class Query:
    """One number of a window: the canary's share of bad answers, or a quantile of its latency in ms.

    `relative` divides it by stable's. NaN where nothing was answered, +inf where only stable's number is 0: as
    PromQL divides.
    """

    metric: Literal["errors", "latency"] = "errors"
    quantile: float = 0.99
    relative: bool = False

    def of(self, window: Window) -> float:
        canary = self._arm(window.canary_requests, window.canary_bad, window.canary_latency, window.edges_ms)
        if not self.relative:
            return canary
        stable = self._arm(window.baseline_requests, window.baseline_bad, window.baseline_latency, window.edges_ms)
        if stable == 0.0:
            return inf if canary > 0.0 else nan
        return canary / stable

    def _arm(self, requests: int, bad: int, latency: Sequence[int], edges_ms: Sequence[float]) -> float:
        if self.metric == "latency":
            return histogram_quantile(self.quantile, latency, edges_ms)
        return bad / requests if requests else nan


def histogram_quantile(quantile: float, counts: Sequence[int], edges_ms: Sequence[float]) -> float:
    """PromQL's `histogram_quantile` for classic buckets: linear inside a bucket, which begins at 0 for the first;
    the highest finite edge for what is above it; NaN of nothing."""
    requests = sum(counts)
    if not requests or not edges_ms:
        return nan
    rank, below = quantile * requests, 0
    for index, edge in enumerate(edges_ms):
        if below + counts[index] >= rank:
            start = edges_ms[index - 1] if index else 0.0
            inside = (rank - below) / counts[index] if counts[index] else 0.0
            return start + (edge - start) * inside
        below += counts[index]
    return edges_ms[-1]


def counted(window: Window, slower_than_ms: float | None) -> tuple[int, int, int, int]:
    """Bad and all of the canary, bad and all of stable; bad are errors, or what was slower than an edge."""
    if slower_than_ms is None:
        return window.canary_bad, window.canary_requests, window.baseline_bad, window.baseline_requests
    slow = bisect_right(window.edges_ms, slower_than_ms)
    canary, stable = window.canary_latency, window.baseline_latency
    return sum(canary[slow:]), sum(canary), sum(stable[slow:]), sum(stable)
