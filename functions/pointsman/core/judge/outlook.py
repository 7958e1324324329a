"""What is still open: how much harm is not excluded yet, how many requests would settle it, and what would help."""

from math import inf, log, log1p

from pointsman.core.judge.bounds import OUT, Bounds, is_share_below, share_upper
from pointsman.core.judge.power import information
from pointsman.core.judge.tally import Tally

__all__ = ["HARM_MAX", "SLOWER_MAX", "harm_of", "help_for", "is_bounded", "to_advance", "to_roll_back"]

HARM_MAX = 0.01
"""Extra bad answers per request of the canary, at most, at which harm is called bounded: one in a hundred."""

SLOWER_MAX = 2.0
"""And of slow answers at most so many times stable's."""

LONG_S = 3600.0
"""Beyond so long it is worth saying what would be quicker."""


def harm_of(bounds: Bounds, bad: str, canary: Tally, baseline: Tally) -> float:
    """Extra bad answers per request of the canary, at most: the smaller of two bounds, so many times stable's rate and
    the canary's own rate, each of which holds at every look in 95 % of rollouts."""
    k, n = canary.bad.get(bad, 0.0), canary.requests
    rate = baseline.bad.get(bad, 0.0) / baseline.requests if baseline.requests else 0.0
    by_ratio = (bounds.most - 1.0) * rate if rate > 0.0 else inf
    return by_ratio if by_ratio <= HARM_MAX else min(by_ratio, share_upper(k, n))


def is_bounded(bounds: Bounds, bad: str, canary: Tally, baseline: Tally) -> bool:
    """Whether `harm_of` is at most `HARM_MAX`, without computing it."""
    rate = baseline.bad.get(bad, 0.0) / baseline.requests if baseline.requests else 0.0
    if rate > 0.0 and (bounds.most - 1.0) * rate <= HARM_MAX:
        return True
    return is_share_below(HARM_MAX, canary.bad.get(bad, 0.0), canary.requests)


def to_advance(bounds: Bounds, bad: str, canary: Tally, baseline: Tally, share: float) -> float | None:
    """About how many more requests of a healthy canary bound the harm; 0 where it is, None where none can tell."""
    if not 0.0 < share < 1.0 or not baseline.requests:
        return None
    rate = (baseline.bad.get(bad, 0.0) + 0.5) / (baseline.requests + 1.0)
    own = max(0.0, (OUT + 3.0) / HARM_MAX - canary.requests) if canary.bad.get(bad, 0.0) == 0.0 else inf
    times = 1.0 + HARM_MAX / rate
    tilted = times * share / (times * share + 1.0 - share)
    bet = 1.0 / times
    growth = rate * log(bet) - (rate + rate * (1.0 - share) / share) * log1p(tilted * (bet - 1.0))
    by_ratio = bounds.needed(times) / growth if growth > 0.0 else inf
    found = min(own, by_ratio)
    return found if found < inf else None


def to_roll_back(missing: float, times: float, rate: float, share: float) -> float | None:
    """About how many more requests of the canary until the evidence is enough, if what was seen goes on."""
    if times <= 1.2 or not 0.0 < share < 1.0 or not 0.0 < rate < 1.0:
        return None
    worse = min(1.0, times * rate)
    growth = information((1.0 - rate, rate), (1.0 - worse, worse), share)
    return missing / growth if growth > 0.0 else None


def help_for(requests: float, per_second: float, share: float) -> str:
    """What would settle it sooner, where it takes long."""
    if per_second <= 0.0:
        return "no requests reach the canary: a mirror step (`mirrorPercent`) would show it copies of stable's"
    if requests / per_second <= LONG_S:
        return ""
    wider = min(0.5, 4.0 * share)
    minutes = requests / per_second / 60.0 * share / wider
    return (
        f"traffic is low: a split of {100.0 * wider:g} % would take about {minutes:,.0f} minutes; a longer step or a "
        "mirror step (`mirrorPercent`) helps as well"
    )
