"""What evidence is worth, as people say it."""

from math import log

__all__ = ["strength"]


def strength(nats: float, needed: float) -> str:
    """What the evidence is worth, in words. `needed` is where the canary goes back."""
    if nats >= needed:
        return "decisive"
    if nats >= needed - 1.0:
        return "strong, and just short of enough"
    if nats >= 0.5 * needed:
        return "a suspicion, not enough to act on"
    return "a hint at most" if nats >= log(3.0) else "none"
