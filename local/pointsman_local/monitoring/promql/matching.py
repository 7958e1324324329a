"""Operators between numbers and vectors: which samples of two vectors belong together, and what comes of them."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import promql_parser as grammar

from pointsman_local.monitoring.wire import Refused

__all__ = ["Sample", "Vector", "combined", "without"]

Sample = tuple[Mapping[str, str], float]
Vector = list[Sample]
Key = tuple[tuple[str, str], ...]


def _divided(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if not a or math.isnan(a) else math.copysign(math.inf, a)


ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
    "^": lambda a, b: float(a**b),
}
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


def without(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of a result: the metric's name is none of them."""
    return dict(labels)


def combined(op: str, left: float | str | Vector, right: float | str | Vector, modifier: Any) -> float | Vector:
    """`left op right`. Raises Refused where the two do not fit together."""
    if isinstance(left, str) or isinstance(right, str):
        raise Refused.invalid(f"{op} between strings")
    as_bool = modifier is not None and modifier.return_bool
    if isinstance(left, float) and isinstance(right, float):
        value = _value(op, left, right, as_bool=True)
        assert value is not None
        return value
    if op in ("and", "or", "unless"):
        assert isinstance(left, list)
        assert isinstance(right, list)
        return _set(op, left, right, modifier)
    if isinstance(right, float):
        assert isinstance(left, list)
        return _kept([(labels, _value(op, value, right, as_bool=as_bool)) for labels, value in left])
    if isinstance(left, float):
        # A comparison keeps the vector's own value.
        found = [(labels, value, _value(op, left, value, as_bool=as_bool)) for labels, value in right]
        keeps = op in COMPARISONS and not as_bool
        return [(labels, value if keeps else new) for labels, value, new in found if new is not None]
    return _joined(op, left, right, modifier, as_bool=as_bool)


def _value(op: str, a: float, b: float, *, as_bool: bool) -> float | None:
    """None: a comparison that does not hold, and so drops its sample."""
    if op in ARITHMETIC:
        return ARITHMETIC[op](a, b)
    if op not in COMPARISONS:
        raise Refused.unserved(f"the operator {op} of PromQL")
    holds = COMPARISONS[op](a, b)
    return float(holds) if as_bool else a if holds else None


def _kept(found: list[tuple[Mapping[str, str], float | None]]) -> Vector:
    return [(labels, value) for labels, value in found if value is not None]


def _key(labels: Mapping[str, str], modifier: Any) -> Key:
    matching = modifier.matching if modifier is not None else None
    if matching is None:
        return tuple(sorted(labels.items()))
    if matching.type == grammar.LabelModifierType.Include:
        return tuple((name, labels.get(name, "")) for name in sorted(matching.labels))
    return tuple(sorted((name, value) for name, value in labels.items() if name not in matching.labels))


def _set(op: str, left: Vector, right: Vector, modifier: Any) -> Vector:
    ours, theirs = ({_key(labels, modifier) for labels, _ in side} for side in (left, right))
    match op:
        case "and":
            return [one for one in left if _key(one[0], modifier) in theirs]
        case "unless":
            return [one for one in left if _key(one[0], modifier) not in theirs]
        case _:
            return left + [one for one in right if _key(one[0], modifier) not in ours]


def _joined(op: str, left: Vector, right: Vector, modifier: Any, *, as_bool: bool) -> Vector:
    """One to one, or many to one with labels of the one added."""
    card = modifier.card if modifier is not None else grammar.VectorMatchCardinality.OneToOne
    swapped = card == grammar.VectorMatchCardinality.OneToMany
    many, one = (right, left) if swapped else (left, right)
    several = swapped or card == grammar.VectorMatchCardinality.ManyToOne
    partners: dict[Key, Sample] = {}
    for sample in one:
        key = _key(sample[0], modifier)
        if key in partners:
            raise Refused.invalid(f"found duplicate series for the match group {dict(key)}: matching must be unique")
        partners[key] = sample
    found: Vector = []
    taken: set[Key] = set()
    for labels, value in many:
        key = _key(labels, modifier)
        partner = partners.get(key)
        if partner is None:
            continue
        if not several and key in taken:
            raise Refused.invalid("multiple matches for labels: many-to-one matching must be explicit")
        taken.add(key)
        a, b = (partner[1], value) if swapped else (value, partner[1])
        result = _value(op, a, b, as_bool=as_bool)
        if result is not None:
            found.append((_result(op, labels, partner[0], key, modifier, several=several), result))
    return found


def _result(
    op: str, many: Mapping[str, str], one: Mapping[str, str], key: Key, modifier: Any, *, several: bool
) -> dict[str, str]:
    if several:
        added = {name: one[name] for name in modifier.group_labels or () if one.get(name)}
        return {**many, **added}
    if modifier is not None and modifier.matching is not None and op not in COMPARISONS:
        return {name: value for name, value in key if value}
    return dict(many)
