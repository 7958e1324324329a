"""List prices in US dollars, tier-1 regions: each with its source, the day it was read, and what is free.

Prices are facts about others and grow old: `pointsman bootstrap plan` prints source and day beside every sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ALWAYS_ON", "PRICES", "READ_ON", "Price"]

READ_ON = "2026-11-22"
"""The day on which the pages were read. A page that bears no date may have been older."""

_UNCONFIRMED = "not confirmed by a page"


@dataclass(frozen=True, slots=True)
class Price:
    """`usd` for one unit. `free` units a month cost nothing, per billing account or project as the page says."""

    usd: float
    unit: str
    free: float
    source: str

    def of(self, units: float, *, free: bool = False) -> float:
        """Dollars for so many units a month; with `free`, after what is free."""
        return self.usd * max(0.0, units - (self.free if free else 0.0))


PRICES: Mapping[str, Price] = {
    "cpu": Price(0.000024, "vCPU-second", 180_000, "cloud.google.com/run/pricing"),
    "memory": Price(0.0000025, "GiB-second", 360_000, "cloud.google.com/run/pricing"),
    "requests": Price(0.40e-6, "request", 2_000_000, "cloud.google.com/run/pricing"),
    "steps": Price(0.01e-3, "internal Workflows step", 5_000, "cloud.google.com/workflows/pricing"),
    "reads": Price(0.03e-5, "Firestore read", 1_500_000, f"Firestore, {_UNCONFIRMED}"),
    "writes": Price(0.09e-5, "Firestore write", 600_000, f"Firestore, {_UNCONFIRMED}"),
    "messages": Price(40 / 2**40 * 1000, "Pub/Sub message of 1 kB", 10_000_000, "cloud.google.com/pubsub/pricing"),
    "series": Price(0.50e-6, "time series read", 1_000_000, f"Cloud Monitoring, {_UNCONFIRMED}"),
    "logs": Price(0.50, "GiB of logs", 50, "cloud.google.com/stackdriver/pricing"),
    "jobs": Price(0.10, "Scheduler job", 3, f"Cloud Scheduler, {_UNCONFIRMED}"),
    "images": Price(0.10, "GiB of images", 0.5, f"Artifact Registry, {_UNCONFIRMED}"),
    "objects": Price(0.02, "GiB of objects", 5, f"Cloud Storage, {_UNCONFIRMED}"),
    "documents": Price(0.15, "GiB of documents", 1, f"Firestore, {_UNCONFIRMED}"),
}

ALWAYS_ON: Mapping[str, float] = {
    "Autopilot pod, 0.25 vCPU and 0.5 GiB": (0.25 * 0.0445 + 0.5 * 0.0049) * 730,
    "e2-small machine": 0.01675 * 730,
}
"""What a controller that runs all the time costs a month (730 h), before disk and network; not confirmed by a page."""
