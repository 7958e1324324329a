"""How a rollout ends: everything on the canary, or everything back; then what was left is drained and scaled away.

Both ways are the same three phases: the weight moves and is seen; answers under way are waited for; the side that
was left goes to zero and the route loses what belonged to the rollout. A final state is entered only when all of
that was seen, so no rollout ends while a weight is unproven.
"""

from datetime import timedelta

from pointsman.core.rollout.observation import Announce, Block, Drained, EndSuperseded, SetStable
from pointsman.core.rollout.turn import ENDS_AS, Turn
from pointsman.core.rollout.world import drain_s

__all__ = ["completing", "giving_back"]

UNRECONCILED_S = 60
"""A way back that is not in force after it is written again with the stable backend alone, and people are told."""


def completing(turn: Turn) -> None:
    """All of the traffic to the canary at its full size; then the other side away."""
    turn.follow_stable()
    if turn.rollout.kind == "remove":
        _removing(turn)
        return
    match turn.memory.phase:
        case "moving":
            _move(turn)
        case "draining":
            _drain(turn)
        case "closing":
            _close(turn)
    if turn.rollout.state == "completing":
        _complain(turn, "the old side could not be left")


def _move(turn: Turn) -> None:
    total, canary, verdict = turn.plan.weight_total, turn.canary_side, turn.observed.verdict
    if verdict is not None and verdict.action == "roll_back" and turn.plan.enforced and not turn.plan.fast:
        turn.give_back("worse", verdict.reason)
        return
    if canary.broken:
        turn.give_back("bad", canary.broken)
        return
    if turn.rollout.want != total:
        if canary.ready >= turn.memory.target:
            turn.weigh(total)
        return
    if not turn.route_seen:
        return
    turn.set(seen=total)
    if turn.memory.clock is None:
        turn.remember(clock=turn.now, confirmed=True)
    if _guard_waits(turn):
        return
    first = turn.serving is None and turn.rollout.from_revision is None
    good = turn.memory.baked or turn.plan.fast or first
    turn.actions.append(SetStable(turn.to, good))
    if turn.plan.blocks and turn.baseline is not None:
        turn.actions.append(Block(turn.baseline, turn.plan.why or f"undone: {turn.to} serves again"))
    turn.remember(moved=True, phase="draining", drained=turn.now)
    turn.notes.append(f"{turn.to} has all of the traffic")
    _drain(turn)


def _guard_waits(turn: Turn) -> bool:
    """A first deployment has no side to compare with: it is watched for one tick of its own before it is trusted."""
    if turn.baseline is not None or turn.plan.fast or turn.plan.replicas == 0 or turn.memory.clock is None:
        return False
    timing = turn.observed.timing
    return turn.now < turn.memory.clock + timedelta(seconds=timing.tick_s + timing.lag_s)


def _drain(turn: Turn) -> None:
    """Until the longest answer that the left side may still be giving is over; nothing is left where nobody was."""
    drained = turn.memory.drained or turn.now
    left = turn.serving is not None and (turn.memory.moved or turn.memory.carried)
    if left and turn.now < drained + timedelta(seconds=drain_s(turn.plan, turn.observed.timing)):
        return
    if turn.memory.older and not turn.memory.older_over:
        return
    turn.close()


def _close(turn: Turn) -> None:
    left = tuple(name for name in (turn.serving, *turn.memory.older) if name is not None)
    # What was found serving may be of a ledger that is lost: its objects are not kept, and nobody can scale it by them.
    scaled = all(turn.observed.side(name).replicas == 0 for name in left if name != turn.memory.found)
    if not (turn.route_seen and scaled and turn.canary_side.replicas == turn.plan.replicas):
        return
    if left:
        turn.actions.append(Drained(left))
    turn.go("promoted", turn.plan.why)
    if turn.rollout.kind == "roll_out":
        turn.announce("RolloutPromoted", f"{turn.to} serves all of the traffic")
    elif turn.serving is not None or turn.memory.older:
        turn.actions.append(
            Announce(
                "RolloutRolledBack",
                f"{turn.plan.namespace}/{turn.plan.name} is back on {turn.to}",
                turn.plan.why or f"{turn.to} serves all of the traffic again",
            )
        )


def _removing(turn: Turn) -> None:
    """The route off, answers waited for, all pods away."""
    if turn.memory.phase == "moving" and not turn.observed.route.exists:
        turn.remember(phase="draining", drained=turn.now)
    elif turn.memory.phase == "draining":
        drained = turn.memory.drained or turn.now
        if turn.now >= drained + timedelta(seconds=drain_s(turn.plan, turn.observed.timing)):
            turn.close()
    elif turn.memory.phase == "closing":
        # Whoever else has pods is not scaled away, but deleted: nobody can reach them.
        left = (turn.serving, turn.to, *turn.memory.older)
        if all(turn.observed.side(name).replicas == 0 for name in left):
            turn.go("promoted", "removed")


def giving_back(turn: Turn) -> None:
    """Everything to stable, whatever is asked meanwhile; it keeps trying, and says when it is stuck."""
    match turn.memory.phase:
        case "moving":
            _give(turn)
        case "draining":
            _drain(turn)
        case "closing":
            _end(turn)
    if turn.rollout.state == "giving_back":
        _complain(turn, "the canary could not be given back")


def _give(turn: Turn) -> None:
    waited_s = (turn.now - turn.rollout.state_since).total_seconds()
    if turn.rollout.want:
        # Weight goes only to a side that can serve, unless there is nothing better or it never comes.
        stable, canary = turn.observed.side(turn.serving), turn.canary_side
        if stable.ready or not canary.ready or turn.serving is None or waited_s >= UNRECONCILED_S:
            turn.weigh(0)
            waited_s = 0
    if turn.rollout.want == 0 and turn.route_seen:
        turn.set(seen=0)
        turn.remember(phase="draining", drained=turn.now, confirmed=True)
        _release_older(turn)
        _drain(turn)
    elif waited_s >= UNRECONCILED_S and not turn.memory.stuck:
        _tell_stuck(turn, "the weight that was taken from the canary is not in force after 60 s")


def _release_older(turn: Turn) -> None:
    """Given back before it had left `pending`: what it superseded was seen without weight only now."""
    if turn.memory.superseding:
        turn.actions.append(EndSuperseded(turn.memory.superseding))
    if turn.memory.older and turn.memory.older_drained is None:
        turn.remember(older_drained=turn.now)
    turn.remember(superseding=())


def _end(turn: Turn) -> None:
    left = tuple(name for name in (turn.to, *turn.memory.older) if name != turn.rollout.from_revision)
    scaled = all(turn.observed.side(name).replicas == 0 for name in left)
    if not (turn.route_seen and scaled):
        return
    if left:
        turn.actions.append(Drained(left))
    turn.go(ENDS_AS[turn.memory.cause or "error"], turn.rollout.reason)


def _complain(turn: Turn, what: str) -> None:
    deadline = turn.rollout.deadline
    if deadline is not None and turn.now >= deadline and not turn.memory.stuck:
        _tell_stuck(turn, what)


def _tell_stuck(turn: Turn, what: str) -> None:
    line = f"pointsman rescue {turn.plan.name} -n {turn.plan.namespace}"
    turn.remember(stuck=True)
    turn.notes.append(f"stuck: {what}")
    turn.announce("RolloutFailed", f"stuck: {what}; it is tried again all the while, and by hand: {line}")
