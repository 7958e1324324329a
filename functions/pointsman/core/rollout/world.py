"""What the cluster should look like, and when to look again: pure functions of where a rollout is.

`transition` decides where a rollout is; what follows from that is here, so that whoever repeats a tick after a crash
writes the same. Scale-downs come last in each state, and only where the weight was seen to be 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from pointsman.core.records import RolloutRecord
from pointsman.core.rollout.memory import Memory, memory_of
from pointsman.core.rollout.observation import Observation
from pointsman.core.rollout_plan import Plan, StepPlan, plan_of
from pointsman.core.routes import RouteSpec
from pointsman.core.signals import Timing

__all__ = ["RESETS_MAX", "World", "baseline_of", "drain_s", "serving_of", "split_of", "step_of", "wait_s", "world"]

RESETS_MAX = 3
"""How often a route that somebody else resets is written again, before people are asked."""

QUIET_TICKS = 100
"""After so many ticks in one state, ticks grow longer by one length each time: a day of hold then costs hundreds of
them and not thousands."""

TICK_S_MAX = 120.0
QUEUE_S_MAX = 60.0
POLL_S_MAX = 15.0
PROVISIONING_S = 1.0
"""The execution that provisions the pool rings when it ends; this is for capacity that comes by itself."""


@dataclass(frozen=True, slots=True)
class World:
    """`route` None: it is left as it is, or (`route_off`) there is to be none. `replicas` is by revision; a revision
    that isn't in it stays as it is. `place`: the canary's own objects are to be there before its pods."""

    route: RouteSpec | None = None
    route_off: bool = False
    replicas: Mapping[str, int] = field(default_factory=dict)
    place: bool = False


def baseline_of(rollout: RolloutRecord) -> str | None:
    """The revision beside the canary; None for a first deployment, or where only one is concerned."""
    return rollout.from_revision if rollout.from_revision != rollout.to_revision else None


def serving_of(rollout: RolloutRecord, memory: Memory) -> str | None:
    """Who has the traffic that the canary hasn't."""
    return baseline_of(rollout) or memory.found or None


def step_of(rollout: RolloutRecord, plan: Plan) -> StepPlan | None:
    """The step that the rollout is at; None outside them."""
    stepping = rollout.state == "stepping" or (rollout.held_from == "stepping" and rollout.state == "held")
    return plan.steps[rollout.step] if stepping else None


def split_of(rollout: RolloutRecord, plan: Plan) -> float:
    """The canary's share of the requests that are split or copied, 0..1."""
    step = step_of(rollout, plan)
    if step is not None and step.mirror_percent:
        return round(step.mirror_percent / 100, 6)
    return round(rollout.want / plan.weight_total, 6)


def drain_s(plan: Plan, timing: Timing) -> float:
    """From conditions that are true to nobody waiting for an answer: in force everywhere, and the longest answer."""
    return timing.settle_s + plan.request_timeout_s


def world(rollout: RolloutRecord) -> World:
    """What should be there. Nothing for a rollout that owns no service."""
    plan, memory = plan_of(rollout), memory_of(rollout)
    to, serving = rollout.to_revision, serving_of(rollout, memory)
    total = plan.weight_total
    gone = dict.fromkeys(memory.older, 0)
    older, replicas = ({}, gone) if memory.older_over else (gone, {})
    if serving is not None and memory.replicas is not None:
        replicas = {**replicas, serving: memory.replicas}
    match rollout.state:
        case "queued" | "promoted" | "rolled_back" | "aborted" | "superseded" | "failed":
            return World()
        case "pending":
            if serving is None and rollout.from_revision != to:
                return World()
            return World(RouteSpec({serving or to: total, **_without(older, serving or to)}), replicas=replicas)
        case "placing" | "provisioning" | "stepping" | "held" | "baking":
            left_alone = memory.resets > RESETS_MAX
            route = None if left_alone else _split(rollout, plan, memory, serving, older)
            return World(route, replicas={**replicas, to: memory.target}, place=True)
        case "completing":
            return _completing(rollout, plan, memory, serving, older, replicas)
        case "giving_back":
            return _giving_back(rollout, plan, memory, serving, older, replicas)
        case _:
            assert_never(rollout.state)


def _split(
    rollout: RolloutRecord, plan: Plan, memory: Memory, serving: str | None, older: Mapping[str, int]
) -> RouteSpec:
    to, total = rollout.to_revision, plan.weight_total
    probe = (memory.word, to)
    if serving is None:
        return RouteSpec({to: total} if rollout.from_revision == to else {}, probe)
    step = step_of(rollout, plan)
    cohort = step.cohort if step is not None and rollout.want else None
    mirror = (to, step.mirror_percent) if step is not None and step.mirror_percent and not memory.astray else None
    canary = 0 if cohort is not None else rollout.want
    weights = {serving: total - canary, to: canary, **_without(older, serving, to)}
    if cohort is None:
        return RouteSpec(weights, probe, mirror=mirror)
    return RouteSpec(weights, probe, cohort, {f"{serving}-c": total - rollout.want, to: rollout.want})


def _completing(
    rollout: RolloutRecord,
    plan: Plan,
    memory: Memory,
    serving: str | None,
    older: Mapping[str, int],
    replicas: dict[str, int],
) -> World:
    to, total = rollout.to_revision, plan.weight_total
    if rollout.kind == "remove":
        left = {serving: 0} if serving is not None else {}
        away = {**replicas, **left, to: 0} if memory.phase == "closing" else {}
        return World(route_off=True, replicas=away)
    if memory.phase == "closing":
        left = {serving: 0} if serving is not None else {}
        return World(RouteSpec({to: total}), replicas={**replicas, **left, to: plan.replicas})
    if serving is None:
        weights = {to: total} if rollout.want or rollout.from_revision == to else {}
    else:
        weights = {serving: total - rollout.want, to: rollout.want}
    return World(
        RouteSpec({**weights, **_without(older, *weights)}, (memory.word, to)),
        replicas={**replicas, to: memory.target},
        place=True,
    )


def _giving_back(
    rollout: RolloutRecord,
    plan: Plan,
    memory: Memory,
    serving: str | None,
    older: Mapping[str, int],
    replicas: dict[str, int],
) -> World:
    to, total = rollout.to_revision, plan.weight_total
    if serving is None:
        if rollout.from_revision == to:  # it serves, and was only to be changed in place
            return World(RouteSpec({to: total}))
        probe = RouteSpec({}, (memory.word, to)) if memory.word else None
        return World(probe, replicas={to: 0} if memory.phase == "closing" else {})
    if memory.phase == "closing":
        return World(RouteSpec({serving: total}), replicas={**replicas, to: 0})
    if memory.stuck:  # what is left of a route that can't be reconciled: the one backend that is known to serve
        return World(RouteSpec({serving: total}), replicas=replicas)
    weights = {serving: total - rollout.want, to: rollout.want}
    return World(RouteSpec({**weights, **_without(older, *weights)}), replicas=replicas)


def wait_s(rollout: RolloutRecord, observed: Observation, now: datetime) -> float:
    """The longest time, in seconds, until something may have to be decided; 0 for at once."""
    plan, memory, timing = plan_of(rollout), memory_of(rollout), observed.timing
    match rollout.state:
        case "promoted" | "rolled_back" | "aborted" | "superseded" | "failed":
            return 0.0
        case "queued":
            until = observed.freeze.until if observed.freeze is not None else None
            if observed.busy:
                return min(QUEUE_S_MAX, 2 * timing.tick_s)
            return min(QUEUE_S_MAX, max(1.0, _seconds(until, now))) if until is not None else QUEUE_S_MAX
        case "pending" | "placing":
            return _poll_s(rollout, timing, now)
        case "provisioning":
            return max(PROVISIONING_S, _poll_s(rollout, timing, now))
        case "stepping" | "baking" | "held":
            return _wait_in_step(rollout, plan, memory, timing, now)
        case "completing" | "giving_back":
            if memory.phase == "draining" and memory.drained is not None:
                over = memory.drained + timedelta(seconds=drain_s(plan, timing))
                return max(0.05, min(_seconds(over, now), QUEUE_S_MAX))
            return _poll_s(rollout, timing, now)
        case _:
            assert_never(rollout.state)


def _wait_in_step(rollout: RolloutRecord, plan: Plan, memory: Memory, timing: Timing, now: datetime) -> float:
    if memory.clock is None or not memory.confirmed:
        return _poll_s(rollout, timing, now)
    age_s = (now - rollout.state_since).total_seconds()
    tick_s = timing.tick_s * (1 + age_s // (QUIET_TICKS * timing.tick_s))
    tick_s = min(tick_s, max(TICK_S_MAX, timing.tick_s))
    waits = [tick_s]
    if rollout.judged_until is not None:
        tick_in_s = _seconds(rollout.judged_until + timedelta(seconds=tick_s + timing.lag_s), now)
        waits.append(tick_in_s if tick_in_s > 0 else timing.scrape_s / 2)
    step = step_of(rollout, plan)
    hold_s = step.hold_s if step is not None else plan.bake_s
    over_s = _seconds(memory.clock + timedelta(seconds=timing.lag_s + hold_s), now)
    if over_s > 0:
        waits.append(over_s)
    elif rollout.state != "held":
        waits.append(_poll_s(rollout, timing, now))
    return max(0.2, min(waits))


def _poll_s(rollout: RolloutRecord, timing: Timing, now: datetime) -> float:
    """Between two looks at what is about to change: a moment at first, less often the longer it takes."""
    age_s = (now - rollout.state_since).total_seconds()
    return min(max(timing.poll_s, age_s / 20), max(POLL_S_MAX, timing.poll_s))


def _without(older: Mapping[str, int], *revisions: str) -> dict[str, int]:
    return {revision: weight for revision, weight in older.items() if revision not in revisions}


def _seconds(until: datetime, now: datetime) -> float:
    return (until - now).total_seconds()
