"""Every kind of fault, planted one by one and all together: each is named, and nothing else is."""

import pytest
from tests.bootstrap import planted_before, planted_deployed, planted_events
from tests.bootstrap.planting import Plant
from tests.bootstrap.recorded import Answers, healthy, site_of

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
