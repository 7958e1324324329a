"""What the checks look at: one project with its cluster, each thing read once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pointsman.adapters.kubernetes import through_gateway
from pointsman_cli.bootstrap.estate import Estate, Function, account_email
from pointsman_cli.bootstrap.rest import JSON, Google
from pointsman_cli.bootstrap.rights import Rights

__all__ = ["Site", "member", "short"]


@dataclass(frozen=True)
class Site:
    """`cluster` is a full resource name, or empty: then nothing is asked of one. `archive` is the content digest of
    the functions' archive that is deployed from here; empty where it cannot be built."""

    google: Google
    estate: Estate
    rights: Rights
    sources: Path
    project: str
    location: str
    now: datetime
    cluster: str = ""
    namespaces: Sequence[str] = ()
    accelerators: Sequence[str] = ()
    secrets: Sequence[str] = ()
    fleet: str = ""
    archive: str = ""
    deployed: bool = True
    _roles: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)

    # --- names ----------------------------------------------------------------------------------------------------

    @property
    def here(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"

    @property
    def database(self) -> str:
        return f"projects/{self.project}/databases/{self.estate.database}"

    def email(self, name: str) -> str:
        return account_email(name, self.project)

    def topic(self, name: str) -> str:
        return f"projects/{self.project}/topics/{name}"

    # --- what several checks read ---------------------------------------------------------------------------------

    def number(self) -> str:
        """The project's number, which agents of Google's services are named after."""
        found = self.google.get(f"cloudresourcemanager.googleapis.com/v3/projects/{self.project}")
        return short(str(found["name"]))

    def policy(self) -> Sequence[JSON]:
        """The project's IAM bindings."""
        url = f"cloudresourcemanager.googleapis.com/v3/projects/{self.project}:getIamPolicy"
        answer = self.google.ask(url, {"options": {"requestedPolicyVersion": 3}})
        return list(answer.get("bindings") or ())

    def roles(self, email: str) -> set[str]:
        """Roles that a service account has in the project."""
        return {str(one["role"]) for one in self.policy() if member(email) in one.get("members", ())}

    def permissions(self, role: str) -> frozenset[str]:
        """What a role permits; a predefined one, or one of the project's own."""
        if role not in self._roles:
            found = self.google.get(f"iam.googleapis.com/v1/{role}")
            self._roles[role] = frozenset(found.get("includedPermissions") or ())
        return self._roles[role]

    def functions(self) -> Mapping[str, JSON]:
        """Entry point → the function as it is deployed, of those that bear our name."""
        ours = {function.id: function.name for function in self.estate.functions}
        url = f"cloudfunctions.googleapis.com/v2/{self.here}/functions"
        found = {short(str(item["name"])): item for item in self.google.pages(url, "functions")}
        return {ours[name]: item for name, item in found.items() if name in ours}

    def settings(self, function: str | None = None) -> Mapping[str, str]:
        """What a deployed function is told; without a name, what all are told, together."""
        found: dict[str, str] = {}
        for name, item in self.functions().items():
            if function in (None, name):
                found |= (item.get("serviceConfig") or {}).get("environmentVariables") or {}
        return found

    def vertex_ai(self) -> bool:
        """Whether Vertex AI's registry is listened to: Terraform puts its API on where it is wanted."""
        api = f"serviceusage.googleapis.com/v1/projects/{self.project}/services/aiplatform.googleapis.com"
        return self.google.get(api).get("state") == "ENABLED"

    def uri(self, function: Function) -> str:
        """Where a function is called; empty where it is not deployed, which the check `functions` says."""
        item = self.functions().get(function.name) or {}
        return str((item.get("serviceConfig") or {}).get("uri") or "")

    def invokers(self, function: Function) -> set[str]:
        """Members that may invoke a function."""
        url = f"run.googleapis.com/v2/{self.here}/services/{function.id}:getIamPolicy"
        bindings = self.google.get(url).get("bindings") or ()
        return {one for item in bindings if item["role"] == "roles/run.invoker" for one in item.get("members", ())}

    def subscriptions(self) -> Iterator[JSON]:
        yield from self.google.pages(f"pubsub.googleapis.com/v1/projects/{self.project}/subscriptions", "subscriptions")

    def holders(self, resource: str, role: str) -> set[str]:
        """Members with a role on a topic or a subscription."""
        found = self.google.get(f"pubsub.googleapis.com/v1/{resource}:getIamPolicy").get("bindings") or ()
        return {one for item in found if item["role"] == role for one in item.get("members", ())}

    def the_cluster(self) -> JSON:
        return self.google.get(f"container.googleapis.com/v1/{self.cluster}")

    def inside(self) -> str:
        """Where the cluster's API is asked: at its DNS endpoint, or by the Connect gateway; empty: nowhere."""
        if self.fleet:
            return through_gateway(self.fleet, self.cluster).removeprefix("https://")
        config: Any = self.the_cluster().get("controlPlaneEndpointsConfig") or {}
        return str((config.get("dnsEndpointConfig") or {}).get("endpoint") or "")


def short(name: str) -> str:
    """The last part of a resource name."""
    return name.rpartition("/")[2]


def member(email: str) -> str:
    return f"serviceAccount:{email}"
