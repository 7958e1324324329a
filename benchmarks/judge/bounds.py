"""What any test could do at best, and how sure a counted share is."""

from math import inf, log

import numpy as np
from scipy.special import betaincinv

from benchmarks.judge.batch import Floats
from benchmarks.judge.families import Family
from benchmarks.judge.scenarios import SPLITS, STEP_S, cells

__all__ = ["information_bound", "lower", "upper"]


def upper(found: int, of: int, *, confidence: float = 0.99) -> float:
    """Clopper and Pearson's one-sided upper bound of a share."""
    return 1.0 if found >= of else float(betaincinv(found + 1.0, of - found, confidence))


def lower(found: int, of: int, *, confidence: float = 0.99) -> float:
    """The lower bound likewise."""
    return 0.0 if found <= 0 else float(betaincinv(found, of - found + 1.0, 1.0 - confidence))


def information_bound(family: Family, alpha: float) -> float:
    """Canary requests that any test needs on average, ln(1/alpha) / I, with false alarms at most `alpha`: even one
    that knows the regression, and looks after each request (Wald, Lorden).

    I is the information of one canary request beside the stable ones of the same time, in the step in which the
    regression begins; that of errors or that of latency, whichever is regressed.
    """
    split = SPLITS[int(family.onset_s / STEP_S)]
    if family.errors != 1.0:
        worse = min(1.0, family.base * family.errors)
        null, alternative = np.array([1.0 - family.base, family.base]), np.array([1.0 - worse, worse])
    else:
        null = cells(family, np.ones(1))[0]
        slower = cells(family, np.full(1, family.slower))[0]
        alternative = family.slow_share * slower + (1.0 - family.slow_share) * null
    mixed = split * alternative + (1.0 - split) * null
    information = _divergence(alternative, mixed) + (1.0 - split) / split * _divergence(null, mixed)
    return log(1.0 / alpha) / information if information > 0.0 else inf


def _divergence(p: Floats, q: Floats) -> float:
    some = p > 0.0
    return float((p[some] * np.log(p[some] / q[some])).sum())
