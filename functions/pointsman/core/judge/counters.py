"""From cumulative counters to what happened inside one tick.

Rules. Counters of a pod that started after it was last read, or whose requests fell, count from zero: a start that is
told a little differently each time is no restart. A class or a bucket that fell by itself adds nothing, and is named. A
pod that is seen for the first time counts only when its counters began inside the tick; otherwise what it served before
is no evidence (but, for stable, a history to bet with). A tick that was lost is made up by the next one, since counters
are cumulative; and a metric set that one side lacks is read again from where both had it, so that both sides are always
compared over the same time.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import add, sub
from typing import NamedTuple, cast

from pointsman.core.judge.ticks import Arm, PodCounters
from pointsman.core.names import JSON

__all__ = ["Counters", "Counts", "PodCounts"]

FORGOTTEN_AFTER = 60
"""Ticks without a sample after which a pod's last counters are dropped from the state."""

BEGUN_MAX = 16
"""Readings of what was taken in that are kept: those of the slowest finite bucket's time, or fewer."""


class PodCounts(NamedTuple):
    """What one pod answered inside a tick."""

    pod: str
    requests: int
    bad: Mapping[str, int]
    latency: Sequence[int]


@dataclass(slots=True)
class Counts:
    """One arm's requests of one metric set: bad ones by class, latency by bucket, sums of a Mean.

    `young` are the buckets of pods whose latency is not judged yet, since they are still warming up. `pods` are its
    parts by pod, `strata` by stratum (empty where no pod names one). `named` is what had to be mended.
    """

    requests: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    edges_ms: tuple[float, ...] = ()
    latency: list[int] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    young: list[int] = field(default_factory=list)
    edges_differ: bool = False
    pods: list[PodCounts] = field(default_factory=list)
    strata: dict[str, "Counts"] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)

    def add(self, bad: Mapping[str, int]) -> None:
        for name, count in bad.items():
            self.bad[name] = self.bad.get(name, 0) + count

    def add_latency(self, edges_ms: Sequence[float], counts: Sequence[int]) -> None:
        """Add buckets with the same edges; others are left out, and said to differ."""
        self.edges_ms = self.edges_ms or tuple(edges_ms)
        if self.edges_ms != tuple(edges_ms):
            self.edges_differ = True
        else:
            self.latency = list(map(add, self.latency, counts)) if self.latency else list(counts)

    def add_young(self, edges_ms: Sequence[float], counts: Sequence[int]) -> None:
        """Add buckets of a pod that warms up, where they are those of the others."""
        self.edges_ms = self.edges_ms or tuple(edges_ms)
        if self.edges_ms == tuple(edges_ms):
            self.young = list(map(add, self.young, counts)) if self.young else list(counts)

    def is_all_young(self) -> bool:
        return any(self.young) and not any(self.latency)

    def add_sums(self, sums: Sequence[float]) -> None:
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=False)] if self.sums else list(sums)

    def answered(self, name: str) -> tuple[int, int]:
        """(bad of this class, requests); a source that counts later than another never gives more bad than all."""
        bad = self.bad.get(name, 0)
        return bad, max(self.requests, bad)


@dataclass(slots=True)
class _Seen:
    """A pod's counters when they were last read. `begun` are (epoch seconds, requests taken in); `overdue` are those
    that were counted as slower than every bucket before they were answered."""

    seq: int
    at: datetime
    requests: int
    bad: dict[str, int]
    latency: Sequence[int]
    sums: Sequence[float]
    begun: list[tuple[float, int]]
    overdue: int

    def as_json(self) -> list[object]:
        bad = [part for name, count in sorted(self.bad.items()) for part in (name, count)]
        found: list[object] = [self.seq, self.at.timestamp(), self.requests, bad, list(self.latency)]
        if self.sums or self.begun:
            found += [list(self.sums), [list(item) for item in self.begun], self.overdue]
        return found

    @classmethod
    def of(cls, data: Sequence[object]) -> "_Seen":
        seq, at, requests, bad, latency, *rest = data
        flat = cast("list[object]", bad)
        sums, begun, overdue = rest or ([], [], 0)
        return cls(
            cast("int", seq),
            datetime.fromtimestamp(cast("float", at), UTC),
            cast("int", requests),
            {str(name): cast("int", count) for name, count in zip(flat[::2], flat[1::2], strict=True)},
            list(cast("list[int]", latency)),
            list(cast("list[float]", sums)),
            [(float(when), int(count)) for when, count in cast("list[tuple[float, int]]", begun)],
            cast("int", overdue),
        )


class Counters:
    """What is remembered of one arm's pods, by metric set and pod."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}

    def take(
        self, arm: Arm, *, seq: int, since: datetime, warmup: timedelta, left_out: Container[str] = ()
    ) -> tuple[dict[str, Counts], dict[str, Counts]]:
        """Counts inside the tick, and counts from before it (pods seen for the first time), both by metric set.

        Metric sets that are `left_out` are not read: the next tick begins where the last one that had them ended.
        """
        inside: dict[str, Counts] = {}
        before: dict[str, Counts] = {}
        warmup_s, seen = warmup.total_seconds(), self._seen
        for pod in arm.pods:
            metric_set = pod.metric_set
            if metric_set in left_out:
                continue
            key = metric_set, pod.pod
            last = seen.get(key)
            if last is None and pod.started_at < since:
                seen[key] = _first(pod, seq)
                counts = before.get(metric_set) or before.setdefault(metric_set, Counts())
                _add(counts, pod, pod.requests, pod.bad, pod.latency, pod.sums, is_young=False)
                continue
            counts = inside.get(metric_set) or inside.setdefault(metric_set, Counts())
            if last is None or pod.started_at >= last.at or pod.requests < last.requests:
                if last is not None and pod.started_at < last.at:
                    counts.named.append(f"requests of {pod.pod} fell: counted from zero")
                seen[key] = last = _first(pod, seq)
                requests, bad, latency, sums = pod.requests, pod.bad, list(pod.latency), list(pod.sums)
            else:
                requests, bad, latency, sums = _since(last, pod, counts)
                last.seq, last.at = seq, pod.sampled_at
            young = False
            if latency:
                if pod.begun is not None and pod.edges_ms:
                    _overdue(last, pod, latency)
                young = _age_s(pod) < warmup_s
            _add(counts, pod, requests, bad, latency, sums, is_young=young)
            if pod.stratum:
                parts = counts.strata.get(pod.stratum) or counts.strata.setdefault(pod.stratum, Counts())
                _add(parts, pod, requests, bad, latency, sums, is_young=young)
        if len(seen) > len(arm.pods):
            for key in [key for key, one in seen.items() if seq - one.seq > FORGOTTEN_AFTER]:
                del seen[key]
        return inside, before

    def as_json(self) -> dict[str, object]:
        return {f"{metric_set}|{pod}": seen.as_json() for (metric_set, pod), seen in sorted(self._seen.items())}

    @classmethod
    def of(cls, data: JSON) -> "Counters":
        found = cls()
        for key, item in data.items():
            metric_set, _, pod = key.partition("|")
            found._seen[metric_set, pod] = _Seen.of(cast("Sequence[object]", item))
        return found


def _age_s(pod: PodCounters) -> float:
    return (pod.sampled_at - pod.started_at).total_seconds() if pod.age_s is None else pod.age_s


def _first(pod: PodCounters, seq: int) -> _Seen:
    return _Seen(seq, pod.sampled_at, pod.requests, dict(pod.bad), pod.latency, pod.sums, [], 0)


def _add(
    counts: Counts,
    pod: PodCounters,
    requests: int,
    bad: Mapping[str, int],
    latency: Sequence[int],
    sums: Sequence[float],
    *,
    is_young: bool,
) -> None:
    counts.requests += requests
    if bad:
        counts.add(bad)
    if latency and pod.edges_ms:
        if is_young:
            counts.add_young(pod.edges_ms, latency)
        elif counts.edges_ms is pod.edges_ms and counts.latency:
            counts.latency = list(map(add, counts.latency, latency))
        else:
            counts.add_latency(pod.edges_ms, latency)
    if sums:
        counts.add_sums(sums)
    counts.pods.append(PodCounts(pod.pod, requests, bad, () if is_young else latency))


def _since(last: _Seen, pod: PodCounters, counts: Counts) -> tuple[int, Mapping[str, int], list[int], list[float]]:
    """What was added since `last`, which becomes this reading. What a reading leaves out (series of one pod come by
    separate queries) is kept as it was: were it forgotten, all of it would count again with the next reading."""
    requests = pod.requests - last.requests
    is_whole = not last.requests  # else a histogram that is read for the first time may be of all its past
    last.requests = pod.requests
    bad: dict[str, int] = {}
    if pod.bad != last.bad:
        for name, count in pod.bad.items():
            then = last.bad.get(name, 0)
            if count >= then:
                bad[name] = count - then
                last.bad[name] = count
            else:
                counts.named.append(f"{name} of {pod.pod} fell")
    latency: list[int] = []
    if pod.latency:
        if len(last.latency) != len(pod.latency):
            latency, last.latency = list(pod.latency) if is_whole else [], pod.latency
        else:
            latency = list(map(sub, pod.latency, last.latency))
            if min(latency) < 0:
                # A histogram that is read from approximate quantiles may move a request to the next bucket.
                if sum(latency) < 0:
                    counts.named.append(f"latency of {pod.pod} fell")
                latency = [max(count, 0) for count in latency]
            last.latency = pod.latency
    sums: list[float] = []
    if pod.sums:
        if len(last.sums) == len(pod.sums) and pod.sums[0] >= last.sums[0]:
            sums = list(map(sub, pod.sums, last.sums))
        elif is_whole:
            sums = list(pod.sums)
        elif last.sums:
            counts.named.append(f"sums of {pod.pod} fell")
        last.sums = pod.sums
    return requests, bad, latency, sums


def _overdue(last: _Seen, pod: PodCounters, latency: list[int]) -> None:
    """Count what is unanswered for longer than the slowest finite bucket as slower than all, once, before it times
    out: a canary that hangs would otherwise look well until its time-outs arrive.

    At least so many are overdue as were taken in before then and are not answered now.
    """
    now_s = pod.sampled_at.timestamp()
    horizon_s = now_s - pod.edges_ms[-1] / 1000.0
    old = [count for at, count in last.begun if at <= horizon_s]
    level = max(0, old[-1] - pod.requests) if old else 0
    latency[-1] = max(0, latency[-1] + level - last.overdue)
    last.overdue = level
    keep = max(0, len(old) - 1)
    last.begun = [*last.begun[keep:], (now_s, cast("int", pod.begun))][-BEGUN_MAX:]
