"""AcceleratorPools, node pools and records for tests of what is decided about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.core.pool_choice import rungs
from pointsman.core.pool_ladder import World
from pointsman.core.pools import NodePool, Operation, PoolMode
from pointsman.core.records import Hold, PoolRecord
from pointsman.documents.pool import AcceleratorPool

T0 = datetime(2026, 11, 22, 12, tzinfo=UTC)
RESERVATION: dict[str, Any] = {
    "machineType": "g2-standard-8",
    "provisioning": "Reservation",
    "reservation": "demo",
    "zones": ["us-central1-a"],
}
ON_DEMAND: dict[str, Any] = {"machineType": "g2-standard-8"}
SPOT: dict[str, Any] = {"machineType": "g2-standard-8", "provisioning": "Spot"}
TERRAFORM: dict[str, Any] = {"nodePool": "l4-terraform"}


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def pool(*candidates: dict[str, Any], most: int = 4, least: int = 0) -> AcceleratorPool:
    document = {
        "apiVersion": "pointsman.dev/v1",
        "kind": "AcceleratorPool",
        "metadata": {"name": "l4"},
        "spec": {"nodes": {"max": most, "min": least}, "candidates": list(candidates or [ON_DEMAND])},
    }
    return AcceleratorPool.model_validate(document)


def names(document: AcceleratorPool) -> list[str]:
    return [rung.name for rung in rungs(document)]


def node_pool(name: str, ready: int = 0, limits: tuple[int, int] = (0, 4), **fields: Any) -> NodePool:
    given = {
        "machine_type": "g2-standard-8",
        "status": "RUNNING",
        "nodes_wanted": ready,
        "autoscaled": True,
        "created_by_us": True,
        **fields,
    }
    return NodePool(name=name, nodes_ready=ready, nodes_min=limits[0], nodes_max=limits[1], **given)


def held(nodes: int, **fields: Any) -> PoolRecord:
    return PoolRecord(name="l4", holds={"r1": Hold(nodes, "2 pods unschedulable", T0)}, since=T0, **fields)


def world(
    document: AcceleratorPool, *seen: NodePool, mode: PoolMode = "full", operation: Operation | None = None
) -> World:
    return World(document, {found.name: found for found in seen}, mode, operation)
