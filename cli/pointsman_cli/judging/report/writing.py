"""Where a report is written."""

import re
from pathlib import Path

from pointsman.errors import Invalid
from pointsman_cli.judging.course import Course
from pointsman_cli.judging.report.page import page

__all__ = ["write"]


def write(course: Course, out: Path | None, *, over: bool) -> Path:
    """Write a rollout's report to `out`, or to a file named after the rollout here; its path. Raises Invalid."""
    file = out or Path(f"{re.sub(r'[^A-Za-z0-9._-]+', '-', course.rollout).strip('-.') or 'rollout'}.html")
    try:
        file.write_text(page(course, over=over), encoding="utf-8")
    except OSError as error:
        raise Invalid(
            f"cannot be written: {error.strerror}", where=str(file), remedy="name another with --out"
        ) from error
    return file
