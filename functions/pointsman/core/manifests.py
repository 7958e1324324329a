"""The Kubernetes objects of a revision, rendered once, and what pointsman adds to a pod template.

A revision's own objects never change: their bytes are kept in the ledger and sent by every later apply, so that a
newer pointsman never restarts an older revision's pods. What may change in place (route, request timeout, access)
is in `core.routes`. Replicas are put in when an object is sent. Nothing that the user set is overridden.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from pointsman.core.labels import (
    LABEL_POOL,
    LABEL_REVISION,
    LABEL_SERVICE,
    LABEL_VERSION,
    SERVICE_PORT,
    label_value,
    labels,
)
from pointsman.core.names import JSON, RevisionName
from pointsman.core.records import RevisionRecord
from pointsman.core.revision import ResolvedModel, digest
from pointsman.documents.effective import EffectiveService

__all__ = [
    "POD_METRICS_INTERVAL_S",
    "additions",
    "probe_path",
    "render",
    "serving_port",
]

POD_METRICS_INTERVAL_S = 15
"""Managed Prometheus bills by samples; 15 s makes a judge's tick of 30 s."""

DRAIN_S = 60
"""Kept serving after a pod is told to stop: endpoints leave a load balancer up to 40 s late (Google's
"Troubleshoot 502 and 503 errors" for external Application Load Balancers), and a margin."""

GRACE_S = 120
PROGRESS_S = 3600
"""Kubernetes' 600 s is too short for a GPU node, an image and a model; the rollout's own deadlines decide."""

_ACCELERATORS = ("nvidia.com/gpu", "google.com/tpu")


def serving_port(template: JSON) -> JSON:
    """The server's port: the one named `http` or `h2c`, or its only one; 8080 where there is none."""
    ports = _list(_server(template).get("ports"))
    named = [port for port in ports if port.get("name") in ("http", "h2c")]
    return next(iter([*named, *ports]), {"containerPort": 8080})


def probe_path(template: JSON, route_path: str) -> str:
    """Where a forced request goes: the readiness probe's path where the route covers it, else the route's own."""
    probe = _map(_map(_server(template).get("readinessProbe")).get("httpGet"))
    ready = str(probe.get("path") or "/health")
    return ready if ready.startswith(route_path) else route_path


def render(
    effective: EffectiveService, model: ResolvedModel, revision: RevisionName, *, commit: str, now: datetime
) -> RevisionRecord:
    """A revision's objects, as they are sent from now on; the Service first: readiness gates need it before pods."""
    template, _ = _complete(effective, model, revision)
    mine = labels(effective.name, revision)
    meta = {"name": revision, "namespace": effective.namespace, "labels": mine}
    selector = {LABEL_REVISION: revision}
    objects: tuple[JSON, ...] = (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {
                "type": "ClusterIP",
                "selector": selector,
                "ports": [_service_port(serving_port(effective.template))],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "selector": {"matchLabels": selector},
                "progressDeadlineSeconds": PROGRESS_S,
                "revisionHistoryLimit": 0,
                "template": template,
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": meta,
            "spec": {"minAvailable": 1, "selector": {"matchLabels": selector}},
        },
        {
            "apiVersion": "monitoring.googleapis.com/v1",
            "kind": "PodMonitoring",
            "metadata": meta,
            "spec": {
                "selector": {"matchLabels": selector},
                "endpoints": [
                    {
                        "port": _metrics_port(effective.template),
                        "path": "/metrics",
                        "interval": f"{POD_METRICS_INTERVAL_S}s",
                    }
                ],
                "targetLabels": {
                    "fromPod": [{"from": LABEL_SERVICE, "to": "service"}, {"from": LABEL_REVISION, "to": "revision"}]
                },
            },
        },
        {
            "apiVersion": "networking.gke.io/v1",
            "kind": "HealthCheckPolicy",
            "metadata": meta,
            "spec": {
                "default": {"config": {"type": "HTTP", "httpHealthCheck": _health_check(template)}},
                "targetRef": {"group": "", "kind": "Service", "name": revision},
            },
        },
    )
    return RevisionRecord(
        service=f"{effective.cluster.name}/{effective.namespace}/{effective.name}",
        revision=revision,
        objects=objects,
        digest=digest(list(objects)),
        commit=commit,
        model=model.as_json(),
        rendered_at=now,
    )


def additions(effective: EffectiveService) -> tuple[str, ...]:
    """What the user set and pointsman would have set otherwise: one warning each, for `plan`."""
    model = ResolvedModel({}, "", None, None)
    return _complete(effective, model, RevisionName(effective.name))[1]


def _complete(effective: EffectiveService, model: ResolvedModel, revision: str) -> tuple[JSON, tuple[str, ...]]:
    """The pod template with what pointsman adds, and where the user had already said otherwise."""
    template = deepcopy(dict(effective.template))
    kept: list[str] = []
    spec: dict[str, Any] = template.setdefault("spec", {})
    meta: dict[str, Any] = template.setdefault("metadata", {})
    version = model.version or revision.rpartition("-")[2]
    meta["labels"] = {
        **_map(meta.get("labels")),
        **labels(effective.name, revision),
        LABEL_VERSION: label_value(version),
    }
    added = {"MODEL_URI": model.uri, "MODEL_NAME": model.name or effective.name, "MODEL_VERSION": version}
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind) or ():
            present = {entry.get("name") for entry in _list(container.get("env"))}
            kept += [f"{kind} {container.get('name')} sets {name} itself" for name in added if name in present]
            container["env"] = [
                *_list(container.get("env")),
                *({"name": name, "value": value} for name, value in added.items() if name not in present),
            ]
    kept += _add_placement(spec, effective, revision)
    kept += _add_lifecycle(spec)
    return template, tuple(kept)


def _add_placement(spec: dict[str, Any], effective: EffectiveService, revision: str) -> list[str]:
    kept: list[str] = []
    asked = {
        resource
        for container in [*_list(spec.get("initContainers")), *_list(spec.get("containers"))]
        for part in ("limits", "requests")
        for resource in _map(_map(container.get("resources")).get(part))
    }
    tolerated = [name for name in _ACCELERATORS if name in asked]
    if effective.pool is not None:
        selector = _map(spec.get("nodeSelector"))
        if selector.get(LABEL_POOL, effective.pool.name) != effective.pool.name:
            kept.append(f"nodeSelector {LABEL_POOL} is {selector[LABEL_POOL]}, not the pool {effective.pool.name}")
        spec["nodeSelector"] = {LABEL_POOL: effective.pool.name, **selector}
        tolerated.append("cloud.google.com/gke-spot")
    present = _list(spec.get("tolerations"))
    missing = [name for name in tolerated if name not in {toleration.get("key") for toleration in present}]
    if missing:
        spec["tolerations"] = [*present, *({"key": name, "operator": "Exists"} for name in missing)]
    if "topologySpreadConstraints" in spec:
        kept.append("topologySpreadConstraints are set, so no spread over zones is added")
    else:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {LABEL_REVISION: revision}},
            }
        ]
    return kept


def _add_lifecycle(spec: dict[str, Any]) -> list[str]:
    kept: list[str] = []
    server = next(iter(spec.get("containers") or ()), None)
    if server is None:
        return kept
    lifecycle = _map(server.get("lifecycle"))
    if "preStop" in lifecycle:
        kept.append("preStop is set, so pods may leave before the gateway has noticed")
    else:
        server["lifecycle"] = {**lifecycle, "preStop": {"sleep": {"seconds": DRAIN_S}}}
    if "terminationGracePeriodSeconds" in spec:
        kept.append(f"terminationGracePeriodSeconds is {spec['terminationGracePeriodSeconds']}, not {GRACE_S}")
    else:
        spec["terminationGracePeriodSeconds"] = GRACE_S
    if "readinessProbe" in server:
        kept.append("readinessProbe is set: /health is not asked")
    else:
        # A wrong path never becomes ready and gets no traffic; a TCP probe would pass a server that still loads.
        port = serving_port({"spec": spec})["containerPort"]
        server["readinessProbe"] = {"httpGet": {"path": "/health", "port": port}, "periodSeconds": 5}
    return kept


def _health_check(template: JSON) -> JSON:
    probe = _map(_map(_server(template).get("readinessProbe")).get("httpGet"))
    port = probe.get("port", serving_port(template)["containerPort"])
    if isinstance(port, str):
        ports = {entry.get("name"): entry.get("containerPort") for entry in _list(_server(template).get("ports"))}
        port = ports.get(port, serving_port(template)["containerPort"])
    return {"port": port, "portSpecification": "USE_FIXED_PORT", "requestPath": str(probe.get("path") or "/")}


def _service_port(port: JSON) -> JSON:
    mine: dict[str, object] = {"name": "http", "port": SERVICE_PORT, "targetPort": port["containerPort"]}
    return {**mine, "appProtocol": "kubernetes.io/h2c"} if port.get("name") == "h2c" else mine


def _metrics_port(template: JSON) -> object:
    ports = _list(_server(template).get("ports"))
    named = next((port for port in ports if port.get("name") == "metrics"), serving_port(template))
    return named.get("name") or named["containerPort"]


def _server(template: JSON) -> JSON:
    return next(iter(_list(_map(template.get("spec")).get("containers"))), {})


def _map(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, Sequence) else []
