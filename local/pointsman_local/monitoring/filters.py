"""Monitoring filters: comparisons joined by AND ("Monitoring filters", cloud.google.com/monitoring/api/v3/filters).

OR, NOT, parentheses and groups are refused by name.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import re2

from pointsman_local.monitoring.series import Series
from pointsman_local.monitoring.wire import Refused

__all__ = ["Filter", "label_of", "parse"]

TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_][\w.]*(?:"[^"]*")?)|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<sign>!=|>=|<=|[=:<>(),]))"""
)
FUNCTIONS: Mapping[str, Callable[[str, list[str]], bool]] = {
    "one_of": lambda value, given: value in given,
    "starts_with": lambda value, given: value.startswith(given[0]),
    "ends_with": lambda value, given: value.endswith(given[0]),
    "has_substring": lambda value, given: given[0] in value,
    "monitoring.regex.full_match": lambda value, given: re2.fullmatch(given[0], value) is not None,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """`metric_type` is what every filter must name; `predicates` are tested on the label or type they name."""

    metric_type: str
    predicates: tuple[tuple[str, Callable[[str], bool]], ...]
    resource_type: str = ""

    def matches(self, series: Series) -> bool:
        return all(test(value_of(series, name)) for name, test in self.predicates)


def value_of(series: Series, name: str) -> str:
    """The value of `metric.type`, `resource.type` or a label; a label that is not there is empty."""
    if name == "resource.type":
        return series.resource_type
    if name == "metric.type":
        return series.metric_type
    where, _, label = name.rpartition(".")
    return (series.metric_labels if where == "metric.labels" else series.resource_labels).get(label, "")


def label_of(name: str) -> str:
    """The one spelling of a field: `metric.label.x` is `metric.labels.x`. Raises Refused for another field."""
    if name in ("metric.type", "resource.type"):
        return name
    found = re.fullmatch(r'(metric|resource)\.labels?\.("?)([\w/.-]+)\2', name)
    if found is None:
        raise Refused.unserved(f"the field {name!r} in a filter")
    return f"{found[1]}.labels.{found[3]}"


def parse(text: str) -> Filter:
    """The filter in `text`. Raises Refused: INVALID_ARGUMENT for a mistake, UNIMPLEMENTED for what is missing here."""
    tokens = _tokens(text)
    metric_type, resource_type, predicates = "", "", []
    position = 0
    while True:
        position, name, sign, function, values = _comparison(tokens, position, text)
        if name == "metric.type" and sign == "=" and function is None:
            metric_type = values[0]
        if name == "resource.type" and sign == "=" and function is None:
            resource_type = values[0]
        predicates.append((name, _test(sign, function, values)))
        if position == len(tokens):
            break
        if tokens[position] in ("OR", "NOT"):
            raise Refused.unserved(f"{tokens[position]} in a filter")
        position += 1 if tokens[position] == "AND" else 0
    if not metric_type:
        raise Refused.invalid('The filter must specify one metric type: metric.type = "..."')
    return Filter(metric_type, tuple(predicates), resource_type)


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = TOKEN.match(text, at)
        if found is None:
            raise Refused.invalid(f"The filter is not understood at {text[at : at + 40]!r}")
        tokens.append(found[0].strip())
        at = found.end()
    return tokens


def _comparison(tokens: list[str], at: int, text: str) -> tuple[int, str, str, str | None, list[str]]:
    rest = [*tokens[at:], "", "", ""]
    name, sign, value = rest[:3]
    if name in ("NOT", "(") or name.startswith("-"):
        raise Refused.unserved(f"{name} in a filter")
    if sign not in ("=", "!="):
        if sign in (":", "<", ">", "<=", ">="):
            raise Refused.unserved(f"the operator {sign} in a filter")
        raise Refused.invalid(f"The filter {text!r} has no comparison after {name!r}")
    if value in FUNCTIONS:
        end = tokens.index(")", at) if ")" in tokens[at:] else 0
        if rest[3] != "(" or not end:
            raise Refused.invalid(f"{value} in the filter needs arguments in parentheses")
        given = [_text(token) for token in tokens[at + 4 : end] if token != ","]
        if not given:
            raise Refused.invalid(f"{value} in the filter needs an argument")
        return end + 1, label_of(name), sign, value, given
    if rest[3] == "(":
        raise Refused.unserved(f"the function {value} in a filter")
    if not value:
        raise Refused.invalid(f"The filter {text!r} ends after {name} {sign}")
    return at + 3, label_of(name), sign, None, [_text(value)]


def _text(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token


def _test(sign: str, function: str | None, values: list[str]) -> Callable[[str], bool]:
    holds = FUNCTIONS[function] if function else FUNCTIONS["one_of"]
    return lambda value: holds(value, values) is (sign == "=")
