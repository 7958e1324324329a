"""The effective document of a service: everything that a rollout needs, defaults filled in, each with its origin.

A value comes from the first that has it: the ModelService, its namespace in the Platform, the Platform's
`defaults`, what is built in. A policy is taken whole; what it does not say comes from the Platform's
`defaults.rollout`, then from what is built in; maps merge by key, lists replace whole.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, cast

from pydantic import Field

from pointsman.documents.config import Config, Written, as_json
from pointsman.documents.faults import Path
from pointsman.documents.platform import (
    Access,
    ChannelSettings,
    FreezeWindow,
    NamespaceSettings,
    RegistrySettings,
    SpendingCap,
)
from pointsman.documents.policy import PolicySpec
from pointsman.documents.pool import PoolSpec
from pointsman.documents.rules.policies import whole, written
from pointsman.documents.service import Experiment, Model, ModelService
from pointsman.documents.shape import Many, Strict

__all__ = ["BUILT_IN", "EffectiveCluster", "EffectiveGateway", "EffectivePool", "EffectiveService", "effective"]

BUILT_IN = "built in"
REQUEST_TIMEOUT = "60s"


class EffectiveCluster(Strict):
    """The cluster that a service runs in."""

    name: str
    location: str
    project: str


class EffectiveGateway(Strict):
    """The Gateway that the route is attached to; its class is read from the object."""

    name: str
    namespace: str


class EffectivePool(Strict):
    """The AcceleratorPool of a service, whole."""

    name: str
    spec: PoolSpec


class EffectiveService(Strict):
    """A ModelService with everything that applies to it. Survives JSON: `as_json`, then `model_validate`."""

    namespace: str
    name: str
    labels: dict[str, str]
    cluster: EffectiveCluster
    gateway: EffectiveGateway
    model: Model
    registry: RegistrySettings | None = None
    template: dict[str, Any]
    replicas: int
    pool: EffectivePool | None = None
    hostnames: Annotated[tuple[str, ...], Many]
    path: str
    request_timeout: str
    access: Access
    policy_name: str | None = None
    policy: PolicySpec
    owners: Annotated[tuple[str, ...], Many] = ()
    channels: Annotated[tuple[ChannelSettings, ...], Many] = ()
    freeze_windows: Annotated[tuple[FreezeWindow, ...], Many] = ()
    spending_cap: SpendingCap | None = None
    experiment: Experiment | None = None
    revision_history_limit: int
    origins: dict[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"


def effective(config: Config, *, project: str, region: str = "") -> Mapping[str, EffectiveService]:
    """Every service of the repository by `namespace/name`.

    `project` is the one that pointsman runs in, where a cluster or a registry names none. `region` is the one it
    runs in; every default of a location is the first cluster's, so that it decides nothing.
    """
    return {key: _Reader(config, key, service, project).read() for key, service in config.services.items()}


def hostnames_of(namespace: str, service: ModelService, domain: str | None) -> tuple[str, ...]:
    """The host names that a service is reached by; none where neither it nor the Platform says any."""
    if service.spec.route.hostnames is not None:
        return service.spec.route.hostnames
    return (f"{service.metadata.name}-{namespace}.{domain}",) if domain else ()


class _Reader:
    """Reads one service; `_origins` fills as values are chosen."""

    def __init__(self, config: Config, key: str, service: ModelService, project: str) -> None:
        self._config = config
        self._service = service
        self._spec = service.spec
        self._project = project
        self._namespace, _, self._name = key.partition("/")
        self._mine = config.places[f"ModelService/{key}"]
        self._platform = config.platform.spec
        self._platform_written = config.places[f"Platform//{config.platform.metadata.name}"]
        index = next(i for i, item in enumerate(self._platform.namespaces) if item.name == self._namespace)
        self._tenant: NamespaceSettings = self._platform.namespaces[index]
        self._tenant_path: Path = ("spec", "namespaces", index)
        self._origins: dict[str, str] = {}

    def read(self) -> EffectiveService:
        spec, platform, tenant = self._spec, self._platform, self._tenant
        cluster = self._config.platform.cluster_of(self._namespace)
        self._note("cluster", self._platform_written, (*self._tenant_path, "cluster") if tenant.cluster else _CLUSTERS)
        self._note("gateway", self._platform_written, ("spec", "gateway"))
        for name in ("model", "template"):
            self._note(name, self._mine, ("spec", name))
        for name, value in (("replicas", "replicas"), ("revisionHistoryLimit", "revision_history_limit")):
            self._own_or_built_in(name, ("spec", name), value in spec.model_fields_set)
        self._own_or_built_in("path", ("spec", "route", "path"), "path" in spec.route.model_fields_set)
        timeout, access = spec.route.request_timeout, spec.route.access
        policy_name, policy = self._policy()
        if platform.spending_cap is not None:
            self._note("spendingCap", self._platform_written, ("spec", "spendingCap"))
        if spec.experiment is not None:
            self._note("experiment", self._mine, ("spec", "experiment"))
        self._own("owners", tenant.owners, ("owners",))
        return EffectiveService(
            namespace=self._namespace,
            name=self._name,
            labels=dict(self._service.metadata.labels),
            cluster=EffectiveCluster(
                name=cluster.name, location=cluster.location, project=cluster.project or self._project
            ),
            gateway=EffectiveGateway(name=platform.gateway.name, namespace=platform.gateway.namespace),
            model=self._named(spec.model),
            registry=self._registry(),
            template=spec.template,
            replicas=spec.replicas,
            pool=self._pool(),
            hostnames=self._hostnames(),
            path=spec.route.path,
            request_timeout=self._default(
                "requestTimeout", timeout, platform.defaults.request_timeout, REQUEST_TIMEOUT
            ),
            access=cast("Access", self._default("access", access, platform.defaults.access, "Open")),
            policy_name=policy_name,
            policy=policy,
            owners=tenant.owners,
            channels=self._channels(),
            freeze_windows=tuple(self._windows()),
            spending_cap=platform.spending_cap,
            experiment=self._experiment(),
            revision_history_limit=spec.revision_history_limit,
            origins=dict(sorted(self._origins.items())),
        )

    def _note(self, name: str, where: Written, path: Path) -> None:
        self._origins[name] = where.at(path)

    def _own(self, name: str, value: object, path: Path) -> None:
        if value:
            self._note(name, self._platform_written, (*self._tenant_path, *path))

    def _own_or_built_in(self, name: str, path: Path, own: bool) -> None:
        self._origins[name] = self._mine.at(path) if own else BUILT_IN

    def _default(self, name: str, own: str | None, platform: str | None, built_in: str) -> str:
        if own is not None:
            self._note(name, self._mine, ("spec", "route", name))
        elif platform is not None:
            self._note(name, self._platform_written, ("spec", "defaults", name))
        else:
            self._origins[name] = BUILT_IN
        return own or platform or built_in

    def _hostnames(self) -> tuple[str, ...]:
        if self._spec.route.hostnames is not None:
            self._note("hostnames", self._mine, ("spec", "route", "hostnames"))
        else:
            self._note("hostnames", self._platform_written, ("spec", "gateway", "domain"))
        return hostnames_of(self._namespace, self._service, self._platform.gateway.domain)

    def _pool(self) -> EffectivePool | None:
        name = self._spec.pool or self._platform.defaults.pool
        if name is None:
            return None
        if self._spec.pool is not None:
            self._note("pool", self._mine, ("spec", "pool"))
        else:
            self._note("pool", self._platform_written, ("spec", "defaults", "pool"))
        return EffectivePool(name=name, spec=self._config.pools[name].spec)

    def _registry_name(self, model: Model) -> str | None:
        if model.name is None:
            return None
        return model.registry or next((item.name for item in self._platform.registries), None)

    def _named(self, model: Model) -> Model:
        """The model with its registry's name filled in, so that a second registry changes nothing."""
        registry = self._registry_name(model)
        return model.model_copy(update={"registry": registry}) if registry != model.registry else model

    def _registry(self) -> RegistrySettings | None:
        name = self._registry_name(self._spec.model)
        found = next((item for item in self._platform.registries if item.name == name), None)
        if found is None or found.type != "VertexAI":
            return found
        location = "-".join(self._platform.clusters[0].location.split("-")[:2])
        return found.model_copy(
            update={"project": found.project or self._project, "location": found.location or location}
        )

    def _experiment(self) -> Experiment | None:
        experiment = self._spec.experiment
        return experiment and experiment.model_copy(update={"model": self._named(experiment.model)})

    def _channels(self) -> tuple[ChannelSettings, ...]:
        names = self._tenant.channels
        if names is not None:
            self._note("channels", self._platform_written, (*self._tenant_path, "channels"))
        elif self._platform.defaults.channels is not None:
            names = self._platform.defaults.channels
            self._note("channels", self._platform_written, ("spec", "defaults", "channels"))
        return tuple(channel for channel in self._platform.channels if channel.name in (names or ()))

    def _windows(self) -> Iterator[FreezeWindow]:
        labels = dict(self._service.metadata.labels)
        for index, window in enumerate(self._platform.freeze_windows):
            meant = window.namespaces is None or self._namespace in window.namespaces
            if meant and (window.selector is None or window.selector.matches(labels)):
                self._note(f"freezeWindows.{window.name}", self._platform_written, ("spec", "freezeWindows", index))
                yield window

    def _policy(self) -> tuple[str | None, PolicySpec]:
        platform, tenant = self._platform, self._tenant
        if self._spec.policy is not None:
            name, key = self._spec.policy, self._mine.at(("spec", "policy"))
        elif tenant.policy is not None:
            name, key = tenant.policy, self._platform_written.at((*self._tenant_path, "policy"))
        elif platform.defaults.policy is not None:
            name, key = platform.defaults.policy, self._platform_written.at(("spec", "defaults", "policy"))
        else:
            name, key = None, BUILT_IN
        self._origins["policyName"] = key
        # The Platform's own reference means the platform's policy; all others look into the namespace first.
        of_platform = self._spec.policy is None and tenant.policy is None
        scope = (
            None
            if name is None or of_platform or (self._namespace, name) not in self._config.policies
            else self._namespace
        )
        found = self._config.policies[(scope, name)] if name is not None else None
        place = self._config.places[f"RolloutPolicy/{scope or ''}/{name}"] if found else None
        spec = whole(found.spec if found else None, platform.defaults.rollout)
        own = written(found.spec) if found else {}
        below = written(platform.defaults.rollout)
        for path in _leaves(as_json(spec)):
            if place is not None and _has(own, path):
                origin = place.at(("spec", *path))
            elif _has(below, path):
                origin = self._platform_written.at(("spec", "defaults", "rollout", *path))
            else:
                origin = BUILT_IN
            self._origins[".".join(("policy", *path))] = origin
        return name, spec


_CLUSTERS: Path = ("spec", "clusters", 0)


def _leaves(value: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _leaves(cast("Mapping[str, object]", item), (*path, key))
        else:
            yield (*path, key)


def _has(value: Mapping[str, object], path: tuple[str, ...]) -> bool:
    inner: object = value
    for part in path:
        if not isinstance(inner, Mapping) or part not in inner:
            return False
        inner = inner[part]
    return True
