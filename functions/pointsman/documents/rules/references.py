"""Rules of references: what a document names is there, and may be named from where it stands."""

from collections.abc import Iterator, Sequence

from pointsman.documents.alert import AlertRule
from pointsman.documents.faults import Path, Problem
from pointsman.documents.platform import Platform
from pointsman.documents.pool import AcceleratorPool
from pointsman.documents.read import Document
from pointsman.documents.rules.repository import Repository, lookup
from pointsman.documents.service import Model, ModelService

__all__ = ["check_references"]

POOL = "name a pool of the repository, or add it"
POLICY = "name a policy of the namespace or the platform, or add it"


def check_references(repository: Repository, document: Document) -> Iterator[Problem]:
    """What a document names and is not there."""
    match document.model:
        case Platform():
            yield from _platform(repository, document.model)
        case AcceleratorPool():
            if document.model.spec.cluster is not None:
                yield from _of_platform(repository, "clusters", document.model.spec.cluster, ("spec", "cluster"))
        case ModelService():
            yield from _service(repository, document.model, document.namespace)
        case AlertRule():
            yield from _rule(repository, document.model, document.namespace)
        case _:
            pass


def _document(
    repository: Repository, kind: str, name: str, path: Path, remedy: str, scopes: Sequence[str | None]
) -> Iterator[Problem]:
    def visible(document: Document) -> bool:
        # Where the Platform is faulty or missing, nobody can say which namespace a document is of.
        return not repository.ruled or any(document.may_be_in(scope) for scope in scopes)

    if any(visible(item) for item in repository.named(kind, name)) or repository.may_hide(kind, name):
        return
    near = (item for other in repository.names_like(kind, name) for item in repository.named(kind, other))
    problem = lookup(kind, name, [item.name for item in near if item.name and visible(item)], path, remedy)
    if problem is not None:
        yield problem


_LISTS = {"clusters": "cluster", "channels": "channel", "registries": "registry", "namespaces": "namespace"}


def _of_platform(repository: Repository, listed: str, name: str, path: Path) -> Iterator[Problem]:
    """A reference to an entry of one of the Platform's lists."""
    settings = repository.settings
    if settings is None or repository.platform is None or repository.platform.hides(("spec", listed)):
        return
    names = [item.name for item in getattr(settings.spec, listed)]
    problem = lookup(_LISTS[listed], name, names, path, f"list it in Platform spec.{listed}")
    if problem is not None:
        yield problem


def _platform(repository: Repository, platform: Platform) -> Iterator[Problem]:
    spec = platform.spec
    for index, namespace in enumerate(spec.namespaces):
        path: Path = ("spec", "namespaces", index)
        if namespace.cluster is not None:
            yield from _of_platform(repository, "clusters", namespace.cluster, (*path, "cluster"))
        for number, channel in enumerate(namespace.channels or ()):
            yield from _of_platform(repository, "channels", channel, (*path, "channels", number))
        scopes = (namespace.name, None)
        if namespace.policy is not None:
            yield from _document(repository, "RolloutPolicy", namespace.policy, (*path, "policy"), POLICY, scopes)
        for number, policy in enumerate(namespace.allowed_policies or ()):
            here = (*path, "allowedPolicies", number)
            yield from _document(repository, "RolloutPolicy", policy, here, POLICY, scopes)
    for index, window in enumerate(spec.freeze_windows):
        for number, name in enumerate(window.namespaces or ()):
            yield from _of_platform(
                repository, "namespaces", name, ("spec", "freezeWindows", index, "namespaces", number)
            )
    defaults = spec.defaults
    if defaults.policy is not None:
        path = ("spec", "defaults", "policy")
        yield from _document(repository, "RolloutPolicy", defaults.policy, path, POLICY, (None,))
    if defaults.pool is not None:
        yield from _document(repository, "AcceleratorPool", defaults.pool, ("spec", "defaults", "pool"), POOL, (None,))
    for number, channel in enumerate(defaults.channels or ()):
        yield from _of_platform(repository, "channels", channel, ("spec", "defaults", "channels", number))


def _service(repository: Repository, service: ModelService, namespace: str | None) -> Iterator[Problem]:
    spec = service.spec
    if spec.pool is not None:
        yield from _document(repository, "AcceleratorPool", spec.pool, ("spec", "pool"), POOL, (None,))
    if spec.policy is not None:
        path: Path = ("spec", "policy")
        missing = list(_document(repository, "RolloutPolicy", spec.policy, path, POLICY, (namespace, None)))
        yield from missing
        tenant = repository.tenant(namespace)
        allowed = tenant.allowed_policies if tenant else None
        if not missing and allowed is not None and spec.policy not in allowed:
            what = f'namespace {namespace} allows {", ".join(allowed) or "none"}, not "{spec.policy}"'
            yield Problem("policy-not-allowed", path, what, "choose one of these")
    yield from _model(repository, spec.model, ("spec", "model"))
    if spec.experiment is not None:
        yield from _model(repository, spec.experiment.model, ("spec", "experiment", "model"))


def _model(repository: Repository, model: Model, path: Path) -> Iterator[Problem]:
    if model.name is None or model.uri is not None:
        return
    if model.registry is not None:
        yield from _of_platform(repository, "registries", model.registry, (*path, "registry"))
    elif repository.ruled and repository.settings is not None:
        names = [item.name for item in repository.settings.spec.registries]
        if not names:
            remedy = "add one to Platform spec.registries and set registry, or use uri"
            yield Problem("model-source", path, "has a name, and the Platform has no registry", remedy)
        elif len(names) > 1:
            yield Problem("model-source", path, f"may be of {', '.join(names)}", "set registry")


def _rule(repository: Repository, rule: AlertRule, namespace: str | None) -> Iterator[Problem]:
    for index, action in enumerate(rule.spec.actions):
        path: Path = ("spec", "actions", index)
        for name, target in (("rollBack", action.roll_back), ("pause", action.pause)):
            if target is not None and target.service is not None and namespace is not None:
                remedy = f"name a service of {namespace}"
                here = (*path, name, "service")
                yield from _document(repository, "ModelService", target.service, here, remedy, (namespace,))
        for number, channel in enumerate(action.notify.channels if action.notify else ()):
            yield from _of_platform(repository, "channels", channel, (*path, "notify", "channels", number))
        if action.scale_pool is not None:
            pool, here = action.scale_pool.pool, (*path, "scalePool", "pool")
            missing = list(_document(repository, "AcceleratorPool", pool, here, POOL, (None,)))
            yield from missing
            pools, unclear = repository.pools_used(namespace)
            hidden = unclear or repository.may_hide("ModelService", pool)
            if not missing and pool not in pools and repository.ruled and not hidden:
                what = f'no service of {namespace} uses "{pool}"'
                yield Problem("foreign-target", here, what, "scale a pool that its services use")
