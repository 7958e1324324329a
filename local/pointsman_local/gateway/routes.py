"""From Kubernetes objects to what Envoy should do: pure, so that a table of cases says what a route means.

Understood of an HTTPRoute: hostnames (wildcards too), paths by prefix or whole, methods, headers and query
parameters by exact value, weights, one mirror a rule, and timeouts. Anything else is refused in the route's
status, and the route is left out, rather than half obeyed. A share whose Service is missing gets 500, one
without ready pods 503.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CLASS", "CONTROLLER", "Backend", "Condition", "Object", "Snapshot", "Unsupported", "snapshot"]

Object = dict[str, Any]

CLASS = "envoy"
CONTROLLER = "pointsman.dev/local-gateway"
PORT = "pointsman.local/port"
GROUP = "gateway.networking.k8s.io"

_DURATION = re.compile(r"(\d+)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class Unsupported(Exception):
    """A route that asks for what this gateway does not do."""


@dataclass(frozen=True, slots=True)
class Backend:
    """An Envoy cluster: the ports of a Service's ready pods, all on 127.0.0.1."""

    ports: tuple[int, ...]
    http2: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    type: str
    status: bool
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What Envoy should do, and what to say of each route.

    `backends` are named `<namespace>/<service>`; there is one for every Service with a selector, used or not, so
    that a revision's counters live as long as its Service. `parents` are by route (`<namespace>/<name>`) and
    position in `parentRefs`.
    """

    backends: Mapping[str, Backend]
    virtual_hosts: Sequence[Object]
    parents: Mapping[str, Mapping[int, Sequence[Condition]]] = field(default_factory=dict)


def snapshot(
    gateways: Sequence[Object], routes: Sequence[Object], services: Sequence[Object], pods: Sequence[Object]
) -> Snapshot:
    ours = {_key(one): one for one in gateways if one["spec"].get("gatewayClassName") == CLASS}
    by_name = {_key(service): service for service in services}
    entries: dict[str, list[tuple[tuple[object, ...], Object]]] = {}
    parents: dict[str, dict[int, Sequence[Condition]]] = {}
    for route in sorted(routes, key=lambda one: (one["metadata"]["creationTimestamp"], _key(one))):
        attached = _attached(route, ours)
        if not attached:
            continue
        missing = tuple(_missing(route, by_name))
        resolved = _resolved(missing)
        accepted = Condition("Accepted", True, "Accepted")
        try:
            rendered = list(_entries(route, {name for name, _, _ in missing}))
        except Unsupported as error:
            accepted, rendered = Condition("Accepted", False, "UnsupportedValue", str(error)), []
        parents[_key(route)] = {
            number: (_no_parent() if problem else accepted, resolved) for number, problem in attached.items()
        }
        if any(not problem for problem in attached.values()):
            for host in route["spec"].get("hostnames") or ["*"]:
                entries.setdefault(host, []).extend(rendered)
    hosts = [
        {"name": host, "domains": [host], "routes": [entry for _, entry in sorted(found, key=lambda pair: pair[0])]}
        for host, found in sorted(entries.items())
    ]
    return Snapshot(dict(_backends(services, pods)), hosts, parents)


def _key(item: Object) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _attached(route: Object, gateways: Mapping[str, Object]) -> dict[int, bool]:
    """Position in `parentRefs` → whether the named listener is missing; of references to our Gateways only."""
    found = {}
    for number, reference in enumerate(route["spec"].get("parentRefs") or []):
        namespace = reference.get("namespace") or route["metadata"]["namespace"]
        gateway = gateways.get(f"{namespace}/{reference['name']}")
        if gateway is None or reference.get("kind", "Gateway") != "Gateway":
            continue
        found[number] = not any(
            reference.get("sectionName", listener["name"]) == listener["name"]
            and reference.get("port", listener["port"]) == listener["port"]
            for listener in gateway["spec"].get("listeners") or []
        )
    return found


def _no_parent() -> Condition:
    return Condition("Accepted", False, "NoMatchingParent", "the Gateway has no such listener")


# Services and pods.


def _backends(services: Sequence[Object], pods: Sequence[Object]) -> Iterator[tuple[str, Backend]]:
    ready = [pod for pod in pods if _serves(pod)]
    for service in services:
        selector, namespace = service["spec"].get("selector"), service["metadata"]["namespace"]
        if not selector:
            continue
        ports = sorted(
            int(pod["metadata"]["annotations"][PORT])
            for pod in ready
            if pod["metadata"]["namespace"] == namespace
            and selector.items() <= (pod["metadata"].get("labels") or {}).items()
        )
        http2 = any(port.get("appProtocol") == "kubernetes.io/h2c" for port in service["spec"].get("ports") or [])
        yield _key(service), Backend(tuple(ports), http2)


def _serves(pod: Object) -> bool:
    """Ready, not on its way out, and listening somewhere."""
    conditions = pod.get("status", {}).get("conditions") or []
    return (
        "deletionTimestamp" not in pod["metadata"]
        and PORT in (pod["metadata"].get("annotations") or {})
        and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    )


# References.


def _references(route: Object) -> Iterator[Object]:
    for rule in route["spec"].get("rules") or []:
        yield from rule.get("backendRefs") or []
        yield from (one["requestMirror"]["backendRef"] for one in rule.get("filters") or [] if "requestMirror" in one)


def _missing(route: Object, services: Mapping[str, Object]) -> Iterator[tuple[str, str, str]]:
    """References that lead nowhere: cluster name, reason, message."""
    own = route["metadata"]["namespace"]
    for reference in _references(route):
        name = _cluster(reference, own)
        if reference.get("kind", "Service") != "Service" or reference.get("group"):
            yield (
                name,
                "InvalidKind",
                f"{reference.get('group', '')}/{reference['kind']} is no backend here, only Service is",
            )
        elif reference.get("namespace", own) != own:
            yield (
                name,
                "RefNotPermitted",
                f"Service {name} is in another namespace, and there are no ReferenceGrants here",
            )
        elif name not in services:
            yield name, "BackendNotFound", f"Service {name} not found"
        elif reference.get("port") not in [port["port"] for port in services[name]["spec"].get("ports") or []]:
            yield name, "BackendNotFound", f"Service {name} has no port {reference.get('port')}"


def _resolved(missing: Sequence[tuple[str, str, str]]) -> Condition:
    if not missing:
        return Condition("ResolvedRefs", True, "ResolvedRefs")
    return Condition("ResolvedRefs", False, missing[0][1], "; ".join(sorted({message for _, _, message in missing})))


def _cluster(reference: Object, namespace: str) -> str:
    return f"{reference.get('namespace', namespace)}/{reference['name']}"


# Rules.


def _entries(route: Object, missing: set[str]) -> Iterator[tuple[tuple[object, ...], Object]]:
    """Envoy routes with the precedence of the Gateway API. Raises Unsupported."""
    for host in route["spec"].get("hostnames") or []:
        if not re.fullmatch(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", host):
            raise Unsupported(f"spec.hostnames: {host} is no host name")
    for number, rule in enumerate(route["spec"].get("rules") or []):
        where = f"spec.rules[{number}]"
        action = _action(rule, route["metadata"]["namespace"], missing, where)
        for index, match in enumerate(rule.get("matches") or [{}]):
            precedence, matcher = _match(match, f"{where}.matches[{index}]")
            order = (route["metadata"]["creationTimestamp"], _key(route), number, index)
            yield (*precedence, *order), {"name": f"{_key(route)}/{number}", "match": matcher, **action}


def _match(match: Object, where: str) -> tuple[tuple[object, ...], Object]:
    path = match.get("path") or {}
    kind, value = path.get("type", "PathPrefix"), path.get("value", "/")
    if kind == "Exact":
        matcher: Object = {"path": value}
    elif kind == "PathPrefix":
        prefix = value.rstrip("/")
        matcher = {"path_separated_prefix": prefix} if prefix else {"prefix": "/"}
    else:
        raise Unsupported(f"{where}.path.type: {kind} is not supported, only PathPrefix and Exact are")
    headers = [_exact(one, f"{where}.headers") for one in match.get("headers") or []]
    queries = [_exact(one, f"{where}.queryParams") for one in match.get("queryParams") or []]
    if method := match.get("method"):
        headers.append({"name": ":method", "string_match": {"exact": method}})
    if headers:
        matcher["headers"] = headers
    if queries:
        matcher["query_parameters"] = queries
    return (kind != "Exact", -len(value), not method, -len(headers), -len(queries)), matcher


def _exact(test: Object, where: str) -> Object:
    if test.get("type", "Exact") != "Exact":
        raise Unsupported(f"{where}[{test['name']}].type: {test['type']} is not supported, only Exact is")
    return {"name": test["name"], "string_match": {"exact": test["value"]}}


def _action(rule: Object, namespace: str, missing: set[str], where: str) -> Object:
    mirrors = [_mirror(one, namespace, f"{where}.filters") for one in rule.get("filters") or []]
    if len(mirrors) > 1:
        raise Unsupported(f"{where}.filters: more than one requestMirror is not supported")
    backends = [
        {"name": _cluster(one, namespace), "weight": one.get("weight", 1)} for one in rule.get("backendRefs") or []
    ]
    if any(one.get("filters") for one in rule.get("backendRefs") or []):
        raise Unsupported(f"{where}.backendRefs[].filters is not supported")
    if not sum(one["weight"] for one in backends):
        # Envoy refuses a split of nothing; the Gateway API wants 500 where no backend is left.
        return {"direct_response": {"status": 500, "body": {"inline_string": "no backend has weight"}}}
    # A name that no cluster has: its share is answered by 500.
    named = [one if one["name"] not in missing else {**one, "name": f"missing:{one['name']}"} for one in backends]
    timeout_s = _seconds(rule, where)
    route: Object = {
        "weighted_clusters": {"clusters": named},
        "timeout": f"{timeout_s:g}s",
        "idle_timeout": f"{timeout_s:g}s",
        "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
    }
    if mirrors:
        route["request_mirror_policies"] = mirrors
    return {"route": route}


def _mirror(filtered: Object, namespace: str, where: str) -> Object:
    mirror = filtered.get("requestMirror")
    if filtered.get("type") != "RequestMirror" or not mirror:
        raise Unsupported(f"{where}: {filtered.get('type')} is not supported, only RequestMirror is")
    fraction = mirror.get("fraction") or {"numerator": mirror.get("percent", 100)}
    millionths = round(1_000_000 * fraction["numerator"] / fraction.get("denominator", 100))
    return {
        "cluster": _cluster(mirror["backendRef"], namespace),
        "runtime_fraction": {"default_value": {"numerator": millionths, "denominator": "MILLION"}},
        "disable_shadow_host_suffix_append": True,
    }


def _seconds(rule: Object, where: str) -> float:
    """The longest answer; 0: any length, streams included."""
    timeouts = rule.get("timeouts") or {}
    for name in ("request", "backendRequest"):
        if name in timeouts:
            if not re.fullmatch(f"({_DURATION.pattern})+", timeouts[name]):
                raise Unsupported(f"{where}.timeouts.{name}: {timeouts[name]} is no duration")
            return sum(int(count) * _SECONDS[unit] for count, unit in _DURATION.findall(timeouts[name]))
    return 0.0
