"""The command itself, over HTTP, against a server of recorded answers on this machine."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.bootstrap.conftest import Answering
from tests.bootstrap.planting import APIS, DATABASE, FUNCTIONS, POLICIES
from tests.bootstrap.recorded import LOCATION, PROJECT, changed, healthy

TOPICS = f"pubsub.googleapis.com/v1/projects/{PROJECT}/topics"
BILLING = f"cloudbilling.googleapis.com/v1/projects/{PROJECT}/billingInfo"


@pytest.fixture
def doctor(bootstrap: Callable[..., Any]) -> Callable[..., Any]:
    return partial(bootstrap, "doctor")


def test_a_healthy_project_is_well(google: Answering, doctor: Callable[..., Any]) -> None:
    status, out, _ = doctor()
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split() == ["VERDICT", "CHECK", "SUBJECT", "EVIDENCE"]
    assert {line.split()[0] for line in lines[1:-2]} == {"ok"}
    assert lines[-1] == f"{len(lines) - 3} ok"
    assert google.tokens == []


def test_a_fault_is_told_with_what_mends_it_and_ends_with_one(google: Answering, doctor: Callable[..., Any]) -> None:
    google.answers = changed(healthy(), BILLING, lambda body: body.update(billingEnabled=False))
    status, out, _ = doctor()
    assert status == 1
    assert "fail      billing" in out
    assert "to mend:\n  gcloud billing projects link acme-ml --billing-account=ACCOUNT\n" in out
    assert out.splitlines()[-1].endswith("1 fail")


def test_a_warning_and_what_is_unknown_fail_nothing(google: Answering, doctor: Callable[..., Any]) -> None:
    google.answers = changed(healthy(), DATABASE, lambda body: body.pop("deleteProtectionState"))
    google.answers[BILLING] = (403, {"error": {"message": "no"}})
    status, out, _ = doctor("-o", "json")
    found = json.loads(out)
    assert status == 0
    assert found["count"] == {"ok": 37, "warn": 1, "fail": 0, "unknown": 1}
    (warned,) = [one for one in found["findings"] if one["verdict"] == "warn"]
    assert warned == {
        "check": "database",
        "verdict": "warn",
        "subject": "pointsman",
        "evidence": "it may be deleted by mistake",
        "command": "gcloud firestore databases update --database=pointsman --project=acme-ml --delete-protection",
    }


def test_the_script_mends_what_fails_and_leaves_the_rest_as_comments(
    google: Answering, doctor: Callable[..., Any]
) -> None:
    google.answers = changed(healthy(), DATABASE, lambda body: body.pop("deleteProtectionState"))
    google.answers = changed(google.answers, BILLING, lambda body: body.update(billingEnabled=False))
    status, out, _ = doctor("--fix-script")
    assert status == 1
    assert out == (
        "#!/bin/sh\n"
        "# What `pointsman bootstrap doctor` would type for project acme-ml. Read it before you run it.\n"
        "set -eu\n"
        "\n"
        "# fail: billing: acme-ml: no billing account pays for it: nothing can be built\n"
        "gcloud billing projects link acme-ml --billing-account=ACCOUNT\n"
        "\n"
        "# warn: database: pointsman: it may be deleted by mistake\n"
        "# gcloud firestore databases update --database=pointsman --project=acme-ml --delete-protection\n"
    )


def test_the_script_runs_nothing_that_others_wrote_and_deletes_nothing(
    google: Answering, doctor: Callable[..., Any]
) -> None:
    def titled(body: Any) -> None:
        body["alertPolicies"][0].update(enabled=False, displayName="burn\nrm -rf ~")

    google.answers = changed(healthy(), POLICIES, titled)
    google.answers = changed(google.answers, DATABASE, lambda body: body.update(type="DATASTORE_MODE"))
    _, out, _ = doctor("--fix-script")
    done = [line for line in out.splitlines() if line and not line.startswith("#")]
    assert done == [
        "set -eu",
        "gcloud monitoring policies update projects/acme-ml/alertPolicies/1 --project=acme-ml --enabled",
    ]
    assert "# gcloud firestore databases delete --database=pointsman --project=acme-ml" in out.splitlines()


def test_before_anything_is_deployed_only_that_is_looked_at_which_must_hold_before(
    google: Answering, doctor: Callable[..., Any]
) -> None:
    google.answers = changed(healthy(), FUNCTIONS, lambda body: body.clear())
    google.answers = changed(google.answers, TOPICS, lambda body: body.clear())
    status, out, _ = doctor("-o", "json")
    checks = {one["check"] for one in json.loads(out)["findings"]}
    assert status == 0
    assert {"apis", "caller", "public-access", "cluster", "secrets"} <= checks
    assert not checks & {"functions", "topics", "database", "cluster-rbac"}
    status, out, _ = doctor("-o", "json", "--stage", "after")
    assert status == 1
    assert {"functions", "topics"} <= {one["check"] for one in json.loads(out)["findings"] if one["verdict"] == "fail"}


def test_the_lack_of_a_right_is_worse_before_than_after(google: Answering, doctor: Callable[..., Any]) -> None:
    url = f"POST cloudresourcemanager.googleapis.com/v3/projects/{PROJECT}:testIamPermissions"
    google.answers = changed(healthy(), url, lambda body: body["permissions"].remove("pubsub.topics.create"))
    assert doctor("--stage", "before")[0] == 1
    assert doctor("--stage", "after")[0] == 0


def test_an_api_that_is_off_is_no_fault_before_apply_which_puts_it_on(
    google: Answering, doctor: Callable[..., Any]
) -> None:
    google.answers = changed(healthy(), APIS, lambda body: body["services"][0].update(state="DISABLED"))
    assert doctor("--stage", "before")[0] == 0
    assert doctor("--stage", "after")[0] == 1


def test_without_a_cluster_nothing_is_asked_of_one(
    google: Answering, doctor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POINTSMAN_CLUSTER")
    _, out, _ = doctor("-o", "json")
    assert not {one["check"] for one in json.loads(out)["findings"]} & {"cluster", "nodes", "cluster-rbac"}


def test_a_cluster_by_its_membership_needs_no_dns_endpoint(google: Answering, doctor: Callable[..., Any]) -> None:
    dns = next(key.partition("/")[0] for key in healthy() if ".gke.goog" in key and not key.startswith("POST"))
    fleet, place = "projects/123456789012", "locations/us-central1/gkeMemberships/serving"
    gateway = f"us-central1-connectgateway.googleapis.com/v1/{fleet}/{place}"
    moved = {key.replace(dns, gateway): body for key, body in healthy().items()}
    cluster = next(key for key in moved if key.endswith("/clusters/serving"))
    google.answers = changed(moved, cluster, lambda body: body.pop("controlPlaneEndpointsConfig"))
    assert doctor("--connect-gateway", fleet)[0] == 0


def test_what_is_deployed_is_compared_with_an_archive(
    google: Answering, doctor: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "functions.zip").write_bytes(b"another")
    _, out, _ = doctor("-o", "json", "--archive", tmp_path / "functions.zip")
    stale = [one for one in json.loads(out)["findings"] if one["check"] == "archive"]
    assert {one["verdict"] for one in stale} == {"warn"}
    assert len(stale) == 9


def test_accelerators_that_are_asked_about_are_looked_for(google: Answering, doctor: Callable[..., Any]) -> None:
    _, out, _ = doctor("-o", "json", "--accelerator", "nvidia-h100-80gb")
    found = {(one["check"], one["verdict"], one["subject"]) for one in json.loads(out)["findings"]}
    assert ("accelerator-quota", "unknown", "nvidia-h100-80gb") in found
    assert ("accelerator-zones", "fail", "nvidia-h100-80gb in us-central1-a") in found


def test_an_endpoint_that_is_not_on_this_machine_is_refused(
    doctor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_GOOGLE_ENDPOINT", "198.51.100.7:443")
    status, _, err = doctor("--project", PROJECT, "--location", LOCATION)
    assert status == 1
    assert "is not on the loopback interface" in err


def test_without_a_project_it_is_wrong_usage(doctor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "POINTSMAN_LOCATION"):
        monkeypatch.delenv(name, raising=False)
    assert doctor()[0] == 2
