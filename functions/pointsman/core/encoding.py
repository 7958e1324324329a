"""How a record becomes JSON and comes back: one encoding for everything the ledger keeps.

A record is written as `{"v": 1, …}` with its fields' names; times are RFC 3339 in UTC. A field added later has a
default, so that records of every past release still load; a field that is not known (written by a newer release)
is an error, because dropping it would lose what that release saved.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pointsman.core.names import JSON
from pointsman.errors import Invalid

__all__ = ["VERSION", "decode", "encode"]

VERSION = 1

R = TypeVar("R")


def encode(record: object) -> dict[str, object]:
    """The record as JSON values, with its schema version."""
    return {"v": VERSION, **_encode_fields(record)}


def decode(kind: type[R], data: JSON) -> R:
    """The record that `encode` wrote. Raises Invalid, naming the field, when it does not fit."""
    if data.get("v") != VERSION:
        raise Invalid(
            f"a {kind.__name__} of version {data.get('v')!r}",
            remedy=f"this release reads version {VERSION}: upgrade pointsman",
        )
    return cast(
        "R", _decode_dataclass(kind, {name: value for name, value in data.items() if name != "v"}, kind.__name__)
    )


def _encode_fields(value: object) -> dict[str, object]:
    return {item.name: _encode(getattr(value, item.name)) for item in fields(cast("Any", value))}


def _encode(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if is_dataclass(value):
        return _encode_fields(value)
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    return value


@cache
def _hints(kind: type) -> dict[str, object]:
    hints = get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(kind)}


def _decode_dataclass(kind: type, data: object, where: str) -> object:
    if not isinstance(data, Mapping):
        raise Invalid("not a map", where=where)
    hints = _hints(kind)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise Invalid(f"unknown fields {', '.join(unknown)}", where=where, remedy="a newer release wrote it: upgrade")
    missing = [
        item.name
        for item in fields(kind)
        if item.name not in data and item.default is MISSING and item.default_factory is MISSING
    ]
    if missing:
        raise Invalid(f"missing fields {', '.join(missing)}", where=where)
    return kind(**{name: _decode(hints[name], value, f"{where}.{name}") for name, value in data.items()})


def _decode(hint: object, value: object, where: str) -> object:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _decode(arguments[0], value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _decode(inner, value, where)
    if origin is Literal:
        if value not in arguments:
            raise Invalid(f"{value!r} is none of {', '.join(map(str, arguments))}", where=where)
        return value
    if origin is tuple:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise Invalid("not a list", where=where)
        return tuple(_decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is not None and issubclass(cast("type", origin), Mapping):
        if not isinstance(value, Mapping):
            raise Invalid("not a map", where=where)
        return {str(key): _decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is datetime:
        if not isinstance(value, str):
            raise Invalid("not a time", where=where)
        return datetime.fromisoformat(value)
    if is_dataclass(hint):
        return _decode_dataclass(cast("type", hint), value, where)
    if hint is object:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, cast("type", hint)) or (hint is int and isinstance(value, bool)):
        raise Invalid(f"{value!r} is no {getattr(hint, '__name__', hint)}", where=where)
    return value
