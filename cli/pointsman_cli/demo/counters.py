"""What Envoy itself counted: samples of its counters beside the decisions, to compare the two."""

import json
import math
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pointsman_cli.demo.outcome import WeightCheck

__all__ = ["Counters", "Sample", "Stretch", "within"]

PERIOD_S = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """Envoy's cluster (`<namespace>/<revision>`) → requests sent there since it was made, at one time."""

    at: datetime
    requests: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the split was confirmed and nobody wrote another: `weight` percent to the canary."""

    rollout: str
    canary: str
    stable: str
    weight: float
    since: datetime
    until: datetime


class Counters:
    """Samples Envoy's counters ten times a second in a thread of its own, until closed."""

    def __init__(self, admin: str) -> None:
        self._url = f"{admin}/stats?format=json&filter=%5Ecluster%5C..*%5C.upstream_rq_total%24"
        self._samples: list[Sample] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counters", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def check(self, stretch: Stretch) -> WeightCheck | None:
        """Requests inside a stretch, canary's and all; None when no two samples lie in it."""
        inside = [sample for sample in self._samples if stretch.since <= sample.at <= stretch.until]
        if len(inside) < 2:
            return None
        canary, stable = (_grown(inside, cluster) for cluster in (stretch.canary, stretch.stable))
        total = canary + stable
        return WeightCheck(stretch.rollout, stretch.weight, total, canary, within(canary, total, stretch.weight / 100))

    def last_request(self, cluster: str) -> datetime | None:
        """When a request was last seen to go to a cluster, to the sampling period."""
        last, before = None, 0
        for sample in self._samples:
            now = sample.requests.get(cluster, 0)
            if now > before:
                last = sample.at
            before = now
        return last

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            at = datetime.now(UTC)
            try:
                with urllib.request.urlopen(self._url, timeout=2) as answer:
                    found = json.load(answer)
            except (OSError, ValueError):
                continue  # Envoy is being started
            counts = {_cluster(row["name"]): row["value"] for row in found["stats"] if "name" in row}
            self._samples.append(Sample(at, counts))


def _cluster(name: str) -> str:
    return name.removeprefix("cluster.").removesuffix(".upstream_rq_total")


def within(canary: int, total: int, share: float) -> bool:
    """Is `canary` of `total` inside the central 99.9 % of Binomial(total, share)?

    Exact tails, summed in logs: at 5 % of a few hundred requests the normal approximation is too narrow above.
    """
    if total == 0 or not 0 < share < 1:
        return canary == round(total * share)
    return _tail(range(canary, total + 1), total, share) > 0.0005 and _tail(range(canary + 1), total, share) > 0.0005


def _tail(counts: Sequence[int], total: int, share: float) -> float:
    return math.fsum(
        math.exp(
            math.lgamma(total + 1)
            - math.lgamma(count + 1)
            - math.lgamma(total - count + 1)
            + count * math.log(share)
            + (total - count) * math.log1p(-share)
        )
        for count in counts
    )


def _grown(samples: Sequence[Sample], cluster: str) -> int:
    """How far a counter rose; a cluster that was made again counts from zero."""
    grown, before = 0, None
    for sample in samples:
        now = sample.requests.get(cluster, 0)
        if before is not None:
            grown += now - before if now >= before else now
        before = now
    return grown
