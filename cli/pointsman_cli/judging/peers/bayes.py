"""The Bayesian A/B rule: roll back when the canary is probably worse, asked again and again."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

from pointsman_cli.judging.peers.windows import Outcome, Window, counted, ends, every, last_s, total

__all__ = ["Bayes", "probability_worse"]

NEGLIGIBLE = -37.0
"""ln 1e-16."""


@dataclass(frozen=True, slots=True)
class Bayes:
    """P(canary's share > stable's | everything since the start) > `probability`, uniform priors, every interval."""

    name: str
    probability: float = 0.99
    interval_s: float = 60.0
    slower_than_ms: float | None = None

    def decide(self, windows: Sequence[Window], *, over: bool) -> Outcome:
        worse = 0.5
        for t_s in every(ends(windows), self.interval_s):
            worse = probability_worse(*counted(total(windows, -1.0, t_s), self.slower_than_ms))
            if worse > self.probability:
                return Outcome(self.name, "rolled_back", t_s, f"worse with probability {worse:.4f}")
        end_s = last_s(windows)
        return Outcome(self.name, "promoted" if over else "continuing", end_s, f"worse with probability {worse:.4f}")


def probability_worse(bad: int, requests: int, stable_bad: int, stable_requests: int) -> float:
    """P(p_canary > p_stable) of two beta posteriors with uniform priors; even while an arm has answered nothing.

    Miller (2014), "Formulas for Bayesian A/B testing": with integers it is a finite sum,
    Σ_{i<a} B(α+i, b+β) / ((b+i) B(1+i, b) B(α, β)), of which each term follows from the one before.
    """
    if not requests or not stable_requests:
        return 0.5  # A flat prior alone is far above any usual error rate.
    b, alpha, beta = requests - bad + 1, stable_bad + 1, stable_requests - stable_bad + 1
    log_term = lgamma(b + beta) + lgamma(alpha + beta) - lgamma(alpha + b + beta) - lgamma(beta)
    worse = 0.0
    for i in range(bad + 1):
        worse += exp(log_term)
        step = log((alpha + i) / (alpha + i + b + beta) * ((b + i) / (1 + i)))
        if log_term < NEGLIGIBLE and step < 0.0:
            break
        log_term += step
    return worse
