"""Platform: clusters, tenants and what holds for all of them. Exactly one a repository."""

from typing import Annotated, Literal

from pydantic import Field

from pointsman.documents.policy import PolicySpec
from pointsman.documents.scalars import (
    DnsName,
    DurationFrom,
    Folder,
    Location,
    Member,
    Name,
    Number,
    Project,
    SecretName,
    Time,
    Url,
)
from pointsman.documents.shape import LabelSelector, Many, Metadata, Strict

__all__ = [
    "ChannelSettings",
    "ClusterSettings",
    "Defaults",
    "FreezeWindow",
    "GatewaySettings",
    "NamespaceSettings",
    "Platform",
    "PlatformSpec",
    "RegistrySettings",
    "SpendingCap",
]

Access = Literal["Open", "IAP"]
NoticeName = Literal[
    "ApprovalNeeded",
    "RolloutStarted",
    "RolloutHeld",
    "RolloutPromoted",
    "RolloutRolledBack",
    "RolloutFailed",
    "ExperimentEnded",
    "PoolExhausted",
    "PoolScaled",
    "DocumentsRefused",
    "EventDropped",
    "ServiceOrphaned",
]


class ClusterSettings(Strict):
    """A GKE cluster that may be touched."""

    name: Name = Field(description="Name of the cluster.", examples=["serving"])
    location: Location = Field(description="Its region or zone.", examples=["us-central1"])
    project: Project | None = Field(
        None, description="Its project. Default: the one pointsman runs in.", examples=["acme-ml-prod"]
    )


class GatewaySettings(Strict):
    """The `Gateway` object to attach routes to, in every cluster."""

    name: DnsName = Field(description="Name of the Gateway.", examples=["models"])
    namespace: Name = Field(description="Namespace of the Gateway.", examples=["gateway"])
    domain: DnsName | None = Field(
        None,
        description="Services without `hostnames` get `<service>-<namespace>.<domain>`: one wildcard certificate fits.",
        examples=["models.example.com"],
    )


class NamespaceSettings(Strict):
    """A tenant. A namespace that is not listed cannot be deployed to; it must exist."""

    name: Name = Field(description="Kubernetes namespace.", examples=["nlp"])
    paths: Annotated[tuple[Folder, ...], Many, Field(min_length=1, max_length=20)] = Field(
        description="Folders (recursive, no globs) whose documents belong to it; the longest prefix wins.",
        examples=[["teams/nlp"]],
    )
    cluster: Name | None = Field(None, description="Where its services run. Default: the first of `clusters`.")
    owners: Annotated[tuple[Member, ...], Many] = Field(
        (),
        description="Who may approve and command. Nobody listed: the platform's administrators by IAM only.",
        examples=[["user:lea@example.com"]],
    )
    channels: Annotated[tuple[Name, ...], Many] | None = Field(
        None, description="Where its notices go. Default: `defaults.channels`.", examples=[["oncall"]]
    )
    policy: Name | None = Field(None, description="Policy of services that name none. Default: `defaults.policy`.")
    allowed_policies: Annotated[tuple[Name, ...], Many] | None = Field(
        None, description="What its services may choose. Default: any policy they can see.", examples=[["careful"]]
    )
    pod_security: Literal["Restricted", "Baseline", "Privileged"] = Field(
        "Baseline", description="Pod Security Standard: what a template may ask."
    )
    service_accounts: Annotated[tuple[DnsName, ...], Many] = Field(
        ("default",),
        description="Kubernetes service accounts that a template may name.",
        examples=[["default", "serving"]],
    )


class RegistrySettings(Strict):
    """A model registry that services may follow."""

    name: Name = Field(description="Name by which services refer to it.", examples=["mlflow"])
    type: Literal["MLflow", "VertexAI", "Announced"] = Field(
        description="`Announced`: versions arrive by a CI's CloudEvent and are kept in the ledger."
    )
    url: Url | None = Field(
        None, description="Tracking server, for `MLflow`, which requires it.", examples=["https://mlflow.example.com"]
    )
    secret: SecretName | None = Field(
        None, description="Secret that holds a token or `user:password`, for `MLflow`.", examples=["mlflow-token"]
    )
    project: Project | None = Field(None, description="Project, for `VertexAI`. Default: the one pointsman runs in.")
    location: Location | None = Field(None, description="Region, for `VertexAI`. Default: the first cluster's region.")


class ChannelSettings(Strict):
    """Where notices go."""

    name: Name = Field(description="Name by which it is referred to.", examples=["oncall"])
    type: Literal["Slack", "GoogleChat", "Webhook"] = Field(description="Form of the messages.")
    secret: SecretName | None = Field(None, description="Secret that holds the URL.", examples=["slack-oncall"])
    url: Url | None = Field(None, description="The URL itself, for a `Webhook` whose URL is no secret.")
    notices: Annotated[tuple[NoticeName, ...], Many] | None = Field(
        None,
        description="What is told. Default: everything, one thread a rollout.",
        examples=[["ApprovalNeeded", "RolloutFailed"]],
    )


class FreezeWindow(Strict):
    """Times at which nothing moves forwards (`Deny`) or at which alone it does (`Allow`). Going back is always allowed.

    Recurring, by `schedule` and `duration`; or one window, by `start` and `end`.
    """

    name: Name = Field(description="Name, shown wherever the window holds something.", examples=["weekends"])
    schedule: str | None = Field(
        None, description="When a recurring window opens: a cron schedule of 5 fields.", examples=["0 16 * * FRI"]
    )
    duration: Annotated[str, DurationFrom("1m", "744h")] | None = Field(
        None, description="How long a recurring window stays open.", examples=["64h"]
    )
    time_zone: str = Field("UTC", description="IANA time zone of `schedule`.", examples=["Europe/Berlin"])
    start: Time | None = Field(
        None, description="When a single window opens (RFC 3339).", examples=["2026-11-26T00:00:00Z"]
    )
    end: Time | None = Field(
        None,
        description="When a single window closes. Default: not before the commit is reverted.",
        examples=["2026-12-01T00:00:00Z"],
    )
    effect: Literal["Deny", "Allow"] = Field(
        "Deny", description="Where an `Allow` window selects a service, it moves only inside one; `Deny` wins."
    )
    stops: Literal["NewRollouts", "WeightIncreases"] = Field(
        "WeightIncreases",
        description="`WeightIncreases` includes new rollouts, and holds running ones, judged all the while.",
    )
    namespaces: Annotated[tuple[Name, ...], Many] | None = Field(
        None, description="Namespaces that are meant. Default: all.", examples=[["growth"]]
    )
    selector: LabelSelector | None = Field(
        None,
        description="ModelServices that are meant, by label. Default: all.",
        examples=[{"matchLabels": {"tier": "1"}}],
    )
    reason: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="Shown by `pointsman why` and in the notice.", examples=["Peak trade"]
    )


class SpendingCap(Strict):
    """Highest list price of all nodes asked for, together: a rate, since only a rate can be enforced when asking."""

    per_hour: Annotated[Number, Field(gt=0)] = Field(
        description="Most that all nodes together may cost an hour.", examples=[120]
    )
    currency: Literal["USD"] = Field("USD", description="Currency of `perHour`.")


class Defaults(Strict):
    """What holds where a namespace or a service says nothing."""

    policy: Name | None = Field(None, description="RolloutPolicy of services that name none.")
    pool: Name | None = Field(None, description="AcceleratorPool of services that name none.", examples=["l4"])
    channels: Annotated[tuple[Name, ...], Many] | None = Field(
        None, description="Where notices go.", examples=[["oncall"]]
    )
    access: Access | None = Field(None, description="Who may call services that do not say. Built in: `Open`.")
    request_timeout: Annotated[str, DurationFrom("1s", "1h")] | None = Field(
        None, description="Longest answer, and the drain time before any scale-down. Built in: 60s.", examples=["5m"]
    )
    rollout: PolicySpec | None = Field(
        None, description="What a RolloutPolicy does not say.", examples=[{"bake": {"duration": "1h"}}]
    )


class PlatformSpec(Strict):
    """What the platform is."""

    branch: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        None,
        description="A check: a head whose Platform names another branch is refused. Default: the bootstrap's.",
        examples=["main"],
    )
    clusters: Annotated[tuple[ClusterSettings, ...], Many, Field(min_length=1, max_length=50)] = Field(
        description="GKE clusters that may be touched; the first is the default.",
        examples=[[{"name": "serving", "location": "us-central1"}]],
    )
    gateway: GatewaySettings = Field(
        description="The Gateway to attach routes to.", examples=[{"name": "models", "namespace": "gateway"}]
    )
    namespaces: Annotated[tuple[NamespaceSettings, ...], Many, Field(min_length=1, max_length=500)] = Field(
        description="Tenants.", examples=[[{"name": "nlp", "paths": ["teams/nlp"]}]]
    )
    registries: Annotated[tuple[RegistrySettings, ...], Many] = Field(
        (), description="Model registries that services may follow."
    )
    channels: Annotated[tuple[ChannelSettings, ...], Many] = Field(
        (), description="Where notices may go. Commit statuses need none."
    )
    freeze_windows: Annotated[tuple[FreezeWindow, ...], Many] = Field(
        (), description="Times at which rollouts stand still."
    )
    spending_cap: SpendingCap | None = Field(None, description="What all nodes together may cost. Default: no cap.")
    defaults: Defaults = Field(default_factory=Defaults, description="What holds where nothing else is said.")


class Platform(Strict):
    """Clusters, gateway, tenants, registries, channels, freeze windows, spending cap and defaults."""

    api_version: Literal["pointsman.dev/v1"] = Field(description="Version of the document's form.")
    kind: Literal["Platform"] = Field(description="Kind of the document.")
    metadata: Metadata = Field(description="Name and notes.")
    spec: PlatformSpec = Field(description="What the platform is.")

    def namespace(self, name: str) -> NamespaceSettings | None:
        """The tenant of this name, if it is listed."""
        return next((item for item in self.spec.namespaces if item.name == name), None)

    def cluster_of(self, namespace: str) -> ClusterSettings:
        """Where the namespace's services run: its own `cluster`, or the first."""
        tenant = self.namespace(namespace)
        return self.cluster(tenant.cluster if tenant else None)

    def cluster(self, name: str | None) -> ClusterSettings:
        """The cluster of this name, or the first one."""
        return next((item for item in self.spec.clusters if item.name == name), self.spec.clusters[0])
