"""Rules of a RolloutPolicy: the order of steps, the room for a baseline, deadlines that can be met."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import cast

from pydantic import ValidationError

from pointsman.documents.faults import Path, Problem
from pointsman.documents.policy import Cohort, LatencyMetric, MeanMetric, PolicySpec, RatioMetric
from pointsman.documents.scalars import duration, text
from pointsman.documents.selectors import not_a_selector

__all__ = ["check_cohort", "check_policy", "longest", "merge", "whole", "written"]


def written(spec: PolicySpec | None) -> dict[str, object]:
    """What a policy says itself, without defaults, as it would be written."""
    return spec.model_dump(by_alias=True, exclude_unset=True, exclude_none=True) if spec else {}


def merge(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """`above` over `below`: maps by key, lists and scalars whole."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(cast("Mapping[str, object]", old), cast("Mapping[str, object]", value))
        else:
            merged[key] = value
    return merged


def whole(spec: PolicySpec | None, defaults: PolicySpec | None) -> PolicySpec:
    """The policy as it applies: what it says, then the Platform's `defaults.rollout`, then what is built in."""
    if defaults is None:
        return spec or PolicySpec()
    try:
        return PolicySpec.model_validate(merge(written(defaults), written(spec)))
    except ValidationError:  # pragma: no cover - both halves are valid, and no bound spans two fields
        return spec or PolicySpec()


def check_policy(own: PolicySpec, spec: PolicySpec, path: Path) -> Iterator[Problem]:
    """Problems of a policy: `own` is what it says at `path`, `spec` what holds with the Platform's defaults."""
    if own.model_fields_set & {"steps", "bake"}:
        yield from _check_steps(spec, path)
    yield from _check_metrics(own, path)
    if spec.capacity.strategy != "Step" and "max_surge" in own.capacity.model_fields_set:
        yield Problem(
            "out-of-bounds",
            (*path, "capacity", "maxSurge"),
            f"is for strategy Step only, this is {spec.capacity.strategy}",
            "remove it, or set strategy: Step",
        )
    needed, given = longest(spec), duration(spec.deadlines.rollout)
    if needed > given:
        hours = -(-needed // timedelta(hours=1))
        parts = "holds, approvals, bake" if any(step.approval for step in spec.steps) else "holds, bake"
        yield Problem(
            "deadline-too-short",
            (*path, "deadlines", "rollout"),
            f"{spec.deadlines.rollout}, but {parts} and placing may take {text(needed)}",
            f"raise it to {hours}h or shorten them",
        )


def longest(spec: PolicySpec) -> timedelta:
    """How long a rollout of this policy may take when nothing goes wrong."""
    steps = sum((duration(step.hold) for step in spec.steps), timedelta())
    approvals = sum((duration(step.approval.expires_after) for step in spec.steps if step.approval), timedelta())
    return steps + approvals + duration(spec.bake.duration) + duration(spec.deadlines.placing)


def _check_steps(spec: PolicySpec, path: Path) -> Iterator[Problem]:
    most = round(100 - spec.bake.baseline_weight, 1)
    before: float | None = None
    phase = 0  # mirror steps, then cohorts, then everybody
    for index, step in enumerate(spec.steps):
        here = (*path, "steps", index)
        if step.cohort is not None:
            yield from check_cohort(step.cohort, (*here, "cohort"))
        if step.weight is None and step.mirror_percent is None:
            yield Problem("missing-field", (*here, "weight"), "missing", "give a weight, or mirrorPercent in its place")
            continue
        if step.weight is not None and step.mirror_percent is not None:
            yield Problem("out-of-bounds", (*here, "mirrorPercent"), "stands in place of weight", "keep one of the two")
            continue
        own = 0 if step.mirror_percent is not None else 1 if step.cohort is not None else 2
        if own < phase:
            field = "mirrorPercent" if own == 0 else "cohort"
            earlier = "a step with a cohort" if phase == 1 else "a step for everybody"
            remedy = "mirror steps come first" if own == 0 else "cohort steps precede those for everybody"
            yield Problem("weights-order", (*here, field), f"after {earlier}", f"{remedy}; change the order")
        phase = max(phase, own)
        if step.weight is None:
            continue
        if step.weight > most:
            yield Problem(
                "weight-over-bake",
                (*here, "weight"),
                f"{step.weight:g} leaves no baseline for the bake ({most:g} at most)",
                "remove the step: 100 follows the bake" if step.weight == 100 else f"use {most:g} at most",
            )
        if step.cohort is None:
            if before is not None and step.weight <= before:
                yield Problem(
                    "weights-order",
                    (*here, "weight"),
                    f"{step.weight:g} after {before:g}",
                    "weights must rise; change the order",
                )
            before = step.weight


def check_cohort(cohort: Cohort, path: Path) -> Iterator[Problem]:
    """A cohort names 1 to 8 matches."""
    count = len(cohort.headers) + len(cohort.query_params)
    if count == 0:
        yield Problem("missing-field", path, "matches nothing", "give headers or queryParams")
    elif count > 8:
        yield Problem("out-of-bounds", path, f"{count} matches, at most 8 together", "remove some")


def _check_metrics(spec: PolicySpec, path: Path) -> Iterator[Problem]:
    names: dict[str, int] = {}
    for index, metric in enumerate(spec.judge.metrics):
        here = (*path, "judge", "metrics", index)
        if metric.name in names:
            yield Problem(
                "duplicate-document",
                (*here, "name"),
                f"{metric.name} is also judge.metrics[{names[metric.name]}]",
                "rename or remove one",
            )
        names.setdefault(metric.name, index)
        match metric:
            case RatioMetric():
                selectors = {"bad": metric.bad, "total": metric.total}
            case LatencyMetric():
                selectors = {"histogram": metric.histogram}
            case MeanMetric():
                selectors = {"count": metric.count, "sum": metric.sum, "sumOfSquares": metric.sum_of_squares}
                if metric.bounds.min >= metric.bounds.max:
                    yield Problem(
                        "out-of-bounds",
                        (*here, "bounds", "max"),
                        f"{metric.bounds.max:g} is not above min {metric.bounds.min:g}",
                        "give the least and the greatest value of one sample",
                    )
        for field, selector in selectors.items():
            if why := not_a_selector(selector):
                yield Problem(
                    "metric-not-selector",
                    (*here, field),
                    why,
                    'give the series itself, as http_requests_total{code=~"5.."}',
                )
