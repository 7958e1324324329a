"""How `kubectl get` sees objects: rows of a `meta.k8s.io/v1` Table."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pointsman_local.kubernetes.kinds import Kind, Object

__all__ = ["table"]

_Column = tuple[str, Callable[[Object], object]]


def table(kind: Kind, items: Sequence[Object], list_metadata: Object, *, whole: bool = False) -> Object:
    """`whole`: rows carry the objects, not their metadata alone."""
    columns: list[_Column] = [
        ("Name", lambda item: item["metadata"]["name"]),
        *_COLUMNS.get(kind.name, ()),
        ("Age", _age),
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata,
        "columnDefinitions": [
            {
                "name": name,
                "type": "string",
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": 0,
            }
            for name, _ in columns
        ],
        "rows": [
            {"cells": [_cell(read(item)) for _, read in columns], "object": _carried(item, whole)} for item in items
        ],
    }


def _carried(item: Object, whole: bool) -> Object:
    return (
        item
        if whole
        else {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
    )


def _cell(value: object) -> object:
    return "<none>" if value is None or value == "" else value


def _at(item: Object, *path: str) -> Any:
    found: Any = item
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _age(item: Object) -> str:
    begun = datetime.fromisoformat(item["metadata"]["creationTimestamp"])
    return _duration((datetime.now(UTC) - begun).total_seconds())


def _duration(seconds: float) -> str:
    """As `kubectl` writes ages: `5s`, `3m10s`, `17m`, `4h`, `9d`."""
    s = max(0, int(seconds))
    if s < 120:
        return f"{s}s"
    if s < 600:
        return f"{s // 60}m{s % 60}s" if s % 60 else f"{s // 60}m"
    if s < 3 * 3600:
        return f"{s // 60}m"
    return f"{s // 3600}h" if s < 48 * 3600 else f"{s // 86400}d"


def _condition(item: Object, type_: str) -> Object:
    return next((one for one in _at(item, "status", "conditions") or [] if one["type"] == type_), {})


def _pod_status(item: Object) -> object:
    if item["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for container in _at(item, "status", "containerStatuses") or []:
        if reason := _at(container, "state", "waiting", "reason") or _at(container, "state", "terminated", "reason"):
            return reason
    return _at(item, "status", "phase")


def _pod_ready(item: Object) -> str:
    statuses = _at(item, "status", "containerStatuses") or []
    return f"{sum(one.get('ready', False) for one in statuses)}/{max(1, len(statuses))}"


def _pod_restarts(item: Object) -> int:
    return sum(one.get("restartCount", 0) for one in _at(item, "status", "containerStatuses") or [])


def _node_status(item: Object) -> str:
    ready = _condition(item, "Ready").get("status", "True")
    said = "Ready" if ready == "True" else "NotReady"
    return f"{said},SchedulingDisabled" if _at(item, "spec", "unschedulable") else said


def _ports(item: Object) -> str:
    return ",".join(f"{one['port']}/{one['protocol']}" for one in _at(item, "spec", "ports") or [])


def _addresses(item: Object) -> str:
    return ",".join(one["value"] for one in _at(item, "status", "addresses") or [])


def _last_seen(item: Object) -> str:
    begun = datetime.fromisoformat(item.get("lastTimestamp") or item["metadata"]["creationTimestamp"])
    return _duration((datetime.now(UTC) - begun).total_seconds())


def _about(item: Object) -> str:
    about = item["involvedObject"]
    return f"{about['kind'].lower()}/{about['name']}"


def _weights(item: Object) -> str:
    last = (_at(item, "spec", "rules") or [{}])[-1]
    return ",".join(f"{one['name']}={one['weight']}" for one in last.get("backendRefs") or [])


_COLUMNS: dict[str, Sequence[_Column]] = {
    "Namespace": [("Status", lambda item: _at(item, "status", "phase"))],
    "Node": [
        ("Status", _node_status),
        ("Roles", lambda item: "<none>"),
        ("Pool", lambda item: _at(item, "metadata", "labels", "cloud.google.com/gke-nodepool")),
    ],
    "Pod": [
        ("Ready", _pod_ready),
        ("Status", _pod_status),
        ("Restarts", _pod_restarts),
        ("Node", lambda item: _at(item, "spec", "nodeName")),
        ("Port", lambda item: _at(item, "metadata", "annotations", "pointsman.local/port")),
    ],
    "Service": [
        ("Type", lambda item: item["spec"]["type"]),
        ("Cluster-IP", lambda item: _at(item, "spec", "clusterIP")),
        ("Port(s)", _ports),
    ],
    "Event": [
        ("Last Seen", _last_seen),
        ("Type", lambda item: item.get("type")),
        ("Reason", lambda item: item.get("reason")),
        ("Object", _about),
        ("Message", lambda item: item.get("message")),
    ],
    "Deployment": [
        ("Ready", lambda item: f"{_at(item, 'status', 'readyReplicas') or 0}/{item['spec']['replicas']}"),
        ("Up-to-date", lambda item: _at(item, "status", "updatedReplicas") or 0),
        ("Available", lambda item: _at(item, "status", "availableReplicas") or 0),
    ],
    "PodDisruptionBudget": [
        ("Min Available", lambda item: _at(item, "spec", "minAvailable")),
        ("Max Unavailable", lambda item: _at(item, "spec", "maxUnavailable")),
    ],
    "HorizontalPodAutoscaler": [
        ("Reference", lambda item: _at(item, "spec", "scaleTargetRef", "name")),
        ("MinPods", lambda item: _at(item, "spec", "minReplicas")),
        ("MaxPods", lambda item: _at(item, "spec", "maxReplicas")),
    ],
    "Gateway": [
        ("Class", lambda item: _at(item, "spec", "gatewayClassName")),
        ("Address", _addresses),
        ("Programmed", lambda item: _condition(item, "Programmed").get("status")),
    ],
    "HTTPRoute": [
        ("Hostnames", lambda item: ",".join(_at(item, "spec", "hostnames") or [])),
        ("Weights", _weights),
    ],
}
