"""`pointsman rescue`: a route back to its stable revision, by a person's own kubeconfig, when all else is down."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import click

from pointsman.adapters.endpoints import Settings
from pointsman.core.names import JSON, Ref
from pointsman.errors import Absent, Invalid
from pointsman_cli.output import say

__all__ = ["command", "to_stable"]

ROUTE = "gateway.networking.k8s.io/v1"
STABLE = "pointsman.dev/stable"


@click.command()
@click.argument("service")
@click.option("-n", "--namespace", help="Namespace of the service; NAMESPACE/NAME will do.")
@click.option("--yes", is_flag=True, help="Write it; otherwise only print what would be written.")
def command(service: str, namespace: str | None, yes: bool) -> None:
    """Give all of a service's traffic back to the revision that its route names as stable.

    Needs nothing but KUBECONFIG: no ledger, no function, no workflow. A rollout that still runs writes its own
    weights three times more and then holds: where the ledger answers, `pointsman abort` is the better way.
    """
    from pointsman.adapters.kubernetes import connect

    if "/" in service:
        namespace, _, service = service.partition("/")
    if not namespace:
        raise click.UsageError("no ledger is asked here, so the namespace must be said: -n NAMESPACE")
    cluster = connect(Settings(project="", location="", cluster="", kubeconfig=_kubeconfig()), "")
    route = cluster.get(Ref(ROUTE, "HTTPRoute", namespace, service))
    if route is None:
        raise Absent(f"no HTTPRoute {namespace}/{service}", remedy=f"see: kubectl get httproutes -n {namespace}")
    wanted = to_stable(route)
    for when, weights in (("now", _weights(route)), ("then", _weights(wanted))):
        for line in weights:
            say(f"{when:<5} {line}")
    if not yes:
        say(f"nothing written; to write it: pointsman rescue {service} -n {namespace} --yes", err=True)
        return
    cluster.apply(wanted, force=True)
    say(f"{namespace}/{service}: written; see: kubectl get httproute {service} -n {namespace} -o yaml", err=True)


def _kubeconfig() -> str:
    """Where kubectl would look. Raises Invalid when nothing is there."""
    path = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    # kubectl takes several, too; the client here takes them as it does.
    if not any(Path(one).is_file() for one in path.split(os.pathsep)):
        raise Invalid("there is no kubeconfig", where=path, remedy="export KUBECONFIG=FILE")
    return path


def to_stable(route: JSON) -> JSON:
    """The route with all traffic on the revision its annotation names, and no probe or cohort rule.

    Raises Invalid where it names none.
    """
    metadata = cast("Mapping[str, object]", route["metadata"])
    annotations = cast("Mapping[str, str]", metadata.get("annotations") or {})
    stable = annotations.get(STABLE)
    spec = cast("Mapping[str, object]", route["spec"])
    rules = cast("Sequence[Mapping[str, object]]", spec.get("rules") or ())
    last = rules[-1] if rules else {}
    backends = cast("Sequence[Mapping[str, object]]", last.get("backendRefs") or ())
    kept = [{**backend, "weight": 100} for backend in backends if backend.get("name") == stable]
    if not stable or not kept:
        raise Invalid(
            "the route names no stable revision among its backends",
            where=f"HTTPRoute {metadata.get('namespace')}/{metadata.get('name')}",
            remedy=f"choose a backend by hand: kubectl edit httproute {metadata.get('name')}"
            f" -n {metadata.get('namespace')}",
        )
    rule = {name: value for name, value in last.items() if name != "filters"}
    return {
        "apiVersion": route["apiVersion"],
        "kind": route["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "annotations": dict(annotations),
            **({"labels": metadata["labels"]} if "labels" in metadata else {}),
        },
        "spec": {**spec, "rules": [{**rule, "backendRefs": kept}]},
    }


def _weights(route: JSON) -> list[str]:
    """A line for each rule: its backends with their weights, and whom it is for unless that is everybody."""
    spec = cast("Mapping[str, object]", route["spec"])
    lines = []
    for rule in cast("Sequence[Mapping[str, object]]", spec.get("rules") or ()):
        backends = cast("Sequence[Mapping[str, object]]", rule.get("backendRefs") or ())
        matches = cast("Sequence[Mapping[str, Sequence[Mapping[str, str]]]]", rule.get("matches") or ())
        marks = [
            f"{item['name']}: {item['value']}"
            for match in matches
            for item in (*match.get("headers", ()), *match.get("queryParams", ()))
        ]
        whom = f"  (only {', '.join(marks)})" if marks else ""
        lines.append(", ".join(f"{backend['name']} {backend.get('weight', 1)}" for backend in backends) + whom)
    return lines
