"""The naive test: two proportions compared again and again, each time as if it were the only time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from pointsman_cli.judging.peers.windows import Outcome, Window, counted, ends, every, last_s, total

__all__ = ["ZTest"]


@dataclass(frozen=True, slots=True)
class ZTest:
    """z-test, one-sided at `alpha`, on everything since the start, every interval.

    Of errors, or of requests slower than an edge of the histogram. Counts are pooled, or compared within each tick
    and the differences added up (`by_tick`), which drift and incidents do not disturb.
    """

    name: str
    alpha: float = 0.01
    interval_s: float = 60.0
    slower_than_ms: float | None = None
    by_tick: bool = False

    def decide(self, windows: Sequence[Window], *, over: bool) -> Outcome:
        critical, z = NormalDist().inv_cdf(1.0 - self.alpha), 0.0
        for t_s in every(ends(windows), self.interval_s):
            so_far = [window for window in windows if window.t_s <= t_s]
            if self.by_tick:
                z = mantel_haenszel([counted(window, self.slower_than_ms) for window in so_far])
            else:
                z = score(*counted(total(so_far, -1.0, t_s), self.slower_than_ms))
            if z > critical:
                return Outcome(self.name, "rolled_back", t_s, f"z = {z:.2f} > {critical:.2f}")
        end_s = last_s(windows)
        return Outcome(self.name, "promoted" if over else "continuing", end_s, f"z = {z:.2f}")


def score(bad: int, requests: int, stable_bad: int, stable_requests: int) -> float:
    """z of "the canary's share is larger"; 0 where it cannot be said."""
    if not requests or not stable_requests:
        return 0.0
    pooled = (bad + stable_bad) / (requests + stable_requests)
    variance = pooled * (1.0 - pooled) * (1.0 / requests + 1.0 / stable_requests)
    return (bad / requests - stable_bad / stable_requests) / sqrt(variance) if variance > 0.0 else 0.0


def mantel_haenszel(ticks: Iterable[tuple[int, int, int, int]]) -> float:
    """z of the same from bad and all of each arm by tick (Mantel and Haenszel 1959, without continuity correction)."""
    excess, variance = 0.0, 0.0
    for bad, requests, stable_bad, stable_requests in ticks:
        both, both_bad = requests + stable_requests, bad + stable_bad
        if requests and stable_requests and both > 1:
            excess += bad - requests * both_bad / both
            variance += requests * stable_requests * both_bad * (both - both_bad) / (both * both * (both - 1.0))
    return excess / sqrt(variance) if variance > 0.0 else 0.0
