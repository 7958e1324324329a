"""Rules of an AlertRule by itself: it says which alert, and each action is one thing."""

from collections.abc import Iterator

from pydantic import BaseModel

from pointsman.documents.alert import AlertRule, Pause, RollBack, StartPipeline
from pointsman.documents.faults import Path, Problem
from pointsman.documents.shape import LabelSelector

__all__ = ["check_alert_rule", "check_selector"]


def check_alert_rule(rule: AlertRule) -> Iterator[Problem]:
    """Problems of one rule, its references aside."""
    alert = rule.spec.alert
    if alert.name is None and alert.selector is None:
        yield Problem("missing-field", ("spec", "alert"), "names no alert", "give name or selector")
    if alert.selector is not None:
        yield from check_selector(alert.selector, ("spec", "alert", "selector"))
    for index, action in enumerate(rule.spec.actions):
        path: Path = ("spec", "actions", index)
        yield from _one_of(action, ("roll_back", "pause", "notify", "scale_pool", "start_pipeline"), path)
        if action.start_pipeline is not None:
            yield from _one_of(
                action.start_pipeline, ("workflow", "vertex_ai", "kubeflow", "topic"), (*path, "startPipeline")
            )
        for name, target in (("rollBack", action.roll_back), ("pause", action.pause)):
            if target is not None:
                yield from _check_target(target, (*path, name))


def check_selector(selector: LabelSelector, path: Path) -> Iterator[Problem]:
    """`In` and `NotIn` compare with values, the others with none."""
    for index, expression in enumerate(selector.match_expressions):
        here: Path = (*path, "matchExpressions", index, "values")
        if expression.operator in ("In", "NotIn") and not expression.values:
            yield Problem("missing-field", here, f"missing, for {expression.operator}", "give at least one")
        elif expression.operator in ("Exists", "DoesNotExist") and expression.values:
            yield Problem("out-of-bounds", here, f"not with {expression.operator}", "remove them")


def _check_target(target: RollBack | Pause, path: Path) -> Iterator[Problem]:
    if target.service is None and target.service_label is None:
        yield Problem("missing-field", path, "names no service", "give service or serviceLabel")
    elif target.service is not None and target.service_label is not None:
        yield Problem("out-of-bounds", path, "has service and serviceLabel", "keep one")


def _one_of(choice: BaseModel, names: tuple[str, ...], path: Path) -> Iterator[Problem]:
    fields = type(choice).model_fields
    keys = {name: fields[name].alias or name for name in names}
    given = [keys[name] for name in names if getattr(choice, name) is not None]
    if not given:
        yield Problem("missing-field", path, "says nothing to do", f"give one of {', '.join(keys.values())}")
    elif len(given) > 1:
        what = "make an action of each" if not isinstance(choice, StartPipeline) else "keep one"
        yield Problem("out-of-bounds", path, f"has {' and '.join(given)}", what)
