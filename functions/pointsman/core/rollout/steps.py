"""Steps, holds and the bake: the weight rises one step at a time, or drops.

A rollout is held by the first obstacle that stands in its way, and goes on where it was when that is gone. It is
judged all the while: roll_back wins over everything that could be waited for.
"""

from datetime import datetime, timedelta
from math import log

from pointsman.core.judge.power import detectable
from pointsman.core.judge.ratio import bad_rate
from pointsman.core.judge.verdict import Verdict
from pointsman.core.rollout.observation import AskPool
from pointsman.core.rollout.pacing import paced_step, short_of_evidence
from pointsman.core.rollout.turn import Turn
from pointsman.core.rollout.world import RESETS_MAX, split_of, step_of
from pointsman.core.traffic import carries

__all__ = ["enter_bake", "enter_completing", "enter_step", "hold", "standing_obstacle", "under_way"]

LOST_MAX = 3
"""The third time in a step that the canary has no pods, it is given back."""

BLIND_LAGS = 3
"""For so many lags a metric source may be down before the rollout is held."""

SPLIT_NATS = 18.0
"""How unlikely, e^-18, a split must be before it is called another than the one asked for."""

SPLIT_PART = 0.2
"""And how far off: a gateway may round weights, so that a fifth of the smaller side is its own."""


def enter_step(turn: Turn, step: int) -> None:
    """The canary gets a step's weight."""
    turn.go("stepping")
    _fresh(turn)
    turn.remember(target=max(turn.memory.target, turn.size(step)))
    turn.weigh(turn.plan.steps[step].weight, step=step)
    turn.remember(carried=True)  # copies of requests, too, are answered


def enter_bake(turn: Turn) -> None:
    """Almost everything goes to the canary; a small baseline stays, to tell a shared outage from a broken version."""
    turn.go("baking")
    _fresh(turn)
    turn.remember(target=turn.full)
    turn.weigh(turn.plan.bake_weight, step=len(turn.plan.steps))


def enter_completing(turn: Turn, reason: str = "") -> None:
    """Everything will go to the canary, once it has its full size."""
    turn.go("completing", reason)
    turn.remember(phase="moving", drained=None, stuck=False, target=max(turn.full, 0), clock=None, counted={})


def under_way(turn: Turn) -> None:
    """One tick of `stepping`, `held` or `baking`."""
    verdict, canary = turn.observed.verdict, turn.canary_side
    turn.follow_stable()
    if verdict is not None and verdict.action == "roll_back" and turn.plan.enforced:
        turn.give_back("worse", verdict.reason)
    elif canary.broken:
        turn.give_back("bad", canary.broken)
    elif turn.memory.due is not None and turn.memory.frozen is None and turn.now >= turn.memory.due:
        turn.give_back("late", "not done within deadlines.rollout")
    else:
        _replace_pods(turn)
        _confirm(turn)
        if turn.rollout.held_from == "placing":
            _from_placing(turn)
        elif turn.memory.promote:
            turn.set(reason="")
            enter_completing(turn, f"promoted by {turn.memory.promote}")
        else:
            _go_on(turn)


def _replace_pods(turn: Turn) -> None:
    """Pods that were found to be bad alone are deleted: their Deployment makes others."""
    verdict = turn.observed.verdict
    if verdict is None or not turn.plan.enforced:
        return
    found = _strings(verdict.numbers.get("replaced_pods"))
    fresh = tuple(pod for pod in found if pod not in turn.memory.replaced)
    if fresh:
        turn.remember(replaced=(*turn.memory.replaced, *fresh))
        turn.notes.append(f"{', '.join(fresh)} replaced, bad alone")
        turn.announce("RolloutHeld", f"one pod is bad, not the version: {', '.join(fresh)} is replaced")


def standing_obstacle(turn: Turn) -> str | None:
    """What holds a rollout at any time of a step: people, a freeze, somebody who writes our route."""
    memory, freeze = turn.memory, turn.observed.freeze
    if memory.paused:
        return f"paused: by {memory.paused}"
    if memory.resets > RESETS_MAX:
        return f"conflict: somebody else wrote the HTTPRoute {memory.resets} times; `pointsman resume` writes it again"
    if freeze is not None and freeze.holds_running:
        return f"freeze: {freeze}"
    return None


def _go_on(turn: Turn) -> None:
    if _lost_pods(turn):
        return
    blind = _blind(turn)
    # With a source that has just gone down nothing is left: it may be back before that is called a hold.
    over = _is_over(turn) and (turn.memory.blind is None or blind is not None)
    obstacle = standing_obstacle(turn)
    if over:
        for obstructs in (_approval, _undecided, _split_differs, _unsized):
            obstacle = obstacle or obstructs(turn)
            if turn.rollout.state == "giving_back":
                return
    obstacle = obstacle or blind
    if obstacle is not None:
        hold(turn, obstacle)
        return
    _resume(turn)
    if over and _is_sized(turn):
        _next(turn)


def _next(turn: Turn) -> None:
    step = paced_step(turn, _latest(turn)) or turn.rollout.step + 1
    if turn.rollout.state == "baking":
        turn.remember(baked=True)
        enter_completing(turn)
    elif step < len(turn.plan.steps):
        enter_step(turn, step)
    else:
        enter_bake(turn)


def hold(turn: Turn, why: str) -> None:
    """Held, or held by something else than before; then people are told."""
    rollout, memory = turn.rollout, turn.memory
    kind, before = why.partition(":")[0], rollout.reason.partition(":")[0]
    if rollout.state != "held":
        turn.go("held", why)
        turn.set(held_from=rollout.state)
    else:
        turn.set(reason=why)
    if kind == "freeze":
        turn.remember(frozen=memory.frozen or turn.now)
    else:
        _thaw(turn)
    turn.set(deadline=_held_until(turn, kind))
    if rollout.state != "held" or before != kind:
        turn.notes.append(f"held: {why}")
        turn.announce("ApprovalNeeded" if kind == "approval" else "RolloutHeld", why)


def _held_until(turn: Turn, kind: str) -> datetime | None:
    memory, due = turn.memory, turn.memory.due
    until: datetime | None = None
    if kind == "approval" and memory.asked is not None:
        step = turn.plan.steps[turn.rollout.step]
        until = memory.asked + timedelta(seconds=step.approval_expires_s)
    elif memory.undecided is not None and turn.plan.without_data_then != "Hold":
        until = memory.undecided + timedelta(seconds=turn.plan.without_data_wait_s)
    elif kind == "freeze":
        return None
    return min((time for time in (until, due) if time is not None), default=None)


def _thaw(turn: Turn) -> None:
    frozen, due = turn.memory.frozen, turn.memory.due
    if frozen is not None:
        turn.remember(frozen=None, due=due + (turn.now - frozen) if due is not None else None)


def _resume(turn: Turn) -> None:
    _thaw(turn)
    if turn.rollout.state == "held":
        where = turn.rollout.held_from
        turn.go("baking" if where == "baking" else "stepping", "")


def _from_placing(turn: Turn) -> None:
    """Held before its first weight: placing decides again once nothing stands in the way."""
    obstacle = standing_obstacle(turn)
    if obstacle is None:
        _thaw(turn)
        turn.go("placing")
    else:
        hold(turn, obstacle)


def _fresh(turn: Turn) -> None:
    """A step begins: what was counted for the last one is forgotten."""
    turn.remember(skipped=False, approvals=(), asked=None, lost=0, astray=False, undecided=None, clock=None, counted={})


def _confirm(turn: Turn) -> None:
    """Whether the weight is in force; a route that was, and isn't any more, was somebody else's doing."""
    route, memory = turn.observed.route, turn.memory
    if route.seen:
        turn.set(seen=turn.rollout.want)
        if memory.clock is None:
            turn.remember(clock=turn.now)
        turn.remember(confirmed=True)
    elif memory.confirmed and not route.as_wanted:
        turn.remember(confirmed=False, resets=memory.resets + 1)
        turn.notes.append(f"the HTTPRoute was changed by somebody else ({memory.resets + 1})")
    clock, lag = turn.memory.clock, timedelta(seconds=turn.observed.timing.lag_s)
    if not turn.memory.counted and turn.observed.counted and clock is not None and turn.now >= clock + lag:
        turn.remember(counted=dict(turn.observed.counted))


def _lost_pods(turn: Turn) -> bool:
    """An arm carries no more than its ready pods can; without them it gets nothing, at once. Whether that is so."""
    canary, memory, rollout = turn.canary_side, turn.memory, turn.rollout
    if memory.astray:
        if canary.ready >= memory.target and turn.observed.probed:
            turn.remember(astray=False)
            turn.weigh(_weight_of_step(turn))
            _resume(turn)
            return True
        hold(turn, f"lost pods: {canary.ready} of {memory.target} of the canary's pods are ready")
        return True
    enough = canary.ready >= turn.size(rollout.step) or carries(
        canary.ready, turn.full, rollout.want, turn.plan.weight_total
    )
    if enough and (canary.ready or not (rollout.want or _mirrored(turn))):
        return False
    turn.remember(astray=True, lost=memory.lost + 1)
    turn.weigh(0)
    if turn.memory.lost >= LOST_MAX:
        turn.give_back("capacity", f"the canary lost its pods {LOST_MAX} times in a step")
    else:
        hold(turn, f"lost pods: {canary.ready} of {memory.target} of the canary's pods are ready")
    return True


def _mirrored(turn: Turn) -> bool:
    step = step_of(turn.rollout, turn.plan)
    return step is not None and step.mirror_percent > 0


def _weight_of_step(turn: Turn) -> int:
    if turn.rollout.state == "baking" or turn.rollout.held_from == "baking":
        return turn.plan.bake_weight
    return turn.plan.steps[turn.rollout.step].weight


def _blind(turn: Turn) -> str | None:
    """Metrics that can't be read: held after a few lags; what is known of the canary is kept."""
    if not turn.observed.source_down:
        if turn.observed.verdict is not None:
            turn.remember(blind=None)
        return None
    since = turn.memory.blind or turn.now
    turn.remember(blind=since)
    if turn.now < since + timedelta(seconds=BLIND_LAGS * turn.observed.timing.lag_s):
        return None
    return f"source down: {turn.observed.source_down}"


def _is_over(turn: Turn) -> bool:
    """Whether the step's own time is over: its hold, counted from data of its weight, or somebody skipped it."""
    clock = turn.memory.clock
    if clock is None:
        return False
    if turn.memory.skipped:
        return True
    if turn.rollout.state != "baking" and paced_step(turn, _latest(turn)) is not None:
        return True
    step = step_of(turn.rollout, turn.plan)
    hold_s = step.hold_s if step is not None else turn.plan.bake_s
    return turn.now >= clock + timedelta(seconds=turn.observed.timing.lag_s + hold_s)


def _approval(turn: Turn) -> str | None:
    step = step_of(turn.rollout, turn.plan)
    if step is None or len(turn.memory.approvals) >= step.approvals:
        return None
    asked = turn.memory.asked or turn.now
    turn.remember(asked=asked)
    if turn.now >= asked + timedelta(seconds=step.approval_expires_s):
        turn.give_back("unapproved", f"no approval within {step.approval_expires_s:g} s")
        return None
    return f"approval: {len(turn.memory.approvals)} of {step.approvals} owners have approved"


def _undecided(turn: Turn) -> str | None:
    """A step whose time is over is left only on data; without, the policy says what happens, and when."""
    missing = _missing(turn)
    if missing is None:
        turn.remember(undecided=None)
        return None
    since = turn.memory.undecided or turn.now
    turn.remember(undecided=since)
    if turn.now < since + timedelta(seconds=turn.plan.without_data_wait_s):
        return missing
    match turn.plan.without_data_then:
        case "RollBack":
            turn.give_back("undecided", f"undecided for {turn.plan.without_data_wait_s:g} s: {missing}")
            return None
        case "Advance":
            turn.remember(unjudged=(*turn.memory.unjudged, turn.rollout.step))
            turn.notes.append(f"not judged, as withoutData.then says ({_detectable(turn)}): {missing}")
            return None
        case "Hold":
            return f"undecided: {missing}"


def _missing(turn: Turn) -> str | None:
    verdict = _latest(turn)
    if turn.memory.blind is not None:
        return f"source down: {turn.observed.source_down or 'no reading since'}"
    if verdict is None or verdict.numbers.get("split") != split_of(turn.rollout, turn.plan):
        return "no data: nothing was judged at this step yet"
    numbers = verdict.numbers
    answered = _integer(_mapping(numbers.get("exposure")).get("step_requests"))
    if answered < turn.plan.min_requests:
        return f"no data: {answered} of {turn.plan.min_requests} requests at this step"
    if verdict.action != "hold":
        return short_of_evidence(turn, verdict)
    if numbers.get("cause") == "stable-unhealthy":
        return None if turn.plan.when_stable_unhealthy == "Advance" else f"stable unhealthy: {verdict.reason}"
    return f"no data: {verdict.reason}"


def _latest(turn: Turn) -> Verdict | None:
    if turn.observed.verdict is not None:
        return turn.observed.verdict
    return Verdict.of(turn.rollout.verdict) if turn.rollout.verdict else None


def _detectable(turn: Turn) -> str:
    """What a step that was not judged would have shown, with the requests that it had."""
    verdict = _latest(turn)
    numbers = verdict.numbers if verdict is not None else {}
    baseline, exposure = _mapping(numbers.get("baseline")), _mapping(numbers.get("exposure"))
    rate = bad_rate(_integer(baseline.get("bad")), _integer(baseline.get("requests")))
    times = detectable(rate, [(split_of(turn.rollout, turn.plan), _integer(exposure.get("step_requests")))])
    return f"detectable ratio was ≥ {times:.3g}" if times is not None else "nothing was detectable"


def _split_differs(turn: Turn) -> str | None:
    """The split that the gateway's counters show, against the one asked for: far off is not in force."""
    before, after = turn.memory.counted, turn.observed.counted
    step = step_of(turn.rollout, turn.plan)
    if not before or not after or turn.baseline is None or (step is not None and (step.cohort or step.mirror_percent)):
        return None
    canary = after.get(turn.to, 0) - before.get(turn.to, 0)
    both = canary + after.get(turn.baseline, 0) - before.get(turn.baseline, 0)
    asked = turn.rollout.want / turn.plan.weight_total
    if canary < 0 or both < 1 or not 0 < asked < 1:
        return None
    seen = canary / both
    far = abs(seen - asked) > SPLIT_PART * min(asked, 1 - asked)
    if not far or both * (_nats(seen, asked) + _nats(1 - seen, 1 - asked)) < SPLIT_NATS:
        return None
    return f"conflict: the gateway sends {100 * seen:.1f} % to the canary, {100 * asked:.1f} % was asked for"


def _unsized(turn: Turn) -> str | None:
    """Asks for what the next step needs; an obstacle only where pods find no room."""
    if turn.rollout.state != "baking" and turn.rollout.held_from != "baking":
        needed = turn.size(turn.rollout.step + 1)
        turn.remember(target=max(turn.memory.target, needed))
    canary = turn.canary_side
    if not canary.unschedulable:
        return None
    why = f"capacity: {canary.waiting or 'pods of the next step find no room'}"
    if turn.plan.pool is not None:
        turn.actions.append(AskPool(turn.plan.pool, canary.unschedulable, why))
    return why


def _is_sized(turn: Turn) -> bool:
    return turn.canary_side.ready >= turn.memory.target


def _nats(seen: float, asked: float) -> float:
    return seen * log(seen / asked) if seen > 0 else 0.0


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()


def _integer(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) else 0
