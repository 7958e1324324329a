"""A revision is content: its name is the hash of what is served, by what, and where."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from pointsman.core.names import JSON, RevisionName

__all__ = ["ModelVersion", "ResolvedModel", "canonical", "digest", "resolve", "revision_name"]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model as a registry names it now. `artifact_uri` is what becomes `MODEL_URI`; a version may have none."""

    model: str
    version: str
    artifact_uri: str | None
    digest: str | None = None
    registry: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model with nothing left to look up. `content` is what the revision's name is made of.

    `version` is None where the document names none: the revision's eight hex digits stand in for it.
    """

    content: JSON
    uri: str
    name: str | None
    version: str | None
    digest: str | None = None

    def as_json(self) -> dict[str, object]:
        """What the ledger keeps with the revision."""
        known = {"uri": self.uri, "name": self.name, "version": self.version, "digest": self.digest}
        return {**{key: value for key, value in known.items() if value is not None}, "content": dict(self.content)}


def canonical(value: object) -> str:
    """Canonical JSON: sorted keys, no spaces, strings as written."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """SHA-256 over the canonical JSON of `value`, 64 hex digits."""
    return sha256(canonical(value).encode()).hexdigest()


def resolve(model: JSON, found: ModelVersion | None) -> ResolvedModel | None:
    """The model of a document, resolved by what its registry answered; None while there is no artifact.

    `model` is the document's `spec.model` (`uri`, or `registry`, `name` with `alias` or `version`). The
    `version` beside a `uri` is a label for people and no content.
    """
    uri = model.get("uri")
    if isinstance(uri, str):
        label = model.get("version")
        return ResolvedModel({"uri": uri}, uri, None, label if isinstance(label, str) else None)
    if found is None or found.artifact_uri is None:
        return None
    content = {
        "registry": found.registry or model.get("registry"),
        "name": model.get("name"),
        "version": found.version,
        "artifact": found.artifact_uri,
    }
    return ResolvedModel(content, found.artifact_uri, str(model.get("name")), found.version, found.digest)


def revision_name(service: str, resolved: JSON, template: JSON, pool: str | None) -> RevisionName:
    """`<service>-<8 hex>` of the resolved model's content, the pod template and the pool's name.

    What pointsman adds to the template is not in it, so an upgrade renames nothing.
    """
    content: Mapping[str, object] = {"model": resolved, "template": template, "pool": pool}
    return RevisionName(f"{service}-{digest(content)[:8]}")
