"""Points of Prometheus series, and what a scrape of them says of each pod."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.adapters.metric_series import Recipe, Sums, Term
from pointsman.core.judge.ticks import ALL_PODS, PodCounters

__all__ = ["Reading", "Scrape", "buckets_of", "count_of", "counters", "reading_of", "time_of"]

SAME_SCRAPE = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest point of one series. `pod` is `*` where the series is no pod's."""

    revision: str
    pod: str
    start: datetime
    end: datetime
    count: int
    value: float
    edges: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()


Key = tuple[str, str]
"""Revision and pod."""


class Scrape:
    """The series that pass `chosen`, at one instant; each term is asked for once.

    What the pod's newest scrape no longer had is left out: a container that starts again has fewer series at first,
    and its old ones would be added to the new.
    """

    def __init__(self, ask: Callable[[Term], Iterable[Reading]]) -> None:
        self._ask = ask
        self._read: dict[Term, list[Reading]] = {}
        self._newest: dict[Key, datetime] = {}

    def totals(self, sums: Sums) -> dict[Key, list[Reading]]:
        """What the requests are counted from, by pod: asked for first, since these say when a pod was scraped."""
        found = [reading for terms in sums for term in terms for reading in self._readings(term)]
        for reading in found:
            key = reading.revision, reading.pod
            self._newest[key] = max(reading.end, self._newest.get(key, reading.end))
        result: dict[Key, list[Reading]] = {}
        for reading in found:
            if self._is_current(reading):
                result.setdefault((reading.revision, reading.pod), []).append(reading)
        return result

    def summed(self, sums: Sums) -> dict[Key, int]:
        """The greatest of the sums, by pod."""
        result: dict[Key, int] = {}
        for terms in sums:
            one: dict[Key, int] = {}
            for term in terms:
                for reading in filter(self._is_current, self._readings(term)):
                    key = reading.revision, reading.pod
                    one[key] = one.get(key, 0) + reading.count
            for key, count in one.items():
                result[key] = max(count, result.get(key, 0))
        return result

    def histograms(self, term: Term | None) -> dict[Key, tuple[tuple[float, ...], tuple[int, ...]]]:
        """Edges and counts by pod; series with other edges than the first are left out."""
        result: dict[Key, tuple[tuple[float, ...], tuple[int, ...]]] = {}
        for reading in filter(self._is_current, self._readings(term) if term else ()):
            key = reading.revision, reading.pod
            edges, buckets = result.get(key, (reading.edges, (0,) * len(reading.buckets)))
            if edges == reading.edges:
                result[key] = edges, tuple(a + b for a, b in zip(buckets, reading.buckets, strict=True))
        return result

    def numbers(self, term: Term) -> dict[Key, float]:
        """The sum of a term's values, by pod: not rounded to counts."""
        result: dict[Key, float] = {}
        for reading in filter(self._is_current, self._readings(term)):
            key = reading.revision, reading.pod
            result[key] = result.get(key, 0.0) + reading.value
        return result

    def _readings(self, term: Term) -> list[Reading]:
        if term not in self._read:
            self._read[term] = list(self._ask(term))
        return self._read[term]

    def _is_current(self, reading: Reading) -> bool:
        newest = self._newest.get((reading.revision, reading.pod))
        return newest is not None and reading.end >= newest - SAME_SCRAPE


def counters(recipe: Recipe, scrape: Scrape) -> Iterable[tuple[str, PodCounters]]:
    """Revision and counters, one entry for each revision and pod that has a total."""
    totals = scrape.totals(recipe.total)
    requests = scrape.summed(recipe.total)
    bad = {name: scrape.summed(sums) for name, sums in recipe.bad.items()}
    good = scrape.summed((recipe.good,)) if recipe.good else None
    histograms = scrape.histograms(recipe.latency)
    sums = [scrape.numbers(term) for term in recipe.sums or ()]
    for key, readings in sorted(totals.items()):
        classes = {name: counts[key] for name, counts in bad.items() if key in counts}
        if good is not None:
            classes[recipe.rest] = max(0, requests[key] - good.get(key, 0))
        edges, buckets = histograms.get(key, ((), ()))
        yield (
            key[0],
            PodCounters(
                pod=key[1],
                # A series that appears late (another status code) begins later; the pod's counters did not.
                started_at=min(reading.start for reading in readings),
                sampled_at=max(reading.end for reading in readings),
                requests=requests[key],
                bad=classes,
                edges_ms=tuple(edge * recipe.unit_ms for edge in edges),
                latency=buckets,
                metric_set=recipe.metric_set,
                sums=tuple(one[key] for one in sums) if sums and all(key in one for one in sums) else (),
            ),
        )


def reading_of(labels: Any, point: Any) -> Reading:
    """One point of a series with these metric labels."""
    edges, buckets = buckets_of(point.value)
    return Reading(
        labels.get("revision", ""),
        labels.get("pod", ALL_PODS),
        time_of(point.interval.start_time),
        time_of(point.interval.end_time),
        count_of(point.value),
        _number(point.value),
        edges,
        buckets,
    )


def count_of(value: Any) -> int:
    kind = value.WhichOneof("value")
    if kind == "distribution_value":
        return int(value.distribution_value.count)
    counted: int = round(getattr(value, kind))
    return counted


def _number(value: Any) -> float:
    kind = value.WhichOneof("value")
    return float(value.distribution_value.count if kind == "distribution_value" else getattr(value, kind))


def buckets_of(value: Any) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Upper edges and disjoint counts of a distribution; nothing of a number."""
    if value.WhichOneof("value") != "distribution_value":
        return (), ()
    options = value.distribution_value.bucket_options
    match options.WhichOneof("options"):
        case "explicit_buckets":
            edges = tuple(options.explicit_buckets.bounds)
        case "exponential_buckets":
            shape = options.exponential_buckets
            edges = tuple(shape.scale * shape.growth_factor**step for step in range(shape.num_finite_buckets + 1))
        case "linear_buckets":
            line = options.linear_buckets
            edges = tuple(line.offset + line.width * step for step in range(line.num_finite_buckets + 1))
        case _:
            return (), ()
    counts = tuple(value.distribution_value.bucket_counts)
    return edges, counts + (0,) * (len(edges) + 1 - len(counts))  # trailing zeros are left out


def time_of(timestamp: Any) -> datetime:
    found: datetime = timestamp.ToDatetime(tzinfo=UTC)
    return found
