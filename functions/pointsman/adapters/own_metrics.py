"""Metrics of a policy's own: its PromQL series selectors, as filters of Cloud Monitoring."""

import re
from collections.abc import Iterable, Sequence

from pointsman.adapters.metric_series import Recipe, Term
from pointsman.core.names import JSON
from pointsman.errors import Invalid

__all__ = ["own_recipes", "term_of"]

_NAME = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s*$", re.DOTALL)
_MATCHER = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(?:,|$)"""
)

_OF_TARGET = frozenset({"project_id", "location", "cluster", "namespace", "job", "instance"})
"""Labels that are the target's: Managed Prometheus keeps them on the resource `prometheus_target`."""


def own_recipes(metrics: Sequence[JSON]) -> list[Recipe]:
    """How the metrics of `judge.metrics` are read, each as a metric set of its own name.

    Raises Invalid, naming the metric, for a selector that Cloud Monitoring has no filter for.
    """
    return [_recipe(metric) for metric in metrics]


def _recipe(metric: JSON) -> Recipe:
    name, where = str(metric["name"]), f"judge.metrics {metric['name']}"

    def counter(field: str) -> Term:
        return term_of(str(metric[field]), "counter", where=f"{where}.{field}")

    match metric["type"]:
        case "Ratio":
            return Recipe(name, total=((counter("total"),),), bad={"bad": ((counter("bad"),),)})
        case "Latency":
            histogram = term_of(str(metric["histogram"]), "histogram", where=f"{where}.histogram")
            return Recipe(name, total=((histogram,),), latency=histogram)
        case "Mean":
            count, total, squares = counter("count"), counter("sum"), counter("sumOfSquares")
            return Recipe(name, total=((count,),), sums=(count, total, squares))
        case kind:
            raise Invalid(f"{kind!r} is none of Ratio, Latency, Mean", where=where)


def term_of(selector: str, kind: str, *, where: str = "") -> Term:
    """The series that a PromQL selector means, as a metric type of Managed Prometheus and a filter."""
    found = _NAME.match(selector)
    if found is None:
        raise Invalid(f"{selector!r} does not begin with a metric's name", where=where, remedy="write name{label=…}")
    name, matchers = found[1], found[2] or ""
    if kind == "histogram":
        name = name.removesuffix("_bucket")
    return Term(f"{name}/{kind}", " AND ".join(_filters(matchers, selector, where)))


def _filters(matchers: str, selector: str, where: str) -> Iterable[str]:
    rest = matchers.strip()
    while rest:
        found = _MATCHER.match(rest)
        if found is None:
            raise Invalid(f"{selector!r} has a matcher that is not understood: {rest}", where=where)
        label, operator, quoted = found[1], found[2], found[3]
        value = quoted[1:-1].replace("\\'", "'").replace('\\"', '"').replace("\\\\", "\\")
        key = f"{'resource' if label in _OF_TARGET else 'metric'}.labels.{label}"
        text = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        match operator:
            case "=":
                yield f"{key} = {text}"
            case "!=":
                yield f"{key} != {text}"
            case "=~":
                yield f"{key} = monitoring.regex.full_match({text})"
            case _:
                yield f"NOT {key} = monitoring.regex.full_match({text})"
        rest = rest[found.end() :].strip()
