"""Text and time as text. Regular expressions are RE2's, as the service's are."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote_plus
from zoneinfo import ZoneInfo

from pointsman_local.workflows.errors import type_error, value_error
from pointsman_local.workflows.values import Value, decoded, python_name, short

__all__ = [
    "decode",
    "encode",
    "find_all",
    "find_all_regex",
    "match_regex",
    "replace_all",
    "replace_all_regex",
    "seconds_of",
    "split",
    "substring",
    "time_format",
    "time_parse",
    "to_lower",
    "to_upper",
    "url_decode",
    "url_encode",
    "url_encode_plus",
]


def decode(data: Value, charset: Value = "UTF-8") -> Value:
    """What the character set cannot read becomes U+FFFD ("text.decode")."""
    if not isinstance(data, bytes):
        raise type_error(f"text.decode: expected bytes, got '{python_name(data)}'")
    return short(decoded(data, _text("text.decode", charset)))


def encode(text: Value, charset: Value = "UTF-8") -> Value:
    try:
        return _text("text.encode", text).encode(_text("text.encode", charset))
    except (UnicodeError, LookupError) as error:
        raise value_error(f"text.encode: {error}") from None


def find_all(source: Value, substr: Value) -> Value:
    """Where `substr` begins, left to right, without overlaps."""
    text, wanted = _text("text.find_all", source), _text("text.find_all", substr)
    return [*_positions(text, wanted)]


def _positions(text: str, wanted: str) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + max(len(wanted), 1)) if at < len(text) else -1


def find_all_regex(source: Value, regexp: Value) -> Value:
    pattern = _pattern("text.find_all_regex", regexp)
    text = _text("text.find_all_regex", source)
    return [{"index": found.start(), "match": found.group()} for found in pattern.finditer(text)]


def match_regex(source: Value, regexp: Value) -> Value:
    """Whether `source` contains a match."""
    pattern = _pattern("text.match_regex", regexp)
    return pattern.search(_text("text.match_regex", source)) is not None


def replace_all(source: Value, substr: Value, repl: Value) -> Value:
    name = "text.replace_all"
    return short(_text(name, source).replace(_text(name, substr), _text(name, repl)))


def replace_all_regex(source: Value, regexp: Value, repl: Value) -> Value:
    """The replacement is taken as it is: no back-references."""
    name = "text.replace_all_regex"
    replacement = _text(name, repl)
    replaced: str = _pattern(name, regexp).sub(lambda match: replacement, _text(name, source))
    return short(replaced)


def split(source: Value, separator: Value) -> Value:
    text, between = _text("text.split", source), _text("text.split", separator)
    return [*text.split(between)] if between else [*text]


def substring(source: Value, start: Value, end: Value) -> Value:
    """A negative index counts from the end, and one out of range stands for the bound ("text.substring")."""
    text = _text("text.substring", source)
    if type(start) is not int or type(end) is not int:
        raise type_error("text.substring: start and end must be integers")
    return text[start:end]


def to_lower(source: Value) -> Value:
    return _text("text.to_lower", source).lower()


def to_upper(source: Value) -> Value:
    return _text("text.to_upper", source).upper()


def url_encode(source: Value) -> Value:
    """All but letters, digits and `.-_` is escaped ("text.url_encode"), so `~` is too, which Python leaves."""
    return short(quote(_text("text.url_encode", source), safe="").replace("~", "%7E"))


def url_encode_plus(source: Value) -> Value:
    return short(quote_plus(_text("text.url_encode_plus", source), safe="").replace("~", "%7E"))


def url_decode(source: Value) -> Value:
    text = _text("text.url_decode", source)
    if re.search(r"%(?![0-9a-fA-F]{2})", text):
        raise value_error("text.url_decode: invalid percent-encoding")
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeError as error:
        raise value_error(f"text.url_decode: {error}") from None


def time_format(seconds: Value, timezone: Value = "UTC") -> Value:
    """ISO 8601 with microseconds, `Z` where the zone is at UTC, as GMT is ("time.format")."""
    if type(seconds) is not int and type(seconds) is not float:
        raise type_error(f"time.format: seconds must be a number, not '{python_name(seconds)}'")
    name = _text("time.format", timezone)
    try:
        zone: tzinfo = UTC if name in ("", "UTC") else ZoneInfo(name)
        moment = datetime.fromtimestamp(seconds, zone)
    except (ValueError, OverflowError, OSError, LookupError):
        raise value_error(f"time.format: cannot write {seconds} in time zone '{name}'") from None
    written = moment.isoformat(timespec="microseconds")
    return f"{written[:-6]}Z" if written.endswith("+00:00") else written


MOMENT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[-+]\d{2}:\d{2})",
)


def seconds_of(text: str) -> float | None:
    """RFC 3339 as Unix seconds, to the microsecond."""
    match = MOMENT.fullmatch(text)
    if match is None:
        return None
    fraction = (match[3] or "0")[:6].ljust(6, "0")
    zone = "+00:00" if match[4] in "Zz" else match[4]
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}.{fraction}{zone}").timestamp()
    except ValueError:
        return None


def time_parse(value: Value) -> Value:
    seconds = seconds_of(_text("time.parse", value))
    if seconds is None:
        raise value_error(f"time.parse: '{value!s}' is not an RFC 3339 time")
    return seconds


def _text(function: str, value: Value) -> str:
    if isinstance(value, str):
        return value
    raise type_error(f"{function}: expected a string, got '{python_name(value)}'")


def _pattern(function: str, regexp: Value) -> Any:
    import re2  # 20 ms that most workflows never need

    options = re2.Options()
    options.log_errors = False
    options.longest_match = True  # "leftmost, then longest"
    try:
        return re2.compile(_text(function, regexp), options)
    except re2.error as error:
        raise value_error(f"{function}: invalid regular expression: {error}") from None
