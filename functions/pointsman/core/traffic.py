"""Traffic arithmetic: weights are whole numbers of 100 or 1000, and sizes follow from them.

R is what the service runs at 100 % of its traffic, w the canary's weight in percent, C its pods. A canary gets
20 % more pods than its share, so that a step never judges an overloaded server; from w = 50 on it has all of R,
since half of the traffic on half of the pods leaves no room for the next step.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import ceil

__all__ = ["FAIR", "canary_replicas", "carries", "first_fair_weight", "load_parity", "weight_total", "weight_units"]

FAIR = (0.8, 1.25)
"""Load per pod, canary to stable, between which latency is a fair comparison (`load_parity`)."""


def weight_total(percents: Iterable[float]) -> int:
    """100, or 1000 where a weight has tenths of a percent."""
    return 1000 if any(round(percent * 10) % 10 for percent in percents) else 100


def weight_units(percent: float, total: int) -> int:
    """A weight in percent as a whole number of `total`."""
    return round(Fraction(str(percent)) * total / 100)


def canary_replicas(replicas: int, weight_percent: float, minimum: int, override: int | None = None) -> int:
    """Pods that a canary needs before it gets `weight_percent`. 0 while the service is off (`replicas` 0)."""
    if replicas == 0:
        return 0
    if override is not None:
        return override
    if weight_percent >= 50:
        return replicas
    share = ceil(Fraction("1.2") * replicas * Fraction(str(weight_percent)) / 100)
    return min(max(minimum, share), max(replicas, minimum))


def carries(ready: int, replicas: int, weight: int, total: int) -> bool:
    """Whether `ready` of `replicas` pods can carry `weight` of `total`: their own share at most."""
    return weight == 0 or (ready > 0 and ready * total >= replicas * weight)


def load_parity(weight: int, total: int, canary_ready: int, baseline_ready: int) -> float | None:
    """ρ, the canary's load per pod over the baseline's; None where one side has no load or no pods."""
    if not canary_ready or not baseline_ready or weight in (0, total):
        return None
    return (weight / canary_ready) / ((total - weight) / baseline_ready)


def first_fair_weight(replicas: int) -> float:
    """The smallest percentage at which one canary pod carries as much as each of `replicas` stable pods."""
    return 100 / (replicas + 1)
