"""The local ClusterManager, asked by Google's own client, by REST, and killed in between."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import container_v1 as v1
from tests.local.cluster import until
from tests.local.gke_cloud import PARENT, TIMES, Cloud, kubernetes_on, running

from pointsman_local.site import ENDPOINTS, Site


@pytest.fixture
def cloud(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Cloud]:
    with running(Site(tmp_path, "lab", "us-central1", "c1", {name: free_port() for name in ENDPOINTS})) as found:
        yield found


RESERVED = v1.ReservationAffinity(
    consume_reservation_type=v1.ReservationAffinity.Type.SPECIFIC_RESERVATION,
    key="compute.googleapis.com/reservation-name",
    values=["demo"],
)


def test_a_node_pool_is_made_by_an_operation_and_its_nodes_register(cloud: Cloud) -> None:
    operation = cloud.create("cpu-1", nodes=2)
    assert operation.operation_type == v1.Operation.Type.CREATE_NODE_POOL
    assert operation.status == v1.Operation.Status.PENDING
    assert cloud.pool("cpu-1").status == v1.NodePool.Status.PROVISIONING

    finished = cloud.finished(operation)

    assert finished.error.code == 0
    assert finished.end_time > finished.start_time
    assert cloud.pool("cpu-1").status == v1.NodePool.Status.RUNNING
    nodes = list(cloud.kubernetes.nodes.values())
    assert len(nodes) == 2
    labels = nodes[0]["metadata"]["labels"]
    assert labels["cloud.google.com/gke-nodepool"] == "cpu-1"
    assert labels["pointsman.dev/pool"] == "cpu"
    assert nodes[0]["status"]["allocatable"] == {"cpu": "3920m", "memory": "13947904Ki", "pods": "110"}
    group = urllib.request.urlopen(cloud.pool("cpu-1").instance_group_urls[0], timeout=5)
    assert json.load(group)["currentActions"] == {"none": 2, "creating": 0, "deleting": 0}


def test_accelerators_are_offered_and_tainted(cloud: Cloud) -> None:
    cloud.finished(cloud.create("gpu", nodes=1, machine_type="g2-standard-8", spot=True))
    (node,) = cloud.kubernetes.nodes.values()
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    assert node["metadata"]["labels"]["cloud.google.com/gke-accelerator"] == "nvidia-l4"
    assert {(taint["key"], taint["effect"]) for taint in node["spec"]["taints"]} == {
        ("nvidia.com/gpu", "NoSchedule"),
        ("cloud.google.com/gke-spot", "NoSchedule"),
    }


def test_a_reservation_that_nobody_told_of_is_out_of_stock_until_told(cloud: Cloud) -> None:
    finished = cloud.finished(cloud.create("res", nodes=1, reservation_affinity=RESERVED))
    assert "[GCE_STOCKOUT]" in finished.error.message
    assert "reservations/demo' does not have available resources" in finished.error.message
    pool = cloud.pool("res")
    assert pool.status == v1.NodePool.Status.ERROR
    assert pool.conditions[0].code == v1.StatusCondition.Code.GCE_STOCKOUT
    assert not cloud.kubernetes.nodes

    scaling = v1.NodePoolAutoscaling(enabled=True, total_max_node_count=1)
    limits = v1.SetNodePoolAutoscalingRequest(name=f"{PARENT}/nodePools/res", autoscaling=scaling)
    cloud.finished(cloud.client.set_node_pool_autoscaling(limits))
    assert cloud.pool("res").status == v1.NodePool.Status.ERROR

    cloud.control({"reservations": [{"name": "demo", "zone": "us-central1-a", "nodes": 1}]})
    again = v1.SetNodePoolSizeRequest(name=f"{PARENT}/nodePools/res", node_count=1)
    assert cloud.finished(cloud.client.set_node_pool_size(again)).error.code == 0
    assert cloud.pool("res").status == v1.NodePool.Status.RUNNING


def test_a_limit_on_machines_leaves_a_pool_partly_made(cloud: Cloud) -> None:
    cloud.control({"machines": [{"machineType": "e2-standard-4", "nodes": 1}]})
    finished = cloud.finished(cloud.create("cpu-1", nodes=2))
    assert "The zone 'projects/lab/zones/us-central1-a' does not have enough resources" in finished.error.message
    assert cloud.pool("cpu-1").status == v1.NodePool.Status.RUNNING_WITH_ERROR
    assert len(cloud.kubernetes.nodes) == 1


def test_a_quota_that_is_known_to_be_short_refuses_at_once(cloud: Cloud) -> None:
    cloud.control({"quotas": [{"metric": "NVIDIA_L4_GPUS", "limit": 1}]})
    with pytest.raises(exceptions.Forbidden, match="Insufficient regional quota to satisfy request"):
        cloud.create("gpu", nodes=2, machine_type="g2-standard-8")


def test_one_operation_a_node_pool_at_a_time(cloud: Cloud) -> None:
    cloud.control({"times": {**TIMES, "operation_s": 30}})
    running = cloud.create("cpu-1")
    with pytest.raises(
        exceptions.FailedPrecondition, match=f"Operation {running.name} is currently creating a node pool"
    ):
        cloud.client.delete_node_pool(name=f"{PARENT}/nodePools/cpu-1")
    for number in range(2, 6):
        cloud.create(f"cpu-{number}")
    with pytest.raises(exceptions.ResourceExhausted, match="hits the concurrent operations quota 5"):
        cloud.create("cpu-6")


def test_an_operation_fails_on_demand(cloud: Cloud) -> None:
    cloud.control({"failures": [{"operationType": "DELETE_NODE_POOL", "message": "Internal error."}]})
    cloud.finished(cloud.create("cpu-1"))
    delete = f"{PARENT}/nodePools/cpu-1"
    assert cloud.finished(cloud.client.delete_node_pool(name=delete)).error.message == "Internal error."
    assert cloud.finished(cloud.client.delete_node_pool(name=delete)).error.code == 0
    with pytest.raises(exceptions.NotFound, match=r"Not found: projects/lab/.*nodePools/cpu-1\."):
        cloud.pool("cpu-1")


def test_a_node_pool_that_goes_takes_its_pods_and_nodes_along(cloud: Cloud) -> None:
    cloud.finished(cloud.create("cpu-1", nodes=1))
    cloud.kubernetes.pending_pod("p1")
    cloud.kubernetes.bind("p1", next(iter(cloud.kubernetes.nodes)))
    assert cloud.finished(cloud.client.delete_node_pool(name=f"{PARENT}/nodePools/cpu-1")).error.code == 0
    assert not cloud.kubernetes.nodes
    assert not cloud.kubernetes.all("pods")


def test_labels_and_taints_are_replaced_whole_on_the_nodes_that_are_there(cloud: Cloud) -> None:
    cloud.finished(cloud.create("cpu-1", nodes=1))
    request = v1.UpdateNodePoolRequest(
        name=f"{PARENT}/nodePools/cpu-1",
        labels=v1.NodeLabels(labels={"tier": "gold"}),
        taints=v1.NodeTaints(
            taints=[v1.NodeTaint(key="dedicated", value="ml", effect=v1.NodeTaint.Effect.NO_SCHEDULE)]
        ),
    )
    cloud.finished(cloud.client.update_node_pool(request))
    assert dict(cloud.pool("cpu-1").config.labels) == {"tier": "gold"}
    (name,) = cloud.kubernetes.nodes
    until(lambda: cloud.kubernetes.nodes[name]["metadata"]["labels"].get("tier") == "gold")
    assert cloud.kubernetes.nodes[name]["spec"]["taints"][0]["key"] == "dedicated"


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        pytest.param("Bad_Name", {}, "node_pool.name", id="name"),
        pytest.param("cpu-1", {"machine_type": "e2-enormous-4"}, "e2-enormous-4' does not exist", id="machine"),
    ],
)
def test_what_gke_would_refuse_is_refused(cloud: Cloud, name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=message):
        cloud.create(name, **config)


def test_limits_that_contradict_themselves_are_refused(cloud: Cloud) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=r"max \(1\) must be at least 1 and not less than min \(2\)"):
        cloud.create("cpu-1", limits=(2, 1))


def test_a_name_is_taken_once(cloud: Cloud) -> None:
    cloud.finished(cloud.create("cpu-1"))
    with pytest.raises(exceptions.AlreadyExists, match=f"Already exists: {PARENT}/nodePools/cpu-1"):
        cloud.create("cpu-1")


def test_state_and_running_operations_survive_a_kill(local_process: Any) -> None:
    process = local_process("gke")
    stock = f"{process.site.url('container-rest')}/local/v1/stock"
    process.start(stock)
    with kubernetes_on(process.site.ports["kubernetes"]) as kubernetes:
        cloud = Cloud(process.site, kubernetes)
        cloud.finished(cloud.create("cpu-1", nodes=1))
        cloud.control({"times": {**TIMES, "operation_s": 0.3}})
        begun = cloud.create("cpu-2", nodes=1)
        process.kill()
        cloud.channel.close()
        process.start(stock)
        cloud.connect()
        assert cloud.finished(begun).error.code == 0
        pools = cloud.client.list_node_pools(parent=PARENT).node_pools
        assert [pool.name for pool in pools] == ["cpu-1", "cpu-2", "default-pool"]
        assert len(cloud.kubernetes.nodes) == 2
        assert cloud.rest("GET", "/local/v1/stock")["times"]["operation_s"] == 0.3
        cloud.channel.close()


def test_an_unknown_call_is_unimplemented_and_named(cloud: Cloud) -> None:
    with pytest.raises(
        exceptions.MethodNotImplemented, match=r"google.container.v1.ClusterManager/RollbackNodePoolUpgrade"
    ):
        cloud.client.rollback_node_pool_upgrade(name=f"{PARENT}/nodePools/cpu-1")
    with pytest.raises(urllib.error.HTTPError) as caught:
        cloud.rest("POST", f"/v1/{PARENT}/nodePools/cpu-1:rollback", {})
    assert caught.value.code == 501
    assert f"POST /v1/{PARENT}/nodePools/cpu-1:rollback" in caught.value.read().decode()


def test_the_rest_client_reads_and_writes_with_numbers_for_enums(cloud: Cloud) -> None:
    options = ClientOptions(api_endpoint=cloud.site.url("container-rest"))
    client = v1.ClusterManagerClient(credentials=AnonymousCredentials(), transport="rest", client_options=options)  # type: ignore[no-untyped-call]
    config = v1.NodeConfig(
        machine_type="e2-standard-4",
        taints=[v1.NodeTaint(key="dedicated", value="ml", effect=v1.NodeTaint.Effect.NO_SCHEDULE)],
    )
    client.create_node_pool(parent=PARENT, node_pool=v1.NodePool(name="cpu-1", config=config))
    pool = until(lambda: client.get_node_pool(name=f"{PARENT}/nodePools/cpu-1"))
    assert pool.config.taints[0].effect == v1.NodeTaint.Effect.NO_SCHEDULE
    with pytest.raises(exceptions.NotFound):
        client.get_node_pool(name=f"{PARENT}/nodePools/none")


def test_gcloud_s_way_to_set_limits_is_an_update_of_the_cluster(cloud: Cloud) -> None:
    cloud.finished(cloud.create("cpu-1"))
    scaling = {"enabled": True, "totalMinNodeCount": 1, "totalMaxNodeCount": 2}
    body = {"update": {"desiredNodePoolId": "cpu-1", "desiredNodePoolAutoscaling": scaling}, "name": PARENT}
    operation = cloud.rest("PUT", f"/v1/{PARENT}?alt=json", body)
    assert (operation["operationType"], operation["status"]) == ("UPDATE_CLUSTER", "PENDING")
    until(lambda: cloud.rest("GET", f"/v1/{PARENT}/nodePools/cpu-1")["status"] == "RUNNING")
    assert cloud.pool("cpu-1").autoscaling.total_min_node_count == 1


def test_the_cluster_says_how_it_is_reached(cloud: Cloud) -> None:
    (cluster,) = cloud.client.list_clusters(parent="projects/lab/locations/-").clusters
    assert cluster.name == "c1"
    assert cluster.control_plane_endpoints_config.dns_endpoint_config.endpoint == cloud.site.address("kubernetes")
    assert cluster.network_config.gateway_api_config.channel == v1.GatewayAPIConfig.Channel.CHANNEL_STANDARD
    assert [pool.name for pool in cluster.node_pools] == ["default-pool"]


def test_an_unknown_control_key_is_named(cloud: Cloud) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        cloud.control({"machine": []})
    assert "unknown key machine: known are machines" in caught.value.read().decode()
