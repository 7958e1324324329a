"""Whether a text is a cron schedule of five fields, in CronJob's words, that ever comes."""

import re
from functools import cache

__all__ = ["schedule_fault", "time_zone_known"]

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: index + 1 for index, name in enumerate(_MONTHS)}),
    ("day of the week", 0, 7, {name: index for index, name in enumerate(_DAYS)}),
)
_LONGEST = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))
_PART = re.compile(r"^(?:(\*)|([A-Za-z0-9]{1,3})(?:-([A-Za-z0-9]{1,3}))?)(?:/([0-9]{1,2}))?$")


def schedule_fault(text: str) -> str | None:
    """What is wrong with a schedule, in a few words; None when it is one."""
    fields = text.split()
    if len(fields) != 5:
        return f"has {len(fields)} fields, a cron schedule has 5"
    values: list[set[int]] = []
    for field, (name, least, most, names) in zip(fields, _FIELDS, strict=True):
        found = _field(field, least, most, names)
        if found is None:
            return f"{field!r} is no {name} ({least}-{most})"
        values.append(found)
    _, _, days, months, _ = values
    # With a day of the week as well, either of the two days is enough.
    if fields[4] == "*" and all(min(days) > _LONGEST[month] for month in months):
        return "never comes: no such day in these months"
    return None


def _field(text: str, least: int, most: int, names: dict[str, int]) -> set[int] | None:
    values: set[int] = set()
    for part in text.split(","):
        match = _PART.match(part)
        if not match:
            return None
        star, first, last, step = match.groups()
        low = least if star else _number(first, names)
        high = most if star or (step and last is None) else _number(last, names) if last is not None else low
        if low is None or high is None or not least <= low <= high <= most or step in ("0", "00"):
            return None
        values.update(range(low, high + 1, int(step or 1)))
    return values


def _number(text: str, names: dict[str, int]) -> int | None:
    return int(text) if text.isdigit() else names.get(text.upper())


@cache
def time_zone_known(name: str) -> bool:
    """Whether an IANA time zone bears this name. Where the machine has no time zones at all, everything is known."""
    from zoneinfo import ZoneInfo

    def known(zone: str) -> bool:
        try:
            ZoneInfo(zone)
        except (LookupError, ValueError, OSError):
            return False
        return True

    return known(name) or not known("Europe/Berlin")
