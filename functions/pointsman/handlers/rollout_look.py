"""What a tick reads of a cluster: the route, Deployments and pods of a service, and its Gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from pointsman.core.labels import LABEL_REVISION, LABEL_SERVICE
from pointsman.core.names import JSON
from pointsman.core.records import RolloutRecord
from pointsman.core.rollout import World
from pointsman.core.rollout.observation import RouteSeen, Side
from pointsman.core.rollout_plan import Plan
from pointsman.core.routes import agrees, gateway_ref, http_route, reconciled, route_ref, weights_of
from pointsman.errors import Absent, Invalid
from pointsman.ports import Cluster, Target

__all__ = ["Reading", "Service", "gateway_class", "look", "route_seen", "sides", "target"]

CRASHES = 3
"""So many restarts make a crash loop evidence against the revision, and not bad luck."""

PULL_FAILS_AFTER = timedelta(seconds=60)
"""The kubelet tries an image again after 10 s, 20 s, 40 s: by then it has failed three times."""

_CANNOT_PULL = ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


@dataclass(frozen=True, slots=True)
class Service:
    """Which service is meant, and how its route is fenced."""

    plan: Plan
    token: int
    stable: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Objects as they were read: writes carry their resourceVersions. By revision."""

    route: JSON | None
    deployments: Mapping[str, JSON]
    pods: Mapping[str, Sequence[JSON]]
    said: Mapping[str, str]
    """Pod → what the autoscaler said of it."""


def look(cluster: Cluster, plan: Plan) -> Reading:
    """One reading: three calls, and one more when pods find no room."""
    mine = {LABEL_SERVICE: plan.name}
    route = cluster.get(route_ref(plan))
    deployments = {_revision(item): item for item in cluster.find("apps/v1", "Deployment", plan.namespace, mine)}
    pods: dict[str, list[JSON]] = {}
    for pod in cluster.find("v1", "Pod", plan.namespace, mine):
        pods.setdefault(_revision(pod), []).append(pod)
    homeless = {_name(pod) for found in pods.values() for pod in found if _unschedulable(pod)}
    return Reading(route, deployments, pods, _autoscaler(cluster, plan, homeless) if homeless else {})


def gateway_class(cluster: Cluster, plan: Plan) -> str:
    """The Gateway's class. Raises Absent."""
    return str(cast("JSON", _gateway(cluster, plan)["spec"]).get("gatewayClassName", ""))


def target(cluster: Cluster, plan: Plan) -> Target | None:
    """Where the Gateway listens; None while it has no address."""
    gateway = _gateway(cluster, plan)
    addresses = _list(cast("JSON", gateway.get("status") or {}).get("addresses"))
    listeners = _list(cast("JSON", gateway["spec"]).get("listeners"))
    if not addresses or not listeners:
        return None
    listener = next((one for one in listeners if one.get("protocol") == "HTTP"), listeners[0])
    host = plan.hostnames[0].replace("*", "probe") if plan.hostnames else str(addresses[0]["value"])
    tls = listener.get("protocol") == "HTTPS"
    return Target(str(addresses[0]["value"]), cast("int", listener["port"]), host, tls)


def route_seen(reading: Reading, wanted: World, service: Service, rollout: RolloutRecord, class_name: str) -> RouteSeen:
    """The route against what the rollout wanted of it."""
    route, plan = reading.route, service.plan
    if route is None:
        return RouteSeen(as_wanted=wanted.route_off, reconciled=wanted.route_off)
    labels = cast("JSON", _metadata(route).get("labels") or {})
    as_wanted = False
    if wanted.route is not None:
        mine = http_route(
            plan, wanted.route, class_name, token=service.token, rollout=rollout.id, stable=service.stable
        )
        as_wanted = agrees(mine, route)
    return RouteSeen(
        exists=True,
        foreign=labels.get("app.kubernetes.io/managed-by") != "pointsman",
        as_wanted=as_wanted,
        reconciled=reconciled(route, plan),
        weights=weights_of(route),
    )


def sides(reading: Reading, now: datetime) -> dict[str, Side]:
    """Each revision's Deployment and pods."""
    found = {}
    for revision in sorted({*reading.deployments, *reading.pods}):
        deployment = reading.deployments.get(revision)
        wanted = cast("int", cast("JSON", deployment["spec"]).get("replicas", 1)) if deployment is not None else 0
        side = Side(replicas=wanted)
        for pod in reading.pods.get(revision, ()):
            if "deletionTimestamp" not in _metadata(pod):
                side = _with(side, pod, reading.said, now)
        found[revision] = side
    return found


def _with(side: Side, pod: JSON, said: Mapping[str, str], now: datetime) -> Side:
    status = cast("JSON", pod.get("status") or {})
    if status.get("phase") in ("Succeeded", "Failed"):
        return side
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in _list(status.get("conditions")))
    homeless = _unschedulable(pod)
    return replace(
        side,
        pods=side.pods + 1,
        ready=side.ready + ready,
        unschedulable=side.unschedulable + (homeless is not None),
        waiting=side.waiting or (said.get(_name(pod)) or homeless or ""),
        broken=side.broken or _broken(pod, status, now),
    )


def _unschedulable(pod: JSON) -> str | None:
    """What the scheduler says of a pod that finds no room; None where it has not said so."""
    for one in _list(cast("JSON", pod.get("status") or {}).get("conditions")):
        if one.get("type") == "PodScheduled" and one.get("status") == "False" and one.get("reason") == "Unschedulable":
            return str(one.get("message") or "Unschedulable")
    return None


def _broken(pod: JSON, status: JSON, now: datetime) -> str:
    for container in [*_list(status.get("initContainerStatuses")), *_list(status.get("containerStatuses"))]:
        waiting = cast("JSON", cast("JSON", container.get("state") or {}).get("waiting") or {})
        reason, restarts = waiting.get("reason"), cast("int", container.get("restartCount") or 0)
        if reason == "CrashLoopBackOff" and restarts >= CRASHES:
            last = cast("JSON", cast("JSON", container.get("lastState") or {}).get("terminated") or {})
            ended = f", last exit {last['exitCode']} {last.get('reason', '')}".rstrip() if "exitCode" in last else ""
            return f"{container.get('name')}: CrashLoopBackOff, {restarts} restarts{ended}"
        if reason in _CANNOT_PULL and now - _created(pod) >= PULL_FAILS_AFTER:
            return f"{container.get('name')}: {reason}: {waiting.get('message') or container.get('image')}"
    return ""


def _autoscaler(cluster: Cluster, plan: Plan, homeless: set[str]) -> dict[str, str]:
    """What the cluster autoscaler said of these pods, the last word first."""
    try:
        events = cluster.find("v1", "Event", plan.namespace, {})
    except (Absent, Invalid):
        return {}
    said = {}
    for event in sorted(events, key=lambda one: str(one.get("lastTimestamp") or "")):
        name = cast("JSON", event.get("involvedObject") or {}).get("name")
        if name in homeless and event.get("reason") in ("NotTriggerScaleUp", "FailedScaleUp"):
            said[str(name)] = f"{event['reason']}: {event.get('message', '')}"
    return said


def _gateway(cluster: Cluster, plan: Plan) -> JSON:
    found = cluster.get(gateway_ref(plan))
    if found is None:
        where = f"Gateway {plan.gateway_namespace}/{plan.gateway}"
        raise Absent("there is no such Gateway", where=where, remedy="create it, or name another in the Platform")
    return found


def _created(pod: JSON) -> datetime:
    return datetime.fromisoformat(str(_metadata(pod)["creationTimestamp"]))


def _revision(item: JSON) -> str:
    return str(cast("JSON", _metadata(item).get("labels") or {}).get(LABEL_REVISION, ""))


def _name(item: JSON) -> str:
    return str(_metadata(item)["name"])


def _metadata(item: JSON) -> JSON:
    return cast("JSON", item["metadata"])


def _list(value: object) -> list[JSON]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, (list, tuple)) else []
