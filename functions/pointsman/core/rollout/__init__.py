"""A rollout's states, and the one function that moves it between them.

    queued → pending → placing ⇄ provisioning → stepping(0..n) → baking → completing → promoted
                                  held(reason) ⇄ placing, stepping, baking
    any state but a final one → giving_back(cause) → rolled_back, aborted, superseded, failed

`transition` is total: every state, whatever was observed, has an answer. It reads nothing and writes nothing; what
the cluster should look like follows from its answer (`world`), and so does when to look again (`wait_s`). A tick that
is repeated with the same record writes the same, hence it may die anywhere. Going back is possible from every state
until the service's stable revision has changed; then it is another rollout (`pointsman undo`).
"""

from datetime import datetime, timedelta
from typing import assert_never

from pointsman.core.records import RolloutRecord
from pointsman.core.rollout.begin import pending, placing, provisioning, queued
from pointsman.core.rollout.commands import take_commands
from pointsman.core.rollout.ends import completing, giving_back
from pointsman.core.rollout.memory import Memory, memory_of, remembered
from pointsman.core.rollout.observation import Decision, Observation, RouteSeen, Side
from pointsman.core.rollout.steps import under_way
from pointsman.core.rollout.turn import FINAL, Turn
from pointsman.core.rollout.world import World, drain_s, wait_s, world

__all__ = [
    "FINAL",
    "Decision",
    "Memory",
    "Observation",
    "RouteSeen",
    "Side",
    "World",
    "memory_of",
    "remembered",
    "transition",
    "wait_s",
    "world",
]


def transition(rollout: RolloutRecord, observed: Observation, now: datetime) -> Decision:
    """What becomes of the rollout, given what was seen and what people asked.

    Pure and total. A final state stays as it is. `observed` is of the world that `world(rollout)` says should be.
    """
    turn = Turn(rollout, observed, now)
    take_commands(turn)
    if observed.failed:
        turn.give_back("error", observed.failed)
    if rollout.state not in FINAL:
        _older(turn)
    entered = turn.rollout.state
    match entered:
        case "queued":
            queued(turn)
        case "pending":
            pending(turn)
        case "placing":
            placing(turn)
        case "provisioning":
            provisioning(turn)
        case "stepping" | "held" | "baking":
            under_way(turn)
        case "completing":
            completing(turn)
        case "giving_back":
            giving_back(turn)
        case "promoted" | "rolled_back" | "aborted" | "superseded" | "failed":
            pass
        case _:
            assert_never(entered)
    if turn.rollout.state != entered:
        _at_once(turn)
    return turn.decision()


def _at_once(turn: Turn) -> None:
    """Ends begin in the tick in which they were decided: nobody waits for a weight that is known to be another."""
    match turn.rollout.state:
        case "giving_back":
            giving_back(turn)
        case "completing":
            completing(turn)
        case _:
            pass


def _older(turn: Turn) -> None:
    """Canaries of superseded rollouts go once they have answered what they had."""
    drained = turn.memory.older_drained
    if drained is None or turn.memory.older_over:
        return
    if turn.now >= drained + timedelta(seconds=drain_s(turn.plan, turn.observed.timing)):
        turn.remember(older_over=True, confirmed=False)
