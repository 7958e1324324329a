"""The reasons and numbers of a verdict: what was seen of both sides, and which metric says most."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log

from pointsman.core.judge.deltas import Counts
from pointsman.core.judge.evidence import PARITY_LEAST, Comparison
from pointsman.core.judge.memory import Memory, Tally
from pointsman.core.judge.policy import JudgePolicy, Metric
from pointsman.core.judge.ticks import Tick
from pointsman.core.judge.verdict import Cause, percent, quantile_ms, times
from pointsman.core.names import JSON

__all__ = ["Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """One tick, after its evidence was taken. `values` is each metric's log e-value, `silence` why one said nothing."""

    memory: Memory
    tick: Tick
    policy: JudgePolicy
    comparison: Comparison
    values: Mapping[str, float]
    log_e: float
    silence: Mapping[str, str]
    burning: bool

    def blame(self) -> dict[str, object]:
        """The metric that weighs most, why it speaks against the canary, and how many times worse it was seen."""
        enforced = [metric for metric in self.policy.metrics if metric.enforced]
        metric = max(enforced, key=lambda metric: log(metric.weight) + self.values.get(metric.name, 0.0))
        seen, effect = self._seen(metric)
        onset = self.memory.stakes[metric.name].onset
        reason = (
            f"{metric.name}: {seen}; the evidence is {times(self.log_e)} to 1, {1.0 / self.policy.alpha:,.0f} is enough"
            + (f", rising since tick {onset}" if onset else "")
        )
        return {"metric": metric.name, "effect": effect, "reason": reason}

    def quiet(self) -> str:
        """Why nothing speaks against the canary."""
        parts = [f"{metric.name} {self._seen(metric)[0]}" for metric in self.policy.metrics if self._shown(metric)]
        served = self._tally(self.memory.canary, self.policy.primary).requests
        found = f"after {served:,.0f} of the canary's requests the evidence against it is {times(self.log_e)} to 1"
        return "; ".join([f"{found}, {1.0 / self.policy.alpha:,.0f} is enough to go back", *parts])

    def unhealthy(self) -> str:
        """How both sides fail in this tick."""
        (bad_c, all_c), (bad_b, all_b) = self._failing()
        whose = "stable is unhealthy too" if self.canary_unhealthy() else "stable is unhealthy"
        return (
            f"{whose}: {bad_b:,} of its {all_b:,} answers in this tick are bad ({percent(bad_b, all_b)}), "
            f"{bad_c:,} of the canary's {all_c:,} ({percent(bad_c, all_c)}); no evidence is taken"
        )

    def missing(self) -> str:
        """Which side answered nothing."""
        primary = self.policy.primary
        silent = [
            name
            for name, arm in (("the canary", self.comparison.canary), ("stable", self.comparison.baseline))
            if primary is not None and not arm.get(primary.metric_set, Counts()).requests
        ]
        return (
            f"no requests of {' and '.join(silent) or 'one side'} in this tick"
            f" ({self.memory.silent} in a row): no data is neither a pass nor a fail"
        )

    def canary_unhealthy(self) -> bool:
        (bad, answers), _ = self._failing()
        return bad > 0 and bad > self.policy.bad_limit * answers

    def numbers(self, cause: Cause | None) -> dict[str, object]:
        """Everything behind the verdict, as JSON."""
        primary = self.policy.primary
        canary, baseline = (self._tally(arm, primary) for arm in (self.memory.canary, self.memory.baseline))
        parity = self.comparison.parity
        return {
            "seq": self.tick.seq,
            "until": self.tick.until.isoformat(),
            "split": self.tick.split,
            "cause": cause,
            "e": exp(min(self.log_e, 30.0)),
            "log_e_needed": self.policy.needed,
            "profile": self.policy.profile,
            "by_metric": {metric.name: self._metric(metric) for metric in self.policy.metrics},
            "unjudged": list(self.policy.unjudged),
            "exposure": {
                "requests": int(canary.requests),
                "bad": int(sum(canary.bad.values())),
                "step_requests": self.memory.step_requests,
            },
            "baseline": {"requests": int(baseline.requests), "bad": int(sum(baseline.bad.values()))},
            "tick": {
                "canary": self._in_tick(self.comparison.canary),
                "baseline": self._in_tick(self.comparison.baseline),
            },
            "load_parity": parity,
            "latency_is_proof": parity is None or parity >= PARITY_LEAST,
            "stable_unhealthy": self.burning,
            "canary_unhealthy": self.canary_unhealthy(),
            "silent_ticks": self.memory.silent,
            "source_down_ticks": self.memory.down,
        }

    def _metric(self, metric: Metric) -> dict[str, object]:
        weights = self.policy.weights(metric)
        stakes = self.memory.stakes.get(metric.name)
        value = self.values.get(metric.name, 0.0)
        seen, effect = self._seen(metric)
        return {
            "log_e": value,
            "weight": metric.weight,
            "mode": "Enforce" if metric.enforced else "Observe",
            "would_roll_back": value + log(metric.weight) >= self.policy.needed,
            "alternative": self._alternative(metric, stakes.best(weights))
            if stakes and stakes.split is not None
            else None,
            "onset": stakes.onset if stakes else 0,
            "silent": self.silence.get(metric.name),
            "seen": seen,
            "effect": effect,
        }

    def _alternative(self, metric: Metric, index: int) -> str:
        match metric.kind:
            case "Ratio":
                return f"odds x{self.policy.odds()[0][index]:g}"
            case "Latency":
                slowdown, share = self.policy.slowdowns()[0][index]
                return (
                    f"x{slowdown:g} slower" if share == 1.0 else f"{100 * share:g} % of requests x{slowdown:g} slower"
                )
            case "Guard":
                return f"beyond {100 * self.policy.bad_limit:g} % bad"

    def _shown(self, metric: Metric) -> bool:
        tallies = (self._tally(arm, metric) for arm in (self.memory.canary, self.memory.baseline))
        return metric.kind != "Guard" and all(
            sum(t.latency) if metric.kind == "Latency" else t.requests for t in tallies
        )

    def _seen(self, metric: Metric) -> tuple[str, float | None]:
        """What was seen of the metric since the rollout began, and how many times worse the canary was."""
        canary, baseline = (self._tally(arm, metric) for arm in (self.memory.canary, self.memory.baseline))
        match metric.kind:
            case "Latency":
                return _slower(canary, baseline)
            case "Guard":
                share = percent(canary.bad.get(metric.bad, 0.0), canary.requests)
                return f"{share} of its answers are bad, {100 * self.policy.bad_limit:g} % is the limit", None
            case "Ratio":
                k_c, k_b = canary.bad.get(metric.bad, 0.0), baseline.bad.get(metric.bad, 0.0)
                effect = ((k_c + 0.5) / (canary.requests + 1.0)) / ((k_b + 0.5) / (baseline.requests + 1.0))
                return (
                    f"{percent(k_c, canary.requests)} of the canary's {canary.requests:,.0f} answers, "
                    f"{percent(k_b, baseline.requests)} of stable's {baseline.requests:,.0f}"
                ), effect if canary.requests and baseline.requests else None

    def _failing(self) -> tuple[tuple[int, int], tuple[int, int]]:
        primary = self.policy.primary
        if primary is None:
            return (0, 0), (0, 0)
        canary, baseline = (
            arm.get(primary.metric_set, Counts()) for arm in (self.comparison.canary, self.comparison.baseline)
        )
        return canary.answered(primary.bad), baseline.answered(primary.bad)

    def _tally(self, arm: Mapping[str, Tally], metric: Metric | None) -> Tally:
        return Tally() if metric is None else arm.get(metric.metric_set, Tally())

    def _in_tick(self, arm: Mapping[str, Counts]) -> JSON:
        return {
            name: {"requests": counts.requests, "bad": dict(sorted(counts.bad.items()))}
            for name, counts in sorted(arm.items())
        }


def _slower(canary: Tally, baseline: Tally) -> tuple[str, float | None]:
    """Median and 99th percentile; the effect is the greater of their two ratios."""
    if not sum(canary.latency) or not sum(baseline.latency):
        return "not seen yet", None
    texts, ratios = [], []
    for name, share in (("median", 0.5), ("p99", 0.99)):
        ours, theirs = (quantile_ms(arm.edges_ms, arm.latency, share) for arm in (canary, baseline))
        if ours and theirs:
            texts.append(f"{name} {ours:.4g} ms against {theirs:.4g} ms")
            ratios.append(ours / theirs)
    return ", ".join(texts), max(ratios, default=None)
