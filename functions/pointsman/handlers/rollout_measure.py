"""What a tick reads of the metrics: counters of both arms, made into one tick of the judge; and the split that is seen.

A tick is a window of data time. It ends where every live pod of both arms has a sample, so that neither side is
judged on more than the other; a pod that has been silent for three lags is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from pointsman.core.judge import Arm, JudgePolicy, Tick, Verdict, judge
from pointsman.core.judge.fold import learned
from pointsman.core.judge.recording_lines import kept
from pointsman.core.names import JSON
from pointsman.core.records import RolloutRecord
from pointsman.core.rollout import Memory, Side
from pointsman.core.rollout.world import baseline_of, split_of, step_of
from pointsman.core.rollout_plan import Plan
from pointsman.core.signals import Timing
from pointsman.errors import PointsmanError
from pointsman.ports import Metrics

__all__ = ["Measured", "is_judged", "measure"]

PAST, PAST_TICKS_MAX = timedelta(hours=1), 360
"""How much of stable's past is read before the first tick, in so many windows at most."""

SILENT_LAGS = 3
WHOLE = 0.75
"""A window is judged when it is this part of a tick or longer: scrapes and our calls are not in step."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`verdict` is None where there was nothing new to judge; then `judge` and `until` are what they were."""

    verdict: Verdict | None = None
    judge: JSON = field(default_factory=dict)
    until: datetime | None = None
    tick: JSON | None = None
    """The tick as it is recorded with the decision."""
    counted: Mapping[str, int] = field(default_factory=dict)
    source_down: str = ""
    learned: JSON | None = None
    """What stable's past has taught, where it was asked for in this tick: the state that the tick began with."""


def is_judged(rollout: RolloutRecord, memory: Memory, plan: Plan, canary: Side) -> bool:
    """Whether the canary may have traffic now, or gets its first: then both sides' counters must be known."""
    if plan.fast or plan.replicas == 0:
        return False
    match rollout.state:
        case "placing":
            return 0 < memory.target <= canary.ready
        case "stepping" | "held" | "baking":
            return not memory.astray
        case "completing":
            return memory.phase == "moving"
        case _:
            return False


def measure(
    metrics: Metrics,
    rollout: RolloutRecord,
    memory: Memory,
    plan: Plan,
    sides: Mapping[str, Side],
    timing: Timing,
    now: datetime,
) -> Measured:
    """Read the counters, judge what is new. A source that doesn't answer is an observation, not an error."""
    at = now - timedelta(seconds=timing.lag_s)
    canary, baseline = rollout.to_revision, _baseline(rollout, plan)
    same = Measured(judge=rollout.judge, until=rollout.judged_until)
    least = timedelta(seconds=timing.tick_s * WHOLE)
    if rollout.judged_until is not None and at - rollout.judged_until < least:
        return same
    revisions = [name for name in (canary, baseline) if name is not None]
    try:
        own = cast("Sequence[JSON]", plan.judge.get("metrics", ()))
        read = metrics.pods(plan.namespace, plan.name, revisions, at, metric_sets=plan.metric_sets, own=own)
        counted = metrics.gateway(plan.namespace, plan.name, at) if rollout.state != "placing" else {}
    except PointsmanError as error:
        return Measured(judge=rollout.judge, until=rollout.judged_until, source_down=str(error))
    silent = at - timedelta(seconds=SILENT_LAGS * max(timing.lag_s, timing.scrape_s))
    arms = {name: [pod for pod in read.get(name, ()) if pod.sampled_at > silent] for name in revisions}
    until = min((pod.sampled_at for pods in arms.values() for pod in pods), default=at)
    if rollout.judged_until is not None and until - rollout.judged_until < least:
        return Measured(judge=rollout.judge, until=rollout.judged_until, counted=counted)
    tick = Tick(
        seq=rollout.seq + 1,
        since=min(until, rollout.judged_until or rollout.started_at),  # the first data may be older than the rollout
        until=until,
        split=(split := _split(rollout, memory, plan, until)),
        canary=Arm(tuple(arms[canary]), _ready(sides, canary)),
        baseline=Arm(tuple(arms[baseline]), _ready(sides, rollout.from_revision or "")) if baseline else Arm((), 0),
        opening=split > 0.0 and rollout.judge.get("split") == 0.0,
    )
    policy, before, taught = JudgePolicy.of(plan.judge), rollout.judge, None
    if not before and baseline is not None:
        before = taught = _learned(metrics, plan, baseline, tick.since, timing, policy)
    state, verdict = judge(before or None, tick, policy)
    return Measured(verdict, state, until, kept(tick), counted, learned=taught)


def _learned(metrics: Metrics, plan: Plan, baseline: str, until: datetime, timing: Timing, policy: JudgePolicy) -> JSON:
    """Stable's last hour, tick by tick: how unequal its pods are among themselves. What cannot be read is not known."""
    every = timedelta(seconds=max(timing.tick_s, PAST.total_seconds() / PAST_TICKS_MAX))
    times = [until - every * back for back in range(int(PAST / every), -1, -1)]
    own = cast("Sequence[JSON]", plan.judge.get("metrics", ()))
    try:
        read = metrics.past(plan.namespace, baseline, times, metric_sets=plan.metric_sets, own=own)
    except PointsmanError:
        return {}
    return learned(list(zip(times, read, strict=True)), policy)


def _baseline(rollout: RolloutRecord, plan: Plan) -> str | None:
    """Whose counters stand for stable; those of the cohort alone where the step is a cohort's."""
    baseline, step = baseline_of(rollout), step_of(rollout, plan)
    return f"{baseline}-c" if baseline is not None and step is not None and step.cohort is not None else baseline


def _split(rollout: RolloutRecord, memory: Memory, plan: Plan, until: datetime) -> float:
    """The share in force at the window's end; that of the last window until this weight was seen."""
    if memory.clock is not None and until >= memory.clock:
        return split_of(rollout, plan)
    before = rollout.judge.get("split")
    return before if isinstance(before, float) else 0.0


def _ready(sides: Mapping[str, Side], revision: str) -> int:
    return sides.get(revision, Side()).ready
