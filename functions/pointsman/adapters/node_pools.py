"""One GKE cluster's node pools, through Google's client; nodes are counted by their instance groups.

The Container API does not say how many nodes there are: the managed instance groups that it links to do, so
those of pools that carry our label are read (`compute.instanceGroupManagers.get`). What an operation ends with
is text; `classified` makes the errors of the port of it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3
from google.api_core import exceptions
from google.cloud import container_v1 as v1
from google.protobuf import duration_pb2

from pointsman.adapters.endpoints import Settings, client
from pointsman.core.pools import NodePool, Operation
from pointsman.errors import Absent, Conflict, Denied, Invalid, PointsmanError, QuotaExceeded, StockOut, Unavailable

if TYPE_CHECKING:
    from pointsman.documents.pool import Candidate, NodeSettings

__all__ = ["GkeNodePools", "classified", "connect"]

TIMEOUT_S = 10.0
POOL_LABEL = "pointsman.dev/pool"
MANAGED = {"managed-by": "pointsman"}
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
RESERVATION_KEY = "compute.googleapis.com/reservation-name"
COMPUTE_HOSTS = ("www.googleapis.com", "compute.googleapis.com")
_LONGEST_RUN_S = 168 * 3600

# What Compute Engine and GKE write when there are no such machines now, and when asking again won't help. A
# reservation that is used up is out of stock; one that doesn't exist is the user's mistake.
_STOCK_OUT = re.compile(
    r"GCE_STOCKOUT|RESOURCE_POOL_EXHAUSTED|INSUFFICIENT_CAPACITY|RESERVATION_CAPACITY_EXCEEDED"
    r"|does not have (enough|available) resources|(currently unavailable|not available) in the zone",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"GCE_QUOTA_EXCEEDED|QUOTA_EXCEEDED|\bquota\b", re.IGNORECASE)
_BUSY = re.compile(r"concurrent operations quota|incompatible operation|is currently \w+|try again", re.IGNORECASE)
_MISTAKE = re.compile(
    r"IP_SPACE_EXHAUSTED|RESERVATION_(NOT_FOUND|NOT_READY|INCOMPATIBLE)|INVALID_RESERVATION|UNSUPPORTED_TPU_CONFIGURATION"
    r"|Unsupported TPU configuration|does not exist|Invalid value|must be",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"PERMISSION|SERVICE_ACCOUNT_(DELETED|MISSING)|Required '[\w.]+'", re.IGNORECASE)


def connect(settings: Settings, cluster: str) -> "GkeNodePools":
    """The node pools of a cluster, by name or by `projects/P/locations/L/clusters/C`."""
    parent = cluster
    if "/" not in cluster:
        parent = f"projects/{settings.project}/locations/{settings.location}/clusters/{cluster}"
    local = "container" in settings.endpoints
    return GkeNodePools(client(v1.ClusterManagerClient, settings, "container"), parent, _Groups(local=local))


def classified(text: str) -> PointsmanError:
    """The error that an operation's text stands for; Unavailable when it says nothing that is known."""
    short = text if len(text) <= 500 else text[:500] + "…"
    if _STOCK_OUT.search(text):
        return StockOut(short)
    if _QUOTA.search(text) and not _BUSY.search(text):
        return QuotaExceeded(short, remedy="ask for more quota, or put another candidate first")
    if _MISTAKE.search(text):
        return Invalid(short)
    if _FORBIDDEN.search(text):
        return Denied(short)
    return Unavailable(short)


class GkeNodePools:
    """`ports.NodePools` over the Container API. The client's own retries are off: a step is repeated as a whole."""

    def __init__(self, container: v1.ClusterManagerClient, parent: str, groups: "_Groups") -> None:
        self._client = container
        self._parent = parent
        self._groups = groups

    def get(self, pool: str) -> NodePool | None:
        try:
            return self._read(self._raw(pool))
        except Absent:
            return None

    def find(self) -> Sequence[NodePool]:
        """All node pools; nodes are counted only in those that carry our label."""
        try:
            found = self._client.list_node_pools(parent=self._parent, timeout=TIMEOUT_S, retry=None).node_pools
        except exceptions.GoogleAPICallError as error:
            raise _translated(error, self._parent) from error
        return [self._read(pool) for pool in found]

    def create(
        self,
        pool: str,
        candidate: "Candidate",
        node: "NodeSettings",
        *,
        owner: str,
        nodes: int,
        nodes_max: int,
        nodes_min: int = 0,
    ) -> str:
        zones = candidate.zones or ()
        body = v1.NodePool(
            name=pool,
            config=_config(candidate, node, owner),
            locations=list(zones),
            # By zone. More nodes than one zone's are left to the autoscaler, which knows which zone has machines.
            initial_node_count=nodes if len(zones) == 1 else 0,
            autoscaling=v1.NodePoolAutoscaling(
                enabled=True,
                total_min_node_count=nodes_min,
                total_max_node_count=nodes_max,
                location_policy=v1.NodePoolAutoscaling.LocationPolicy.ANY,
            ),
            management=v1.NodeManagement(auto_repair=True, auto_upgrade=True),
        )
        try:
            return self._client.create_node_pool(parent=self._parent, node_pool=body, timeout=TIMEOUT_S).name
        except exceptions.GoogleAPICallError as error:
            raise _translated(error, pool) from error

    def resize(self, pool: str, nodes: int) -> str:
        zones = max(len(self._raw(pool).locations), 1)
        request = v1.SetNodePoolSizeRequest(name=self._name(pool), node_count=ceil(nodes / zones))
        try:
            return self._client.set_node_pool_size(request, timeout=TIMEOUT_S).name
        except exceptions.GoogleAPICallError as error:
            raise _translated(error, pool) from error

    def limit(self, pool: str, nodes_min: int, nodes_max: int) -> str:
        """Set the autoscaler's limits. Raises Invalid where there is no autoscaler: turning one on may restart the
        control plane."""
        before = self._raw(pool)
        if not before.autoscaling.enabled:
            raise Invalid("the node pool has no autoscaler", where=pool, remedy="turn autoscaling on, once, by hand")
        zones = max(len(before.locations), 1)
        after = v1.NodePoolAutoscaling(enabled=True, location_policy=before.autoscaling.location_policy)
        if before.autoscaling.total_max_node_count:
            after.total_min_node_count, after.total_max_node_count = nodes_min, nodes_max
        else:  # somebody else's form is kept
            after.min_node_count, after.max_node_count = ceil(nodes_min / zones), ceil(nodes_max / zones)
        request = v1.SetNodePoolAutoscalingRequest(name=self._name(pool), autoscaling=after)
        try:
            return self._client.set_node_pool_autoscaling(request, timeout=TIMEOUT_S).name
        except exceptions.GoogleAPICallError as error:
            raise _translated(error, pool) from error

    def delete(self, pool: str) -> str:
        try:
            return self._client.delete_node_pool(name=self._name(pool), timeout=TIMEOUT_S, retry=None).name
        except exceptions.GoogleAPICallError as error:
            raise _translated(error, pool) from error

    def operation(self, name: str) -> Operation:
        place = self._parent.rpartition("/clusters/")[0]
        try:
            found = self._client.get_operation(name=f"{place}/operations/{name}", timeout=TIMEOUT_S, retry=None)
        except exceptions.GoogleAPICallError as error:
            raise _translated(error, name) from error
        done = found.status == v1.Operation.Status.DONE
        failed = done and bool(found.error.code or found.error.message)
        return Operation(
            name=found.name,
            done=done,
            started_at=_time(found.start_time),
            error=classified(_why(found)) if failed else None,
        )

    def _raw(self, pool: str) -> v1.NodePool:
        try:
            return self._client.get_node_pool(name=self._name(pool), timeout=TIMEOUT_S, retry=None)
        except exceptions.GoogleAPICallError as error:
            raise _translated(error, pool) from error

    def _name(self, pool: str) -> str:
        return f"{self._parent}/nodePools/{pool}"

    def _read(self, pool: v1.NodePool) -> NodePool:
        labels = {**pool.config.labels}
        groups = [self._groups.get(url) for url in pool.instance_group_urls] if POOL_LABEL in labels else []
        zones = max(len(pool.locations), 1)
        scaling = pool.autoscaling
        total = bool(scaling.total_max_node_count)
        conditions = [_condition(condition) for condition in pool.conditions]
        return NodePool(
            name=pool.name,
            machine_type=pool.config.machine_type,
            status=_STATUS.get(int(pool.status), "ERROR"),
            nodes_wanted=sum(wanted for wanted, _ in groups),
            nodes_ready=sum(ready for _, ready in groups),
            nodes_min=scaling.total_min_node_count if total else scaling.min_node_count * zones,
            nodes_max=scaling.total_max_node_count if total else scaling.max_node_count * zones,
            autoscaled=scaling.enabled,
            labels=labels,
            conditions=tuple(conditions or ([pool.status_message] if pool.status_message else [])),
            created_by_us=MANAGED.items() <= dict(pool.config.resource_labels).items(),
        )


class _Groups:
    """Managed instance groups, by the URLs that node pools link to: (wanted, running) instances of each."""

    def __init__(self, *, local: bool) -> None:
        self._local = local
        self._http: Any = None

    def get(self, url: str) -> tuple[int, int]:
        parts = urlsplit(url)
        trusted = parts.scheme == "https" and parts.hostname in COMPUTE_HOSTS
        if not trusted and not (self._local and parts.hostname in ("127.0.0.1", "localhost")):
            raise Invalid("an instance group that is not Compute Engine's", where=url)
        try:
            answer = self._connected().request("GET", url, timeout=urllib3.Timeout(total=TIMEOUT_S), retries=False)
            data: Mapping[str, Any] = json.loads(answer.data) if answer.status == 200 else {}
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise Unavailable(f"no answer: {type(error).__name__}", where=url) from error
        if answer.status == 404:
            return 0, 0  # its pool is going
        if answer.status in (401, 403):
            raise Denied("compute.instanceGroupManagers.get is needed to count nodes", where=url)
        if answer.status != 200:
            raise Unavailable(f"Compute Engine answered {answer.status}", where=url)
        return int(data.get("targetSize", 0)), int(data.get("currentActions", {}).get("none", 0))

    def _connected(self) -> Any:
        if self._http is None:
            if self._local:
                self._http = urllib3.PoolManager()
            else:
                import google.auth
                import google.auth.transport.urllib3 as transport

                credentials, _ = google.auth.default(scopes=SCOPES)
                untyped: Any = transport
                self._http = untyped.AuthorizedHttp(credentials)
        return self._http


def _config(candidate: "Candidate", node: "NodeSettings", owner: str) -> v1.NodeConfig:
    from pointsman.documents.machines import GPU, offer
    from pointsman.documents.scalars import duration, quantity

    config = v1.NodeConfig(
        machine_type=candidate.machine_type or "",
        disk_size_gb=ceil(quantity(node.boot_disk_size) / 2**30),
        oauth_scopes=list(SCOPES),
        service_account=node.service_account or "",
        labels={POOL_LABEL: owner},
        resource_labels=MANAGED,
        spot=candidate.provisioning == "Spot",
    )
    has = offer(candidate)
    if has is not None and has.resource == GPU:
        driver = v1.GPUDriverInstallationConfig.GPUDriverVersion.DEFAULT
        config.accelerators = [
            v1.AcceleratorConfig(
                accelerator_count=has.count or 1,
                accelerator_type=candidate.accelerator or has.label or "",
                gpu_driver_installation_config=v1.GPUDriverInstallationConfig(gpu_driver_version=driver),
            )
        ]
    affinity = v1.ReservationAffinity.Type
    if candidate.provisioning == "Reservation":
        config.reservation_affinity = v1.ReservationAffinity(
            consume_reservation_type=affinity.SPECIFIC_RESERVATION,
            key=RESERVATION_KEY,
            values=[candidate.reservation or ""],
        )
    elif candidate.provisioning in ("FlexStart", "Spot"):
        config.reservation_affinity = v1.ReservationAffinity(consume_reservation_type=affinity.NO_RESERVATION)
    if candidate.provisioning == "FlexStart":
        config.flex_start = True
        longest = candidate.max_run_duration
        seconds = int(duration(longest).total_seconds()) if longest else _LONGEST_RUN_S
        config.max_run_duration = duration_pb2.Duration(seconds=seconds)
    return config


_STATUS: Mapping[int, Any] = {
    1: "PROVISIONING",
    2: "RUNNING",
    3: "RUNNING_WITH_ERROR",
    4: "RECONCILING",
    5: "STOPPING",
    6: "ERROR",
}


def _why(operation: v1.Operation) -> str:
    """What went wrong, without the sentences around it, and with the condition's code if the text lacks it."""
    text = (operation.error.message or operation.status_message).rpartition("Current errors: ")[2]
    codes = [v1.StatusCondition.Code(condition.code).name for condition in operation.nodepool_conditions]
    return " ".join([f"[{code}]" for code in codes if code not in text] + [text])


def _condition(condition: v1.StatusCondition) -> str:
    code = v1.StatusCondition.Code(condition.code).name
    return f"{code}: {condition.message}"


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _translated(error: exceptions.GoogleAPICallError, where: str) -> PointsmanError:
    """One of the port's errors. The text decides before the code: quota comes as 403, 429 and 400."""
    text = str(error.message)
    match error:
        case exceptions.NotFound():
            return Invalid(text, where=where) if "reservation" in text else Absent("not found", where=where)
        case exceptions.AlreadyExists():
            return Conflict("exists already", where=where)
        case exceptions.Unauthorized():
            return Denied(text, where=where)
        case exceptions.Forbidden():
            found = classified(text)
            return found if isinstance(found, QuotaExceeded) else Denied(text, where=where)
        case exceptions.ResourceExhausted() | exceptions.TooManyRequests():
            found = classified(text)
            return found if isinstance(found, (QuotaExceeded, StockOut)) else Unavailable(text, where=where)
        case exceptions.FailedPrecondition() | exceptions.Aborted():
            return Unavailable(text, where=where)
        case exceptions.BadRequest():
            return Unavailable(text, where=where) if _BUSY.search(text) else Invalid(text, where=where)
        case _:
            return Unavailable(text, where=where)
