"""The node pools' adapter against the local ClusterManager, and the errors it makes of Google's texts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import container_v1 as v1
from tests.local.cluster import until
from tests.local.gke_cloud import PARENT, TIMES, Cloud, running

from pointsman.adapters.endpoints import Settings
from pointsman.adapters.node_pools import GkeNodePools, _translated, classified, connect
from pointsman.core.pools import Operation
from pointsman.documents.pool import Candidate, NodeSettings
from pointsman.errors import Absent, Conflict, Denied, Invalid, PointsmanError, QuotaExceeded, StockOut, Unavailable
from pointsman.ports import NodePools
from pointsman_local.site import ENDPOINTS, Site

NODE = NodeSettings.model_validate({"bootDiskSize": "200Gi", "serviceAccount": "nodes@lab.iam.gserviceaccount.com"})


@pytest.fixture
def cloud(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Cloud]:
    with running(Site(tmp_path, "lab", "us-central1", "c1", {name: free_port() for name in ENDPOINTS})) as found:
        yield found


@pytest.fixture
def pools(cloud: Cloud) -> GkeNodePools:
    settings = Settings("lab", "us-central1", "c1", endpoints={"container": cloud.site.address("container")})
    port: NodePools = connect(settings, "c1")  # it satisfies the port
    assert isinstance(port, GkeNodePools)
    return port


def candidate(**fields: Any) -> Candidate:
    return Candidate.model_validate({"machineType": "e2-standard-4", "zones": ["us-central1-a"], **fields})


def finished(pools: GkeNodePools, name: str) -> Operation:
    found = until(lambda: found if (found := pools.operation(name)).done else None)
    assert isinstance(found, Operation)
    return found


def created(pools: GkeNodePools, name: str, wanted: Candidate, **amounts: int) -> Operation:
    given = {"nodes": 0, "nodes_min": 0, "nodes_max": 3, **amounts}
    return finished(pools, pools.create(name, wanted, NODE, owner="cpu", **given))


def test_a_pool_is_created_with_nodes_and_read_back(pools: GkeNodePools) -> None:
    operation = created(pools, "cpu-1", candidate(), nodes=1, nodes_min=1)
    assert (operation.error, operation.started_at is not None) == (None, True)
    found = pools.get("cpu-1")
    assert found is not None
    assert (found.nodes_ready, found.nodes_wanted, found.nodes_min, found.nodes_max) == (1, 1, 1, 3)
    assert (found.status, found.autoscaled, found.created_by_us) == ("RUNNING", True, True)
    assert found.labels == {"pointsman.dev/pool": "cpu"}
    assert {pool.name for pool in pools.find()} == {"cpu-1", "default-pool"}
    assert pools.get("none") is None


def test_a_reservation_without_machines_is_a_stock_out_told_by_the_operation(pools: GkeNodePools) -> None:
    reserved = candidate(provisioning="Reservation", reservation="demo")
    operation = created(pools, "cpu-1", reserved, nodes=1)
    assert isinstance(operation.error, StockOut)
    assert "reservations/demo" in operation.error.what
    found = pools.get("cpu-1")
    assert found is not None
    assert found.status == "ERROR"
    assert found.conditions[0].startswith("GCE_STOCKOUT: ")


def test_limits_sizes_and_deletion_are_operations(pools: GkeNodePools, cloud: Cloud) -> None:
    created(pools, "cpu-1", candidate())
    assert finished(pools, pools.limit("cpu-1", 2, 4)).error is None
    found = until(lambda: pool if (pool := pools.get("cpu-1")) and pool.nodes_ready == 2 else None)
    assert (found.nodes_min, found.nodes_max) == (2, 4)
    assert finished(pools, pools.resize("cpu-1", 3)).error is None
    assert len(cloud.kubernetes.nodes) == 3
    assert finished(pools, pools.delete("cpu-1")).error is None
    assert pools.get("cpu-1") is None


def test_a_busy_pool_is_unavailable_and_a_taken_name_a_conflict(pools: GkeNodePools, cloud: Cloud) -> None:
    cloud.control({"times": {**TIMES, "operation_s": 30}})
    pools.create("cpu-1", candidate(), NODE, owner="cpu", nodes=0, nodes_max=3)
    with pytest.raises(Unavailable, match="currently creating a node pool"):
        pools.limit("cpu-1", 0, 1)
    with pytest.raises(Conflict, match="exists already"):
        pools.create("cpu-1", candidate(), NODE, owner="cpu", nodes=0, nodes_max=3)


def test_what_is_not_there_is_absent_and_quota_is_its_own_error(pools: GkeNodePools, cloud: Cloud) -> None:
    with pytest.raises(Absent):
        pools.delete("none")
    with pytest.raises(Absent):
        pools.operation("operation-0")
    cloud.control({"quotas": [{"metric": "NVIDIA_L4_GPUS", "limit": 0}]})
    with pytest.raises(QuotaExceeded, match="NVIDIA_L4_GPUS"):
        pools.create("gpu", candidate(machineType="g2-standard-8"), NODE, owner="l4", nodes=1, nodes_max=2)


def test_no_autoscaler_is_turned_on(pools: GkeNodePools, cloud: Cloud) -> None:
    fixed = v1.NodePool(name="fixed", config=v1.NodeConfig(machine_type="e2-standard-4"))
    cloud.finished(cloud.client.create_node_pool(parent=PARENT, node_pool=fixed))
    with pytest.raises(Invalid, match="has no autoscaler"):
        pools.limit("fixed", 0, 1)


def test_a_service_that_is_away_is_unavailable(free_port: Callable[[], int]) -> None:
    settings = Settings("lab", "us-central1", "c1", endpoints={"container": f"127.0.0.1:{free_port()}"})
    with pytest.raises(Unavailable):
        connect(settings, PARENT).find()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"machineType": "g2-standard-24"}, {"accelerators": [("nvidia-l4", 2)], "spot": False}, id="gpu"),
        pytest.param(
            {"machineType": "n1-standard-4", "accelerator": "nvidia-tesla-t4", "acceleratorCount": 4},
            {"accelerators": [("nvidia-tesla-t4", 4)], "spot": False},
            id="n1",
        ),
        pytest.param(
            {"machineType": "ct6e-standard-4t", "accelerator": "tpu-v6e-slice", "topology": "2x2"},
            {"accelerators": [], "spot": False},
            id="tpu-on-one-host-is-its-machine-type",
        ),
        pytest.param({"provisioning": "Spot"}, {"accelerators": [], "spot": True, "affinity": 1}, id="spot"),
        pytest.param(
            {"provisioning": "FlexStart", "maxRunDuration": "72h"},
            {"accelerators": [], "spot": False, "affinity": 1, "flex": True, "seconds": 259200},
            id="flex-start",
        ),
        pytest.param(
            {"provisioning": "FlexStart"},
            {"accelerators": [], "spot": False, "affinity": 1, "flex": True, "seconds": 604800},
            id="flex-start-at-its-longest",
        ),
        pytest.param(
            {"provisioning": "Reservation", "reservation": "projects/p/reservations/r"},
            {"accelerators": [], "spot": False, "affinity": 3, "values": ["projects/p/reservations/r"]},
            id="reservation",
        ),
    ],
)
def test_a_candidate_becomes_a_node_pool_s_configuration(
    pools: GkeNodePools, cloud: Cloud, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    pools.create("pool-1", candidate(**fields), NODE, owner="l4", nodes=0, nodes_max=3)
    config = cloud.pool("pool-1").config
    assert [(item.accelerator_type, item.accelerator_count) for item in config.accelerators] == expected["accelerators"]
    assert config.spot == expected["spot"]
    assert int(config.reservation_affinity.consume_reservation_type) == expected.get("affinity", 0)
    assert list(config.reservation_affinity.values) == expected.get("values", [])
    assert bool(config.flex_start) == expected.get("flex", False)
    assert v1.NodeConfig.pb(config).max_run_duration.seconds == expected.get("seconds", 0)
    assert (config.disk_size_gb, config.service_account) == (200, "nodes@lab.iam.gserviceaccount.com")
    assert dict(config.resource_labels) == {"managed-by": "pointsman"}


# As seen in issues of kubernetes/k8s.io, NVIDIA/aicr, cluster-toolkit, gsutil and skypilot, and in GKE's documentation.
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param(
            "Google Compute Engine: Not all instances running in IGM after 35m0.1s. Expected 1, running 0, "
            "transitioning 1. Current errors: [GCE_STOCKOUT]: Instance 'gke-c1-l4-0' creation failed: The zone "
            "'projects/p/zones/z' does not have enough resources available to fulfill the request. Try a different "
            "zone, or try again later.",
            StockOut,
            id="stock-out",
        ),
        pytest.param("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", StockOut, id="gce-code"),
        pytest.param(
            "Specified reservation 'projects/1/reservations/r' does not have available resources for the request.",
            StockOut,
            id="reservation-used-up",
        ),
        pytest.param(
            'Reservation does not have enough resources for the request: specific reservation "r" is insufficient '
            'for node pool "np4" at zone "us-central1-c": required 1 and short of 1 VM count of machine type n2.',
            StockOut,
            id="reservation-too-small",
        ),
        pytest.param(
            "Current errors: [GCE_QUOTA_EXCEEDED]: Instance 'x' creation failed: Quota 'NVIDIA_L4_GPUS' exceeded.  "
            "Limit: 1.0 in region us-central1.",
            QuotaExceeded,
            id="quota",
        ),
        pytest.param("IP_SPACE_EXHAUSTED: no addresses are left in the range", Invalid, id="addresses"),
        pytest.param("RESERVATION_NOT_FOUND", Invalid, id="no-such-reservation"),
        pytest.param("PERMISSIONS_ERROR: Required 'compute.instances.create' permission", Denied, id="permission"),
        pytest.param("Internal error.", Unavailable, id="anything-else"),
    ],
)
def test_texts_of_google_s_are_classified(text: str, kind: type[PointsmanError]) -> None:
    assert type(classified(text)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(
            exceptions.TooManyRequests('Too many operations: cluster "c1" hits the concurrent operations quota 5'),  # type: ignore[no-untyped-call]
            Unavailable,
            id="operations-quota-is-no-quota",
        ),
        pytest.param(
            exceptions.ResourceExhausted('specific reservation "r" is insufficient, does not have enough resources'),  # type: ignore[no-untyped-call]
            StockOut,
            id="reservation",
        ),
        pytest.param(
            exceptions.BadRequest("Cluster is running incompatible operation operation-1."),  # type: ignore[no-untyped-call]
            Unavailable,
            id="busy-over-rest",
        ),
        pytest.param(exceptions.BadRequest('Invalid value for field "x"'), Invalid, id="mistake"),  # type: ignore[no-untyped-call]
        pytest.param(exceptions.Forbidden("Required 'container.clusters.update'"), Denied, id="forbidden"),  # type: ignore[no-untyped-call]
        pytest.param(
            exceptions.Forbidden("Insufficient regional quota to satisfy request"),  # type: ignore[no-untyped-call]
            QuotaExceeded,
            id="quota-as-forbidden",
        ),
        pytest.param(
            exceptions.NotFound('Google Compute Engine: reservation "r" not found for node pool "p" at zone "z"'),  # type: ignore[no-untyped-call]
            Invalid,
            id="no-such-reservation",
        ),
        pytest.param(exceptions.GatewayTimeout("late"), Unavailable, id="timeout"),  # type: ignore[no-untyped-call]
    ],
)
def test_refusals_of_the_api_are_translated(error: exceptions.GoogleAPICallError, kind: type[PointsmanError]) -> None:
    assert type(_translated(error, "l4")) is kind


def test_instance_groups_elsewhere_are_not_asked(cloud: Cloud) -> None:
    settings = Settings("lab", "us-central1", "c1", endpoints={"container": cloud.site.address("container")})
    pools = connect(settings, "c1")
    foreign = v1.NodePool(
        name="x",
        config=v1.NodeConfig(labels={"pointsman.dev/pool": "l4"}),
        instance_group_urls=["https://compute.example.com/x"],
    )
    with pytest.raises(Invalid, match="not Compute Engine's"):
        pools._read(foreign)
