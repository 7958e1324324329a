"""A service as it is imagined: its traffic, how often and how fast it answers; and what may go wrong with a canary."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import erfc, log, sqrt

__all__ = ["BUCKETS", "CHANGES", "HEALTHY", "Change", "Service", "shares"]

BUCKETS = {
    "fine": tuple(round(1.1**step, 6) for step in range(91)),
    "google": tuple(round(1.4**step, 6) for step in range(33)),
    "prometheus": (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0),
}
"""Upper edges of a latency histogram, ms: what is read from Envoy (1.1 apart), Google's load balancers (1.4 apart)
and the defaults of Prometheus' client libraries."""


@dataclass(frozen=True, slots=True)
class Service:
    """`rate` requests a second on `pods` pods, of which `bad` (a share) are answered badly, in a log-normal time with
    this median (ms) and this standard deviation of its logarithm. Without `by_pod` the counters name no pods."""

    rate: float
    bad: float
    median_ms: float = 200.0
    sigma: float = 1.0
    pods: int = 3
    by_pod: bool = False
    edges_ms: Sequence[float] = BUCKETS["fine"]


@dataclass(frozen=True, slots=True)
class Change:
    """How much worse a canary is: its share of bad answers and its latency, times stable's. `broken`: none is good."""

    name: str
    errors: float = 1.0
    latency: float = 1.0
    broken: bool = False

    def bad(self, share: float) -> float:
        """The canary's share of bad answers where stable has `share`."""
        return 1.0 if self.broken else min(1.0, self.errors * share)


HEALTHY = Change("not worse")

CHANGES = (
    *(Change(f"errors ×{times:g}", errors=times) for times in (1.5, 2.0, 3.0, 5.0, 10.0, 20.0)),
    Change("broken: no good answer", broken=True),
    *(Change(f"latency ×{times:g}", latency=times) for times in (1.25, 1.5, 2.0)),
)


@cache
def shares(edges_ms: tuple[float, ...], median_ms: float, sigma: float) -> tuple[float, ...]:
    """How the requests fall into the buckets, the last one above all edges."""
    below = [0.5 * erfc((log(median_ms) - log(edge)) / (sigma * sqrt(2.0))) for edge in edges_ms]
    return tuple(b - a for a, b in zip([0.0, *below], [*below, 1.0], strict=True))
