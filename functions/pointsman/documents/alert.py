"""AlertRule: which alert leads to what."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from pointsman.documents.scalars import DurationFrom, Email, Location, Name, SecretName, Url
from pointsman.documents.shape import LabelSelector, Many, Metadata, Strict

__all__ = [
    "Action",
    "AlertMatch",
    "AlertRule",
    "AlertRuleSpec",
    "Kubeflow",
    "Notify",
    "Pause",
    "RollBack",
    "ScalePool",
    "StartPipeline",
    "TopicRef",
    "VertexPipeline",
    "WorkflowRef",
]

Severity = Literal["Critical", "Error", "Warning", "Info"]


class AlertMatch(Strict):
    """Which alerts are meant: by `name` or by `selector`, or both."""

    name: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None,
        description="Cloud Monitoring: display name or `projects/P/alertPolicies/A`; others: `alertname`.",
        examples=["vLLM queue over 20"],
    )
    selector: LabelSelector | None = Field(
        None,
        description="Over the policy's user labels, then metric and resource labels; Alertmanager: the alert's labels.",
        examples=[{"matchLabels": {"pointsman_alert": "burn-rate"}}],
    )
    severities: Annotated[tuple[Severity, ...], Many] | None = Field(
        None, description="Severities; the alert's case is ignored. Default: any.", examples=[["Critical"]]
    )


class _ServiceTarget(Strict):
    service: Name | None = Field(None, description="A ModelService of the own namespace.", examples=["chat-8b"])
    service_label: Annotated[str, Field(min_length=1, max_length=316)] | None = Field(
        None, description="The alert's label that holds the service's name.", examples=["pointsman_service"]
    )


class RollBack(_ServiceTarget):
    """Give a running rollout back, or go back to the revision before one that was promoted just now."""

    promoted_within: Annotated[str, DurationFrom("1m", "168h")] = Field(
        "1h",
        description="A service promoted less than this ago goes back; an older one is not the release's fault.",
    )


class Pause(_ServiceTarget):
    """Hold the weights of a running rollout."""


class Notify(Strict):
    """Tell channels."""

    channels: Annotated[tuple[Name, ...], Many, Field(min_length=1)] = Field(
        description="Channels of the Platform.", examples=[["oncall"]]
    )


class ScalePool(Strict):
    """Raise a pool's minimum, at most to its `nodes.max`; it falls back by `idleTimeout`."""

    pool: Name = Field(description="AcceleratorPool that services of the namespace use.", examples=["l4"])
    add_nodes: int = Field(1, ge=1, le=16, description="How many nodes more.")


class WorkflowRef(Strict):
    """A workflow of Cloud Workflows."""

    name: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Name of the workflow.", examples=["retrain"]
    )


class VertexPipeline(Strict):
    """A pipeline of Vertex AI."""

    template: Annotated[str, Field(min_length=1, max_length=2048)] = Field(
        description="Compiled pipeline.",
        examples=["https://us-central1-kfp.pkg.dev/acme-ml-prod/pipelines/churn-train/v3"],
    )
    location: Location | None = Field(
        None, description="Region. Default: the first cluster's.", examples=["us-central1"]
    )
    service_account: Email | None = Field(None, description="Google service account of the run.")
    pipeline_root: Annotated[str, Field(min_length=1, max_length=2048)] | None = Field(
        None, description="Where artifacts go.", examples=["gs://acme-pipelines/root"]
    )


class Kubeflow(Strict):
    """A pipeline of Kubeflow Pipelines."""

    url: Url = Field(description="API of Kubeflow Pipelines.", examples=["https://kfp.example.com"])
    pipeline: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="Name of the pipeline.")
    secret: SecretName | None = Field(None, description="Secret that holds a token.")


class TopicRef(Strict):
    """A Pub/Sub topic."""

    name: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Topic, by id or full name.", examples=["retrain"]
    )


class StartPipeline(Strict):
    """Start exactly one of these; the alert goes along as parameter `alert` (JSON)."""

    workflow: WorkflowRef | None = Field(None, description="A workflow of Cloud Workflows.")
    vertex_ai: VertexPipeline | None = Field(None, alias="vertexAI", description="A pipeline of Vertex AI.")
    kubeflow: Kubeflow | None = Field(None, description="A pipeline of Kubeflow Pipelines.")
    topic: TopicRef | None = Field(None, description="A message to a Pub/Sub topic.")
    parameters: dict[str, str] = Field(
        default_factory=dict,
        description="Parameters of the run.",
        examples=[{"dataset": "bq://acme-ml-prod.churn.latest"}],
    )


class Action(Strict):
    """One thing that is done: exactly one key."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    roll_back: RollBack | None = Field(None, description="Give the traffic back.", examples=[{"service": "chat-8b"}])
    pause: Pause | None = Field(None, description="Hold the weights.", examples=[{"service": "chat-8b"}])
    notify: Notify | None = Field(None, description="Tell channels.", examples=[{"channels": ["oncall"]}])
    scale_pool: ScalePool | None = Field(
        None, description="Ask for more nodes.", examples=[{"pool": "l4", "addNodes": 2}]
    )
    start_pipeline: StartPipeline | None = Field(
        None, description="Start a pipeline.", examples=[{"workflow": {"name": "retrain"}}]
    )


class AlertRuleSpec(Strict):
    """Which alert leads to what."""

    alert: AlertMatch = Field(description="Which alerts are meant.", examples=[{"name": "vLLM queue over 20"}])
    actions: Annotated[tuple[Action, ...], Many, Field(min_length=1, max_length=5)] = Field(
        description="What is done, in order, each on its own.", examples=[[{"scalePool": {"pool": "l4"}}]]
    )
    cooldown: Annotated[str, DurationFrom("0s", "720h")] = Field(
        "15m", description="For each rule and target; a second firing inside it is recorded with that reason."
    )


class AlertRule(Strict):
    """What follows from an alert. Scope: its namespace."""

    api_version: Literal["pointsman.dev/v1"] = Field(description="Version of the document's form.")
    kind: Literal["AlertRule"] = Field(description="Kind of the document.")
    metadata: Metadata = Field(description="Name and notes.")
    spec: AlertRuleSpec = Field(description="Which alert leads to what.")
