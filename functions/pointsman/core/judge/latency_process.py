"""The e-process of a Latency: all buckets at once, where both arms are equally loaded."""

from collections.abc import Sequence
from itertools import pairwise
from math import exp, log, sqrt
from typing import cast

from pointsman.core.judge import latency
from pointsman.core.judge.block import log_blocks
from pointsman.core.judge.bounds import Bounds
from pointsman.core.judge.counters import Counts
from pointsman.core.judge.dispersion import DEVIATIONS
from pointsman.core.judge.onset import Stakes
from pointsman.core.judge.process import PARITY_MOST, Interval, Round
from pointsman.core.judge.tally import Tally
from pointsman.core.names import JSON

__all__ = ["LatencyProcess"]

PODS_MIN = 8
"""Pods of stable from which their latencies' spread is learned: of fewer it is mostly luck."""

BET_OFTEN, BET_EVERY = 30, 6
"""The bets follow stable's histogram at each of the first ticks, later at every sixth: it moves little by then."""

SLOW_SHARE = 0.10
"""The effect is told as the ratio of slow answers: those above the edge that at most this share of stable's pass."""

Bet = tuple[list[float], list[float]]


class LatencyProcess:
    """Bets on slowdowns of one histogram."""

    def __init__(
        self,
        metric_set: str,
        margin: float,
        margin_ms: float,
        slowdowns: Sequence[tuple[float, float]],
        weights: Sequence[float],
        state: JSON,
    ) -> None:
        self._set, self._margin, self._margin_ms = metric_set, margin, margin_ms
        self._slowdowns = slowdowns
        self._stakes = Stakes.of(cast("JSON | None", state.get("stakes")), weights)
        self._bounds = Bounds.of(state.get("bounds"))
        self._bet_on = cast("int", state.get("bet_on", 0))
        self._slow = cast("int | None", state.get("slow"))
        self._edges = tuple(cast("Sequence[float]", state.get("edges", ())))
        self._basis = list(cast("Sequence[float]", state.get("basis", ())))
        self._pods = {name: list(sums) for name, sums in cast("dict[str, list[float]]", state.get("pods", {})).items()}
        self._bets: list[Bet] | None = None
        self._middles: list[float] = []
        self._targets: tuple[tuple[tuple[float, ...], float], list[int]] | None = None

    @property
    def value(self) -> float:
        return self._stakes.value

    @property
    def onset(self) -> int:
        return self._stakes.onset

    @property
    def bounds(self) -> Bounds:
        return self._bounds

    @property
    def slow_ms(self) -> float | None:
        """Above how many milliseconds an answer is called slow, in the interval."""
        return self._edges[self._slow] if self._slow is not None else None

    def take(self, canary: Counts, baseline: Counts, now: Round) -> str:
        if now.parity is not None and now.parity > PARITY_MOST:
            return f"the canary carries {now.parity:.3g} times stable's load per pod"
        if not any(canary.latency) or not any(baseline.latency):
            return "pods are warming up" if any(canary.young) or any(baseline.young) else "one side answered nothing"
        history = now.history.get(self._set, Tally())
        edges = self._edges or history.edges_ms or baseline.edges_ms
        if canary.edges_differ or baseline.edges_differ or not canary.edges_ms == baseline.edges_ms == edges:
            return "the histograms have different buckets"
        if len(canary.latency) != len(edges) + 1 or len(baseline.latency) != len(edges) + 1:
            return "the histograms have different buckets"
        bets = self._staked(edges, history)
        if bets is None:
            return f"stable has fewer than {latency.HISTORY_MIN} requests to compare with"
        targets = self._forgiving(edges, self._margin_of(edges, canary, baseline))
        pairs = [(canary, baseline)]
        if canary.strata and baseline.strata:
            pairs = [
                (canary.strata[name], baseline.strata[name])
                for name in sorted(canary.strata.keys() & baseline.strata.keys())
            ]
        evidence = [0.0] * len(bets)
        for ours, theirs in pairs:
            if any(ours.latency) and any(theirs.latency):
                found = log_blocks(latency.moved(ours.latency, targets), theirs.latency, bets)
                evidence = [a + b for a, b in zip(evidence, found, strict=True)]
        self._stakes.take(now.spared(evidence), split=now.split, seq=now.seq, length_s=now.length_s)
        self._bet_on += 1
        if not now.is_burning:
            self._bounds.take(self._slow_of(canary.latency), self._slow_of(baseline.latency))
        return ""

    def learn(self, baseline: Counts) -> None:
        if len(baseline.pods) < PODS_MIN or not latency.can_forgive(baseline.edges_ms, self._margin):
            return
        middles = self._middles_of(baseline.edges_ms)
        for pod in baseline.pods:
            if len(pod.latency) == len(middles) and any(pod.latency):
                sums = self._pods.get(pod.pod) or self._pods.setdefault(pod.pod, [0.0, 0.0, 0.0])
                cells = [(count, x) for count, x in zip(pod.latency, middles, strict=True) if count]
                sums[0] += sum([count for count, _ in cells])
                sums[1] += sum([count * x for count, x in cells])
                sums[2] += sum([count * x * x for count, x in cells])

    def forget_last_gain(self) -> None:
        self._stakes.forget_last_gain()

    def alternative(self) -> str:
        slowdown, share = self._slowdowns[self._stakes.best()]
        return f"x{slowdown:g} slower" if share == 1.0 else f"{100 * share:g} % of requests x{slowdown:g} slower"

    def interval(self) -> Interval | None:
        if self._slow is None:
            return None
        upper = self._bounds.upper
        return Interval(
            self._bounds.lower, upper if upper < float("inf") else None, f"answers above {self.slow_ms:g} ms"
        )

    def as_json(self) -> dict[str, object]:
        found: dict[str, object] = {
            "stakes": self._stakes.as_json(),
            "bounds": self._bounds.as_json(),
            "bet_on": self._bet_on,
            "slow": self._slow,
            "edges": list(self._edges),
            "basis": self._basis,
        }
        if self._pods:
            found["pods"] = self._pods
        return found

    def _staked(self, edges: tuple[float, ...], history: Tally) -> list[Bet] | None:
        """The bets in force; made anew from stable's history when it is time."""
        is_due = self._bet_on < BET_OFTEN or self._bet_on % BET_EVERY == 0
        if is_due:
            if sum(history.latency) < latency.HISTORY_MIN:
                return None
            self._edges, self._basis, self._bets = edges, list(history.latency), None
            if self._slow is None:
                self._slow = _slow_edge(history.latency)
        if self._bets is None:
            ratios = latency.bets(self._edges, self._basis, self._slowdowns)
            self._bets = [(each, [log(r) for r in each]) for each in ratios or ()]
        return self._bets or None

    def _forgiving(self, edges: tuple[float, ...], margin: float) -> Sequence[int]:
        if self._targets is None or self._targets[0] != (edges, margin):
            self._targets = (edges, margin), latency.forgiving(edges, margin, self._margin_ms)
        return self._targets[1]

    def _margin_of(self, edges: Sequence[float], canary: Counts, baseline: Counts) -> float:
        """What is forgiven: the policy's, or what pods of stable's own differ by, if that is more."""
        serving = [sum([1 for pod in arm.pods if pod.requests > 0]) for arm in (canary, baseline)]
        if len(self._pods) < PODS_MIN or not all(serving):
            return self._margin
        spread = latency.pods_differ(self._pods.values())
        return max(self._margin, exp(DEVIATIONS * spread * sqrt(1.0 / serving[0] + 1.0 / serving[1])) - 1.0)

    def _slow_of(self, counts: Sequence[int]) -> tuple[int, int]:
        slow = self._slow if self._slow is not None else 0
        return sum(counts[slow + 1 :]), sum(counts)

    def _middles_of(self, edges: Sequence[float]) -> list[float]:
        if len(self._middles) != len(edges) + 1:
            logs = [log(edge) for edge in edges]
            inner = [(a + b) / 2.0 for a, b in pairwise(logs)]
            self._middles = [logs[0] - 0.5, *inner, logs[-1] + 0.5]
        return self._middles


def _slow_edge(history: Sequence[float]) -> int:
    """The first edge that at most a tenth of stable's answers pass."""
    above, total = 0.0, sum(history)
    for index in range(len(history) - 2, -1, -1):
        above += history[index + 1]
        if above > SLOW_SHARE * total:
            return min(index + 1, len(history) - 2)
    return 0
