"""One tick's evidence of one metric, for each of its alternatives; or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass

from pointsman.core.judge import guard, latency, ratio
from pointsman.core.judge.block import log_block
from pointsman.core.judge.deltas import Counts
from pointsman.core.judge.memory import Tally
from pointsman.core.judge.policy import JudgePolicy, Metric
from pointsman.core.judge.ticks import Tick

__all__ = ["Comparison", "load_parity"]

PARITY_LEAST, PARITY_MOST = 0.8, 1.25
"""Load per pod, canary's over stable's, between which latencies are comparable both ways. Below, a canary that
is slower still is worse for certain, but one that is faster proves nothing; above, it is slow because it is busy."""


def load_parity(tick: Tick) -> float | None:
    """The canary's load per ready pod over stable's; None where one side has no share or no ready pod."""
    if not 0.0 < tick.split < 1.0 or not tick.canary.ready or not tick.baseline.ready:
        return None
    return (tick.split / tick.canary.ready) / ((1.0 - tick.split) / tick.baseline.ready)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both arms in one tick, by metric set, beside stable's history from before it."""

    canary: Mapping[str, Counts]
    baseline: Mapping[str, Counts]
    history: Mapping[str, Tally]
    split: float
    parity: float | None

    def evidence(self, metric: Metric, policy: JudgePolicy) -> tuple[list[float] | None, str]:
        """Nats for each alternative of the metric; None and the reason when this tick says nothing."""
        canary = self.canary.get(metric.metric_set, Counts())
        baseline = self.baseline.get(metric.metric_set, Counts())
        match metric.kind:
            case "Ratio":
                return self._ratio(metric, policy, canary, baseline)
            case "Latency":
                return self._latency(metric, policy, canary, baseline)
            case "Guard":
                return self._guard(metric, policy, canary, baseline)

    def _ratio(
        self, metric: Metric, policy: JudgePolicy, canary: Counts, baseline: Counts
    ) -> tuple[list[float] | None, str]:
        if not canary.requests or not baseline.requests:
            return None, "one side answered nothing"
        history = self.history.get(metric.metric_set, Tally())
        rate = ratio.bad_rate(history.bad.get(metric.bad, 0.0), history.requests)
        margin = 1.0 + metric.margin
        return [
            ratio.log_evidence(
                canary.answered(metric.bad),
                baseline.answered(metric.bad),
                rate=rate,
                odds=odds * margin,
                margin=margin,
            )
            for odds in policy.odds()[0]
        ], ""

    def _latency(
        self, metric: Metric, policy: JudgePolicy, canary: Counts, baseline: Counts
    ) -> tuple[list[float] | None, str]:
        if self.parity is not None and self.parity > PARITY_MOST:
            return None, f"the canary carries {self.parity:.3g} times stable's load per pod"
        if not sum(canary.latency) or not sum(baseline.latency):
            young = canary.young or baseline.young
            return None, "pods are warming up" if young else "one side answered nothing"
        history = self.history.get(metric.metric_set, Tally())
        if (
            canary.edges_differ
            or baseline.edges_differ
            or not canary.edges_ms == baseline.edges_ms == (history.edges_ms or baseline.edges_ms)
        ):
            return None, "the histograms have different buckets"
        staked = latency.bets(history.edges_ms, history.latency, policy.slowdowns()[0])
        if staked is None:
            return None, f"stable has fewer than {latency.HISTORY_MIN} requests to compare with"
        targets = latency.forgiving(canary.edges_ms, metric.margin, metric.margin_ms)
        forgiven = latency.moved(canary.latency, targets)
        return [log_block(forgiven, baseline.latency, ratios) for ratios in staked], ""

    def _guard(
        self, metric: Metric, policy: JudgePolicy, canary: Counts, baseline: Counts
    ) -> tuple[list[float] | None, str]:
        # Where stable should answer, its silence is missing data, not a reason to judge without it.
        if baseline.requests or self.split < 1.0:
            return None, "stable answers: it is compared with"
        bad, requests = canary.answered(metric.bad)
        if not requests:
            return None, "the canary answered nothing"
        return [
            guard.log_evidence(bad, requests, limit=policy.bad_limit, worse=worse)
            for worse in guard.alternatives(policy.bad_limit)
        ], ""
