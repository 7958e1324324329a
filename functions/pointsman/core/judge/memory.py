"""What the judge keeps between ticks: a small JSON object, so that any process can take the next tick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from pointsman.core.judge.deltas import Counts
from pointsman.core.judge.onset import Stakes
from pointsman.core.names import JSON

__all__ = ["Memory", "Tally"]

VERSION = 1

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

    def as_json(self) -> dict[str, object]:
        return {
            "requests": self.requests,
            "bad": dict(sorted(self.bad.items())),
            "edges_ms": list(self.edges_ms),
            "latency": list(self.latency),
        }

    @classmethod
    def of(cls, data: JSON) -> "Tally":
        return cls(
            cast("float", data["requests"]),
            dict(cast("Mapping[str, float]", data["bad"])),
            tuple(cast("Sequence[float]", data["edges_ms"])),
            list(cast("Sequence[float]", data["latency"])),
        )


@dataclass(slots=True)
class Memory:
    """The judge between two ticks. Tallies are by metric set; `history` is what the bets are made from.

    `silent` and `down` count the ticks in a row without requests and without a metric source. `rejected` is the
    verdict that rolled back: evidence does not expire, so a decision that was lost is given again.
    """

    seq: int = -1
    pods: dict[str, JSON] = field(default_factory=dict)
    history: dict[str, Tally] = field(default_factory=dict)
    canary: dict[str, Tally] = field(default_factory=dict)
    baseline: dict[str, Tally] = field(default_factory=dict)
    stakes: dict[str, Stakes] = field(default_factory=dict)
    split: float | None = None
    step_requests: int = 0
    ticks: int = 0
    silent: int = 0
    down: int = 0
    burning: bool = False
    rejected: JSON | None = None
    verdict: JSON | None = None

    def as_json(self) -> dict[str, object]:
        return {
            "v": VERSION,
            "seq": self.seq,
            "pods": self.pods,
            "history": {name: tally.as_json() for name, tally in sorted(self.history.items())},
            "canary": {name: tally.as_json() for name, tally in sorted(self.canary.items())},
            "baseline": {name: tally.as_json() for name, tally in sorted(self.baseline.items())},
            "stakes": {name: stakes.as_json() for name, stakes in sorted(self.stakes.items())},
            "split": self.split,
            "step_requests": self.step_requests,
            "ticks": self.ticks,
            "silent": self.silent,
            "down": self.down,
            "burning": self.burning,
            "rejected": self.rejected,
            "verdict": self.verdict,
        }

    @classmethod
    def of(cls, data: JSON | None) -> "Memory":
        """From what `as_json` wrote; empty or none: a rollout that begins."""
        if not data:
            return cls()

        def tallies(name: str) -> dict[str, Tally]:
            return {key: Tally.of(item) for key, item in cast("Mapping[str, JSON]", data[name]).items()}

        return cls(
            seq=cast("int", data["seq"]),
            pods=dict(cast("Mapping[str, JSON]", data["pods"])),
            history=tallies("history"),
            canary=tallies("canary"),
            baseline=tallies("baseline"),
            stakes={key: Stakes.of(item) for key, item in cast("Mapping[str, JSON]", data["stakes"]).items()},
            split=cast("float | None", data["split"]),
            step_requests=cast("int", data["step_requests"]),
            ticks=cast("int", data["ticks"]),
            silent=cast("int", data["silent"]),
            down=cast("int", data["down"]),
            burning=cast("bool", data["burning"]),
            rejected=cast("JSON | None", data["rejected"]),
            verdict=cast("JSON | None", data["verdict"]),
        )
