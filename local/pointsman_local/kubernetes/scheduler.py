"""The scheduler: a pod waits, and says why, until there is a node that matches and has room for it.

Looked at are node selector, required node affinity, taints, and requests of whatever a node says it has
(`pods`, `cpu`, `memory`, `nvidia.com/gpu`, …): bookkeeping only, nothing is measured or limited. Of several nodes
a pod without selector takes the built-in one, so that accelerators stay free, any other the emptiest. Pods of a
node that is gone are deleted, with their grace.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from pointsman_local.kubernetes import controller
from pointsman_local.kubernetes.events import Recorder
from pointsman_local.kubernetes.kinds import Object, named
from pointsman_local.kubernetes.objects import Objects, timestamp
from pointsman_local.kubernetes.quantities import quantity
from pointsman_local.kubernetes.selectors import requirement

__all__ = ["BUILT_IN_NODE", "Scheduler", "set_condition"]

BUILT_IN_NODE = "local"
PODS_MAX = "110"  # GKE's default for a node

_NODE = named("Node")
_POD = named("Pod")

Room = dict[str, Fraction]


class Scheduler:
    """Binds pods to nodes."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._events = Recorder(objects, "default-scheduler")

    async def run(self, stop: asyncio.Event) -> None:
        await controller.run(self._objects.store, (_NODE, _POD), self._reconcile, stop)

    def _reconcile(self) -> None:
        nodes = self._objects.store.list(_NODE)
        names = {node["metadata"]["name"] for node in nodes}
        pods = self._objects.store.list(_POD)
        for pod in pods:
            if (
                (name := pod["spec"].get("nodeName"))
                and name not in names
                and not pod["metadata"].get("deletionTimestamp")
            ):
                self._events.record(pod, "Warning", "NodeNotFound", f"node {name} is gone, its pod is evicted")
                self._objects.delete(_POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
        free = {node["metadata"]["name"]: _room(node, pods) for node in nodes}
        waiting = [
            pod for pod in pods if not pod["spec"].get("nodeName") and not pod["metadata"].get("deletionTimestamp")
        ]
        # Who came first is served first.
        for pod in sorted(waiting, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"])):
            self._place(pod, nodes, free)

    def _place(self, pod: Object, nodes: list[Object], free: dict[str, Room]) -> None:
        needs = _needs(pod)
        refused: Counter[str] = Counter()
        fitting = []
        for node in nodes:
            reasons = [*_mismatches(pod, node)] or [*_lacks(needs, free[node["metadata"]["name"]])]
            refused.update(reasons)
            if not reasons:
                fitting.append(node["metadata"]["name"])
        if not fitting:
            self._wait(pod, len(nodes), refused)
            return
        name = _best(pod, fitting, free)
        for resource, amount in needs.items():
            free[name][resource] = free[name].get(resource, Fraction(0)) - amount

        def bind(item: Object) -> None:
            item["spec"]["nodeName"] = name
            set_condition(item, "PodScheduled", "True")

        self._change(pod, bind)
        where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self._events.record(pod, "Normal", "Scheduled", f"Successfully assigned {where} to {name}")

    def _wait(self, pod: Object, nodes: int, refused: Counter[str]) -> None:
        text = ", ".join(f"{count} {reason}" for reason, count in sorted(refused.items()))
        message = f"0/{nodes} nodes are available: {text}." if nodes else "no nodes available to schedule pods"
        before: Object = next((c for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"), {})
        if before.get("message") == message:
            return
        self._change(pod, lambda item: set_condition(item, "PodScheduled", "False", "Unschedulable", message))
        self._events.record(pod, "Warning", "FailedScheduling", message)

    def _change(self, pod: Object, change: Any) -> None:
        self._objects.modify(_POD, pod["metadata"]["namespace"], pod["metadata"]["name"], change)


def set_condition(item: Object, type_: str, status: str, reason: str = "", message: str = "") -> None:
    """Set one of `status.conditions`; its transition time moves only with its status."""
    conditions = item.setdefault("status", {}).setdefault("conditions", [])
    before = next((one for one in conditions if one["type"] == type_), None)
    since = before["lastTransitionTime"] if before and before["status"] == status else timestamp()
    condition = {"type": type_, "status": status, "lastTransitionTime": since}
    condition |= {name: text for name, text in (("reason", reason), ("message", message)) if text}
    if before is None:
        conditions.append(condition)
    else:
        conditions[conditions.index(before)] = condition


def _room(node: Object, pods: list[Object]) -> Room:
    """What is allocatable and not asked for by pods that are there, those that are ending included."""
    status = node.get("status", {})
    allocatable = status.get("allocatable") or status.get("capacity") or {}
    room = {"pods": Fraction(PODS_MAX), **{resource: quantity(amount) for resource, amount in allocatable.items()}}
    for pod in pods:
        if pod["spec"].get("nodeName") == node["metadata"]["name"] and pod["status"]["phase"] not in (
            "Succeeded",
            "Failed",
        ):
            for resource, amount in _needs(pod).items():
                room[resource] = room.get(resource, Fraction(0)) - amount
    return room


def _needs(pod: Object) -> Room:
    """The requests of all containers together, and one pod."""
    needs = {"pods": Fraction(1)}
    for container in pod["spec"]["containers"]:
        for resource, amount in (container.get("resources", {}).get("requests") or {}).items():
            needs[resource] = needs.get(resource, Fraction(0)) + quantity(amount)
    return needs


def _lacks(needs: Room, room: Room) -> Iterator[str]:
    for resource, amount in needs.items():
        # A node that says nothing of cpu or memory has enough; of an accelerator it has none.
        if resource not in room and resource in ("cpu", "memory", "ephemeral-storage"):
            continue
        if amount > room.get(resource, Fraction(0)):
            yield "Too many pods" if resource == "pods" else f"Insufficient {resource}"


def _mismatches(pod: Object, node: Object) -> Iterator[str]:
    """Why the node is none for the pod, in the scheduler's words; at most one reason."""
    labels = node["metadata"].get("labels") or {}
    spec = node.get("spec", {})
    if spec.get("unschedulable"):
        yield "node(s) were unschedulable"
        return
    if any(
        one["type"] == "Ready" and one["status"] != "True" for one in node.get("status", {}).get("conditions") or []
    ):
        yield "node(s) had untolerated taint {node.kubernetes.io/not-ready: }"
        return
    for taint in spec.get("taints") or []:
        if taint["effect"] != "PreferNoSchedule" and not any(
            _tolerates(t, taint) for t in pod["spec"].get("tolerations") or []
        ):
            yield f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
            return
    selector = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()) or not _affine(pod, labels):
        yield "node(s) didn't match Pod's node affinity/selector"


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if not toleration.get("key"):
        return bool(toleration.get("operator") == "Exists")
    if toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _affine(pod: Object, labels: dict[str, str]) -> bool:
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return not required or any(
        all(
            requirement(one["key"], one["operator"], one.get("values") or [])(labels)
            for one in term.get("matchExpressions") or []
        )
        for term in required["nodeSelectorTerms"]
    )


def _best(pod: Object, names: list[str], free: dict[str, Room]) -> str:
    if not pod["spec"].get("nodeSelector") and BUILT_IN_NODE in names:
        return BUILT_IN_NODE
    return max(names, key=lambda name: (free[name]["pods"], name))
