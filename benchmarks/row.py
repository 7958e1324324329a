"""One line of the table."""

from dataclasses import dataclass

__all__ = ["Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """`figure` beside a `yardstick` of the same run; `ratio` says how they compare, in words where that helps."""

    what: str
    figure: str
    yardstick: str = ""
    ratio: str = ""
