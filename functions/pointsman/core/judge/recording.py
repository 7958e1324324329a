"""Recorded rollouts: JSON Lines from which every verdict can be made again.

One line each, by `kind`: `head` (who, which metrics, which profile, what was known of stable), `tick` (cumulative
counters of both arms), and, kept but not judged, `verdict`, `split`, `command` and whatever else there is. Field by
field in `schemas/recording.json`.

Records are not trusted. What can be mended is mended by the rules below and named in the verdict; what cannot is left
out, and named as well:
- a line that is no JSON object, or a tick without `seq`, `t0`, `t1` or arms, is a lost tick;
- a pod whose requests are no count (negative, not whole, NaN, beyond 2⁵³) or that is there twice is left out of its
  tick;
- so is one whose bad answers are no counts, or more than it answered; a class that is not there is zero;
- a class that the head does not name, a histogram that is none or has other buckets, and sums that are none are left
  out of their pod;
- what the head knew of stable that is none (`recording_past`) is not known;
- a share outside 0..1, or none, is that of the last tick or split line; before both, the canary's part of all requests.
Times that go back and counts that fall are the fold's and `counters`' to mend.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from json import loads
from math import inf
from typing import TypeGuard, cast

from pointsman.core.judge.fold import Judge
from pointsman.core.judge.policy import JudgePolicy
from pointsman.core.judge.recording_head import COUNT_MAX, REQUESTS, Head, count_of, head_of, is_number
from pointsman.core.judge.recording_past import begin, left_out
from pointsman.core.judge.ticks import ALL_PODS, Arm, PodCounters, Tick
from pointsman.core.judge.verdict import Verdict
from pointsman.core.names import JSON
from pointsman.errors import Invalid

__all__ = ["Entry", "Head", "Marked", "Recording", "begin", "read", "replay", "with_judge"]


@dataclass(frozen=True, slots=True)
class Marked:
    """A line that is kept as it is: a recorded verdict, a split, a command, or a kind from elsewhere."""

    kind: str
    seq: int
    data: JSON


Entry = Tick | Marked


@dataclass(frozen=True, slots=True)
class Recording:
    """One rollout: its head, and what followed in the order of the file."""

    head: Head
    entries: tuple[Entry, ...]
    lost: tuple[str, ...] = ()
    """What was left out after the last tick, and no tick names."""

    @property
    def ticks(self) -> Iterator[Tick]:
        return (entry for entry in self.entries if isinstance(entry, Tick))


def replay(recording: Recording, policy: JudgePolicy | None = None) -> Iterator[tuple[Tick, Verdict]]:
    """Every tick with its verdict, made again. `policy` in place of the head's own.

    A tick whose `seq` was taken before is left out. Verdicts with all their numbers cost more than the judging: where
    only the last one is wanted, run a `Judge` from `begin(head)`.
    """
    judging = Judge(policy or recording.head.policy, begin(recording.head, policy))
    for tick in recording.ticks:
        if judging.take(tick):
            yield tick, judging.verdict()


def read(lines: Iterable[str]) -> Recording:
    """A recording from the lines of its file. Raises Invalid, with the line, where there is no head or it is none."""
    reader: _Reader | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            data = loads(line)
        except (ValueError, RecursionError):
            data = None
        if reader is None:
            if not isinstance(data, dict) or data.get("kind") != "head":
                what = "its first line is no head" if isinstance(data, dict) else "its first line is no JSON object"
                raise Invalid(what, where=f"line {number}", remedy='begin with {"kind": "head", "metrics": [...]}')
            reader = _Reader(_begun(head_of(data, f"line {number}"), f"line {number}"))
            for what in left_out(reader.head):
                reader.lost(what)
        elif not isinstance(data, dict):
            reader.lost(f"line {number} is no JSON object")
        else:
            reader.take(data, number)
    if reader is None:
        raise Invalid("the file is empty", where="line 1", remedy="record a rollout into it")
    return Recording(reader.head, tuple(reader.entries), tuple(reader.left))


def _begun(head: Head, where: str) -> Head:
    """The head, where the judge can begin with what it says was known."""
    try:
        begin(head)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, zlib.error) as error:
        remedy = "record the rollout again, or leave `carried` out"
        raise Invalid("what was known at the beginning cannot be read", where=where, remedy=remedy) from error
    return head


class _Reader:
    def __init__(self, head: Head) -> None:
        self.head = head
        self.entries: list[Entry] = []
        self._split: float | None = None
        self._lost: list[str] = []
        self._named: list[str] = []
        self._times: dict[str, datetime] = {}

    @property
    def left(self) -> list[str]:
        return self._lost

    def lost(self, why: str) -> None:
        """What is left out is named by the next tick."""
        self._lost.append(why)

    def take(self, data: JSON, number: int) -> None:
        kind = data.get("kind")
        if kind == "tick":
            tick = self._tick(data, number)
            if tick is not None:
                self.entries.append(tick)
        elif kind == "head":
            self.lost(f"line {number} is a second head: changed metrics or buckets begin another rollout")
        else:
            seq, to = data.get("seq"), data.get("to")
            if kind == "split" and _is_share(to):
                self._split = float(to)
            self.entries.append(Marked(str(kind), seq if type(seq) is int else -1, data))

    def _tick(self, data: JSON, number: int) -> Tick | None:
        seq, since, until = data.get("seq"), self._time(data.get("t0")), self._time(data.get("t1"))
        arms = data.get("arms")
        if type(seq) is not int or not isinstance(arms, dict) or not {"t0", "t1"} <= data.keys():
            self.lost(f"line {number} is a tick without seq, t0, t1 or arms")
            return None
        if since is None or until is None:
            self.lost(f"line {number} is a tick whose t0 or t1 is no time with a zone")
            return None
        self._named = self._lost
        self._lost = []
        down = data.get("source_down")
        canary, baseline = (self._arm(name, arms.get(name), until) for name in ("canary", "baseline"))
        share = data.get("split")
        if _is_share(share):
            self._split = float(share)
        elif share is not None:
            self._named.append(f"its split is {share!r}")
        elif self._split is None:
            self._named.append("it has no split, and there was none before")
        if self._split is None:
            self._split = _counted(canary, baseline)
        named = tuple(self._named)
        return Tick(
            seq,
            since,
            until,
            self._split or 0.0,
            canary,
            baseline,
            source_down=down if isinstance(down, str) else "",
            opening=data.get("opening") is True,
            repairs=named,
        )

    def _arm(self, name: str, data: object, until: datetime) -> Arm:
        if not isinstance(data, dict):
            return Arm((), 0)
        found: list[PodCounters] = []
        seen: set[str] = set()
        pods = data.get("pods")
        if not isinstance(pods, list):
            self._named.append(f"{name}: it has no list of pods")
            pods = []
        for pod in pods:
            whose = pod.get("id", ALL_PODS) if isinstance(pod, dict) else None
            if not isinstance(whose, str) or whose in seen:
                self._named.append(f"{name}: a pod is there twice, or has no id")
                continue
            seen.add(whose)
            found += self._pod(name, whose, pod, until)
        ready = data.get("ready")
        return Arm(tuple(found), ready if type(ready) is int and ready > 0 else 0)

    def _pod(self, arm: str, pod: str, data: JSON, until: datetime) -> list[PodCounters]:
        head, named = self.head, self._named
        start = self._time(data.get("start"))
        if start is None or start > until:
            if "start" in data:
                named.append(f"{arm}: {pod} has no start before its sample")
            start = datetime.min.replace(tzinfo=until.tzinfo)
        age = data.get("age_s")
        age_s: float | None = float(age) if age is not None and is_number(age, 0.0) else None
        if age_s is None and pod == ALL_PODS:
            age_s = inf  # what is no pod warms up with no one
        at = self._time(data.get("at")) or until
        requests = count_of(data.get(REQUESTS))
        # A pod may be of another metric set alone, where the head names the sets.
        if requests is None and REQUESTS in head.fields.values() and (REQUESTS in data or REQUESTS in head.totals):
            named.append(f"{arm}: {pod} has no count of requests")
            return []
        begun, stratum = count_of(data.get("started")), data.get("stratum")
        given = data.get("bad")
        if head.classes and not isinstance(given, dict):
            named.append(f"{arm}: {pod} has no counts of bad answers")
            return []
        of_class: JSON = given if isinstance(given, dict) else {}
        for name in of_class:
            if name not in head.classes:
                named.append(f"{arm}: {pod} counts {name!r}, which the head does not name")
        found = []
        for total, (classes, histogram) in head.totals.items():
            counted = head.fields[total]
            answered = requests if counted == REQUESTS else count_of(data.get(counted))
            if answered is None:
                continue
            bad: dict[str, int] = {}
            for name in classes:
                value = of_class.get(name)
                if value is None and name not in of_class:
                    continue  # recorders leave zeros out
                count = count_of(value)
                if count is None or count > answered:
                    named.append(f"{arm}: {name} of {pod} is no count of some of its {answered} answers")
                    return []
                bad[head.classes[name]] = count
            edges, buckets = self._histogram(arm, pod, data, histogram)
            found.append(
                PodCounters(
                    pod,
                    start,
                    at,
                    answered,
                    bad,
                    edges,
                    buckets,
                    total,
                    begun if counted == REQUESTS else None,
                    (),
                    stratum if isinstance(stratum, str) else "",
                    age_s,
                )
            )
        for name in head.more_histograms:
            edges, buckets = self._histogram(arm, pod, data, name)
            if buckets:
                metric_set = head.histograms[name][0]
                found.append(PodCounters(pod, start, at, sum(buckets), {}, edges, buckets, metric_set, age_s=age_s))
        for name, metric_set in head.means.items():
            sums = self._sums(arm, pod, data.get(name), name)
            if sums:
                found.append(PodCounters(pod, start, at, int(sums[0]), metric_set=metric_set, sums=sums, age_s=age_s))
        return found

    def _histogram(self, arm: str, pod: str, data: JSON, name: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
        value = data.get(name) if name else None
        if value is None:
            return (), ()
        edges = self.head.histograms[name][1]
        if isinstance(value, list) and len(value) == len(edges) + 1:
            if set(map(type, value)) == {int} and min(value) >= 0 and max(value) <= COUNT_MAX:
                return edges, tuple(value)
            counts = [count_of(each) for each in value]
            if None not in counts:
                return edges, tuple(cast("list[int]", counts))
        self._named.append(f"{arm}: {name} of {pod} does not have the head's {len(edges) + 1} buckets of counts")
        return (), ()

    def _sums(self, arm: str, pod: str, value: object, name: str) -> tuple[float, ...]:
        if value is None:
            return ()
        if isinstance(value, dict):
            sums = [value.get(key) for key in ("n", "sum", "ss", "sss") if key in value]
            if len(sums) >= 3 and all(is_number(each) for each in sums):
                found = tuple(float(cast("float", each)) for each in sums)
                if 0.0 <= found[0] <= COUNT_MAX and found[2] >= 0.0:
                    return found
        self._named.append(f"{arm}: {name} of {pod} has no n, sum and ss")
        return ()

    def _time(self, value: object) -> datetime | None:
        if not isinstance(value, str):
            return None
        found = self._times.get(value)
        if found is None:
            try:
                found = datetime.fromisoformat(value)
            except ValueError:
                return None
            if found.tzinfo is None:
                return None
            self._times[value] = found
        return found


def _is_share(value: object) -> TypeGuard[float]:
    return is_number(value, 0.0, 1.0)


def _counted(canary: Arm, baseline: Arm) -> float | None:
    """The canary's part of all requests so far; None where there were none."""
    ours, theirs = (sum(pod.requests for pod in arm.pods) for arm in (canary, baseline))
    return round(ours / (ours + theirs), 2) if ours + theirs else None


def with_judge(head: Head, judge: Mapping[str, object]) -> JudgePolicy:
    """The head's metrics under another policy's `judge` section: its profile, margins, modes, limits and warm-up.

    Raises Invalid as `JudgePolicy.of` does.
    """
    wanted = JudgePolicy.of(judge)
    named = {metric.name: metric for metric in wanted.metrics}
    metrics = tuple(
        replace(metric, margin=named[metric.name].margin, enforced=named[metric.name].enforced)
        if metric.name in named
        else metric
        for metric in head.policy.metrics
    )
    return replace(wanted, metrics=metrics)
