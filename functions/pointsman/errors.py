"""Expected failures: what happened, where, and how to mend it.

Every error that a port, a handler or a document can give is one of these. The class says
whether the same event may succeed later; it imports nothing, so that everything may import it.
"""

from typing import ClassVar

__all__ = [
    "Absent",
    "Conflict",
    "Denied",
    "Invalid",
    "PointsmanError",
    "QuotaExceeded",
    "StockOut",
    "Unavailable",
]


class PointsmanError(Exception):
    """Base of all expected failures.

    `what` is one sentence without a full stop, `where` a file, object or field, `remedy` the next
    thing to do. `retry` tells the function runtime whether the same event may succeed later.
    """

    code: ClassVar[str] = "error"
    retry: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} — {self.remedy}" if self.remedy else text

    def as_json(self) -> dict[str, str]:
        """The shape in which a step function refuses: code, what, where, remedy."""
        return {"code": self.code, "what": self.what, "where": self.where, "remedy": self.remedy}


class Invalid(PointsmanError):
    """The user's mistake: nothing was done, and asking again changes nothing."""

    code = "invalid"


class Absent(PointsmanError):
    """A thing that was named does not exist."""

    code = "absent"


class Denied(PointsmanError):
    """A service answered 401 or 403, or the caller may not do this."""

    code = "denied"


class Conflict(PointsmanError):
    """A compare-and-set or a resourceVersion was lost to somebody who wrote first: read again."""

    code = "conflict"
    retry = True


class Unavailable(PointsmanError):
    """A service answered 429, 5xx or not at all, or is busy; asking later may succeed."""

    code = "unavailable"
    retry = True


class StockOut(PointsmanError):
    """There are no such machines there now."""

    code = "stock-out"


class QuotaExceeded(PointsmanError):
    """A quota or a cap forbids it; asking again does not help."""

    code = "quota-exceeded"
