"""What was lost is found: pushes, aliases, executions, rings, dead letters, claims; each without doing it twice."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.handlers.fakes import Crash, World, at
from tests.handlers.plane import CHAT, REPOSITORY, Plane, service

from pointsman.core.events import ALERT_FIRED, MODEL_REGISTERED, Event
from pointsman.core.records import CommandRecord, EventRecord, HeadRecord, PoolRecord, VersionRecord
from pointsman.errors import Unavailable
from pointsman.handlers.commanding import ordered
from pointsman.handlers.sweep import scope_of

TRACKED = service("churn", "registry: mlflow, name: churn, alias: champion", namespace="growth")


def plane_with(*services: str, world: World | None = None) -> Plane:
    plane = Plane(world or World())
    plane.commit(documents(*services))
    plane.push()
    return plane


def documents(*services: str) -> dict[str, str]:
    return {
        f"teams/{'growth' if 'namespace: growth' in text else 'nlp'}/{number}.yaml": text
        for number, text in enumerate(services)
    }


@pytest.mark.parametrize(
    ("body", "scheduled", "minute", "scope"),
    [
        pytest.param({"scope": "all"}, None, 1, "all", id="asked-for-all"),
        pytest.param({"scope": "leases"}, None, 0, "leases", id="asked-for-leases"),
        pytest.param({}, None, 5, "all", id="a-fifth-minute"),
        pytest.param(None, None, 6, "leases", id="another-minute"),
        pytest.param({"scope": "everything"}, None, 1, "leases", id="an-unknown-scope"),
        pytest.param([], None, 10, "all", id="no-object"),
        pytest.param(None, "2026-11-22T12:05:00Z", 6, "all", id="a-fifth-minute-that-comes-late"),
        pytest.param(None, "2026-11-22T12:04:00.000Z", 5, "leases", id="another-minute-that-comes-late"),
        pytest.param(None, "2026-11-22T12:04:17.250Z", 4, "all", id="run-by-hand"),
        pytest.param(None, "soon", 4, "leases", id="no-time"),
        pytest.param({"scope": "leases"}, "2026-11-22T12:05:00Z", 5, "leases", id="asked-for-wins"),
    ],
)
def test_everything_is_looked_at_in_minutes_that_five_divides(
    body: object, scheduled: str | None, minute: int, scope: str
) -> None:
    assert scope_of(body, scheduled, datetime(2026, 11, 22, 12, minute, tzinfo=UTC)) == scope


# --- pushes ------------------------------------------------------------------------------------------------------


def test_a_push_whose_webhook_was_lost_is_found_and_applied() -> None:
    plane = plane_with(CHAT)
    lost = plane.commit({"teams/nlp/0.yaml": service("chat", "uri: gs://models/chat/2")})
    answer = plane.sweep()
    (event,) = plane.bus.on("repo-pushed")
    assert (event.source, event.id) == ("//pointsman/sweep", f"{REPOSITORY}@main@{lost}")
    assert event.fields()["after"] == lost
    assert answer["found"] == [f"{lost[:12]} was pushed and nobody said so: rung"]
    assert plane.deliver(event) == 200
    assert plane.ledger.get(HeadRecord, f"{REPOSITORY}#main").commit == lost
    assert plane.sweep()["found"] == []


def test_a_head_that_is_applied_or_refused_is_not_rung_for() -> None:
    plane = plane_with(CHAT)
    assert plane.sweep()["found"] == []
    plane.commit({"teams/nlp/0.yaml": "apiVersion: pointsman.dev/v1\nkind: ["})
    plane.push()
    assert plane.sweep()["found"] == []
    assert plane.bus.on("repo-pushed") == []


def test_the_very_first_push_may_be_the_lost_one() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.sweep()
    plane.deliver(plane.bus.on("repo-pushed")[0])
    assert len(plane.rollouts) == 1


def test_a_push_that_is_being_delivered_is_not_rung_for_as_well() -> None:
    plane = plane_with(CHAT)
    plane.commit({"teams/nlp/0.yaml": service("chat", "uri: gs://models/chat/2")})
    plane.world.failing["source.files"] = [Unavailable("no answer")]
    assert plane.push(delivery="slow") == 503
    plane.sweep()
    assert plane.bus.on("repo-pushed") == []
    plane.now += timedelta(minutes=11)
    plane.sweep()
    assert len(plane.bus.on("repo-pushed")) == 1


def test_a_push_whose_webhook_is_a_moment_behind_is_not_rung_for() -> None:
    plane = plane_with(CHAT)
    commit = plane.commit({"teams/nlp/0.yaml": service("chat", "uri: gs://models/chat/2")})
    assert plane.sweep(meanwhile=lambda: plane.push(delivery="late"))["found"] == []
    assert plane.bus.on("repo-pushed") == []
    pushed = [event for event in plane.ledger.all(EventRecord) if commit in event.subject]
    assert [event.id for event in pushed] == ["late"]


def test_a_head_that_moves_while_the_sweep_waits_is_the_next_sweeps() -> None:
    plane = plane_with(CHAT)
    plane.commit({"teams/nlp/0.yaml": service("chat", "uri: gs://models/chat/2")})
    last = {"teams/nlp/0.yaml": service("chat", "uri: gs://models/chat/3")}
    assert plane.sweep(meanwhile=lambda: plane.commit(last))["found"] == []
    assert len(plane.sweep()["found"]) == 1


def test_a_head_that_goes_back_and_forth_is_found_each_time() -> None:
    plane = plane_with(CHAT)
    first = plane.source.branches[REPOSITORY]["main"]
    second = plane.commit({"teams/nlp/0.yaml": service("chat", "uri: gs://models/chat/2")})
    for commit in (second, first, second, first):
        plane.source.point(REPOSITORY, commit)
        plane.now += timedelta(minutes=5)
        plane.settle()
        plane.sweep()
        plane.deliver(plane.bus.on("repo-pushed")[-1])
        assert plane.ledger.get(HeadRecord, f"{REPOSITORY}#main").commit == commit


# --- aliases -----------------------------------------------------------------------------------------------------


def test_an_alias_whose_webhook_was_lost_is_found() -> None:
    plane = plane_with(TRACKED)
    plane.registries["mlflow"].register("churn", "2", "gs://churn/2", "champion")
    answer = plane.sweep()
    (event,) = plane.bus.on("model-registered")
    assert (event.type, event.source) == (MODEL_REGISTERED, "//pointsman/sweep")
    assert event.id == "mlflow/churn@champion@2"
    assert answer["found"] == ["churn@champion is version 2 and growth/churn does not know: rung"]
    plane.deliver(event)
    assert len(plane.rollouts) == 1
    assert plane.sweep()["found"] == []


def test_an_alias_whose_webhook_is_a_moment_behind_is_not_rung_for() -> None:
    plane = plane_with(TRACKED)
    plane.registries["mlflow"].register("churn", "2", "gs://churn/2", "champion")
    told = {"model": "churn", "version": "2", "registry": "mlflow", "alias": "champion"}
    webhook = Event("m1", "//mlflow/host", MODEL_REGISTERED, at(), "churn@champion", told)
    assert plane.sweep(meanwhile=lambda: plane.deliver(webhook))["found"] == []
    assert plane.bus.on("model-registered") == []
    assert len(plane.rollouts) == 1


def test_an_announced_version_is_not_announced_again_by_the_sweep() -> None:
    plane = plane_with(service("built", "registry: builds, name: churn, alias: latest", namespace="growth"))
    told = {"model": "churn", "version": "1", "registry": "ci", "artifact_uri": "gs://churn/1"}
    plane.deliver(Event("a", "//ci", MODEL_REGISTERED, at(-3600), "", told))
    before = plane.ledger.all(VersionRecord)
    plane.deliver(Event("s", "//pointsman/sweep", MODEL_REGISTERED, at(60), "", told))
    assert plane.ledger.all(VersionRecord) == before


def test_a_silent_registry_is_said_and_the_rest_is_looked_at() -> None:
    plane = plane_with(TRACKED, CHAT)
    lost = plane.commit(
        {"teams/nlp/1.yaml": service("chat", "uri: gs://models/chat/2"), "teams/growth/0.yaml": TRACKED}
    )
    plane.world.failing["registry.resolve"] = [Unavailable("the registry does not answer")]
    answer = plane.sweep()
    assert answer["failed"] == {"aliases": "the registry does not answer"}
    assert answer["found"] == [f"{lost[:12]} was pushed and nobody said so: rung"]


# --- executions and leases ---------------------------------------------------------------------------------------


def test_a_rollout_that_nobody_claimed_is_started_after_a_minute() -> None:
    plane = plane_with(CHAT)
    plane.workflows.started.clear()
    plane.now += timedelta(seconds=60)
    assert plane.sweep("leases")["found"] == []
    plane.now += timedelta(seconds=1)
    plane.sweep("leases")
    assert plane.started() == [("roll-out", plane.rollouts[0].id)]


def test_a_rollout_whose_execution_is_gone_gets_another() -> None:
    plane = plane_with(CHAT)
    rollout = plane.run(plane.rollouts[0])
    plane.workflows.started.clear()
    plane.now += timedelta(seconds=90)
    assert plane.sweep("leases")["found"] == []
    plane.now += timedelta(seconds=1)
    plane.sweep("leases")
    assert plane.started() == [("roll-out", rollout.id)]


@pytest.mark.parametrize("kind", ["roll_back", "remove"])
def test_a_way_back_is_started_again_by_its_own_workflow(kind: Any) -> None:
    plane = plane_with(CHAT)
    plane.ledger.put(replace(plane.rollouts[0], kind=kind))
    plane.workflows.started.clear()
    plane.now += timedelta(minutes=2)
    plane.sweep("leases")
    assert [workflow for workflow, _ in plane.started()] == ["roll-back"]


def test_a_rollout_that_has_ended_or_is_driven_is_left_alone() -> None:
    plane = plane_with(CHAT)
    plane.promote(plane.rollouts[0])
    plane.workflows.started.clear()
    plane.now += timedelta(days=1)
    plane.sweep("leases")
    assert plane.started() == []


def test_a_pool_whose_execution_went_silent_gets_another() -> None:
    plane = plane_with(CHAT)
    plane.promote(plane.rollouts[0])
    plane.workflows.started.clear()
    plane.ledger.put(PoolRecord("l4", execution="e", lease_until=plane.now), PoolRecord("idle"))
    plane.sweep("leases")
    assert plane.started() == []
    plane.now += timedelta(seconds=31)
    plane.sweep("leases")
    assert plane.started() == [("scale-pool", "l4")]
    assert plane.workflows.started[0].argument == {"pool": "l4", "callback": None}


# --- commands ----------------------------------------------------------------------------------------------------


def test_a_command_whose_ring_was_lost_is_rung_for() -> None:
    plane = plane_with(CHAT)
    rollout = plane.run(plane.rollouts[0])
    plane.ledger.put(ordered(rollout, "abort", by="lea", why="", number="c1", now=plane.now))
    plane.now += timedelta(seconds=3)
    plane.sweep("leases")
    assert plane.workflows.rung == [rollout.callback]


def test_a_command_that_came_after_the_end_is_not_rung_for_for_ever() -> None:
    plane = plane_with(CHAT)
    rollout = plane.rollouts[0]
    plane.ledger.put(ordered(rollout, "abort", by="lea", why="", number="c1", now=plane.now))
    plane.promote(rollout)
    plane.now += timedelta(seconds=3)
    plane.sweep("leases")
    assert [command.taken for command in plane.ledger.all(CommandRecord)] == ["ended"]
    assert plane.workflows.rung == []


# --- dead letters and claims -------------------------------------------------------------------------------------


def dead_alert(identity: str) -> Event:
    return Event(identity, "//alertmanager/r", ALERT_FIRED, at(), "p", {"policy": "p", "state": "open"})


def test_a_dead_letter_is_redriven_once_and_then_given_up_and_said() -> None:
    plane = plane_with(CHAT)
    event = dead_alert("a/firing")
    plane.world.failing["ledger.find"] = [Unavailable("no answer")]
    assert plane.deliver(event) == 503
    plane.bus.dead["alert-fired"] = [(event, False)]
    plane.sweep()
    assert plane.bus.on("alert-fired") == [event]
    plane.bus.dead["alert-fired"] = [(event, True)]
    answer = plane.sweep()
    assert answer["found"] == ["event a/firing of alert-fired was given up"]
    given_up = plane.ledger.get(EventRecord, event.key)
    assert (given_up.state, given_up.result) == ("done", "rejected")
    assert given_up.reason == "given up after 1 deliveries: no answer"
    assert plane.notices() == ["EventDropped"]


def test_a_dead_letter_that_was_never_claimed_is_said_all_the_same() -> None:
    plane = plane_with(CHAT)
    plane.bus.dead["notices"] = [(dead_alert("b/firing"), True)]
    plane.sweep()
    assert plane.notices() == ["EventDropped"]


def test_a_claim_that_nobody_will_finish_is_closed_with_its_reason() -> None:
    plane = plane_with(CHAT)
    plane.world.failing["source.heads"] = [Unavailable("no answer")]
    plane.push(delivery="lost")
    plane.now += timedelta(hours=7)
    plane.sweep()
    record = next(record for record in plane.ledger.all(EventRecord) if record.id == "lost")
    assert (record.state, record.result) == ("done", "rejected")
    assert record.reason == "never finished after 1 attempts: no answer"


# --- what the step functions see ---------------------------------------------------------------------------------


class Findings:
    def __init__(self, **findings: list[dict[str, object]]) -> None:
        self.findings = findings

    def inspect(self, function: str) -> Mapping[str, object]:
        return {"findings": self.findings.get(function, [])}


def test_weights_and_pools_that_differ_are_mended_by_the_workflow_that_may() -> None:
    plane = plane_with(CHAT)
    plane.workflows.started.clear()
    finding: dict[str, object] = {"service": "nlp/chat", "rollout": "r1", "what": "weights differ", "start": "roll-out"}
    idle: dict[str, object] = {"pool": "l4", "what": "2 nodes too many", "start": "scale-pool"}
    answer = plane.sweep(inspector=Findings(rollout_step=[finding], pool_step=[idle]))
    assert plane.started() == [("roll-out", "r1"), ("scale-pool", "l4")]
    assert answer["found"] == ["nlp/chat: weights differ", "pool l4: 2 nodes too many"]


def test_a_finding_that_names_no_workflow_is_said_only() -> None:
    plane = plane_with(CHAT)
    plane.workflows.started.clear()
    finding: dict[str, object] = {"service": "nlp/chat", "what": "route was edited by hand"}
    answer = plane.sweep(inspector=Findings(rollout_step=[finding]))
    assert plane.started() == []
    assert answer["found"] == ["nlp/chat: route was edited by hand"]
    told = [line for line in plane.log.lines if line.get("part") == "weights"]
    assert [(line["severity"], line["found"]) for line in told] == [("WARNING", answer["found"][0])]


def test_only_when_nothing_could_be_looked_at_the_sweep_fails() -> None:
    plane = plane_with(CHAT)
    plane.world.failing["ledger.find"] = [Unavailable("no answer")] * 3
    with pytest.raises(Unavailable):
        plane.sweep("leases")


def test_a_crash_between_any_two_calls_leaves_the_rest_to_the_next_sweep() -> None:
    def lost_everything() -> Plane:
        plane = plane_with(CHAT, TRACKED)
        plane.run(plane.rollouts[0])
        plane.ledger.put(ordered(plane.rollouts[0], "abort", by="lea", why="", number="c1", now=plane.now))
        plane.workflows.started.clear()
        plane.commit({"teams/nlp/0.yaml": service("chat", "uri: gs://models/chat/2"), "teams/growth/1.yaml": TRACKED})
        plane.registries["mlflow"].register("churn", "2", "gs://churn/2", "champion")
        plane.bus.dead["repo-pushed"] = [(dead_alert("x"), True)]
        plane.now += timedelta(minutes=5)
        plane.world.calls.clear()
        return plane

    clean = lost_everything()
    clean.sweep()
    calls = len(clean.world.calls)
    for crash_after in range(calls + 1):
        plane = lost_everything()
        plane.world.crash_after = crash_after
        try:
            plane.sweep()
        except Crash:
            assert crash_after <= calls
        plane.world.restart()
        plane.sweep()
        assert set(plane.started()) == set(clean.started())
        assert set(plane.workflows.rung) == set(clean.workflows.rung)
        for topic in ("repo-pushed", "model-registered"):
            assert {event.key for event in clean.bus.on(topic)} <= {event.key for event in plane.bus.on(topic)}
