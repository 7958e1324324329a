"""Events as `kubectl describe` shows them: one object for each reason of an object, with a count."""

import uuid
from datetime import UTC, datetime, timedelta

from pointsman_local.kubernetes.kinds import Object, named
from pointsman_local.kubernetes.objects import Objects, timestamp

__all__ = ["Recorder"]

_EVENT = named("Event")

# As an apiserver's --event-ttl.
_KEPT = timedelta(hours=1)


class Recorder:
    """Records events of one component, the same again by raising its count."""

    def __init__(self, objects: Objects, component: str) -> None:
        self._objects = objects
        self._component = component

    def record(self, about: Object, type_: str, reason: str, message: str) -> None:
        """`type_` is `Normal` or `Warning`."""
        metadata, now = about["metadata"], timestamp()
        namespace = metadata.get("namespace") or "default"
        self._prune(namespace)
        for event in self._objects.store.list(_EVENT, namespace):
            of = event["involvedObject"].get("uid") == metadata["uid"]
            if of and (event.get("reason"), event.get("message")) == (reason, message):
                self._objects.modify(_EVENT, namespace, event["metadata"]["name"], _again)
                return
        self._objects.add(
            _EVENT,
            namespace,
            {
                "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}"},
                "involvedObject": {
                    "kind": about["kind"],
                    "apiVersion": about["apiVersion"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "resourceVersion": metadata["resourceVersion"],
                    **({"namespace": metadata["namespace"]} if metadata.get("namespace") else {}),
                },
                "type": type_,
                "reason": reason,
                "message": message,
                "count": 1,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "source": {"component": self._component},
                "reportingComponent": self._component,
                "reportingInstance": "",
            },
        )

    def _prune(self, namespace: str) -> None:
        oldest = timestamp(datetime.now(UTC) - _KEPT)
        for event in self._objects.store.list(_EVENT, namespace):
            if str(event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]) < oldest:
                self._objects.store.remove(_EVENT, namespace, event["metadata"]["name"])


def _again(event: Object) -> None:
    event |= {"count": event.get("count", 1) + 1, "lastTimestamp": timestamp()}
