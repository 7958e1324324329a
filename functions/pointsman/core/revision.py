"""A revision is content: its name is the hash of what is served, by what, and where."""

from dataclasses import dataclass

__all__ = ["ModelVersion"]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model as a registry names it now. `artifact_uri` is what becomes `MODEL_URI`; a version may have none."""

    model: str
    version: str
    artifact_uri: str | None
    digest: str | None = None
    registry: str | None = None
