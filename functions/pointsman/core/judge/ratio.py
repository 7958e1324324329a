"""Bad answers of all answers: how much one tick speaks for "the canary's odds are ψ times stable's"."""

from math import log, log1p

from pointsman.core.judge.block import log_block

__all__ = ["ODDS", "WEIGHTS", "bad_rate", "beyond", "log_beyond", "log_evidence"]

ODDS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 1000.0)
"""Alternatives: odds of a bad answer, canary's over stable's."""

WEIGHTS = (0.10, 0.16, 0.18, 0.22, 0.14, 0.12, 0.08)

BEYOND_LEAST = 1.25
"""How far beyond a margin is bet on, at least, where an alternative lies within it."""


def bad_rate(bad: float, requests: float) -> float:
    """Stable's share of bad answers so far, kept off 0 and 1.

    Only a bet is made with it: a wrong rate costs power, never validity.
    """
    return min(max((bad + 0.5) / (requests + 100.0), 1e-6), 0.5)


def log_evidence(canary: tuple[int, int], baseline: tuple[int, int], *, rate: float, odds: float) -> float:
    """Nats for one alternative against "not worse than stable"; each arm is (bad, requests)."""
    (k_c, n_c), (k_b, n_b) = canary, baseline
    if not n_c or not n_b:
        return 0.0
    worse = odds * rate / (1.0 - rate + odds * rate)
    return log_block((n_c - k_c, k_c), (n_b - k_b, k_b), ((1.0 - worse) / (1.0 - rate), worse / rate))


def log_beyond(canary: tuple[float, float], baseline: tuple[float, float], *, beyond: float, margin: float) -> float:
    """Nats for "`beyond` times as much as the margin" against "at most `margin` times stable's share".

    Only bad answers count: exact for rare ones, and gives away a little for frequent ones. (The conditional binomial,
    given all bad answers.)
    """
    (k_c, n_c), (k_b, n_b) = canary, baseline
    if not n_c or not n_b:
        return 0.0
    share = margin * n_c / (margin * n_c + n_b)
    return k_c * log(beyond) - (k_c + k_b) * log1p(share * (beyond - 1.0))


def beyond(odds: float, rate: float, margin: float) -> float:
    """How many times beyond the margin an alternative of so many times the odds lies."""
    worse = odds / (1.0 - rate + odds * rate)
    return max(BEYOND_LEAST, worse / margin)
