"""How many times stable's share of bad answers the canary's may be: an interval that holds at every look.

For each ratio ρ of a ladder the margin form of `ratio` is run against "at least ρ times" (betting on fewer) and
against "at most ρ times" (betting on more). A ratio whose e-value once reached 20 is out, for good: the interval of
those that are left covers the true ratio, at all times together, in 95 % of rollouts on each side (Ville's inequality;
Howard, Ramdas, McAuliffe and Sekhon 2021 call it a confidence sequence). It is apart from the evidence that rolls back.
"""

from collections.abc import Sequence
from math import inf, lgamma, log, log1p
from typing import cast

from pointsman.core.judge.onset import log_sum

__all__ = ["OUT", "Bounds", "is_share_below", "share_bounds", "share_upper"]

OUT = log(20.0)
"""Evidence, in nats, at which a ratio is out: 5 % on each side."""

SCALE = 10_000.0
"""Parts of a nat that evidence is kept to: an interval needs no finer ones, and the state is small. (For the same
reason the rungs lie close together only where it matters whether harm is small.)"""

HALVINGS = 24

LADDER = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 25.0, 50.0)
LOWER_LADDER = (0.4, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0, 20.0)

FEWER = ((1.0, log(0.8)), (0.5, log(0.2)))
"""Ratios that are bet on against "at least ρ", with the logs of their weights."""

MORE = ((1.5, log(0.5)), (4.0, log(0.5)))
"""How many times beyond ρ is bet on against "at most ρ"."""


def _rung(rho: float, ratios: Sequence[float]) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """A rung with both bets against it: each's logarithm, and how much it is more than 1."""
    first, second = ((log(ratio), ratio - 1.0) for ratio in ratios)
    return rho, first, second


_FEWER = tuple(_rung(rho, [ratio / rho for ratio, _ in FEWER]) for rho in LADDER)
_MORE = tuple(_rung(rho, [beyond for beyond, _ in MORE]) for rho in LOWER_LADDER)


class Bounds:
    """The interval for the ratio of the shares of bad answers, canary's over stable's."""

    __slots__ = ("_lower", "_upper")

    def __init__(self) -> None:
        # A ladder's rungs that are not out yet, with the evidence of both bets against each.
        self._upper = [[0.0, 0.0] for _ in LADDER]
        self._lower = [[0.0, 0.0] for _ in LOWER_LADDER]

    @property
    def upper(self) -> float:
        """The least ratio that is out from above; infinite while none is."""
        return LADDER[len(self._upper)] if len(self._upper) < len(LADDER) else inf

    @property
    def lower(self) -> float:
        """The greatest ratio that is out from below; 0 while none is."""
        out = len(LOWER_LADDER) - len(self._lower)
        return LOWER_LADDER[out - 1] if out else 0.0

    @property
    def most(self) -> float:
        """The ratio at most, as of now: `upper`, but infinite once every ratio is out from one end or the other. Then
        it was one at first and is another now, and what was out from above before says nothing of it any more."""
        return self.upper if self.lower <= self.upper else inf

    def take(
        self,
        canary: tuple[float, float],
        baseline: tuple[float, float],
        *,
        divisor: float = 1.0,
        capped: tuple[float, float] | None = None,
    ) -> None:
        """One tick's (bad, requests) of both arms.

        Where pods' counts spread, evidence from above is divided by `divisor`, and from below the arms' counts
        `capped` at one a pod and tick stand for them: for those nothing need be known of the spread.
        """
        (k_c, n_c), (k_b, n_b) = canary, baseline
        if not n_c or not n_b or not k_c + k_b:
            return  # only bad answers count
        _bet(self._upper, _FEWER, canary, baseline, divisor)
        if capped is not None:
            canary, baseline, divisor = (capped[0], n_c), (capped[1], n_b), 1.0
        _bet(self._lower, _MORE[len(_MORE) - len(self._lower) :], canary, baseline, divisor)
        self._drop()

    def needed(self, rho: float) -> float:
        """Nats that are missing until "at least ρ times" is out; 0 when it is."""
        index = next((i for i, rung in enumerate(LADDER) if rung >= rho), len(LADDER) - 1)
        return 0.0 if index >= len(self._upper) else max(0.0, OUT - _value(self._upper[index], FEWER))

    def _drop(self) -> None:
        for index, (a, b) in enumerate(self._upper):
            if max(a, b) >= OUT and _value((a, b), FEWER) >= OUT:
                del self._upper[index:]
                break
        for index in range(len(self._lower) - 1, -1, -1):
            a, b = self._lower[index]
            if max(a, b) >= OUT and _value((a, b), MORE) >= OUT:
                del self._lower[: index + 1]
                break

    def as_json(self) -> list[list[list[float]]]:
        """Rungs that are out are gone."""
        return [[list(rung) for rung in side] for side in (self._upper, self._lower)]

    @classmethod
    def of(cls, data: object) -> "Bounds":
        """From what `as_json` wrote; None: from the beginning."""
        found = cls()
        if data is not None:
            upper, lower = cast("list[list[list[float]]]", data)
            found._upper, found._lower = [list(rung) for rung in upper], [list(rung) for rung in lower]
        return found


def _bet(
    rungs: Sequence[list[float]],
    bets: Sequence[tuple[float, tuple[float, float], tuple[float, float]]],
    canary: tuple[float, float],
    baseline: tuple[float, float],
    divisor: float,
) -> None:
    (k_c, n_c), (k_b, n_b) = canary, baseline
    bad = k_c + k_b
    for rung, (rho, (log_a, a), (log_b, b)) in zip(rungs, bets, strict=False):
        share = rho * n_c / (rho * n_c + n_b)
        # Cut off, not rounded: that takes half the time, and is as well for so many digits.
        rung[0] = int((rung[0] + (k_c * log_a - bad * log1p(share * a)) / divisor) * SCALE) / SCALE
        rung[1] = int((rung[1] + (k_c * log_b - bad * log1p(share * b)) / divisor) * SCALE) / SCALE


def _value(rung: Sequence[float], bets: Sequence[tuple[float, float]]) -> float:
    return log_sum([weight + nats for nats, (_, weight) in zip(rung, bets, strict=True)])


def share_bounds(bad: float, requests: float) -> tuple[float, float]:
    """The interval for a share itself, from all counts so far: those p whose likelihood a Beta(½, ½) mixture does not
    beat 20 to 1. Holds at every look (Robbins 1970; the mixture's e-value is a ratio of Beta functions)."""
    return 1.0 - share_upper(requests - bad, requests) if bad else 0.0, share_upper(bad, requests)


def is_share_below(limit: float, bad: float, requests: float) -> bool:
    """Whether `share_upper` is at most `limit`."""
    if requests <= 0 or bad >= limit * requests:
        return False
    return _mixture(bad, requests) - bad * log(limit) - (requests - bad) * log1p(-limit) >= OUT


def _mixture(bad: float, requests: float) -> float:
    """log of B(bad + ½, good + ½) / B(½, ½)."""
    good = requests - bad
    return lgamma(bad + 0.5) + lgamma(good + 0.5) - lgamma(requests + 1.0) - 2.0 * lgamma(0.5) + lgamma(1.0)


def share_upper(bad: float, requests: float) -> float:
    """The upper end of `share_bounds`."""
    if requests <= 0 or bad >= requests:
        return 1.0
    good, mixture = requests - bad, _mixture(bad, requests)

    def beaten(p: float) -> float:
        return mixture - bad * log(p) - good * log1p(-p) - OUT

    inside, outside = max(bad / requests, 1e-12), 1.0 - 1e-12
    if beaten(outside) < 0.0:
        return 1.0
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2.0
        if beaten(middle) < 0.0:
            inside = middle
        else:
            outside = middle
    return outside
