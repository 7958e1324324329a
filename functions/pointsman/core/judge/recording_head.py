"""The head of a recording: whose rollout it is, which metrics are judged, and what was known of stable before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Literal, TypeGuard, TypeVar, cast

from pointsman.core.judge.policy import ALPHA, JudgePolicy, Metric, weighted
from pointsman.core.names import JSON
from pointsman.errors import Invalid

__all__ = ["COUNT_MAX", "NUMBER_MAX", "REQUESTS", "Head", "count_of", "head_of", "is_number"]

T = TypeVar("T")

FORM = 1
"""The version of the form."""

REQUESTS = "requests"
"""The total that is meant where a ratio does not say `of` what."""

KINDS: Mapping[str, Literal["Ratio", "Latency", "Mean", "Guard"]] = {
    "ratio": "Ratio",
    "latency": "Latency",
    "mean": "Mean",
    "absolute": "Guard",
}

MODES = ("Enforce", "Observe")

COUNT_MAX = 2**53
"""Beyond it a float does not count: what says so many requests counted something else."""

NUMBER_MAX = 1e100
"""JSON's numbers have no end; squares of these, and what they are divided by, are still floats."""

METRICS_MAX = 40
"""From 50 on, at 2 % of the error rate for each further one, nothing would be left for the first."""

MARGIN_PERCENT = 10.0
"""What a latency forgives where the head says nothing and its buckets are fine enough."""


@dataclass(frozen=True, slots=True)
class Head:
    """`history` is the head's `seed_history`. `totals` is, for each metric set with a total that pods count, its ratios
    and the histogram that is counted beside it; `fields` the pods' field of each such total; `classes` each ratio's
    class of bad answers, as the judge calls it; `histograms` each histogram's metric set and edges in milliseconds,
    `more_histograms` those that are sets of their own; `means` each Mean's metric set. `carried` is the judge's state
    at the beginning, where stable's past has taught something or evidence of an earlier try goes on."""

    rollout: str
    model: str
    stable: str
    canary: str
    policy: JudgePolicy
    history: JSON = field(default_factory=dict)
    totals: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    histograms: Mapping[str, tuple[str, tuple[float, ...]]] = field(default_factory=dict)
    more_histograms: tuple[str, ...] = ()
    means: Mapping[str, str] = field(default_factory=dict)
    carried: JSON = field(default_factory=dict)


def head_of(data: JSON, where: str) -> Head:
    """From a head line. Raises Invalid, all faults at once, for metrics that are none."""
    faults: list[str] = []
    metrics: list[Metric] = []
    weights: dict[str, float] = {}
    fields: dict[str, str] = {}
    edges: dict[str, tuple[float, ...]] = {}
    limit = 0.3
    given = data.get("metrics")
    if not isinstance(given, list) or not given:
        raise Invalid("the head has no metrics", where=where, remedy='give "metrics": [{"name": …, "type": …}]')
    if len(given) > METRICS_MAX:
        raise Invalid(f"the head has {len(given)} metrics", where=where, remedy=f"judge {METRICS_MAX} at most")
    for index, one in enumerate(given):
        at = f"metrics[{index}]"
        if not isinstance(one, dict) or not _is_name(one.get("name")) or str(one.get("type")) not in KINDS:
            faults.append(f"{at}: needs a name and a type, one of {', '.join(KINDS)}")
            continue
        name = one["name"]
        if name in weights or any(metric.name == name for metric in metrics):
            faults.append(f"{at}: {name!r} is there twice")
            continue
        try:
            metric = _metric(one, KINDS[one["type"]])
            if metric.kind == "Latency":
                edges[name] = _edges(one)
            if metric.kind == "Ratio":
                fields.setdefault(metric.metric_set, str(one.get("of", REQUESTS)))
            if metric.kind == "Guard":
                limit = _number(one, "limit", 0.3, 0.01, 0.95)
            if "weight" in one:
                weights[name] = _number(one, "weight", 0.0, 0.0, 1.0)
        except ValueError as error:
            faults.append(f"{at}.{error}")
            continue
        metrics.append(metric)
    profile = str(data.get("profile", "default")).capitalize()
    if profile not in ALPHA:
        faults.append(f"profile: {data.get('profile')!r} is none of {', '.join(name.lower() for name in ALPHA)}")
    if data.get("v", FORM) != FORM:
        faults.append(f"v: {data['v']!r} is no version of the form that this release reads, which is {FORM}")

    def read(of: Callable[[], T], default: T) -> T:
        try:
            return of()
        except ValueError as error:
            faults.append(str(error))
            return default

    alpha = read(lambda: _number(data, "alpha", ALPHA.get(profile, 0.01), 1e-6, 0.5), 0.01)
    warmup_s = read(lambda: _number(data, "warmup_s", 60.0, 0.0, 3600.0), 60.0)
    mode = read(lambda: _one_of(data, "mode", "Enforce", MODES), "Enforce")
    known = {key: cast("JSON", data.get(key) or {}) for key in ("seed_history", "carried")}
    faults += [f"{key}: must be an object" for key, value in known.items() if not isinstance(value, dict)]
    if faults:
        raise Invalid("; ".join(faults), where=where, remedy="see schemas/recording.json")
    placed = _placed(metrics, [one["name"] for one in given if "set" in one])
    policy = JudgePolicy(
        metrics=_with_weights(tuple(placed), weights),
        profile=profile,
        alpha=alpha,
        enforced=mode == "Enforce",
        warmup=timedelta(seconds=warmup_s),
        bad_limit=limit,
    )
    return _laid_out(data, policy, fields, edges, known)


def _laid_out(
    data: JSON,
    policy: JudgePolicy,
    fields: Mapping[str, str],
    edges: Mapping[str, tuple[float, ...]],
    known: Mapping[str, JSON],
) -> Head:
    ratios = [metric for metric in policy.metrics if metric.kind == "Ratio"]
    latencies = [metric for metric in policy.metrics if metric.kind == "Latency"]
    totals: dict[str, tuple[tuple[str, ...], str]] = {}
    counted = [metric.metric_set for metric in ratios]
    counted += [metric.metric_set for metric in latencies if metric.metric_set == REQUESTS]
    for metric_set in dict.fromkeys(counted):
        names = tuple(metric.name for metric in ratios if metric.metric_set == metric_set)
        totals[metric_set] = names, next((one.name for one in latencies if one.metric_set == metric_set), "")
    beside = {histogram for _, histogram in totals.values()}
    return Head(
        rollout=str(data.get("rollout", "")),
        model=str(data.get("model", "")),
        stable=str(data.get("stable", "")),
        canary=str(data.get("canary", "")),
        policy=policy,
        history=known["seed_history"],
        totals=totals,
        fields={metric_set: fields.get(metric_set, REQUESTS) for metric_set in totals},
        classes={metric.name: metric.bad for metric in ratios},
        histograms={metric.name: (metric.metric_set, edges[metric.name]) for metric in latencies},
        more_histograms=tuple(metric.name for metric in latencies if metric.name not in beside),
        means={metric.name: metric.metric_set for metric in policy.metrics if metric.kind == "Mean"},
        carried=known["carried"],
    )


def _metric(data: JSON, kind: Literal["Ratio", "Latency", "Mean", "Guard"]) -> Metric:
    name = cast("str", data["name"])
    margin = _number(data, "margin_pct", MARGIN_PERCENT if kind == "Latency" else 0.0, 0.0, 1000.0) / 100.0
    bounds = data.get("bounds")
    ends: tuple[float, float] | None = None
    if bounds is not None:
        found = tuple(cast("Sequence[float]", bounds)) if isinstance(bounds, list) and len(bounds) == 2 else ()
        if not found or not all(is_number(each) for each in found):
            raise ValueError("bounds: are two numbers")
        ends = float(found[0]), float(found[1])
        if ends[1] - ends[0] < 1.0 / NUMBER_MAX:
            raise ValueError("bounds: the first is the lower one")
    return Metric(
        name=name,
        kind=kind,
        metric_set=str(data.get("set", data.get("of", REQUESTS) if kind == "Ratio" else name)),
        bad=str(data.get("class", name)) if kind == "Ratio" else "",
        margin=margin if kind in ("Ratio", "Latency") else 0.0,
        margin_ms=_number(data, "margin_ms", 0.0, 0.0, 1e6),
        enforced=_one_of(data, "mode", "Enforce", MODES) == "Enforce",
        bounds=ends,
        worse=_one_of(data, "worse", "higher", ("Higher", "Lower")),
    )


def _placed(metrics: Sequence[Metric], said: Sequence[str]) -> list[Metric]:
    """The first histogram is counted beside the requests, unless its metric set is `said`; the guard counts what the
    first ratio counts."""
    first = next((metric for metric in metrics if metric.kind == "Ratio"), None)
    leading = next((metric for metric in metrics if metric.kind == "Latency"), None)
    found = []
    for metric in metrics:
        if metric is leading and metric.name not in said:
            found.append(replace(metric, metric_set=REQUESTS))
        elif metric.kind == "Guard":
            if first is not None:
                found.append(replace(metric, metric_set=first.metric_set, bad=first.bad))
        else:
            found.append(metric)
    return found


def _with_weights(metrics: tuple[Metric, ...], given: Mapping[str, float]) -> tuple[Metric, ...]:
    """The head's own weights where it gives all of them, brought to a sum of one; else as a policy's are made."""
    enforced = [metric for metric in metrics if metric.enforced]
    total = sum(given.get(metric.name, 0.0) for metric in enforced)
    if not all(given.get(metric.name) for metric in enforced) or not total:
        return weighted(metrics)
    scale = 1.0 if total <= 1.0 else total
    return tuple(replace(m, weight=given[m.name] / scale if m.enforced else 1.0) for m in metrics)


def _edges(data: JSON) -> tuple[float, ...]:
    edges = data.get("edges_ms")
    if not isinstance(edges, list) or not edges:
        raise ValueError("edges_ms: a latency needs its buckets' upper edges, in milliseconds")
    if not all(is_number(edge) and edge > 0 for edge in edges):
        raise ValueError("edges_ms: are numbers above 0")
    if any(a >= b for a, b in pairwise(edges)):
        raise ValueError("edges_ms: rise")
    return tuple(float(edge) for edge in edges)


def is_number(value: object, least: float = -NUMBER_MAX, most: float = NUMBER_MAX) -> TypeGuard[float]:
    """Whether it is a number in this range; NaN is in none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def count_of(value: object) -> int | None:
    """A count: whole, not negative, and no more than a float can count."""
    if type(value) is int:  # nearly always, and there are many
        return value if 0 <= value <= COUNT_MAX else None
    if value is None:
        return None
    return int(value) if is_number(value, 0, COUNT_MAX) and value == int(value) else None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200


def _one_of(data: JSON, key: str, default: str, known: Sequence[str]) -> str:
    value = str(data.get(key, default)).capitalize()
    if value not in known:
        raise ValueError(f"{key}: {data[key]!r} is none of {', '.join(known)}")
    return value


def _number(data: JSON, key: str, default: float, least: float, most: float) -> float:
    value = data.get(key, default)
    if not is_number(value, least, most):
        raise ValueError(f"{key}: must be a number from {least:g} to {most:g}")
    return float(value)
