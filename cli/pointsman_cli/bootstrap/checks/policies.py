"""Organization policies that would refuse something. One that nobody set, or that is not known, refuses nothing.

Names of constraints: Google's "Organization policy constraints". A rule with a condition counts as if it held.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pointsman_cli.bootstrap.estate import APIS
from pointsman_cli.bootstrap.finding import Check, Finding, each, fail, warn
from pointsman_cli.bootstrap.site import Site

__all__ = ["CHECKS", "Rules", "rules"]


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy in effect. `allowed` is None where everything is that is not `denied`."""

    enforced: bool = False
    allowed: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()

    def allows(self, *values: str) -> bool:
        """Whether one of these spellings of a value is allowed."""
        return not self.denied & set(values) and (self.allowed is None or bool(self.allowed & set(values)))


def rules(site: Site, constraint: str) -> Rules:
    url = f"orgpolicy.googleapis.com/v2/projects/{site.project}/policies/{constraint}:getEffectivePolicy"
    answer = site.google.find(url) or {}
    found: Sequence[Mapping[str, Any]] = (answer.get("spec") or {}).get("rules") or ()
    allowed: set[str] | None = None
    denied: set[str] = set()
    for rule in found:
        values = rule.get("values") or {}
        if rule.get("denyAll"):
            allowed = allowed or set()
        if values.get("allowedValues"):
            allowed = (allowed or set()) | {_plain(value) for value in values["allowedValues"]}
        denied |= {_plain(value) for value in values.get("deniedValues") or ()}
    return Rules(
        enforced=any(rule.get("enforce") for rule in found),
        allowed=None if allowed is None else frozenset(allowed),
        denied=frozenset(denied),
    )


def _plain(value: str) -> str:
    """`is:` says what is so without it; `in:` names a group and stays."""
    return value.removeprefix("is:")


def _lift(site: Site, constraint: str) -> str:
    return f"gcloud resource-manager org-policies disable-enforce {constraint} --project={site.project}"


def _allow(site: Site, constraint: str, value: str) -> str:
    return f"gcloud resource-manager org-policies allow {constraint} {value} --project={site.project}"


def _of(*looks: Callable[[Site], Iterator[Finding]]) -> Callable[[Site], Iterator[Finding]]:
    """Several constraints as one check: what cannot be read of one hides no other."""

    def look(site: Site) -> Iterator[Finding]:
        yield from each(looks, lambda one: one(site), lambda one: one.__name__.strip("_").replace("_", " "))

    return look


def _enforced(constraint: str, what: str) -> Callable[[Site], Iterator[Finding]]:
    def look(site: Site) -> Iterator[Finding]:
        if rules(site, constraint).enforced:
            yield fail(constraint, what, _lift(site, constraint))

    look.__name__ = constraint
    return look


# --- who may call ------------------------------------------------------------------------------------------------


def _domains(site: Site) -> Iterator[Finding]:
    """The receiver's Cloud Run service asks IAM nothing where everybody may not be a member ("Allowing public access",
    Cloud Run's documentation)."""
    for constraint in ("iam.allowedPolicyMemberDomains", "iam.managed.allowedPolicyMembers"):
        found = rules(site, constraint)
        if (found.enforced or not found.allows("allUsers")) and not _without_iam(site):
            command = (
                f"gcloud run services update pointsman-receive-webhook --no-invoker-iam-check --region={site.location}"
            )
            what = "allUsers may be no member: apply with `public_receiver = false`, then turn the IAM check off"
            yield fail(constraint, what, command)


def _without_iam(site: Site) -> bool:
    url = f"run.googleapis.com/v2/{site.here}/services/pointsman-receive-webhook"
    return bool((site.google.find(url) or {}).get("invokerIamDisabled"))


# --- networks ----------------------------------------------------------------------------------------------------


def _ingress(site: Site) -> Iterator[Finding]:
    for constraint, everywhere in (
        ("cloudfunctions.allowedIngressSettings", "ALLOW_ALL"),
        ("run.allowedIngress", "all"),
    ):
        if not rules(site, constraint).allows(everywhere):
            what = "webhooks come from outside, and the receiver may not be reached from there"
            yield fail(constraint, what, _allow(site, constraint, everywhere))


def _egress(site: Site) -> Iterator[Finding]:
    constraint = "run.allowedVPCEgress"
    if not rules(site, constraint).allows("private-ranges-only"):
        what = "all traffic must leave by a VPC, and the functions have none"
        yield fail(constraint, what, _allow(site, constraint, "private-ranges-only"))


# --- places and services -----------------------------------------------------------------------------------------


def _locations(site: Site) -> Iterator[Finding]:
    constraint, region = "gcp.resourceLocations", site.location
    found = rules(site, constraint)
    area = {"us": "us", "northamerica": "northamerica", "europe": "eu", "asia": "asia"}.get(
        region.partition("-")[0], ""
    )
    spellings = [region, f"in:{region}-locations", f"in:{region.partition('-')[0]}-locations"]
    spellings += [f"in:{area}-locations"] if area else []
    if found.allows(*spellings):
        return
    allowed = ", ".join(sorted(found.allowed or ())) or "nothing"
    yield fail(constraint, f"{region} is not among {allowed}", _allow(site, constraint, f"in:{region}-locations"))


def _usage(site: Site) -> Iterator[Finding]:
    constraint = "gcp.restrictServiceUsage"
    found = rules(site, constraint)
    for api in APIS:
        if not found.allows(api):
            yield fail(api, f"{constraint} forbids its use", _allow(site, constraint, api))


def _keys(site: Site) -> Iterator[Finding]:
    constraint = "gcp.restrictNonCmekServices"
    for api in sorted(rules(site, constraint).denied & set(APIS)):
        what = f"{constraint} wants a customer's key for it, and pointsman makes none"
        yield fail(api, what, f"gcloud resource-manager org-policies delete {constraint} --project={site.project}")


# --- accounts ----------------------------------------------------------------------------------------------------


def _default_account(site: Site) -> Iterator[Finding]:
    """Nothing of pointsman runs or is built as the default account; one that may edit the project is an open door."""
    email = f"{site.number()}-compute@developer.gserviceaccount.com"
    account = site.google.find(f"iam.googleapis.com/v1/projects/{site.project}/serviceAccounts/{email}")
    if account is None or account.get("disabled"):
        return
    if "roles/editor" in site.roles(email):
        member = f"--member=serviceAccount:{email}"
        command = f"gcloud projects remove-iam-policy-binding {site.project} {member} --role=roles/editor"
        yield warn(email, "the default account may edit the whole project", command)


CHECKS = (
    Check(
        "public-access",
        "before",
        "the receiver may be public",
        _of(_domains, _enforced("run.managed.requireInvokerIam", "the receiver may not be public by any means")),
    ),
    Check("ingress", "before", "functions may be reached from outside", _of(_ingress)),
    Check(
        "egress",
        "before",
        "no VPC is asked for",
        _of(_egress, _enforced("cloudfunctions.requireVPCConnector", "functions must have a VPC connector")),
    ),
    Check("default-account", "before", "the default account may not edit the project", _default_account),
    Check(
        "restrictions",
        "before",
        "accounts, region and services are allowed",
        _of(
            _enforced("iam.disableServiceAccountCreation", "no service account may be made"),
            _locations,
            _usage,
            _keys,
        ),
    ),
)
