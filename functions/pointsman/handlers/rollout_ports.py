"""What the verbs of `rollout_step` are wired to, and the shape of their answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pointsman.core.names import JSON
from pointsman.core.records import RolloutRecord
from pointsman.ports import Bus, Cluster, Ledger, Metrics, Probe, Workflows

__all__ = ["LEASE", "LEASE_OVER", "TRIES", "Steps", "answer"]

LEASE = timedelta(seconds=90)
"""An execution is alive for its `wait_s` and so long after each call."""

LEASE_OVER = timedelta(seconds=30)
"""A lease that has just ended may belong to an answer that is on its way."""

TRIES = 5
"""A compare-and-set is lost to commands and handlers; more in a row than this is trouble."""


@dataclass(frozen=True, slots=True)
class Steps:
    """`cluster` gives a cluster by its full resource name; `metrics` one's by that and its Gateway's class."""

    ledger: Ledger
    workflows: Workflows
    bus: Bus
    cluster: Callable[[str], Cluster]
    metrics: Callable[[str, str], Metrics]
    probe: Probe


def answer(
    rollout: RolloutRecord,
    *,
    wait_s: float = 0.0,
    done: bool = False,
    outcome: str | None = None,
    need: JSON | None = None,
) -> dict[str, object]:
    """What a workflow is told."""
    return {"state": rollout.state, "wait_s": round(wait_s, 3), "done": done, "outcome": outcome, "need": need}
