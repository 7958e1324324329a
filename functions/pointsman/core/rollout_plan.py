"""The plan of a rollout: everything that its steps will need, recorded whole when it is started.

No step function reads git, and a policy that changes later changes no rollout that runs. Sizes are not in the
plan, because they follow from what serves when the rollout claims its service (`core.traffic`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pointsman.core.encoding import decode, encode
from pointsman.core.names import JSON
from pointsman.core.records import RolloutRecord

__all__ = ["Deadlines", "Plan", "StepPlan", "plan_of"]


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step. `weight` is of the plan's `weight_total`; in a mirror step it is 0 and `mirror_percent` is set."""

    weight: int
    hold_s: float
    mirror_percent: int = 0
    cohort: JSON | None = None
    approvals: int = 0
    approval_expires_s: float = 0
    canary_replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Longest times in the states they are named after, in seconds; `rollout_s` is from placing to baking."""

    provisioning_s: float
    placing_s: float
    rollout_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A rollout's plan. `kind` says what it carries out, `weight_total` what its weights are of (100 or 1000)."""

    cluster: str
    """Full resource name: `projects/P/locations/L/clusters/C`."""
    namespace: str
    name: str
    gateway: str
    gateway_namespace: str
    placement: JSON
    hostnames: tuple[str, ...]
    path: str
    request_timeout_s: float
    access: Literal["Open", "IAP"]
    replicas: int
    probe_path: str
    steps: tuple[StepPlan, ...]
    bake_s: float
    bake_weight: int
    weight_total: int
    min_canary_replicas: int
    judge: JSON
    metric_sets: tuple[str, ...]
    enforced: bool
    min_requests: int
    without_data_wait_s: float
    without_data_then: Literal["RollBack", "Advance", "Hold"]
    when_stable_unhealthy: Literal["Hold", "Advance"]
    on_new_revision: Literal["Supersede", "Queue", "Reject"]
    deadlines: Deadlines
    history_limit: int
    strategy: Literal["Surge", "Refuse"] = "Surge"
    extra_bad_answers: int | None = None
    """With it steps are left on evidence: the next one costs at most so many bad answers more."""
    policy: str = ""
    pool: str | None = None
    pool_nodes_min: int = 0
    pool_nodes_max: int = 1000
    """The most that a document may say."""
    pool_idle_s: float = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    channels: tuple[JSON, ...] = ()
    freeze_windows: tuple[JSON, ...] = ()
    fast: bool = False
    """No steps and no bake: a way back, or something that is no content."""
    why: str = ""
    """Why it was started, in a sentence."""
    remove: bool = False
    blocks: bool = False
    waits: bool = False

    def as_json(self) -> JSON:
        return encode(self)

    def percent(self, weight: int) -> float:
        """A weight of this plan in percent."""
        return weight * 100 / self.weight_total


def plan_of(rollout: RolloutRecord) -> Plan:
    """The plan that a rollout recorded. Raises Invalid when a newer release wrote it."""
    return decode(Plan, rollout.plan)
