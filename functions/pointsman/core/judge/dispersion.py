"""How unequal stable's pods are among themselves: what a comparison of pods must forgive.

Errors come in bursts inside a pod, some pods are worse than others for as long as they live, and users may stick to
them. Then counts spread more than independent requests would, and a canary of few pods is wronged. Stable's own pods
show how much: every one of them is the same revision (A/A). Shares are compared inside each tick, so that what hits
all pods alike inflates nothing. Pods may as well be cells of users' hashes.

Per cap c, and over s ticks: φ = Σ(Y − μ)² / Σ μ(1 − w), with Y a pod's bad answers (each tick's at most c, added up),
w its share of the requests and μ = w·ΣY. A count that is at most c a pod and tick may be divided by c whatever its
distribution is: E[a^(Y/c)] <= 1 + (a − 1)·E[Y]/c, by convexity. Smaller divisors lean on what was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, inf, sqrt
from typing import cast

from pointsman.core.judge.counters import PodCounts
from pointsman.core.names import JSON

__all__ = ["CAPS", "CAP_WEIGHTS", "PODS_MANY", "PODS_MIN", "SPREAD_MAX", "TOTALS_MAX", "Dispersion"]

CAPS = (1, 3, 10, 30)
CAP_WEIGHTS = (0.35, 0.25, 0.20, 0.20)

PODS_MIN = 2
"""Pods of stable, at least, from which anything is learned."""

PODS_MANY = 8
"""So many are taken to be unequal until they are known; fewer, as one, since caution would leave them little power."""

FEW = {2: 63.0, 3: 9.5, 4: 5.1, 5: 3.8, 6: 3.1, 7: 2.7}
"""By how much the squared spread of so few pods is raised, since few pods often look more alike than they are:
(P − 1) over the tenth percentile of χ² with P − 1 degrees of freedom."""

BAD_MIN = 100
"""Bad answers from which spread can be told from luck. Fewer are not "no spread" but "unknown"."""

UNKNOWN = (1.0, 2.0, 6.0, 15.0)
"""Divisors, at least, while the spread is unknown: one for each cap."""

SEED_EXPECTED, SEED_TERMS = 1_000.0, 10_000
"""How much a recorder's own measurement weighs, in bad answers and in terms: an hour or so of twenty pods."""

TOTALS_MAX = 64
"""Pods whose totals are kept; those that served least are dropped first."""

BLOCK = 6
"""Ticks of the longer scale, at which bursts show that outlast a tick."""

SIGMAS = 3.0
DEVIATIONS = 1.96
"""How far, in standard deviations, pods of one revision may differ before it counts: one canary in forty lies beyond on
the worse side, and only what it is worse by beyond that is evidence."""

SPREAD_MAX = 0.5
"""τ at most: beyond that pods are no sample of one revision."""

_ALL = (*CAPS, 1_000_000_000)
_WIDTH = 3 + len(_ALL)


@dataclass(slots=True)
class _Scale:
    """Sums of one length of time, for each cap: (Y − μ)², μ(1 − w), and how many terms there were."""

    squares: list[float] = field(default_factory=lambda: [0.0] * len(_ALL))
    expected: list[float] = field(default_factory=lambda: [0.0] * len(_ALL))
    terms: int = 0
    free: int = 0

    def take(self, terms: int, squared: float, found: Sequence[tuple[float, Sequence[int]]]) -> None:
        """Of so many pods, whose squared shares add up to `squared`, those that `found` bad answers: each one's share
        of the requests and its counts for each cap."""
        self.terms += terms
        self.free += terms - 1
        for index in range(len(_ALL)) if found else ():
            total = unlike = 0.0
            for _, of_pod in found:
                total += of_pod[index]
            for share, of_pod in found:
                y = of_pod[index]
                unlike += y * (y - 2.0 * share * total)
            self.squares[index] += total * total * squared + unlike
            self.expected[index] += total * (1.0 - squared)

    def phi(self, index: int) -> float:
        return self.squares[index] / self.expected[index] if self.expected[index] else 1.0

    def deviation(self, index: int) -> float:
        """Standard deviation of φ where there is no spread."""
        if not self.expected[index] or not self.free:
            return inf
        return sqrt((2.0 + self.terms / self.expected[index]) / self.free)

    def is_significant(self, index: int) -> bool:
        if self.squares[index] <= self.expected[index]:
            return False  # for most, and at once
        return self.phi(index) > 1.0 + SIGMAS * self.deviation(index)


@dataclass(slots=True)
class Dispersion:
    """What stable's pods showed so far of one class of bad answers; only ticks before the present one count.

    `totals` holds for each pod its requests and bad answers, then those of the longer scale's block that is running:
    requests and, for each cap, bad answers. `most` is the greatest count of a pod and tick, `pods` how many served
    last. `seeded` is a recorder's τ.
    """

    short: _Scale = field(default_factory=_Scale)
    long: _Scale = field(default_factory=_Scale)
    totals: dict[str, list[int]] = field(default_factory=dict)
    bad: int = 0
    ticks: int = 0
    most: int = 0
    pods: int = 0
    seeded: float | None = None

    @classmethod
    def seed(cls, phi: Sequence[float], spread: float | None, long: Sequence[float] = ()) -> "Dispersion":
        """What a recorder measured before: φ for each cap (the last one's for those that are missing), the same over
        the longer scale, and τ, where it did measure that."""
        return cls(_seeded(phi), _seeded(long) if long else _Scale(), seeded=spread)

    def take(self, pods: Sequence[PodCounts], bad: str) -> None:
        """Learn from one tick of stable's pods."""
        served = [pod for pod in pods if pod[1] > 0]
        self.pods = len(served)
        if len(served) < PODS_MIN:
            return
        totals = self.totals
        found: list[tuple[int, tuple[int, ...]]] = []
        all_requests = squares = 0
        for name, requests, classes, _ in served:
            whole = totals.get(name) or totals.setdefault(name, [0] * _WIDTH)
            whole[0] += requests
            whole[2] += requests
            all_requests += requests
            squares += requests * requests
            y = classes.get(bad, 0) if classes else 0
            if y:
                capped = tuple([y if y < cap else cap for cap in _ALL])
                found.append((requests, capped))
                whole[1] += y
                for index, count in enumerate(capped, start=3):
                    whole[index] += count
        if found:
            self.bad += sum([capped[-1] for _, capped in found])
            self.most = max(self.most, *[capped[-1] for _, capped in found])
        squared = squares / (all_requests * all_requests)
        self.short.take(len(served), squared, [(requests / all_requests, capped) for requests, capped in found])
        if len(totals) > TOTALS_MAX:
            del totals[min(totals, key=lambda name: totals[name][0])]
        self.ticks += 1
        if self.ticks % BLOCK == 0:
            self._end_block()

    def _end_block(self) -> None:
        parts = [whole for whole in self.totals.values() if whole[2]]
        all_requests = sum([whole[2] for whole in parts])
        squared = sum([whole[2] * whole[2] for whole in parts]) / (all_requests * all_requests)
        found = [(whole[2] / all_requests, whole[3:]) for whole in parts if whole[-1]]
        self.long.take(len(parts), squared, found)
        for whole in self.totals.values():
            whole[2:] = [0] * (_WIDTH - 2)

    @property
    def is_known(self) -> bool:
        return max(self.bad, self.short.expected[-1]) >= BAD_MIN

    @property
    def is_clean(self) -> bool:
        """Whether counts may be taken as they are: enough was seen, and pods are no more unequal than by luck."""
        return self.is_known and not any(
            scale.is_significant(index) for scale in (self.short, self.long) for index in range(len(_ALL))
        )

    def divisors(self) -> list[float]:
        """By what evidence is divided, for each cap, where pods are not clean."""
        found = []
        for index, cap in enumerate(CAPS):
            phi, deviation = self.short.phi(index), self.short.deviation(index)
            least = min(sqrt(cap), 6.0)
            if cap >= 10:
                least = max(least, min(self.most, cap) / 2.0)
            divisor = max(least, min(cap, 1.0 + 2.0 * max(0.0, phi + deviation - 1.0)))
            if not self.is_known:
                divisor = max(divisor, UNKNOWN[index])
            elif self.long.is_significant(index):
                divisor *= max(1.0, self.long.phi(index) / phi)
            found.append(divisor)
        return found

    def margin(self, canary_pods: int, stable_pods: int) -> float:
        """How many times stable's share of bad answers a canary of so many pods may have by pods' lasting
        differences alone: exp(1.96·τ·sqrt(1/P + 1/P₀)), τ their spread in logs."""
        spread = self.spread()
        if not spread or not canary_pods or not stable_pods:
            return 1.0
        return exp(DEVIATIONS * spread * sqrt(1.0 / canary_pods + 1.0 / stable_pods))

    def spread(self) -> float:
        """τ: how far pods differ for as long as they live, as a standard deviation of the log of their shares."""
        pods = self.totals.values()
        bad = sum([whole[1] for whole in pods]) if self.bad else 0
        if self.seeded is not None and bad < SEED_EXPECTED:
            return self.seeded  # of more answers than these are: τ of few is mostly caution
        if len(pods) < PODS_MIN or not bad:
            return 0.0
        last = len(_ALL) - 1
        phi = max(1.0, self.short.phi(last), self.long.phi(last) if self.long.is_significant(last) else 1.0)
        rate = bad / sum([whole[0] for whole in pods])
        unlike = sum([(whole[1] - whole[0] * rate) ** 2 / whole[0] for whole in pods]) / rate
        free = len(pods) - 1
        excess = max(0.0, unlike / free / phi - 1.0 + 0.5 * sqrt(2.0 / free)) * FEW.get(len(pods), 1.0)
        return min(SPREAD_MAX, sqrt(excess * phi / max(bad / len(pods), 1.0)))

    def as_json(self) -> dict[str, object]:
        return {
            "short": _scale_json(self.short),
            "long": _scale_json(self.long),
            "totals": self.totals,
            "counted": [self.bad, self.ticks, self.most, self.pods],
            "seeded": self.seeded,
        }

    @classmethod
    def of(cls, data: JSON | None) -> "Dispersion":
        """From what `as_json` wrote; nothing is known where there is none."""
        if data is None:
            return cls()
        bad, ticks, most, pods = cast("list[int]", data["counted"])
        totals = {name: list(whole) for name, whole in cast("dict[str, list[int]]", data["totals"]).items()}
        short, long = _scale_of(data["short"]), _scale_of(data["long"])
        return cls(short, long, totals, bad, ticks, most, pods, cast("float | None", data["seeded"]))


def _seeded(phi: Sequence[float]) -> _Scale:
    squares = [each * SEED_EXPECTED for each in [*phi, *[phi[-1]] * len(_ALL)][: len(_ALL)]]
    return _Scale(squares, [SEED_EXPECTED] * len(_ALL), SEED_TERMS, SEED_TERMS)


def _scale_json(scale: _Scale) -> list[object]:
    return [scale.squares, scale.expected, scale.terms, scale.free]


def _scale_of(data: object) -> _Scale:
    squares, expected, terms, free = cast("tuple[list[float], list[float], int, int]", data)
    return _Scale(list(squares), list(expected), terms, free)
