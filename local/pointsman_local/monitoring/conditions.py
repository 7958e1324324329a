"""An alert policy's conditions: which are imitated, and what they say of the series now. No clock, no I/O.

A threshold and a PromQL query are. Of a query, whatever it answers meets the condition, and what it answers no more is
over; a threshold that has no data is neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pointsman_local.monitoring.align import Aggregation, aligned, reduced
from pointsman_local.monitoring.filters import Filter, parse
from pointsman_local.monitoring.promql import Query
from pointsman_local.monitoring.query import aggregation_of
from pointsman_local.monitoring.series import Distribution, Point, Store
from pointsman_local.monitoring.wire import Refused, message

__all__ = ["Condition", "Prometheus", "Reading", "Threshold", "conditions_of", "read"]

COMPARISONS = message("AlertPolicy").Condition.DESCRIPTOR.file.pool.FindEnumTypeByName(
    "google.monitoring.v3.ComparisonType"
)
FRESH_S = 60.0
"""Without an alignment the newest point counts, if it is no older."""

EVALUATION_S = 30.0
"""How often a query is asked, unless the policy says so (`evaluationInterval`)."""

GroupKey = tuple[tuple[str, str], ...]
"""The labels that are left of a series, `metric.…` and `resource.…`: one incident each."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold condition. It is met above the threshold, or below it, for `duration_s` without a break."""

    name: str
    filter: Filter
    how: Aggregation
    above: bool
    threshold: float
    duration_s: float
    interval_s: float = 0.0
    silence_ends = False

    def is_met(self, value: float) -> bool:
        return value > self.threshold if self.above else value < self.threshold


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A PromQL condition, asked every `interval_s`. It is met for each series of the answer."""

    name: str
    query: Query
    duration_s: float
    interval_s: float
    silence_ends = True

    def is_met(self, value: float) -> bool:
        return True


Condition = Threshold | Prometheus


@dataclass(frozen=True, slots=True)
class Reading:
    """What a condition reads of one group of series."""

    metric_labels: Mapping[str, str]
    resource_labels: Mapping[str, str]
    value: float

    @property
    def key(self) -> str:
        """The group, as text that sorts and is stored."""
        return repr((sorted(self.metric_labels.items()), sorted(self.resource_labels.items())))


def conditions_of(policy: Any) -> list[Condition]:
    """The conditions of an AlertPolicy. Raises Refused for what is malformed or not imitated."""
    if not policy.conditions:
        raise Refused.invalid("An alert policy needs at least one condition")
    combiners = type(policy).ConditionCombinerType
    if len(policy.conditions) > 1 and policy.combiner != combiners.Value("OR"):
        raise Refused.unserved(f"the combiner {combiners.Name(policy.combiner)} of several conditions")
    return [_condition(condition) for condition in policy.conditions]


def _condition(condition: Any) -> Condition:
    match condition.WhichOneof("condition"):
        case "condition_threshold":
            return _threshold(condition, condition.condition_threshold)
        case "condition_prometheus_query_language":
            given = condition.condition_prometheus_query_language
            return Prometheus(
                name=condition.name,
                query=Query(given.query),
                duration_s=_seconds(given.duration),
                interval_s=_seconds(given.evaluation_interval) or EVALUATION_S,
            )
        case kind:
            raise Refused.unserved(f"the condition {kind or 'without a kind'}")


def _threshold(condition: Any, given: Any) -> Threshold:
    for field in ("denominator_filter", "denominator_aggregations"):
        if getattr(given, field):
            raise Refused.unserved(f"condition_threshold.{field}")
    if given.HasField("forecast_options"):
        raise Refused.unserved("condition_threshold.forecast_options")
    if given.trigger.percent or given.trigger.count > 1:
        raise Refused.unserved("a trigger of more than one series")
    if len(given.aggregations) > 1:
        raise Refused.unserved("a second aggregation in a condition")
    comparison = COMPARISONS.values_by_number[given.comparison].name
    if comparison not in ("COMPARISON_GT", "COMPARISON_LT"):
        raise Refused.invalid(f"A threshold compares by COMPARISON_GT or COMPARISON_LT, not {comparison}")
    return Threshold(
        name=condition.name,
        filter=parse(given.filter),
        how=aggregation_of(given.aggregations[0]) if given.aggregations else Aggregation(),
        above=comparison == "COMPARISON_GT",
        threshold=given.threshold_value,
        duration_s=_seconds(given.duration),
    )


def _seconds(duration: Any) -> float:
    return float(duration.seconds) + float(duration.nanos) / 1e9


def read(condition: Condition, store: Store, now: float) -> list[Reading]:
    """The condition's value for each group of series, at `now`. Raises Refused where series and aligner do not fit."""
    if isinstance(condition, Prometheus):
        return [Reading(labels, {}, value) for labels, value in condition.query.at(store, now)]
    how = condition.how
    found = []
    for series in store.of_type(condition.filter.metric_type):
        if not condition.filter.matches(series):
            continue
        if how.aligner == "ALIGN_NONE":
            newest = series.points[-1] if series.points else None
            points: tuple[Point, ...] = (newest,) if newest is not None and newest.end > now - FRESH_S else ()
        else:
            points = aligned(series, how, now - how.period_s, now)
        if points:
            found.append((series, points))
    readings = []
    for group in reduced(found, how):
        value = group.points[0].value
        if isinstance(value, Distribution):
            raise Refused.invalid("A condition compares numbers: align the distribution to a percentile")
        readings.append(Reading(group.metric_labels, group.resource_labels, value))
    return readings
