"""The project itself: its APIs, its bill, and what the person who asks may do there."""

from collections.abc import Iterator, Mapping

from pointsman_cli.bootstrap.estate import APIS
from pointsman_cli.bootstrap.finding import Check, Finding, fail, warn
from pointsman_cli.bootstrap.site import Site, short

__all__ = ["CHECKS", "NEEDED"]

NEEDED: Mapping[str, str] = {
    "artifactregistry.repositories.create": "roles/artifactregistry.admin",
    "cloudfunctions.functions.create": "roles/cloudfunctions.admin",
    "cloudscheduler.jobs.create": "roles/cloudscheduler.admin",
    "container.clusters.get": "roles/container.clusterViewer",
    "datastore.databases.create": "roles/datastore.owner",
    "eventarc.triggers.create": "roles/eventarc.admin",
    "iam.roles.create": "roles/iam.roleAdmin",
    "iam.serviceAccounts.actAs": "roles/iam.serviceAccountUser",
    "iam.serviceAccounts.create": "roles/iam.serviceAccountAdmin",
    "logging.logMetrics.create": "roles/logging.configWriter",
    "monitoring.alertPolicies.create": "roles/monitoring.editor",
    "pubsub.topics.create": "roles/pubsub.admin",
    "resourcemanager.projects.setIamPolicy": "roles/resourcemanager.projectIamAdmin",
    "run.services.setIamPolicy": "roles/run.admin",
    "secretmanager.secrets.create": "roles/secretmanager.admin",
    "serviceusage.services.enable": "roles/serviceusage.serviceUsageAdmin",
    "storage.buckets.create": "roles/storage.admin",
    "workflows.workflows.create": "roles/workflows.admin",
}
"""A permission that `terraform apply` needs → the role that has it and all its like."""


def _apis(site: Site) -> Iterator[Finding]:
    url = f"serviceusage.googleapis.com/v1/projects/{site.project}/services:batchGet"
    answer = site.google.get(url, {"names": [f"projects/{site.project}/services/{name}" for name in APIS]})
    on = {short(str(item["name"])) for item in answer.get("services") or () if item.get("state") == "ENABLED"}
    for name in APIS:
        if name not in on:
            command = f"gcloud services enable {name} --project={site.project}"
            yield fail(name, "the API is off", command) if site.deployed else warn(name, "apply puts it on", command)


def _caller(site: Site) -> Iterator[Finding]:
    url = f"cloudresourcemanager.googleapis.com/v3/projects/{site.project}:testIamPermissions"
    granted = set(site.google.ask(url, {"permissions": list(NEEDED)}).get("permissions") or ())
    for permission, role in NEEDED.items():
        if permission not in granted:
            say = warn if site.deployed else fail
            member = '--member="user:$(gcloud config get account)"'
            command = f"gcloud projects add-iam-policy-binding {site.project} {member} --role={role}"
            yield say(permission, "you lack it, and apply would stop half-way", command)


def _billing(site: Site) -> Iterator[Finding]:
    answer = site.google.get(f"cloudbilling.googleapis.com/v1/projects/{site.project}/billingInfo")
    if not answer.get("billingEnabled"):
        command = f"gcloud billing projects link {site.project} --billing-account=ACCOUNT"
        yield fail(site.project, "no billing account pays for it: nothing can be built", command)


CHECKS = (
    Check("apis", "before", f"all {len(APIS)} APIs are on", _apis),
    Check("caller", "before", f"you have all {len(NEEDED)} permissions that apply begins with", _caller),
    Check("billing", "before", "billing is on", _billing),
)
