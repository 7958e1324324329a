"""Rules of what a service may ask of its namespace, its pool and the gateway."""

from collections.abc import Iterator

from pointsman.documents.effective import hostnames_of
from pointsman.documents.faults import Path, Problem
from pointsman.documents.platform import NamespaceSettings
from pointsman.documents.read import Document
from pointsman.documents.rules.capacity import asks_for, mismatch, nodes_needed, peak_replicas
from pointsman.documents.rules.pod_security import check_security
from pointsman.documents.rules.policies import whole
from pointsman.documents.rules.repository import Repository
from pointsman.documents.rules.services import TEMPLATE
from pointsman.documents.service import ModelService

__all__ = ["check_experiment", "check_routes", "check_serving", "check_shadowing"]


def check_serving(repository: Repository, document: Document, service: ModelService) -> Iterator[Problem]:
    """One service in its namespace."""
    tenant = repository.tenant(document.namespace)
    if tenant is not None:
        yield from _check_account(service, tenant)
        yield from check_security(service.spec.template, tenant.pod_security, TEMPLATE)
    yield from _check_pool(repository, service, document.namespace)
    yield from check_experiment(repository, service)


def _check_account(service: ModelService, tenant: NamespaceSettings) -> Iterator[Problem]:
    spec = service.spec.template.get("spec", {})
    for field in ("serviceAccountName", "serviceAccount"):
        account = spec.get(field)
        if isinstance(account, str) and account not in tenant.service_accounts:
            allowed = ", ".join(tenant.service_accounts) or "none"
            what = f'{tenant.name} may use {allowed}, not "{account}"'
            yield Problem("foreign-account", (*TEMPLATE, "spec", field), what, "use one of these")


def _check_pool(repository: Repository, service: ModelService, namespace: str | None) -> Iterator[Problem]:
    spec = service.spec
    name = spec.pool or (repository.settings.spec.defaults.pool if repository.settings else None)
    pool = repository.pool(name) if name is not None else None
    if pool is None:
        return
    settings = repository.settings
    if repository.ruled and settings is not None and namespace is not None:
        there, here = settings.cluster(pool.spec.cluster).name, settings.cluster_of(namespace).name
        if there != here:
            what = f'"{name}" is in cluster {there}, namespace {namespace} runs in {here}'
            yield Problem("pool-elsewhere", ("spec", "pool"), what, f"use a pool of {here}")
    asked = mismatch(spec.template, pool)
    if asked is not None:
        yield asked
        return
    policy_name, policy = repository.policy_document(service, namespace or "")
    if policy_name is not None and (policy is None or not policy.sound):
        return
    capacity = whole(repository.policy_spec(policy), repository.rollout_defaults()).capacity
    needed = nodes_needed(spec.template, pool, peak_replicas(spec.replicas, capacity))
    if needed is not None and needed > pool.spec.nodes.max:
        more = "" if capacity.strategy in ("Step", "Swap", "Refuse") else ", or set capacity.strategy: Step"
        if not asks_for(spec.template):
            more += ", or say in resources.requests how little of a node a replica takes"
        yield Problem(
            "pool-too-small",
            ("spec", "replicas"),
            f"{spec.replicas} replicas with {capacity.strategy} need {needed} nodes of pool {name}, "
            f"nodes.max is {pool.spec.nodes.max}",
            f"raise nodes.max to {needed}{more}",
        )


def check_experiment(repository: Repository, service: ModelService) -> Iterator[Problem]:
    """An experiment compares two versions."""
    experiment = service.spec.experiment
    if experiment is None:
        return
    mine, other = service.spec.model, experiment.model
    if mine.uri is not None or other.uri is not None:
        same = mine.uri == other.uri
    else:
        registries = repository.settings.spec.registries if repository.settings else ()
        only = registries[0].name if len(registries) == 1 else None
        first, second = ((item.registry or only, item.name, item.alias, item.version) for item in (mine, other))
        same = first == second
    if same:
        yield Problem("experiment-same", ("spec", "experiment", "model"), "is spec.model", "name the other version")


def check_routes(repository: Repository) -> None:
    """Every service has a host name, and no two of a cluster share one with the same path."""
    settings = repository.settings
    if not repository.ruled or settings is None:
        return
    domain = settings.spec.gateway.domain
    taken: dict[tuple[str, str, str], Document] = {}
    for document in repository.of_kind("ModelService"):
        service = document.model
        if not isinstance(service, ModelService) or repository.tenant(document.namespace) is None:
            continue
        if any(fault.code in ("duplicate-document", "foreign-namespace") for fault in document.faults):
            continue
        assert document.namespace is not None
        names = hostnames_of(document.namespace, service, domain)
        here: Path = ("spec", "route", "hostnames")
        if not names:
            document.report(
                Problem("hostname-missing", here, "none, and the Platform has no gateway.domain", "set one of them")
            )
        elif service.spec.route.hostnames is None and len(names[0].split(".", 1)[0]) > 63:
            what = f"none, and {names[0].split('.', 1)[0]} is longer than a host name's 63 characters"
            document.report(Problem("hostname-missing", here, what, "set them"))
            continue
        path = service.spec.route.path.rstrip("/")
        for name in names:
            key = settings.cluster_of(document.namespace).name, name, path
            other = taken.setdefault(key, document)
            if other is not document:
                what = f"{name}{path or '/'} is also {other.namespace}/{other.name}'s ({other.at(('spec', 'route'))})"
                document.report(Problem("route-taken", ("spec", "route"), what, "change hostname or path"))
                break


def check_shadowing(repository: Repository) -> None:
    """A namespace whose policies are prescribed may not write its own under a prescribed name."""
    for document in repository.of_kind("RolloutPolicy"):
        tenant = repository.tenant(document.namespace)
        if tenant is None or document.name is None or document.name not in (tenant.allowed_policies or ()):
            continue
        if repository.find("RolloutPolicy", document.name, None) is not None:
            what = f"namespace {tenant.name} is allowed the platform's {document.name}, not one of its own"
            document.report(Problem("policy-not-allowed", ("metadata", "name"), what, "rename it"))
