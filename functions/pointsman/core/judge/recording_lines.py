"""Writing recordings: the ticks that decisions keep, and the lines of a file, from what was judged live."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf
from typing import cast

from pointsman.core.judge.packing import packed, unpacked
from pointsman.core.judge.policy import JudgePolicy, Metric
from pointsman.core.judge.recording_head import REQUESTS
from pointsman.core.judge.ticks import Arm, PodCounters, Tick
from pointsman.core.names import JSON

__all__ = ["head_line", "kept", "tick_line", "tick_of"]

PLAIN_MAX = 24
"""Pods, in all metric sets together, up to which a decision's tick can be read as it lies."""

_KINDS = {"Ratio": "ratio", "Latency": "latency", "Mean": "mean", "Guard": "absolute"}


def kept(tick: Tick) -> JSON:
    """A tick as a decision records it among its inputs: nothing is left out, `tick_of` gives it back.

    Counters of many pods are compressed, since a record of the ledger has 256 KiB.
    """
    found: dict[str, object] = {
        "seq": tick.seq,
        "since": tick.since.isoformat(),
        "until": tick.until.isoformat(),
        "split": tick.split,
        "changed": tick.changed,
        "source_down": tick.source_down,
        "opening": tick.opening,
    }
    arms = {
        name: {"ready": arm.ready, "pods": [_kept(pod) for pod in arm.pods]}
        for name, arm in (("canary", tick.canary), ("baseline", tick.baseline))
    }
    if len(tick.canary.pods) + len(tick.baseline.pods) <= PLAIN_MAX:
        return {**found, **arms}
    return {**found, "packed": packed(arms)}


def tick_of(data: JSON) -> Tick:
    """The tick that `kept` wrote; also of releases that recorded fewer fields."""
    arms = unpacked(str(data["packed"])) if "packed" in data else data

    def arm(name: str) -> Arm:
        side = cast("JSON", arms[name])
        pods = cast("Sequence[JSON]", side["pods"])
        return Arm(tuple(_pod(pod) for pod in pods), cast("int", side["ready"]))

    return Tick(
        seq=cast("int", data["seq"]),
        since=datetime.fromisoformat(str(data["since"])),
        until=datetime.fromisoformat(str(data["until"])),
        split=cast("float", data["split"]),
        canary=arm("canary"),
        baseline=arm("baseline"),
        changed=bool(data.get("changed", False)),
        source_down=str(data.get("source_down", "")),
        opening=bool(data.get("opening", False)),
    )


def head_line(
    policy: JudgePolicy,
    *,
    rollout: str,
    model: str,
    stable: str,
    canary: str,
    edges: Mapping[str, Sequence[float]],
    carried: JSON | None = None,
) -> dict[str, object]:
    """A file's first line. `edges` are the buckets of each Latency, in milliseconds; `carried` is the judge's state at
    the beginning."""
    metrics: list[dict[str, object]] = []
    for metric in policy.metrics:
        one: dict[str, object] = {"name": metric.name, "type": _KINDS[metric.kind], "weight": metric.weight}
        if not metric.enforced:
            one["mode"] = "Observe"
        match metric.kind:
            case "Ratio":
                one |= {"of": _total(policy, metric), "set": metric.metric_set, "class": metric.bad}
                one["margin_pct"] = 100.0 * metric.margin
            case "Latency":
                one |= {"set": metric.metric_set, "margin_pct": 100.0 * metric.margin, "margin_ms": metric.margin_ms}
                one["edges_ms"] = list(edges.get(metric.name, ())) or [1000.0]
            case "Mean":
                one["worse"] = metric.worse.lower()
                if metric.bounds is not None:
                    one["bounds"] = list(metric.bounds)
            case "Guard":
                one["limit"] = policy.bad_limit
        metrics.append(one)
    return {
        "kind": "head",
        "v": 1,
        "rollout": rollout,
        "model": model,
        "stable": stable,
        "canary": canary,
        "metrics": metrics,
        "profile": policy.profile.lower(),
        "alpha": policy.alpha,
        "mode": "Enforce" if policy.enforced else "Observe",
        "warmup_s": policy.warmup.total_seconds(),
        **({"carried": carried} if carried else {}),
    }


def tick_line(tick: Tick, policy: JudgePolicy) -> dict[str, object]:
    """A tick's line. What one pod counts in several metric sets is one pod of the file."""
    found: dict[str, object] = {
        "kind": "tick",
        "seq": tick.seq,
        "t0": tick.since.isoformat(),
        "t1": tick.until.isoformat(),
        "split": tick.split,
        "arms": {
            name: {"ready": arm.ready, "pods": _pods(arm, tick.until, policy)}
            for name, arm in (("canary", tick.canary), ("baseline", tick.baseline))
        },
    }
    if tick.source_down:
        found["source_down"] = tick.source_down
    if tick.opening:
        found["opening"] = True
    return found


def _pods(arm: Arm, until: datetime, policy: JudgePolicy) -> list[dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for pod in arm.pods:
        one = found.setdefault(pod.pod, {"id": pod.pod, "start": pod.started_at.isoformat(), "bad": {}})
        age = (pod.sampled_at - pod.started_at).total_seconds() if pod.age_s is None else pod.age_s
        if age < inf:
            one.setdefault("age_s", age)
        if pod.sampled_at != until:
            one.setdefault("at", pod.sampled_at.isoformat())
        if pod.begun is not None:
            one["started"] = pod.begun
        if pod.stratum:
            one["stratum"] = pod.stratum
        for metric in policy.metrics:
            if metric.metric_set == pod.metric_set:
                _count(one, pod, metric, policy)
        if policy.primary is None:
            one.setdefault(REQUESTS, pod.requests)
    return list(found.values())


def _count(one: dict[str, object], pod: PodCounters, metric: Metric, policy: JudgePolicy) -> None:
    match metric.kind:
        case "Ratio":
            one[_total(policy, metric)] = pod.requests
            if metric.bad in pod.bad:
                cast("dict[str, int]", one["bad"])[metric.name] = pod.bad[metric.bad]
        case "Latency" if pod.latency:
            one[metric.name] = list(pod.latency)
        case "Mean" if pod.sums:
            one[metric.name] = dict(zip(("n", "sum", "ss", "sss"), pod.sums, strict=False))
        case _:
            pass


def _total(policy: JudgePolicy, metric: Metric) -> str:
    """What a ratio is of: `requests` where it is of the same answers as the first one."""
    primary = policy.primary
    return REQUESTS if primary is None or metric.metric_set == primary.metric_set else metric.metric_set


def _kept(pod: PodCounters) -> JSON:
    found: dict[str, object] = {
        "pod": pod.pod,
        "metric_set": pod.metric_set,
        "started_at": pod.started_at.isoformat(),
        "sampled_at": pod.sampled_at.isoformat(),
        "requests": pod.requests,
        "bad": dict(pod.bad),
        "edges_ms": list(pod.edges_ms),
        "latency": list(pod.latency),
    }
    more = {"begun": pod.begun, "sums": list(pod.sums), "stratum": pod.stratum, "age_s": pod.age_s}
    return found | {name: value for name, value in more.items() if value not in (None, [], "")}


def _pod(data: JSON) -> PodCounters:
    return PodCounters(
        pod=str(data["pod"]),
        started_at=datetime.fromisoformat(str(data["started_at"])),
        sampled_at=datetime.fromisoformat(str(data["sampled_at"])),
        requests=cast("int", data["requests"]),
        bad=dict(cast("Mapping[str, int]", data["bad"])),
        edges_ms=tuple(cast("Sequence[float]", data["edges_ms"])),
        latency=tuple(cast("Sequence[int]", data["latency"])),
        metric_set=str(data["metric_set"]),
        begun=cast("int | None", data.get("begun")),
        sums=tuple(cast("Sequence[float]", data.get("sums", ()))),
        stratum=str(data.get("stratum", "")),
        age_s=cast("float | None", data.get("age_s")),
    )
