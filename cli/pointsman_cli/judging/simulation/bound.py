"""How many requests any rule would need, whatever it knows: the bound of Wald and Lorden (`core.judge.power`), where
the canary's share rises in steps."""

from collections.abc import Sequence
from math import log

from pointsman.core.judge.power import information
from pointsman_cli.judging.simulation.service import Change, Service, shares

__all__ = ["requests_needed"]


def _cells(service: Service, change: Change) -> tuple[Sequence[float], Sequence[float]]:
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
    canary, stable = _cells(service, change)
    for split, seconds in steps:
        if not 0.0 < split < 1.0:
            continue
        each, served = information(stable, canary, split), service.rate * split * seconds
        if each * served >= left:
            return requests + left / each
        left, requests = left - each * served, requests + served
    return float("inf")
