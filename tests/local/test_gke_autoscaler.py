"""The local cluster autoscaler in virtual time: what it does about Pending pods, minima, empty nodes."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from google.cloud import container_v1 as v1

from pointsman_local.gke import fit
from pointsman_local.gke.autoscaler import Autoscaler
from pointsman_local.gke.engine import Engine
from pointsman_local.gke.kubernetes import Kubernetes
from pointsman_local.gke.machines import machine
from pointsman_local.gke.state import State
from pointsman_local.site import ENDPOINTS, Site

POOL = {"pointsman.dev/pool": "cpu"}


class Pods:
    """The autoscaler's view of Kubernetes; a test plays the scheduler."""

    def __init__(self) -> None:
        self.pods: dict[str, Mapping[str, Any]] = {}
        self.is_synced = True
        self.told: list[tuple[str, str, str]] = []

    async def tell(self, pod: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        self.told.append((pod["metadata"]["name"], reason, message))

    def pods_on(self, node: str) -> list[Mapping[str, Any]]:
        return [pod for pod in self.pods.values() if pod["spec"].get("nodeName") == node]

    def add(self, name: str, cpu: str = "3", selector: Mapping[str, str] = POOL, **requests: str) -> None:
        self.pods[name] = {
            "metadata": {"name": name, "namespace": "demo", "uid": name},
            "spec": {
                "nodeSelector": selector,
                "containers": [{"name": "server", "resources": {"requests": {"cpu": cpu, **requests}}}],
            },
            "status": {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
            },
        }

    def bind(self, name: str, node: str) -> None:
        pod = self.pods[name]
        self.pods[name] = {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": {"phase": "Running"}}


class Cluster:
    def __init__(self, folder: Path) -> None:
        site = Site(folder, "lab", "us-central1", "c1", dict.fromkeys(ENDPOINTS, 1))
        self.state = State(site.folder("gke") / "state.sqlite")
        self.engine = Engine(site, self.state)
        self.pods = Pods()
        self.autoscaler = Autoscaler(self.engine, cast("Kubernetes", self.pods))
        self.now = 1_000_000.0

    def add_pool(self, name: str, least: int = 0, most: int = 3, **config: Any) -> None:
        self.state.keep_pool(
            v1.NodePool(
                name=name,
                locations=["us-central1-a", "us-central1-b"],
                status=v1.NodePool.Status.RUNNING,
                autoscaling=v1.NodePoolAutoscaling(enabled=True, total_min_node_count=least, total_max_node_count=most),
                config=v1.NodeConfig(**{"machine_type": "e2-standard-4", "labels": POOL, **config}),
            )
        )

    def scan(self, after_s: float = 0) -> None:
        self.now += after_s
        self.engine.step(self.now)
        for node in self.state.nodes.values():
            node.registered = node.state == "ready"
        asyncio.run(self.autoscaler.scan(self.now))

    def nodes(self, pool: str) -> int:
        return sum(1 for node in self.state.nodes_of(pool) if node.state != "leaving")

    def stock(self, **stock: Any) -> None:
        self.state.keep_stock(self.state.stock.changed(stock))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    found.state.close()


def test_pending_pods_raise_the_pool_they_select_by_as_many_nodes_as_they_need(cluster: Cluster) -> None:
    cluster.add_pool("cpu-1")
    cluster.add_pool("other", labels={"pointsman.dev/pool": "other"})
    for name in ("p1", "p2"):
        cluster.pods.add(name, cpu="3")
    cluster.pods.add("p3", cpu="500m")
    cluster.scan()
    assert cluster.nodes("cpu-1") == 2
    assert cluster.nodes("other") == 0
    assert [(pod, reason) for pod, reason, _ in cluster.pods.told] == [
        ("p1", "TriggeredScaleUp"),
        ("p2", "TriggeredScaleUp"),
    ]
    assert "0->2 (max: 3)" in cluster.pods.told[0][2]


def test_nodes_that_are_coming_are_not_asked_for_twice(cluster: Cluster) -> None:
    cluster.add_pool("cpu-1")
    cluster.pods.add("p1")
    for _ in range(4):
        cluster.scan(after_s=0.2)
    assert cluster.nodes("cpu-1") == 1


def test_a_pod_that_still_waits_beside_a_settled_node_gets_another(cluster: Cluster) -> None:
    cluster.add_pool("cpu-1")
    cluster.pods.add("p1")
    cluster.scan()
    cluster.scan(after_s=1)
    (node,) = cluster.state.nodes
    cluster.pods.bind("p1", node)
    cluster.pods.add("p2")
    cluster.scan()
    assert cluster.nodes("cpu-1") == 2


def test_the_maximum_holds_and_the_pod_is_told(cluster: Cluster) -> None:
    cluster.add_pool("cpu-1", most=1)
    cluster.pods.add("p1")
    cluster.pods.add("p2")
    cluster.scan()
    assert cluster.nodes("cpu-1") == 1
    assert (
        "p2",
        "NotTriggerScaleUp",
        "pod didn't trigger scale-up: 1 max node group size reached",
    ) in cluster.pods.told


def test_out_of_stock_is_told_on_the_pod_and_the_next_pool_is_tried(cluster: Cluster) -> None:
    cluster.add_pool("cpu-1")
    cluster.add_pool("cpu-2", machine_type="e2-standard-8")
    cluster.stock(machines=[{"machineType": "e2-standard-4", "nodes": 0}])
    cluster.pods.add("p1")
    cluster.scan()
    cluster.scan()
    assert [reason for _, reason, _ in cluster.pods.told] == ["TriggeredScaleUp", "FailedScaleUp", "TriggeredScaleUp"]
    assert cluster.pods.told[1][2] == (
        "Node scale up in zones us-central1-a, us-central1-b associated with this pod failed: GCE out of resources. "
        "Pod is at risk of not being scheduled."
    )
    assert cluster.nodes("cpu-2") == 1


def test_a_pool_without_machines_is_left_alone_and_then_tried_again(cluster: Cluster) -> None:
    cluster.add_pool("cpu-1")
    cluster.stock(machines=[{"machineType": "e2-standard-4", "nodes": 0}], times={"backoff_s": 5})
    cluster.pods.add("p1")
    cluster.scan()
    told = len(cluster.pods.told)
    cluster.stock(machines=[])
    cluster.scan(after_s=4)
    assert (cluster.nodes("cpu-1"), len(cluster.pods.told)) == (0, told)
    cluster.scan(after_s=1)
    assert cluster.nodes("cpu-1") == 1


def test_quota_is_named_as_the_cause(cluster: Cluster) -> None:
    cluster.add_pool("gpu", machine_type="g2-standard-8", labels={})
    cluster.stock(quotas=[{"metric": "NVIDIA_L4_GPUS", "limit": 0}])
    cluster.pods.add("p1", selector={}, **{"nvidia.com/gpu": "1"})
    pod = cluster.pods.pods["p1"]
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists"}
    cluster.pods.pods["p1"] = {**pod, "spec": {**pod["spec"], "tolerations": [toleration]}}
    cluster.scan()
    assert "GCE quota exceeded" in cluster.pods.told[-1][2]


def test_the_zone_that_has_machines_is_used(cluster: Cluster) -> None:
    cluster.add_pool("cpu-1")
    cluster.stock(machines=[{"machineType": "e2-standard-4", "zone": "us-central1-a", "nodes": 0}])
    cluster.pods.add("p1")
    cluster.scan()
    assert [node.zone for node in cluster.state.nodes.values()] == ["us-central1-b"]


def test_the_minimum_is_kept_without_any_pod_spread_over_zones(cluster: Cluster) -> None:
    cluster.add_pool("cpu-1", least=2)
    cluster.scan()
    assert {node.zone for node in cluster.state.nodes.values()} == {"us-central1-a", "us-central1-b"}


def test_an_empty_node_goes_after_the_idle_time_but_not_below_the_minimum(cluster: Cluster) -> None:
    cluster.add_pool("cpu-1", least=1)
    cluster.stock(times={"idle_s": 60})
    for name in ("p1", "p2", "p3"):
        cluster.pods.add(name)
    cluster.scan()
    cluster.scan(after_s=1)
    first, *_ = cluster.state.nodes
    cluster.pods.pods.clear()
    cluster.pods.add("p4")
    cluster.pods.bind("p4", first)
    cluster.scan()
    cluster.scan(after_s=59)
    assert cluster.nodes("cpu-1") == 3
    cluster.scan(after_s=1)
    assert [node.name for node in cluster.state.nodes.values() if node.state == "ready"] == [first]


@pytest.mark.parametrize(
    ("pod", "fits"),
    [
        pytest.param({}, False, id="no-toleration"),
        pytest.param({"tolerations": [{"operator": "Exists"}]}, True, id="tolerates-everything"),
        pytest.param({"tolerations": [{"key": "dedicated", "value": "ml"}]}, True, id="equal"),
        pytest.param({"tolerations": [{"key": "dedicated", "value": "web"}]}, False, id="other-value"),
        pytest.param(
            {"tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}]},
            False,
            id="other-effect",
        ),
        pytest.param(
            {"tolerations": [{"key": "dedicated", "operator": "Exists"}], "nodeSelector": {"zone": "b"}},
            False,
            id="selector",
        ),
        pytest.param(
            {
                "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
                            ]
                        }
                    }
                },
            },
            True,
            id="affinity",
        ),
    ],
)
def test_a_pod_goes_where_selector_affinity_and_taints_allow(pod: dict[str, Any], fits: bool) -> None:
    taint = {"key": "dedicated", "value": "ml", "effect": "NoSchedule"}
    assert fit.tolerates({"spec": pod}, {"zone": "a"}, [taint]) is fits


def test_requests_are_summed_and_a_large_init_container_counts_instead() -> None:
    pod = {
        "spec": {
            "containers": [
                {
                    "resources": {
                        "requests": {"cpu": "250m", "memory": "1Gi"},
                        "limits": {"cpu": "2", "nvidia.com/gpu": 1},
                    }
                },
                {"resources": {"requests": {"cpu": "1.5", "memory": "500M"}}},
            ],
            "initContainers": [{"resources": {"requests": {"memory": "4Gi"}}}],
        }
    }
    assert fit.requests(pod) == {"pods": 1, "cpu": 1750, "memory": 4 * 2**30, "nvidia.com/gpu": 1}


@pytest.mark.parametrize(
    ("name", "gpus", "chips", "cpu_milli"),
    [
        ("e2-standard-4", 0, 0, 3920),
        ("e2-medium", 0, 0, 1930),
        ("g2-standard-24", 2, 0, 23870),
        ("a2-highgpu-4g", 4, 0, 47810),
        ("ct6e-standard-8t", 0, 8, 179480),
        ("e2-custom-4-8192", 0, 0, 3920),
    ],
)
def test_machine_types_are_known_by_their_names(name: str, gpus: int, chips: int, cpu_milli: int) -> None:
    found = machine(name)
    assert found is not None
    assert (found.gpus, found.chips, found.cpu_milli) == (gpus, chips, cpu_milli)


@pytest.mark.parametrize("name", ["", "e2", "e2-standard", "g2-standard-5", "ct6e-standard-3t", "a2-highgpu-1"])
def test_a_machine_type_that_does_not_exist_is_none(name: str) -> None:
    assert machine(name) is None
