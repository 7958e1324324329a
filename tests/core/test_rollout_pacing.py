"""Steps that are left on evidence: by what the next one may cost at most. And pods that are bad alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.core.rollout_lab import Lab, plan, rollout, verdict

from pointsman.core.judge.verdict import Action, Verdict
from pointsman.core.rollout.memory import memory_of
from pointsman.core.rollout.observation import Announce
from pointsman.core.rollout_plan import StepPlan

PACED = plan(steps=tuple(StepPlan(weight, 60.0) for weight in (5, 25, 50)), extra_bad_answers=20, min_requests=0)


def judged(harm: float | None, *, action: Action = "continue", share: float = 0.05) -> Verdict:
    """100 requests a second in all; `harm`: extra bad answers per canary request, at most."""
    found = verdict(action, split=share)
    return replace(found, numbers={**found.numbers, "harm_at_most": harm, "requests_per_s": 100.0 * share})


@pytest.mark.parametrize(
    ("harm", "next_weight"),
    [
        # A minute of 25 % has 1,500 canary requests, of 50 % has 3,000, the bake of 8 s at 98 % 784.
        pytest.param(0.02, 5, id="thirty-may-be-lost-the-step-is-not-left"),
        pytest.param(0.013, 25, id="19.5-may-be-lost-at-a-quarter-39-at-a-half"),
        pytest.param(0.006, 98, id="18-may-be-lost-at-a-half-4.7-in-the-bake"),
        pytest.param(None, 5, id="nothing-is-known"),
    ],
)
def test_the_furthest_step_within_the_budget_is_next(harm: float | None, next_weight: int) -> None:
    lab = Lab(rollout(PACED)).until("stepping")
    for _ in range(4):
        lab.tick(verdict=judged(harm))
    assert lab.rollout.want == next_weight


def test_without_a_budget_a_step_is_left_by_the_clock_alone() -> None:
    lab = Lab(rollout(replace(PACED, extra_bad_answers=None))).until("stepping")
    for _ in range(30):
        lab.tick(verdict=judged(0.0))
    assert lab.rollout.want == 5


def test_a_step_that_people_approve_is_not_passed_over() -> None:
    steps = (StepPlan(5, 60.0), StepPlan(25, 60.0, approvals=1, approval_expires_s=3600.0), StepPlan(50, 60.0))
    lab = Lab(rollout(replace(PACED, steps=steps))).until("stepping")
    for _ in range(4):
        lab.tick(verdict=judged(0.0001))
    assert lab.rollout.want == 25


def test_a_step_whose_longest_time_is_over_is_held_until_the_evidence_is_there() -> None:
    lab = Lab(rollout(replace(PACED, without_data_wait_s=600.0))).until("stepping")
    for _ in range(65):
        lab.tick(verdict=judged(0.5))
    assert lab.state == "held"
    assert lab.rollout.reason == (
        "no evidence: the next step may cost 20 extra bad answers, only more than 750 are excluded"
    )
    lab.tick(verdict=judged(0.01))
    lab.tick(verdict=judged(0.01))
    assert lab.rollout.want == 25


def test_a_step_that_was_just_entered_is_not_over_by_the_verdict_that_let_it_in() -> None:
    steps = (StepPlan(5, 60.0), StepPlan(25, 60.0, approvals=1, approval_expires_s=3600.0), StepPlan(50, 60.0))
    lab = Lab(rollout(replace(PACED, steps=steps))).until("stepping")
    while lab.rollout.want == 5:
        lab.tick(verdict=judged(0.0001))
    lab.rollout = replace(lab.rollout, verdict=judged(0.0001).as_json())  # as it is kept with every tick
    for _ in range(3):
        lab.tick(verdict=None)
    assert (lab.state, memory_of(lab.rollout).asked, memory_of(lab.rollout).undecided) == ("stepping", None, None)


def test_a_hold_is_never_evidence() -> None:
    lab = Lab(rollout(PACED)).until("stepping")
    for _ in range(10):
        lab.tick(verdict=judged(0.0, action="hold"))
    assert lab.rollout.want == 5


def test_a_step_that_goes_on_without_data_says_what_could_have_been_seen() -> None:
    thin = plan(min_requests=100, without_data_then="Advance")
    lab = Lab(rollout(thin)).until("stepping")
    found = verdict(requests=20)
    thin_verdict = replace(found, numbers={**found.numbers, "baseline": {"requests": 380, "bad": 2}})
    notes: list[str] = []
    for _ in range(90):
        notes += lab.tick(verdict=thin_verdict).notes
    assert any("not judged, as withoutData.then says (detectable ratio was ≥ 4" in note for note in notes), notes


def test_a_bad_pod_is_replaced_once_and_people_are_told() -> None:
    lab = Lab(rollout()).until("stepping")
    found = verdict("hold", cause="bad-pod")
    bad = replace(found, numbers={**found.numbers, "replaced_pods": ["digits-00000002-x7"]})
    for _ in range(3):
        lab.tick(0.1, verdict=bad)
    assert memory_of(lab.rollout).replaced == ("digits-00000002-x7",)
    told = [action.text for action in lab.took(Announce) if "one pod is bad" in action.text]
    assert told == ["one pod is bad, not the version: digits-00000002-x7 is replaced"]
    assert lab.now - lab.rollout.state_since < timedelta(minutes=1)


def test_where_the_judge_only_observes_no_pod_is_replaced() -> None:
    lab = Lab(rollout(plan(enforced=False))).until("stepping")
    found = verdict("continue", cause="bad-pod")
    lab.tick(0.1, verdict=replace(found, numbers={**found.numbers, "replaced_pods": ["digits-00000002-x7"]}))
    assert memory_of(lab.rollout).replaced == ()
    assert not [action.text for action in lab.took(Announce) if "one pod is bad" in action.text]
