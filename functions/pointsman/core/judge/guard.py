"""The guard where there is nothing to compare with: a first deployment, or all traffic on the canary.

Null: at most `limit` of the answers are bad. A rule such as "five errors in a row" has no bound on how often it
is wrong; this one has. It bets only where no stable side is to answer.
"""

from math import log

__all__ = ["WEIGHTS", "alternatives", "log_evidence"]

WEIGHTS = (1 / 3, 1 / 3, 1 / 3)


def alternatives(limit: float) -> tuple[float, ...]:
    """Shares of bad answers that are bet on, none below `limit` (a share, at most 0.95)."""
    return min(0.95, 2.0 * limit), (1.0 + limit) / 2.0, 0.98


def log_evidence(bad: int, requests: int, *, limit: float, worse: float) -> float:
    """Nats for `worse`, of `bad` in `requests` answers."""
    return bad * log(worse / limit) + (requests - bad) * log((1.0 - worse) / (1.0 - limit))
