"""Node pools: what is known of one, and which candidate is next. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pointsman.errors import PointsmanError

__all__ = ["NodePool", "Operation"]


@dataclass(frozen=True, slots=True)
class NodePool:
    """A GKE node pool as it was read. Nodes are totals over all its zones."""

    name: str
    machine_type: str
    status: Literal["PROVISIONING", "RUNNING", "RUNNING_WITH_ERROR", "RECONCILING", "STOPPING", "ERROR"]
    nodes_wanted: int
    nodes_ready: int
    nodes_min: int
    nodes_max: int
    autoscaled: bool
    labels: dict[str, str] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    created_by_us: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A long-running operation of the Container API; `error` is classified from its text."""

    name: str
    done: bool
    started_at: datetime | None = None
    error: PointsmanError | None = None
