"""What a deployment consists of, by name: `bootstrap/topology.yaml` in a project and a region.

The rules by which things are named are here and in `bootstrap/terraform`; `tests/bootstrap` holds one against the
other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from pointsman.errors import Absent

__all__ = [
    "APIS",
    "BUILD_ACCOUNT",
    "Estate",
    "Function",
    "Workflow",
    "account_email",
    "account_id",
    "estate",
    "location_option",
    "project_option",
    "sources",
]

F = TypeVar("F", bound=Callable[..., Any])

APIS = (
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "container.googleapis.com",
    "eventarc.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
    "workflowexecutions.googleapis.com",
    "workflows.googleapis.com",
)
"""Services that must be on in the project."""

BUILD_ACCOUNT = "build"


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the topology. `name` is its entry point; the rest is as in `bootstrap/topology.yaml`."""

    name: str
    topic: str | None
    public: bool
    invokers: Sequence[str]
    schedule: str | None
    methods: Sequence[str]
    memory_mib: int
    timeout_s: int
    secrets: Sequence[str]
    may: Sequence[str]

    @property
    def id(self) -> str:
        """The function's id, and that of its Cloud Run service."""
        return account_id(self.name)


@dataclass(frozen=True, slots=True)
class Workflow:
    name: str
    may: Sequence[str]


@dataclass(frozen=True, slots=True)
class Estate:
    """What is in the topology.

    `carriers`: way into a function (`topic`, `schedule`, `audit`) → who calls it for Google. `push` is what every
    subscription of ours has, `expiring` the ledger's collections that forget by a field.
    """

    topics: Sequence[str]
    functions: Sequence[Function]
    workflows: Sequence[Workflow]
    carriers: Mapping[str, str]
    push: Mapping[str, Any]
    database: str
    expiring: Mapping[str, str]
    publishers: Mapping[str, Sequence[str]]
    """Topic → services of Google's that publish there."""
    alerts: Sequence[str] = ()
    """Names of the alert policies in `dashboards/alerts`, each of one condition."""

    @property
    def holders(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Name of each function and workflow, and what it may do."""
        yield from ((one.name, one.may) for one in self.functions)
        yield from ((one.name, one.may) for one in self.workflows)

    @property
    def everybody(self) -> Sequence[str]:
        """Whoever has a service account."""
        return [*(name for name, _ in self.holders), *self.carriers.values(), BUILD_ACCOUNT]

    def carriers_of(self, function: Function) -> Sequence[str]:
        """Who calls a function for Google."""
        ways = {"topic": function.topic, "schedule": function.schedule, "audit": function.methods}
        return [self.carriers[way] for way, comes in ways.items() if comes]

    @property
    def secrets(self) -> Sequence[str]:
        return sorted({secret for function in self.functions for secret in function.secrets})

    def function(self, name: str) -> Function:
        return next(one for one in self.functions if one.name == name)


def sources() -> Path:
    """The folder with `functions/`, `workflows/` and `bootstrap/`. Raises Absent where the command is installed alone.

    The wheel carries what the local cloud deploys; Terraform's files are those of a checkout.
    """
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "bootstrap" / "topology.yaml").is_file():
        return checkout
    carried = Path(__file__).resolve().parents[2] / "pointsman_local" / "deployed"
    if (carried / "bootstrap" / "topology.yaml").is_file():
        return carried
    raise Absent("bootstrap/topology.yaml is not there", where=str(checkout), remedy="run it from a checkout")


def estate(folder: Path) -> Estate:
    """Read `folder/bootstrap/topology.yaml`. KeyError names what is missing: the file is ours, not a user's."""
    data: dict[str, Any] = yaml.safe_load((folder / "bootstrap" / "topology.yaml").read_text())
    return Estate(
        topics=tuple(data["topics"]),
        functions=tuple(_function(name, item) for name, item in data["functions"].items()),
        workflows=tuple(Workflow(name, tuple(item["may"])) for name, item in data["workflows"].items()),
        carriers=data["carriers"],
        push=data["push"],
        database=data["ledger"]["database"],
        expiring={name: item["expires"] for name, item in data["ledger"]["collections"].items() if "expires" in item},
        alerts=tuple(sorted(path.stem for path in (folder / "dashboards" / "alerts").glob("*.yaml"))),
        publishers={name: tuple(item.get("publishers", ())) for name, item in data["topics"].items()},
    )


def _function(name: str, item: Mapping[str, Any]) -> Function:
    return Function(
        name=name,
        topic=item.get("topic"),
        public=item.get("public", False),
        invokers=tuple(item.get("invokers", ())),
        schedule=item.get("schedule"),
        methods=tuple(item.get("audit", {}).get("methods", ())),
        memory_mib=item["memory_mib"],
        timeout_s=item["timeout_s"],
        secrets=tuple(item.get("secrets", ())),
        may=tuple(item["may"]),
    )


def account_id(name: str) -> str:
    """`pointsman-on-repo-push` of `on_repo_push`."""
    return f"pointsman-{name.replace('_', '-')}"


def account_email(name: str, project: str) -> str:
    """The e-mail address of a function's or a workflow's service account."""
    return f"{account_id(name)}@{project}.iam.gserviceaccount.com"


def project_option(function: F) -> F:
    return click.option(
        "--project", envvar="GOOGLE_CLOUD_PROJECT", required=True, help="Project that pointsman runs in."
    )(function)


def location_option(function: F) -> F:
    return click.option(
        "--location", envvar="POINTSMAN_LOCATION", required=True, help="Region of its functions and workflows."
    )(function)
