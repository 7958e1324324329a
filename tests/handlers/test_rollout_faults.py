"""A step function may run twice, late, or die between any two calls; an execution may be started twice, or lost."""

import copy
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.handlers.fakes import Crash, FakeCluster
from tests.handlers.rollout_cloud import ROUTE, Behaviour, Cloud, Execution, service

from pointsman.core.names import Ref
from pointsman.core.records import CommandRecord, DecisionRecord, HeadRecord, Hold, PoolRecord, RolloutRecord, Stopped
from pointsman.core.routes import TOKEN
from pointsman.documents.effective import EffectiveService
from pointsman.errors import Absent, Conflict, Invalid, Unavailable
from pointsman.handlers import rollout_tick
from pointsman.handlers.rollout_step import handle


def rollout_of(cloud: Cloud, version: str = "v2", commit: str = "c2") -> tuple[RolloutRecord, Execution]:
    rollout = cloud.push(service(version), commit)
    return rollout, cloud.execute(rollout.id)


def test_a_second_live_execution_is_a_duplicate_and_changes_nothing() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, first = rollout_of(cloud)
    first.until("stepping")
    before = cloud.rollout(rollout.id)
    second = cloud.execute(rollout.id)
    assert second.run() == "duplicate"
    assert cloud.rollout(rollout.id) == before
    assert first.run() == "promoted"


def test_an_execution_that_died_is_replaced_after_its_lease_by_a_new_token_and_goes_on_where_it_was() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, first = rollout_of(cloud)
    first.until("stepping")
    before = cloud.rollout(rollout.id)
    cloud.workflows.end(first.name, "FAILED")
    cloud.tick(60)
    early = cloud.execute(rollout.id)
    assert early.run() == "duplicate", "its lease is not over"
    cloud.tick(120)
    second = cloud.execute(rollout.id)
    second.step()
    after = cloud.rollout(rollout.id)
    assert (after.state, after.want, after.attempt, after.token) == (before.state, 5, 2, before.token + 1)
    assert first.run() == "duplicate"
    assert second.run() == "promoted"


def test_the_same_execution_may_claim_again_and_keeps_its_token() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, first = rollout_of(cloud)
    first.until("pending")
    token = cloud.rollout(rollout.id).token
    cloud.call("claim", rollout.id, first.name)
    assert cloud.rollout(rollout.id).token == token
    assert first.run() == "promoted"


def test_an_old_execution_hands_over_and_its_successor_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    cloud.deployed()
    monkeypatch.setattr(rollout_tick, "TICKS_MAX", 6)
    rollout = cloud.push(service("v2"), "c2")
    outcomes = []
    for _ in range(20):
        outcomes.append(cloud.execute(rollout.id).run())
        if outcomes[-1] != "handed_over":
            break
    assert outcomes[-1] == "promoted"
    assert outcomes[0] == "handed_over"
    assert cloud.rollout(rollout.id).attempt == len(outcomes)


def test_claiming_stamps_every_object_so_that_a_late_writer_gets_a_conflict() -> None:
    cloud = Cloud()
    old = cloud.deployed()
    first, late = rollout_of(cloud)
    late.until("stepping")
    deployment = Ref("apps/v1", "Deployment", "demo", old)
    read = {ref: cloud.cluster.get(ref) for ref in (ROUTE, deployment)}  # the late writer's tick a, before the claim
    second, newer = rollout_of(cloud, "v3", "c3")
    newer.step()
    newer.step()
    for ref, before in read.items():
        assert before is not None
        live = cloud.cluster.objects[ref].live
        assert live["metadata"]["annotations"][TOKEN] == str(cloud.service.token)
        version = before["metadata"]["resourceVersion"]  # type: ignore[index]
        with pytest.raises(Conflict):
            cloud.cluster.apply({**live, "metadata": {**live["metadata"], "resourceVersion": version}}, force=True)
    assert late.step() is None
    assert late.outcome == "superseded"
    assert cloud.rollout(first.id).state == "giving_back"
    assert newer.run() == "promoted"
    assert cloud.rollout(second.id).state == "promoted"


def test_a_write_that_comes_late_in_a_tick_is_refused_and_asked_again() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.run(until=lambda: cloud.rollout(rollout.id).want == 5)
    cloud.command(rollout.id, "abort")
    original = cloud.cluster.apply

    def slow(obj: object, *, force: bool = False) -> object:
        """Somebody writes between this tick's read and its write."""
        cloud.cluster.apply = original  # type: ignore[method-assign]
        cloud.cluster.edit(ROUTE, lambda live: live["metadata"]["labels"].update(touched="yes"))
        return original(obj, force=force)  # type: ignore[arg-type]

    cloud.cluster.apply = slow  # type: ignore[method-assign, assignment]
    assert execution.step() == 0.0
    assert cloud.route()[rollout.to_revision] == 5
    execution.step()
    assert cloud.route()[rollout.to_revision] == 0
    assert execution.run() == "aborted"


def test_the_gate_between_ledger_and_objects_holds_when_a_claim_comes_between() -> None:
    cloud = Cloud()
    cloud.deployed()
    first, older = rollout_of(cloud)
    older.until("stepping")
    second = cloud.push(service("v3"), "c3")
    newer = cloud.execute(second.id)
    find = FakeCluster.find
    claimed: list[bool] = []

    def interleaved(self: FakeCluster, *arguments: object, **named: object) -> object:
        """The older one has read its objects when the newer one claims."""
        if not claimed:
            claimed.append(True)
            newer.step()
        return find(self, *arguments, **named)  # type: ignore[arg-type]

    cloud.cluster.find = interleaved.__get__(cloud.cluster)  # type: ignore[method-assign]
    assert older.step() is None
    assert older.outcome == "superseded"
    assert cloud.rollout(first.id).state == "giving_back"


def test_a_lost_save_applies_no_evidence_and_takes_no_command() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.until("stepping")
    cloud.tick(3)
    before, decided = cloud.rollout(rollout.id), len(cloud.decisions(rollout.id))
    cloud.command(rollout.id, "pause")
    cloud.world.failing["ledger.save"] = [Conflict("somebody wrote first")]
    assert execution.step() == 0.0
    assert cloud.rollout(rollout.id) == before
    assert len(cloud.decisions(rollout.id)) == decided
    assert cloud.ledger.all(CommandRecord)[-1].taken == "no"
    execution.step()
    assert cloud.rollout(rollout.id).state == "held"
    assert cloud.ledger.all(CommandRecord)[-1].taken == str(cloud.decisions(rollout.id)[-1].number)


@pytest.mark.parametrize("call", ["cluster.find", "ledger.read", "ledger.save", "cluster.apply", "bus.publish"])
def test_what_is_transient_is_said_to_be_and_goes_well_when_it_is_asked_again(call: str) -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.until("pending")
    cloud.world.failing[call] = [Unavailable("503")]
    with pytest.raises(Unavailable):
        execution.run(calls=5)
    assert execution.run() == "promoted"
    assert cloud.rollout(rollout.id).state == "promoted"


def test_a_workflow_that_failed_gives_back_and_finishes() -> None:
    cloud = Cloud()
    old = cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.run(until=lambda: cloud.rollout(rollout.id).want == 25)
    execution.verbs = ["give-back", "finish"]
    assert execution.run() == "failed"
    assert cloud.route() == {old: 100}
    assert cloud.rollout(rollout.id).reason == "its workflow failed; see the execution's error"
    assert cloud.service.owner is None


def test_a_workflow_that_failed_of_what_it_measured_gives_back_without_measuring() -> None:
    """Such as a decision that is larger than the ledger takes, of a service of many pods."""
    cloud = Cloud()
    old = cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.run(until=lambda: cloud.rollout(rollout.id).want == 25)
    cloud.world.failing["metrics.pods"] = [AssertionError("our own mistake")] * 1000
    with pytest.raises(AssertionError):
        execution.run()
    execution.verbs = ["give-back", "finish"]
    assert execution.run() == "failed"
    assert cloud.route() == {old: 100}


def test_giving_back_a_service_that_has_moved_on_changes_nothing() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, execution = rollout_of(cloud)
    assert execution.run() == "promoted"
    late = Execution(cloud, rollout.id, execution.name, ["give-back", "finish"])
    assert late.run() == "promoted"
    assert cloud.route() == {rollout.to_revision: 100}


def test_finish_may_be_repeated_and_is_done_by_the_next_claimer_when_it_was_lost() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.run(until=lambda: execution.verbs == ["finish"])
    assert cloud.service.owner == rollout.id
    findings = handle("inspect", {}, cloud.steps, cloud.now)["findings"]
    assert findings == [
        {
            "service": "local/demo/digits",
            "rollout": rollout.id,
            "start": "roll-out",
            "what": f"{rollout.id} has ended and was not finished",
        }
    ]
    assert cloud.execute(rollout.id).run() == "promoted"
    assert cloud.service.owner is None
    generation = cloud.service.generation
    assert execution.run() == "promoted"
    assert cloud.service.generation == generation


def test_the_next_rollout_finishes_what_the_last_one_left() -> None:
    cloud = Cloud()
    cloud.deployed()
    first, execution = rollout_of(cloud)
    execution.run(until=lambda: execution.verbs == ["finish"])
    cloud.ledger.put(PoolRecord("cpu", holds={first.id: Hold(1, "pods", cloud.now)}))
    generation = cloud.service.generation
    second, newer = rollout_of(cloud, "v3", "c3")
    newer.step()
    assert cloud.service.owner == second.id
    assert cloud.service.generation == generation + 1
    assert cloud.ledger.get(PoolRecord, "cpu").holds == {}
    assert newer.run() == "promoted"


def test_inspect_says_what_differs_and_changes_nothing() -> None:
    cloud = Cloud()
    old = cloud.deployed()
    assert handle("inspect", {}, cloud.steps, cloud.now) == {"findings": []}
    refs = [{"name": old, "weight": 0}, {"name": "digits-ffffffff", "weight": 100}]
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": refs}]
    cloud.cluster.edit(ROUTE, lambda live: live["spec"].update(rules=rules))
    findings = handle("inspect", {}, cloud.steps, cloud.now)["findings"]
    assert findings == [
        {
            "service": "local/demo/digits",
            "what": f"its HTTPRoute gives weight to digits-ffffffff 100, the ledger to {old}; "
            "to look at it and give it back: pointsman rescue digits -n demo",
        }
    ]
    del cloud.cluster.objects[ROUTE]
    assert "is gone" in str(handle("inspect", {}, cloud.steps, cloud.now))


def test_nonsense_is_refused() -> None:
    cloud = Cloud()
    request = {"rollout": "r1", "execution": "e1"}
    with pytest.raises(Invalid, match="no verb"):
        handle("dance", request, cloud.steps, cloud.now)
    with pytest.raises(Invalid, match="rollout is missing"):
        handle("claim", {}, cloud.steps, cloud.now)
    for verb in ("claim", "place", "finish"):
        with pytest.raises(Absent, match="no such rollout"):
            handle(verb, request, cloud.steps, cloud.now)


EFFECTS = ("ledger.save", "cluster.apply", "cluster.delete", "bus.publish")


@pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour(errors=0.5)], ids=["good", "bad"])
def test_a_crash_after_any_effect_converges(behaviour: Behaviour) -> None:
    """The same story, with the process gone after each call that changes something; after one that only reads it is as
    if it had gone before. The workflow asks again, as it does after any answer that is not 200."""
    before = Cloud()
    old = before.deployed("v1")
    rollout = before.push(short("v2"), "c2")
    new = rollout.to_revision
    before.behaviours[new] = behaviour
    before.world.calls.clear()
    clean = copy.deepcopy(before)
    expected = clean.execute(rollout.id).run()
    points = [number + 1 for number, call in enumerate(clean.world.calls) if call in EFFECTS]
    assert len(points) > 20
    serving, left = (new, old) if expected == "promoted" else (old, new)
    for crash_after in points:
        cloud = copy.deepcopy(before)
        execution = cloud.execute(rollout.id)
        cloud.world.crash_after = crash_after
        for _ in range(300):
            try:
                wait_s = execution.step()
            except Crash:
                cloud.world.restart()
                wait_s = 1.0  # as http.default_retry
            if wait_s is None:
                break
            cloud.tick(wait_s)
        where = f"crash after call {crash_after}, {clean.world.calls[crash_after - 1]}"
        assert cloud.world.crash_after is None, where
        assert execution.outcome == expected, where
        assert cloud.route() == {serving: 100}, where
        assert cloud.replicas() == {serving: 1, left: 0}, where
        assert (cloud.service.owner, cloud.service.stable) == (None, serving), where
        numbers = [decision.number for decision in cloud.decisions(rollout.id)]
        assert numbers == list(range(1, len(numbers) + 1)), where
        notices = [event.fields() for event in cloud.bus.on("notices")]
        told = [data["notice"] for data in notices if data["rollout"] == rollout.id]
        assert told[-1] == ("RolloutPromoted" if expected == "promoted" else "RolloutRolledBack"), where


def short(version: str) -> EffectiveService:
    """One step and a bake of 2 s each."""
    data = service(version).model_dump(mode="json", by_alias=True, exclude_none=True)
    data["policy"]["steps"] = [{"weight": 25.0, "hold": "2s"}]
    data["policy"]["bake"]["duration"] = "2s"
    return EffectiveService.model_validate(data)


def test_a_route_that_somebody_takes_away_comes_back_with_the_weights_it_had() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.run(until=lambda: cloud.rollout(rollout.id).seen == 25)
    split = cloud.route()
    del cloud.cluster.objects[ROUTE]
    execution.step()
    assert cloud.route() == split
    assert execution.run() == "promoted"


def test_a_stable_deployment_that_somebody_deletes_is_sent_again_as_it_was_rendered() -> None:
    cloud = Cloud()
    old = cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.run(until=lambda: cloud.rollout(rollout.id).want == 5)
    gone = cloud.cluster.objects.pop(Ref("apps/v1", "Deployment", "demo", old))
    execution.step()
    back = cloud.cluster.objects[Ref("apps/v1", "Deployment", "demo", old)]
    assert back.live["spec"]["template"] == gone.live["spec"]["template"]


def test_a_newer_pointsman_sends_the_bytes_that_an_older_one_rendered() -> None:
    cloud = Cloud()
    old = cloud.deployed()
    before = cloud.cluster.objects[Ref("apps/v1", "Deployment", "demo", old)].live["spec"]["template"]
    rollout = cloud.push(service("v1", replicas=2), "c2")
    assert cloud.execute(rollout.id).run() == "promoted"
    assert cloud.cluster.objects[Ref("apps/v1", "Deployment", "demo", old)].live["spec"]["template"] == before


def test_decisions_are_numbered_as_the_rollout_counts_and_hold_what_was_seen() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.run()
    record = cloud.rollout(rollout.id)
    decisions = cloud.decisions(rollout.id)
    assert record.seq == decisions[-1].number
    verdicts = [decision for decision in decisions if decision.inputs.get("tick")]
    assert len(verdicts) > 10
    seqs = [decision.inputs["tick"]["seq"] for decision in verdicts]  # type: ignore[index]
    assert seqs == [decision.number for decision in verdicts], "a tick of the judge is numbered by its decision"
    assert all(isinstance(decision, DecisionRecord) for decision in decisions)


def test_a_lease_is_renewed_while_nothing_else_changes() -> None:
    cloud = Cloud()
    rollout = cloud.push(service("v1"))
    cloud.behaviours[rollout.to_revision] = Behaviour(starts=False)
    execution = cloud.execute(rollout.id).until("placing")
    for _ in range(60):
        cloud.tick(execution.step() or 0)
        lease = cloud.rollout(rollout.id).lease_until
        assert lease is not None
        assert lease > cloud.now + timedelta(seconds=20)
    assert cloud.rollout(rollout.id).seq == cloud.decisions(rollout.id)[-1].number


def test_the_word_of_the_probe_rule_is_not_the_rollouts_id_and_survives_a_successor() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.until("stepping")
    word = cloud.rollout(rollout.id).memory["word"]
    assert isinstance(word, str)
    assert len(word) == 16
    assert word not in rollout.id
    cloud.workflows.end(execution.name, "FAILED")
    cloud.tick(300)
    second = cloud.execute(rollout.id)
    second.step()
    assert cloud.rollout(rollout.id).memory["word"] == word


def test_a_stopped_line_holds_what_runs_and_what_would_begin() -> None:
    cloud = Cloud()
    cloud.deployed()
    rollout, execution = rollout_of(cloud)
    execution.until("stepping")
    head = cloud.ledger.all(HeadRecord)[0]
    cloud.ledger.put(replace(head, stopped=Stopped("lea@example.com", cloud.now, "incident 7")))
    execution.until("held")
    assert "stopped by lea@example.com: incident 7" in cloud.rollout(rollout.id).reason
    waiting, queue = rollout_of(cloud, "v3", "c3")
    queue.step()
    assert cloud.rollout(waiting.id).state == "queued"
    cloud.ledger.put(head)
    assert queue.run() == "promoted"
    assert execution.run() == "superseded"
