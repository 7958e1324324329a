"""The GKE cluster: what must be on in it, and what must be applied inside."""

import re
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from pointsman.core.names import JSON
from pointsman_cli.bootstrap.finding import Check, Finding, each, fail
from pointsman_cli.bootstrap.rbac import RULES
from pointsman_cli.bootstrap.site import Site, short

__all__ = ["CHECKS"]

VERSION_MIN = (1, 30)
"""A container's `preStop.sleep`, by which pods leave a gateway, is on since 1.30 ("Container lifecycle hooks")."""

APPLY = "pointsman bootstrap rbac | kubectl apply -f -"
OURS = "app.kubernetes.io/managed-by=pointsman-bootstrap"


def _update(site: Site, flags: str) -> str:
    _, project, _, location, _, name = site.cluster.split("/")
    return f"gcloud container clusters update {name} --location={location} --project={project} {flags}"


def _status(site: Site) -> Iterator[Finding]:
    cluster = site.google.find(f"container.googleapis.com/v1/{site.cluster}")
    if cluster is None:
        command = f"gcloud container clusters list --project={site.project}"
        yield fail(site.cluster, "there is no such cluster", command)
        return
    if cluster.get("status") != "RUNNING":
        command = f"gcloud container operations list --project={site.project}"
        yield fail(site.cluster, f"its status is {cluster.get('status')}", command)
    version = str(cluster.get("currentMasterVersion") or "")
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < VERSION_MIN:
        least = ".".join(map(str, VERSION_MIN))
        _, project, _, location, _, name = site.cluster.split("/")
        command = f"gcloud container clusters upgrade {name} --master --location={location} --project={project}"
        yield fail(site.cluster, f"version {version}: pods that pointsman makes need {least}", command)


def _switches(site: Site) -> Iterator[Finding]:
    """What is off in the cluster, beside the flag that puts it on."""
    cluster: Mapping[str, Any] = site.the_cluster()
    gateway = (cluster.get("networkConfig") or {}).get("gatewayApiConfig") or {}
    if gateway.get("channel") != "CHANNEL_STANDARD":
        yield fail("Gateway API", "it is off: there are no HTTPRoutes", _update(site, "--gateway-api=standard"))
    dns = (cluster.get("controlPlaneEndpointsConfig") or {}).get("dnsEndpointConfig") or {}
    if not site.fleet and not (dns.get("endpoint") and dns.get("allowExternalTraffic")):
        what = "functions outside of the VPC cannot reach the control plane"
        yield fail("DNS endpoint", what, _update(site, "--enable-dns-access"))
    prometheus = (cluster.get("monitoringConfig") or {}).get("managedPrometheusConfig") or {}
    if not prometheus.get("enabled"):
        yield fail(
            "Managed Prometheus", "it is off: the judge reads no pod", _update(site, "--enable-managed-prometheus")
        )
    if not (cluster.get("workloadIdentityConfig") or {}).get("workloadPool"):
        flags = f"--workload-pool={site.project}.svc.id.goog"
        yield fail("Workload Identity", "it is off: models share the nodes' identity", _update(site, flags))


def _apis(site: Site) -> Iterator[Finding]:
    """Groups of the Kubernetes API that pointsman writes objects of."""
    host = site.inside()
    if not host:
        return
    wanted = {
        "gateway.networking.k8s.io/v1": (("gateways", "httproutes"), "--gateway-api=standard"),
        "monitoring.googleapis.com/v1": (("podmonitorings",), "--enable-managed-prometheus"),
        "networking.gke.io/v1": (("gcpbackendpolicies", "healthcheckpolicies"), "--gateway-api=standard"),
    }

    def look(group: str) -> Iterator[Finding]:
        answer = site.google.find(f"{host}/apis/{group}") or {}
        there = {str(item["name"]) for item in answer.get("resources") or ()}
        resources, flag = wanted[group]
        if missing := [name for name in resources if name not in there]:
            yield fail(group, f"the cluster does not know {', '.join(missing)}", _update(site, flag))

    yield from each(wanted, look)


def _rbac(site: Site) -> Iterator[Finding]:
    """Asked of the cluster itself, for the account of `rollout_step`."""
    host = site.inside()
    if not host:
        return
    bindings = site.google.get(f"{host}/apis/rbac.authorization.k8s.io/v1/rolebindings", {"labelSelector": OURS}).get(
        "items"
    )
    bound = {str(item["metadata"]["namespace"]): str(item["metadata"]["name"]) for item in bindings or ()}
    gateways = [namespace for namespace, name in bound.items() if name.endswith("-gateway")]
    namespaces = list(site.namespaces) or sorted(set(bound) - set(gateways))
    if not namespaces:
        yield fail("RoleBindings", "none of pointsman's is in the cluster", APPLY)
        return
    yield from each(namespaces, lambda namespace: _refused(site, host, namespace))
    if not gateways:  # its right is to one Gateway by name, which only the Platform knows
        yield fail("the Gateway's namespace", "it has no RoleBinding of pointsman's", APPLY)


def _refused(site: Site, host: str, namespace: str) -> Iterator[Finding]:
    refused = [
        f"{verb} {resource}"
        for rule in RULES
        for resource in rule.resources
        for verb in rule.verbs
        if not _allowed(site, host, {"namespace": namespace, "group": rule.group, "resource": resource, "verb": verb})
    ]
    if refused:
        yield fail(f"namespace {namespace}", f"pointsman-rollout-step may not {', '.join(refused)}", APPLY)


def _allowed(site: Site, host: str, where: JSON) -> bool:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": site.email("rollout_step"), "resourceAttributes": where},
    }
    answer = site.google.ask(f"{host}/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return bool((answer.get("status") or {}).get("allowed"))


# --- nodes -------------------------------------------------------------------------------------------------------

QUOTAS: Mapping[str, str] = {
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
    "nvidia-tesla-v100": "NVIDIA_V100_GPUS",
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
}
"""Accelerator → metric of a region's quotas in Compute Engine. Newer ones are not in that list, but in Cloud Quotas."""


def _accelerators(site: Site) -> dict[str, set[str]]:
    """Type → zones where it is wanted: of the node pools, and those that were asked about, in the cluster's zones."""
    cluster = site.the_cluster()
    zones = set(cluster.get("locations") or ())
    wanted: dict[str, set[str]] = {name: set(zones) for name in site.accelerators}
    for pool in cluster.get("nodePools") or ():
        for item in (pool.get("config") or {}).get("accelerators") or ():
            wanted.setdefault(str(item["acceleratorType"]), set()).update(pool.get("locations") or zones)
    return wanted


def _quota(site: Site) -> Iterator[Finding]:
    wanted = _accelerators(site)
    if not wanted:
        return
    compute = f"compute.googleapis.com/compute/v1/projects/{site.project}"
    limits = _limits(site.google.get(compute))
    if limits.get("GPUS_ALL_REGIONS", 1.0) <= 0:
        command = _more(site, "GPUS-ALL-REGIONS-per-project")
        yield fail("GPUS_ALL_REGIONS", "its limit is 0: no GPU anywhere", command)
    by_region = {zone.rpartition("-")[0] for zones in wanted.values() for zone in zones}

    def look(region: str) -> Iterator[Finding]:
        found = _limits(site.google.get(f"{compute}/regions/{region}"))
        for kind in sorted(wanted):
            metric = QUOTAS.get(kind)
            if metric is None:
                command = f"gcloud beta quotas info list --service=compute.googleapis.com --project={site.project}"
                yield Finding("unknown", kind, "its quota is only in Cloud Quotas: look there", command)
            elif found.get(metric, 0.0) <= 0 and found.get(f"PREEMPTIBLE_{metric}", 0.0) <= 0:
                command = _more(
                    site, f"{metric.replace('_', '-')}-per-project-region", f" --dimensions=region={region}"
                )
                yield fail(f"{metric} in {region}", "its limit is 0: node pools stay empty", command)

    yield from each(sorted(by_region), look)


def _more(site: Site, quota: str, of: str = "") -> str:
    """Asks Google for more: it may take days, and may be refused."""
    return (
        f"gcloud beta quotas preferences create --service=compute.googleapis.com --quota-id={quota}{of}"
        f" --preferred-value=8 --project={site.project}"
    )


def _limits(answer: JSON) -> dict[str, float]:
    quotas: Any = answer.get("quotas") or ()
    return {str(item["metric"]): float(item.get("limit") or 0) for item in quotas}


def _zones(site: Site) -> Iterator[Finding]:
    wanted = _accelerators(site)
    compute = f"compute.googleapis.com/compute/v1/projects/{site.project}/zones"

    def look(zone: str) -> Iterator[Finding]:
        there = {short(str(item["name"])) for item in site.google.pages(f"{compute}/{zone}/acceleratorTypes", "items")}
        for kind, zones in sorted(wanted.items()):
            if zone in zones and kind not in there:
                command = f"gcloud compute accelerator-types list --filter=name={quote(kind)} --project={site.project}"
                yield fail(f"{kind} in {zone}", "there is none in this zone", command)

    yield from each(sorted({zone for zones in wanted.values() for zone in zones}), look)


def _nodes(site: Site) -> Iterator[Finding]:
    """Policies that refuse the nodes of a pool as it is."""
    from pointsman_cli.bootstrap.checks.policies import rules

    cluster = site.the_cluster()
    pools: Sequence[Mapping[str, Any]] = cluster.get("nodePools") or ()
    if rules(site, "compute.requireShieldedVm").enforced:
        for pool in pools:
            if not ((pool.get("config") or {}).get("shieldedInstanceConfig") or {}).get("enableSecureBoot"):
                _, project, _, location, _, name = site.cluster.split("/")
                command = (
                    f"gcloud container node-pools create {pool['name']}-secure --cluster={name} --location={location}"
                    f" --project={project} --shielded-secure-boot"
                )
                yield fail(
                    f"node pool {pool['name']}", "compute.requireShieldedVm refuses nodes without secure boot", command
                )
    if not rules(site, "compute.vmExternalIpAccess").allows("external"):
        private = (cluster.get("networkConfig") or {}).get("defaultEnablePrivateNodes")
        private = private or (cluster.get("privateClusterConfig") or {}).get("enablePrivateNodes")
        if not private:
            what = "compute.vmExternalIpAccess refuses external addresses, and its nodes have some"
            yield fail(site.cluster, what, _update(site, "--enable-private-nodes"))


CHECKS = (
    Check("cluster", "before", "it runs, and is new enough", _status),
    Check("cluster-features", "before", "Gateway API, DNS endpoint, Managed Prometheus, Workload Identity", _switches),
    Check("cluster-apis", "before", "the cluster knows every kind that is written", _apis),
    Check("nodes", "before", "no policy refuses the nodes", _nodes),
    Check("accelerator-quota", "before", "every accelerator that is wanted has a quota", _quota),
    Check("accelerator-zones", "before", "every accelerator is there in its zones", _zones),
    Check("cluster-rbac", "after", "rollout_step may do in the cluster what it has to", _rbac),
)
