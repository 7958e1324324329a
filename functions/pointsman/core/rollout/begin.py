"""From the queue to the first weight: claimed, older canaries at 0, pods there and healthy."""

from datetime import timedelta

from pointsman.core.rollout.observation import AskPool, EndSuperseded, Placed
from pointsman.core.rollout.steps import enter_bake, enter_completing, enter_step, hold, standing_obstacle
from pointsman.core.rollout.turn import Turn

__all__ = ["pending", "placing", "provisioning", "queued"]


def queued(turn: Turn) -> None:
    """Leaves when no freeze holds it and the service is free; going back is never frozen."""
    freeze = turn.observed.freeze
    if turn.rollout.deadline is not None and turn.now >= turn.rollout.deadline:
        turn.give_back("late", "expired: it waited 744 h to begin")
    elif freeze is not None and turn.rollout.kind == "roll_out" and not turn.memory.promote:
        turn.set(reason=str(freeze))
    elif turn.observed.busy:
        turn.set(reason=turn.observed.busy)
    else:
        turn.go("pending", turn.memory.promote and f"the freeze is overridden by {turn.memory.promote}")
        turn.remember(promote="")


def pending(turn: Turn) -> None:
    """The first act of a rollout: stable has everything, and older canaries were seen without weight."""
    route, memory = turn.observed.route, turn.memory
    if route.foreign:
        turn.give_back("error", f"an HTTPRoute {turn.plan.namespace}/{turn.plan.name} is there that is not pointsman's")
        return
    serving = turn.baseline or (turn.to if turn.rollout.from_revision == turn.to else None)
    others = {revision for revision, weight in route.weights.items() if weight and revision not in (serving, turn.to)}
    if turn.to != serving and route.weights.get(turn.to):
        others.add(turn.to)  # content that an older rollout was shifting to begins at 0 again
    if serving is None and others == {turn.to}:
        turn.set(from_revision=turn.to)  # a ledger that was begun anew: what is asked for serves already
        serving, others = turn.to, set()
    if serving is None and others - {turn.to}:
        found = sorted(others - {turn.to})[0]  # nothing else serves: it keeps its traffic until we can take it
        turn.remember(found=found, older=tuple(name for name in memory.older if name != found))
        others = set()
    if not (others or memory.superseding) or route.seen:
        _leave_pending(turn)
    elif turn.rollout.deadline is not None and turn.now >= turn.rollout.deadline:
        turn.give_back("late", "an older canary's weight could not be taken away in 10 min")


def _leave_pending(turn: Turn) -> None:
    if turn.memory.superseding:
        turn.actions.append(EndSuperseded(turn.memory.superseding))
    replicas = max(turn.plan.replicas, turn.observed.side(turn.serving).replicas) if turn.serving is not None else None
    turn.remember(
        superseding=(),
        older=tuple(name for name in turn.memory.older if name not in (turn.to, turn.serving)),
        older_drained=turn.now if turn.memory.older else None,
        replicas=replicas,
        due=turn.now + timedelta(seconds=turn.plan.deadlines.rollout_s),
        confirmed=False,
    )
    if turn.rollout.kind == "remove":
        enter_completing(turn, "the route is taken off")
        return
    turn.remember(target=turn.size(0))
    turn.go("placing")
    turn.actions.append(Placed(turn.to))
    if turn.rollout.kind == "roll_out":
        before = f" beside {turn.baseline}" if turn.baseline else ", the first to serve"
        turn.announce("RolloutStarted", f"{turn.to} is placed{before}")


def placing(turn: Turn) -> None:
    """Leaves when the canary's pods are ready and answered through the gateway."""
    canary = turn.canary_side
    turn.follow_stable()
    if canary.broken:
        turn.give_back("bad", canary.broken)
    elif canary.unschedulable:
        turn.go("provisioning", canary.waiting or f"{canary.unschedulable} pods find no room")
        ask_pool(turn)
        if turn.plan.strategy == "Refuse":
            turn.give_back("capacity", f"capacity.strategy is Refuse, and {turn.rollout.reason}")
    elif canary.ready >= turn.memory.target and (turn.observed.probed or turn.memory.target == 0):
        _begin(turn)
    elif turn.rollout.deadline is not None and turn.now >= turn.rollout.deadline:
        ready = f"{canary.ready} of {turn.memory.target} pods are ready"
        cause = "answers through the gateway failed" if canary.ready >= turn.memory.target else ready
        turn.give_back("late", f"not healthy within deadlines.placing: {cause}")


def _begin(turn: Turn) -> None:
    """The first weight, unless somebody or something stands in the way."""
    if turn.stepless:
        enter_completing(turn)
        return
    obstacle = standing_obstacle(turn)
    if obstacle is not None:
        hold(turn, obstacle)
    elif turn.plan.steps:
        enter_step(turn, 0)
    else:
        enter_bake(turn)


def provisioning(turn: Turn) -> None:
    """Leaves when all pods found room, or when there is none to be had."""
    canary, until = turn.canary_side, turn.observed.exhausted_until
    turn.follow_stable()
    if until is not None:
        why = turn.observed.exhausted_why or "every candidate of the pool was tried"
        turn.give_back("capacity", f"no capacity: {why}; retry after {until:%Y-%m-%d %H:%M} UTC")
    elif canary.pods >= turn.memory.target and not canary.unschedulable:
        turn.go("placing")
    elif turn.rollout.deadline is not None and turn.now >= turn.rollout.deadline:
        turn.give_back("capacity", f"no room within deadlines.provisioning: {turn.rollout.reason}")
    else:
        ask_pool(turn)


def ask_pool(turn: Turn) -> None:
    """Nodes for pods that find no room, where a pool is named; otherwise they come by the cluster's own means."""
    canary = turn.canary_side
    if turn.plan.pool is not None and canary.unschedulable:
        why = f"{turn.plan.namespace}/{turn.to}: {canary.waiting or 'pods are unschedulable'}"
        turn.actions.append(AskPool(turn.plan.pool, canary.unschedulable, why))
