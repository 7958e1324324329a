"""What can be found out with how many requests: the least that any test needs, and what ours can detect.

Wald and Lorden: a test that is wrong in at most α of healthy rollouts and finds nearly every regression needs
ln(1/α)/I requests of the canary on average, I the information of one of them: I = KL(p₁‖p̄) + (1 − π)/π·KL(p₀‖p̄), with
the canary's share π and p̄ = πp₁ + (1 − π)p₀: stable's rate is not known beforehand.
"""

from collections.abc import Sequence
from math import log

__all__ = ["DETECTABLE_NATS", "detectable", "information"]

DETECTABLE_NATS = 10.0
"""Information at which about three in four regressions are found (5.7: a half, 13: 19 of 20; simulated)."""

RATIOS = tuple(1.05**step for step in range(1, 130))


def information(null: Sequence[float], alternative: Sequence[float], share: float) -> float:
    """Nats per request of the canary; `null` and `alternative` are cell probabilities of stable and canary."""
    mixed = [share * p1 + (1.0 - share) * p0 for p0, p1 in zip(null, alternative, strict=True)]
    return _divergence(alternative, mixed) + (1.0 - share) / share * _divergence(null, mixed)


def detectable(rate: float, steps: Sequence[tuple[float, float]], nats: float = DETECTABLE_NATS) -> float | None:
    """The least ratio of bad answers that is likely found in steps of (canary's share, canary's requests); None where
    not even a canary that always fails would be."""
    for times in RATIOS:
        worse = min(1.0, rate * times)
        null, alternative = (1.0 - rate, rate), (1.0 - worse, worse)
        if sum(n * information(null, alternative, share) for share, n in steps if 0.0 < share < 1.0 and n) >= nats:
            return times
        if worse == 1.0:
            break
    return None


def _divergence(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * log(a / b) for a, b in zip(p, q, strict=True) if a > 0.0)
