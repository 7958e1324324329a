"""AcceleratorPool: how many accelerator nodes, and where to get them, in order of preference."""

import json
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field

from pointsman.documents.scalars import DiskSize, DurationFrom, Email, Name, Zone
from pointsman.documents.shape import Many, PoolMetadata, Strict

__all__ = ["AcceleratorPool", "Candidate", "NodeCount", "NodeSettings", "PoolSpec"]

Provisioning = Literal["OnDemand", "Reservation", "FlexStart", "Spot"]


class NodeSettings(Strict):
    """What is the same for every node pool that is made for the pool."""

    service_account: Email | None = Field(
        None,
        description="Google service account of the nodes. Default: the cluster's.",
        examples=["nodes@acme-ml-prod.iam.gserviceaccount.com"],
    )
    boot_disk_size: DiskSize = Field(
        "100Gi",
        description="Boot disk of a node, at least 20Gi. Large images and models need more.",
        examples=["200Gi"],
    )


class Candidate(Strict):
    """One way to get the nodes. Either `machineType` or `nodePool`."""

    machine_type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)+$", max_length=63)] | None = Field(
        None,
        description="Compute Engine machine type. Implies the GPUs of A2, A3, A4, G2 and G4 machines.",
        examples=["g2-standard-8"],
    )
    node_pool: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)] | None = Field(
        None,
        description=(
            "A node pool that somebody else made (Terraform): moved within its own limits, never created or deleted. "
            "It must carry the label `pointsman.dev/pool: <pool>`. Excludes every field but `deadline` and `cooldown`."
        ),
        examples=["l4-terraform"],
    )
    accelerator: Annotated[str, Field(pattern=r"^[a-z][-a-z0-9]*$", max_length=63)] | None = Field(
        None,
        description="GKE's accelerator label. Default: what the machine type implies; none makes a CPU pool.",
        examples=["nvidia-l4", "tpu-v6e-slice"],
    )
    accelerator_count: Annotated[int, Field(ge=1, le=16)] | None = Field(
        None, description="Accelerators of a node; needed for N1 machines only.", examples=[1]
    )
    provisioning: Provisioning = Field(
        "OnDemand",
        description="How machines are asked for. For inference Google advises Reservation, OnDemand, FlexStart, Spot.",
    )
    topology: Annotated[str, Field(pattern=r"^[0-9]{1,3}x[0-9]{1,3}(x[0-9]{1,3})?$")] | None = Field(
        None, description="TPU topology, required for TPUs; single-host shapes only.", examples=["2x2"]
    )
    reservation: (
        Annotated[str, Field(pattern=r"^(projects/[^/\s]+/reservations/)?[a-z]([-a-z0-9]*[a-z0-9])?$")] | None
    ) = Field(
        None,
        description="Name of the reservation, or `projects/P/reservations/R`. Required by `Reservation` alone.",
        examples=["l4-serving"],
    )
    zones: Annotated[tuple[Zone, ...], Field(strict=False, min_length=1, max_length=10)] | None = Field(
        None,
        description="Zones of the nodes. Default: the cluster's. `Reservation` requires exactly one.",
        examples=[["us-central1-a"]],
    )
    max_run_duration: Annotated[str, DurationFrom("10m", "168h")] | None = Field(
        None,
        description="How long a `FlexStart` node lives; replicas are re-homed before its end. Default: 168h.",
        examples=["72h"],
    )
    deadline: Annotated[str, DurationFrom("1m", "6h")] | None = Field(
        None,
        description="No ready node by then is a stock-out: the next candidate. Default: FlexStart 20m, others 10m.",
        examples=["8m"],
    )
    cooldown: Annotated[str, DurationFrom("1m", "6h")] = Field(
        "5m",
        description="How long a candidate is left alone after a stock-out; doubles each time, up to 6 times its value.",
    )

    @property
    def deadline_or_default(self) -> str:
        """`deadline`, or what holds without one."""
        return self.deadline or ("20m" if self.provisioning == "FlexStart" else "10m")

    def node_pool_name(self, pool: str, node: NodeSettings) -> str:
        """Name of the node pool for this candidate: its own `nodePool`, or `<pool>-<8 hex of its content>`.

        GKE cannot change any of this content in place, so changed content is a new node pool, and a changed
        order of candidates (or of zones) is nothing. Only what was written counts: a machine type that a later
        release knows more about keeps its name.
        """
        if self.node_pool is not None:
            return self.node_pool
        content = {
            "machineType": self.machine_type,
            "accelerator": self.accelerator,
            "acceleratorCount": self.accelerator_count,
            "topology": self.topology,
            "provisioning": self.provisioning,
            "reservation": self.reservation,
            "zones": sorted(self.zones or ()),
            "node": {"serviceAccount": node.service_account, "bootDiskSize": node.boot_disk_size},
        }
        digest = sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        return f"{pool}-{digest[:8]}"


class NodeCount(Strict):
    """How many nodes, over all candidates together, so that a fallback never doubles the bill."""

    max: int = Field(ge=1, le=1000, description="Most nodes, over all candidates together.", examples=[12])
    min: int = Field(0, ge=0, le=1000, description="Nodes kept when idle; at most `max`.", examples=[1])


class PoolSpec(Strict):
    """What the pool is."""

    cluster: Name | None = Field(
        None, description="Cluster of the Platform. Default: its first. Immutable: another cluster is another pool."
    )
    nodes: NodeCount = Field(description="Limits on the number of nodes.", examples=[{"max": 12}])
    idle_timeout: Annotated[str, DurationFrom("5m", "24h")] = Field(
        "30m",
        description="Nodes above `nodes.min` that no placed revision needs are given back after it.",
    )
    candidates: Annotated[tuple[Candidate, ...], Many, Field(min_length=1, max_length=10)] = Field(
        description="Ways to get the nodes, in order of preference.",
        examples=[[{"machineType": "g2-standard-8", "accelerator": "nvidia-l4"}]],
    )
    node: NodeSettings = Field(
        default_factory=NodeSettings, description="Settings of all nodes that are made for the pool."
    )


class AcceleratorPool(Strict):
    """Accelerator nodes of one kind, with an ordered choice of ways to get them. Scope: platform."""

    api_version: Literal["pointsman.dev/v1"] = Field(description="Version of the document's form.")
    kind: Literal["AcceleratorPool"] = Field(description="Kind of the document.")
    metadata: PoolMetadata = Field(description="Name and notes.")
    spec: PoolSpec = Field(description="What the pool is.")

    def candidate_named(self, node_pool: str) -> Candidate | None:
        """The candidate whose node pool bears this name, if it is still among them."""
        for candidate in self.spec.candidates:
            if candidate.node_pool_name(self.metadata.name, self.spec.node) == node_pool:
                return candidate
        return None
