"""What was counted so far, added up over ticks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from pointsman.core.judge.counters import Counts
from pointsman.core.names import JSON

__all__ = ["Tally"]

SEED_REQUESTS_MAX = 2000
"""What stable served before the rollout is worth at most so many requests: it may be old, and the bets should
follow what stable does now."""


@dataclass(slots=True)
class Tally:
    """Requests of one arm and metric set, added up. Fractions, since a long history is scaled down."""

    requests: float = 0.0
    bad: dict[str, float] = field(default_factory=dict)
    edges_ms: tuple[float, ...] = ()
    latency: list[float] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)

    def add(self, counts: Counts) -> None:
        self._add(counts, 1.0)

    def seed(self, counts: Counts) -> None:
        """Take over what was counted before the first tick, scaled down where it is much."""
        if counts.requests:
            self._add(counts, min(1.0, SEED_REQUESTS_MAX / counts.requests))

    def _add(self, counts: Counts, part: float) -> None:
        self.requests += part * counts.requests
        for name, count in sorted(counts.bad.items()):
            self.bad[name] = self.bad.get(name, 0.0) + part * count
        if counts.edges_ms and counts.edges_ms == (self.edges_ms or counts.edges_ms):
            self.edges_ms = counts.edges_ms
            latency = self.latency or [0.0] * len(counts.latency)
            self.latency = [a + part * b for a, b in zip(latency, counts.latency, strict=True)]
        if counts.sums:
            sums = self.sums or [0.0] * len(counts.sums)
            self.sums = [a + part * b for a, b in zip(sums, counts.sums, strict=False)]

    def as_json(self) -> dict[str, object]:
        return {
            "requests": self.requests,
            "bad": dict(sorted(self.bad.items())),
            "edges_ms": list(self.edges_ms),
            "latency": list(self.latency),
            "sums": list(self.sums),
        }

    @classmethod
    def of(cls, data: JSON) -> "Tally":
        return cls(
            cast("float", data["requests"]),
            dict(cast("Mapping[str, float]", data["bad"])),
            tuple(cast("Sequence[float]", data["edges_ms"])),
            list(cast("Sequence[float]", data["latency"])),
            list(cast("Sequence[float]", data.get("sums", ()))),
        )
