"""What roll-out and roll-back call, one verb a step; and `inspect` for the sweep.

    claim     own the rollout and its service, or wait for that
    place     the canary's objects and pods, healthy behind the gateway; may answer that a pool needs nodes
    advance   judge, move weights, hold, bake, promote or give back: until the rollout is settled
    restore   the same for a way back: all traffic at once, and seen there
    give-back everything to stable, because the workflow itself has failed
    finish    free the service; the outcome

Every verb may be repeated at any time, and by any execution: who does not own the rollout is told so.
"""

from datetime import datetime

from pointsman.core.names import JSON
from pointsman.errors import Invalid
from pointsman.handlers.rollout_claim import claim
from pointsman.handlers.rollout_finish import finish, inspect
from pointsman.handlers.rollout_ports import Steps
from pointsman.handlers.rollout_tick import tick

__all__ = ["Steps", "handle"]


def handle(verb: str, request: JSON, steps: Steps, now: datetime) -> JSON:
    """Answer one call of a workflow.

    Raises Invalid and Absent for a request that makes no sense (the workflow fails), and Unavailable for what may go
    well when it is asked again.
    """
    if verb == "inspect":
        return inspect(steps, now)
    rollout, execution = _text(request, "rollout"), _text(request, "execution")
    match verb:
        case "claim":
            callback = request.get("callback")
            return claim(steps, rollout, execution, callback if isinstance(callback, str) else None, now)
        case "place" | "advance" | "restore" | "give-back":
            return tick(steps, verb, rollout, execution, now)
        case "finish":
            return finish(steps, rollout, now)
        case _:
            remedy = "claim, place, advance, restore, give-back, finish or inspect"
            raise Invalid(f"no verb {verb!r}", where="rollout_step", remedy=remedy)


def _text(request: JSON, field: str) -> str:
    value = request.get(field)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{field} is missing", where="rollout_step", remedy="send the rollout's and the execution's id")
    return value
