"""What may not be read, is not there, or does not answer: never taken for well, nor for a fault that is not one."""

import json

import pytest
from tests.bootstrap.recorded import PROJECT, Answers, Recorded, healthy, site_of

from pointsman.errors import Absent, Denied, Invalid, Unavailable
from pointsman_cli.bootstrap.examining import CHECKS, PERIMETER, examine
from pointsman_cli.bootstrap.finding import run
from pointsman_cli.bootstrap.rest import Google

OURS = "POST pointsman-receive-webhook-4fqx5zlkva-uc.a.run.app/webhooks/github"
GRANT = f'gcloud projects add-iam-policy-binding {PROJECT} --member="user:$(gcloud config get account)" --role='
BY_ID = {check.id: check for check in CHECKS}


def refusing(status: int, *keys: str, **error: object) -> Answers:
    body = {"error": {"code": status, "message": "no", **error}}
    return {**healthy(), **{key: (status, body) for key in keys if key != OURS}}


NOT_FOUND = {
    "apis": "unknown",
    "caller": "unknown",
    "billing": "unknown",
    "public-access": "ok",  # a constraint that is not known is set by nobody
    "ingress": "ok",
    "egress": "ok",
    "default-account": "unknown",
    "restrictions": "ok",
    "cluster": "fail",
    "cluster-features": "unknown",
    "cluster-apis": "unknown",
    "nodes": "unknown",
    "accelerator-quota": "unknown",
    "accelerator-zones": "unknown",
    "cluster-rbac": "unknown",
    "functions": "unknown",
    "archive": "unknown",
    "services": "fail",
    "invokers": "unknown",
    "receiver": "unknown",
    "workflows": "fail",
    "topics": "unknown",
    "subscriptions": "unknown",
    "dead-letters": "unknown",
    "alert-publisher": "unknown",
    "service-agents": "unknown",
    "triggers": "unknown",
    "schedule": "unknown",
    "accounts": "fail",
    "account-keys": "ok",  # no account, no key; `accounts` says so
    "account-roles": "unknown",
    "account-rights": "unknown",
    "secrets": "unknown",
    "database": "fail",
    "database-expiry": "fail",
    "database-backups": "fail",
    "notification-channel": "unknown",
    "alert-policies": "unknown",
    "dead-letter-count": "unknown",
}
"""Check → its verdict where every answer is 404."""


@pytest.mark.parametrize("name", list(BY_ID))
def test_a_check_that_may_read_nothing_knows_nothing(name: str) -> None:
    found = run(BY_ID[name], site_of(refusing(403, *healthy())))
    assert {one.verdict for one in found} == {"unknown"}
    assert all(one.command.startswith(GRANT + "roles/") for one in found)


@pytest.mark.parametrize("name", list(BY_ID))
def test_a_check_where_nothing_is_there(name: str) -> None:
    found = run(BY_ID[name], site_of(refusing(404, *healthy())))
    assert {one.verdict for one in found} == {NOT_FOUND[name]}


@pytest.mark.parametrize("name", list(BY_ID))
def test_a_check_without_any_answer_knows_nothing(name: str) -> None:
    assert {one.verdict for one in run(BY_ID[name], site_of(refusing(503, *healthy())))} == {"unknown"}


@pytest.mark.parametrize("key", sorted(set(healthy()) - {OURS}))
def test_one_answer_that_is_refused_is_unknown_and_invents_no_fault(key: str) -> None:
    found = [one for one in examine(site_of(refusing(403, key))) if one.verdict != "ok"]
    assert found
    assert {one.verdict for one in found} == {"unknown"}


def test_what_cannot_be_read_of_one_thing_hides_nothing_of_the_others() -> None:
    email = f"pointsman-{{}}@{PROJECT}.iam.gserviceaccount.com"
    accounts = f"iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts/"
    answers = refusing(403, accounts + email.format("on-alert"))
    answers[accounts + email.format("notify")] = {"disabled": True}
    found = run(BY_ID["accounts"], site_of(answers))
    assert [(one.verdict, one.subject) for one in found] == [
        ("unknown", email.format("on-alert")),
        ("fail", email.format("notify")),
    ]


@pytest.mark.parametrize(
    "details",
    [
        {"details": [{"reason": "SECURITY_POLICY_VIOLATED", "domain": "googleapis.com"}]},
        {"message": "Request is prohibited. vpcServiceControlsUniqueIdentifier: Xk3"},
    ],
    ids=["by-reason", "by-message"],
)
def test_a_refusal_by_a_perimeter_is_said_once_more_for_all(details: dict[str, object]) -> None:
    keys = [key for key in healthy() if "pubsub.googleapis.com" in key or "workflows.googleapis.com" in key]
    found = examine(site_of(refusing(403, *keys, **details)))
    (last,) = [one for one in found if one.check == PERIMETER]
    assert last.verdict == "warn"
    assert "pubsub.googleapis.com, workflows.googleapis.com" in last.evidence
    assert {one.verdict for one in found} == {"ok", "unknown", "warn"}


def test_an_api_that_is_off_is_put_on_where_one_would_look() -> None:
    url = f"orgpolicy.googleapis.com/v2/projects/{PROJECT}/policies/run.allowedIngress:getEffectivePolicy"
    found = run(BY_ID["ingress"], site_of(refusing(403, url, details=[{"reason": "SERVICE_DISABLED"}])))
    assert [(one.verdict, one.command) for one in found] == [
        ("unknown", f"gcloud services enable orgpolicy.googleapis.com --project={PROJECT}")
    ]


def test_an_identity_that_has_expired_is_renewed() -> None:
    url = f"cloudbilling.googleapis.com/v1/projects/{PROJECT}/billingInfo"
    (found,) = run(BY_ID["billing"], site_of(refusing(401, url)))
    assert (found.verdict, found.command) == ("unknown", "gcloud auth application-default login")


# --- the client --------------------------------------------------------------------------------------------------


def test_pages_are_read_to_the_end() -> None:
    class Paged(Recorded):
        def exchange(self, method: str, url: str, *_: object) -> tuple[int, bytes]:
            first = "pageToken=" not in url
            page = {"items": [{"n": 1}], "nextPageToken": "n2"} if first else {"items": [{"n": 2}, {"n": 3}]}
            return 200, json.dumps(page).encode()

    assert list(Paged({}).pages("pubsub.googleapis.com/v1/x", "items")) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_pages_without_an_end_are_given_up() -> None:
    class Endless(Recorded):
        def exchange(self, method: str, url: str, *_: object) -> tuple[int, bytes]:
            return 200, json.dumps({"items": [{}], "nextPageToken": url[-9:]}).encode()

    with pytest.raises(Unavailable, match="more than 50 pages"):
        list(Endless({}).pages("pubsub.googleapis.com/v1/x", "items"))


def test_nothing_is_posted_that_may_change_something() -> None:
    with pytest.raises(AssertionError, match="may change something"):
        Recorded({}).ask(f"pubsub.googleapis.com/v1/projects/{PROJECT}/topics/x:setIamPolicy", {})


def test_only_what_reads_is_sent_in_a_whole_examination() -> None:
    site = site_of(healthy())
    examine(site)
    assert isinstance(site.google, Recorded)
    posts = {key for key in site.google.asked if key.startswith("POST ")}
    ends = (":testIamPermissions", ":getIamPolicy", "/subjectaccessreviews", "/webhooks/github")
    assert posts
    assert all(key.endswith(ends) for key in posts)


def test_credentials_go_to_nobody_but_google() -> None:
    class Credentials:
        def before_request(self, *_: object) -> None:
            raise AssertionError("a token was asked for")

    begun = ("evil.example#.googleapis.com", "evil.example?x.gke.goog", "a@evil.example:443#.gke.goog")
    for host in ("evil.example.com", "googleapis.com.example.com", "gke.goog.example.com", *begun):
        with pytest.raises(Invalid, match="no host of Google's"):
            Google(PROJECT, Credentials()).get(f"{host}/v1/x")


@pytest.mark.parametrize(
    ("status", "error"), [(401, Denied), (403, Denied), (404, Absent), (429, Unavailable), (500, Unavailable)]
)
def test_a_status_becomes_an_error_and_an_answer_is_asked_for_once(status: int, error: type[Exception]) -> None:
    google = Recorded({"run.googleapis.com/v2/x": (status, {})})
    for _ in range(2):
        with pytest.raises(error):
            google.get("run.googleapis.com/v2/x")
    assert len(google.asked) == 1
