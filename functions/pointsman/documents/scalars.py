"""The words and numbers that documents are made of: names, durations, quantities, weights, times.

Every type here is a plain Python value with its constraint beside it; the constraint is the only one, and the
JSON Schemas are made from it. Durations stay the text that was written (`duration` gives their length).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = [
    "DURATION",
    "NAME",
    "QUANTITY",
    "AcceleratorPoolName",
    "DiskSize",
    "DnsName",
    "DurationFrom",
    "Email",
    "Folder",
    "Hostname",
    "LabelKey",
    "LabelValue",
    "Labels",
    "Location",
    "Member",
    "Name",
    "Number",
    "Person",
    "Project",
    "Quantity",
    "SecretName",
    "Selector",
    "ServiceName",
    "Time",
    "Url",
    "WeightFrom",
    "Zone",
    "duration",
    "quantity",
    "text",
]

# --- names -----------------------------------------------------------------------------------------------

NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"

Name = Annotated[str, Field(pattern=NAME, max_length=63)]
"""A DNS-1035 label: what may name a Kubernetes Service."""

ServiceName = Annotated[str, Field(pattern=NAME, max_length=52)]
"""With `-`, 8 hex digits and the `-c` of a cohort's Service it is a Service's name of at most 63."""

AcceleratorPoolName = Annotated[str, Field(pattern=NAME, max_length=21)]
"""With `-` and 8 hex digits it is a node pool's name of at most 30, so that names derived from that stay readable."""

DnsName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", max_length=253)
]
"""A DNS subdomain, in lower case."""

Hostname = Annotated[
    str, Field(pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", max_length=253)
]
"""A host name as in an HTTPRoute: the first label may be `*`."""

Folder = Annotated[str, Field(pattern=r"^[^/\s*?\[\]]+(/[^/\s*?\[\]]+)*/?$", max_length=1024)]
"""A folder of the repository, from its root, without globs."""

Location = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+(-[a-z])?$")]
"""A region (`us-central1`) or a zone (`us-central1-a`) of Google Cloud."""

Zone = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+-[a-z]$")]
"""A zone of Google Cloud."""

Project = Annotated[str, Field(pattern=r"^([a-z0-9.-]+:)?[a-z][-a-z0-9]*[a-z0-9]$", max_length=63)]
"""A Google Cloud project's id."""

SecretName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]{1,255}|projects/[^/\s]+/secrets/[A-Za-z0-9_-]{1,255})$")]
"""A Secret Manager secret, by id or full name. Its newest enabled version is read when it is needed."""

Email = Annotated[str, Field(pattern=r"^[^@\s:]+@[^@\s]+$", max_length=320)]

Member = Annotated[str, Field(pattern=r"^(user|serviceAccount):[^@\s:]+@[^@\s]+$", max_length=340)]
"""Who acts, in the words of IAM."""

Person = Annotated[str, Field(pattern=r"^user:[^@\s:]+@[^@\s]+$", max_length=330)]

# Plain HTTP is for servers on this machine, where the local cloud is.
Url = Annotated[
    str, Field(pattern=r"^(https://[^\s/]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?)(/\S*)?$", max_length=2048)
]

Selector = Annotated[str, Field(min_length=1, max_length=1024)]
"""A PromQL series selector: a metric's name, and matchers in braces."""

# --- labels ----------------------------------------------------------------------------------------------

_LABEL_KEY = re.compile(r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_LABEL = "use at most 63 letters, digits, -, _ and ., a letter or digit first and last"
_LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")


def _label_key(key: str) -> str:
    if not _LABEL_KEY.match(key):
        raise PydanticCustomError("pattern", "{key} is no label key", {"key": key, "remedy": _LABEL})
    return key


def _label_value(value: str) -> str:
    if not _LABEL_VALUE.match(value):
        raise PydanticCustomError("pattern", "{value} is no label value", {"value": value, "remedy": _LABEL})
    return value


LabelKey = Annotated[str, AfterValidator(_label_key), Field(json_schema_extra={"pattern": _LABEL_KEY.pattern})]
LabelValue = Annotated[str, AfterValidator(_label_value), Field(json_schema_extra={"pattern": _LABEL_VALUE.pattern})]
Labels = dict[LabelKey, LabelValue]

# --- durations -------------------------------------------------------------------------------------------

DURATION = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
_DURATION = re.compile(DURATION)
_PARTS = re.compile(r"([0-9]+)(ms|h|m|s)")
_UNIT = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1), "ms": timedelta(milliseconds=1)}


def duration(value: str) -> timedelta:
    """The length of a duration in the Gateway API's form (GEP-2257), as `1h30m`. Raises ValueError for another form."""
    if not _DURATION.match(value):
        raise ValueError(f"{value!r} is no duration such as 90s or 1h30m")
    return sum((int(number) * _UNIT[unit] for number, unit in _PARTS.findall(value)), timedelta())


def text(length: timedelta) -> str:
    """The shortest duration of this length: `27h20m`."""
    milliseconds = length // timedelta(milliseconds=1)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        number, milliseconds = divmod(milliseconds, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


@dataclass(frozen=True, slots=True)
class DurationFrom:
    """`Annotated[str, DurationFrom("5m", "24h")]`: a duration within these bounds, both allowed."""

    least: str
    most: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        least, most = duration(self.least), duration(self.most)

        def check(value: str) -> str:
            if not _DURATION.match(value):
                raise PydanticCustomError("pattern", "{value} is no duration such as 90s or 1h30m", {"value": value})
            if not least <= duration(value) <= most:
                raise PydanticCustomError(
                    "bounds",
                    "{value} is not between {least} and {most}",
                    {"value": value, "least": self.least, "most": self.most},
                )
            return value

        return core_schema.no_info_after_validator_function(check, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": DURATION,
            "x-unit": "duration (h, m, s, ms)",
            "x-minimum": self.least,
            "x-maximum": self.most,
        }


# --- quantities ------------------------------------------------------------------------------------------

QUANTITY = r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
_QUANTITY = re.compile(r"^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9]{1,3}))?$")
_SCALE: dict[str | None, float] = {"n": 1e-9, "u": 1e-6, "m": 1e-3}
_SCALE |= {letter: 1000 ** (index + 1) for index, letter in enumerate("kMGTPE")}
_SCALE |= {f"{letter}i": 1024 ** (index + 1) for index, letter in enumerate("KMGTPE")}


def quantity(value: str | float) -> float:
    """The number that a Kubernetes quantity (`200Gi`, `500m`, `4`) stands for. Raises ValueError for another form."""
    if not isinstance(value, str):
        return float(value)
    match = _QUANTITY.match(value)
    if not match:
        raise ValueError(f"{value!r} is no quantity such as 200Gi, 500m or 4")
    number, suffix, exponent = match.groups()
    scale: float = _SCALE.get(suffix, 1)
    return float(number) * scale * 10.0 ** int(exponent or 0)


def _at_least(least: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        try:
            number = quantity(value)
        except ValueError as error:
            raise PydanticCustomError("pattern", "{value} is no quantity such as 200Gi", {"value": value}) from error
        if number < quantity(least):
            raise PydanticCustomError("bounds", "{value} is less than {least}", {"value": value, "least": least})
        return value

    return check


Quantity = Annotated[str, Field(pattern=QUANTITY)]
DiskSize = Annotated[
    str,
    AfterValidator(_at_least("20Gi")),
    Field(json_schema_extra={"pattern": QUANTITY, "x-unit": "bytes", "x-minimum": "20Gi"}),
]

# --- numbers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WeightFrom:
    """`Annotated[float, WeightFrom(1, 99)]`: a share of requests in percent, with at most one decimal."""

    least: float
    most: float

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = core_schema.float_schema(ge=self.least, le=self.most, allow_inf_nan=False, strict=True)

        def check(value: float) -> float:
            if round(value, 1) != value:
                raise PydanticCustomError("bounds", "{value} has more than one decimal", {"value": value})
            return value

        return core_schema.no_info_after_validator_function(check, number)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # Not `multipleOf: 0.1`, by which a binary 0.3 is wrong.
        return {"type": "number", "minimum": self.least, "maximum": self.most, "x-unit": "percent", "x-decimals": 1}


Number = Annotated[float, Field(allow_inf_nan=False)]

# --- times -----------------------------------------------------------------------------------------------

_TIME = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")


def _time(value: object) -> datetime:
    """YAML gives a timestamp that is not quoted as a datetime, and a quoted one as text."""
    if isinstance(value, datetime):
        time = value
    elif isinstance(value, str):
        if not _TIME.match(value):
            raise PydanticCustomError("pattern", "{value} is no time with a zone (RFC 3339)", {"value": value})
        try:
            time = datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise PydanticCustomError(
                "pattern", "{value} is no time: {error}", {"value": value, "error": str(error)}
            ) from error
    else:
        raise PydanticCustomError("type", "is no time")
    if time.tzinfo is None:
        raise PydanticCustomError("pattern", "{value} has no time zone", {"value": str(value)})
    return time.astimezone(UTC)


Time = Annotated[datetime, BeforeValidator(_time), Field(strict=False)]
"""An instant; aware, in UTC once read."""
