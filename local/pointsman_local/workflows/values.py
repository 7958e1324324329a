"""The values of the language and what its operators make of them.

A value is null, a boolean, a 64-bit integer, a double, a string, bytes, a list or a map with string keys. Lists
and maps are never changed in place: an assignment through an index builds a new container along its path. So
"assigning makes an independent copy" (Workflows' reference, Variables) costs nothing, and a snapshot may share.

Tables: Workflows' reference, "Data types, functions, operators". What it leaves open is decided here as Python
decides it: `//` floors, `%` has the divisor's sign, strings are ordered by code point, values of different
types are unequal but never an error to compare, and a result that does not fit its type is a ValueError.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pointsman_local.workflows.errors import Raised, index_error, key_error, resource_error, type_error, value_error

__all__ = [
    "FunctionRef",
    "Value",
    "add",
    "contains",
    "decode_json",
    "decoded",
    "encode_json",
    "equal",
    "member",
    "modulo",
    "multiply",
    "negate",
    "order",
    "quotient",
    "ratio",
    "replaced",
    "size",
    "subtract",
    "text_of",
    "type_name",
    "whole",
]


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A function named, not called: a retry's predicate."""

    name: str


# Elements of lists and maps are values again, which a type alias of Python 3.11 cannot say.
Value: TypeAlias = bool | int | float | str | bytes | list[Any] | dict[str, Any] | FunctionRef | None

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
STRING_BYTES_MAX: Final = 256 * 1024  # Workflows' quotas: maximum string length

TYPE_NAMES: Final = {
    int: "integer",
    float: "double",
    str: "string",
    bool: "boolean",
    bytes: "bytes",
    type(None): "null",
    list: "list",
    dict: "map",
}
# Error messages of the service speak of Python's types ("unsupported operand type for string(): 'dict'").
PYTHON_NAMES: Final = {type(None): "NoneType", FunctionRef: "function"}


def type_name(value: Value) -> str:
    """What `get_type` answers."""
    return TYPE_NAMES.get(type(value), "function")


def python_name(value: Value) -> str:
    return PYTHON_NAMES.get(type(value), type(value).__name__)


def text_of(value: bool | int | float) -> str:
    """A scalar as `string()` and `+` write it."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    return repr(value)


def fits(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return value
    raise value_error("integer overflow")


def finite(value: float) -> float:
    if math.isfinite(value):
        return value
    raise value_error("double overflow")


def short(value: str) -> str:
    # Four bytes a character at most, so the exact length is only needed for long ones.
    if len(value) > STRING_BYTES_MAX // 4 and len(value.encode("utf-8", "surrogatepass")) > STRING_BYTES_MAX:
        raise resource_error("MemoryLimitExceededError", "maximum string length (256 KB) exceeded")
    return value


def whole(text: str) -> str:
    """A string is UTF-8 ("Data types"): half of a surrogate pair, which JSON can write, becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def decoded(data: bytes, charset: str) -> str:
    """Raises ValueError (of the language) on an unknown character set."""
    try:
        return whole(data.decode(charset, "replace"))
    except (UnicodeError, LookupError) as error:
        raise value_error(f"cannot decode bytes as {charset}: {error}") from None


def _operands(symbol: str, left: Value, right: Value) -> Raised:
    return type_error(f"unsupported operand type(s) for {symbol}: '{python_name(left)}' and '{python_name(right)}'")


def _numbers(symbol: str, left: Value, right: Value) -> tuple[int | float, int | float]:
    if (type(left) is int or type(left) is float) and (type(right) is int or type(right) is float):
        return left, right
    raise _operands(symbol, left, right)


def add(left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str | bool | int | float):
        return short(left + (right if isinstance(right, str) else text_of(right)))
    if isinstance(right, str) and isinstance(left, bool | int | float):
        return short(text_of(left) + right)
    x, y = _numbers("+", left, right)
    return _number(x + y)


def subtract(left: Value, right: Value) -> Value:
    x, y = _numbers("-", left, right)
    return _number(x - y)


def multiply(left: Value, right: Value) -> Value:
    x, y = _numbers("*", left, right)
    return _number(x * y)


def ratio(left: Value, right: Value) -> Value:
    """`/`, always a double."""
    x, y = _numbers("/", left, right)
    try:
        return finite(x / y)
    except ZeroDivisionError:
        raise _division() from None


def quotient(left: Value, right: Value) -> Value:
    """`//`"""
    x, y = _numbers("//", left, right)
    try:
        return _number(x // y)
    except ZeroDivisionError:
        raise _division() from None


def modulo(left: Value, right: Value) -> Value:
    x, y = _numbers("%", left, right)
    try:
        return _number(x % y)
    except ZeroDivisionError:
        raise _division() from None


def negate(value: Value) -> Value:
    if type(value) is int or type(value) is float:
        return _number(-value)
    raise type_error(f"bad operand type for unary -: '{python_name(value)}'")


def _number(value: int | float) -> int | float:
    return fits(value) if type(value) is int else finite(value)


def _division() -> Raised:
    return Raised({"message": "ZeroDivisionError: division by zero", "tags": ["ZeroDivisionError", "ArithmeticError"]})


def equal(left: Value, right: Value) -> bool:
    a, b = type(left), type(right)
    if a is b:
        if isinstance(left, list) and isinstance(right, list):
            return len(left) == len(right) and all(map(equal, left, right))
        if isinstance(left, dict) and isinstance(right, dict):
            return left.keys() == right.keys() and all(equal(item, right[key]) for key, item in left.items())
        return left == right
    if (a is int or a is float) and (b is int or b is float):
        return left == right
    return False


def order(symbol: str, left: Value, right: Value) -> int:
    """Negative, zero or positive, for `<`, `<=`, `>` and `>=`."""
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    x, y = _numbers(symbol, left, right)
    return (x > y) - (x < y)


def contains(item: Value, container: Value) -> bool:
    if isinstance(container, dict):
        return isinstance(item, str) and item in container
    if isinstance(container, list):
        return any(equal(item, other) for other in container)
    message = f"The argument of 'in' must be a dict or an array; got: {type_name(container)}"
    raise Raised({"message": message, "tags": ["TypeError"]})


def member(container: Value, key: Value) -> Value:
    """`container[key]`, and `container.key` with a string."""
    if isinstance(container, dict):
        if not isinstance(key, str):
            raise type_error(f"map key must be a string, not '{python_name(key)}'")
        if key not in container:
            raise key_error(key)
        item: Value = container[key]
        return item
    if isinstance(container, list):
        if type(key) is not int:
            raise type_error(f"list index must be an integer, not '{python_name(key)}'")
        if not 0 <= key < len(container):
            raise index_error(f"index {key} is out of range; the list has {len(container)} elements")
        element: Value = container[key]
        return element
    raise type_error(f"'{python_name(container)}' has no field {text_key(key)}: it is neither a map nor a list")


def text_key(key: Value) -> str:
    return json.dumps(key) if isinstance(key, str | int | float | bool | None) else f"'{python_name(key)}'"


def replaced(container: Value, path: list[Value], value: Value) -> Value:
    """A copy of `container` with `value` at `path`. Missing maps on the way are made; list elements must exist."""
    if not path:
        return value
    key = path[0]
    if isinstance(container, dict):
        if not isinstance(key, str):
            raise type_error(f"map key must be a string, not '{python_name(key)}'")
        inner = container.get(key)
        below: Value = {} if inner is None and len(path) > 1 else inner
        return {**container, key: replaced(below, path[1:], value)}
    if isinstance(container, list):
        item = member(container, key)
        assert isinstance(key, int)
        return [*container[:key], replaced(item, path[1:], value), *container[key + 1 :]]
    raise type_error(f"'{python_name(container)}' does not support assignment to {text_key(key)}")


SIZE_NODES_MAX: Final = 64


def size(value: Value, nodes: int = SIZE_NODES_MAX) -> int:
    """Bytes of memory as the reference counts them ("Variables", Memory usage): 8 a scalar, 8 and its parts else.

    Only about `nodes` parts are looked at; larger containers count their parts as scalars, which is a lower bound.
    """
    if isinstance(value, str | bytes):
        return 8 + len(value)
    if isinstance(value, list):
        if len(value) > nodes:
            return 8 + 8 * len(value)
        return 8 + sum(size(item, nodes - len(value)) for item in value)
    if isinstance(value, dict):
        if len(value) > nodes:
            return 8 + 24 * len(value)
        return 8 + sum(8 + len(key) + size(item, nodes - len(value)) for key, item in value.items())
    return 8


def encode_json(value: Value, *, indent: str | None = None, prefix: str = "") -> str:
    """JSON text with sorted keys, as the service writes results. Raises ValueError (of the language) on bytes."""
    try:
        text = json.dumps(
            value,
            ensure_ascii=False,
            sort_keys=True,
            allow_nan=False,
            indent=indent,
            separators=(",", ":") if indent is None else (",", ": "),
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise value_error(f"cannot be encoded as JSON: {error}") from None
    return text.replace("\n", "\n" + prefix) if indent is not None and prefix else text


def decode_json(data: str | bytes) -> Value:
    """Bytes are read as `text.decode` does. Raises ValueError (of the language) when it is no JSON."""
    text = data if isinstance(data, str) else decoded(data, "UTF-8")
    try:
        return _narrow(json.loads(text, parse_constant=_no_constant))
    except (ValueError, OverflowError, RecursionError) as error:
        raise value_error(f"not valid JSON: {error}") from None


def _no_constant(name: str) -> Value:
    raise ValueError(f"{name} is not JSON")


def _narrow(value: Any) -> Value:
    """Integers beyond 64 bits become doubles, halves of characters U+FFFD."""
    if type(value) is int and not INT_MIN <= value <= INT_MAX:
        value = float(value)
    if type(value) is float and not math.isfinite(value):
        raise OverflowError("a number is out of range")
    if type(value) is str:
        return whole(value)
    if type(value) is list:
        return [_narrow(item) for item in value]
    if type(value) is dict:
        return {whole(key): _narrow(item) for key, item in value.items()}
    checked: Value = value
    return checked
