"""A rollout as the judge saw it: every tick with its verdict, and what people and the plane did meanwhile."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import log
from typing import cast

from pointsman.core.judge import JudgePolicy, Tick, Verdict
from pointsman.core.judge.latency import forgiving
from pointsman.core.judge.policy import Metric
from pointsman.core.names import JSON

__all__ = ["Course", "Mark", "MetricSeen", "Moment"]


@dataclass(frozen=True, slots=True)
class MetricSeen:
    """What a verdict says of one metric. `log_e` is its own evidence, `share` its part of the evidence that decides
    (both nats); `effect` how many times worse the canary was seen to be, `lower` and `upper` the ends of the interval
    that holds at every look, of what `of` says: the `ratio` of shares, that of `answers above` so many ms, or a
    `difference`. None: not known."""

    log_e: float
    share: float
    seen: str
    effect: float | None
    lower: float | None
    upper: float | None
    of: str
    onset: int
    alternative: str
    silent: str

    @property
    def above_ms(self) -> float | None:
        """Where the interval is of the share of answers slower than so many milliseconds: how many."""
        found = re.fullmatch(r"answers above ([0-9.e+]+) ms", self.of)
        return float(found[1]) if found else None

    @property
    def sureness(self) -> str:
        """How sure the ends are, in words that follow them. Each may be wrong in one rollout of twenty, so that both
        together are right in nine of ten."""
        if self.is_torn:
            return ""
        is_between = self.upper is not None and bool(self.lower or self.of == "difference")
        return ", each end with 95 % confidence" if is_between else " with 95 % confidence"

    @property
    def is_seen(self) -> bool:
        """Whether anything is known of the effect: what was seen of both sides, or a bound."""
        return self.effect is not None or bool(self.lower) or self.upper is not None

    @property
    def is_torn(self) -> bool:
        """Whether no value is left between the ends: the effect was one at first, and is another now."""
        return self.lower is not None and self.upper is not None and self.lower > self.upper


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick and its verdict."""

    tick: Tick
    verdict: Verdict

    def metric(self, name: str) -> MetricSeen:
        """Of a metric the verdict does not know: nothing seen, no evidence."""
        known = cast("Mapping[str, JSON]", self.verdict.numbers.get("by_metric", {})).get(name, {})
        log_e, weight = _number(known.get("log_e")) or 0.0, _number(known.get("weight")) or 0.0
        interval = cast("JSON", known.get("interval") or {})
        return MetricSeen(
            log_e=log_e,
            share=log_e + log(weight) if weight > 0.0 else log_e,
            seen=str(known.get("seen") or ""),
            effect=_number(known.get("effect")),
            lower=_number(interval.get("lower")),
            upper=_number(interval.get("upper")),
            of=str(interval.get("of") or ""),
            onset=int(_number(known.get("onset")) or 0),
            alternative=str(known.get("alternative") or ""),
            silent=str(known.get("silent") or ""),
        )

    def counted(self, side: str) -> tuple[int, int]:
        """Requests and bad answers so far: of the canary (`exposure`) or of stable (`baseline`)."""
        counts = cast("JSON", self.verdict.numbers.get(side, {}))
        return int(_number(counts.get("requests")) or 0), int(_number(counts.get("bad")) or 0)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was decided or asked for. `seq` is the tick it belongs to, where that is known."""

    at: datetime | None
    seq: int | None
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Course:
    """A rollout: names, the policy it was judged by, its moments in order, and its marks. `ended` is its final state,
    empty while it runs, or where only ticks were recorded; `loosened` what the policy forgives and its own does not;
    `carried` the judge's state at the beginning."""

    rollout: str
    model: str
    stable: str
    canary: str
    policy: JudgePolicy
    moments: tuple[Moment, ...]
    marks: tuple[Mark, ...] = ()
    ended: str = ""
    loosened: tuple[str, ...] = ()
    carried: JSON = field(default_factory=dict)

    @property
    def deciding(self) -> Moment | None:
        """The first moment that rolled back, otherwise the last; None where nothing was judged."""
        for moment in self.moments:
            if moment.verdict.action == "roll_back":
                return moment
        return self.moments[-1] if self.moments else None

    @property
    def metrics(self) -> Sequence[Metric]:
        """The metrics that compare both sides, in the policy's order; the guard has no other side."""
        return [metric for metric in self.policy.metrics if metric.kind != "Guard"]

    def said(self, moment: Moment) -> str:
        """A verdict's reason; where nothing speaks against the canary, without the numbers of every metric."""
        verdict = moment.verdict
        return verdict.reason if verdict.action in ("roll_back", "hold") else verdict.reason.partition(";")[0]

    def is_forgiving(self, metric: Metric) -> bool:
        """Whether the metric's margin is forgiven: a latency's only where its buckets are fine enough for that."""
        if metric.kind != "Latency" or not (metric.margin or metric.margin_ms):
            return bool(metric.margin)
        for moment in self.moments:
            for pod in moment.tick.baseline.pods:
                if pod.metric_set == metric.metric_set and pod.edges_ms:
                    targets = forgiving(pod.edges_ms, metric.margin, metric.margin_ms)
                    return any(target != bucket for bucket, target in enumerate(targets))
        return True

    def decided(self) -> "Course":
        """The same up to the deciding moment: what came after it changed nothing."""
        deciding = self.deciding
        until = len(self.moments) if deciding is None else self.moments.index(deciding) + 1
        return replace(self, moments=self.moments[:until])


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
