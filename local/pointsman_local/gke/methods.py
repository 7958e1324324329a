"""ClusterManager's methods that are served, each a function of a request, for gRPC and REST alike.

Requests are container_v1's own messages; whatever is refused is refused in GKE's words. What is not in
`METHODS` is unimplemented on both faces.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.cloud import container_v1 as v1

from pointsman_local.gke import shape
from pointsman_local.gke.engine import Engine, Kind, Refused, Status

__all__ = ["METHODS", "Method", "default_pool", "view"]

Method = Callable[[Engine, Any, float], Any]

NODES_MAX = 1000  # of one node pool and zone: https://cloud.google.com/kubernetes-engine/quotas
_NAME = re.compile(
    r"projects/([^/]+)/locations/([^/]+)(?:/clusters/([^/]+)(?:/nodePools/([^/]+))?|/operations/([^/]+))?"
)
_POOL_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")


def list_clusters(engine: Engine, request: v1.ListClustersRequest, now: float) -> v1.ListClustersResponse:
    project, location, *_ = _parts(request.parent, "projects/{p}/locations/{l}")
    here = project == engine.site.project and location in ("-", engine.site.location)
    return v1.ListClustersResponse(clusters=[_cluster(engine)] if here else [])


def get_cluster(engine: Engine, request: v1.GetClusterRequest, now: float) -> v1.Cluster:
    _check_cluster(engine, request.name)
    return _cluster(engine)


def update_cluster(engine: Engine, request: v1.UpdateClusterRequest, now: float) -> v1.Operation:
    """Only the autoscaling of one node pool, which is how gcloud sets it."""
    _check_cluster(engine, request.name)
    asked = {name for name in v1.ClusterUpdate.meta.fields if name in request.update}
    if (
        asked - {"desired_node_pool_autoscaling"} - {"desired_node_pool_id"}
        or "desired_node_pool_autoscaling" not in asked
    ):
        raise Refused("UNIMPLEMENTED", f"UpdateCluster of {', '.join(sorted(asked))} is not served by the local cloud")
    pool = _pool(engine, f"{request.name}/nodePools/{request.update.desired_node_pool_id}")
    return _autoscale(engine, pool, request.update.desired_node_pool_autoscaling, now)


def list_node_pools(engine: Engine, request: v1.ListNodePoolsRequest, now: float) -> v1.ListNodePoolsResponse:
    _check_cluster(engine, request.parent)
    return v1.ListNodePoolsResponse(node_pools=[view(engine, pool) for pool in _sorted(engine)])


def get_node_pool(engine: Engine, request: v1.GetNodePoolRequest, now: float) -> v1.NodePool:
    return view(engine, _pool(engine, request.name))


def create_node_pool(engine: Engine, request: v1.CreateNodePoolRequest, now: float) -> v1.Operation:
    _check_cluster(engine, request.parent)
    pool = v1.NodePool(request.node_pool)
    if not _POOL_NAME.fullmatch(pool.name):
        rule = "(must be 1-40 characters: lowercase letters, digits and '-', from a letter to a letter or digit)."
        raise Refused("INVALID_ARGUMENT", f'Invalid value for field "node_pool.name": "{pool.name}" {rule}')
    if pool.name in engine.state.pools:
        raise Refused("ALREADY_EXISTS", f"Already exists: {engine.parent}/nodePools/{pool.name}.")
    if shape.machine_of(pool) is None:
        raise Refused("INVALID_ARGUMENT", f"Machine type with name '{pool.config.machine_type}' does not exist.")
    _check_locations(engine, pool.locations)
    _check_autoscaling(pool.autoscaling)
    pool.locations = list(pool.locations) or engine.zones
    count = pool.initial_node_count
    _check_quota(engine, pool, count * len(pool.locations))
    pool.config.machine_type = pool.config.machine_type or shape.DEFAULT_MACHINE
    pool.config.disk_size_gb = pool.config.disk_size_gb or 100
    pool.version = pool.version or shape.VERSION.removeprefix("v")
    pool.status = Status.PROVISIONING
    with engine.state.together():
        operation = engine.begin(Kind.CREATE_NODE_POOL, pool.name, {"nodes": count}, now)
        engine.state.keep_pool(pool)
    return operation


def delete_node_pool(engine: Engine, request: v1.DeleteNodePoolRequest, now: float) -> v1.Operation:
    pool = _pool(engine, request.name)
    return _begin(engine, Kind.DELETE_NODE_POOL, pool, {}, now, Status.STOPPING)


def set_node_pool_size(engine: Engine, request: v1.SetNodePoolSizeRequest, now: float) -> v1.Operation:
    pool = _pool(engine, request.name)
    if not 0 <= request.node_count <= NODES_MAX:
        raise Refused("INVALID_ARGUMENT", f"Node_count must be between 0 and {NODES_MAX}.")
    more = request.node_count * len(pool.locations) - len(engine.state.nodes_of(pool.name))
    _check_quota(engine, pool, more)
    return _begin(engine, Kind.SET_NODE_POOL_SIZE, pool, {"nodes": request.node_count}, now)


def set_node_pool_autoscaling(engine: Engine, request: v1.SetNodePoolAutoscalingRequest, now: float) -> v1.Operation:
    return _autoscale(engine, _pool(engine, request.name), request.autoscaling, now)


def update_node_pool(engine: Engine, request: v1.UpdateNodePoolRequest, now: float) -> v1.Operation:
    """Labels, taints and locations, each replaced whole."""
    pool = _pool(engine, request.name)
    asked = {name for name in v1.UpdateNodePoolRequest.meta.fields if name in request} - {"name"}
    unserved = asked - {"labels", "taints", "locations", "node_version", "image_type", "etag", "project_id", "zone"}
    unserved -= {"cluster_id", "node_pool_id"}
    if unserved:
        raise Refused(
            "UNIMPLEMENTED", f"UpdateNodePool of {', '.join(sorted(unserved))} is not served by the local cloud"
        )
    if request.etag and request.etag != _etag(pool):
        raise Refused("ABORTED", "The etag does not match the node pool's: it was changed in between.")
    goal: dict[str, Any] = {}
    if "labels" in asked:
        goal["labels"] = dict(request.labels.labels)
    if "taints" in asked:
        goal["taints"] = v1.NodeConfig.to_json(v1.NodeConfig(taints=request.taints.taints), indent=None)
    if request.locations:
        _check_locations(engine, request.locations)
        goal["locations"] = list(request.locations)
    return _begin(engine, Kind.UPGRADE_NODES, pool, goal, now)


def get_operation(engine: Engine, request: v1.GetOperationRequest, now: float) -> v1.Operation:
    *_, name = _parts(request.name, "projects/{p}/locations/{l}/operations/{o}")
    if name not in engine.state.works:
        raise Refused("NOT_FOUND", f"Not found: {request.name}.")
    return engine.state.works[name].operation


def list_operations(engine: Engine, request: v1.ListOperationsRequest, now: float) -> v1.ListOperationsResponse:
    _parts(request.parent, "projects/{p}/locations/{l}")
    operations = sorted((work.operation for work in engine.state.works.values()), key=lambda o: str(o.start_time))
    return v1.ListOperationsResponse(operations=operations)


METHODS: Mapping[str, tuple[Any, Any, Method]] = {
    "ListClusters": (v1.ListClustersRequest, v1.ListClustersResponse, list_clusters),
    "GetCluster": (v1.GetClusterRequest, v1.Cluster, get_cluster),
    "UpdateCluster": (v1.UpdateClusterRequest, v1.Operation, update_cluster),
    "ListNodePools": (v1.ListNodePoolsRequest, v1.ListNodePoolsResponse, list_node_pools),
    "GetNodePool": (v1.GetNodePoolRequest, v1.NodePool, get_node_pool),
    "CreateNodePool": (v1.CreateNodePoolRequest, v1.Operation, create_node_pool),
    "DeleteNodePool": (v1.DeleteNodePoolRequest, v1.Operation, delete_node_pool),
    "SetNodePoolSize": (v1.SetNodePoolSizeRequest, v1.Operation, set_node_pool_size),
    "SetNodePoolAutoscaling": (v1.SetNodePoolAutoscalingRequest, v1.Operation, set_node_pool_autoscaling),
    "UpdateNodePool": (v1.UpdateNodePoolRequest, v1.Operation, update_node_pool),
    "GetOperation": (v1.GetOperationRequest, v1.Operation, get_operation),
    "ListOperations": (v1.ListOperationsRequest, v1.ListOperationsResponse, list_operations),
}


def default_pool(engine: Engine) -> v1.NodePool:
    """The node pool that a cluster is made with; it takes what names no pool of its own."""
    return v1.NodePool(
        name="default-pool",
        config=v1.NodeConfig(machine_type="e2-standard-4", disk_size_gb=100),
        locations=engine.zones,
        autoscaling=v1.NodePoolAutoscaling(enabled=True, total_max_node_count=3),
        version=shape.VERSION.removeprefix("v"),
        status=Status.RUNNING,
    )


def view(engine: Engine, pool: v1.NodePool) -> v1.NodePool:
    """The pool as the API shows it: with its links, groups and etag."""
    seen = v1.NodePool(pool)
    seen.self_link = f"https://container.googleapis.com/v1/{engine.parent}/nodePools/{pool.name}"
    origin = f"{engine.site.url('container-rest')}/compute/v1/projects/{engine.site.project}/zones"
    seen.instance_group_urls = [
        f"{origin}/{zone}/instanceGroupManagers/{shape.group_name(engine.site.cluster, pool.name, zone)}"
        for zone in pool.locations
    ]
    seen.etag = _etag(pool)
    return seen


def _cluster(engine: Engine) -> v1.Cluster:
    site = engine.site
    endpoint = site.address("kubernetes")
    busy = any(not work.done for work in engine.state.works.values())
    return v1.Cluster(
        name=site.cluster,
        id=site.cluster,
        self_link=f"https://container.googleapis.com/v1/{engine.parent}",
        location=site.location,
        zone=site.location,
        locations=engine.zones,
        status=v1.Cluster.Status.RECONCILING if busy else v1.Cluster.Status.RUNNING,
        endpoint=endpoint,
        network="default",
        subnetwork="default",
        create_time=datetime.fromtimestamp(0, UTC).isoformat().replace("+00:00", "Z"),
        initial_cluster_version=shape.VERSION.removeprefix("v"),
        current_master_version=shape.VERSION.removeprefix("v"),
        current_node_version=shape.VERSION.removeprefix("v"),
        current_node_count=sum(1 for node in engine.state.nodes.values() if node.registered),
        release_channel=v1.ReleaseChannel(channel=v1.ReleaseChannel.Channel.REGULAR),
        network_config=v1.NetworkConfig(
            gateway_api_config=v1.GatewayAPIConfig(channel=v1.GatewayAPIConfig.Channel.CHANNEL_STANDARD)
        ),
        workload_identity_config=v1.WorkloadIdentityConfig(workload_pool=f"{site.project}.svc.id.goog"),
        control_plane_endpoints_config=v1.ControlPlaneEndpointsConfig(
            dns_endpoint_config=v1.ControlPlaneEndpointsConfig.DNSEndpointConfig(
                endpoint=endpoint, allow_external_traffic=True
            )
        ),
        node_pools=[view(engine, pool) for pool in _sorted(engine)],
    )


def _sorted(engine: Engine) -> list[v1.NodePool]:
    return sorted(engine.state.pools.values(), key=lambda pool: pool.name)


def _autoscale(engine: Engine, pool: v1.NodePool, scaling: v1.NodePoolAutoscaling, now: float) -> v1.Operation:
    _check_autoscaling(scaling)
    goal = {"autoscaling": v1.NodePoolAutoscaling.to_json(scaling, indent=None)}
    return _begin(engine, Kind.UPDATE_CLUSTER, pool, goal, now)


def _begin(
    engine: Engine,
    kind: v1.Operation.Type,
    pool: v1.NodePool,
    goal: dict[str, Any],
    now: float,
    status: v1.NodePool.Status = Status.RECONCILING,
) -> v1.Operation:
    with engine.state.together():
        limits = {"was": int(pool.status)} if kind == Kind.UPDATE_CLUSTER else {}
        operation = engine.begin(kind, pool.name, {**goal, **limits}, now)
        pool.status = status
        engine.state.keep_pool(pool)
    return operation


def _parts(name: str, form: str) -> tuple[str, str, str, str, str]:
    found = _NAME.fullmatch(name)
    if found is None:
        raise Refused("INVALID_ARGUMENT", f'Invalid resource name "{name}": expected {form}.')
    project, location, cluster, pool, operation = (part or "" for part in found.groups())
    return project, location, cluster, pool, operation


def _check_cluster(engine: Engine, name: str) -> None:
    _parts(name, "projects/{p}/locations/{l}/clusters/{c}")
    if name != engine.parent:
        raise Refused("NOT_FOUND", f"Not found: {name}.")


def _pool(engine: Engine, name: str) -> v1.NodePool:
    *_, pool, _ = _parts(name, "projects/{p}/locations/{l}/clusters/{c}/nodePools/{n}")
    if name != f"{engine.parent}/nodePools/{pool}" or pool not in engine.state.pools:
        raise Refused("NOT_FOUND", f"Not found: {name}.")
    return engine.state.pools[pool]


def _check_locations(engine: Engine, locations: Any) -> None:
    region = engine.site.location if engine.site.location.count("-") == 1 else engine.site.location.rpartition("-")[0]
    foreign = [zone for zone in locations if zone.rpartition("-")[0] != region]
    if foreign:
        raise Refused("INVALID_ARGUMENT", f'Invalid location "{foreign[0]}": not a zone of region "{region}".')


def _check_autoscaling(scaling: v1.NodePoolAutoscaling) -> None:
    by_zone = scaling.min_node_count or scaling.max_node_count
    total = scaling.total_min_node_count or scaling.total_max_node_count
    if by_zone and total:
        text = "Node pool autoscaling: min/max_node_count and total_min/max_node_count are mutually exclusive."
        raise Refused("INVALID_ARGUMENT", text)
    low, high = (
        scaling.total_min_node_count or scaling.min_node_count,
        scaling.total_max_node_count or scaling.max_node_count,
    )
    if scaling.enabled and (high < 1 or low > high):
        text = f"Node pool autoscaling: max ({high}) must be at least 1 and not less than min ({low})."
        raise Refused("INVALID_ARGUMENT", text)


def _check_quota(engine: Engine, pool: v1.NodePool, more: int) -> None:
    """GKE refuses at once what its quota check already knows to fail."""
    if more <= 0:
        return
    having = [shape.ask(engine.state.pools[node.pool], node.zone) for node in engine.state.nodes.values()]
    one = shape.ask(pool, pool.locations[0])
    for quota in engine.state.stock.quotas:
        left = quota.limit - sum(other.uses(quota.metric) for other in having)
        needs = one.uses(quota.metric) * more
        if needs > left:
            raise Refused(
                "PERMISSION_DENIED",
                f'Insufficient regional quota to satisfy request: resource "{quota.metric}": request requires '
                f"'{needs:.1f}' and is short '{needs - left:.1f}'. project has a quota of '{quota.limit:.1f}' with "
                f"'{max(left, 0):.1f}' available. View and manage quotas at https://console.cloud.google.com/iam-admin/"
                f"quotas?usage=USED&project={engine.site.project}.",
            )


def _etag(pool: v1.NodePool) -> str:
    return f"{zlib.crc32(v1.NodePool.serialize(pool)):08x}"
