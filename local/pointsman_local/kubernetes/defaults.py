"""What an apiserver fills in where a document says nothing; only fields that somebody here or a client reads."""

import copy
from typing import Any

from pointsman_local.kubernetes.kinds import Kind, Object

__all__ = ["with_defaults"]


def with_defaults(kind: Kind, item: Object) -> Object:
    """A copy of `item` with the defaults of its kind."""
    item = copy.deepcopy(item)
    fill = {
        "Namespace": _namespace,
        "Node": _node,
        "Pod": _pod,
        "Service": _service,
        "Deployment": _deployment,
        "HTTPRoute": _route,
        "Gateway": _gateway,
    }.get(kind.name)
    if fill:
        fill(item)
    return item


def _fill(target: Object, **values: Any) -> None:
    for name, value in values.items():
        target.setdefault(name, value)


def _namespace(item: Object) -> None:
    item.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    item.setdefault("status", {}).setdefault("phase", "Active")
    item["metadata"].setdefault("labels", {}).setdefault("kubernetes.io/metadata.name", item["metadata"]["name"])


def _node(item: Object) -> None:
    item.setdefault("spec", {})
    item["metadata"].setdefault("labels", {}).setdefault("kubernetes.io/hostname", item["metadata"]["name"])


def _pod(item: Object) -> None:
    _pod_spec(item.setdefault("spec", {}))
    item.setdefault("status", {}).setdefault("phase", "Pending")


def _deployment(item: Object) -> None:
    spec = item.setdefault("spec", {})
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), maxSurge="25%", maxUnavailable="25%")
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    _pod_spec(template.setdefault("spec", {}))


def _pod_spec(spec: Object) -> None:
    _fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    for container in _maps(spec.get("containers")) + _maps(spec.get("initContainers")):
        image = str(container.get("image", ""))
        tagged = "@" in image or ":" in image.rsplit("/", 1)[-1]
        _fill(
            container,
            imagePullPolicy="IfNotPresent" if tagged and not image.endswith(":latest") else "Always",
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
        )
        for port in _maps(container.get("ports")):
            _fill(port, protocol="TCP")
        if limits := container["resources"].get("limits"):
            _fill(container["resources"].setdefault("requests", {}), **limits)
        for variable in _maps(container.get("env")):
            if reference := (variable.get("valueFrom") or {}).get("fieldRef"):
                _fill(reference, apiVersion="v1")
        for name in ("readinessProbe", "livenessProbe", "startupProbe"):
            if probe := container.get(name):
                _fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
                if "httpGet" in probe:
                    _fill(probe["httpGet"], path="/", scheme="HTTP")


def _service(item: Object) -> None:
    spec = item.setdefault("spec", {})
    _fill(spec, type="ClusterIP", sessionAffinity="None")
    for port in _maps(spec.get("ports")):
        _fill(port, protocol="TCP", targetPort=port.get("port"))


def _gateway(item: Object) -> None:
    for listener in _maps(item.setdefault("spec", {}).get("listeners")):
        _fill(listener, allowedRoutes={"namespaces": {"from": "Same"}})


def _route(item: Object) -> None:
    spec = item.setdefault("spec", {})
    for parent in _maps(spec.get("parentRefs")):
        _fill(parent, group="gateway.networking.k8s.io", kind="Gateway")
    for rule in _maps(spec.setdefault("rules", [{}])):
        for match in _maps(rule.setdefault("matches", [{}])):
            _fill(match.setdefault("path", {}), type="PathPrefix", value="/")
            for test in _maps(match.get("headers")) + _maps(match.get("queryParams")):
                _fill(test, type="Exact")
        for backend in _maps(rule.get("backendRefs")):
            _fill(backend, group="", kind="Service", weight=1)
        for filtered in _maps(rule.get("filters")):
            if mirror := filtered.get("requestMirror"):
                _fill(mirror.get("backendRef", {}), group="", kind="Service")


def _maps(value: Any) -> list[Object]:
    """The maps of a list; what is none is left to validation."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
