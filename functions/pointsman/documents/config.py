"""A repository that holds: its documents by name, each with the place where it was written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import BaseModel

from pointsman.documents.alert import AlertRule
from pointsman.documents.faults import Fault, Path
from pointsman.documents.platform import Platform
from pointsman.documents.policy import RolloutPolicy
from pointsman.documents.pool import AcceleratorPool
from pointsman.documents.service import ModelService

if TYPE_CHECKING:  # the composer loads yaml, which only a reader of repositories needs
    from pointsman.documents.compose import Place

__all__ = ["Config", "Loaded", "Written", "as_json", "canonical", "digest"]


@dataclass(frozen=True, slots=True)
class Written:
    """Where a document was written: its file, and the place of each of its fields."""

    file: str
    places: "Mapping[Path, Place]"

    def place(self, path: Path = ()) -> "Place":
        """Line and column of the field's key, or of the nearest ancestor that was written."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def at(self, path: Path = ()) -> str:
        """`file:line:column` of the field."""
        line, column = self.place(path)
        return f"{self.file}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class Config:
    """All documents of a commit, valid together. `metadata.namespace` of namespaced ones is filled in.

    Policies are keyed by namespace (None: the platform's) and name, services and rules by `namespace/name`,
    places by `Kind/namespace/name` with an empty namespace for the platform's documents.
    """

    platform: Platform
    pools: Mapping[str, AcceleratorPool]
    policies: Mapping[tuple[str | None, str], RolloutPolicy]
    services: Mapping[str, ModelService]
    rules: Mapping[str, AlertRule]
    places: Mapping[str, Written]

    def policy(self, namespace: str, name: str) -> RolloutPolicy | None:
        """The policy that this name means in a namespace: its own, then the platform's."""
        return self.policies.get((namespace, name)) or self.policies.get((None, name))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a repository came to: `config` is None exactly when there are faults; `documents` counts ours."""

    config: Config | None
    faults: tuple[Fault, ...]
    documents: int


def as_json(document: BaseModel) -> dict[str, object]:
    """A document as JSON values, defaults filled in, what was not said left out."""
    return document.model_dump(mode="json", by_alias=True, exclude_none=True)


def canonical(value: object) -> bytes:
    """JSON values in the one form that is hashed: sorted keys, no spaces, strings as written."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: object) -> str:
    """SHA-256 of the canonical form, in hex."""
    return sha256(canonical(value)).hexdigest()
