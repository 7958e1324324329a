"""A command lies in the ledger before anybody is woken: what wakes carries nothing, and may be lost."""

from contextlib import suppress
from datetime import datetime

from pointsman.core.records import CommandRecord, RolloutRecord
from pointsman.errors import PointsmanError
from pointsman.ports import Workflows

__all__ = ["ordered", "wake"]


def ordered(rollout: RolloutRecord, verb: str, *, by: str, why: str, number: str, now: datetime) -> CommandRecord:
    """What `by` asks of a rollout. `number` makes its key: the same number is the same command."""
    return CommandRecord(rollout=rollout.id, id=number, verb=verb, by=by, at=now, why=why)


def wake(workflows: Workflows, rollout: RolloutRecord) -> None:
    """Ring the rollout's execution, so that it looks at once. It looks by itself later, and `sweep` rings too."""
    if rollout.callback is not None:
        with suppress(PointsmanError):
            workflows.ring(rollout.callback)
