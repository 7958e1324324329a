"""What a live rollout leaves for the judge: a recording that gives every verdict again, and evidence for a next try."""

import json
from dataclasses import replace
from typing import cast

import pytest
from tests.handlers.rollout_cloud import KEY, Behaviour, Cloud, service

from pointsman.core.changes import change_of
from pointsman.core.judge import Verdict
from pointsman.core.judge.recording import Marked, begin, read, replay
from pointsman.core.names import JSON, Ref
from pointsman.core.records import ServiceRecord
from pointsman.core.rollout.memory import memory_of, remembered
from pointsman.core.rollout_recording import lines_of, recorded
from pointsman.handlers.starting import opening
from pointsman.ports import Write


@pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour(errors=0.1), Behaviour(latency_ms=60.0)], ids=str)
def test_a_recording_of_a_rollout_gives_the_very_verdicts_again(behaviour: Behaviour) -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    cloud.tick(60.0)  # stable has a past, which teaches something
    rollout = cloud.push(service("v2"), "c2")
    cloud.behaviours[rollout.to_revision] = behaviour
    cloud.execute(rollout.id).run()
    recording = recorded(cloud.rollout(rollout.id), cloud.decisions(rollout.id))
    kept = [
        Verdict.of(cast("JSON", decision.after["verdict"]))
        for decision in sorted(cloud.decisions(rollout.id), key=lambda one: one.number)
        if decision.after.get("verdict") is not None
    ]
    again = [verdict for _, verdict in replay(recording)]
    assert len(again) >= 3
    assert [Verdict.of(json.loads(json.dumps(verdict.as_json()))) for verdict in again] == kept
    shared = read(json.dumps(line) for line in lines_of(recording))
    assert [(v.action, v.log_e) for _, v in replay(shared)] == [(v.action, v.log_e) for v in again]
    kinds = {entry.kind for entry in shared.entries if isinstance(entry, Marked)}
    assert kinds >= {"verdict", "split", "state"}


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
    begun = begin(recorded(record, []).head)
    assert 7_000 < begun.history["Gateway"].requests < 9_500  # a minute of 150 requests a second
    assert begun.ticks == 0
