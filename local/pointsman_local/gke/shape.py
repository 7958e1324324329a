"""What follows from a node pool's configuration: its machine, its limits, and the Node objects of its nodes."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from google.cloud import container_v1

from pointsman_local.gke.machines import Machine, machine
from pointsman_local.gke.stock import Ask

__all__ = ["ask", "group_name", "labels", "limits", "machine_of", "node_object", "offered", "provisioning", "taints"]

DEFAULT_MACHINE = "e2-medium"
DEFAULT_PODS = 110
VERSION = "v1.34.1-gke.1829001"
_EFFECTS = {1: "NoSchedule", 2: "PreferNoSchedule", 3: "NoExecute"}


def machine_of(pool: container_v1.NodePool) -> Machine | None:
    """The machine of a pool's nodes; None when its type does not exist."""
    accelerators = pool.config.accelerators
    gpus = int(accelerators[0].accelerator_count) if accelerators else 0
    kind = accelerators[0].accelerator_type if accelerators else ""
    return machine(pool.config.machine_type or DEFAULT_MACHINE, gpus, kind)


def provisioning(pool: container_v1.NodePool) -> str:
    if (
        pool.config.reservation_affinity.consume_reservation_type
        == container_v1.ReservationAffinity.Type.SPECIFIC_RESERVATION
    ):
        return "Reservation"
    if pool.config.flex_start:
        return "FlexStart"
    return "Spot" if pool.config.spot or pool.config.preemptible else "OnDemand"


def ask(pool: container_v1.NodePool, zone: str) -> Ask:
    """What one node of the pool asks of Compute Engine."""
    shape = machine_of(pool)
    assert shape is not None  # refused when the pool was created
    values = pool.config.reservation_affinity.values
    reserved = provisioning(pool) == "Reservation" and bool(values)
    return Ask(
        machine_type=shape.name,
        provisioning=provisioning(pool),
        zone=zone,
        reservation=str(values[0]).rpartition("/")[2] if reserved else "",
        cpus=int(shape.cpus),
        gpus=shape.gpus,
        accelerator=shape.accelerator,
    )


def limits(pool: container_v1.NodePool) -> tuple[int, int]:
    """The autoscaler's least and most nodes over all zones."""
    scaling = pool.autoscaling
    if scaling.total_max_node_count:
        return scaling.total_min_node_count, scaling.total_max_node_count
    zones = len(pool.locations)
    return scaling.min_node_count * zones, scaling.max_node_count * zones


def group_name(cluster: str, pool: str, zone: str) -> str:
    """Name of the managed instance group of a pool in one zone."""
    return f"gke-{cluster[:16]}-{pool[:16]}-{hashlib.sha256(f'{pool}/{zone}'.encode()).hexdigest()[:8]}-grp"


def taints(pool: container_v1.NodePool) -> list[dict[str, str]]:
    """The taints of the pool's nodes: its own, and those that GKE puts on accelerators and Spot."""
    own = [
        {"key": t.key, "value": t.value, "effect": _EFFECTS.get(int(t.effect), "NoSchedule")}
        for t in pool.config.taints
    ]
    shape = machine_of(pool)
    implied = []
    if shape is not None and shape.gpus:
        implied.append({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"})
    if shape is not None and shape.chips:
        implied.append({"key": "google.com/tpu", "value": "present", "effect": "NoSchedule"})
    if provisioning(pool) == "Spot":
        implied.append({"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NoSchedule"})
    return own + [taint for taint in implied if taint["key"] not in {t["key"] for t in own}]


def labels(pool: container_v1.NodePool, zone: str) -> dict[str, str]:
    """The labels of the pool's nodes in `zone`, but for the host's name."""
    shape = machine_of(pool)
    assert shape is not None
    how = provisioning(pool)
    found = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": shape.name,
        "topology.kubernetes.io/region": zone.rpartition("-")[0],
        "topology.kubernetes.io/zone": zone,
        "cloud.google.com/gke-nodepool": pool.name,
        "cloud.google.com/machine-family": shape.family,
        "cloud.google.com/gke-provisioning": "spot" if how == "Spot" else "standard",
        **dict(pool.config.labels),
    }
    if how == "Spot":
        found["cloud.google.com/gke-spot"] = "true"
    if how == "FlexStart":
        found["cloud.google.com/gke-flex-start"] = "true"
    if shape.gpus:
        found["cloud.google.com/gke-accelerator"] = shape.accelerator
        found["cloud.google.com/gke-accelerator-count"] = str(shape.gpus)
    if shape.chips:
        found["cloud.google.com/gke-tpu-accelerator"] = shape.accelerator
        found["cloud.google.com/gke-tpu-topology"] = pool.placement_policy.tpu_topology or "1x1"
    return found


def offered(pool: container_v1.NodePool) -> Mapping[str, int]:
    """What one node offers to pods: `cpu` in thousandths, `memory` in bytes, whole `pods` and accelerators."""
    shape = machine_of(pool)
    assert shape is not None
    found = {
        "cpu": shape.cpu_milli,
        "memory": shape.memory_mib * 2**20,
        "pods": int(pool.max_pods_constraint.max_pods_per_node) or DEFAULT_PODS,
    }
    if shape.gpus:
        found["nvidia.com/gpu"] = shape.gpus
    if shape.chips:
        found["google.com/tpu"] = shape.chips
    return found


def node_object(pool: container_v1.NodePool, name: str, zone: str, project: str, now: float) -> dict[str, Any]:
    """The Node as the kubelet registers it."""
    amounts = {
        **{key: str(value) for key, value in offered(pool).items()},
        "cpu": f"{offered(pool)['cpu']}m",
        "memory": f"{offered(pool)['memory'] // 1024}Ki",
    }
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**labels(pool, zone), "kubernetes.io/hostname": name}},
        "spec": {
            "providerID": f"gce://{project}/{zone}/{name}",
            **({"taints": taints(pool)} if taints(pool) else {}),
        },
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": _conditions(at),
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.0",
                "kernelVersion": "",
                "kubeProxyVersion": "",
                "kubeletVersion": VERSION,
                "machineID": name,
                "operatingSystem": "linux",
                "osImage": "Container-Optimized OS from Google",
                "systemUUID": "",
            },
        },
    }


def _conditions(at: str) -> Sequence[Mapping[str, str]]:
    states = {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID"),
        "Ready": ("True", "KubeletReady"),
    }
    return [
        {"type": kind, "status": status, "reason": reason, "lastHeartbeatTime": at, "lastTransitionTime": at}
        for kind, (status, reason) in states.items()
    ]
