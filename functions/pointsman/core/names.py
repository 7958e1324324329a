"""The words that would otherwise be mistaken for one another, and the shape of plain JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

__all__ = ["JSON", "Commit", "PoolName", "Ref", "RevisionName", "RolloutId", "ServiceKey"]

JSON = Mapping[str, object]
"""A JSON object, decoded."""

Commit = NewType("Commit", str)
"""A git commit, 40 hex digits."""

ServiceKey = NewType("ServiceKey", str)
"""`<cluster>/<namespace>/<name>` of a ModelService."""

RevisionName = NewType("RevisionName", str)
"""`<service>-<8 hex>`: a revision is named by its content (`core.revision`)."""

RolloutId = NewType("RolloutId", str)
"""Hash of service, revision, commit and generation."""

PoolName = NewType("PoolName", str)
"""`metadata.name` of an AcceleratorPool."""


@dataclass(frozen=True, slots=True)
class Ref:
    """One Kubernetes object, by the four things that find it."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"
