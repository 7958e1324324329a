"""The reasons and numbers of a verdict: what was seen of both sides, and which metric says most."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log

from pointsman.core.judge import outlook
from pointsman.core.judge.counters import Counts
from pointsman.core.judge.latency_process import LatencyProcess
from pointsman.core.judge.memory import Memory
from pointsman.core.judge.policy import JudgePolicy, Metric
from pointsman.core.judge.process import PARITY_LEAST
from pointsman.core.judge.ratio_process import RatioProcess
from pointsman.core.judge.tally import Tally
from pointsman.core.judge.ticks import Tick
from pointsman.core.judge.verdict import Cause, odds, percent, quantile_ms
from pointsman.core.names import JSON

__all__ = ["Report", "Seen"]

NEAR = 2.0
"""Nats below the line at which a canary that is under suspicion is not called harmless."""

REPAIRS_MAX = 12


@dataclass(frozen=True, slots=True)
class Seen:
    """Both arms in one tick, by metric set, and the canary's load per pod over stable's."""

    canary: Mapping[str, Counts]
    baseline: Mapping[str, Counts]
    parity: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """One tick, after its evidence was taken. `silence` is why a metric said nothing."""

    memory: Memory
    tick: Tick
    policy: JudgePolicy
    comparison: Seen
    log_e: float
    silence: Mapping[str, str]
    burning: bool

    def blame(self) -> dict[str, object]:
        """The metric that weighs most, why it speaks against the canary, and how many times worse it was seen."""
        metric = self.worst()
        seen, effect = self._seen(metric)
        onset = self.memory.processes[metric.name].onset
        reason = (
            f"{metric.name}: {seen}; the evidence is {odds(self.log_e)}, {1.0 / self.policy.alpha:,.0f} is enough"
            + (f", rising since tick {onset}" if onset else "")
        )
        return {"metric": metric.name, "effect": effect, "reason": reason}

    def worst(self) -> Metric:
        """The metric that weighs most against the canary."""
        enforced = [metric for metric in self.policy.metrics if metric.enforced]
        return max(enforced, key=lambda metric: log(metric.weight) + self.memory.processes[metric.name].value)

    def is_harm_bounded(self) -> bool:
        """Whether more harm than a little is excluded: bad answers, and slow ones where latency is comparable."""
        if self.policy.needed - self.log_e < NEAR or not self._may_be_bounded():
            return False
        harm = self._harm()
        if harm is None or harm > outlook.HARM_MAX:
            return False
        parity = self.comparison.parity
        if parity is not None and parity < PARITY_LEAST:
            return False
        if not 0.0 < self.tick.split < 1.0 or self._is_blind():
            return False
        latencies = [self.memory.processes[metric.name] for metric in self.policy.metrics if metric.enforced]
        return all(
            process.bounds.most <= outlook.SLOWER_MAX
            for process in latencies
            if isinstance(process, LatencyProcess) and process.slow_ms is not None
        )

    def _is_blind(self) -> bool:
        """Whether a latency that may veto has never been compared: what was not looked at is not harmless."""
        return any(
            process.slow_ms is None
            for metric in self.policy.metrics
            if metric.enforced and isinstance(process := self.memory.processes[metric.name], LatencyProcess)
        )

    def _may_be_bounded(self) -> bool:
        """Whether each class's harm alone is; the sum of all costs more to know."""
        return all(
            outlook.is_bounded(process.bounds, metric.bad, *self._tallies(metric))
            for metric in self.policy.metrics
            if metric.enforced and isinstance(process := self.memory.processes[metric.name], RatioProcess)
        )

    def _harm(self) -> float | None:
        """Extra bad answers per request of the canary at most, of all enforced classes together."""
        found = [
            outlook.harm_of(process.bounds, metric.bad, *self._tallies(metric))
            for metric in self.policy.metrics
            if metric.enforced and isinstance(process := self.memory.processes[metric.name], RatioProcess)
        ]
        return min(1.0, sum(found)) if found else None

    def _tallies(self, metric: Metric) -> tuple[Tally, Tally]:
        return self._tally(self.memory.canary, metric), self._tally(self.memory.baseline, metric)

    def quiet(self) -> str:
        """Why nothing speaks against the canary."""
        parts = [f"{metric.name} {self._seen(metric)[0]}" for metric in self.policy.metrics if self._shown(metric)]
        served = self._tally(self.memory.canary, self.policy.primary).requests
        silent = [m.name for m in self.policy.metrics if m.enforced and m.kind != "Guard" and m.name in self.silence]
        unjudged = [f"{name} not judged: {self.silence[name]}" for name in silent]
        if silent and self.tick.split == 1.0:
            unjudged = [f"nothing is left to compare {', '.join(silent)} with: all requests are the canary's"]
        found = f"after {served:,.0f} of the canary's requests the evidence against it is {odds(self.log_e)}"
        return "; ".join([f"{found}, {1.0 / self.policy.alpha:,.0f} is enough to go back", *parts, *unjudged])

    def unhealthy(self) -> str:
        """How both sides fail in this tick."""
        (bad_c, all_c), (bad_b, all_b) = self._failing()
        whose = "stable is unhealthy too" if self.canary_unhealthy() else "stable is unhealthy"
        return (
            f"{whose}: {bad_b:,} of its {all_b:,} answers in this tick are bad ({percent(bad_b, all_b)}), "
            f"{bad_c:,} of the canary's {all_c:,} ({percent(bad_c, all_c)}); no evidence is taken"
        )

    def is_out_of_order(self) -> bool:
        """Whether the tick is left out since its time went back; no source is to blame for that."""
        return self.tick.source_down.startswith(f"tick {self.tick.seq} is left out")

    def missing(self) -> str:
        """Which side answered nothing."""
        primary = self.policy.primary
        if (
            self.tick.split == 1.0
            and primary is not None
            and self.comparison.canary.get(primary.metric_set, Counts()).requests
        ):
            return "nothing to compare with, and no guard: nothing can be said of the canary alone"
        arms = (
            ("the canary", self.tick.canary, self.comparison.canary),
            ("stable", self.tick.baseline, self.comparison.baseline),
        )
        silent = [
            name
            for name, _, seen in arms
            if primary is not None and not seen.get(primary.metric_set, Counts()).requests
        ]
        unread = [
            name
            for name, arm, _ in arms
            if primary is not None and not any(pod.metric_set == primary.metric_set for pod in arm.pods)
        ]
        silent = unread or silent
        return (
            f"no requests of {' and '.join(silent) or 'one side'} in this tick"
            f" ({self.memory.silent} in a row): no data is neither a pass nor a fail"
        )

    def canary_unhealthy(self) -> bool:
        (bad, answers), _ = self._failing()
        return bad > 0 and bad > self.policy.bad_limit * answers

    def numbers(self, cause: Cause | None) -> dict[str, object]:
        """Everything behind the verdict, as JSON."""
        primary, memory = self.policy.primary, self.memory
        canary, baseline = (self._tally(arm, primary) for arm in (memory.canary, memory.baseline))
        parity = self.comparison.parity
        per_second = memory.step_requests / memory.step_s if memory.step_s else 0.0
        found: dict[str, object] = {
            "seq": self.tick.seq,
            "until": self.tick.until.isoformat(),
            "split": self.tick.split,
            "cause": cause,
            "e": exp(min(self.log_e, 30.0)),
            "log_e_needed": self.policy.needed,
            "profile": self.policy.profile,
            "by_metric": {metric.name: self._metric(metric) for metric in self.policy.metrics},
            "exposure": {
                "requests": int(canary.requests),
                "bad": int(sum(canary.bad.values())),
                "step_requests": memory.step_requests,
            },
            "baseline": {"requests": int(baseline.requests), "bad": int(sum(baseline.bad.values()))},
            "tick": {
                "canary": self._in_tick(self.comparison.canary),
                "baseline": self._in_tick(self.comparison.baseline),
            },
            "requests_per_s": per_second,
            "harm_at_most": self._harm(),
            "outlook": self._outlook(per_second),
            "load_parity": parity,
            "latency_is_proof": parity is None or parity >= PARITY_LEAST,
            "stable_unhealthy": self.burning,
            "canary_unhealthy": self.canary_unhealthy(),
            "silent_ticks": memory.silent,
            "source_down_ticks": memory.down,
            "repairs": self.repairs(),
            "replaced_pods": list(memory.replaced),
        }
        if memory.detector is not None:
            tick_s = (self.tick.until - self.tick.since).total_seconds()
            alarmed = memory.detector.is_alarmed(tick_s)
            found["after"] = {"log_s": memory.detector.value, "alarm": alarmed, "weaker": True}
        return found

    def _metric(self, metric: Metric) -> dict[str, object]:
        process = self.memory.processes[metric.name]
        interval = process.interval()
        seen, effect = self._seen(metric)
        found: dict[str, object] = {
            "kind": metric.kind,
            "log_e": process.value,
            "weight": metric.weight,
            "mode": "Enforce" if metric.enforced else "Observe",
            "would_roll_back": process.value + log(metric.weight) >= self.policy.needed,
            "alternative": process.alternative() if process.onset or process.value else None,
            "onset": process.onset,
            "silent": self.silence.get(metric.name),
            "seen": seen,
            "effect": effect,
            "interval": interval.as_json() if interval is not None else None,
        }
        if isinstance(process, RatioProcess) and process.dispersion.ticks:
            found["pods"] = {
                "known": process.dispersion.is_known,
                "clean": process.dispersion.is_clean,
                "spread": process.dispersion.spread(),
            }
        return found

    def _outlook(self, per_second: float) -> dict[str, object] | None:
        """About how many more requests settle it, and what would help where that takes long."""
        primary = self.policy.primary
        process = self.memory.processes[primary.name] if primary is not None else None
        if primary is None or not isinstance(process, RatioProcess) or self.memory.rejected is not None:
            return None
        canary, baseline = self._tallies(primary)
        share = self.tick.split
        rate = (baseline.bad.get(primary.bad, 0.0) + 0.5) / (baseline.requests + 1.0)
        towards, requests = "roll_back", None
        if self.log_e > 0.0 and baseline.requests:
            seen = _smoothed(canary, baseline, primary.bad)
            requests = outlook.to_roll_back(self.policy.needed - self.log_e, seen, rate, share)
        if requests is None:
            towards, requests = "advance", outlook.to_advance(process.bounds, primary.bad, canary, baseline, share)
        if requests is None:
            return None
        minutes = requests / per_second / 60.0 if per_second else None
        return {
            "towards": towards,
            "requests": round(requests),
            "minutes": minutes,
            "help": outlook.help_for(requests, per_second, share),
        }

    def repairs(self) -> list[str]:
        """What was mended or left out of this tick, the first few."""
        named = [*self.tick.repairs]
        for whose, arm in (("canary", self.comparison.canary), ("stable", self.comparison.baseline)):
            named += [f"{whose}: {what}" for counts in arm.values() for what in counts.named]
        return named[:REPAIRS_MAX]

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
            case "Mean":
                return _means(canary, baseline)
            case "Guard":
                share = percent(canary.bad.get(metric.bad, 0.0), canary.requests)
                return f"{share} of its answers are bad, {100 * self.policy.bad_limit:g} % is the limit", None
            case "Ratio":
                k_c, k_b = canary.bad.get(metric.bad, 0.0), baseline.bad.get(metric.bad, 0.0)
                text = (
                    f"{percent(k_c, canary.requests)} of the canary's {canary.requests:,.0f} answers, "
                    f"{percent(k_b, baseline.requests) if k_b else 'none'} of stable's {baseline.requests:,.0f}"
                )
                return text, _smoothed(canary, baseline, metric.bad) if k_c and k_b else None

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


def _smoothed(canary: Tally, baseline: Tally, bad: str) -> float:
    """How many times stable's share of bad answers the canary has, with half an answer more on each side."""
    ours, theirs = ((tally.bad.get(bad, 0.0) + 0.5) / (tally.requests + 1.0) for tally in (canary, baseline))
    return ours / theirs


def _means(canary: Tally, baseline: Tally) -> tuple[str, float | None]:
    if not canary.sums or not baseline.sums or not canary.sums[0] or not baseline.sums[0]:
        return "not seen yet", None
    ours, theirs = canary.sums[1] / canary.sums[0], baseline.sums[1] / baseline.sums[0]
    return f"mean {ours:.4g} against {theirs:.4g}", ours / theirs if theirs else None


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 1000.0 else f"{value:.4g} ms"


def _slower(canary: Tally, baseline: Tally) -> tuple[str, float | None]:
    """Median and 99th percentile; the effect is the greater of their two ratios."""
    if not sum(canary.latency) or not sum(baseline.latency):
        return "not seen yet", None
    texts, ratios = [], []
    for name, share in (("median", 0.5), ("p99", 0.99)):
        ours, theirs = (quantile_ms(arm.edges_ms, arm.latency, share) for arm in (canary, baseline))
        if ours and theirs:
            texts.append(f"{name} {_ms(ours)} against {_ms(theirs)}")
            ratios.append(ours / theirs)
    return ", ".join(texts), max(ratios, default=None)
