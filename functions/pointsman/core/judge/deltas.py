"""From cumulative counters to what happened inside one tick.

A counter that fell, or that began anew, counts from zero. A pod that is seen for the first time counts only
when its counters began inside the tick; otherwise what it served before is no evidence (but, for stable, a
history to bet with). A tick that was lost is made up by the next one, since counters are cumulative.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from pointsman.core.judge.ticks import Arm, PodCounters
from pointsman.core.names import JSON

__all__ = ["Counts", "differences"]

FORGOTTEN_AFTER = 60
"""Ticks without a sample after which a pod's last counters are dropped from the state."""


@dataclass(slots=True)
class Counts:
    """One arm's requests of one metric set: bad ones by class, latency by bucket.

    `young` counts requests of pods whose latency is not judged yet, since they are still warming up.
    """

    requests: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    edges_ms: tuple[float, ...] = ()
    latency: list[int] = field(default_factory=list)
    young: int = 0
    edges_differ: bool = False

    def add(self, requests: int, bad: Mapping[str, int]) -> None:
        self.requests += requests
        for name, count in bad.items():
            self.bad[name] = self.bad.get(name, 0) + count

    def add_latency(self, edges_ms: Sequence[float], counts: Sequence[int]) -> None:
        """Add buckets with the same edges; others are left out, and said to differ."""
        if not self.edges_ms:
            self.edges_ms, self.latency = tuple(edges_ms), list(counts)
        elif self.edges_ms != tuple(edges_ms):
            self.edges_differ = True
        else:
            self.latency = [a + b for a, b in zip(self.latency, counts, strict=True)]

    def answered(self, name: str) -> tuple[int, int]:
        """(bad of this class, requests); a source that counts later than another never gives more bad than all."""
        bad = self.bad.get(name, 0)
        return bad, max(self.requests, bad)


def differences(
    seen: JSON, arm: Arm, *, seq: int, since: datetime, warmup: timedelta
) -> tuple[dict[str, Counts], dict[str, Counts], dict[str, object]]:
    """Counts inside the tick and counts from before it (pods seen for the first time), both by metric set; and
    what to remember of the pods. `seen` is what was remembered last time."""
    inside: dict[str, Counts] = {}
    before: dict[str, Counts] = {}
    remembered = {
        key: value
        for key, value in sorted(seen.items())
        if seq - cast("int", cast("JSON", value)["seq"]) <= FORGOTTEN_AFTER
    }
    for pod in sorted(arm.pods, key=lambda pod: (pod.metric_set, pod.pod)):
        key = f"{pod.metric_set}|{pod.pod}"
        last = cast("JSON | None", remembered.get(key))
        if last is None and pod.started_at < since:
            counts, requests, bad, latency = before, pod.requests, dict(pod.bad), list(pod.latency)
        else:
            counts, (requests, bad, latency) = inside, _since(last, pod)
        here = counts.setdefault(pod.metric_set, Counts())
        here.add(requests, bad)
        if pod.edges_ms:
            if counts is inside and pod.sampled_at - pod.started_at < warmup:
                here.young += sum(latency)
            else:
                here.add_latency(pod.edges_ms, latency)
        remembered[key] = {
            "seq": seq,
            "start": pod.started_at.isoformat(),
            "requests": pod.requests,
            **_kept(last, pod),
        }
    return inside, before, remembered


def _kept(last: JSON | None, pod: PodCounters) -> dict[str, object]:
    """What a reading left out (series of one pod come by separate queries) is kept as it was: were it forgotten, all
    of it would count again with the next reading."""
    bad, latency = dict(pod.bad), list(pod.latency)
    if last is not None and last["start"] == pod.started_at.isoformat():
        bad = {**cast("Mapping[str, int]", last["bad"]), **bad}
        latency = latency or list(cast("Sequence[int]", last["latency"]))
    return {"bad": dict(sorted(bad.items())), "latency": latency}


def _since(last: JSON | None, pod: PodCounters) -> tuple[int, dict[str, int], list[int]]:
    if last is None or last["start"] != pod.started_at.isoformat():
        return pod.requests, dict(pod.bad), list(pod.latency)
    bad_then = cast("Mapping[str, int]", last["bad"])
    latency_then = cast("Sequence[int]", last["latency"])
    return (
        _increase(cast("int", last["requests"]), pod.requests),
        {name: _increase(bad_then.get(name, 0), count) for name, count in sorted(pod.bad.items())},
        _increases(latency_then, pod.latency),
    )


def _increase(then: int, now: int) -> int:
    return now if now < then else now - then


def _increases(then: Sequence[int], now: Sequence[int]) -> list[int]:
    if len(then) != len(now) or sum(now) < sum(then):
        return list(now)
    # A histogram that is read from approximate quantiles may move a request to the next bucket between two
    # readings; only a fall of the whole is a reset.
    return [max(b - a, 0) for a, b in zip(then, now, strict=True)]
