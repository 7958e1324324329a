"""What `rollout_step` may do in a cluster: Kubernetes RBAC, namespace by namespace.

On GKE, IAM and RBAC are added up ("Access control" in GKE's documentation): its account has no `container.*` object
permission in IAM, so that these are all its rights to objects. `tests/bootstrap/test_rbac.py` records what the
handlers ask of a cluster, and holds this table to exactly that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pointsman.core.names import JSON

__all__ = ["GATEWAY_RULES", "RULES", "Rule", "manifests"]

NAME = "pointsman-rollout-step"
API = "rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Rule:
    """Verbs on resources of one API group (empty: the core one), and what needs them."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str

    def as_json(self, names: Sequence[str] = ()) -> JSON:
        only = {"resourceNames": list(names)} if names else {}
        return {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs), **only}


# A server-side apply is the verb `patch`, and `create` too where the object is not there yet.
_WRITE = ("create", "delete", "patch")

RULES: Sequence[Rule] = (
    Rule("", ("services",), ("get", *_WRITE), "a revision's Service, and the one that counts a cohort"),
    Rule("", ("events", "pods"), ("list",), "readiness, crashes, and why a pod finds no room"),
    Rule("apps", ("deployments",), ("list", *_WRITE), "a revision's pods"),
    Rule("gateway.networking.k8s.io", ("httproutes",), ("get", *_WRITE), "the service's route: its weights"),
    Rule("monitoring.googleapis.com", ("podmonitorings",), _WRITE, "a revision's metrics"),
    Rule("networking.gke.io", ("gcpbackendpolicies", "healthcheckpolicies"), _WRITE, "its health check, timeout, IAP"),
    Rule("policy", ("poddisruptionbudgets",), _WRITE, "that a node's upgrade leaves one pod"),
)
"""In each namespace of the platform."""

GATEWAY_RULES: Sequence[Rule] = (
    Rule("gateway.networking.k8s.io", ("gateways",), ("get",), "where the Gateway listens, and of which class it is"),
)
"""In the Gateway's namespace, on that Gateway alone."""


def manifests(account: str, namespaces: Sequence[str], gateway_namespace: str, gateway: str) -> list[JSON]:
    """A Role and a RoleBinding for each namespace, and the same for the Gateway.

    `account` is the e-mail address of the function's service account, by which GKE knows it as a user.
    """
    found: list[JSON] = []
    for namespace in sorted(set(namespaces)):
        found += _pair(NAME, namespace, account, [rule.as_json() for rule in RULES])
    return found + _pair(f"{NAME}-gateway", gateway_namespace, account, [r.as_json([gateway]) for r in GATEWAY_RULES])


def _pair(name: str, namespace: str, account: str, rules: Sequence[JSON]) -> list[JSON]:
    meta: Mapping[str, object] = {
        "name": name,
        "namespace": namespace,
        "labels": {"app.kubernetes.io/managed-by": "pointsman-bootstrap"},
    }
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": account}
    return [
        {"apiVersion": API, "kind": "Role", "metadata": meta, "rules": list(rules)},
        {
            "apiVersion": API,
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [subject],
        },
    ]
