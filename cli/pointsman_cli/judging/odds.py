"""Evidence as people say it: odds, and what they are worth."""

from math import exp, log

__all__ = ["odds", "strength"]

TEN = log(10.0)
SAID_MAX = 16.0
"""Beyond e^16 the figures of the odds mean nothing to anybody; their power of ten does."""


def odds(nats: float) -> str:
    """Evidence in nats as odds: `120 to 1`; where it speaks for the canary, `1 to 8`."""
    if nats < -SAID_MAX:
        return f"1 to 10^{-nats / TEN:.0f}"
    if nats < -0.05:
        return f"1 to {_round(exp(-nats))}"
    return f"{_round(exp(nats))} to 1" if nats <= SAID_MAX else f"10^{nats / TEN:.0f} to 1"


def strength(nats: float, needed: float) -> str:
    """What the evidence is worth, in words. `needed` is where the canary goes back."""
    if nats >= needed:
        return "decisive"
    if nats >= needed - 1.0:
        return "strong, and just short of enough"
    if nats >= 0.5 * needed:
        return "a suspicion, not enough to act on"
    return "a hint at most" if nats >= log(3.0) else "none"


def _round(times: float) -> str:
    return f"{times:.2g}" if times < 10.0 else f"{times:,.0f}"
