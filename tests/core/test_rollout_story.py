"""Whole rollouts by `transition` alone: what is walked through, which weights are asked for, how it ends."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.core.rollout_lab import FREEZE, NEW, NOON, OLD, Lab, command, plan, rollout, verdict

from pointsman.core.rollout import world
from pointsman.core.rollout.observation import (
    Announce,
    AskPool,
    Block,
    Drained,
    EndSuperseded,
    Placed,
    SetStable,
    Side,
)
from pointsman.core.rollout_plan import StepPlan


def test_a_healthy_canary_walks_its_steps_bakes_and_is_promoted() -> None:
    lab = Lab(rollout())
    assert lab.run().state == "promoted"
    assert lab.states == ["pending", "placing", "stepping", "baking", "completing", "promoted"]
    assert lab.history == [0, 5, 25, 50, 98, 100]
    assert lab.weights == {NEW: 100}
    assert lab.replicas == {OLD: 0, NEW: 1}
    assert lab.took(SetStable) == [SetStable(NEW, good=True)]
    assert lab.took(Placed) == [Placed(NEW)]
    assert lab.took(Drained) == [Drained((OLD,))]
    assert [action.notice for action in lab.took(Announce)] == ["RolloutStarted", "RolloutPromoted"]


def test_a_promoted_rollout_of_the_demo_takes_little_more_than_its_holds() -> None:
    lab = Lab(rollout())
    lab.run(seconds=0.3, ticks=1000)
    assert lab.state == "promoted"
    assert lab.now - NOON < timedelta(seconds=3 * 7 + 9 + 6)


def test_a_step_is_not_left_before_its_hold_and_the_lag_of_its_metrics() -> None:
    lab = Lab(rollout()).until("stepping")
    lab.tick(0.5)  # the weight is seen: its time begins
    began = lab.now
    while lab.rollout.want == 5:
        lab.tick(0.5)
    assert timedelta(seconds=7) <= lab.now - began <= timedelta(seconds=7.5)


@pytest.mark.parametrize("want", [5, 25, 50, 98])
def test_a_verdict_gives_the_weight_back_in_the_same_tick(want: int) -> None:
    lab = Lab(rollout())
    while lab.rollout.want != want:
        lab.tick()
    lab.tick(verdict=verdict("roll_back"))
    assert (lab.state, lab.rollout.want) == ("giving_back", 0)
    assert lab.weights == {OLD: 100, NEW: 0}
    assert lab.took(Block) == [Block(NEW, "5xx: 4 % against 0 %")]
    assert lab.run().state == "rolled_back"
    assert lab.weights == {OLD: 100}
    assert lab.replicas == {OLD: 1, NEW: 0}


def test_a_canary_keeps_its_pods_until_answers_under_way_are_over() -> None:
    lab = Lab(rollout()).until("stepping")
    lab.tick()
    lab.tick(verdict=verdict("roll_back"))
    gone = lab.now
    while lab.replicas[NEW]:
        lab.tick(0.25)
    assert lab.now - gone >= timedelta(seconds=1), "the request timeout is the drain time"


def test_a_verdict_that_is_only_observed_changes_nothing() -> None:
    lab = Lab(rollout(plan(enforced=False))).until("stepping")
    lab.tick(verdict=verdict("roll_back"))
    assert lab.state == "stepping"


def test_the_first_deployment_serves_after_its_own_tick_and_has_no_steps() -> None:
    lab = Lab(rollout(from_revision=None), weights={}, replicas={}, ready={})
    lab.until("completing")
    assert lab.history == [0, 100] or lab.history == [0]
    assert lab.run().state == "promoted"
    assert lab.states == ["pending", "placing", "completing", "promoted"]
    assert lab.weights == {NEW: 100}
    assert lab.took(SetStable) == [SetStable(NEW, good=True)]


def test_a_first_deployment_that_is_placed_has_the_probe_rule_alone_and_never_all_zero_weights() -> None:
    lab = Lab(rollout(from_revision=None), weights={}, replicas={}, ready={}, obstinate={NEW}).until("placing")
    wanted = world(lab.rollout)
    assert wanted.route is not None
    assert (dict(wanted.route.weights), wanted.route.probe) == ({}, ("sesame", NEW))


def test_a_first_deployment_that_fails_its_guard_leaves_the_probe_rule_alone() -> None:
    lab = Lab(rollout(from_revision=None), weights={}, replicas={}, ready={}).until("completing")
    lab.tick()
    assert lab.weights == {NEW: 100}
    lab.tick(verdict=verdict("roll_back", split=1.0))
    assert lab.weights == {}
    assert lab.run().state == "rolled_back"
    assert lab.replicas == {NEW: 0}


def test_more_replicas_are_ready_before_a_weight_that_needs_them() -> None:
    lab = Lab(rollout(plan(replicas=10)), replicas={OLD: 10}, ready={OLD: 10})
    sizes: dict[int, int] = {}
    while lab.state != "completing":
        lab.tick()
        if lab.rollout.want:
            sizes.setdefault(lab.rollout.want, lab.ready[NEW])
    assert sizes == {5: 1, 25: 3, 50: 10, 98: 10, 100: 10}


def test_stable_keeps_its_size_to_the_end_of_the_bake_and_its_growth_is_followed() -> None:
    lab = Lab(rollout(plan(replicas=4)), replicas={OLD: 4}, ready={OLD: 4}).until("stepping")
    lab.replicas[OLD] = lab.ready[OLD] = 6  # an autoscaler
    lab.until("baking")
    assert lab.replicas == {OLD: 6, NEW: 6}
    assert lab.run().state == "promoted"
    assert lab.replicas == {OLD: 0, NEW: 4}


def test_pods_without_room_ask_the_pool_and_wait_in_provisioning() -> None:
    lab = Lab(rollout(), obstinate={NEW}).until("placing")
    sides = {OLD: Side(1, 1, 1), NEW: Side(1, 0, 1, unschedulable=1, waiting="0/3 nodes: Insufficient nvidia.com/gpu")}
    lab.tick(sides=sides)
    assert lab.state == "provisioning"
    assert lab.took(AskPool) == [AskPool("cpu", 1, f"demo/{NEW}: 0/3 nodes: Insufficient nvidia.com/gpu")]
    lab.obstinate.clear()
    lab.tick()
    assert lab.state == "placing"
    assert lab.run().state == "promoted"


def test_a_pool_with_nothing_left_to_try_ends_it_without_blocking_the_revision() -> None:
    lab = Lab(rollout(), obstinate={NEW}).until("placing")
    sides = {OLD: Side(1, 1, 1), NEW: Side(1, 0, 1, unschedulable=1)}
    lab.tick(sides=sides)
    lab.tick(sides=sides, exhausted_until=NOON + timedelta(hours=1), exhausted_why="no e2-standard-4 in us-central1-a")
    assert lab.run().state == "failed"
    assert "no e2-standard-4 in us-central1-a; retry after 2026-11-22 13:00 UTC" in lab.rollout.reason
    assert lab.took(Block) == []
    assert lab.replicas[NEW] == 0


def test_refuse_fails_before_traffic_when_there_is_no_room() -> None:
    lab = Lab(rollout(plan(strategy="Refuse")), obstinate={NEW}).until("placing")
    lab.tick(sides={OLD: Side(1, 1, 1), NEW: Side(1, 0, 1, unschedulable=1)})
    assert lab.run().state == "failed"
    assert max(lab.history) == 0


def test_a_superseded_canary_is_at_zero_before_anything_else_and_leaves_after_its_last_answer() -> None:
    record = rollout()
    older = "digits-0000000f"
    lab = Lab(
        replace(record, memory={**record.memory, "older": [older], "superseding": ["r1"]}),
        weights={OLD: 75, older: 25},
        replicas={OLD: 1, older: 1},
        ready={OLD: 1, older: 1},
    )
    lab.tick()
    assert lab.state == "pending"
    assert lab.weights == {OLD: 100, older: 0}
    assert NEW not in lab.replicas
    lab.tick()
    assert lab.state == "placing"
    assert lab.took(EndSuperseded) == [EndSuperseded(("r1",))]
    assert lab.replicas[older] == 1
    assert lab.run().state == "promoted"
    assert lab.replicas == {OLD: 0, older: 0, NEW: 1}
    assert lab.weights == {NEW: 100}


def test_a_way_back_to_the_revision_that_serves_is_one_write_and_ends_the_other_canary() -> None:
    record = rollout(plan(fast=True, steps=()), kind="roll_back", to_revision=OLD)
    lab = Lab(
        replace(record, memory={**record.memory, "older": [NEW], "superseding": ["r1"]}),
        weights={OLD: 50, NEW: 50},
        replicas={OLD: 1, NEW: 1},
        ready={OLD: 1, NEW: 1},
    )
    lab.tick()
    assert lab.weights == {OLD: 100, NEW: 0}
    assert lab.run().state == "promoted"
    assert (lab.weights, lab.replicas) == ({OLD: 100}, {OLD: 1, NEW: 0})
    assert lab.took(Block) == []


def test_undo_has_no_steps_waits_for_pods_and_blocks_what_it_leaves() -> None:
    record = rollout(plan(fast=True, steps=(), blocks=True, why="too slow at night"), kind="roll_back")
    lab = Lab(record, obstinate={NEW})
    lab.until("placing")
    for _ in range(5):
        lab.tick()
    assert lab.weights == {OLD: 100, NEW: 0}, "the current one keeps serving while the other is not healthy"
    lab.obstinate.clear()
    assert lab.run().state == "promoted"
    assert lab.took(Block) == [Block(OLD, "too slow at night")]
    assert lab.history == [0, 100]


def test_replicas_alone_change_in_place_without_a_second_revision() -> None:
    record = rollout(plan(fast=True, steps=(), replicas=3), kind="roll_back", from_revision=NEW)
    lab = Lab(record, weights={NEW: 100}, replicas={NEW: 1}, ready={NEW: 1})
    assert lab.run().state == "promoted"
    assert (lab.weights, lab.replicas) == ({NEW: 100}, {NEW: 3})


def test_a_service_that_is_switched_off_keeps_its_route_and_has_no_pods() -> None:
    record = rollout(plan(fast=True, steps=(), replicas=0), kind="roll_back", from_revision=NEW)
    lab = Lab(record, weights={NEW: 100}, replicas={NEW: 2}, ready={NEW: 2})
    assert lab.run().state == "promoted"
    assert (lab.weights, lab.replicas) == ({NEW: 100}, {NEW: 0})


def test_a_removed_service_loses_its_route_first_and_its_pods_after_the_last_answer() -> None:
    record = rollout(plan(fast=True, steps=(), remove=True), kind="remove", to_revision=OLD)
    lab = Lab(record)
    lab.until("completing")
    lab.tick(0.1)
    assert (lab.weights, lab.replicas[OLD]) == ({}, 1)
    assert lab.run().state == "promoted"
    assert lab.replicas[OLD] == 0


def test_steps_for_a_cohort_and_copies_of_requests_leave_everybody_on_stable() -> None:
    cohort = {"headers": [{"name": "x-user-group", "value": "staff"}]}
    steps = (
        StepPlan(0, 2.0, mirror_percent=20),
        StepPlan(50, 2.0, cohort=cohort, canary_replicas=1),
        StepPlan(25, 2.0),
    )
    lab = Lab(rollout(plan(steps=steps))).until("stepping")
    mirrored = world(lab.rollout).route
    assert mirrored is not None
    assert (dict(mirrored.weights), mirrored.mirror) == ({OLD: 100, NEW: 0}, (NEW, 20))
    while lab.rollout.step == 0:
        lab.tick()
    split = world(lab.rollout).route
    assert split is not None
    assert (dict(split.weights), split.cohort) == ({OLD: 100, NEW: 0}, cohort)
    assert dict(split.cohort_weights or {}) == {f"{OLD}-c": 50, NEW: 50}
    assert lab.run().state == "promoted"


def test_a_freeze_holds_before_the_first_weight_and_moves_the_deadline() -> None:
    lab = Lab(rollout()).until("placing")
    lab.tick()
    lab.tick(freeze=FREEZE)
    assert (lab.state, lab.rollout.reason) == ("held", "freeze: freeze window peak: Peak trade")
    lab.tick(2 * 86400, freeze=FREEZE)
    assert lab.state == "held"
    lab.tick()
    assert lab.run().state == "promoted"


def test_a_stuck_way_back_is_written_again_with_stable_alone_and_said_once() -> None:
    lab = Lab(rollout()).until("stepping")
    lab.tick()
    lab.deaf = True
    lab.tick(commands=(command("abort"),))
    for _ in range(100):
        lab.tick(1)
    assert lab.state == "giving_back"
    assert lab.weights == {OLD: 100}
    stuck = [action for action in lab.took(Announce) if "stuck" in action.text]
    assert len(stuck) == 1
    assert "pointsman rescue digits -n demo" in stuck[0].text
    lab.deaf = False
    assert lab.run().state == "aborted"


def test_weight_is_given_back_only_to_a_side_that_can_serve_but_not_kept_for_ever() -> None:
    lab = Lab(rollout()).until("stepping")
    lab.tick()
    lab.obstinate = {OLD}
    lab.ready[OLD] = 0
    lab.tick(commands=(command("abort"),))
    assert (lab.state, lab.rollout.want) == ("giving_back", 5)
    lab.obstinate = set()
    lab.tick()
    lab.tick()
    assert lab.rollout.want == 0
