"""The HTTPRoute of a service, and the objects that follow its document in place. Pure.

One route a service, its rules ours whole: rule lists are atomic in the Gateway API, so weights can't be shared with
another writer. From the top: the probe rule, which only the rollout knows the word of; a cohort's split; everybody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pointsman.core.labels import LABEL_REVISION, LABEL_SERVICE, SERVICE_PORT, labels
from pointsman.core.names import JSON, Ref
from pointsman.core.rollout_plan import Plan
from pointsman.core.signals import is_google

__all__ = [
    "PROBE_HEADER",
    "ROLLOUT",
    "STABLE",
    "TOKEN",
    "RouteSpec",
    "agrees",
    "backend_policy",
    "cohort_service",
    "gateway_ref",
    "http_route",
    "reconciled",
    "route_ref",
    "token_of",
    "weights_of",
]

PROBE_HEADER = "x-pointsman-probe"
TOKEN = "pointsman.dev/token"
ROLLOUT = "pointsman.dev/rollout"
STABLE = "pointsman.dev/stable"

GATEWAY_API = "gateway.networking.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """What a route is to say. Weights are whole numbers by revision, in the order in which they are written.

    `weights` empty: nobody is served, and the probe rule stands alone. With a `cohort`, `cohort_weights` are the
    split of its requests. `mirror` is a revision and the percentage of requests copied to it.
    """

    weights: Mapping[str, int]
    probe: tuple[str, str] | None = None
    cohort: JSON | None = None
    cohort_weights: Mapping[str, int] | None = None
    mirror: tuple[str, int] | None = None


def route_ref(plan: Plan) -> Ref:
    return Ref(GATEWAY_API, "HTTPRoute", plan.namespace, plan.name)


def gateway_ref(plan: Plan) -> Ref:
    return Ref(GATEWAY_API, "Gateway", plan.gateway_namespace, plan.gateway)


def http_route(
    plan: Plan, spec: RouteSpec, gateway_class: str, *, token: int, rollout: str, stable: str | None
) -> dict[str, object]:
    """The whole HTTPRoute. `stable` is written for people: the revision to go back to without pointsman."""
    path = {"type": "PathPrefix", "value": plan.path}
    rules: list[JSON] = []
    if spec.probe is not None:
        word, revision = spec.probe
        header = {"type": "Exact", "name": PROBE_HEADER, "value": word}
        rules.append({"matches": [{"path": path, "headers": [header]}], "backendRefs": [_backend(revision, 1)]})
    if spec.cohort is not None and spec.cohort_weights is not None:
        match = {
            "path": path,
            **{
                kind: [{"type": "Exact", "name": item["name"], "value": item["value"]} for item in items]
                for kind in ("headers", "queryParams")
                if (items := cast("Sequence[JSON]", spec.cohort.get(kind) or ()))
            },
        }
        rules.append({"matches": [match], "backendRefs": [_backend(*item) for item in spec.cohort_weights.items()]})
    if spec.weights:
        everybody: dict[str, object] = {
            "matches": [{"path": path}],
            "backendRefs": [_backend(*item) for item in spec.weights.items()],
        }
        if spec.mirror is not None:
            copied, percent = spec.mirror
            backend = {"kind": "Service", "name": copied, "port": SERVICE_PORT}
            mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend, "percent": percent}}
            everybody["filters"] = [mirror]
        rules.append(everybody)
    if not is_google(gateway_class):  # GKE's Gateway takes it from GCPBackendPolicy
        timeout = {"request": _gep_2257(plan.request_timeout_s)}
        rules = [{**rule, "timeouts": timeout} for rule in rules]
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {
            "name": plan.name,
            "namespace": plan.namespace,
            "labels": {
                "app.kubernetes.io/managed-by": "pointsman",
                "app.kubernetes.io/name": plan.name,
                LABEL_SERVICE: plan.name,
            },
            "annotations": {
                TOKEN: str(token),
                ROLLOUT: rollout,
                STABLE: stable or "",
                # Config Sync corrects what it finds changed; this tells it to leave the object's fields alone.
                "client.lifecycle.config.k8s.io/mutation": "ignore",
            },
        },
        "spec": {
            "hostnames": list(plan.hostnames),
            "parentRefs": [{"kind": "Gateway", "name": plan.gateway, "namespace": plan.gateway_namespace}],
            "rules": rules,
        },
    }


def backend_policy(plan: Plan, revision: str) -> JSON:
    """GKE's policy for one revision's backend: timeout, draining, IAP. Changed in place with the document."""
    seconds = max(1, round(plan.request_timeout_s))
    default: dict[str, object] = {"timeoutSec": seconds, "connectionDraining": {"drainingTimeoutSec": seconds}}
    if plan.access == "IAP":
        default["iap"] = {"enabled": True}
    return {
        "apiVersion": "networking.gke.io/v1",
        "kind": "GCPBackendPolicy",
        "metadata": {"name": revision, "namespace": plan.namespace, "labels": labels(plan.name, revision)},
        "spec": {"default": default, "targetRef": {"group": "", "kind": "Service", "name": revision}},
    }


def cohort_service(service: JSON) -> JSON:
    """A second Service over the pods of `service`, through which a cohort reaches stable.

    The gateway counts by Service, so that the cohort's requests are counted apart from everybody's.
    """
    meta = cast("JSON", service["metadata"])
    name = f"{meta['name']}-c"
    mine = {**cast("Mapping[str, str]", meta["labels"]), LABEL_REVISION: name}
    return {**service, "metadata": {**meta, "name": name, "labels": mine}}


def weights_of(route: JSON) -> dict[str, int]:
    """Revision → weight in everybody's rule of a route as it was read; empty where that has no such rule."""
    for rule in _rules(route):
        matches = cast("Sequence[JSON]", rule.get("matches") or ({},))
        if not any(match.get("headers") or match.get("queryParams") for match in matches):
            refs = cast("Sequence[JSON]", rule.get("backendRefs") or ())
            return {str(ref["name"]): int(cast("int", ref.get("weight", 1))) for ref in refs}
    return {}


def token_of(obj: JSON) -> int:
    """The fencing token that an object bears; 0 without one."""
    annotations = cast("Mapping[str, str]", cast("JSON", obj.get("metadata") or {}).get("annotations") or {})
    text = annotations.get(TOKEN, "0")
    return int(text) if text.isdigit() else 0


def reconciled(route: JSON, plan: Plan) -> bool:
    """Whether our Gateway says, for the route's present generation, that everything in it is in force.

    All of Accepted, ResolvedRefs and, where there is one, Reconciled must be true: GKE keeps serving the old
    configuration while it can't reconcile a new one.
    """
    generation = cast("JSON", route.get("metadata") or {}).get("generation")
    parents = cast("Sequence[JSON]", cast("JSON", route.get("status") or {}).get("parents") or ())
    mine = [parent for parent in parents if cast("JSON", parent.get("parentRef") or {}).get("name") == plan.gateway]
    conditions = [condition for parent in mine for condition in cast("Sequence[JSON]", parent.get("conditions") or ())]
    told = {condition["type"]: condition for condition in conditions}
    needed = {"Accepted", "ResolvedRefs", *({"Reconciled"} & set(told))}
    return all(
        kind in told and told[kind].get("status") == "True" and told[kind].get("observedGeneration") == generation
        for kind in needed
    )


def agrees(wanted: object, actual: object) -> bool:
    """Whether everything that `wanted` says is so in `actual`, which may say more (defaults, status)."""
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and all(agrees(value, actual.get(key)) for key, value in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(actual, (list, tuple))
            and len(wanted) == len(actual)
            and all(agrees(one, other) for one, other in zip(wanted, actual, strict=True))
        )
    return wanted == actual


def _gep_2257(seconds: float) -> str:
    """A duration in the Gateway API's form (GEP-2257), which takes five digits a unit: `100s500ms`."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole}s{milliseconds}ms" if milliseconds else f"{whole}s"


def _backend(revision: str, weight: int) -> JSON:
    return {"kind": "Service", "name": revision, "port": SERVICE_PORT, "weight": weight}


def _rules(route: JSON) -> Sequence[JSON]:
    return cast("Sequence[JSON]", cast("JSON", route.get("spec") or {}).get("rules") or ())
