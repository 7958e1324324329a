"""`pointsman_cli.judging.peers.bayes.probability_worse` of arrays: the same sum, term by term for all at once."""

import numpy as np
from scipy.special import gammaln

from benchmarks.judge.batch import Counts, Floats
from pointsman_cli.judging.peers.bayes import NEGLIGIBLE

__all__ = ["probability_worse"]


def probability_worse(bad: Counts, requests: Counts, stable_bad: Counts, stable_requests: Counts) -> Floats:
    """P(p_canary > p_stable) of beta posteriors with uniform priors."""
    size, unknown = bad.shape, (requests == 0) | (stable_requests == 0)
    bad, b = bad.ravel(), (requests - bad + 1).ravel()
    alpha, beta = (stable_bad + 1).ravel(), (stable_requests - stable_bad + 1).ravel()
    log_term = gammaln(b + beta) + gammaln(alpha + beta) - gammaln(alpha + b + beta) - gammaln(beta)
    worse = np.zeros(bad.shape)
    open_ = np.arange(len(bad))
    i = 0
    while open_.size:
        worse[open_] += np.exp(log_term)
        step = np.log((alpha + i) / (alpha + i + b + beta) * ((b + i) / (1 + i)))
        kept = (bad[open_] > i) & ~((log_term < NEGLIGIBLE) & (step < 0.0))
        open_, log_term = open_[kept], (log_term + step)[kept]
        alpha, beta, b = alpha[kept], beta[kept], b[kept]
        i += 1
    return np.where(unknown, 0.5, worse.reshape(size))
