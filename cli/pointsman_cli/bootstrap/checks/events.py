"""What carries events: topics, subscriptions, dead letters, triggers, the schedule; and who does it for Google."""

from collections.abc import Iterator, Mapping
from typing import Any

from pointsman_cli.bootstrap.checks.deployed import APPLY
from pointsman_cli.bootstrap.estate import Function
from pointsman_cli.bootstrap.finding import Check, Finding, each, fail, warn
from pointsman_cli.bootstrap.site import Site, member, short

__all__ = ["CHECKS"]

AGENTS: Mapping[str, tuple[str, ...]] = {
    "gcp-sa-eventarc": ("roles/eventarc.serviceAgent",),
    "gcp-sa-pubsub": ("roles/pubsub.serviceAgent", "roles/iam.serviceAccountTokenCreator"),  # before April 2021
    "gcp-sa-workflows": ("roles/workflows.serviceAgent",),
    "gcp-sa-cloudscheduler": ("roles/cloudscheduler.serviceAgent",),
}
"""Domain of a service's agent → the role that Google gives it at first use, or what does instead."""

TOLD_TO_RESTORE = ("gcp-sa-eventarc", "gcp-sa-pubsub")
"""Those whose role must be restored where it was taken away, says Google ("Roles and permissions for Eventarc")."""

PUBLISHERS: Mapping[str, str] = {"monitoring": "gcp-sa-monitoring-notification"}


def _agent(site: Site, domain: str) -> str:
    return f"service-{site.number()}@{domain}.iam.gserviceaccount.com"


def _topics(site: Site) -> Iterator[Finding]:
    url = f"pubsub.googleapis.com/v1/projects/{site.project}/topics"
    there = {short(str(item["name"])) for item in site.google.pages(url, "topics")}
    for topic in site.estate.topics:
        for name in (topic, f"{topic}-dead"):
            if name not in there:
                yield fail(name, "there is no such topic", APPLY)


def _pushed(site: Site) -> Iterator[tuple[Function, Mapping[str, Any] | None]]:
    """Each function that a topic reaches, and the subscription that does it."""
    every = list(site.subscriptions())
    for function in site.estate.functions:
        if function.topic:
            topic = site.topic(function.topic)
            yield function, next((one for one in every if one.get("topic") == topic and one.get("pushConfig")), None)


def _subscriptions(site: Site) -> Iterator[Finding]:
    for function, item in _pushed(site):
        if item is None:
            yield fail(str(function.topic), f"no subscription pushes it to {function.id}", APPLY)
            continue
        yield from _subscription(site, function, item)
    kept = {short(str(item["topic"])) for item in site.subscriptions()}
    for topic in site.estate.topics:
        if f"{topic}-dead" not in kept:
            yield fail(f"{topic}-dead", "it has no subscription: dead letters are lost", APPLY)


def _subscription(site: Site, function: Function, item: Mapping[str, Any]) -> Iterator[Finding]:
    name = short(str(item["name"]))
    if not _delivers(item):
        said = "it is detached" if item.get("detached") else "its state is RESOURCE_ERROR"
        command = f"gcloud pubsub subscriptions describe {name} --project={site.project}"
        yield fail(name, f"{said}: nothing is delivered", command if not item.get("detached") else APPLY)
    push = item["pushConfig"]
    uri = site.uri(function)
    if uri and str(push.get("pushEndpoint") or "").rstrip("/") != uri.rstrip("/"):
        yield fail(name, f"it pushes to {push.get('pushEndpoint')}, and not to {function.id}", APPLY)
    token = push.get("oidcToken") or {}
    carrier = site.email(site.estate.carriers["topic"])
    if token.get("serviceAccountEmail") != carrier:
        said = f"as {token['serviceAccountEmail']}" if token.get("serviceAccountEmail") else "without identity"
        command = (
            f"gcloud pubsub subscriptions update {name} --project={site.project} --push-endpoint={uri}"
            f" --push-auth-service-account={carrier} --push-auth-token-audience={uri}"
        )
        yield fail(name, f"it pushes {said}", command)
    yield from _bounds(site, function, name, item)


def _delivers(item: Mapping[str, Any]) -> bool:
    return not item.get("detached") and item.get("state") != "RESOURCE_ERROR"


def _bounds(site: Site, function: Function, name: str, item: Mapping[str, Any]) -> Iterator[Finding]:
    ours = site.estate.push
    update = f"gcloud pubsub subscriptions update {name} --project={site.project}"
    dead, attempts = f"{function.topic}-dead", ours["attempts_max"]
    policy = item.get("deadLetterPolicy") or {}
    command = f"{update} --dead-letter-topic={dead} --max-delivery-attempts={attempts}"
    if short(str(policy.get("deadLetterTopic") or "")) != dead:
        yield fail(name, "it has no dead letter: what cannot be taken comes for ever, then is lost", command)
    elif policy.get("maxDeliveryAttempts") != attempts:
        yield warn(name, f"the dead letter comes after {policy.get('maxDeliveryAttempts')} attempts", command)
    if int(item.get("ackDeadlineSeconds") or 10) < function.timeout_s:
        what = f"it delivers again after {item.get('ackDeadlineSeconds')} s, while {function.id} still works"
        yield warn(name, what, f"{update} --ack-deadline={ours['ack_deadline_s']}")
    if (item.get("expirationPolicy") or {}).get("ttl"):
        what = f"it is deleted after {item['expirationPolicy']['ttl']} without an event"
        yield fail(name, what, f"{update} --expiration-period=never")


def _dead_letters(site: Site) -> Iterator[Finding]:
    """Pub/Sub's agent moves what failed: without both grants it does nothing, and says nothing."""
    agent = member(_agent(site, "gcp-sa-pubsub"))

    def look(pair: tuple[Function, Mapping[str, Any] | None]) -> Iterator[Finding]:
        function, item = pair
        dead = f"{function.topic}-dead"
        if agent not in site.holders(site.topic(dead), "roles/pubsub.publisher"):
            command = f"gcloud pubsub topics add-iam-policy-binding {dead} --member={agent}"
            command += f" --role=roles/pubsub.publisher --project={site.project}"
            yield fail(dead, "Pub/Sub may not publish there: no dead letter arrives", command)
        if item is not None and agent not in site.holders(str(item["name"]), "roles/pubsub.subscriber"):
            name = short(str(item["name"]))
            command = f"gcloud pubsub subscriptions add-iam-policy-binding {name} --member={agent}"
            command += f" --role=roles/pubsub.subscriber --project={site.project}"
            yield fail(name, "Pub/Sub may not take from it: no dead letter arrives", command)

    yield from each(_pushed(site), look, lambda pair: f"{pair[0].topic}-dead")


def _publishers(site: Site) -> Iterator[Finding]:
    for topic, services in site.estate.publishers.items():
        for service in services:
            agent = member(_agent(site, PUBLISHERS[service]))
            if agent not in site.holders(site.topic(topic), "roles/pubsub.publisher"):
                command = f"gcloud pubsub topics add-iam-policy-binding {topic} --member={agent}"
                command += f" --role=roles/pubsub.publisher --project={site.project}"
                yield fail(topic, f"Cloud {service.title()} may not publish there: alerts are not heard", command)


def _agents(site: Site) -> Iterator[Finding]:
    held = {(str(one["role"]), who) for one in site.policy() for who in one.get("members", ())}
    for domain, roles in AGENTS.items():
        agent = member(_agent(site, domain))
        if not any((role, agent) in held for role in roles):
            command = f"gcloud projects add-iam-policy-binding {site.project} --member={agent} --role={roles[0]}"
            verdict = fail if domain in TOLD_TO_RESTORE else warn
            yield verdict(agent, f"Google's agent does not hold {roles[0]}", command)


def _triggers(site: Site) -> Iterator[Finding]:
    """Of the audit log. Terraform makes them where Vertex AI's registry is wanted, and puts its API on."""
    if not site.vertex_ai():
        return
    there: dict[str, Mapping[str, Any]] = {}
    delivering = {str(one["name"]) for one in site.subscriptions() if _delivers(one)}
    for trigger in site.google.pages(f"eventarc.googleapis.com/v1/{site.here}/triggers", "triggers"):
        for one in trigger.get("eventFilters") or ():
            if one.get("attribute") == "methodName":
                there[str(one.get("value"))] = trigger
    for function in site.estate.functions:
        for method in function.methods:
            item = there.get(method)
            if item is None:
                yield fail(method, "no trigger listens for it", APPLY)
                continue
            name = short(str(item["name"]))
            for condition in (item.get("conditions") or {}).values():
                if condition.get("code") not in (None, "OK"):
                    command = f"gcloud eventarc triggers describe {name} --location={site.location}"
                    yield fail(name, f"{condition.get('code')}: {condition.get('message')}", command)
            own = str(((item.get("transport") or {}).get("pubsub") or {}).get("subscription") or "")
            if own not in delivering:
                command = f"gcloud eventarc triggers describe {name} --location={site.location}"
                yield fail(name, "its own subscription is gone, detached or in error", command)
            run = (item.get("destination") or {}).get("cloudRun") or {}
            if short(str(run.get("service") or "")) != function.id:
                yield fail(name, f"it leads to {run.get('service')}, and not to {function.id}", APPLY)


def _schedule(site: Site) -> Iterator[Finding]:
    jobs = list(site.google.pages(f"cloudscheduler.googleapis.com/v1/{site.here}/jobs", "jobs"))
    for function in site.estate.functions:
        if not function.schedule:
            continue
        job = next((one for one in jobs if short(str(one["name"])) == function.id), None)
        if job is None:
            yield fail(function.id, "no job calls it", APPLY)
            continue
        where = f"{function.id} --location={site.location} --project={site.project}"
        if job.get("state") != "ENABLED":
            command = f"gcloud scheduler jobs resume {where}"
            yield fail(function.id, f"its job is {job.get('state')}: nothing is swept, no lost event found", command)
        if job.get("schedule") != function.schedule:
            command = f"gcloud scheduler jobs update http {where} --schedule='{function.schedule}'"
            yield fail(function.id, f"its job comes at {job.get('schedule')}", command)
        target = job.get("httpTarget") or {}
        carrier = site.email(site.estate.carriers["schedule"])
        if (target.get("oidcToken") or {}).get("serviceAccountEmail") != carrier:
            command = f"gcloud scheduler jobs update http {where} --oidc-service-account-email={carrier}"
            yield fail(function.id, "its job comes without the scheduler's identity", command)
        code = int((job.get("status") or {}).get("code") or 0)
        if code:
            command = f"gcloud functions logs read {function.id} --region={site.location} --project={site.project}"
            yield warn(function.id, f"its last run failed with code {code}", command)


CHECKS = (
    Check("topics", "after", "all are there", _topics),
    Check("subscriptions", "after", "all deliver, with identity, retry and dead letter", _subscriptions),
    Check("dead-letters", "after", "Pub/Sub may fill them", _dead_letters),
    Check("alert-publisher", "after", "Cloud Monitoring may publish incidents", _publishers),
    Check("service-agents", "after", "all have Google's roles", _agents),
    Check("triggers", "after", "every method is listened for", _triggers),
    Check("schedule", "after", "it runs every minute", _schedule),
)
