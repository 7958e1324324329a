"""`bootstrap/topology.yaml`, as the local cloud reads it: what it has to start, and who may call whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Function", "Push", "Topology", "deployed", "load"]


@dataclass(frozen=True, slots=True)
class Push:
    """What every push subscription of ours has. `account`: who its tokens say that it is."""

    account: str
    ack_deadline_s: int
    backoff_s: tuple[float, float]
    attempts_max: int
    retention_s: int


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its entry point in `main.py`, and its one way in."""

    name: str
    topic: str | None
    public: bool
    invokers: Sequence[str]
    schedule: str | None
    carriers: Sequence[str]
    """Accounts that call it for Google: its topic's, its schedule's."""
    timeout_s: int
    concurrency: int
    may: Sequence[str]


@dataclass(frozen=True, slots=True)
class Topology:
    topics: Sequence[str]
    push: Push
    functions: Mapping[str, Function]
    workflows: Mapping[str, Mapping[str, str]]
    """Workflow → its user variables, each naming the function whose URL it holds."""
    scheduler: str
    """The account that calls what has a schedule."""


def deployed() -> Path:
    """The folder with `functions/`, `workflows/` and `bootstrap/`: a checkout, or what the wheel carries."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "bootstrap" / "topology.yaml").exists() else Path(__file__).parent / "deployed"


def load(folder: Path) -> Topology:
    """Read `folder/bootstrap/topology.yaml`. KeyError names what is missing: the file is ours, not a user's."""
    data: dict[str, Any] = yaml.safe_load((folder / "bootstrap" / "topology.yaml").read_text())
    push, carriers = data["push"], data["carriers"]
    return Topology(
        topics=tuple(data["topics"]),
        push=Push(
            account=carriers["topic"],
            ack_deadline_s=push["ack_deadline_s"],
            backoff_s=(push["backoff_s"][0], push["backoff_s"][1]),
            attempts_max=push["attempts_max"],
            retention_s=push["retention_s"],
        ),
        functions={
            name: Function(
                name=name,
                topic=entry.get("topic"),
                public=entry.get("public", False),
                invokers=tuple(entry.get("invokers", ())),
                schedule=entry.get("schedule"),
                carriers=tuple(carriers[way] for way in ("topic", "schedule") if way in entry),
                timeout_s=entry["timeout_s"],
                concurrency=entry.get("concurrency", 1),
                may=tuple(entry["may"]),
            )
            for name, entry in data["functions"].items()
        },
        workflows={name: dict(entry.get("env", {})) for name, entry in data["workflows"].items()},
        scheduler=carriers["schedule"],
    )
