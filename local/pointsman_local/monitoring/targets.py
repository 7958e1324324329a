"""What is scraped, and what Kubernetes says it is: the pods' and the gateway's series get their names from there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PORT", "Backends", "Target", "pods"]

SERVICE = "pointsman.dev/service"
REVISION = "pointsman.dev/revision"
ACCELERATORS = ("nvidia.com/gpu", "google.com/tpu")
PORT = "pointsman.local/port"
"""Annotation of a local pod: where its process listens on 127.0.0.1."""


@dataclass(frozen=True, slots=True)
class Target:
    """A pod to scrape: `labels` are added to its series, `job` is its PodMonitoring's name, as in the cloud."""

    address: str
    namespace: str
    job: str
    instance: str
    labels: Mapping[str, str]
    container: str = ""
    accelerator: str = ""
    """The resource that it asks for, `nvidia.com/gpu` or `google.com/tpu`; empty without one."""


def pods(listed: Mapping[str, Any]) -> list[Target]:
    """The running pods of a PodList that belong to a revision and say where they listen."""
    found = []
    for item in listed["items"]:
        metadata = item["metadata"]
        labels = metadata.get("labels") or {}
        port = (metadata.get("annotations") or {}).get(PORT)
        if item.get("status", {}).get("phase") != "Running" or not port or REVISION not in labels:
            continue
        found.append(
            Target(
                address=f"127.0.0.1:{port}",
                namespace=metadata["namespace"],
                job=labels[REVISION],
                instance=f"{metadata['name']}:{port}",
                labels={
                    "namespace": metadata["namespace"],
                    "service": labels.get(SERVICE, ""),
                    "revision": labels[REVISION],
                    "pod": metadata["name"],
                },
                **_accelerated(item),
            )
        )
    return found


def _accelerated(pod: Mapping[str, Any]) -> dict[str, str]:
    for container in pod.get("spec", {}).get("containers", ()):
        asked = (container.get("resources") or {}).get("limits") or {}
        for name in ACCELERATORS:
            if name in asked:
                return {"container": container["name"], "accelerator": name}
    return {}


class Backends:
    """Envoy cluster → service and revision, by the Service object that the cluster is named after.

    Remembered for good: objects of a revision never change, and the gateway's last counts come after they went.
    """

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, str]] = {}

    def learn(self, listed: Mapping[str, Any]) -> None:
        for item in listed["items"]:
            metadata = item["metadata"]
            labels = metadata.get("labels") or {}
            if SERVICE in labels and REVISION in labels:
                self._labels[f"{metadata['namespace']}/{metadata['name']}"] = {
                    "namespace": metadata["namespace"],
                    "service": labels[SERVICE],
                    "revision": labels[REVISION],
                }

    def labels(self, cluster: str) -> Mapping[str, str] | None:
        """What to add to the series of a cluster; None while it is not known."""
        return self._labels.get(cluster)
