"""What the judge is given: cumulative counters per pod, as they were read, and one tick of them.

A tick is a window of *data* time. Counters are cumulative with the pod's start time, so that a lost
tick loses nothing; the judge makes the differences. Nothing here knows where counters come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["ALL_PODS", "Arm", "PodCounters", "Tick"]

ALL_PODS = "*"
"""The one pod of a source that knows no pods."""


class PodCounters(NamedTuple):
    """One pod's cumulative counters at `sampled_at`. A source that knows no pods reports one pod `*`.

    A pod may also be a *cell*: all requests of one bucket of users' hashes, where users stick to a revision.
    `bad` counts bad answers by class (`5xx`, …). `latency` holds disjoint bucket counts (no `le` sums),
    one more than `edges_ms` has upper edges: the last is everything above. `metric_set` names the counters'
    origin (`Gateway`, `VLLM`, …): a pod has one entry for each, and requests are never added up across them.
    `begun` counts requests that were taken in, answered or not: then those that are overdue are judged before they
    time out. `sums` are n, Σx, Σx² and, where it is known, Σx³ of a Mean. `stratum` is a zone, route or node class:
    the arms are compared inside each. `age_s`: how long the pod has been ready; since `started_at` where it is not
    given.
    """

    pod: str
    started_at: datetime
    sampled_at: datetime
    requests: int
    bad: Mapping[str, int] = MappingProxyType({})
    edges_ms: tuple[float, ...] = ()
    latency: tuple[int, ...] = ()
    metric_set: str = "Gateway"
    begun: int | None = None
    sums: tuple[float, ...] = ()
    stratum: str = ""
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of the comparison in a tick. `ready` pods carry its share of the requests together."""

    pods: tuple[PodCounters, ...]
    ready: int = 1


@dataclass(frozen=True, slots=True)
class Tick:
    """One reading of both arms, up to `until` (data time, aware UTC).

    `seq` rises strictly; a repeated one is ignored. `split` is the canary's share in force, 0..1; `changed`
    says that it moved since the last tick. `opening`: the canary's share begins in this window, which holds requests
    that were forced through before as well. `source_down` names the trouble when the metrics could not be read.
    `repairs` names what the reader had to mend or leave out of this reading.
    """

    seq: int
    since: datetime
    until: datetime
    split: float
    canary: Arm
    baseline: Arm
    changed: bool = False
    source_down: str = ""
    opening: bool = False
    repairs: tuple[str, ...] = ()
