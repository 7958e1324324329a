"""Which kinds there are, and what their schemas say about lists: that decides merging and ownership.

Only what the control plane, its local cloud and people who look at them use. Whatever is not here is answered
with 501. List keys and atomic fields are those of Kubernetes' API reference and of the Gateway API's types
(`rules`, `parentRefs` and `hostnames` of a route are atomic: who applies them owns the whole list).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["KINDS", "Kind", "Object", "Pattern", "find", "named"]

Object = dict[str, Any]
"""A Kubernetes object as JSON. What the store gives is shared: copy before changing."""

Pattern = tuple[str, ...]
"""Field names from the top of an object; `*` stands for an item of a list."""

_META: dict[Pattern, tuple[str, ...]] = {("metadata", "ownerReferences"): ("uid",), ("metadata", "finalizers"): ()}
_CONDITIONS: dict[Pattern, tuple[str, ...]] = {("status", "conditions"): ("type",)}


@dataclass(frozen=True)
class Kind:
    """One resource. `plural` is its name in paths; `lists` gives the key fields of each list that is a map.

    A list with no key fields is a set; one that is not named is atomic, like the maps in `atomic`. `structs`
    are the maps that exist in every object of a built-in kind, so that nobody owns them as such.
    """

    group: str
    version: str
    name: str
    plural: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    has_status: bool = False
    subresources: tuple[str, ...] = ()
    lists: Mapping[Pattern, tuple[str, ...]] = field(default_factory=dict)
    atomic: frozenset[Pattern] = frozenset()
    structs: frozenset[Pattern] = frozenset()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`deployments.apps`, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        return self.name.lower()

    def keys(self, pattern: Pattern) -> tuple[str, ...] | None:
        """Key fields of the list at `pattern`; none for a set; None for an atomic list."""
        return self.lists.get(pattern) if pattern in self.lists else _META.get(pattern)


def _pod(at: Pattern) -> dict[Pattern, tuple[str, ...]]:
    """List keys of the PodSpec at `at`."""
    lists: dict[Pattern, tuple[str, ...]] = {
        (*at, "volumes"): ("name",),
        (*at, "imagePullSecrets"): ("name",),
        (*at, "hostAliases"): ("ip",),
        (*at, "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    }
    for containers in ("containers", "initContainers"):
        lists |= {
            (*at, containers): ("name",),
            (*at, containers, "*", "env"): ("name",),
            (*at, containers, "*", "ports"): ("containerPort", "protocol"),
            (*at, containers, "*", "volumeMounts"): ("mountPath",),
            (*at, containers, "*", "volumeDevices"): ("devicePath",),
        }
    return lists


_TEMPLATE: Pattern = ("spec", "template", "spec")
_TOP = frozenset({("metadata",), ("spec",), ("status",)})

KINDS: tuple[Kind, ...] = (
    Kind(
        "", "v1", "Namespace", "namespaces", ("ns",), namespaced=False, has_status=True, lists=_CONDITIONS, structs=_TOP
    ),
    Kind(
        "",
        "v1",
        "Node",
        "nodes",
        ("no",),
        namespaced=False,
        has_status=True,
        lists={**_CONDITIONS, ("status", "addresses"): ("type",), ("spec", "podCIDRs"): ()},
        structs=_TOP,
    ),
    Kind(
        "",
        "v1",
        "Pod",
        "pods",
        ("po",),
        has_status=True,
        subresources=("log",),
        lists={**_pod(("spec",)), **_CONDITIONS, ("status", "podIPs"): ("ip",)},
        atomic=frozenset({("spec", "nodeSelector")}),
        structs=_TOP,
    ),
    Kind(
        "",
        "v1",
        "Service",
        "services",
        ("svc",),
        has_status=True,
        lists={**_CONDITIONS, ("spec", "ports"): ("port", "protocol")},
        atomic=frozenset({("spec", "selector")}),
        structs=_TOP | {("status", "loadBalancer")},
    ),
    Kind(
        "",
        "v1",
        "Event",
        "events",
        ("ev",),
        atomic=frozenset({("involvedObject",)}),
        structs=frozenset({("metadata",), ("source",)}),
    ),
    Kind(
        "apps",
        "v1",
        "Deployment",
        "deployments",
        ("deploy",),
        has_status=True,
        subresources=("scale",),
        lists={**_pod(_TEMPLATE), **_CONDITIONS},
        atomic=frozenset({("spec", "selector"), (*_TEMPLATE, "nodeSelector")}),
        structs=_TOP | {("spec", "strategy"), ("spec", "template"), ("spec", "template", "metadata"), _TEMPLATE},
    ),
    Kind(
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        ("pdb",),
        has_status=True,
        lists=_CONDITIONS,
        atomic=frozenset({("spec", "selector")}),
        structs=_TOP,
    ),
    Kind(
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        ("hpa",),
        has_status=True,
        lists=_CONDITIONS,
        structs=_TOP | {("spec", "scaleTargetRef")},
    ),
    Kind(
        "gateway.networking.k8s.io",
        "v1",
        "Gateway",
        "gateways",
        ("gtw",),
        has_status=True,
        lists={
            **_CONDITIONS,
            ("spec", "listeners"): ("name",),
            ("status", "listeners"): ("name",),
            ("status", "listeners", "*", "conditions"): ("type",),
        },
    ),
    Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", has_status=True),
    Kind("monitoring.googleapis.com", "v1", "PodMonitoring", "podmonitorings", has_status=True),
    Kind("networking.gke.io", "v1", "GCPBackendPolicy", "gcpbackendpolicies", has_status=True, lists=_CONDITIONS),
    Kind("networking.gke.io", "v1", "HealthCheckPolicy", "healthcheckpolicies", has_status=True, lists=_CONDITIONS),
)

_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_BY_NAME = {kind.name: kind for kind in KINDS}


def find(group: str, version: str, plural: str) -> Kind | None:
    """The kind that a path names."""
    return _BY_PATH.get((group, version, plural))


def named(name: str) -> Kind:
    """The kind of that name, which must be one of ours."""
    return _BY_NAME[name]
