"""The samples of `tests/events`: what senders send, byte for byte."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

__all__ = ["CARRIED", "FOLDER", "HOOKS", "Sample", "named", "sample"]

FOLDER = Path(__file__).parents[1] / "events"


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. `facts` is the whole headers file: secrets and when it was received, besides."""

    name: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    facts: Mapping[str, Any]


def sample(name: str) -> Sample:
    facts = cast("dict[str, Any]", json.loads((FOLDER / f"{name}.headers.json").read_text()))
    files = (FOLDER / facts.get("body_file", ""), FOLDER / f"{name}.json", FOLDER / f"{name}.txt")
    body = next(file for file in files if file.is_file())
    return Sample(name, facts["path"], facts["headers"], body.read_bytes(), facts)


def named(*prefixes: str) -> list[str]:
    """The names of all samples that begin with one of `prefixes`, sorted."""
    names = (file.name.removesuffix(".headers.json") for file in FOLDER.glob("*.headers.json"))
    return sorted(name for name in names if name.startswith(prefixes))


HOOKS = named("github", "gitlab", "mlflow", "alertmanager", "grafana")
"""What senders post to the public receiver."""
CARRIED = named("pubsub", "monitoring", "vertex", "ci")
"""What Pub/Sub and Eventarc deliver."""
