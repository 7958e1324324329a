"""How far off a share seen in a few simulations may be."""

from collections.abc import Callable
from math import exp, lgamma, log, log1p

__all__ = ["interval"]


def interval(found: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a share of which `found` of `of` were seen: exact, C. Clopper and E. Pearson, "The use of confidence
    or fiducial limits illustrated in the case of the binomial" (1934)."""
    each = (1.0 - confidence) / 2.0
    lower = 0.0 if found == 0 else _solve(lambda share: 1.0 - _at_most(found - 1, of, share) - each)
    upper = 1.0 if found == of else _solve(lambda share: each - _at_most(found, of, share))
    return lower, upper


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if rising(middle) < 0.0 else (low, middle)
    return high


def _at_most(found: int, of: int, share: float) -> float:
    if not 0.0 < share < 1.0:
        return 1.0 if share <= 0.0 else 0.0
    return sum(
        exp(lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1) + k * log(share) + (of - k) * log1p(-share))
        for k in range(found + 1)
    )
