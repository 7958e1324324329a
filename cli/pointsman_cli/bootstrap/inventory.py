"""What of pointsman is in a project: each thing is asked for by its name."""

from collections.abc import Iterator
from dataclasses import dataclass

from pointsman.errors import Absent, Denied, Unavailable
from pointsman_cli.bootstrap.planning import existing
from pointsman_cli.bootstrap.site import Site

__all__ = ["Left", "inventory", "place"]


@dataclass(frozen=True, slots=True)
class Left:
    """A thing that is there; `unread`: why it is not known whether it is."""

    kind: str
    name: str
    remove: str
    unread: str = ""


def inventory(site: Site) -> Iterator[Left]:
    """What is there, and what may be."""
    for kind, name in existing(site.estate):
        url, remove = place(site, kind, name)
        if not url:
            continue
        try:
            found = site.google.find(url)
        except (Denied, Unavailable, Absent) as error:
            yield Left(kind, name, remove, unread=error.what)
            continue
        if found is not None:
            yield Left(kind, name, remove)


def place(site: Site, kind: str, name: str) -> tuple[str, str]:
    """Where a thing is asked for, and what takes it away; nothing for what has no name of its own in the project."""
    here, project = site.here, f"projects/{site.project}"
    region, only = f"--location={site.location} --project={site.project}", f"--project={site.project}"
    match kind:
        case "function":
            return (
                f"cloudfunctions.googleapis.com/v2/{here}/functions/{name}",
                f"gcloud functions delete {name} --region={site.location} {only}",
            )
        case "workflow":
            return f"workflows.googleapis.com/v1/{here}/workflows/{name}", f"gcloud workflows delete {name} {region}"
        case "topic":
            return f"pubsub.googleapis.com/v1/{project}/topics/{name}", f"gcloud pubsub topics delete {name} {only}"
        case "subscription":
            return (
                f"pubsub.googleapis.com/v1/{project}/subscriptions/{name}",
                f"gcloud pubsub subscriptions delete {name} {only}",
            )
        case "scheduler job":
            return (
                f"cloudscheduler.googleapis.com/v1/{here}/jobs/{name}",
                f"gcloud scheduler jobs delete {name} {region}",
            )
        case "Eventarc trigger":
            return (
                f"eventarc.googleapis.com/v1/{here}/triggers/{name}",
                f"gcloud eventarc triggers delete {name} {region}",
            )
        case "service account":
            email = f"{name}@{site.project}.iam.gserviceaccount.com"
            return (
                f"iam.googleapis.com/v1/{project}/serviceAccounts/{email}",
                f"gcloud iam service-accounts delete {email} {only}",
            )
        case "Firestore database":
            return (
                f"firestore.googleapis.com/v1/{project}/databases/{name}",
                f"gcloud firestore databases delete --database={name} {only}",
            )
        case "bucket":
            bucket = name.replace("PROJECT", site.project).replace("LOCATION", site.location)
            return f"storage.googleapis.com/storage/v1/b/{bucket}", f"gcloud storage rm --recursive gs://{bucket}"
        case "image repository":
            return (
                f"artifactregistry.googleapis.com/v1/{here}/repositories/{name}",
                f"gcloud artifacts repositories delete {name} {region}",
            )
    return "", ""  # backup schedules go with their database; channels and alert policies have numbers for names
