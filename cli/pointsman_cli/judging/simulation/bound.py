"""How many requests any rule would need, whatever it knows: the bound of Wald and Lorden.

A rule with at most α false alarms that finds (nearly) every regression of one known kind needs, on average,
ln(1/α) / I of the canary's requests, where I is what one of them tells apart, in nats: with π the canary's share,
p₁ and p₀ how canary's and stable's answers fall into cells, and p̄ = π p₁ + (1 − π) p₀,

    I = KL(p₁ ‖ p̄) + (1 − π)/π · KL(p₀ ‖ p̄)
"""

from collections.abc import Sequence
from math import log

from pointsman_cli.judging.simulation.service import Change, Service, shares

__all__ = ["cells", "information", "requests_needed"]


def information(canary: Sequence[float], stable: Sequence[float], split: float) -> float:
    """Nats for each of the canary's requests, at a split strictly between 0 and 1."""
    total = 0.0
    for p1, p0 in zip(canary, stable, strict=True):
        middle = split * p1 + (1.0 - split) * p0
        if p1 > 0.0:
            total += p1 * log(p1 / middle)
        if p0 > 0.0:
            total += (1.0 - split) / split * p0 * log(p0 / middle)
    return total


def cells(service: Service, change: Change) -> tuple[Sequence[float], Sequence[float]]:
    """Canary's and stable's probabilities of the cells in which the change shows: bad and good, or the buckets."""
    if change.latency == 1.0:
        bad = change.bad(service.bad)
        return (bad, 1.0 - bad), (service.bad, 1.0 - service.bad)
    edges = tuple(service.edges_ms)
    slower = shares(edges, change.latency * service.median_ms, service.sigma)
    return slower, shares(edges, service.median_ms, service.sigma)


def requests_needed(service: Service, change: Change, alpha: float, steps: Sequence[tuple[float, float]]) -> float:
    """The canary's requests that the bound asks for; `steps` are (split, seconds). Infinite when the steps end
    before: then no valid rule finds the change reliably in them."""
    left, requests = -log(alpha), 0.0
    canary, stable = cells(service, change)
    for split, seconds in steps:
        if not 0.0 < split < 1.0:
            continue
        each, served = information(canary, stable, split), service.rate * split * seconds
        if each * served >= left:
            return requests + left / each
        left, requests = left - each * served, requests + served
    return float("inf")
