"""A right of the topology, as IAM knows it: permissions in the project, or a role on one resource.

Permissions of the calls: `gcp/map.json` of github.com/iann0036/iam-dataset (MIT, commit 2073fa5, 2026-08-22), where all
of them are found, and the permissions pages of Workflows and Firestore.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["PERMISSIONS", "POOLS", "Grant", "grants", "permissions"]

PERMISSIONS: Mapping[str, Sequence[str]] = {
    "ledger": (
        "datastore.entities.create",
        "datastore.entities.delete",
        "datastore.entities.get",
        "datastore.entities.list",
        "datastore.entities.update",
    ),
    "executions": ("workflows.executions.get",),
    "kubernetes": ("container.clusters.connect", "container.clusters.get"),
    "metrics": ("monitoring.timeSeries.list",),
    "node_pools": ("container.clusters.get",),
    "registry": ("aiplatform.models.get", "aiplatform.models.list"),
    "signal": ("workflows.callbacks.send",),
    "start": ("workflows.executions.create",),
}
"""Right, or what stands before its colon → permissions in the project."""

POOLS: Mapping[str, Sequence[str]] = {
    "observe": (),
    "resize": ("container.clusters.update", "container.operations.get"),
    "full": ("container.clusters.update", "container.operations.get"),
}
"""What `POINTSMAN_POOLS` adds to `node_pools`. Changing a pool needs the right to change its cluster: GKE has no
narrower one ("Kubernetes Engine API permissions")."""

_ON_ONE: Mapping[str, tuple[str, str]] = {
    "publish": ("roles/pubsub.publisher", "topic"),
    "invoke": ("roles/run.invoker", "function"),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """`what` (a role, or permissions) on each of `where`, because of the rights `why`."""

    what: str
    where: Sequence[str]
    why: Sequence[str]


def permissions(may: Sequence[str], pools: str = "observe") -> set[str]:
    """What an account with these rights needs in the project."""
    found = {name for right in may for name in PERMISSIONS.get(right.partition(":")[0], ())}
    return found | (set(POOLS[pools]) if "node_pools" in may else set())


def grants(may: Sequence[str], secrets: Sequence[str], topics: Sequence[str], pools: str = "observe") -> list[Grant]:
    """All that an account gets, one grant a role. Raises KeyError for a right that nothing is known of."""
    roles: dict[str, list[tuple[str, str]]] = {}
    project = []
    for right in may:
        kind, _, of = right.partition(":")
        if kind in _ON_ONE:
            role, noun = _ON_ONE[kind]
            roles.setdefault(role, []).append((f"{noun} {of}", right))
        elif kind == "dead-letters":
            roles["roles/pubsub.subscriber"] = [(f"subscription {topic}-dead", right) for topic in topics]
        elif kind != "channels":  # it posts to the world, and Google grants nothing for that
            _ = PERMISSIONS[kind]
            project.append(right)
    if secrets:
        roles["roles/secretmanager.secretAccessor"] = [(f"secret {name}", "its secrets") for name in secrets]
    found = [
        Grant(role, [where for where, _ in of], list(dict.fromkeys(why for _, why in of))) for role, of in roles.items()
    ]
    if project:
        found.insert(0, Grant(", ".join(sorted(permissions(project, pools))), ["project"], project))
    return found
