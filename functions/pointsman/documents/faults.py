"""A fault: what is wrong in a document, where exactly, and how to mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

__all__ = ["QUOTE", "Fault", "Path", "Problem", "describe", "likely", "nearest", "path_text", "printable"]

QUOTE = "quote it"
"""The remedy where YAML made a number, a truth value or a time of what was meant as text."""

LENGTHS = 4
NAMES_MAX = 60

Path = tuple[str | int, ...]
"""Keys and indexes from a document's root to a value."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Lines and columns count from 1; `path` is kubectl's (`spec.steps[2].weight`).

    `nearest` is the known name that was probably meant, if there is one.
    """

    file: str
    line: int
    column: int
    code: str
    path: str
    problem: str
    remedy: str
    nearest: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        what = f"{self.problem} — {self.remedy}"
        return printable(f"{where} {self.path}: {what}" if self.path else f"{where}: {what}")

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        """By file, line, column."""
        return (self.file, self.line, self.column, self.path, self.code)

    def as_json(self) -> dict[str, object]:
        """The fault as `pointsman validate -o json` prints it."""
        return {
            "code": self.code,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "problem": self.problem,
            "remedy": self.remedy,
            "nearest": self.nearest,
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault before its place is known: what a rule says of the value at `path`."""

    code: str
    path: Path
    problem: str
    remedy: str
    nearest: str | None = None


def printable(text: str) -> str:
    """The text in one line, with control characters written out: what was pushed may not steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def path_text(path: Path) -> str:
    """A path as kubectl writes it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def describe(value: object) -> str:
    """What YAML made of a value, in words: `the number 1.1`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case dict():
            return "a map"
        case date():
            return f"the time {value}"
        case _:
            return "binary data"


def likely(name: str, known: Iterable[str]) -> list[str]:
    """Those of the names that are worth comparing with this one.

    Every fault asks, and there may be thousands of faults and of names: of many, some that begin alike.
    """
    names = [item for item in known if abs(len(item) - len(name)) <= LENGTHS]
    if len(names) > NAMES_MAX:
        names = [item for item in names if item[:1] == name[:1]]
    return sorted(names)[:NAMES_MAX]


def nearest(name: str, known: Iterable[str], likeness: float = 0.5) -> str | None:
    """The known name closest to this one, if any is as like as `likeness` (1: the same); case is no distance."""
    folded = {item.casefold(): item for item in likely(name, known)}
    found = get_close_matches(name.casefold(), list(folded), n=1, cutoff=likeness)
    return folded[found[0]] if found else None
