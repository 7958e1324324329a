"""From one type to another: numbers, strings, bytes, JSON, base64, checksums."""

import base64
import binascii
import hashlib
import hmac as keyed
import math
import re
from typing import Final

from pointsman_local.workflows.errors import type_error, value_error
from pointsman_local.workflows.values import (
    Value,
    decode_json,
    encode_json,
    finite,
    fits,
    python_name,
    text_of,
    type_name,
)

__all__ = [
    "absolute",
    "base64_decode",
    "base64_encode",
    "checksum",
    "double",
    "floor",
    "get_type",
    "hmac",
    "integer",
    "json_decode",
    "json_encode",
    "json_encode_to_string",
    "larger",
    "smaller",
    "string",
]

INTEGER: Final = re.compile(r"[-+]?\d+")
DOUBLE: Final = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
ALGORITHMS: Final = ("MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512")


def double(value: Value) -> Value:
    if type(value) is int or type(value) is float:
        return float(value)
    if isinstance(value, str):
        if DOUBLE.fullmatch(value):
            return finite(float(value))
        raise value_error(f"could not convert string to double: {encode_json(value)}")
    raise type_error(f"unsupported operand type for double(): '{python_name(value)}'")


def integer(value: Value) -> Value:
    if type(value) is int:
        return value
    if type(value) is float:
        return fits(int(value))
    if isinstance(value, str):
        if INTEGER.fullmatch(value):
            return fits(int(value))
        raise value_error(f"could not convert string to integer: {encode_json(value)}")
    raise type_error(f"unsupported operand type for int(): '{python_name(value)}'")


def string(value: Value) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return text_of(value)
    raise type_error(f"unsupported operand type for string(): '{python_name(value)}'")


def get_type(value: Value) -> Value:
    return type_name(value)


def absolute(x: Value) -> Value:
    number = _number("math.abs", x)
    return fits(abs(number)) if isinstance(number, int) else abs(number)


def floor(x: Value) -> Value:
    return fits(math.floor(_number("math.floor", x)))


def larger(x: Value, y: Value) -> Value:
    return max(_number("math.max", x), _number("math.max", y))


def smaller(x: Value, y: Value) -> Value:
    return min(_number("math.min", x), _number("math.min", y))


def base64_decode(data: Value, padding: Value = True) -> Value:
    text = data.decode("ascii", "replace") if isinstance(data, bytes) else data
    if not isinstance(text, str) or not isinstance(padding, bool):
        raise type_error(f"base64.decode: expected a string, got '{python_name(data)}'")
    text = text.replace("\r", "").replace("\n", "")  # "are ignored" ("base64.decode")
    if not padding:
        if "=" in text:
            raise value_error("base64.decode: padding where none was expected")
        text += "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise value_error(f"base64.decode: {error}") from None


def base64_encode(data: Value, padding: Value = True) -> Value:
    if not isinstance(data, bytes) or not isinstance(padding, bool):
        raise type_error(f"base64.encode: expected bytes, got '{python_name(data)}'")
    text = base64.b64encode(data).decode("ascii")
    return text if padding else text.rstrip("=")


def checksum(data: Value, algorithm: Value) -> Value:
    return hashlib.new(_algorithm(algorithm), _bytes("hash.compute_checksum", data)).digest()


def hmac(key: Value, data: Value, algorithm: Value) -> Value:
    name = _algorithm(algorithm)
    return keyed.new(_bytes("hash.compute_hmac", key), _bytes("hash.compute_hmac", data), name).digest()


def json_decode(data: Value) -> Value:
    if isinstance(data, str | bytes):
        return decode_json(data)
    raise type_error(f"json.decode: expected bytes or a string, got '{python_name(data)}'")


def json_encode(data: Value, indent: Value = None) -> Value:
    return _json(data, indent).encode("utf-8", "surrogatepass")


def json_encode_to_string(data: Value, indent: Value = None) -> Value:
    return _json(data, indent)


def _json(data: Value, indent: Value) -> str:
    """`indent`: true and {} mean four spaces, false and null one line ("json.encode")."""
    if indent is None or indent is False:
        return encode_json(data)
    options: dict[str, Value] = {} if indent is True else indent if isinstance(indent, dict) else {"": None}
    prefix, step = options.get("prefix", ""), options.get("indent", "    ")
    if not isinstance(prefix, str) or not isinstance(step, str) or not options.keys() <= {"prefix", "indent"}:
        raise type_error("json.encode: indent must be a boolean or a map with the strings prefix and indent")
    return encode_json(data, indent=step, prefix=prefix)


def _algorithm(name: Value) -> str:
    if not isinstance(name, str):
        raise type_error(f"hash: algorithm must be a string, not '{python_name(name)}'")
    if name not in ALGORITHMS:
        raise value_error(f"hash: unsupported algorithm '{name}'")
    return name.lower()


def _bytes(function: str, value: Value) -> bytes:
    if isinstance(value, bytes):
        return value
    raise type_error(f"{function}: expected bytes, got '{python_name(value)}'")


def _number(function: str, value: Value) -> int | float:
    if type(value) is int or type(value) is float:
        return value
    raise type_error(f"{function}: expected a number, got '{python_name(value)}'")
