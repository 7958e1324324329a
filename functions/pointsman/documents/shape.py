"""What every document has in common: strictness, `metadata`, label selectors."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from pointsman.documents.scalars import AcceleratorPoolName, LabelKey, Labels, LabelValue, Name, ServiceName

__all__ = ["API_VERSION", "LabelSelector", "Metadata", "Strict"]

API_VERSION = "pointsman.dev/v1"


class Strict(BaseModel):
    """Unknown fields are refused, nothing is converted, and nothing changes afterwards.

    Documents are read by their camelCase names only (the loader says so); code may use either.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        defer_build=True,
    )


Many = Field(strict=False)
"""For tuples: YAML and JSON give lists, which strict tuples refuse. Items stay strict."""


class Metadata(Strict):
    """A document's name and what people note on it."""

    name: Name = Field(description="Name, unique among the documents of this kind in its scope.", examples=["careful"])
    namespace: Name | None = Field(
        None,
        description="Kubernetes namespace. Default: the one whose `paths` in the Platform own the file's folder.",
        examples=["nlp"],
    )
    labels: Labels = Field(
        default_factory=dict,
        description="Labels by which freeze windows select services; the prefix `pointsman.dev/` is reserved.",
        examples=[{"tier": "1"}],
    )
    annotations: dict[LabelKey, str] = Field(
        default_factory=dict,
        description="Notes of people and other tools; the prefix `pointsman.dev/` is reserved.",
        examples=[{"config.kubernetes.io/local-config": "true"}],
    )


class ServiceMetadata(Metadata):
    """Metadata of a ModelService."""

    name: ServiceName = Field(
        description="Name of the service; its revisions are `<name>-<8 hex>`.", examples=["chat-8b"]
    )


class PoolMetadata(Metadata):
    """Metadata of an AcceleratorPool."""

    name: AcceleratorPoolName = Field(
        description="Name of the pool; its node pools are `<name>-<8 hex>`.", examples=["l4"]
    )


class LabelRequirement(Strict):
    """One expression of a label selector."""

    key: LabelKey = Field(description="Label key.", examples=["tier"])
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="How the label's value is compared.")
    values: Annotated[tuple[LabelValue, ...], Many] = Field(
        (), description="Values for `In` and `NotIn`; none for the others.", examples=[["1", "2"]]
    )


class LabelSelector(Strict):
    """A Kubernetes label selector: everything in it must match; an empty one matches everything."""

    match_labels: Labels = Field(
        default_factory=dict, description="Labels that must be equal.", examples=[{"tier": "1"}]
    )
    match_expressions: Annotated[tuple[LabelRequirement, ...], Many] = Field(
        (), description="Expressions that must hold.", examples=[[{"key": "tier", "operator": "In", "values": ["1"]}]]
    )

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether these labels are selected."""
        if any(labels.get(key) != value for key, value in self.match_labels.items()):
            return False
        for wanted in self.match_expressions:
            value = labels.get(wanted.key)
            match wanted.operator:
                case "In":
                    selected = value is not None and value in wanted.values
                case "NotIn":
                    selected = value is None or value not in wanted.values
                case "Exists":
                    selected = value is not None
                case "DoesNotExist":
                    selected = value is None
            if not selected:
                return False
        return True
