"""How a record becomes JSON and comes back: one encoding for everything the ledger keeps.

A record is written as `{"v": 1, …}` with its fields' names; times are RFC 3339 in UTC. A field added later has a
default, so that records of every past release still load; a field that is not known (written by a newer release)
is an error, because dropping it would lose what that release saved.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pointsman.core.names import JSON
from pointsman.errors import Invalid

__all__ = ["VERSION", "decode", "encode"]

VERSION = 1

R = TypeVar("R")
Decoder: TypeAlias = "Callable[[object], object]"


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
    try:
        return cast("R", _decoder(cast("type", kind))({name: value for name, value in data.items() if name != "v"}))
    except _Misfit as misfit:
        where = kind.__name__ + "".join(reversed(misfit.path))
        raise Invalid(misfit.problem, where=where, remedy=misfit.remedy) from None


_PLAIN = frozenset({str, int, float, bool, type(None)})


def _encode_fields(value: object) -> dict[str, object]:
    return {name: _encode(getattr(value, name)) for name in _names(cast("type", type(value)))}


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


def _encode(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if is_dataclass(value):
        return _encode_fields(value)
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    return value


class _Misfit(Exception):  # on its way to `decode`, which makes it Invalid
    """What is wrong, and where: `path` from the inside out."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.path: list[str] = []

    def under(self, step: str) -> "_Misfit":
        self.path.append(step)
        return self


@cache
def _decoder(hint: object) -> Decoder:
    """What reads a value of this type. Made once, since a step reads hundreds of records."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _decoder(arguments[0])
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        decoder = _decoder(inner)
        return (lambda value: None if value is None else decoder(value)) if type(None) in arguments else decoder
    if origin is Literal:
        return _one_of(arguments)
    if origin is tuple:
        return _list_of(_decoder(arguments[0]))
    if origin is not None and issubclass(cast("type", origin), Mapping):
        return _map_of(_decoder(arguments[1]))
    if hint is datetime:
        return _time
    if is_dataclass(hint):
        return _record(cast("type", hint))
    return (lambda value: value) if hint is object else _scalar(cast("type", hint))


def _one_of(choices: tuple[object, ...]) -> Decoder:
    def decode_choice(value: object) -> object:
        if value not in choices:
            raise _Misfit(f"{value!r} is none of {', '.join(map(str, choices))}")
        return value

    return decode_choice


def _list_of(decoder: Decoder) -> Decoder:
    def decode_list(value: object) -> object:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise _Misfit("not a list")
        items: list[object] = []
        try:
            items.extend(map(decoder, value))
        except _Misfit as misfit:
            raise misfit.under(f"[{len(items)}]") from None
        return tuple(items)

    return decode_list


def _map_of(decoder: Decoder) -> Decoder:
    def decode_map(value: object) -> object:
        found: dict[str, object] = {}
        for key, item in _mapping(value).items():
            try:
                found[str(key)] = decoder(item)
            except _Misfit as misfit:
                raise misfit.under(f".{key}") from None
        return found

    return decode_map


def _record(kind: type) -> Decoder:
    def decode_record(value: object) -> object:
        data, (decoders, needed) = _mapping(value), _parts(kind)
        if unknown := sorted(name for name in data if name not in decoders):
            raise _Misfit(f"unknown fields {', '.join(unknown)}", "a newer release wrote it: upgrade")
        if missing := [name for name in needed if name not in data]:
            raise _Misfit(f"missing fields {', '.join(missing)}")
        found: dict[str, object] = {}
        for name, item in data.items():
            try:
                found[name] = decoders[name](item)
            except _Misfit as misfit:
                raise misfit.under(f".{name}") from None
        return kind(**found)

    return decode_record


@cache
def _parts(kind: type) -> tuple[Mapping[str, Decoder], Sequence[str]]:
    """Decoders by field, and the fields without a default. Apart from `_record`, since a record may hold its like."""
    hints = get_type_hints(kind)
    needed = [item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING]
    return {item.name: _decoder(hints[item.name]) for item in fields(kind)}, needed


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _Misfit("not a map")
    return value


def _time(value: object) -> object:
    if not isinstance(value, str):
        raise _Misfit("not a time")
    return datetime.fromisoformat(value)


def _scalar(kind: type) -> Decoder:
    def decode_scalar(value: object) -> object:
        if type(value) is kind:
            return value
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _Misfit(f"{value!r} is no {getattr(kind, '__name__', kind)}")
        return value

    return decode_scalar
