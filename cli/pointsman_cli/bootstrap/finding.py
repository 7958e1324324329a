"""What a check has to say: verdict, evidence, and the command that mends it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from pointsman.errors import Absent, Denied, PointsmanError, Unavailable

if TYPE_CHECKING:
    from pointsman_cli.bootstrap.site import Site

__all__ = ["Check", "Finding", "Verdict", "each", "fail", "run", "unread", "warn"]

Verdict = Literal["ok", "warn", "fail", "unknown"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """`command` is exactly what to type; for `unknown` it is what lets one look. `subject` is what is meant."""

    verdict: Verdict
    subject: str
    evidence: str
    command: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """`look` yields only what is not well. `good` is said when it yields nothing.

    `stage`: a check of what must hold `before` apply is made after it, too; one of what is deployed only `after`.
    """

    id: str
    stage: Literal["before", "after"]
    good: str
    look: "Callable[[Site], Iterator[Finding]]"


def fail(subject: str, evidence: str, command: str) -> Finding:
    return Finding("fail", subject, evidence, command)


def warn(subject: str, evidence: str, command: str) -> Finding:
    return Finding("warn", subject, evidence, command)


def unread(error: PointsmanError, subject: str = "") -> Finding:
    """What could not be looked at is unknown, and never well."""
    evidence = f"{error.where}: {error.what}" if error.where else error.what
    return Finding("unknown", subject or error.where, evidence, error.remedy)


def each(
    items: Iterable[T], look: Callable[[T], Iterator[Finding]], name: Callable[[T], str] = str
) -> Iterator[Finding]:
    """`look` at every item: one that cannot be read hides no other."""
    for item in items:
        try:
            yield from look(item)
        except (Denied, Absent, Unavailable) as error:
            yield unread(error, name(item))


def run(check: Check, site: "Site") -> list[Finding]:
    """A check's findings, at least one."""
    found: list[Finding] = []
    try:
        found.extend(check.look(site))
    except (Denied, Absent, Unavailable) as error:
        found.append(unread(error))
    return [replace(one, check=check.id) for one in found or [Finding("ok", "", check.good)]]
