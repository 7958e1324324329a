"""Random counts from a `random.Random`: exact, in plain Python, so that a seed gives the same counts everywhere."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import exp, floor, lgamma, log, log1p, sqrt
from random import Random

__all__ = ["binomial", "histogram", "poisson"]

ONE_BY_ONE = 10.0


def poisson(random: Random, mean: float) -> int:
    """A Poisson count. Small means by multiplication; others by transformed rejection, PTRS in W. Hörmann, "The
    transformed rejection method for generating Poisson random variables" (1993)."""
    if mean <= 0.0:
        return 0
    if mean < ONE_BY_ONE:
        least, product, count = exp(-mean), random.random(), 0
        while product > least:
            product *= random.random()
            count += 1
        return count
    root = sqrt(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    accepted = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u, v = random.random() - 0.5, random.random()
        us = 0.5 - abs(u)
        if us == 0.0:
            continue
        k = floor((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= accepted:
            return k
        if k < 0 or (us < 0.013 and v > us) or v == 0.0:
            continue
        if log(v) + log(inverse_alpha) - log(a / (us * us) + b) <= k * log(mean) - mean - lgamma(k + 1):
            return k


def binomial(random: Random, trials: int, share: float) -> int:
    """How many of `trials` succeed, each with probability `share`: by the gaps between the rarer outcome."""
    if share > 0.5:
        return trials - binomial(random, trials, 1.0 - share)
    if share <= 0.0:
        return 0
    rate, at, count = log1p(-share), 0, 0
    while True:
        at += int(log(1.0 - random.random()) / rate) + 1
        if at > trials:
            return count
        count += 1


def histogram(random: Random, mean: float, shares: Sequence[float]) -> list[int]:
    """Counts by cell of a Poisson number of requests, each in cell j with probability `shares[j]`.

    Few requests are drawn one by one, many cell by cell: the counts of a Poisson number are independent.
    """
    if mean > 2.0 * len(shares):
        return [poisson(random, mean * share) for share in shares]
    cells = [0] * len(shares)
    total = list(accumulate(shares))
    for _ in range(poisson(random, mean)):
        cells[min(bisect_right(total, random.random() * total[-1]), len(cells) - 1)] += 1
    return cells
