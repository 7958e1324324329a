"""Whole rollouts through the step function, on fakes and in virtual time: what users, people and the ledger see."""

from datetime import timedelta

import pytest
from tests.handlers.rollout_cloud import NAME, Behaviour, Cloud, service

from pointsman.core.changes import undo
from pointsman.core.records import PoolRecord, RolloutRecord
from pointsman.documents.effective import EffectiveService
from pointsman.errors import Unavailable


def test_a_first_push_is_served_without_steps() -> None:
    cloud = Cloud()
    rollout = cloud.push(service("v1"))
    execution = cloud.execute(rollout.id)
    assert execution.run() == "promoted"
    assert execution.states == ["pending", "placing", "completing", "promoted"]
    assert cloud.route() == {rollout.to_revision: 100}
    record = cloud.service
    assert (record.stable, record.owner, record.next, record.token, record.generation) == (
        rollout.to_revision,
        None,
        None,
        1,
        1,
    )
    assert record.revisions[rollout.to_revision].good
    assert record.placement["replicas"] == 1
    assert cloud.notices() == ["RolloutStarted", "RolloutPromoted"]


def test_a_good_revision_walks_all_steps_and_is_promoted_in_little_more_than_its_holds() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    began, first = cloud.now, len(cloud.weights)
    rollout = cloud.push(service("v2"), "c2")
    execution = cloud.execute(rollout.id)
    assert execution.run() == "promoted"
    new = rollout.to_revision
    shares = [weights.get(new, 0) for _, weights in cloud.weights[first:]]
    assert shares == [0, 5, 25, 50, 98, 100, 100]
    assert cloud.route() == {new: 100}
    assert cloud.replicas() == {old: 0, new: 1}
    assert (cloud.service.stable, cloud.service.revisions[old].placed) == (new, "drained")
    assert cloud.now - began < timedelta(seconds=36)
    assert execution.calls < 60
    decisions = cloud.decisions(rollout.id)
    assert [decision.number for decision in decisions] == list(range(1, len(decisions) + 1))
    assert {decision.kind for decision in decisions} >= {"state", "weight", "verdict"}


@pytest.mark.parametrize(
    ("behaviour", "metric"),
    [(Behaviour(errors=0.1), "5xx"), (Behaviour(latency_ms=60.0), "latency")],
    ids=["fails", "slow"],
)
def test_a_bad_revision_is_given_back_on_evidence_and_blocked(behaviour: Behaviour, metric: str) -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    cloud.behaviours[rollout.to_revision] = behaviour
    execution = cloud.execute(rollout.id).until("giving_back")
    assert cloud.route() == {old: 100, rollout.to_revision: 0}, "in the tick of the verdict"
    assert execution.run() == "rolled_back"
    assert cloud.route() == {old: 100}
    assert cloud.replicas() == {old: 1, rollout.to_revision: 0}
    verdict = cloud.rollout(rollout.id).verdict
    assert verdict is not None
    assert (verdict["action"], verdict["metric"]) == ("roll_back", metric)
    status = cloud.service.revisions[rollout.to_revision]
    assert (status.blocked, status.good, status.placed) == (True, False, "drained")
    assert cloud.notices()[-1] == "RolloutRolledBack"
    again = cloud.known()
    assert again is not None
    with pytest.raises(AssertionError, match="is blocked"):
        cloud.push(service("v2"), "c3")


def test_pods_without_room_need_a_pool_once_and_go_on_when_nodes_came() -> None:
    cloud = Cloud()
    rollout = cloud.push(service("v1"))
    cloud.behaviours[rollout.to_revision] = Behaviour(room=False)
    execution = cloud.execute(rollout.id).until("provisioning")
    execution.step()
    assert execution.needs[0] == {"pool": "cpu"}
    pool = cloud.ledger.get(PoolRecord, "cpu")
    assert pool.holds[rollout.id].nodes == 1
    assert "no node has room" in pool.holds[rollout.id].why
    cloud.ledger.put(PoolRecord("cpu", holds=pool.holds, execution="e9"))
    asked = len(execution.needs)
    for _ in range(3):
        cloud.tick(execution.step() or 0)
    assert len(execution.needs) == asked, "the pool has an execution, which works off every hold"
    cloud.behaviours[rollout.to_revision] = Behaviour()
    assert execution.run() == "promoted"
    assert cloud.ledger.get(PoolRecord, "cpu").holds == {}


def test_a_pool_that_has_nothing_ends_the_rollout_and_lets_its_hold_go() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    cloud.behaviours[rollout.to_revision] = Behaviour(room=False)
    execution = cloud.execute(rollout.id).until("provisioning")
    execution.step()
    held = cloud.ledger.get(PoolRecord, "cpu").holds
    later = cloud.now + timedelta(minutes=30)
    cloud.ledger.put(PoolRecord("cpu", holds=held, retry_at=later, since=later, reason="no e2-standard-4 anywhere"))
    assert execution.run() == "failed"
    assert "no e2-standard-4 anywhere" in cloud.rollout(rollout.id).reason
    assert cloud.ledger.get(PoolRecord, "cpu").holds == {}
    assert not cloud.service.revisions[rollout.to_revision].blocked


def test_a_crashing_revision_gets_no_request_at_all() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    cloud.behaviours[rollout.to_revision] = Behaviour(crashes=True)
    assert cloud.execute(rollout.id).run() == "rolled_back"
    assert cloud.counters.get(rollout.to_revision, {"requests": 0})["requests"] == 0
    assert "CrashLoopBackOff" in cloud.rollout(rollout.id).reason


@pytest.mark.parametrize(
    "state", ["queued", "pending", "placing", "provisioning", "stepping", "held", "baking", "completing", "giving_back"]
)
def test_abort_in_every_state_ends_with_all_traffic_on_stable(state: str) -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    new = rollout.to_revision
    if state in ("placing", "provisioning"):
        cloud.behaviours[new] = Behaviour(starts=False, room=state == "placing")
    execution = cloud.execute(rollout.id)
    if state == "held":
        execution.until("stepping")
        cloud.command(rollout.id, "pause")
    if state == "giving_back":
        cloud.behaviours[new] = Behaviour(errors=0.5)
    if state != "queued":
        execution.until(state)
    cloud.command(rollout.id, "abort", why="not today")
    assert execution.run() == "aborted"
    assert {name: weight for name, weight in cloud.route().items() if weight} == {old: 100}
    assert cloud.replicas().get(new, 0) == 0
    assert cloud.replicas()[old] == 1
    assert (cloud.service.owner, cloud.service.stable) == (None, old)
    taken = [decision for decision in cloud.decisions(rollout.id) if decision.kind == "command"]
    assert any({"verb": "abort", "by": "lea@example.com", "why": "not today"} in d.inputs["commands"] for d in taken)  # type: ignore[operator]


@pytest.mark.parametrize("state", ["placing", "stepping", "held", "giving_back"])
def test_a_newer_push_takes_over_and_the_older_canary_is_at_zero_before_anything_else(state: str) -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    first = cloud.push(service("v2"), "c2")
    if state == "giving_back":
        cloud.behaviours[first.to_revision] = Behaviour(errors=0.5)
    older = cloud.execute(first.id)
    if state == "held":
        older.until("stepping")
        cloud.command(first.id, "pause")
    older.until(state)
    second = cloud.push(service("v3"), "c3")
    newer = cloud.execute(second.id)
    newer.step()
    assert cloud.rollout(first.id).state == "giving_back"
    newer.step()
    assert not cloud.route().get(first.to_revision)
    assert older.step() is None
    assert older.outcome == "superseded"
    assert newer.run() == "promoted"
    ends = {"giving_back": "rolled_back"}.get(state, "superseded")
    assert (cloud.rollout(first.id).state, cloud.rollout(first.id).ended) == (ends, "yes")
    assert cloud.service.revisions[first.to_revision].blocked == (state == "giving_back")
    assert cloud.route() == {second.to_revision: 100}
    assert cloud.replicas() == {old: 0, first.to_revision: 0, second.to_revision: 1}


def test_a_superseded_commit_is_told_that_it_will_not_be_served() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    first = cloud.push(service("v2"), "c2")
    older = cloud.execute(first.id).until("stepping")
    second = cloud.push(service("v3"), "c3")
    assert cloud.execute(second.id).run() == "promoted"
    assert older.run() == "superseded"
    told = [(event.id, event.fields()) for event in cloud.bus.on("notices")]
    ((identity, notice),) = [(name, data) for name, data in told if data["state"] == "superseded"]
    assert identity == f"{first.id}/superseded"
    assert (notice["notice"], notice["commit"], notice["channels"]) == ("RolloutRolledBack", "c2", [])
    assert notice["title"] == f"{NAME}: {first.to_revision} is superseded by {second.to_revision}"
    assert [data["commit"] for _, data in told if data["notice"] == "RolloutPromoted"][-1] == "c3"
    assert len({name for name, _ in told}) == len(told)


def test_a_push_waits_for_a_bake_and_goes_on_after_it() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    first = cloud.push(service("v2"), "c2")
    older = cloud.execute(first.id).until("baking")
    second = cloud.push(service("v3"), "c3")
    newer = cloud.execute(second.id)
    newer.step()
    assert cloud.rollout(second.id).state == "queued"
    assert "baking" in cloud.rollout(second.id).reason
    assert older.run() == "promoted"
    assert newer.run() == "promoted"
    assert cloud.rollout(second.id).from_revision == first.to_revision


def test_a_revision_that_waited_is_superseded_by_one_that_came_later() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    older = cloud.execute(cloud.push(service("v2"), "c2").id).until("baking")
    waiting = cloud.push(service("v3"), "c3")
    between = cloud.execute(waiting.id)
    between.step()
    last = cloud.push(service("v4"), "c4")
    assert between.run() == "superseded"
    assert cloud.rollout(waiting.id).ended == "yes"
    older.run()
    assert cloud.execute(last.id).run() == "promoted"


def test_a_revert_in_the_middle_is_a_way_back_at_once() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    first = cloud.push(service("v2"), "c2")
    older = cloud.execute(first.id)
    older.run(until=lambda: cloud.rollout(first.id).want == 25)
    pushed = cloud.now
    back = cloud.push(service("v1"), "c3")
    assert (back.kind, back.to_revision) == ("roll_back", old)
    newer = cloud.execute(back.id)
    newer.step()
    newer.step()
    assert cloud.route() == {old: 100, first.to_revision: 0}
    assert cloud.now - pushed < timedelta(seconds=1)
    assert newer.run() == "promoted"
    assert older.run() == "superseded"
    assert cloud.rollout(first.id).state == "superseded"
    assert cloud.replicas() == {old: 1, first.to_revision: 0}
    assert not cloud.service.revisions[first.to_revision].blocked


def test_undo_after_promotion_goes_back_without_steps_and_blocks() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    new = cloud.push(service("v2"), "c2")
    cloud.execute(new.id).run()
    assert cloud.replicas()[old] == 0
    back = cloud.open(undo(cloud.service, "undo by lea@example.com"), service("v2"), "c2")
    execution = cloud.execute(back.id)
    assert execution.run() == "promoted"
    assert cloud.route() == {old: 100}
    assert cloud.service.stable == old
    assert cloud.service.revisions[new.to_revision].blocked
    assert cloud.notices()[-1] == "RolloutRolledBack"


def test_replicas_change_in_place_also_while_the_head_is_blocked() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    rollout = cloud.push(service("v1", replicas=3), "c2")
    assert rollout.kind == "roll_back"
    assert cloud.execute(rollout.id).run() == "promoted"
    assert cloud.replicas() == {old: 3}
    assert cloud.route() == {old: 100}
    assert cloud.service.placement["replicas"] == 3


def test_more_replicas_are_there_before_the_weight_that_needs_them() -> None:
    cloud = Cloud()
    cloud.deployed("v1", replicas=4)
    rollout = cloud.push(service("v2", replicas=4), "c2")
    execution = cloud.execute(rollout.id)
    sizes: dict[int, int] = {}
    while execution.step() is not None:
        sizes.setdefault(cloud.route().get(rollout.to_revision, 0), cloud.ready(rollout.to_revision))
        cloud.tick(0.5)
    assert (sizes[5], sizes[25], sizes[50], sizes[98]) == (1, 2, 4, 4)


def test_an_approval_is_asked_for_and_given() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    data = service("v2").model_dump(mode="json", by_alias=True, exclude_none=True)
    data["policy"]["steps"] = [{"weight": 5.0, "hold": "2s", "approval": {"count": 1, "expiresAfter": "1h"}}]
    rollout = cloud.push(EffectiveService.model_validate(data), "c2")
    execution = cloud.execute(rollout.id).until("held")
    assert cloud.rollout(rollout.id).reason == "approval: 0 of 1 owners have approved"
    assert cloud.notices()[-1] == "ApprovalNeeded"
    cloud.command(rollout.id, "approve")
    assert execution.run() == "promoted"


def test_old_revisions_beyond_the_limit_are_deleted_and_a_kept_one_is_a_fast_way_back() -> None:
    cloud = Cloud()
    revisions = [cloud.deployed("v1", more="revisionHistoryLimit: 1")]
    for number in (2, 3):
        rollout = cloud.push(service(f"v{number}", more="revisionHistoryLimit: 1"), f"c{number}")
        cloud.execute(rollout.id).run()
        revisions.append(rollout.to_revision)
    assert sorted(cloud.replicas()) == sorted(revisions[1:])
    assert cloud.service.revisions[revisions[0]].placed == "deleted"
    back = cloud.push(service("v2", more="revisionHistoryLimit: 1"), "c4")
    assert (back.kind, back.to_revision) == ("roll_back", revisions[1])
    assert cloud.execute(back.id).run() == "promoted"
    again = cloud.push(service("v1", more="revisionHistoryLimit: 1"), "c5")
    assert again.kind == "roll_out", "what was deleted walks its steps again"
    assert cloud.execute(again.id).run() == "promoted"


def test_a_metric_source_that_is_down_holds_and_goes_on_when_it_is_back() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    execution = cloud.execute(rollout.id).until("stepping")
    cloud.world.failing["metrics.pods"] = [Unavailable("429 quota") for _ in range(60)]
    execution.until("held")
    assert cloud.rollout(rollout.id).reason == "source down: 429 quota"
    cloud.world.failing.clear()
    assert execution.run() == "promoted"


def test_traffic_that_is_too_thin_is_undecided_and_goes_back() -> None:
    cloud = Cloud(requests_per_s=0)
    old = cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    execution = cloud.execute(rollout.id)
    execution.run(calls=3000)
    assert execution.outcome == "rolled_back"
    assert cloud.rollout(rollout.id).reason.startswith("undecided")
    assert cloud.route() == {old: 100}


def test_notices_carry_the_channels_that_asked_for_them_and_the_decision_as_id() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    cloud.behaviours[rollout.to_revision] = Behaviour(errors=0.5)
    cloud.execute(rollout.id).run()
    event = cloud.bus.on("notices")[-1]
    data = event.fields()
    assert (data["notice"], data["service"], data["commit"]) == ("RolloutRolledBack", NAME, "c2")
    assert data["channels"] == [{"name": "hook", "type": "Webhook", "url": "http://127.0.0.1:1/x"}]
    assert event.source == f"//pointsman/{NAME}"
    number = int(event.id.removeprefix(f"{rollout.id}/"))
    assert "giving_back" in cloud.decisions(rollout.id)[number - 1].after["state"]  # type: ignore[operator]
    ids = [notice.id for notice in cloud.bus.on("notices")]
    assert len(set(ids)) == len(ids)


def test_every_rollout_that_ended_is_marked_so() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    assert [record.ended for record in cloud.ledger.all(RolloutRecord)] == ["yes"]
