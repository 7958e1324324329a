"""RolloutPolicy: by which steps, judged how, with what patience a revision takes the traffic over."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from pointsman.documents.scalars import DurationFrom, Name, Number, Selector, WeightFrom
from pointsman.documents.shape import Many, Metadata, Strict

__all__ = [
    "Approval",
    "Bake",
    "Bounds",
    "Capacity",
    "Cohort",
    "Deadlines",
    "Judge",
    "LatencyMetric",
    "MeanMetric",
    "Metric",
    "Pacing",
    "PolicySpec",
    "RatioMetric",
    "RolloutPolicy",
    "Step",
    "WithoutData",
]

Enforcement = Literal["Enforce", "Observe"]


class HeaderMatch(Strict):
    """A request header that must be equal."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$", max_length=256)] = Field(
        description="Name of the header; case is ignored.", examples=["x-user-group"]
    )
    value: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="Its whole value.", examples=["staff"]
    )


class QueryParamMatch(Strict):
    """A query parameter that must be equal."""

    name: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="Name of the parameter.", examples=["group"]
    )
    value: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Its whole value.", examples=["staff"]
    )


class Cohort(Strict):
    """Requests that are meant: every header and query parameter must match, 1 to 8 of them together.

    Requests are not made sticky: whoever assigns users sets the header.
    """

    headers: Annotated[tuple[HeaderMatch, ...], Many, Field(max_length=8)] = Field(
        (), description="Headers that must be equal.", examples=[[{"name": "x-user-group", "value": "staff"}]]
    )
    query_params: Annotated[tuple[QueryParamMatch, ...], Many, Field(max_length=8)] = Field(
        (), description="Query parameters that must be equal.", examples=[[{"name": "group", "value": "staff"}]]
    )


class Approval(Strict):
    """People who must agree after the step's hold."""

    count: int = Field(1, ge=1, le=10, description="How many different owners of the namespace must approve.")
    expires_after: Annotated[str, DurationFrom("1m", "168h")] = Field(
        "24h", description="How long is waited for them; the version is judged meanwhile, and expiry rolls back."
    )


class Step(Strict):
    """One share of the requests, for a time: `weight`, or `mirrorPercent` in its place."""

    weight: Annotated[float, WeightFrom(0.1, 100)] | None = Field(
        None,
        description="The new revision's share of requests (of the cohort's) in percent, at most one decimal.",
        examples=[5],
    )
    mirror_percent: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None,
        description="Percent of requests copied to the new revision; its answers are dropped. Mirror steps come first.",
        examples=[20],
    )
    cohort: Cohort | None = Field(
        None,
        description="Only matching requests are split. Cohort steps precede those for everybody. Default: everybody.",
    )
    hold: Annotated[str, DurationFrom("0s", "168h")] = Field(
        "10m",
        description="Least time at this step, counted from when the weight is in force and the metrics have caught up.",
    )
    approval: Approval | None = Field(
        None, description="Wait for people after `hold`. Default: none.", examples=[{"count": 2}]
    )
    canary_replicas: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Replicas of the new revision at this step. Default: by weight.", examples=[1]
    )


class Bake(Strict):
    """The watch after the last step, with the previous revision warm."""

    duration: Annotated[str, DurationFrom("0s", "168h")] = Field("30m", description="How long the bake lasts.")
    baseline_weight: Annotated[float, WeightFrom(0.1, 50)] = Field(
        2.0,
        description=(
            "Percent of requests that the previous revision keeps to the end of the bake. "
            "Without them a shared outage cannot be told from a broken version."
        ),
    )


class Bounds(Strict):
    """The least and the greatest value that a mean's samples can have."""

    min: Number = Field(description="Least value a sample can have.", examples=[0])
    max: Number = Field(description="Greatest value a sample can have.", examples=[1])


class _Metric(Strict):
    name: Name = Field(
        description="Name, unique in the policy; the name of a known metric replaces that.", examples=["refusals"]
    )


class RatioMetric(_Metric):
    """A share of bad among all, from two cumulative counters."""

    type: Literal["Ratio"] = Field(description="Form of the metric.")
    bad: Selector = Field(
        description="Counter of what is bad: a PromQL series selector.", examples=["chat_refusals_total"]
    )
    total: Selector = Field(
        description="Counter of everything: a PromQL series selector.", examples=["chat_answers_total"]
    )
    margin_percent: Annotated[Number, Field(ge=0, le=1000)] = Field(
        0.0, description="How much worse than the stable revision, relatively, is forgiven, in percent."
    )
    mode: Enforcement = Field("Enforce", description="`Observe` records and shows, and never vetoes.")


class LatencyMetric(_Metric):
    """A duration in seconds, from a cumulative histogram."""

    type: Literal["Latency"] = Field(description="Form of the metric.")
    histogram: Selector = Field(
        description="Histogram in seconds: a PromQL series selector.", examples=["chat_first_token_seconds"]
    )
    margin_percent: Annotated[Number, Field(ge=0, le=1000)] = Field(
        10.0, description="How much worse than the stable revision, relatively, is forgiven, in percent."
    )
    mode: Enforcement = Field("Enforce", description="`Observe` records and shows, and never vetoes.")


class MeanMetric(_Metric):
    """A mean of bounded values, from cumulative count, sum and sum of squares. Not for skewed values."""

    type: Literal["Mean"] = Field(description="Form of the metric.")
    count: Selector = Field(description="Counter of samples: a PromQL series selector.", examples=["score_count"])
    sum: Selector = Field(description="Counter of their sum: a PromQL series selector.", examples=["score_sum"])
    sum_of_squares: Selector = Field(
        description="Counter of the sum of their squares: a PromQL series selector.", examples=["score_squares_sum"]
    )
    bounds: Bounds = Field(description="Bounds of one sample.", examples=[{"min": 0, "max": 1}])
    worse: Literal["Higher", "Lower"] = Field("Higher", description="Which direction is worse.")
    mode: Enforcement = Field("Enforce", description="`Observe` records and shows, and never vetoes.")


Metric = Annotated[RatioMetric | LatencyMetric | MeanMetric, Field(discriminator="type")]


class Judge(Strict):
    """How the new revision is compared with the stable one."""

    profile: Literal["Default", "Safe", "Sensitive"] = Field(
        "Default", description="False rollbacks: at most 1 % (`Default`), 0.1 % (`Safe`), 5 % (`Sensitive`) a rollout."
    )
    mode: Enforcement = Field(
        "Enforce", description="`Observe`: verdicts are recorded and shown, and nobody acts on them."
    )
    metric_sets: Annotated[tuple[Literal["Gateway", "VLLM", "TGI", "Triton", "RayServe"], ...], Many] = Field(
        ("Gateway",), description="Known metrics. `Gateway`: share of 5xx and latency at the load balancer."
    )
    metrics: Annotated[tuple[Metric, ...], Many, Field(max_length=20)] = Field(
        (), description="Metrics of one's own; one with the name of a known metric replaces it."
    )
    warmup: Annotated[str, DurationFrom("0s", "1h")] = Field(
        "60s", description="Latency of pods younger than this is not judged (cold caches); errors are."
    )
    min_requests_per_step: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Requests the new revision must have answered before a step is left forwards.",
    )
    bad_answer_limit_percent: Annotated[Number, Field(ge=1, le=95)] = Field(
        30.0, description="Share of bad answers in percent that is never accepted, also where there is no baseline."
    )


class Pacing(Strict):
    """Steps that are left on evidence, by what the next one may cost, instead of a clock."""

    extra_bad_answers: int = Field(
        ge=1,
        le=1_000_000,
        description=(
            "Blast radius: bad answers that the next step may cost more than the stable revision would have given, at "
            "most, by what the judge excludes with 95 % certainty at the present traffic. A step is left as soon as "
            "that holds, over steps that it allows as well; `hold` is then the longest it is waited for."
        ),
        examples=[20],
    )


class WithoutData(Strict):
    """What happens where there are too few requests or the metric source is broken."""

    wait: Annotated[str, DurationFrom("1m", "168h")] = Field("1h", description="How long is waited after `hold`.")
    then: Literal["RollBack", "Advance", "Hold"] = Field(
        "RollBack", description="What is done then. `Advance` is recorded as not judged."
    )


def _surge_shape(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise PydanticCustomError("type", "is neither a whole number nor a percentage such as 25%")
    return value


def _surge(value: int | str) -> int | str:
    if isinstance(value, int):
        if not 1 <= value <= 1000:
            raise PydanticCustomError("bounds", "{value} is not between 1 and 1000", {"value": value})
    elif not (
        value.endswith("%") and value[:-1].isascii() and value[:-1].isdigit() and 1 <= int(value[:-1][:6]) <= 100
    ):
        raise PydanticCustomError("pattern", "{value} is no percentage from 1% to 100%", {"value": value})
    return value


Surge = Annotated[
    int | str,
    AfterValidator(_surge),
    BeforeValidator(_surge_shape),
    Field(json_schema_extra={"pattern": "^([1-9][0-9]?|100)%$", "minimum": 1, "maximum": 1000}),
]


class Capacity(Strict):
    """Where the new revision's replicas find room."""

    strategy: Literal["Surge", "Step", "Swap", "Refuse"] = Field(
        "Surge",
        description=(
            "`Surge`: beside the stable ones. `Step`: stable shrinks with its weight. `Swap`: batches are exchanged. "
            "`Refuse`: as Surge, on nodes that are there."
        ),
    )
    max_surge: Surge = Field(
        "25%", description="Replicas beyond `replicas`, as in a Deployment; with `Step` only.", examples=[1, "25%"]
    )
    min_canary_replicas: int = Field(
        1, ge=1, le=100, description="Least replicas of the new revision. 2 tell a bad pod from a bad revision."
    )


class Deadlines(Strict):
    """How long each phase may take; past it everything is given back."""

    provisioning: Annotated[str, DurationFrom("1m", "720h")] = Field("1h", description="Until nodes are there.")
    placing: Annotated[str, DurationFrom("1m", "720h")] = Field(
        "20m", description="Until the new revision is healthy: image pull and model load."
    )
    rollout: Annotated[str, DurationFrom("1m", "720h")] = Field(
        "24h", description="For all from placing to the end of the bake; its clock stops while a freeze window holds."
    )


class PolicySpec(Strict):
    """The policy. Everything has a default."""

    steps: Annotated[tuple[Step, ...], Many, Field(max_length=20)] = Field(
        (Step(weight=5.0), Step(weight=25.0), Step(weight=50.0)),
        description="Steps with rising weights; after the last comes the bake. `[]`: straight to the bake.",
        examples=[[{"weight": 1, "hold": "15m"}, {"weight": 10, "hold": "30m"}]],
    )
    bake: Bake = Field(
        default_factory=Bake, description="The watch after the last step.", examples=[{"duration": "2h"}]
    )
    judge: Judge = Field(
        default_factory=Judge, description="How revisions are compared.", examples=[{"profile": "Safe"}]
    )
    pacing: Pacing | None = Field(
        None,
        description="Steps that are left on evidence instead of after `hold`. Default: by `hold`.",
        examples=[{"extraBadAnswers": 20}],
    )
    without_data: WithoutData = Field(default_factory=WithoutData, description="What happens without enough data.")
    when_stable_unhealthy: Literal["Hold", "Advance"] = Field(
        "Hold", description="Both revisions burn: `Advance` lets a fix through."
    )
    on_new_revision: Literal["Supersede", "Queue", "Reject"] = Field(
        "Supersede", description="What a newer revision does while a rollout runs."
    )
    capacity: Capacity = Field(
        default_factory=Capacity, description="Where replicas find room.", examples=[{"strategy": "Step"}]
    )
    deadlines: Deadlines = Field(default_factory=Deadlines, description="How long each phase may take.")


class RolloutPolicy(Strict):
    """How a revision takes the traffic over. Scope: its namespace, otherwise the platform."""

    api_version: Literal["pointsman.dev/v1"] = Field(description="Version of the document's form.")
    kind: Literal["RolloutPolicy"] = Field(description="Kind of the document.")
    metadata: Metadata = Field(description="Name and notes.")
    spec: PolicySpec = Field(default_factory=PolicySpec, description="The policy.")
