"""What both sides answered while a rollout was judged, by tick and by pod: counters made into counts by the judge's
own rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pointsman.core.judge import Tick
from pointsman.core.judge.counters import Counters, Counts

__all__ = ["Answers", "Counted", "Reading", "read"]


@dataclass(slots=True)
class Answers:
    """Requests with their bad ones by class, and latency: one bucket more than `edges_ms`."""

    requests: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    edges_ms: tuple[float, ...] = ()
    latency: list[int] = field(default_factory=list)

    def add(self, requests: int, bad: Mapping[str, int], edges_ms: Sequence[float], latency: Sequence[int]) -> None:
        self.requests += requests
        for name, count in bad.items():
            self.bad[name] = self.bad.get(name, 0) + count
        if not self.edges_ms and edges_ms:
            self.edges_ms, self.latency = tuple(edges_ms), list(latency)
        elif self.edges_ms == tuple(edges_ms) and latency:
            self.latency = [a + b for a, b in zip(self.latency, latency, strict=True)]

    def measured(self) -> int:
        """Requests whose latency is known."""
        return sum(self.latency)


@dataclass(frozen=True, slots=True)
class Counted:
    """One tick's answers of both sides; `t_s` is its end, in seconds since the first one began."""

    t_s: float
    split: float
    canary: Answers
    baseline: Answers


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric set: pods by side (`canary`, `baseline`) and name, all of a side together, and tick by tick."""

    pods: Mapping[str, Mapping[str, Answers]]
    totals: Mapping[str, Answers]
    ticks: Sequence[Counted]


def read(ticks: Sequence[Tick], metric_set: str) -> Reading:
    """The counts of a metric set in these ticks. What pods served before the first is left out."""
    pods: dict[str, dict[str, Answers]] = {"canary": {}, "baseline": {}}
    totals = {"canary": Answers(), "baseline": Answers()}
    seen = {"canary": Counters(), "baseline": Counters()}
    counted = []
    for tick in ticks:
        now = {"canary": Answers(), "baseline": Answers()}
        for side, arm in (("canary", tick.canary), ("baseline", tick.baseline)):
            inside, _ = seen[side].take(arm, seq=tick.seq, since=tick.since, warmup=timedelta(0))
            counts = inside.get(metric_set, Counts())
            for pod in counts.pods:
                for one in (pods[side].setdefault(pod.pod, Answers()), totals[side], now[side]):
                    one.add(pod.requests, pod.bad, counts.edges_ms, pod.latency)
        end_s = (tick.until - ticks[0].since).total_seconds()
        counted.append(Counted(end_s, tick.split, now["canary"], now["baseline"]))
    return Reading(pods, totals, counted)
