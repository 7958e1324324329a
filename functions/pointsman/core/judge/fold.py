"""The judge: a fold over ticks. Is the canary worse than the stable revision beside it?

Each metric turns a tick into e-values, numbers whose expectation is at most 1 while the canary is not worse;
their products, mixed over effect sizes and beginnings (`onset`) and averaged over metrics with fixed weights,
give one number E. A canary that is not worse ever reaches E >= 1/alpha in at most alpha of all rollouts, however
often one looks (Ville's inequality): that is where it is rolled back.

No data, and a metric source that is down, are no evidence: the verdict is `hold`, what is known is kept. When
stable itself fails beyond the policy's limit nothing is held against the canary, not in that tick, nor in the
ticks before and after it, since the two sides are not read at the very same instant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from math import log
from typing import cast

from pointsman.core.judge.counters import Counts
from pointsman.core.judge.detector import Detector
from pointsman.core.judge.memory import Memory
from pointsman.core.judge.onset import log_sum
from pointsman.core.judge.policy import JudgePolicy
from pointsman.core.judge.process import Round
from pointsman.core.judge.ratio import bad_rate
from pointsman.core.judge.ratio_process import RatioProcess
from pointsman.core.judge.report import Report, Seen
from pointsman.core.judge.tally import Tally
from pointsman.core.judge.ticks import Arm, PodCounters, Tick
from pointsman.core.judge.verdict import Action, Cause, Verdict
from pointsman.core.names import JSON

__all__ = ["Judge", "judge", "learned"]

LOG_E_MOST = 300.0

BURNING_MIN = 3
"""Bad answers of stable in a tick, at least, before it is called unhealthy."""

REPLACED_MAX = 1
"""Pods that are replaced before the version is blamed: each spends the error rate once more."""


def judge(state: JSON | None, tick: Tick, policy: JudgePolicy) -> tuple[JSON, Verdict]:
    """Take one tick: the state after it, and the verdict.

    Pure: same state, tick and policy, same answer. `state` is None or empty when a rollout begins, otherwise what
    the last call gave. A tick whose `seq` was taken already changes nothing and has the same verdict again (of its
    numbers only those of `Verdict.brief`), so that a step which is repeated counts no request twice.
    """
    judging = Judge(policy, Memory.of(state, policy))
    if not judging.take(tick):
        return state or {}, judging.verdict()
    verdict = judging.verdict()
    judging.memory.verdict = verdict.brief()
    return judging.memory.as_json(), verdict


def learned(readings: Sequence[tuple[datetime, Sequence[PodCounters]]], policy: JudgePolicy) -> JSON:
    """The state of a rollout that begins, from what stable's pods counted at some times before it, in order.

    Empty where there are fewer than two readings.
    """
    judging = Judge(policy)
    read = [(at, Arm(tuple(pods))) for at, pods in readings if pods]
    # The first reading says where the first window begins: what was counted before it is nobody's.
    for (since, _), (_, arm) in pairwise([*read[:1], *read]):
        judging.learn(arm, since=since)
    return judging.memory.as_json() if judging.memory.history else {}


class Judge:
    """The fold in memory, for many ticks in a row: `judge` is one step of it."""

    def __init__(self, policy: JudgePolicy, memory: Memory | None = None) -> None:
        self._policy = policy
        self.memory = memory if memory is not None else Memory.of(None, policy)
        self._report: Report | None = None
        self.action: Action = "hold"
        self._cause: Cause | None = None
        self._is_opening, self._bad = False, ""

    def learn(self, baseline: Arm, *, since: datetime) -> None:
        """Take what stable's pods answered in a window before the rollout: nothing is bet on it, but how unequal they
        are among themselves, and what they usually answer, is known from the first tick on."""
        memory = self.memory
        inside, _ = memory.baseline_counters.take(baseline, seq=memory.seq, since=since, warmup=self._policy.warmup)
        nothing = Counts()
        for metric in self._policy.metrics:
            memory.processes[metric.name].learn(inside.get(metric.metric_set, nothing))
        for name, counts in inside.items():
            (memory.history.get(name) or memory.history.setdefault(name, Tally())).add(counts)

    def take(self, tick: Tick) -> bool:
        """Take one tick; False where its `seq` was taken before, and nothing has changed."""
        memory, policy = self.memory, self._policy
        if tick.seq <= memory.seq:
            return False
        memory.verdict = None
        tick = self._in_order(tick)
        memory.seq = tick.seq
        is_opening = tick.split == 0.0 or tick.opening
        if tick.changed or tick.split != memory.split:
            memory.split, memory.step_requests, memory.step_s = tick.split, 0, 0.0
        seen, silence, burning = Seen({}, {}, _parity(tick)), {}, memory.burning
        if tick.source_down:
            memory.down += 1
        else:
            memory.down = 0
            seen = self._count(tick, is_opening=is_opening)
            burning = self._is_burning(seen.baseline)
            silence = self._bet(seen, tick, is_burning=burning)
            self._tally(seen, tick, is_burning=burning)
            expected = [seen.canary] if tick.split == 1.0 else [seen.canary, seen.baseline]
            memory.silent = 0 if all(self._answered(arm) for arm in expected) else memory.silent + 1
        log_e = min(LOG_E_MOST, self._combined())
        self._report = report = Report(memory, tick, policy, seen, log_e, silence, burning)
        self._is_opening, self._bad = is_opening, ""
        if log_e >= policy.needed and memory.rejected is None:
            self._bad = self._bad_pod(report)
            if not self._bad:
                memory.rejected = {**report.blame(), "seq": tick.seq}
        self.action, self._cause = self._decide(report, is_opening=is_opening)
        return True

    def verdict(self) -> Verdict:
        """The verdict on the last tick that was taken, with all its numbers; to be asked before the next is."""
        if self._report is None:
            if self.memory.verdict is None:
                return Verdict("hold", None, "no tick was judged yet", 0.0, None)
            return Verdict.of(self.memory.verdict)
        report, action, reason = self._report, self.action, self._reason(self._report)
        numbers = report.numbers(self._cause)
        metric = effect = None
        if action == "roll_back" and self.memory.rejected is not None:
            metric = cast("str", self.memory.rejected["metric"])
            effect = cast("float | None", self.memory.rejected["effect"])
        if not self._policy.enforced and action not in ("continue", "advance"):
            numbers["observed"] = action
            would = "roll back" if action == "roll_back" else "hold"
            action, reason = "continue", f"only observed, would {would}: {reason}"
        return Verdict(action, metric, reason, report.log_e, effect, numbers)

    @property
    def repairs(self) -> list[str]:
        """What was mended or left out of the last tick that was taken."""
        return self._report.repairs() if self._report is not None else []

    @property
    def log_e(self) -> float:
        return self._report.log_e if self._report is not None else 0.0

    # One tick.

    def _in_order(self, tick: Tick) -> Tick:
        """A tick that ends before the last one did, or before it began, is read as none: clocks went back."""
        until = self.memory.until
        if not tick.source_down:
            if tick.until < tick.since or (until is not None and tick.until <= until):
                why = "its time lies before the last tick's end"
                return replace(tick, source_down=f"tick {tick.seq} is left out: {why}", repairs=(*tick.repairs, why))
            self.memory.until = tick.until
        return tick

    def _count(self, tick: Tick, *, is_opening: bool) -> Seen:
        memory, warmup = self.memory, self._policy.warmup
        canary = tick.canary
        if memory.replaced:
            kept = tuple(pod for pod in canary.pods if pod.pod not in memory.replaced)
            canary = Arm(kept, canary.ready)
        left_out: frozenset[str] = frozenset()
        if 0.0 < tick.split < 1.0:
            # What one side lacks is read again when both have it, over the same time on both sides.
            left_out = frozenset(
                {pod.metric_set for pod in canary.pods} ^ {pod.metric_set for pod in tick.baseline.pods}
            )
        of_canary, _ = memory.canary_counters.take(
            canary, seq=tick.seq, since=tick.since, warmup=warmup, left_out=left_out
        )
        of_stable, before = memory.baseline_counters.take(
            tick.baseline, seq=tick.seq, since=tick.since, warmup=warmup, left_out=left_out
        )
        for metric_set, counts in before.items():
            if metric_set not in memory.history:
                memory.history[metric_set] = Tally()
                memory.history[metric_set].seed(counts)
        for name in of_canary.keys() & of_stable.keys():
            both = of_canary[name], of_stable[name]
            if all(counts.is_all_young() for counts in both):  # equally cold: a fresh stable side is a fair one
                for counts in both:
                    counts.latency, counts.young = counts.young, []
        # Before its first share, and in the window in which that begins, the canary answers the requests that were
        # forced through to see it healthy: the first ones of a cold process, and no sample of what stable answers.
        return Seen({} if is_opening else of_canary, of_stable, _parity(tick))

    def _bet(self, seen: Seen, tick: Tick, *, is_burning: bool) -> dict[str, str]:
        """Bet on this tick, metric by metric; why those that said nothing were silent."""
        memory = self.memory
        length_s = (tick.until - tick.since).total_seconds()
        now = Round(tick.seq, length_s, tick.split, seen.parity, memory.history, is_burning or memory.burning)
        nothing, silence = Counts(), {}
        for metric in self._policy.metrics:
            process = memory.processes[metric.name]
            if is_burning and not memory.burning:
                process.forget_last_gain()
            baseline = seen.baseline.get(metric.metric_set, nothing)
            why = process.take(seen.canary.get(metric.metric_set, nothing), baseline, now)
            if why:
                silence[metric.name] = why
            if not is_burning:
                process.learn(baseline)
        return silence

    def _tally(self, seen: Seen, tick: Tick, *, is_burning: bool) -> None:
        """Remember the tick's counts: after betting on it, never before."""
        memory = self.memory
        for name, counts in seen.canary.items():
            (memory.canary.get(name) or memory.canary.setdefault(name, Tally())).add(counts)
        for name, counts in seen.baseline.items():
            (memory.baseline.get(name) or memory.baseline.setdefault(name, Tally())).add(counts)
            if not is_burning:
                (memory.history.get(name) or memory.history.setdefault(name, Tally())).add(counts)
        memory.burning = is_burning
        answered = self._answered(seen.canary)
        memory.step_requests += answered
        memory.step_s += max(0.0, (tick.until - tick.since).total_seconds())
        memory.ticks += 1 if answered else 0
        primary = self._policy.primary
        if tick.split == 1.0 and primary is not None and answered:
            history = memory.history.get(primary.metric_set, Tally())
            if history.requests:
                memory.detector = memory.detector or Detector()
                rate = bad_rate(history.bad.get(primary.bad, 0.0), history.requests)
                bad, requests = seen.canary[primary.metric_set].answered(primary.bad)
                memory.detector.take(bad, requests, rate)

    def _combined(self) -> float:
        enforced = [metric for metric in self._policy.metrics if metric.enforced]
        if not enforced:
            return 0.0
        return log_sum([log(metric.weight) + self.memory.processes[metric.name].value for metric in enforced])

    def _decide(self, report: Report, *, is_opening: bool) -> tuple[Action, Cause | None]:
        if self.memory.rejected is not None:
            return "roll_back", None
        if report.tick.source_down:
            return "hold", "source-down"
        if report.burning:
            return "hold", "stable-unhealthy"
        if self._bad:
            return "hold", "bad-pod"
        if is_opening or self.memory.silent:
            return "hold", "no-data"
        if report.tick.split == 1.0 and not any(metric.kind == "Guard" for metric in self._policy.metrics):
            return "hold", "no-data"
        return "advance" if report.is_harm_bounded() else "continue", None

    def _reason(self, report: Report) -> str:
        """Only where somebody reads it: words cost more than the judging."""
        if self.memory.rejected is not None:
            return _blamed(self.memory.rejected, report.tick.seq)
        match self._cause:
            case "source-down" if report.is_out_of_order():
                return f"{report.tick.source_down}; what is known is kept"
            case "source-down":
                return f"the metric source is down ({report.tick.source_down}); what is known is kept"
            case "stable-unhealthy":
                return report.unhealthy()
            case "bad-pod":
                return self._bad
            case "no-data" if self._is_opening:
                return "the canary has had no share of the requests for a whole tick yet"
            case "no-data":
                return report.missing()
            case None:
                return report.quiet()

    def _bad_pod(self, report: Report) -> str:
        """Whether one pod of the canary's is bad and the others are well: then that pod goes, not the version."""
        memory = self.memory
        if len(memory.replaced) >= REPLACED_MAX:
            return ""
        metric = report.worst()
        process = memory.processes[metric.name]
        if not isinstance(process, RatioProcess):
            return ""
        baseline = memory.baseline.get(metric.metric_set, Tally())
        pod = process.lone_pod(baseline.bad.get(metric.bad, 0.0), baseline.requests)
        if pod is None:
            return ""
        memory.replaced.append(pod)
        bad, requests = process.pods[pod]
        for each in memory.processes.values():
            if isinstance(each, RatioProcess):
                each.start_again()
        return (
            f"one pod is bad, not the version: {pod} has {bad:,.0f} of the canary's bad answers ({metric.name}) in "
            f"{requests:,.0f} requests, the others are well; replace it (`kubectl delete pod {pod}`), it counts no more"
        )

    def _answered(self, arm: Mapping[str, Counts]) -> int:
        primary = self._policy.primary
        if primary is not None:
            found = arm.get(primary.metric_set)
            return found.requests if found is not None else 0
        return max((counts.requests for counts in arm.values()), default=0)

    def _is_burning(self, baseline: Mapping[str, Counts]) -> bool:
        primary = self._policy.primary
        found = baseline.get(primary.metric_set) if primary is not None else None
        if primary is None or found is None:
            return False
        bad, requests = found.answered(primary.bad)
        return bad >= BURNING_MIN and bad > self._policy.bad_limit * requests


def _blamed(rejected: JSON, seq: int) -> str:
    """Why it was rolled back. Evidence and counts of a later tick are others than those of the one that decided, which
    is named then; states of earlier releases do not know it."""
    decided = rejected.get("seq", seq)
    reason = cast("str", rejected["reason"])
    return reason if decided == seq else f"decided at tick {decided}: {reason}"


def _parity(tick: Tick) -> float | None:
    """The canary's load per ready pod over stable's; None where one side has no share or no ready pod."""
    if not 0.0 < tick.split < 1.0 or not tick.canary.ready or not tick.baseline.ready:
        return None
    return (tick.split / tick.canary.ready) / ((1.0 - tick.split) / tick.baseline.ready)
