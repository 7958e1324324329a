"""A pod waits for a node that matches it and has room, and says what it waits for."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.local.cluster import Cluster, until

from pointsman_local.kubernetes.quantities import quantity

POOL = "pointsman.dev/pool"


@pytest.fixture(scope="module")
def whole(local_process: Callable[..., Any]) -> Iterator[Cluster]:
    process = local_process("kubernetes")
    process.start(process.site.url("kubernetes") + "/readyz")
    yield Cluster(process.site.url("kubernetes"))
    assert process.stop() == 0


@pytest.fixture
def cluster(whole: Cluster) -> Iterator[Cluster]:
    yield whole
    whole.clear("pods", gracePeriodSeconds=0)
    for node in whole.list("nodes"):
        if node["metadata"]["name"] != "local":
            whole.delete(f"nodes/{node['metadata']['name']}")


def _node(
    name: str, pool: str = "l4", gpus: int = 1, taints: list[dict[str, str]] | None = None, **spec: Any
) -> dict[str, Any]:
    amounts = {"cpu": "4", "memory": "16Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {POOL: pool}},
        "spec": {"taints": taints or [], **spec},
        "status": {"allocatable": amounts, "capacity": amounts, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _pod(name: str, requests: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "i:1",
        "command": ["sleep", "1000"],
        "resources": {"limits": requests or {}},
    }
    return {"metadata": {"name": name}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}}


def _scheduled(cluster: Cluster, name: str) -> dict[str, Any] | None:
    conditions = cluster.get(f"pods/{name}")["status"].get("conditions", [])
    return next((one for one in conditions if one["type"] == "PodScheduled"), None)


def _bound(cluster: Cluster, name: str) -> str:
    return str(until(lambda: cluster.get(f"pods/{name}")["spec"].get("nodeName")))


def test_a_pod_stays_pending_with_its_reason_until_a_node_of_its_pool_exists(cluster: Cluster) -> None:
    cluster.create("pods", _pod("waits", nodeSelector={POOL: "l4"}))
    condition = until(lambda: _scheduled(cluster, "waits"))
    message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", message)
    assert ("FailedScheduling", message) in cluster.events("waits")
    assert cluster.get("pods/waits")["status"]["phase"] == "Pending"
    cluster.create("nodes", _node("n1"))
    assert _bound(cluster, "waits") == "n1"
    assert _scheduled(cluster, "waits") == {
        **(_scheduled(cluster, "waits") or {}),
        "type": "PodScheduled",
        "status": "True",
    }
    until(lambda: cluster.get("pods/waits")["status"]["phase"] == "Running")


def test_a_pod_without_selector_runs_on_the_built_in_node(cluster: Cluster) -> None:
    cluster.create("nodes", _node("n1"))
    cluster.create("pods", _pod("anywhere"))
    assert _bound(cluster, "anywhere") == "local"


def test_accelerators_are_counted_and_freed(cluster: Cluster) -> None:
    cluster.create("nodes", _node("n1", gpus=1))
    gpu = {"nvidia.com/gpu": "1"}
    cluster.create("pods", _pod("first", gpu, nodeSelector={POOL: "l4"}))
    assert _bound(cluster, "first") == "n1"
    cluster.create("pods", _pod("second", gpu, nodeSelector={POOL: "l4"}))
    condition = until(lambda: _scheduled(cluster, "second"))
    assert "1 Insufficient nvidia.com/gpu" in condition["message"]
    cluster.delete("pods/first")
    assert _bound(cluster, "second") == "n1"


TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("node", "spec", "fits"),
    [
        pytest.param({"taints": [TAINT]}, {}, False, id="taint"),
        pytest.param(
            {"taints": [TAINT]},
            {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
            True,
            id="tolerated",
        ),
        pytest.param(
            {"taints": [TAINT]}, {"tolerations": [{"key": "nvidia.com/gpu", "value": "other"}]}, False, id="other-value"
        ),
        pytest.param({"taints": [{**TAINT, "effect": "PreferNoSchedule"}]}, {}, True, id="only-preferred"),
        pytest.param({"unschedulable": True}, {}, False, id="cordoned"),
        pytest.param({"pool": "h100"}, {}, False, id="other-pool"),
        pytest.param(
            {},
            {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "4001m"}}}]},
            False,
            id="cpu",
        ),
        pytest.param(
            {},
            {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "4000m"}}}]},
            True,
            id="all-cpu",
        ),
        pytest.param(
            {},
            {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"memory": "17Gi"}}}]},
            False,
            id="memory",
        ),
    ],
)
def test_nodes_match_by_selector_taints_and_room(
    cluster: Cluster, node: dict[str, Any], spec: dict[str, Any], fits: bool
) -> None:
    cluster.create("nodes", _node("n1", **node))
    cluster.create(
        "pods", {"metadata": {"name": "p"}, "spec": {**_pod("p")["spec"], "nodeSelector": {POOL: "l4"}, **spec}}
    )
    condition = until(lambda: _scheduled(cluster, "p"))
    assert condition["status"] == ("True" if fits else "False")


def test_deleting_a_node_evicts_its_pods(cluster: Cluster) -> None:
    cluster.create("nodes", _node("n1"))
    cluster.create("pods", _pod("evicted", nodeSelector={POOL: "l4"}))
    until(lambda: cluster.get("pods/evicted")["status"]["phase"] == "Running")
    cluster.delete("nodes/n1")
    until(lambda: cluster.gone("pods/evicted"))


def test_required_node_affinity_holds(cluster: Cluster) -> None:
    term = {"matchExpressions": [{"key": POOL, "operator": "In", "values": ["l4", "t4"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    cluster.create("pods", _pod("affine", affinity={"nodeAffinity": required}))
    assert until(lambda: _scheduled(cluster, "affine"))["status"] == "False"
    cluster.create("nodes", _node("n1", pool="t4"))
    assert _bound(cluster, "affine") == "n1"


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", "2"), ("500m", "1/2"), ("1Gi", "1073741824"), ("1.5G", "1500000000"), ("1e3", "1000"), ("0.1", "1/10")],
)
def test_quantities_are_exact(text: str, value: str) -> None:
    assert str(quantity(text)) == value


@pytest.mark.parametrize("text", ["", "x", "1Xi", "--1", "1 Gi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)
