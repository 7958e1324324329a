"""The mean of a score: whether the canary's is worse than stable's.

Where the score is declared bounded, nothing else is assumed. For a loss y in [0, 1] with mean μ, any x̂ that was fixed
before and 0 <= λ < 1, exp(λ(y − μ) − ψ(λ)(y − x̂)²) has an expectation of at most 1, ψ(λ) = −ln(1 − λ) − λ
(Fan, Grama and Liu 2015; Waudby-Smith and Ramdas 2024, empirical Bernstein). The same holds for −y. Multiplied over
both arms with λ_c·n_c = λ_b·n_b the unknown mean falls out: what is left needs n, Σx and Σx² of each arm alone.

Otherwise a block of requests is compared by the normal approximation of its mean. That is right for scores that are
nearly symmetric only (measured: 7 % false for log-normal values), hence it bets only while the skewness of stable's
own values, from their third moment, is below 1. Durations, sizes and costs are histograms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, log1p, sqrt

__all__ = [
    "BLOCK_MIN",
    "EFFECTS",
    "RATES",
    "Scale",
    "interval",
    "log_bounded",
    "log_normal",
    "psi",
    "skewness",
    "terms",
]

RATES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""λ of the bounded form."""

EFFECTS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Standard deviations by which the canary is worse, of the normal form."""

BLOCK_MIN = 20
"""Requests of each arm in a block, at least."""

SKEWNESS_MAX = 1.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a score lies and which end is worse."""

    least: float = 0.0
    most: float = 1.0
    worse: str = "Higher"

    def loss(self, sums: Sequence[float]) -> tuple[float, float, float]:
        """(n, Σy, Σy²) of the loss in [0, 1], from n, Σx, Σx² of the score."""
        n, total, squares = sums[0], sums[1], sums[2]
        width = self.most - self.least
        y = (total - n * self.least) / width
        yy = (squares - 2.0 * self.least * total + n * self.least * self.least) / (width * width)
        return (n, y, yy) if self.worse == "Higher" else (n, n - y, n - 2.0 * y + yy)


def psi(rate: float) -> float:
    return -log1p(-rate) - rate


def log_bounded(
    canary: tuple[float, float, float], baseline: tuple[float, float, float], *, rate: float, centre: float
) -> float:
    """Nats for one λ of losses (n, Σy, Σy²); `centre` is stable's mean loss so far, kept inside [0, 1]."""
    advantage, penalty, _ = terms(canary, baseline, rate=rate, centre=centre)
    return advantage - penalty


def terms(
    canary: tuple[float, float, float], baseline: tuple[float, float, float], *, rate: float, centre: float
) -> tuple[float, float, float]:
    """λ(Σy − Σy₀) at equal weight, what is paid for it, and how it falls with a difference δ of the means."""
    (n_c, y_c, yy_c), (n_b, y_b, yy_b) = canary, baseline
    if n_c <= 0 or n_b <= 0:
        return 0.0, 0.0, 0.0
    share = n_c / (n_c + n_b)
    rate_c, rate_b = rate * (1.0 - share), rate * share
    spread_c = max(0.0, yy_c - 2.0 * centre * y_c + n_c * centre * centre)
    spread_b = max(0.0, yy_b - 2.0 * centre * y_b + n_b * centre * centre)
    return rate_c * y_c - rate_b * y_b, psi(rate_c) * spread_c + psi(rate_b) * spread_b, rate_c * n_c


def interval(sums: Sequence[Sequence[float]], weight: float) -> tuple[float, float]:
    """The interval for the difference of the mean losses, canary's less stable's, in parts of the score's width.

    `sums` holds for each λ the added-up terms (advantage, penalty, exposure); each may be wrong in 5 % · `weight`.
    """
    needed = log(20.0 / weight)
    lower = max(((a - p - needed) / x for a, p, x in sums if x > 0.0), default=-inf)
    upper = min(((a + p + needed) / x for a, p, x in sums if x > 0.0), default=inf)
    return max(lower, -1.0), min(upper, 1.0)


def log_normal(
    canary: Sequence[float], baseline: Sequence[float], *, variance: float, known: float, effect: float, worse: str
) -> float:
    """Nats for one effect, in standard deviations, of a block; `variance` is stable's, from `known` values."""
    n_c, n_b = canary[0], baseline[0]
    deviation = sqrt(variance * (1.0 + 2.0 / sqrt(max(known, 1.0))))
    if deviation <= 0.0:
        return 0.0
    d = (canary[1] / n_c - baseline[1] / n_b) / deviation
    if worse == "Lower":
        d = -d
    v = 1.0 / n_c + 1.0 / n_b
    return effect * d / v - effect * effect / (2.0 * v)


def skewness(sums: Sequence[float]) -> float | None:
    """Of values with n, Σx, Σx², Σx³; None where the third sum is not known or there are too few."""
    if len(sums) < 4 or sums[0] < BLOCK_MIN:
        return None
    n, a, b, c = sums[:4]
    mean = a / n
    variance = b / n - mean * mean
    if variance <= 0.0:
        return 0.0
    return float((c / n - 3.0 * mean * b / n + 2.0 * mean**3) / variance**1.5)
