"""What is judged and how strictly: the policy's `judge` section, turned into metrics with fixed weights.

The weights are fixed before any data, since they are how the error rate is divided between metrics; a metric
that never reports costs its weight and nothing else.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import log
from typing import Literal, TypeVar, cast

from pointsman.core.judge import guard, latency, mean, ratio
from pointsman.core.names import JSON
from pointsman.errors import Invalid

__all__ = ["ALPHA", "BASE", "SETS", "JudgePolicy", "Metric", "weighted"]

T = TypeVar("T")

ALPHA = {"Default": 0.01, "Safe": 0.001, "Sensitive": 0.05}
"""False rollbacks, at most, in a rollout: over any number of looks and all metrics together."""

BASE = {"Ratio": 0.53, "Latency": 0.42, "Guard": 0.05}
"""How the error rate is divided between the first metric of each kind."""

MARGIN_PERCENT = {"Ratio": 0.0, "Latency": 10.0}


@dataclass(frozen=True, slots=True)
class Metric:
    """One e-process. `kind` Ratio counts `bad` answers of `metric_set`, Latency its buckets, Mean its sums; Guard is
    absolute.

    `margin` (0.1: 10 %) or `margin_ms`, whichever is more, is forgiven; `enforced` metrics may roll back, others
    are shown. A Mean has `bounds`, or is judged only while its values are seen not to be skewed; `worse` is its end.
    """

    name: str
    kind: Literal["Ratio", "Latency", "Mean", "Guard"]
    metric_set: str
    bad: str = ""
    margin: float = 0.0
    margin_ms: float = 0.0
    enforced: bool = True
    weight: float = 0.0
    bounds: tuple[float, float] | None = None
    worse: str = "Higher"

    @property
    def scale(self) -> mean.Scale | None:
        return mean.Scale(*self.bounds, self.worse) if self.bounds is not None else None


SETS: Mapping[str, tuple[Metric, ...]] = {
    "Gateway": (
        Metric("5xx", "Ratio", "Gateway", "5xx"),
        # Gateways count whole milliseconds, and the side with less traffic opens more connections.
        Metric("latency", "Latency", "Gateway", margin=0.1, margin_ms=2.0),
    ),
    "VLLM": (
        Metric("vllm-5xx", "Ratio", "VLLM", "5xx"),
        Metric("vllm-4xx", "Ratio", "VLLM", "4xx"),
        Metric("vllm-first-token", "Latency", "VLLM", margin=0.1),
        Metric("vllm-inter-token", "Latency", "VLLM inter-token", margin=0.1),
    ),
    "TGI": (
        Metric("tgi-errors", "Ratio", "TGI", "error"),
        Metric("tgi-time-per-token", "Latency", "TGI", margin=0.1),
        Metric("tgi-queue", "Latency", "TGI queue", margin=0.1),
    ),
    "Triton": (Metric("triton-errors", "Ratio", "Triton", "error"),),
    "RayServe": (
        Metric("ray-errors", "Ratio", "RayServe", "error"),
        Metric("ray-latency", "Latency", "RayServe", margin=0.1),
    ),
}
"""The known metric sets. `metric_set` of a metric is that of the `PodCounters` it is read from."""

STREAMING = frozenset({"VLLM", "TGI"})
"""Servers that stream: at a gateway their latency is the length of the whole answer, which is the user's wish."""


@dataclass(frozen=True, slots=True)
class JudgePolicy:
    """The judge's part of a rollout's plan.

    `alpha` bounds false rollbacks a rollout; `bad_limit` is the guard's share. In mode Observe nothing acts on a
    verdict.
    """

    metrics: tuple[Metric, ...]
    profile: str = "Default"
    alpha: float = 0.01
    enforced: bool = True
    warmup: timedelta = timedelta(seconds=60)
    bad_limit: float = 0.3

    @classmethod
    def of(cls, data: JSON) -> "JudgePolicy":
        """From the `judge` section of a RolloutPolicy spec; what is missing has its default.

        Raises Invalid for a profile, metric set or duration that there is none of.
        """
        profile = str(data.get("profile", "Default"))
        if profile not in ALPHA:
            raise Invalid(f"{profile!r} is none of {', '.join(ALPHA)}", where="judge.profile")
        sets = cast("Sequence[str]", data.get("metricSets", ("Gateway",)))
        limit = cast("float", data.get("badAnswerLimitPercent", 30)) / 100.0
        metrics: dict[str, Metric] = {}
        for name in sets:
            if name not in SETS:
                raise Invalid(f"{name!r} is none of {', '.join(SETS)}", where="judge.metricSets")
            metrics |= {metric.name: metric for metric in SETS[name]}
        if STREAMING & set(sets) and "latency" in metrics:
            metrics["latency"] = replace(metrics["latency"], enforced=False)
        for own in cast("Sequence[JSON]", data.get("metrics", ())):
            metrics[str(own["name"])] = _own(own)
        first = next((metric for metric in metrics.values() if metric.kind == "Ratio"), None)
        if first is not None:
            metrics["guard"] = Metric("guard", "Guard", first.metric_set, first.bad)
        return cls(
            metrics=weighted(tuple(metrics.values())),
            profile=profile,
            alpha=ALPHA[profile],
            enforced=data.get("mode", "Enforce") == "Enforce",
            warmup=_duration(data.get("warmup", "60s")),
            bad_limit=limit,
        )

    @property
    def needed(self) -> float:
        """The evidence at which the canary goes back, in nats: ln(1/alpha)."""
        return -log(self.alpha)

    @property
    def primary(self) -> Metric | None:
        """The metric whose answers and bad answers are meant where one number is shown."""
        return next((metric for metric in self.metrics if metric.kind == "Ratio"), None)

    def odds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Alternatives for a Ratio and their weights; the profile Safe leaves out the smallest."""
        return self._from_second(ratio.ODDS, ratio.WEIGHTS)

    def slowdowns(self) -> tuple[tuple[tuple[float, float], ...], tuple[float, ...]]:
        """Alternatives for a Latency and their weights."""
        return self._from_second(latency.SLOWDOWNS, latency.WEIGHTS)

    def weights(self, metric: Metric) -> tuple[float, ...]:
        match metric.kind:
            case "Ratio":
                return self.odds()[1]
            case "Latency":
                return self.slowdowns()[1]
            case "Mean":
                size = len(mean.EFFECTS if metric.bounds is None else mean.RATES)
                return (1.0 / size,) * size
            case "Guard":
                return guard.WEIGHTS

    def _from_second(
        self, values: tuple[T, ...], weights: tuple[float, ...]
    ) -> tuple[tuple[T, ...], tuple[float, ...]]:
        if self.profile != "Safe":
            return values, weights
        total = sum(weights[1:])
        return values[1:], tuple(weight / total for weight in weights[1:])


def _own(data: JSON) -> Metric:
    """A metric that the user declared."""
    name, enforced = str(data["name"]), data.get("mode", "Enforce") == "Enforce"
    kind = cast("Literal['Ratio', 'Latency', 'Mean']", data["type"])
    if kind == "Mean":
        bounds = cast("JSON", data["bounds"])
        ends = float(cast("float", bounds["min"])), float(cast("float", bounds["max"]))
        return Metric(name, kind, name, enforced=enforced, bounds=ends, worse=str(data.get("worse", "Higher")))
    percent = cast("float | None", data.get("marginPercent"))
    return Metric(
        name=name,
        kind=kind,
        metric_set=name,
        bad="bad" if kind == "Ratio" else "",
        margin=(MARGIN_PERCENT[kind] if percent is None else percent) / 100.0,
        enforced=enforced,
    )


def weighted(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    """Errors .53, latency .42 and the guard .05, of what is enforced; further metrics share at most .3 (at least
    .02 each), taken from these. A metric that only observes is its own test, with the whole weight."""
    leading: dict[str, str] = {}
    for metric in metrics:
        if metric.enforced and metric.kind in BASE:
            leading.setdefault(metric.kind, metric.name)
    total = sum(BASE[kind] for kind in leading)
    further = [metric for metric in metrics if metric.enforced and metric.name not in leading.values()]
    share = max(min(0.3, 0.1 * len(further)), 0.02 * len(further)) if leading else 1.0

    def weight(metric: Metric) -> float:
        if not metric.enforced:
            return 1.0
        if metric in further:
            return share / len(further)
        return (1.0 - share) * BASE[metric.kind] / total

    return tuple(replace(metric, weight=weight(metric)) for metric in metrics)


DURATION = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
UNITS = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1), "ms": timedelta(milliseconds=1)}


def _duration(text: object) -> timedelta:
    parts = DURATION.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Invalid(f"{text!r} is no duration", where="judge.warmup", remedy="write it as 90s or 1h30m")
    return sum((int(number) * UNITS[unit] for number, unit in parts), timedelta())
