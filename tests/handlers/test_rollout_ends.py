"""What a rollout leaves behind, and what comes after it: nodes, removal, the same content once more, a stopped line."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.handlers.rollout_cloud import ROUTE, Behaviour, Cloud, Execution, service

from pointsman.core.changes import removal, undo
from pointsman.core.records import HeadRecord, Hold, PoolRecord, RolloutRecord, Stopped
from pointsman.core.rollout.observation import AskPool
from pointsman.core.rollout_plan import plan_of
from pointsman.handlers.rollout_effects import effects

IDLE = timedelta(minutes=30)


# --- nodes ---------------------------------------------------------------------------------------------------------


def without_room(cloud: Cloud, version: str = "v1") -> tuple[RolloutRecord, Execution]:
    """A rollout whose pods found no room, and which has asked its pool for a node."""
    rollout = cloud.push(service(version), version)
    cloud.behaviours[rollout.to_revision] = Behaviour(room=False)
    execution = cloud.execute(rollout.id).until("provisioning")
    return rollout, execution


def change_pool(cloud: Cloud, **fields: Any) -> None:
    cloud.ledger.put(replace(cloud.ledger.get(PoolRecord, "cpu"), **fields))


def ask_again(cloud: Cloud, execution: Execution, times: int) -> int:
    """How often the workflow was told to start provision-pool in so many more ticks."""
    before = len(execution.needs)
    for _ in range(times):
        cloud.tick(execution.step() or 0)
    return len(execution.needs) - before


def test_a_pool_is_needed_until_its_nodes_are_seen_and_not_while_they_start() -> None:
    cloud = Cloud()
    rollout, execution = without_room(cloud)
    assert execution.needs == [{"pool": "cpu"}]
    change_pool(cloud, execution="e9")
    assert ask_again(cloud, execution, 3) == 0, "somebody works on it"
    change_pool(cloud, execution=None, seen=1, came_at=cloud.now)
    assert ask_again(cloud, execution, 3) == 0, "the node is there, and the pods are on their way to it"
    cloud.now += timedelta(minutes=5)
    assert ask_again(cloud, execution, 1) == 1, "it was not enough"
    assert cloud.ledger.get(PoolRecord, "cpu").holds[rollout.id].nodes == 2


@pytest.mark.parametrize(
    ("pool", "needed"),
    [
        pytest.param({"seen": 1}, True, id="one-more-than-there-are"),
        pytest.param({"seen": 20}, True, id="more-than-there-may-be-which-an-execution-says"),
        pytest.param({"execution": "e9"}, False, id="somebody-works-on-it"),
        pytest.param({"retry_at": 60, "since": 0}, False, id="asked-in-vain"),
        pytest.param({"retry_at": 0, "since": 0}, True, id="asked-in-vain-but-its-time-has-come"),
        pytest.param({"retry_at": 60, "since": -60}, True, id="somebody-else-asked-in-vain"),
    ],
)
def test_an_execution_is_started_for_a_pool_where_it_may_help(pool: dict[str, Any], needed: bool) -> None:
    cloud = Cloud()
    rollout = cloud.push(service("v1"))
    times = {
        name: cloud.now + timedelta(seconds=value)
        for name in ("retry_at", "since")
        if (value := pool.get(name)) is not None
    }
    holds = {rollout.id: Hold(1, "pods", cloud.now)}
    cloud.ledger.put(PoolRecord("cpu", holds=holds, **{**pool, **times}))
    asked = [AskPool("cpu", 1, "no node has room")]
    found = effects(cloud.ledger, rollout, cloud.service, plan_of(rollout), asked, cloud.now)
    assert found.need == ("cpu" if needed else None)


def test_nodes_that_a_rollout_got_are_kept_for_the_pools_idle_timeout_after_its_end() -> None:
    cloud = Cloud()
    rollout, execution = without_room(cloud)
    change_pool(cloud, seen=1, came_at=cloud.now)
    cloud.behaviours.clear()
    assert execution.run() == "promoted"
    hold = cloud.ledger.get(PoolRecord, "cpu").holds[rollout.id]
    assert (hold.nodes, hold.until) == (1, cloud.now + IDLE)
    assert plan_of(rollout).pool_nodes_max == 20


@pytest.mark.parametrize("seen", [0, 1], ids=["none-there", "one-there"])
def test_of_a_rollout_that_is_superseded_only_nodes_that_are_there_are_kept(seen: int) -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout, _ = without_room(cloud, "v2")
    change_pool(cloud, seen=seen)
    assert cloud.execute(cloud.push(service("v3"), "c3").id).run() == "promoted"
    assert cloud.rollout(rollout.id).state == "superseded"
    holds = cloud.ledger.get(PoolRecord, "cpu").holds
    assert {key: hold.nodes for key, hold in holds.items()} == ({rollout.id: 1} if seen else {})
    assert all(hold.until is not None and hold.until <= cloud.now + IDLE for hold in holds.values())


def test_nobody_buys_nodes_for_a_rollout_that_was_aborted_while_it_waited_for_them() -> None:
    cloud = Cloud()
    rollout, execution = without_room(cloud)
    cloud.command(rollout.id, "abort")
    assert execution.run() == "aborted"
    assert cloud.ledger.get(PoolRecord, "cpu").holds == {}


# --- removal -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["as-it-was-left", "gone", "with-weights-of-somebody-else"])
def test_a_service_that_never_served_is_removed_whole(route: str) -> None:
    cloud = Cloud()
    for version in ("v1", "v2"):
        first = cloud.push(service(version), version)
        cloud.behaviours[first.to_revision] = Behaviour(crashes=True)
        assert cloud.execute(first.id).run() == "rolled_back"
    assert cloud.service.stable is None
    revisions = sorted(cloud.service.revisions)
    if route == "gone":
        del cloud.cluster.objects[ROUTE]
    elif route == "with-weights-of-somebody-else":
        refs = [{"name": revisions[0], "weight": 1}, {"name": revisions[1], "weight": 1}]
        rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": refs}
        cloud.cluster.edit(ROUTE, lambda live: live["spec"].update(rules=[rule]))
        for ref in [ref for ref in cloud.cluster.objects if ref.kind == "Deployment"]:
            cloud.cluster.edit(ref, lambda live: live["spec"].update(replicas=1))
    change = removal(cloud.service, "delete by lea@example.com")
    rollout = cloud.open(change, service("v2"), "c3")
    execution = cloud.execute(rollout.id)
    assert execution.run() == "promoted"
    assert cloud.rollout(rollout.id).from_revision is None
    assert ROUTE not in cloud.cluster.objects
    cloud.tick(1)
    assert {ref.kind for ref in cloud.cluster.objects} == {"Gateway"}
    record = cloud.service
    assert (record.stable, record.owner, record.next) == (None, None, None)
    assert {name: status.placed for name, status in record.revisions.items()} == dict.fromkeys(revisions, "deleted")


# --- the same content once more ------------------------------------------------------------------------------------


@pytest.mark.parametrize("claimed", [True, False], ids=["the-revert-has-claimed", "the-revert-has-not"])
def test_content_that_comes_back_while_its_first_rollout_is_yet_to_end_is_another_rollout(claimed: bool) -> None:
    """Force pushes A → B → A → B, faster than anything ends."""
    cloud = Cloud()
    old = cloud.deployed("v1")
    first = cloud.push(service("v2"), "c2")
    older = cloud.execute(first.id).until("stepping")
    back = cloud.push(service("v1"), "c1")
    reverting = cloud.execute(back.id)
    if claimed:
        reverting.step()
        assert cloud.rollout(first.id).state == "giving_back"
    again = cloud.push(service("v2"), "c2")
    assert (again.to_revision, again.commit) == (first.to_revision, first.commit)
    assert again.id != first.id
    newest = cloud.execute(again.id)
    newest.step()
    newest.step()
    assert {name: weight for name, weight in cloud.route().items() if weight} == {old: 100}, "it begins at 0 again"
    assert newest.run() == "promoted"
    assert reverting.run() == "superseded"
    assert older.run() == "superseded"
    assert [cloud.rollout(item.id).ended for item in (first, back, again)] == ["yes", "yes", "yes"]
    assert cloud.route() == {again.to_revision: 100}
    assert (cloud.service.stable, cloud.service.owner) == (again.to_revision, None)
    assert cloud.replicas() == {old: 0, again.to_revision: 1}
    last = cloud.push(service("v1"), "c1")
    assert len({item.id for item in (back, last, *cloud.ledger.all(RolloutRecord))}) == 5
    assert cloud.execute(last.id).run() == "promoted"


# --- a stopped line ------------------------------------------------------------------------------------------------


def stop(cloud: Cloud) -> HeadRecord:
    """`pointsman pause --all`; what was there before."""
    head = cloud.ledger.all(HeadRecord)[0]
    cloud.ledger.put(replace(head, stopped=Stopped("lea@example.com", cloud.now, "incident 7")))
    return head


def test_a_stopped_line_lets_every_way_back_pass() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    execution = cloud.execute(rollout.id).until("stepping")
    stop(cloud)
    execution.until("held")
    assert cloud.execute(cloud.push(service("v1"), "c3").id).run() == "promoted"
    assert execution.run() == "superseded"
    assert cloud.route() == {old: 100}


def test_a_stopped_line_still_judges_and_gives_back() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    execution = cloud.execute(rollout.id).until("stepping")
    stop(cloud)
    execution.until("held")
    cloud.behaviours[rollout.to_revision] = Behaviour(errors=0.5)
    assert execution.run() == "rolled_back"
    assert cloud.route() == {old: 100}


def test_a_rollout_that_is_placed_on_a_stopped_line_gets_its_first_weight_when_it_goes_on() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    execution = cloud.execute(rollout.id).until("placing")
    head = stop(cloud)
    execution.until("held")
    for _ in range(5):
        cloud.tick(execution.step() or 0)
    assert cloud.route() == {old: 100, rollout.to_revision: 0}
    cloud.ledger.put(head)
    assert execution.run() == "promoted"


# --- what its commit is told ---------------------------------------------------------------------------------------


def told(cloud: Cloud) -> tuple[object, object, object]:
    fields = cloud.bus.on("notices")[-1].fields()
    return fields["notice"], fields["state"], fields["commit"]


def test_a_pushed_revert_does_what_its_commit_asks_for() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    cloud.execute(cloud.push(service("v2"), "c2").id).until("stepping")
    assert cloud.execute(cloud.push(service("v1"), "c3").id).run() == "promoted"
    assert told(cloud) == ("RolloutRolledBack", "promoted", "c3")


def test_an_undo_undoes_what_its_commit_asked_for() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    cloud.execute(cloud.push(service("v2"), "c2").id).run()
    back = cloud.open(undo(cloud.service, "undo by lea@example.com"), service("v2"), "c2")
    assert cloud.execute(back.id).run() == "promoted"
    assert told(cloud) == ("RolloutRolledBack", "rolled_back", "c2")


def test_an_undo_that_is_aborted_says_nothing_of_the_commit_that_serves_on() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    cloud.execute(cloud.push(service("v2"), "c2").id).run()
    back = cloud.open(undo(cloud.service, "undo by lea@example.com"), service("v2"), "c2")
    execution = cloud.execute(back.id).until("placing")
    cloud.command(back.id, "abort")
    assert execution.run() == "aborted"
    assert told(cloud) == ("RolloutRolledBack", "giving_back", None)
