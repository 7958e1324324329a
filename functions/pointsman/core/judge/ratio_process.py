"""The e-process of a Ratio: bad answers of one class, by pod where pods are known."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import cast

from pointsman.core.judge import ratio
from pointsman.core.judge.bounds import Bounds
from pointsman.core.judge.counters import Counts, PodCounts
from pointsman.core.judge.dispersion import CAP_WEIGHTS, CAPS, PODS_MANY, PODS_MIN, TOTALS_MAX, Dispersion
from pointsman.core.judge.onset import Stakes
from pointsman.core.judge.process import Interval, Round
from pointsman.core.judge.tally import Tally
from pointsman.core.judge.wobble import Wobble
from pointsman.core.names import JSON

__all__ = ["RatioProcess"]

LONE_ODDS, LONE_NATS = 10.0, 6.0
"""A pod is bad alone when its own answers are such evidence for odds of 10,"""

WELL_ODDS, WELL_NATS = 2.0, -1.0
"""those of the others speak against odds of 2,"""

OTHERS_MAX = 0.1
"""and all the others together have at most this part of its bad answers beyond stable's share."""


class RatioProcess:
    """Bets on a class of bad answers of one metric set.

    Where stable has pods, each alternative is bet on four times, with the counts of a pod and tick capped at 1, 3, 10
    and 30. While pods are no more unequal than by luck all four are the plain comparison; otherwise each is divided by
    what `dispersion` says, and the pods' lasting differences are forgiven. Where pods are not reported, or few and not
    known yet, what stable's own counts do from tick to tick is all there is (`wobble`).
    """

    def __init__(
        self, metric_set: str, bad: str, margin: float, odds: Sequence[float], weights: Sequence[float], state: JSON
    ) -> None:
        self._set, self._bad, self._margin = metric_set, bad, 1.0 + margin
        self._odds, self._weights = odds, weights
        self.dispersion = Dispersion.of(cast("JSON | None", state.get("dispersion")))
        self.wobble = Wobble.of(cast("JSON | None", state.get("wobble")))
        self._bounds = Bounds.of(state.get("bounds"))
        stakes = cast("JSON | None", state.get("stakes"))
        self._stakes: Stakes | None = None
        if stakes is not None:
            apart = len(cast("list[float]", stakes["logs"])) > len(weights)
            self._stakes = Stakes.of(stakes, _apart(weights) if apart else weights)
        self._by_pod = bool(state.get("by_pod"))
        self.pods = {name: list(found) for name, found in cast("dict[str, list[float]]", state.get("pods", {})).items()}

    @property
    def value(self) -> float:
        return self._stakes.value if self._stakes is not None else 0.0

    @property
    def onset(self) -> int:
        return self._stakes.onset if self._stakes is not None else 0

    @property
    def bounds(self) -> Bounds:
        return self._bounds

    def lone_pod(self, bad: float, requests: float) -> str | None:
        """The one pod of the canary's that the evidence comes from, where what the others answered speaks for health
        beside stable's (`bad` of `requests`); None where there is none."""
        if len(self.pods) < 2 or not requests:
            return None
        all_bad, all_requests = (sum([pod[index] for pod in self.pods.values()]) for index in (0, 1))
        worst = max(self.pods, key=lambda name: self.pods[name][0] / max(self.pods[name][1], 1.0))
        lone_bad, lone_requests = self.pods[worst]
        others = int(all_bad - lone_bad), int(all_requests - lone_requests)
        if not others[1] or not lone_requests:
            return None
        rate, beside = ratio.bad_rate(bad, requests), (int(bad), int(requests))
        excess, others_excess = lone_bad - rate * lone_requests, others[0] - rate * others[1]
        alone = ratio.log_evidence((int(lone_bad), int(lone_requests)), beside, rate=rate, odds=LONE_ODDS)
        well = ratio.log_evidence(others, beside, rate=rate, odds=WELL_ODDS)
        is_lone = alone >= LONE_NATS and well <= WELL_NATS and others_excess <= OTHERS_MAX * excess
        return worst if is_lone else None

    def take(self, canary: Counts, baseline: Counts, now: Round) -> str:
        if not canary.requests or not baseline.requests:
            return "one side answered nothing"
        if self._stakes is None:
            self._by_pod = _by_pod(baseline)
            self._stakes = Stakes(self._weights)
        history = now.history.get(self._set, Tally())
        rate = ratio.bad_rate(history.bad.get(self._bad, 0.0), history.requests)
        evidence, divisor = self._evidence(canary, baseline, rate)
        if len(evidence) > len(self._stakes.logs):  # caps were alike so far
            self._stakes = self._stakes.apart(_apart(self._weights))
        elif len(evidence) < len(self._stakes.logs):
            evidence = evidence * len(CAPS)
        self._stakes.take(now.spared(evidence), split=now.split, seq=now.seq, length_s=now.length_s)
        if len(canary.pods) > 1 or self.pods:
            for pod in canary.pods:
                found = self.pods.get(pod.pod) or self.pods.setdefault(pod.pod, [0.0, 0.0])
                found[0] += pod.bad.get(self._bad, 0)
                found[1] += pod.requests
            while len(self.pods) > TOTALS_MAX:
                del self.pods[next(iter(self.pods))]  # the one that was seen first
        if not now.is_burning:
            capped = None
            if divisor > 1.0 and self._by_pod:
                usual = baseline.requests / max(1, _serving(baseline.pods))
                capped = self._capped(canary.pods, 1, usual), self._capped(baseline.pods, 1)
            ours, theirs = canary.answered(self._bad), baseline.answered(self._bad)
            self._bounds.take(ours, theirs, divisor=divisor, capped=capped)
        return ""

    def learn(self, baseline: Counts) -> None:
        if self.dispersion.ticks or _by_pod(baseline):
            self.dispersion.take(baseline.pods, self._bad)
        self.wobble.take(*baseline.answered(self._bad))

    def forget_last_gain(self) -> None:
        if self._stakes is not None:
            self._stakes.forget_last_gain()

    def start_again(self) -> None:
        """Forget the evidence, not what was learned of stable: the pod that it came from is replaced."""
        self._stakes, self._bounds, self.pods = None, Bounds(), {}

    def alternative(self) -> str:
        if self._stakes is None:
            return ""
        return f"odds x{self._odds[self._stakes.best() % len(self._odds)]:g}"

    def interval(self) -> Interval:
        upper = self._bounds.upper
        return Interval(self._bounds.lower, upper if upper < inf else None, "ratio")

    def as_json(self) -> dict[str, object]:
        found: dict[str, object] = {"by_pod": self._by_pod, "bounds": self._bounds.as_json()}
        if self.pods:
            found["pods"] = self.pods
        if self._stakes is not None:
            found["stakes"] = self._stakes.as_json()
        if self.dispersion.ticks or self.dispersion.is_known:
            found["dispersion"] = self.dispersion.as_json()
        if self.wobble.terms or self.wobble.last is not None:
            found["wobble"] = self.wobble.as_json()
        return found

    def _evidence(self, canary: Counts, baseline: Counts, rate: float) -> tuple[list[float], float]:
        """Nats for each alternative (for each cap, where caps differ), and by what they were divided at most."""
        few = _serving(baseline.pods) < PODS_MANY and not self.dispersion.is_known
        if not self._by_pod or few:
            divisor = self.wobble.divisor()
            evidence = [nats / divisor for nats in self._plain(canary, baseline, rate, self._margin)]
            return evidence, divisor
        margin = self._margin * self.dispersion.margin(_serving(canary.pods), _serving(baseline.pods))
        if self.dispersion.is_clean:
            return self._plain(canary, baseline, rate, margin), 1.0
        evidence = []
        divisors = self.dispersion.divisors()
        n_c, n_b = canary.requests, baseline.requests
        beyond = [ratio.beyond(odds, rate, margin) for odds in self._odds]
        usual = n_b / max(1, _serving(baseline.pods))
        for cap, divisor in zip(CAPS, divisors, strict=True):
            of_canary, of_stable = self._capped(canary.pods, cap, usual), self._capped(baseline.pods, cap)
            evidence += [
                ratio.log_beyond((of_canary, n_c), (of_stable, n_b), beyond=times, margin=margin) / divisor
                for times in beyond
            ]
        return evidence, max(divisors)

    def _plain(self, canary: Counts, baseline: Counts, rate: float, margin: float) -> list[float]:
        pairs = [(canary.answered(self._bad), baseline.answered(self._bad))]
        if canary.strata and baseline.strata:  # disjoint requests: their e-values may be multiplied
            pairs = [
                (canary.strata[name].answered(self._bad), baseline.strata[name].answered(self._bad))
                for name in sorted(canary.strata.keys() & baseline.strata.keys())
            ]
        if margin == 1.0:
            return [sum([ratio.log_evidence(c, b, rate=rate, odds=odds) for c, b in pairs]) for odds in self._odds]
        return [
            sum([ratio.log_beyond(c, b, beyond=ratio.beyond(odds, rate, margin), margin=margin) for c, b in pairs])
            for odds in self._odds
        ]

    def _capped(self, pods: Iterable[PodCounts], cap: int, usual: float = 0.0) -> float:
        """Bad answers, of each pod at most `cap`; of one that served less than is `usual`, so much less.

        min(y, c)/n falls with n, so that pods with fewer requests would look worse under a common cap. Compound
        Poisson counts of n requests are a mean-preserving spread of those of N > n scaled to n: with the cap scaled
        alike, E min(y, c·n/N)/n is at most that of a pod with N.
        """
        return sum(
            [
                min(bad, cap if pod.requests >= usual else cap * pod.requests / usual)
                for pod in pods
                if (bad := pod.bad.get(self._bad, 0))
            ]
        )


def _by_pod(baseline: Counts) -> bool:
    """Whether pods are compared; where zones are, pods of one zone are not what those of another differ from."""
    return len(baseline.pods) >= PODS_MIN and not baseline.strata


def _apart(weights: Sequence[float]) -> list[float]:
    """Of each alternative under each cap."""
    return [cap * weight for cap in CAP_WEIGHTS for weight in weights]


def _serving(pods: Iterable[PodCounts]) -> int:
    return sum([1 for pod in pods if pod.requests > 0])
