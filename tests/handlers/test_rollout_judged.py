"""What a live rollout leaves for the judge: a recording that gives every verdict again, and evidence for a next try."""

import json
from dataclasses import replace
from typing import cast

import pytest
from tests.handlers.rollout_cloud import KEY, Behaviour, Cloud, service

from pointsman.core.changes import change_of
from pointsman.core.judge import JudgePolicy
from pointsman.core.judge.memory import Memory
from pointsman.core.judge.recording import Marked, read, replay
from pointsman.core.names import JSON, Ref
from pointsman.core.records import ServiceRecord
from pointsman.core.rollout.memory import memory_of, remembered
from pointsman.handlers.starting import opening
from pointsman.ports import Write
from pointsman_cli.judging.ledger_course import course_of_decisions
from pointsman_cli.judging.recording_file import lines


@pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour(errors=0.1), Behaviour(latency_ms=60.0)], ids=str)
def test_a_recording_of_a_rollout_gives_the_very_verdicts_again(behaviour: Behaviour) -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    cloud.tick(60.0)  # stable has a past, which teaches something
    rollout = cloud.push(service("v2"), "c2")
    cloud.behaviours[rollout.to_revision] = behaviour
    cloud.execute(rollout.id).run()
    record, decisions = cloud.rollout(rollout.id), cloud.decisions(rollout.id)
    told = course_of_decisions(record, decisions)
    again = course_of_decisions(record, decisions, cast("JSON", record.plan["judge"]))
    assert len(told.moments) >= 3
    assert [json.dumps(moment.verdict.as_json()) for moment in again.moments] == [
        json.dumps(moment.verdict.as_json()) for moment in told.moments
    ]
    shared = read(lines(told))
    assert [(v.action, v.log_e) for _, v in replay(shared)] == [
        (moment.verdict.action, moment.verdict.log_e) for moment in told.moments
    ]
    kinds = {entry.kind for entry in shared.entries if isinstance(entry, Marked)}
    assert kinds >= {"verdict", "split", "decision"}


def test_a_revision_that_is_tried_again_begins_with_its_evidence() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    cloud.behaviours[rollout.to_revision] = Behaviour(errors=0.02)
    execution = cloud.execute(rollout.id)
    execution.run(until=lambda: int(str(cloud.rollout(rollout.id).judge.get("ticks", 0))) >= 2)
    cloud.command(rollout.id, "abort")
    assert execution.run() == "aborted"
    first, saved = cloud.rollout(rollout.id), cloud.ledger.read(ServiceRecord, KEY)
    assert saved is not None
    status = replace(saved.record.revisions[first.to_revision], blocked=False)
    released = replace(saved.record, revisions={**saved.record.revisions, first.to_revision: status})
    cloud.ledger.save([Write(released, saved)])
    saved, known = cloud.ledger.read(ServiceRecord, KEY), cloud.known()
    change = change_of(service("v2"), known, None)
    again = opening(cloud.ledger, change, service("v2"), saved, cause="e2", commit="c3", now=cloud.now).rollout
    assert again.judge == again.carried
    assert (again.judge["ticks"], again.judge["seq"]) == (first.judge["ticks"], -1)


def test_a_pod_that_is_bad_alone_is_deleted() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    execution = cloud.execute(rollout.id).until("stepping")
    pod = Ref("v1", "Pod", "demo", f"{rollout.to_revision}-0")
    before = cloud.cluster.objects[pod].live["metadata"]["creationTimestamp"]
    record = cloud.rollout(rollout.id)
    memory = remembered(replace(memory_of(record), replaced=(pod.name,)))
    cloud.ledger.put(replace(record, memory=memory))
    execution.step()
    assert pod not in cloud.cluster.objects
    cloud.tick(1.0)
    assert cloud.cluster.objects[pod].live["metadata"]["creationTimestamp"] != before


def test_stables_last_hour_is_read_once_and_teaches_how_unequal_its_pods_are() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    cloud.tick(60.0)
    rollout = cloud.push(service("v2"), "c2")
    cloud.execute(rollout.id).run()
    asked = [call for call in cloud.world.calls if call == "metrics.past"]
    assert len(asked) == 1
    record = cloud.rollout(rollout.id)
    begun = Memory.of(record.carried, JudgePolicy.of(cast("JSON", record.plan["judge"])))
    assert 7_000 < begun.history["Gateway"].requests < 9_500  # a minute of 150 requests a second
    assert begun.ticks == 0
