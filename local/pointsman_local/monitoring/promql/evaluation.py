"""A query's value at one time: the expression's tree, walked once."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import promql_parser as grammar

from pointsman_local.monitoring.promql.functions import INSTANT, RANGE, histogram_quantile, label_join, label_replace
from pointsman_local.monitoring.promql.matching import Sample, Vector, combined, without
from pointsman_local.monitoring.promql.selection import instant, windows
from pointsman_local.monitoring.series import Store
from pointsman_local.monitoring.wire import Refused

__all__ = ["Query", "Sample"]

AGGREGATES: Mapping[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "avg": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
    "group": lambda values: 1.0,
}


class Query:
    """A parsed query. Raises Refused (INVALID_ARGUMENT) for what is no PromQL."""

    def __init__(self, text: str) -> None:
        try:
            self._tree = grammar.parse(text)
        except ValueError as error:
            raise Refused.invalid(f"invalid PromQL: {error}") from error

    def at(self, store: Store, when: float) -> Vector:
        """The vector at a time; a scalar is one sample without labels. Raises Refused."""
        value = _Evaluation(store, when).of(self._tree)
        if isinstance(value, str):
            raise Refused.invalid("a string is no vector")
        return [({}, value)] if isinstance(value, float) else value


class _Evaluation:
    def __init__(self, store: Store, when: float) -> None:
        self._store = store
        self._when = when

    def of(self, node: Any) -> float | str | Vector:
        match node:
            case grammar.NumberLiteral():
                return float(node.val)
            case grammar.StringLiteral():
                return str(node.val)
            case grammar.ParenExpr():
                return self.of(node.expr)
            case grammar.UnaryExpr():
                value = self.of(node.expr)
                if isinstance(value, str):
                    raise Refused.invalid("a string has no sign")
                return -value if isinstance(value, float) else [(without(labels), -one) for labels, one in value]
            case grammar.VectorSelector():
                return list(instant(self._store, node, self._at(node)))
            case grammar.AggregateExpr():
                return self._aggregate(node)
            case grammar.Call():
                return self._call(node)
            case grammar.BinaryExpr():
                return combined(str(node.op), self.of(node.lhs), self.of(node.rhs), node.modifier)
            case _:
                raise Refused.unserved(f"{type(node).__name__} in PromQL")

    def _at(self, selector: Any) -> float:
        if selector.at is not None:
            raise Refused.unserved("@ in PromQL")
        return self._when - (selector.offset.total_seconds() if selector.offset else 0.0)

    def _vector(self, node: Any) -> Vector:
        value = self.of(node)
        if isinstance(value, list):
            return value
        raise Refused.invalid("a vector is expected")

    def _number(self, node: Any) -> float:
        value = self.of(node)
        if isinstance(value, float):
            return value
        raise Refused.invalid("a number is expected")

    def _text(self, node: Any) -> str:
        value = self.of(node)
        if isinstance(value, str):
            return value
        raise Refused.invalid("a string is expected")

    def _call(self, node: Any) -> float | Vector:
        name, arguments = node.func.name, node.args
        if name in RANGE:
            return self._over(name, arguments[0])
        if name in INSTANT:
            numbers = [self._number(argument) for argument in arguments[1:]]
            found = self._vector(arguments[0])
            return [(without(labels), INSTANT[name](value, *numbers)) for labels, value in found]
        match name:
            case "histogram_quantile":
                return histogram_quantile(self._number(arguments[0]), self._vector(arguments[1]))
            case "label_replace":
                return label_replace(self._vector(arguments[0]), *(self._text(item) for item in arguments[1:]))
            case "label_join":
                return label_join(self._vector(arguments[0]), *(self._text(item) for item in arguments[1:]))
            case "vector":
                return [({}, self._number(arguments[0]))]
            case "scalar":
                found = self._vector(arguments[0])
                return found[0][1] if len(found) == 1 else math.nan
            case "time":
                return self._when
            case "absent":
                return [] if self._vector(arguments[0]) else [({}, 1.0)]
            case _:
                raise Refused.unserved(f"the function {name} of PromQL")

    def _over(self, name: str, node: Any) -> Vector:
        if not isinstance(node, grammar.MatrixSelector):
            raise Refused.unserved(f"{type(node).__name__} in {name}")
        seconds, until = node.range.total_seconds(), self._at(node.vector_selector)
        found = []
        for window in windows(self._store, node.vector_selector, until - seconds, until):
            value = RANGE[name](window, until - seconds, seconds)
            if value is not None:
                found.append((window.labels, value))
        return found

    def _aggregate(self, node: Any) -> Vector:
        name, found = str(node.op), self._vector(node.expr)
        groups: dict[tuple[tuple[str, str], ...], Vector] = {}
        for labels, value in found:
            groups.setdefault(tuple(sorted(_kept(labels, node.modifier).items())), []).append((labels, value))
        if name in ("topk", "bottomk"):
            most = int(self._number(node.param))
            ranked = [sorted(group, key=lambda one: one[1], reverse=name == "topk")[:most] for group in groups.values()]
            return [one for group in ranked for one in group]
        if name not in AGGREGATES:
            raise Refused.unserved(f"the aggregation {name} of PromQL")
        return [(dict(key), AGGREGATES[name]([value for _, value in group])) for key, group in groups.items()]


def _kept(labels: Mapping[str, str], modifier: Any) -> dict[str, str]:
    if modifier is None:
        return {}
    if modifier.type == grammar.AggModifierType.By:
        return {name: labels[name] for name in modifier.labels if labels.get(name)}
    return {name: value for name, value in labels.items() if name not in modifier.labels}
