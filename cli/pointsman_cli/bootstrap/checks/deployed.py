"""Functions, their one way in, and workflows: that they are there, run as themselves, and are of this checkout."""

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

from pointsman_cli.bootstrap.estate import BUILD_ACCOUNT, Function, Workflow
from pointsman_cli.bootstrap.finding import Check, Finding, each, fail, warn
from pointsman_cli.bootstrap.site import Site, member, short

__all__ = ["APPLY", "CHECKS", "EVERYBODY"]

APPLY = "pointsman bootstrap apply"
EVERYBODY = {"allUsers", "allAuthenticatedUsers"}
WEBHOOK = "/webhooks/github"


def _functions(site: Site) -> Iterator[Finding]:
    there = site.functions()
    for function in site.estate.functions:
        item = there.get(function.name)
        if item is None:
            yield fail(function.id, "it is not deployed", APPLY)
            continue
        if item.get("state") != "ACTIVE":
            said = "; ".join(str(one.get("message", "")) for one in item.get("stateMessages") or ())
            command = f"gcloud functions logs read {function.id} --region={site.location} --project={site.project}"
            yield fail(function.id, f"its state is {item.get('state')}" + (f": {said}" if said else ""), command)
        yield from _as_itself(site, function, item)


def _as_itself(site: Site, function: Function, item: Mapping[str, Any]) -> Iterator[Finding]:
    service, build = item.get("serviceConfig") or {}, item.get("buildConfig") or {}
    runs_as = str(service.get("serviceAccountEmail") or "the default account")
    if runs_as != site.email(function.name):
        yield fail(function.id, f"it runs as {runs_as}", APPLY)
    builder = short(str(build.get("serviceAccount") or "the default account"))
    if builder != site.email(BUILD_ACCOUNT):
        yield fail(function.id, f"it is built by {builder}", APPLY)


def _archive(site: Site) -> Iterator[Finding]:
    """The archive's name holds its digest, so that what is deployed can be compared without reading it."""
    for name, item in site.functions().items():
        source = ((item.get("buildConfig") or {}).get("source") or {}).get("storageSource") or {}
        if site.archive and site.archive[:12] not in str(source.get("object") or ""):
            what = f"it is of the archive {source.get('object')}, this checkout's is {site.archive[:12]}"
            yield warn(site.estate.function(name).id, what, APPLY)


def _services(site: Site) -> Iterator[Finding]:
    def look(function: Function) -> Iterator[Finding]:
        service = site.google.find(f"run.googleapis.com/v2/{site.here}/services/{function.id}")
        if service is None:
            yield fail(function.id, "it has no Cloud Run service", APPLY)
            return
        condition = service.get("terminalCondition") or {}
        if condition.get("state") != "CONDITION_SUCCEEDED":
            command = f"gcloud run services describe {function.id} --region={site.location} --project={site.project}"
            yield fail(function.id, f"it is not ready: {condition.get('message') or condition.get('state')}", command)
        if function.public and service.get("ingress") != "INGRESS_TRAFFIC_ALL":
            command = f"gcloud run services update {function.id} --ingress=all --region={site.location}"
            yield fail(function.id, f"its ingress is {service.get('ingress')}: no webhook gets in", command)

    yield from each(site.estate.functions, look, lambda function: function.id)


def _invokers(site: Site) -> Iterator[Finding]:
    """Each function is called by whom the topology names, and only the receiver by everybody."""

    def look(function: Function) -> Iterator[Finding]:
        invokers = site.invokers(function)
        where = f"--region={site.location} --project={site.project} --role=roles/run.invoker"
        if function.public:
            service = site.google.get(f"run.googleapis.com/v2/{site.here}/services/{function.id}")
            if not service.get("invokerIamDisabled") and "allUsers" not in invokers:
                command = f"gcloud run services update {function.id} --no-invoker-iam-check --region={site.location}"
                yield fail(function.id, "webhooks are turned away before they reach it", command)
            return
        for who in sorted(invokers & EVERYBODY):
            command = f"gcloud run services remove-iam-policy-binding {function.id} --member={quote(who)} {where}"
            yield fail(function.id, f"{who} may call it", command)
        names = [name for name in function.invokers if name != "operators"] + list(site.estate.carriers_of(function))
        if not site.vertex_ai():
            names = [name for name in names if name != site.estate.carriers["audit"]]
        expected = {member(site.email(name)) for name in names}
        for who in sorted(expected - invokers):
            command = f"gcloud run services add-iam-policy-binding {function.id} --member={quote(who)} {where}"
            yield fail(function.id, f"{who} may not call it", command)
        if "operators" not in function.invokers:
            for who in sorted(invokers - expected - EVERYBODY):
                command = f"gcloud run services remove-iam-policy-binding {function.id} --member={quote(who)} {where}"
                yield warn(function.id, f"{who} may call it, and the topology does not say so", command)

    yield from each(site.estate.functions, look, lambda function: function.id)


def _receiver(site: Site) -> Iterator[Finding]:
    """A call without a signature is refused by our code with 401 and no body; by IAM with 403 and a page."""
    for function in site.estate.functions:
        if not function.public or not site.uri(function):
            continue
        status, body = site.google.knock(site.uri(function) + WEBHOOK)
        logs = f"gcloud functions logs read {function.id} --region={site.location} --project={site.project}"
        if status in (401, 403) and not (status == 401 and not body.strip()):
            command = f"gcloud run services update {function.id} --no-invoker-iam-check --region={site.location}"
            yield fail(function.id, f"Google answers {status} in its place: webhooks do not reach it", command)
        elif status == 503:
            yield fail(function.id, "it answers 503: it cannot read the webhooks' secrets, or publish", logs)
        elif status != 401:
            yield fail(function.id, f"an unsigned call is answered with {status}, not 401", logs)


def _workflows(site: Site) -> Iterator[Finding]:
    def look(workflow: Workflow) -> Iterator[Finding]:
        item = site.google.find(f"workflows.googleapis.com/v1/{site.here}/workflows/{workflow.name}")
        if item is None:
            yield fail(workflow.name, "it is not deployed", APPLY)
            return
        if item.get("state") != "ACTIVE":
            said = (item.get("stateError") or {}).get("details") or item.get("state")
            yield fail(workflow.name, f"it cannot be executed: {said}", APPLY)
        runs_as = short(str(item.get("serviceAccount") or "the default account"))
        if runs_as != site.email(workflow.name):
            yield fail(workflow.name, f"it runs as {runs_as}", APPLY)
        ours = (site.sources / "workflows" / f"{workflow.name}.yaml").read_text()
        if str(item.get("sourceContents") or "").strip() != ours.strip():
            yield warn(workflow.name, f"revision {item.get('revisionId')} is not this checkout's file", APPLY)

    yield from each(site.estate.workflows, look, lambda workflow: workflow.name)


CHECKS = (
    Check("functions", "after", "all are active, and run and are built as they should", _functions),
    Check("archive", "after", "all are of this checkout's archive", _archive),
    Check("services", "after", "all are ready", _services),
    Check("invokers", "after", "each is called by whom the topology names", _invokers),
    Check("receiver", "after", "an unsigned call is refused by its own code", _receiver),
    Check("workflows", "after", "all are active and this checkout's", _workflows),
)
