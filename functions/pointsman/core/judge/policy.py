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

from pointsman.core.judge import guard, latency, ratio
from pointsman.core.names import JSON
from pointsman.errors import Invalid

__all__ = ["SETS", "JudgePolicy", "Metric"]

T = TypeVar("T")

ALPHA = {"Default": 0.01, "Safe": 0.001, "Sensitive": 0.05}
"""False rollbacks, at most, in a rollout: over any number of looks and all metrics together."""

MARGIN_PERCENT = {"Ratio": 0.0, "Latency": 10.0}


@dataclass(frozen=True, slots=True)
class Metric:
    """One e-process. `kind` Ratio counts `bad` answers of `metric_set`, Latency its buckets, Guard is absolute.

    `margin` (0.1: 10 %) or `margin_ms`, whichever is more, is forgiven; `enforced` metrics may roll back, others
    are shown.
    """

    name: str
    kind: Literal["Ratio", "Latency", "Guard"]
    metric_set: str
    bad: str = ""
    margin: float = 0.0
    margin_ms: float = 0.0
    enforced: bool = True
    weight: float = 0.0


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

    `alpha` bounds false rollbacks a rollout; `bad_limit` is the guard's share; `unjudged` names metrics that
    are declared but have no rule here. In mode Observe nothing acts on a verdict.
    """

    metrics: tuple[Metric, ...]
    profile: str = "Default"
    alpha: float = 0.01
    enforced: bool = True
    warmup: timedelta = timedelta(seconds=60)
    bad_limit: float = 0.3
    unjudged: tuple[str, ...] = ()

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
        unjudged: list[str] = []
        for own in cast("Sequence[JSON]", data.get("metrics", ())):
            metric = _own(own)
            if metric is None:
                unjudged.append(str(own["name"]))
            else:
                metrics[metric.name] = metric
        first = next((metric for metric in metrics.values() if metric.kind == "Ratio"), None)
        if first is not None:
            metrics["guard"] = Metric("guard", "Guard", first.metric_set, first.bad)
        return cls(
            metrics=_weighted(tuple(metrics.values())),
            profile=profile,
            alpha=ALPHA[profile],
            enforced=data.get("mode", "Enforce") == "Enforce",
            warmup=_duration(data.get("warmup", "60s")),
            bad_limit=limit,
            unjudged=tuple(unjudged),
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
            case "Guard":
                return guard.WEIGHTS

    def _from_second(
        self, values: tuple[T, ...], weights: tuple[float, ...]
    ) -> tuple[tuple[T, ...], tuple[float, ...]]:
        if self.profile != "Safe":
            return values, weights
        total = sum(weights[1:])
        return values[1:], tuple(weight / total for weight in weights[1:])


def _own(data: JSON) -> Metric | None:
    """A metric that the user declared; None for a kind that is not judged (Mean)."""
    name, kind = str(data["name"]), data["type"]
    if kind not in ("Ratio", "Latency"):
        return None
    percent = cast("float | None", data.get("marginPercent"))
    return Metric(
        name=name,
        kind=kind,
        metric_set=name,
        bad="bad" if kind == "Ratio" else "",
        margin=(MARGIN_PERCENT[str(kind)] if percent is None else percent) / 100.0,
        enforced=data.get("mode", "Enforce") == "Enforce",
    )


def _weighted(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    """Errors .53, latency .42 and the guard .05, of what is enforced; further metrics share at most .3 (at least
    .02 each), taken from these. A metric that only observes is its own test, with the whole weight."""
    leading: dict[str, str] = {}
    for metric in metrics:
        if metric.enforced:
            leading.setdefault(metric.kind, metric.name)
    base = {"Ratio": 0.53, "Latency": 0.42, "Guard": 0.05}
    total = sum(base[kind] for kind in leading)
    further = [metric for metric in metrics if metric.enforced and metric.name not in leading.values()]
    share = max(min(0.3, 0.1 * len(further)), 0.02 * len(further))

    def weight(metric: Metric) -> float:
        if not metric.enforced:
            return 1.0
        if metric in further:
            return share / len(further)
        return (1.0 - share) * base[metric.kind] / total

    return tuple(replace(metric, weight=weight(metric)) for metric in metrics)


DURATION = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
UNITS = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1), "ms": timedelta(milliseconds=1)}


def _duration(text: object) -> timedelta:
    parts = DURATION.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Invalid(f"{text!r} is no duration", where="judge.warmup", remedy="write it as 90s or 1h30m")
    return sum((int(number) * UNITS[unit] for number, unit in parts), timedelta())
