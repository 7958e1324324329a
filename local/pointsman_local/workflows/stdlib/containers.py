"""Lists, maps, and the helpers that choose: none changes its arguments."""

from typing import cast

from pointsman_local.workflows.errors import type_error
from pointsman_local.workflows.values import Value, member, python_name

__all__ = [
    "choose",
    "concat",
    "default",
    "delete",
    "get",
    "keys",
    "length",
    "merge",
    "merge_nested",
    "prepend",
]


def keys(value: Value) -> Value:
    return [*_map("keys()", value)]


def length(value: Value) -> Value:
    if isinstance(value, str | list | dict):
        return len(value)
    raise type_error(f"object of type '{python_name(value)}' has no len()")


def default(value: Value, otherwise: Value) -> Value:
    return otherwise if value is None else value


def choose(condition: Value, if_true: Value, if_false: Value) -> Value:
    """`if`: null counts as false ("Expression helpers")."""
    if condition is True:
        return if_true
    if condition is False or condition is None:
        return if_false
    raise type_error(f"the condition of if() must be a boolean, not '{python_name(condition)}'")


def concat(objs: Value, val: Value) -> Value:
    return [*_list("list.concat", objs), val]


def prepend(objs: Value, val: Value) -> Value:
    return [val, *_list("list.prepend", objs)]


def get(value: Value, path: Value) -> Value:
    """A safe lookup: null where a key, or a map on the way to it, is missing."""
    steps = path if isinstance(path, list) else [path]
    for key in steps:
        if not isinstance(key, str):
            raise type_error(f"map.get: keys must be a string or a list of strings, not '{python_name(key)}'")
    for key in steps:
        value = value.get(cast("str", key)) if isinstance(value, dict) else None
    return value


def delete(value: Value, key: Value) -> Value:
    mapping = _map("map.delete", value)
    if not isinstance(key, str):
        member(value, key)
    return {name: item for name, item in mapping.items() if name != key}


def merge(first: Value, second: Value) -> Value:
    return {**_map("map.merge", first), **_map("map.merge", second)}


def merge_nested(first: Value, second: Value) -> Value:
    merged = {**_map("map.merge_nested", first)}
    for key, item in _map("map.merge_nested", second).items():
        old = merged.get(key)
        merged[key] = merge_nested(old, item) if isinstance(old, dict) and isinstance(item, dict) else item
    return merged


def _list(function: str, value: Value) -> list[Value]:
    if isinstance(value, list):
        return value
    raise type_error(f"{function}: expected a list, got '{python_name(value)}'")


def _map(function: str, value: Value) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    raise type_error(f"{function}: expected a map, got '{python_name(value)}'")
