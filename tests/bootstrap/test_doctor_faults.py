"""Every kind of fault, planted one by one and all together: each is named, and nothing else is."""

from typing import Any

import pytest
from tests.bootstrap import planted_before, planted_deployed, planted_events
from tests.bootstrap.planting import (
    FUNCTIONS,
    PROJECT_POLICY,
    RUN,
    TRIGGERS,
    Plant,
    account,
    allowed,
    constraint,
    unbound,
    unbound_of,
)
from tests.bootstrap.recorded import Answers, Change, changed, healthy, site_of

from pointsman_cli.bootstrap.examining import CHECKS, examine
from pointsman_cli.bootstrap.finding import Finding

PLANTS = [*planted_before.PLANTS, *planted_deployed.PLANTS, *planted_events.PLANTS]


def not_well(answers: Answers) -> list[Finding]:
    return [one for one in examine(site_of(answers)) if one.verdict != "ok"]


def matches(plant: Plant, finding: Finding) -> bool:
    return (
        (finding.check, finding.verdict, finding.subject) == (plant.check, plant.verdict, plant.subject)
        and plant.evidence in finding.evidence
        and finding.command == plant.command
    )


def test_nothing_is_invented_of_a_healthy_project() -> None:
    findings = examine(site_of(healthy()))
    assert [one for one in findings if one.verdict != "ok"] == []
    assert [one.check for one in findings] == [check.id for check in CHECKS]


def traced(body: Any) -> None:
    for item in body["functions"]:
        if item["name"].endswith("/pointsman-notify"):
            item["serviceConfig"]["environmentVariables"]["POINTSMAN_TRACES"] = "google"


def told(name: str, value: str) -> Change:
    def change(body: Any) -> None:
        for item in body["functions"]:
            item["serviceConfig"]["environmentVariables"][name] = value

    return change


def held(role: str, who: str) -> Change:
    return lambda body: body["bindings"].append({"role": role, "members": [f"serviceAccount:{account(who)}"]})


NODE_POOLS = "iam.googleapis.com/v1/projects/acme-ml/roles/pointsmanNodePools"
VERTEX = "serviceusage.googleapis.com/v1/projects/acme-ml/services/aiplatform.googleapis.com"
TRACER = {"iam.googleapis.com/v1/roles/trace": {"includedPermissions": ["telemetry.traces.write"]}}


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        pytest.param([(FUNCTIONS, traced), (PROJECT_POLICY, held("roles/trace", "notify"))], TRACER, id="traces"),
        pytest.param(
            [
                (FUNCTIONS, told("POINTSMAN_POOLS", "resize")),
                (NODE_POOLS, lambda body: body["includedPermissions"].append("container.clusters.update")),
                (NODE_POOLS, lambda body: body["includedPermissions"].append("container.operations.get")),
            ],
            {},
            id="pools-are-resized",
        ),
        pytest.param(
            [
                (constraint("iam.allowedPolicyMemberDomains"), allowed("is:C03xgje4y")),
                (f"{RUN}/pointsman-receive-webhook", lambda body: body.update(invokerIamDisabled=True)),
                (f"{RUN}/pointsman-receive-webhook:getIamPolicy", lambda body: body.pop("bindings")),
            ],
            {},
            id="the-receiver-asks-iam-nothing",
        ),
        pytest.param(
            [
                (VERTEX, lambda body: body.update(state="DISABLED")),
                (TRIGGERS, lambda body: body.clear()),
                (f"{RUN}/pointsman-on-model-registered:getIamPolicy", unbound(f"serviceAccount:{account('eventarc')}")),
                (PROJECT_POLICY, unbound_of("projects/acme-ml/roles/pointsmanRegistry")),
            ],
            {},
            id="vertex-ai-is-not-listened-to",
        ),
    ],
)
def test_what_may_be_otherwise_is_no_fault(changes: list[tuple[str, Change]], more: Answers) -> None:
    answers = {**healthy(), **more}
    for key, change in changes:
        answers = changed(answers, key, change)
    assert not_well(answers) == []


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.id)
def test_a_fault_that_is_planted_is_named_with_what_mends_it_and_no_other(plant: Plant) -> None:
    found = not_well(plant.into(healthy()))
    assert len(found) == 1, found
    assert matches(plant, found[0]), found[0]


HIDDEN = {
    "rbac-not-applied": "no binding: nothing to ask about",
    "rbac-not-of-the-gateway": "the same list",
    "receiver-without-secrets": "one answer at a time",
    "receiver-believes-strangers": "one answer at a time",
    "schedule-missing": "no job: nothing else is wrong with it",
    "no-alert-policy": "none: nothing else is wrong with it",
    "function-runs-as-another": "the function is missing",
    "function-built-by-the-default-account": "the function is missing",
    "subscription-without-dead-letter": "no dead letter, no attempts",
    "cluster-too-old": "the same subject",
    "subscription-in-error": "it is detached",
}
"""Faults that another one hides, and why."""


def test_a_project_with_everything_wrong_hears_of_everything() -> None:
    planted = [plant for plant in PLANTS if plant.id not in HIDDEN]
    answers = healthy()
    for plant in planted:
        answers = plant.into(answers)
    found = not_well(answers)
    assert [plant.id for plant in planted if not any(matches(plant, one) for one in found)] == []
    assert [one for one in found if not any(matches(plant, one) for plant in PLANTS)] == []
    assert len(planted) >= 25


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert {check.id for check in CHECKS} - {plant.check for plant in PLANTS} == set()
