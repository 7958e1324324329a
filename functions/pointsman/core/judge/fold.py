"""The judge: a fold over ticks. Is the canary worse than the stable revision beside it?

Each metric turns a tick into e-values, numbers whose expectation is at most 1 while the canary is not worse;
their products, mixed over effect sizes and beginnings (`onset`) and averaged over metrics with fixed weights,
give one number E. A canary that is not worse ever reaches E >= 1/alpha in at most alpha of all rollouts, however
often one looks (Ville's inequality): that is where it is rolled back.

No data, and a metric source that is down, are no evidence: the verdict is `hold`, what is known is kept. When
stable itself fails beyond the policy's limit nothing is held against the canary, not in that tick, nor in the
ticks before and after it, since the two sides are not read at the very same instant.
"""

from collections.abc import Mapping
from math import log
from typing import cast

from pointsman.core.judge.deltas import Counts, differences
from pointsman.core.judge.evidence import Comparison, load_parity
from pointsman.core.judge.memory import Memory, Tally
from pointsman.core.judge.onset import Stakes, log_sum
from pointsman.core.judge.policy import JudgePolicy
from pointsman.core.judge.report import Report
from pointsman.core.judge.ticks import Tick
from pointsman.core.judge.verdict import Action, Cause, Verdict
from pointsman.core.names import JSON

__all__ = ["judge"]

LOG_E_MOST = 300.0

BURNING_MIN = 3
"""Bad answers of stable in a tick, at least, before it is called unhealthy."""


def judge(state: JSON | None, tick: Tick, policy: JudgePolicy) -> tuple[JSON, Verdict]:
    """Take one tick: the state after it, and the verdict.

    Pure: same state, tick and policy, same answer. `state` is None or empty when a rollout begins, otherwise what
    the last call gave. A tick whose `seq` was taken already changes nothing and has the same verdict again, so
    that a step which is repeated counts no request twice.
    """
    memory = Memory.of(state)
    if state and memory.verdict is not None and tick.seq <= memory.seq:
        return state, Verdict.of(memory.verdict)
    memory.seq = tick.seq
    is_opening = 0.0 in (tick.split, memory.split)
    if tick.changed or tick.split != memory.split:
        memory.split, memory.step_requests = tick.split, 0
    verdict = _verdict(memory, tick, policy, is_opening=is_opening)
    memory.verdict = verdict.as_json()
    return memory.as_json(), verdict


def _verdict(memory: Memory, tick: Tick, policy: JudgePolicy, *, is_opening: bool) -> Verdict:
    silence: dict[str, str] = {}
    comparison = Comparison({}, {}, {}, tick.split, load_parity(tick))
    burning = memory.burning
    if tick.source_down:
        memory.down += 1
    else:
        memory.down = 0
        comparison = _compare(memory, tick, policy, is_opening=is_opening)
        burning = _is_burning(comparison.baseline, policy)
        silence = _take_evidence(memory, comparison, policy, tick, burning=burning)
        _tally(memory, comparison, policy, burning=burning)
        expected = [comparison.canary] if tick.split == 1.0 else [comparison.canary, comparison.baseline]
        memory.silent = 0 if all(_answered(arm, policy) for arm in expected) else memory.silent + 1
    values = {
        metric.name: memory.stakes[metric.name].value(policy.weights(metric))
        for metric in policy.metrics
        if metric.name in memory.stakes
    }
    log_e = min(LOG_E_MOST, _combined(values, policy))
    report = Report(memory, tick, policy, comparison, values, log_e, silence, burning)
    if log_e >= policy.needed and memory.rejected is None:
        memory.rejected = report.blame()
    action, cause, reason = _action(memory, tick, report, burning=burning, is_opening=is_opening)
    numbers = report.numbers(cause)
    metric = effect = None
    if action == "roll_back" and memory.rejected is not None:
        metric = cast("str", memory.rejected["metric"])
        effect = cast("float | None", memory.rejected["effect"])
    if not policy.enforced and action != "continue":
        numbers["observed"] = action
        would = "roll back" if action == "roll_back" else "hold"
        action, reason = "continue", f"only observed, would {would}: {reason}"
    return Verdict(action, metric, reason, log_e, effect, numbers)


def _action(
    memory: Memory, tick: Tick, report: Report, *, burning: bool, is_opening: bool
) -> tuple[Action, Cause | None, str]:
    if memory.rejected is not None:
        return "roll_back", None, cast("str", memory.rejected["reason"])
    if tick.source_down:
        return "hold", "source-down", f"the metric source is down ({tick.source_down}); what is known is kept"
    if burning:
        return "hold", "stable-unhealthy", report.unhealthy()
    if is_opening:
        return "hold", "no-data", "the canary has had no share of the requests for a whole tick yet"
    if memory.silent:
        return "hold", "no-data", report.missing()
    return "continue", None, report.quiet()


def _compare(memory: Memory, tick: Tick, policy: JudgePolicy, *, is_opening: bool) -> Comparison:
    arms = {}
    for name, arm in (("canary", tick.canary), ("baseline", tick.baseline)):
        inside, before, memory.pods[name] = differences(
            memory.pods.get(name, {}), arm, seq=tick.seq, since=tick.since, warmup=policy.warmup
        )
        arms[name] = inside
        if name == "baseline":
            for metric_set, counts in before.items():
                if metric_set not in memory.history:
                    memory.history[metric_set] = Tally()
                    memory.history[metric_set].seed(counts)
    # Before its first share, and in the window in which that begins, the canary answers the requests that were
    # forced through to see it healthy: the first ones of a cold process, and no sample of what stable answers.
    return Comparison(
        {} if is_opening else arms["canary"], arms["baseline"], memory.history, tick.split, load_parity(tick)
    )


def _take_evidence(
    memory: Memory, comparison: Comparison, policy: JudgePolicy, tick: Tick, *, burning: bool
) -> dict[str, str]:
    """Bet on this tick, metric by metric; why those that said nothing were silent."""
    silence = {}
    for metric in policy.metrics:
        weights = policy.weights(metric)
        stakes = memory.stakes.get(metric.name, Stakes.new(len(weights)))
        if burning and not memory.burning:
            stakes = stakes.without_last_gain()
        evidence, why = comparison.evidence(metric, policy)
        if evidence is None:
            silence[metric.name] = why
        else:
            if burning or memory.burning:
                evidence = [min(0.0, nats) for nats in evidence]
            stakes = stakes.after(evidence, split=tick.split, seq=tick.seq, weights=weights)
        memory.stakes[metric.name] = stakes
    return silence


def _tally(memory: Memory, comparison: Comparison, policy: JudgePolicy, *, burning: bool) -> None:
    """Remember the tick's counts: after betting on it, never before."""
    for name, counts in comparison.canary.items():
        memory.canary.setdefault(name, Tally()).add(counts)
    for name, counts in comparison.baseline.items():
        memory.baseline.setdefault(name, Tally()).add(counts)
        if not burning:
            memory.history.setdefault(name, Tally()).add(counts)
    memory.burning = burning
    answered = _answered(comparison.canary, policy)
    memory.step_requests += answered
    memory.ticks += 1 if answered else 0


def _combined(values: Mapping[str, float], policy: JudgePolicy) -> float:
    enforced = [metric for metric in policy.metrics if metric.enforced]
    if not enforced:
        return 0.0
    return log_sum([log(metric.weight) + values.get(metric.name, 0.0) for metric in enforced])


def _answered(arm: Mapping[str, Counts], policy: JudgePolicy) -> int:
    primary = policy.primary
    if primary is not None:
        return arm.get(primary.metric_set, Counts()).requests
    return max((counts.requests for counts in arm.values()), default=0)


def _is_burning(baseline: Mapping[str, Counts], policy: JudgePolicy) -> bool:
    primary = policy.primary
    if primary is None:
        return False
    bad, requests = baseline.get(primary.metric_set, Counts()).answered(primary.bad)
    return bad >= BURNING_MIN and bad > policy.bad_limit * requests
