"""The block e-value: what one tick says about two arms, whatever both of them do.

Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional
stopping" (2024). Each request falls into one of several cells (good or bad; a latency bucket). Between the
arms only the *proportions* matter: the expectation is at most 1 when the canary is not worse than stable in
this tick, with any cell probabilities, different in every tick. So an incident that hits both arms, drift
and the daily shape of the traffic cost nothing.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log, log1p

__all__ = ["isotonic", "log_block", "log_blocks"]


def log_block(canary: Sequence[int], baseline: Sequence[int], ratios: Sequence[float]) -> float:
    """Evidence, in nats, of one tick's counts per cell, for a bet of `ratios` fixed before the tick.

    `ratios[j]` is the alternative's probability of cell j over the null's, nondecreasing from the best cell to
    the worst; the least is at most 1 and the greatest at least 1. 0 when an arm is empty: no evidence, no harm.
    """
    canary_total, baseline_total = sum(canary), sum(baseline)
    if not canary_total or not baseline_total:
        return 0.0
    share = canary_total / (canary_total + baseline_total)
    total = 0.0
    for k, m, ratio in zip(canary, baseline, ratios, strict=True):
        if k or m:
            total += k * log(ratio) - (k + m) * log1p(share * (ratio - 1.0))
    return total


def log_blocks(
    canary: Sequence[int], baseline: Sequence[int], bets: Sequence[tuple[Sequence[float], Sequence[float]]]
) -> list[float]:
    """`log_block` for several bets on the same counts; each bet is its ratios and their logs."""
    canary_total, baseline_total = sum(canary), sum(baseline)
    if not canary_total or not baseline_total:
        return [0.0] * len(bets)
    share = canary_total / (canary_total + baseline_total)
    cells = [(j, k, k + b) for j, (k, b) in enumerate(zip(canary, baseline, strict=True)) if k or b]
    return [sum([k * logs[j] - m * log1p(share * (ratios[j] - 1.0)) for j, k, m in cells]) for ratios, logs in bets]


def isotonic(alternative: Sequence[float], null: Sequence[float]) -> list[float]:
    """The nondecreasing fit to `alternative / null`, weighted by `null`: pool adjacent violators.

    A running maximum would let one nearly empty cell ruin all those above it.
    """
    cells = list(zip(alternative, null, strict=True))
    if all(a1 * b0 < b1 * a0 for (a1, a0), (b1, b0) in pairwise(cells)):
        return [p1 / p0 for p1, p0 in cells]  # rises by itself, as nearly always
    above: list[float] = []
    below: list[float] = []
    sizes: list[int] = []
    for p1, p0 in cells:
        size = 1
        while sizes and above[-1] * p0 >= p1 * below[-1]:
            p1 += above.pop()
            p0 += below.pop()
            size += sizes.pop()
        above.append(p1)
        below.append(p0)
        sizes.append(size)
    return [p1 / p0 for p1, p0, size in zip(above, below, sizes, strict=True) for _ in range(size)]
