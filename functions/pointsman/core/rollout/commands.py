"""What people and alerts asked: all commands of a tick, by precedence, each answered.

abort > way back > (supersession, which is no command) > pause > resume > skip > promote > approve. A command that does
not apply where the rollout is changes nothing and is answered with the state, so that nobody waits for it.
"""

from pointsman.core.records import CommandRecord
from pointsman.core.rollout.turn import FINAL, Turn

__all__ = ["take_commands"]

_PRECEDENCE = ("abort", "roll_back", "pause", "resume", "skip", "promote", "approve")

_BEFORE_STEPS = ("pending", "placing")
_IN_STEPS = ("stepping", "held", "baking")


def take_commands(turn: Turn) -> None:
    """Carry out what `turn.observed.commands` ask."""
    for command in sorted(turn.observed.commands, key=_rank):
        _take(turn, command)


def _rank(command: CommandRecord) -> tuple[int, str]:
    known = command.verb in _PRECEDENCE
    return (_PRECEDENCE.index(command.verb) if known else len(_PRECEDENCE), command.at.isoformat())


def _take(turn: Turn, command: CommandRecord) -> None:
    state = turn.rollout.state
    said = f"{command.by}: {command.why}" if command.why else command.by
    if state in FINAL:
        turn.notes.append(f"{command.verb} by {command.by}: it is {state} already")
        return
    match command.verb:
        case "abort":
            turn.give_back("aborted", f"aborted by {said}")
        case "roll_back":
            turn.give_back("alert", f"rolled back by {said}")
        case "pause" if state in (*_BEFORE_STEPS, *_IN_STEPS):
            turn.remember(paused=said)
            turn.notes.append(f"paused by {said}")
        case "resume" if state in (*_BEFORE_STEPS, *_IN_STEPS):
            turn.remember(paused="", resets=0)
            turn.notes.append(f"resumed by {said}")
        case "skip" if state in _IN_STEPS and turn.rollout.held_from != "placing":
            turn.remember(skipped=True)
            turn.notes.append(f"hold skipped by {said}")
        case "promote" if state in (*_IN_STEPS, "queued"):
            if command.why:
                turn.remember(promote=said, paused="")
                turn.notes.append(f"promoted by {said}")
            else:
                turn.notes.append(f"promote by {command.by} refused: it needs a reason (--why)")
        case "approve" if state in _IN_STEPS:
            _approve(turn, command)
        case _:
            turn.notes.append(f"{command.verb} by {command.by} does nothing while it is {state}")


def _approve(turn: Turn, command: CommandRecord) -> None:
    steps = turn.plan.steps
    asked = steps[turn.rollout.step].approvals if turn.rollout.step < len(steps) else 0
    if not asked or turn.rollout.state == "baking" or turn.rollout.held_from in ("baking", "placing"):
        turn.notes.append(f"approve by {command.by}: nothing waits for approval")
    elif command.by in turn.memory.approvals:
        turn.notes.append(f"approve by {command.by}: counted already, another owner is needed")
    else:
        turn.remember(approvals=(*turn.memory.approvals, command.by))
        turn.notes.append(f"approved by {command.by} ({len(turn.memory.approvals)} of {asked})")
