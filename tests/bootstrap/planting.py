"""How a fault is planted: a change in what Google answers, beside the one finding that it must lead to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bootstrap.recorded import CLUSTER, HERE, LOCATION, PROJECT, Answers, Change, changed

NUMBER = "123456789012"
DNS = f"gke-0a1b2c3d4e5f-{NUMBER}.{LOCATION}.gke.goog"
RUN = f"run.googleapis.com/v2/{HERE}/services"
PUBSUB = f"pubsub.googleapis.com/v1/projects/{PROJECT}"
DATABASE = f"firestore.googleapis.com/v1/projects/{PROJECT}/databases/pointsman"
ACCOUNTS = f"iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts"
PROJECT_POLICY = f"POST cloudresourcemanager.googleapis.com/v3/projects/{PROJECT}:getIamPolicy"
APIS = f"serviceusage.googleapis.com/v1/projects/{PROJECT}/services:batchGet"
FUNCTIONS = f"cloudfunctions.googleapis.com/v2/{HERE}/functions"
JOBS = f"cloudscheduler.googleapis.com/v1/{HERE}/jobs"
TRIGGERS = f"eventarc.googleapis.com/v1/{HERE}/triggers"
CHANNELS = f"monitoring.googleapis.com/v3/projects/{PROJECT}/notificationChannels"
POLICIES = f"monitoring.googleapis.com/v3/projects/{PROJECT}/alertPolicies"
RECEIVER = "POST pointsman-receive-webhook-4fqx5zlkva-uc.a.run.app/webhooks/github"
GKE = f"container.googleapis.com/v1/{CLUSTER}"


def account(name: str) -> str:
    return f"pointsman-{name}@{PROJECT}.iam.gserviceaccount.com"


@dataclass(frozen=True)
class Plant:
    """A change in what Google answers, and the one finding that it must lead to."""

    id: str
    key: str
    change: Change
    check: str
    verdict: str
    subject: str
    evidence: str
    command: str
    also: tuple[tuple[str, Change], ...] = ()
    """What must be so besides."""

    def into(self, answers: Answers) -> Answers:
        for key, change in ((self.key, self.change), *self.also):
            answers = changed(answers, key, change)
        return answers


def constraint(name: str) -> str:
    return f"orgpolicy.googleapis.com/v2/projects/{PROJECT}/policies/{name}:getEffectivePolicy"


def enforced(body: Any) -> None:
    body["spec"]["rules"] = [{"enforce": True}]


def allowed(*values: str) -> Callable[[Any], None]:
    return lambda body: body["spec"].update(rules=[{"values": {"allowedValues": list(values)}}])


def denied(*values: str) -> Callable[[Any], None]:
    return lambda body: body["spec"].update(rules=[{"values": {"deniedValues": list(values)}}])


def named(body: Any, key: str, end: str) -> Any:
    """The item of a list whose name ends so."""
    return next(item for item in body[key] if item["name"].endswith(end))


def without(key: str, end: str) -> Callable[[Any], None]:
    return lambda body: body.update({key: [item for item in body[key] if not item["name"].endswith(end)]})


def unbound(member: str, role: str = "") -> Callable[[Any], None]:
    def change(body: Any) -> None:
        for binding in body["bindings"]:
            if not role or binding["role"] == role:
                binding["members"] = [one for one in binding["members"] if one != member]

    return change


def unbound_of(role: str) -> Change:
    return lambda body: body.update(bindings=[one for one in body["bindings"] if one["role"] != role])


def function(name: str, change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda body: change(named(body, "functions", f"/pointsman-{name}"))


def subscription(end: str, change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda body: change(named(body, "subscriptions", end))


PUSH = "repo-pushed-on-repo-push"
UPDATE_PUSH = f"gcloud pubsub subscriptions update {PUSH} --project=acme-ml"
UPDATE_CLUSTER = "gcloud container clusters update serving --location=us-central1 --project=acme-ml"
APPLY = "pointsman bootstrap apply"
RBAC = "pointsman bootstrap rbac | kubectl apply -f -"
AGENT = f"serviceAccount:service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
MONITORING = f"serviceAccount:service-{NUMBER}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
ALLOW = "gcloud resource-manager org-policies allow"
LIFT = "gcloud resource-manager org-policies disable-enforce"
MORE = "gcloud beta quotas preferences create --service=compute.googleapis.com --quota-id="
NO_IAM = "gcloud run services update pointsman-receive-webhook --no-invoker-iam-check --region=us-central1"
