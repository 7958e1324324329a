"""Where a rollout's numbers come from, how often, and how late: by the Gateway's class.

Lags are the sum of sampling and ingestion that Google documents for load balancer metrics (Cloud Monitoring,
"Google Cloud metrics", loadbalancing); Managed Prometheus is queryable well within a minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["GOOGLE_CLASSES", "Timing", "is_google", "is_internal", "timing"]

GOOGLE_CLASSES = "gke-l7"
"""GKE's own Gateway classes start with it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How a rollout keeps time, all in seconds."""

    scrape_s: float
    """Between two samples of a series."""
    lag_s: float
    """How far behind the clock the newest sample may be."""
    latency_lag_s: float
    """The same for latency, where it comes later."""
    settle_s: float
    """How long a route takes to be in force after its conditions are true, at most."""
    poll_s: float
    """Between two looks at pods or a route that are about to change."""

    @property
    def tick_s(self) -> float:
        """The shortest window that is judged: two scrapes."""
        return 2 * self.scrape_s


_ENVOY = Timing(scrape_s=1, lag_s=1, latency_lag_s=1, settle_s=0, poll_s=0.15)
_REGIONAL = Timing(scrape_s=30, lag_s=150, latency_lag_s=270, settle_s=60, poll_s=10)
_GLOBAL = Timing(scrape_s=30, lag_s=270, latency_lag_s=270, settle_s=60, poll_s=10)
_PODS = Timing(scrape_s=15, lag_s=60, latency_lag_s=60, settle_s=60, poll_s=10)


def timing(gateway_class: str, metric_sets: Sequence[str] = ("Gateway",)) -> Timing:
    """Tick and lag of a Gateway class. Where no metric is the gateway's, the servers' own series set the pace."""
    if not is_google(gateway_class):
        return _ENVOY
    if "Gateway" not in metric_sets:
        return _PODS
    return _REGIONAL if "regional" in gateway_class or "rilb" in gateway_class else _GLOBAL


def is_google(gateway_class: str) -> bool:
    """Whether GKE's own Gateway implements the class: then its policies are written, its limits hold."""
    return gateway_class.startswith(GOOGLE_CLASSES)


def is_internal(gateway_class: str) -> bool:
    """Whether the gateway's address is reached from inside the network only, so that we can't ask it ourselves."""
    return "rilb" in gateway_class or "internal" in gateway_class
