"""Label and field selectors of list and watch calls."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pointsman_local.kubernetes.kinds import Object
from pointsman_local.kubernetes.refusals import bad_request

__all__ = ["Matches", "by_fields", "by_labels", "requirement", "selects"]

Matches = Callable[[Object], bool]

_SET = re.compile(r"^(\S+)\s+(in|notin)\s+\(([^)]*)\)$")
_TERM = re.compile(r"(?:[^,(]|\([^)]*\))+")


def by_labels(text: str) -> Matches:
    """A selector such as `a=b,c!=d,e,!f,g in (x,y)`. Raises Refusal 400."""
    tests = [_label_test(term.strip()) for term in _TERM.findall(text) if term.strip()]
    return lambda item: all(test(item.get("metadata", {}).get("labels") or {}) for test in tests)


def _label_test(term: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.match(term):
        key, operator, values = match.groups()
        return requirement(key, "In" if operator == "in" else "NotIn", [value.strip() for value in values.split(",")])
    for sign, operator in (("!=", "NotIn"), ("==", "In"), ("=", "In")):
        if sign in term:
            key, value = term.split(sign, 1)
            return requirement(key.strip(), operator, [value.strip()])
    if term.startswith("!"):
        return requirement(term[1:].strip(), "DoesNotExist", [])
    if " " in term:
        raise bad_request(
            f'unable to parse requirement: found "{term}", expected: in, notin, =, ==, !=, or end of string'
        )
    return requirement(term, "Exists", [])


def requirement(key: str, operator: str, values: list[str]) -> Callable[[Mapping[str, str]], bool]:
    """One requirement on labels, with the operator's name of `matchExpressions`. Raises Refusal 400."""
    match operator:
        case "In":
            return lambda labels: labels.get(key) in values
        case "NotIn":
            return lambda labels: labels.get(key) not in values
        case "Exists":
            return lambda labels: key in labels
        case "DoesNotExist":
            return lambda labels: key not in labels
        case "Gt" | "Lt":
            sign = 1 if operator == "Gt" else -1
            return lambda labels: labels.get(key, "").isdigit() and sign * int(labels[key]) > sign * int(values[0])
    raise bad_request(f'"{operator}" is not a valid label selector operator')


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector (`matchLabels`, `matchExpressions`) selects `labels`."""
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()) and all(
        requirement(one["key"], one["operator"], one.get("values") or [])(labels)
        for one in selector.get("matchExpressions") or []
    )


def by_fields(text: str) -> Matches:
    """A field selector such as `metadata.name=a,status.phase!=Running`; an absent field is an empty string.

    Real apiservers index a few fields a kind and refuse others; here every field can be asked for.
    """
    tests: list[Matches] = []
    for term in filter(None, (part.strip() for part in text.split(","))):
        negative = "!=" in term
        path, found, value = term.partition("!=" if negative else "=")
        if not found:
            raise bad_request(f'invalid selector: "{term}"; can\'t understand "{term}"')
        tests.append(_field_test(path.strip().split("."), value.removeprefix("=").strip(), negative))
    return lambda item: all(test(item) for test in tests)


def _field_test(path: list[str], value: str, negative: bool) -> Matches:
    def test(item: Object) -> bool:
        found: Any = item
        for name in path:
            found = found.get(name, "") if isinstance(found, dict) else ""
        return (_text(found) == value) is not negative

    return test


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
