"""The Deployment controller: as many pods as wanted, of the template as it is, and a status that says so.

Pods belong to their Deployment directly; there are no ReplicaSets and no history to roll back to. A changed
template replaces pods one for one: a new one first, an old one for each new one that is available.
"""

import asyncio
import hashlib
import json
import time
from datetime import UTC, datetime

from pointsman_local.kubernetes import controller
from pointsman_local.kubernetes.events import Recorder
from pointsman_local.kubernetes.kinds import Object, named
from pointsman_local.kubernetes.objects import Objects, random_suffix
from pointsman_local.kubernetes.scheduler import set_condition

__all__ = ["Deployments"]

_DEPLOYMENT = named("Deployment")
_POD = named("Pod")

HASH = "pod-template-hash"


class Deployments:
    """Keeps every Deployment's pods and status."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._events = Recorder(objects, "deployment-controller")
        # When a Deployment last came nearer to what is wanted (monotonic s), for its progress deadline.
        self._progress: dict[str, tuple[object, float]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        await controller.run(self._objects.store, (_DEPLOYMENT, _POD), self._reconcile, stop)

    def _reconcile(self) -> float | None:
        """Gives how long until time alone changes something: a deadline, or a pod that becomes available."""
        pods: dict[str, list[Object]] = {}
        for pod in self._objects.store.list(_POD):
            for owner in pod["metadata"].get("ownerReferences") or []:
                pods.setdefault(owner["uid"], []).append(pod)
        deployments = self._objects.store.list(_DEPLOYMENT)
        seen = {deployment["metadata"]["uid"] for deployment in deployments}
        waits = [self._one(deployment, pods.get(deployment["metadata"]["uid"], [])) for deployment in deployments]
        self._progress = {uid: one for uid, one in self._progress.items() if uid in seen}
        return min((wait for wait in waits if wait is not None), default=None)

    def _one(self, deployment: Object, pods: list[Object]) -> float | None:
        spec, wanted_hash = deployment["spec"], _hash(deployment)
        ready_s = spec.get("minReadySeconds", 0)
        live = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        new = [pod for pod in live if pod["metadata"]["labels"].get(HASH) == wanted_hash]
        old = [pod for pod in live if pod["metadata"]["labels"].get(HASH) != wanted_hash]
        for _ in range(spec["replicas"] - len(new)):
            self._create(deployment, wanted_hash)
        surplus = sorted(new, key=_first_to_go)[: max(0, len(new) - spec["replicas"])]
        replaced = sum(_available(pod, ready_s) for pod in new)
        keep_old = max(0, spec["replicas"] - replaced)
        surplus += sorted(old, key=_first_to_go)[: max(0, len(old) - keep_old)]
        for pod in surplus:
            message = f"Deleted pod: {pod['metadata']['name']}"
            self._events.record(deployment, "Normal", "SuccessfulDelete", message)
            self._objects.delete(_POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
        gone = {pod["metadata"]["uid"] for pod in surplus}
        return self._report(deployment, [pod for pod in live if pod["metadata"]["uid"] not in gone], wanted_hash)

    def _create(self, deployment: Object, wanted_hash: str) -> None:
        metadata, template = deployment["metadata"], deployment["spec"]["template"]
        labels = {**(template["metadata"].get("labels") or {}), HASH: wanted_hash}
        name = f"{metadata['name'][:230]}-{wanted_hash}-{random_suffix()}"
        owner = {
            "apiVersion": _DEPLOYMENT.api_version,
            "kind": _DEPLOYMENT.name,
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        annotations = template["metadata"].get("annotations") or {}
        pod = {
            "metadata": {"name": name, "labels": labels, "annotations": annotations, "ownerReferences": [owner]},
            "spec": template["spec"],
        }
        self._objects.add(_POD, metadata["namespace"], pod)
        self._events.record(deployment, "Normal", "SuccessfulCreate", f"Created pod: {name}")

    def _report(self, deployment: Object, live: list[Object], wanted_hash: str) -> float | None:
        spec, metadata = deployment["spec"], deployment["metadata"]
        wanted, ready_s = spec["replicas"], spec.get("minReadySeconds", 0)
        updated = sum(pod["metadata"]["labels"].get(HASH) == wanted_hash for pod in live)
        ready = sum(_ready_since(pod) is not None for pod in live)
        available = sum(_available(pod, ready_s) for pod in live)
        counts = {
            "replicas": len(live),
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": available,
            "unavailableReplicas": max(0, wanted - available),
        }
        complete = updated == len(live) == available == wanted
        late_in_s = self._late_in_s(deployment, tuple(counts.values()), complete)

        def change(item: Object) -> None:
            conditions = item.get("status", {}).get("conditions", [])
            item["status"] = {
                "observedGeneration": metadata["generation"],
                **{name: count for name, count in counts.items() if count},
                "conditions": [dict(one) for one in conditions],
            }
            if available >= wanted:
                set_condition(
                    item, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
                )
            else:
                text = "Deployment does not have minimum availability."
                set_condition(item, "Available", "False", "MinimumReplicasUnavailable", text)
            if complete:
                text = f'Deployment "{metadata["name"]}" has successfully progressed.'
                set_condition(item, "Progressing", "True", "NewReplicaSetAvailable", text)
            elif late_in_s is not None and late_in_s <= 0:
                text = f'Deployment "{metadata["name"]}" has timed out progressing.'
                set_condition(item, "Progressing", "False", "ProgressDeadlineExceeded", text)
            else:
                text = f'Deployment "{metadata["name"]}" is progressing.'
                set_condition(item, "Progressing", "True", "ReplicaSetUpdated", text)

        self._objects.modify(_DEPLOYMENT, metadata["namespace"], metadata["name"], change)
        waits = [late_in_s] if late_in_s is not None and late_in_s > 0 else []
        waits += [1.0] if available < ready else []
        return min(waits, default=None)

    def _late_in_s(self, deployment: Object, progress: object, complete: bool) -> float | None:
        """Seconds until the progress deadline, counted from the last change; None when complete."""
        uid = deployment["metadata"]["uid"]
        before = self._progress.get(uid)
        if before is None or before[0] != (progress, deployment["metadata"]["generation"]):
            before = self._progress[uid] = ((progress, deployment["metadata"]["generation"]), time.monotonic())
        return None if complete else before[1] + deployment["spec"]["progressDeadlineSeconds"] - time.monotonic()


def _hash(deployment: Object) -> str:
    text = json.dumps(deployment["spec"]["template"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _ready_since(pod: Object) -> datetime | None:
    for condition in pod["status"].get("conditions", ()):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return datetime.fromisoformat(condition["lastTransitionTime"])
    return None


def _available(pod: Object, ready_s: int) -> bool:
    since = _ready_since(pod)
    return since is not None and (not ready_s or (datetime.now(UTC) - since).total_seconds() >= ready_s)


def _first_to_go(pod: Object) -> tuple[bool, bool, float]:
    """Unscheduled before scheduled, not ready before ready, young before old; as a ReplicaSet chooses."""
    begun = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return bool(pod["spec"].get("nodeName")), _ready_since(pod) is not None, -begun.timestamp()
