"""ModelService: a model that is served, by which pods, under which address."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pointsman.documents.platform import Access
from pointsman.documents.policy import Cohort
from pointsman.documents.scalars import DurationFrom, Hostname, Name, Person, Time, WeightFrom
from pointsman.documents.shape import Many, ServiceMetadata, Strict

__all__ = ["Experiment", "Model", "ModelService", "Route", "ServiceSpec"]


class Model(Strict):
    """What is served: a `uri`, or a `name` followed in a registry by `alias` or pinned by `version`."""

    uri: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$", max_length=2048)] | None = Field(
        None,
        description="Absolute URI, passed as `MODEL_URI` as it is.",
        examples=["gs://acme-models/summarize-9b/2026-11-02"],
    )
    version: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        None,
        description="With `uri`: a label for people, by default the revision's 8 hex. With `name`: pins that version.",
        examples=["2026-11-02"],
    )
    registry: Name | None = Field(
        None, description="Registry of the Platform. Default: the only one.", examples=["mlflow"]
    )
    name: Annotated[str, Field(min_length=1, max_length=500)] | None = Field(
        None, description="The registry's model name, or Vertex AI's model id.", examples=["chat-8b"]
    )
    alias: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        None, description="Alias to follow: when it is moved, a rollout starts.", examples=["champion"]
    )


class Route(Strict):
    """Under which address the service is reached."""

    hostnames: Annotated[tuple[Hostname, ...], Many, Field(min_length=1, max_length=16)] | None = Field(
        None,
        description="Host names. Default: `<service>-<namespace>.<domain>` of the Platform's gateway.",
        examples=[["chat.models.example.com"]],
    )
    path: Annotated[str, Field(pattern=r"^/[^\s?#]*$", max_length=1024)] = Field(
        "/", description="Path prefix. It is not rewritten: GKE's Gateway cannot.", examples=["/v1/chat"]
    )
    request_timeout: Annotated[str, DurationFrom("1s", "1h")] | None = Field(
        None,
        description="Longest answer, streams included, and the drain time. Default: the Platform's, then 60s.",
        examples=["10m"],
    )
    access: Access | None = Field(None, description="Who may call. Default: the Platform's, then `Open`.")


class Experiment(Strict):
    """An A/B test: this model (an own revision, same template) beside `model`, judged, never advanced."""

    model: Model = Field(description="The other version.", examples=[{"name": "churn-scorer", "alias": "challenger"}])
    end: Time = Field(
        description="When all traffic is on `model` again, with a report (RFC 3339).", examples=["2026-12-15T09:00:00Z"]
    )
    start: Time | None = Field(
        None, description="When it begins (RFC 3339). Default: at once.", examples=["2026-12-01T09:00:00Z"]
    )
    weight: Annotated[float, WeightFrom(1, 99)] = Field(
        50.0, description="Percent of the cohort's requests that the other version takes."
    )
    cohort: Cohort | None = Field(None, description="Requests that take part. Default: everybody's.")
    owner: Person | None = Field(
        None, description="Who gets the report. Default: the namespace's owners.", examples=["user:dana@example.com"]
    )


class ServiceSpec(Strict):
    """What is served."""

    model: Model = Field(description="What is served.", examples=[{"uri": "gs://acme-models/summarize-9b/2026-11-02"}])
    template: dict[str, Any] = Field(
        description=(
            "A Kubernetes PodTemplateSpec. The first container is the server: traffic goes to its port "
            "named `http` or `h2c`, or to its only port."
        ),
        examples=[
            {
                "spec": {
                    "containers": [
                        {"name": "server", "image": "vllm/vllm-openai:v0.11.0", "ports": [{"containerPort": 8000}]}
                    ]
                }
            }
        ],
    )
    replicas: int = Field(
        1,
        ge=0,
        le=1000,
        description="Replicas at 100 % of the traffic. 0: off, the route answers 503, nothing is deleted.",
    )
    pool: Name | None = Field(
        None,
        description="AcceleratorPool. Default: the Platform's; without one the template's own selectors rule.",
        examples=["l4"],
    )
    route: Route = Field(
        default_factory=Route, description="Address of the service.", examples=[{"requestTimeout": "10m"}]
    )
    policy: Name | None = Field(
        None,
        description="RolloutPolicy. Default: the namespace's, then the Platform's, then what is built in.",
        examples=["llm"],
    )
    experiment: Experiment | None = Field(None, description="An A/B test. Default: none.")
    revision_history_limit: int = Field(
        3, ge=0, le=20, description="Drained revisions that are kept at zero replicas for a fast way back."
    )


class ModelService(Strict):
    """A served model. Scope: its namespace."""

    api_version: Literal["pointsman.dev/v1"] = Field(description="Version of the document's form.")
    kind: Literal["ModelService"] = Field(description="Kind of the document.")
    metadata: ServiceMetadata = Field(description="Name and notes.")
    spec: ServiceSpec = Field(description="What is served.")
