"""What keeps and what warns: secrets, the ledger's database, notification channel and alert policies."""

from collections.abc import Iterator
from datetime import timedelta
from shlex import quote

from pointsman_cli.bootstrap.checks.deployed import APPLY
from pointsman_cli.bootstrap.finding import Check, Finding, each, fail, warn
from pointsman_cli.bootstrap.site import Site, short

__all__ = ["CHECKS"]

LOOK_BACK = timedelta(hours=24)


def _secrets(site: Site) -> Iterator[Finding]:
    """Those that were named, and those that the deployed functions name. Values are never read."""
    names = set(site.secrets)
    for item in site.functions().values() if site.deployed else ():
        service = item.get("serviceConfig") or {}
        names |= {str(volume["secret"]) for volume in service.get("secretVolumes") or ()}
        token = (service.get("environmentVariables") or {}).get("POINTSMAN_REPOSITORY_TOKEN")
        names |= {str(token)} if token else set()

    def look(name: str) -> Iterator[Finding]:
        url = f"secretmanager.googleapis.com/v1/projects/{site.project}/secrets/{name}"
        if site.google.find(url) is None:
            yield fail(name, "there is no such secret", f"gcloud secrets create {quote(name)} --project={site.project}")
        elif not list(site.google.pages(f"{url}/versions", "versions", {"filter": "state:ENABLED"})):
            command = f"gcloud secrets versions add {quote(name)} --data-file=- --project={site.project}"
            yield fail(name, "it has no enabled version", command)

    yield from each(sorted(names), look)


def _database(site: Site) -> Iterator[Finding]:
    url = f"firestore.googleapis.com/v1/{site.database}"
    name = site.estate.database
    database = site.google.find(url)
    if database is None:
        yield fail(name, "there is no such database", APPLY)
        return
    update = f"gcloud firestore databases update --database={name} --project={site.project}"
    if database.get("type") != "FIRESTORE_NATIVE":
        command = f"gcloud firestore databases delete --database={name} --project={site.project}"
        yield fail(name, f"it is of type {database.get('type')}; a native one must be made in its place", command)
    if database.get("pointInTimeRecoveryEnablement") != "POINT_IN_TIME_RECOVERY_ENABLED":
        yield warn(name, "it cannot be read as it was an hour ago", f"{update} --enable-pitr")
    if database.get("deleteProtectionState") != "DELETE_PROTECTION_ENABLED":
        yield warn(name, "it may be deleted by mistake", f"{update} --delete-protection")


def _expiry(site: Site) -> Iterator[Finding]:
    """What was claimed is forgotten by a TTL policy; without it the ledger grows with every event."""
    for collection, field in site.estate.expiring.items():
        url = f"firestore.googleapis.com/v1/{site.database}/collectionGroups/{collection}/fields/{field}"
        state = ((site.google.find(url) or {}).get("ttlConfig") or {}).get("state")
        if state != "ACTIVE":
            command = (
                f"gcloud firestore fields ttls update {field} --collection-group={collection} --enable-ttl"
                f" --database={site.estate.database} --project={site.project}"
            )
            verdict = warn if state == "CREATING" else fail
            yield verdict(f"{collection}.{field}", f"its TTL policy is {state or 'not there'}", command)


def _backups(site: Site) -> Iterator[Finding]:
    answer = site.google.find(f"firestore.googleapis.com/v1/{site.database}/backupSchedules") or {}
    if not answer.get("backupSchedules"):
        command = (
            f"gcloud firestore backups schedules create --database={site.estate.database} --recurrence=daily"
            f" --retention=7d --project={site.project}"
        )
        yield fail(site.estate.database, "nothing backs it up", command)


# --- alerts ------------------------------------------------------------------------------------------------------


def _channel(site: Site) -> Iterator[Finding]:
    if not (ours := _channels(site)):
        yield fail("notification channel", "no incident reaches on_alert", APPLY)
    for item in ours:
        name = str(item["name"])
        if item.get("enabled") is False:
            command = f"gcloud beta monitoring channels update {name} --enabled --project={site.project}"
            yield fail(short(name), "it is disabled: alerts are not heard", command)
        if item.get("verificationStatus") == "UNVERIFIED":
            command = f"gcloud beta monitoring channels describe {name} --project={site.project}"
            yield fail(short(name), "it is not verified: alerts are not heard", command)


def _channels(site: Site) -> list[dict[str, object]]:
    """Those that publish to our topic."""
    topics = {site.topic(name) for name, services in site.estate.publishers.items() if "monitoring" in services}
    url = f"monitoring.googleapis.com/v3/projects/{site.project}/notificationChannels"
    return [
        dict(item)
        for item in site.google.pages(url, "notificationChannels")
        if item.get("type") == "pubsub" and (item.get("labels") or {}).get("topic") in topics
    ]


def _policies(site: Site) -> Iterator[Finding]:
    """Alert policies that lead to us: `pointsman`'s own bear its label."""
    channels = {str(item["name"]) for item in _channels(site)}
    url = f"monitoring.googleapis.com/v3/projects/{site.project}/alertPolicies"
    every = list(site.google.pages(url, "alertPolicies"))
    ours = [item for item in every if (item.get("userLabels") or {}).get("app") == "pointsman"]
    if not ours:
        yield warn("alert policies", "there are none of pointsman's (alerting = false?)", APPLY)
    for item in ours:
        name, title = str(item["name"]), str(item.get("displayName") or short(str(item["name"])))
        update = f"gcloud monitoring policies update {name} --project={site.project}"
        if item.get("enabled") is False:
            yield fail(title, "the alert policy is disabled", f"{update} --enabled")
        if not channels & set(item.get("notificationChannels") or ()):
            channel = min(channels, default="CHANNEL")
            yield fail(title, "its incidents do not reach on_alert", f"{update} --add-notification-channels={channel}")


def _dead_now(site: Site) -> Iterator[Finding]:
    """Messages that were given up within a day."""
    query = {
        "filter": 'metric.type="pubsub.googleapis.com/subscription/dead_letter_message_count"',
        "interval.startTime": (site.now - LOOK_BACK).isoformat(),
        "interval.endTime": site.now.isoformat(),
    }
    topics = tuple(f"{topic}-" for topic in site.estate.topics)
    for item in site.google.pages(
        f"monitoring.googleapis.com/v3/projects/{site.project}/timeSeries", "timeSeries", query
    ):
        name = str(((item.get("resource") or {}).get("labels") or {}).get("subscription_id") or "")
        count = sum(int((one.get("value") or {}).get("int64Value") or 0) for one in item.get("points") or ())
        if count and name.startswith(topics):
            dead = next(topic for topic in site.estate.topics if name.startswith(f"{topic}-"))
            command = f"gcloud pubsub subscriptions pull {dead}-dead --limit=5 --project={site.project}"
            yield warn(name, f"{count} events were given up within a day", command)


CHECKS = (
    Check("secrets", "before", "each has an enabled version", _secrets),
    Check("database", "after", "native, with recovery and delete protection", _database),
    Check("database-expiry", "after", "what was claimed is forgotten in time", _expiry),
    Check("database-backups", "after", "it is backed up", _backups),
    Check("notification-channel", "after", "incidents reach on_alert", _channel),
    Check("alert-policies", "after", "all are on and reach on_alert", _policies),
    Check("dead-letter-count", "after", "no event was given up within a day", _dead_now),
)
