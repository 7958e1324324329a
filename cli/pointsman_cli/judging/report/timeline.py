"""What happened when: shares, verdicts and people's commands in the order of time."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pointsman_cli.judging.course import Course
from pointsman_cli.judging.report.html import table

__all__ = ["draw", "happenings"]

ROWS_MAX = 80


def draw(course: Course) -> str:
    """A table; where there is too much of it, its beginning and its end."""
    rows = [(f"{at:%H:%M:%S}" if at else "", kind, words) for at, kind, words in happenings(course)]
    if len(rows) > ROWS_MAX:
        left_out = len(rows) - ROWS_MAX
        half = ROWS_MAX // 2
        rows = [*rows[:half], ("…", "", f"{left_out} more are left out here"), *rows[-half:]]
    day = f"{course.moments[0].tick.since.astimezone(UTC):%Y-%m-%d}" if course.moments else ""
    told = f"Times in UTC, beginning on {day}; a verdict stands where its tick's data end"
    return table(("Time", "What", "Why"), rows, caption=told)


def happenings(course: Course) -> Sequence[tuple[datetime | None, str, str]]:
    """(when, what, why), sorted by time; those of unknown time stand last."""
    found = [*_of_ticks(course), *((mark.at, mark.kind, mark.text) for mark in course.marks)]
    latest = datetime.max.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: one[0] or latest)


def _of_ticks(course: Course) -> Iterator[tuple[datetime | None, str, str]]:
    split, said = 0.0, ""
    for moment in course.moments:
        tick, verdict = moment.tick, moment.verdict
        if tick.split != split:
            yield tick.since, "share", f"{100 * split:g} % → {100 * tick.split:g} % of the requests"
            split = tick.split
        cause = f" ({verdict.numbers['cause']})" if verdict.numbers.get("cause") else ""
        now = f"{verdict.action.replace('_', ' ')}{cause}"
        if now != said:
            yield tick.until, now, f"tick {tick.seq}: {course.said(moment)}"
            said = now
