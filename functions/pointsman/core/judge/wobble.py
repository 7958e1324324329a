"""How much stable's bad answers come in bursts, where pods are not known: from its counts tick after tick.

Of two ticks in a row, with equal numbers of requests, the first has half of the bad answers but for luck:
z² = (k₁ − k₂)² / (k₁ + k₂) is 1 on average for independent requests, whatever the rate is and however slowly it
drifts. Bursts inside a tick raise it. The two greatest terms are left out: an incident's beginning and its end.

This sees only what stable does as a whole, which bursts of a single pod are a part of: it is a stopgap. Report pods.
"""

from dataclasses import dataclass
from math import sqrt
from typing import cast

from pointsman.core.names import JSON

__all__ = ["Wobble"]

SIGMAS = 3.0
TERMS_MIN = 8
BAD_MIN = 2


@dataclass(slots=True)
class Wobble:
    """z² of pairs of ticks with at least two bad answers, added up; `greatest` are the two that are left out, `last` is
    the last tick's (bad, requests)."""

    total: float = 0.0
    terms: int = 0
    greatest: tuple[float, float] = (0.0, 0.0)
    last: tuple[int, int] | None = None

    def take(self, bad: int, requests: int) -> None:
        """Learn from one tick of stable's."""
        if not requests:
            return
        if self.last is not None:
            before, then = self.last
            both = before + bad
            if both >= BAD_MIN:
                share = requests / (requests + then)
                expected = both * share
                spread = both * share * (1.0 - share)
                first, second, least = sorted((*self.greatest, (bad - expected) ** 2 / spread), reverse=True)
                self.greatest = first, second
                self.total += least
                self.terms += 1
                self.last = None
                return
        self.last = (bad, requests)

    def divisor(self) -> float:
        """By what the evidence is divided: 1 while the bad answers are no more uneven than by luck."""
        if self.terms < TERMS_MIN:
            return 1.0
        phi = self.total / (self.terms - len(self.greatest))
        return 1.0 + 4.0 * (phi - 1.0) if phi > 1.0 + SIGMAS * sqrt(2.0 / self.terms) else 1.0

    def as_json(self) -> dict[str, object]:
        return {
            "total": self.total,
            "terms": self.terms,
            "greatest": self.greatest,
            "last": list(self.last) if self.last else None,
        }

    @classmethod
    def of(cls, data: JSON | None) -> "Wobble":
        if data is None:
            return cls()
        last = cast("list[int] | None", data["last"])
        first, second = cast("list[float]", data["greatest"])
        seen = (last[0], last[1]) if last is not None else None
        return cls(cast("float", data["total"]), cast("int", data["terms"]), (first, second), seen)
