"""Bad answers of all answers: how much one tick speaks for "the canary's odds are ψ times stable's"."""

from math import log, log1p

from pointsman.core.judge.block import log_block

__all__ = ["ODDS", "WEIGHTS", "bad_rate", "log_evidence"]

ODDS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 1000.0)
"""Alternatives: odds of a bad answer, canary's over stable's (with a margin: ratios beyond the margin)."""

WEIGHTS = (0.10, 0.16, 0.18, 0.22, 0.14, 0.12, 0.08)


def bad_rate(bad: float, requests: float) -> float:
    """Stable's share of bad answers so far, kept off 0 and 1.

    Only a bet is made with it: a wrong rate costs power, never validity.
    """
    return min(max((bad + 0.5) / (requests + 100.0), 1e-6), 0.5)


def log_evidence(
    canary: tuple[int, int], baseline: tuple[int, int], *, rate: float, odds: float, margin: float = 1.0
) -> float:
    """Nats for one alternative; each arm is (bad, requests).

    With `margin` 1 the null is "not worse than stable", and odds are bet on. With a greater one the null is "at
    most `margin` times stable's share": then only bad answers are counted, which is exact for rare ones and
    gives away a little for frequent ones.
    """
    (k_c, n_c), (k_b, n_b) = canary, baseline
    if not n_c or not n_b:
        return 0.0
    if margin == 1.0:
        worse = odds * rate / (1.0 - rate + odds * rate)
        return log_block((n_c - k_c, k_c), (n_b - k_b, k_b), ((1.0 - worse) / (1.0 - rate), worse / rate))
    ratio = odds / margin
    share = margin * n_c / (margin * n_c + n_b)
    return k_c * log(ratio) - (k_c + k_b) * log1p(share * (ratio - 1.0))
