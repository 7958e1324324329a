"""Where a rollout is found: in a file, or in the ledger by its id or its service."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pointsman.core.judge.recording import Marked, Recording, replay
from pointsman_cli.judging.course import Course, Mark, Moment
from pointsman_cli.judging.replaying import opened

if TYPE_CHECKING:
    from pointsman.core.judge import JudgePolicy

__all__ = ["Found", "course_of", "found"]
