"""An alert leads to what rules say: once a cooldown, by its present state, and never against the innocent."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.handlers.fakes import Crash, at
from tests.handlers.plane import CHAT, PLATFORM, RULES, Plane, service
from tests.handlers.samples import FOLDER, named, sample
from tests.handlers.test_webhook import door_for

from pointsman.core.events import WEBHOOK_IGNORED, Event
from pointsman.core.records import CommandRecord, EventRecord, PoolRecord, RolloutRecord, ServiceRecord
from pointsman.errors import Unavailable
from pointsman.handlers.alerting import alert_of
from pointsman.handlers.delivery import LEASE
from pointsman.handlers.envelope import MESSAGE_PUBLISHED, decode

FIRES: dict[str, Any] = {"labels": {"pointsman_alert": "burn-rate", "pointsman_service": "chat"}}


def plane_with(rules: str = RULES) -> Plane:
    """chat is applied, and its first rollout was promoted an hour and more ago."""
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT, "teams/nlp/rules.yaml": rules})
    plane.push()
    plane.promote(plane.rollouts[0])
    plane.workflows.started.clear()
    plane.now += timedelta(hours=2)
    return plane


def next_release(plane: Plane) -> RolloutRecord:
    plane.commit(
        {
            "teams/nlp/chat.yaml": service("chat", "uri: gs://models/chat/2", more="pool: l4"),
            "teams/nlp/rules.yaml": RULES,
        }
    )
    plane.push()
    return plane.rollouts[-1]


def running(plane: Plane) -> RolloutRecord:
    rollout = plane.run(next_release(plane))
    plane.workflows.started.clear()
    return rollout


def commands(plane: Plane, rollout: RolloutRecord) -> list[CommandRecord]:
    return [command for command in plane.ledger.all(CommandRecord) if command.rollout == rollout.id]


# --- roll back ---------------------------------------------------------------------------------------------------


def test_a_running_rollout_is_asked_to_give_back_and_woken() -> None:
    plane = plane_with()
    rollout = running(plane)
    assert plane.deliver(plane.alert("burn", **FIRES)) == 200
    (command,) = commands(plane, rollout)
    assert (command.verb, command.by, command.why, command.taken) == ("roll_back", "alert:burn", "it burns", "no")
    assert plane.workflows.rung == [rollout.callback]
    assert plane.event.result == "applied"
    assert command.key in plane.event.led_to
    assert plane.started() == [], "an alert signals, it starts nothing beside"


@pytest.mark.parametrize("label", ["revision", "pointsman_revision", "pointsman.dev/revision"])
def test_an_alert_that_names_the_stable_revision_never_rolls_the_canary_back(label: str) -> None:
    plane = plane_with()
    stable = plane.rollouts[0].to_revision
    rollout = running(plane)
    plane.deliver(plane.alert("burn", labels={**FIRES["labels"], label: stable}))
    assert commands(plane, rollout) == []
    assert f"the alert names {stable}, which is stable" in plane.event.reason


def test_a_release_of_just_now_goes_back_to_the_revision_before() -> None:
    plane = plane_with()
    before = plane.rollouts[0].to_revision
    released = next_release(plane)
    plane.promote(released)
    plane.workflows.started.clear()
    plane.now += timedelta(minutes=59)
    plane.deliver(plane.alert("burn", **FIRES))
    back = plane.rollouts[-1]
    assert (back.kind, back.to_revision) == ("roll_back", before)
    assert plane.started() == [("roll-back", back.id)]
    assert back.id in plane.event.led_to


@pytest.mark.parametrize(
    ("minutes", "labels", "reason"),
    [
        pytest.param(61, {}, "was promoted longer ago: not the release's fault", id="an-old-release"),
        pytest.param(
            10, {"revision": "chat-00000000"}, "names chat-00000000, which does not serve", id="another-revision"
        ),
    ],
)
def test_what_is_not_the_releases_fault_is_said_and_nothing_is_done(
    minutes: int, labels: dict[str, str], reason: str
) -> None:
    plane = plane_with()
    plane.promote(next_release(plane))
    plane.workflows.started.clear()
    plane.now += timedelta(minutes=minutes)
    plane.deliver(plane.alert("burn", labels={**FIRES["labels"], **labels}))
    assert plane.started() == []
    assert reason in plane.event.reason


@pytest.mark.parametrize(
    ("marks", "undone"),
    [
        pytest.param(["unchanged summarize", "unchanged translate"], False, id="two-that-nobody-changed"),
        pytest.param(["unchanged summarize", "unchanged chat"], True, id="one-and-itself"),
        pytest.param(["rollBack summarize", "roll_back translate"], True, id="two-with-releases-of-their-own"),
        pytest.param(["notify on-call", "notify chat-owners"], True, id="channels-are-no-services"),
    ],
)
def test_an_incident_that_hits_services_that_nobody_changed_undoes_no_release(marks: list[str], undone: bool) -> None:
    plane = plane_with()
    plane.deliver(plane.alert("old", **FIRES))
    seen = plane.event
    assert "AlertRule/nlp/burn-rate unchanged chat" in seen.led_to
    plane.promote(next_release(plane))
    plane.workflows.started.clear()
    plane.now += timedelta(minutes=5)
    for number, mark in enumerate(marks):
        led_to = (f"AlertRule/nlp/burn-rate {mark}",)
        plane.ledger.put(replace(seen, event=f"{number:032}", led_to=led_to, received_at=plane.now))
    plane.deliver(plane.alert("new", identity="a2", **FIRES))
    assert bool(plane.started()) is undone
    said = "after 100 %" if undone else "not the release's fault: 2 other services alerted within 10 min"
    assert said in plane.event.reason


def test_an_alert_that_began_before_the_rollout_undoes_no_release() -> None:
    plane = plane_with()
    burning_since = plane.now + timedelta(minutes=1)
    plane.now += timedelta(minutes=2)
    plane.promote(next_release(plane))
    plane.workflows.started.clear()
    plane.now += timedelta(minutes=5)
    plane.deliver(plane.alert("burn", started_at=burning_since.isoformat(), **FIRES))
    assert plane.started() == []
    assert "before the rollout did" in plane.event.reason


def test_a_first_deployment_has_nothing_to_go_back_to() -> None:
    plane = plane_with()
    first = plane.rollouts[0]
    plane.ledger.put(replace(first, state="promoted", ended="yes", state_since=plane.now))
    plane.deliver(plane.alert("burn", **FIRES))
    assert "nothing served before" in plane.event.reason


def test_a_blocked_revision_is_not_gone_back_to() -> None:
    plane = plane_with()
    before = plane.rollouts[0].to_revision
    plane.promote(next_release(plane))
    record = plane.ledger.get(ServiceRecord, "serving/nlp/chat")
    blocked = replace(record.revisions[before], blocked=True)
    plane.ledger.put(replace(record, revisions={**record.revisions, before: blocked}))
    plane.workflows.started.clear()
    plane.deliver(plane.alert("burn", **FIRES))
    assert plane.started() == []
    assert f"{before} is not a good revision" in plane.event.reason


def test_while_it_is_given_back_already_another_alert_adds_nothing() -> None:
    plane = plane_with()
    rollout = running(plane)
    plane.ledger.put(replace(rollout, state="giving_back"))
    plane.deliver(plane.alert("burn", **FIRES))
    assert commands(plane, rollout) == []
    assert "is being given back already" in plane.event.reason


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"pointsman_alert": "burn-rate"}, "the alert has no label pointsman_service"),
        ({"pointsman_alert": "burn-rate", "pointsman_service": "gone"}, "nlp/gone was never rolled out"),
    ],
)
def test_an_alert_that_names_no_service_of_ours_still_tells_people(labels: dict[str, str], reason: str) -> None:
    plane = plane_with()
    plane.deliver(plane.alert("burn", labels=labels))
    assert reason in plane.event.reason
    assert plane.notices() == ["AlertFired"]


# --- late, closed, tests -----------------------------------------------------------------------------------------


def test_an_alert_older_than_15_minutes_pauses_and_tells_instead() -> None:
    plane = plane_with()
    rollout = running(plane)
    late = plane.alert("burn", **FIRES)
    plane.now += timedelta(minutes=16)
    plane.deliver(late)
    assert [command.verb for command in commands(plane, rollout)] == ["pause"]
    assert "RolloutHeld" in plane.notices()


def test_an_alert_older_than_15_minutes_takes_no_release_back() -> None:
    plane = plane_with()
    plane.promote(next_release(plane))
    plane.workflows.started.clear()
    late = plane.alert("burn", **FIRES)
    plane.now += timedelta(minutes=16)
    plane.deliver(late)
    assert plane.started() == []
    assert "AlertFired" in plane.notices()


def test_a_close_undoes_nothing_and_an_open_after_it_is_ignored() -> None:
    plane = plane_with()
    rollout = running(plane)
    plane.deliver(plane.alert("burn", state="closed", **FIRES))
    assert plane.event.result == "ignored"
    plane.deliver(plane.alert("burn", **FIRES))
    assert (plane.event.result, plane.event.reason) == ("ignored", "its close was seen before")
    assert commands(plane, rollout) == []


def test_an_alert_that_no_rule_is_about_is_ignored_with_the_reason() -> None:
    plane = plane_with()
    plane.deliver(plane.alert("something else"))
    assert (plane.event.result, plane.event.reason) == ("ignored", "no AlertRule is about something else")


@pytest.mark.parametrize(
    "event",
    [
        Event("x", "//pubsub", MESSAGE_PUBLISHED, at(), "", b"\xff"),
        Event("x", "//pubsub", MESSAGE_PUBLISHED, at(), "", {"incident": {"incident_id": "1"}}),
        Event("x", "//pubsub", MESSAGE_PUBLISHED, at(), "", {"kind": "reconcile"}),
        replace(Plane().alert("p"), data={"policy": "p", "state": "maybe"}),
    ],
)
def test_what_is_no_alert_is_rejected(event: Event) -> None:
    plane = plane_with()
    assert plane.deliver(event, "alert-fired") == 200
    assert plane.event.result == "rejected"


def test_an_ignored_webhook_is_listed_with_its_reason() -> None:
    plane = plane_with()
    event = Event("x", "//grafana/r", WEBHOOK_IGNORED, at(), "", {"kind": "empty", "reason": "a group without alerts"})
    plane.deliver(event, "alert-fired")
    assert (plane.event.result, plane.event.reason) == ("ignored", "a group without alerts")


# --- scale, pause, notify, pipelines -----------------------------------------------------------------------------


def test_a_pool_is_scaled_by_a_hold_of_the_rules_own() -> None:
    plane = plane_with()
    plane.ledger.put(PoolRecord(name="l4", seen=3))
    plane.deliver(plane.alert("queue over 20"))
    hold = plane.ledger.get(PoolRecord, "l4").holds["nlp/saturated"]
    assert hold.nodes == 5, "the three that are there, and two more"
    assert hold.until == plane.now + timedelta(minutes=30)
    assert plane.started() == [("scale-pool", "l4")]
    assert "startPipeline is not carried out yet" in plane.event.reason
    assert plane.event.result == "applied"


@pytest.mark.parametrize(
    ("severity", "result"), [("Warning", "ignored"), ("", "ignored"), ("CRITICAL", "applied"), ("error", "applied")]
)
def test_severities_are_compared_whatever_their_case(severity: str, result: str) -> None:
    plane = plane_with()
    plane.deliver(plane.alert("queue over 20", severity=severity))
    assert plane.event.result == result


def test_pause_holds_the_rollout() -> None:
    plane = plane_with()
    rollout = running(plane)
    plane.deliver(plane.alert("slow"))
    assert [command.verb for command in commands(plane, rollout)] == ["pause"]


def test_pause_without_a_rollout_is_said() -> None:
    plane = plane_with()
    plane.deliver(plane.alert("slow"))
    assert (plane.event.result, plane.event.reason) == ("ignored", "nlp/slow: chat: no rollout is running")


def test_notify_tells_the_channels_it_names_whatever_they_ask_for() -> None:
    plane = plane_with()
    plane.deliver(plane.alert("burn", labels={"pointsman_alert": "burn-rate"}))
    (told,) = plane.bus.on("notices")
    assert told.fields()["notice"] == "AlertFired"
    assert [channel["name"] for channel in told.fields()["channels"]] == ["oncall"]  # type: ignore[attr-defined]


# --- once --------------------------------------------------------------------------------------------------------


def test_a_second_firing_inside_the_cooldown_is_recorded_with_that_reason() -> None:
    plane = plane_with()
    plane.deliver(plane.alert("queue over 20", identity="a1"))
    plane.now += timedelta(minutes=14)
    plane.deliver(plane.alert("queue over 20", identity="a2"))
    assert plane.event.result == "ignored"
    assert "cooling down until 14:15:00 UTC" in plane.event.reason
    assert len(plane.started()) == 1
    plane.now += timedelta(minutes=1)
    plane.deliver(plane.alert("queue over 20", identity="a3"))
    assert len(plane.started()) == 2


def test_the_cooldown_is_of_each_target() -> None:
    plane = plane_with()
    rollout = running(plane)
    plane.deliver(plane.alert("burn", identity="a1", labels={"pointsman_alert": "burn-rate", "pointsman_service": "x"}))
    plane.deliver(plane.alert("burn", identity="a2", **FIRES))
    assert len(commands(plane, rollout)) == 1


def test_a_channel_that_is_named_like_a_service_has_a_cooldown_of_its_own() -> None:
    plane = plane_with()
    plane.commit(
        {
            "platform.yaml": PLATFORM.replace("oncall", "chat"),
            "teams/nlp/chat.yaml": service("chat", "uri: gs://models/chat/2", more="pool: l4"),
            "teams/nlp/rules.yaml": RULES.replace("oncall", "chat"),
        }
    )
    plane.push()
    plane.promote(plane.rollouts[-1])
    plane.deliver(plane.alert("burn", identity="a1", labels={"pointsman_alert": "burn-rate"}))
    assert "chat told" in plane.event.reason, "the channel"
    late = plane.alert("burn", identity="a2", started_at=(plane.now - timedelta(minutes=16)).isoformat(), **FIRES)
    plane.deliver(late)
    assert "chat the alert is old: told, nothing done" in plane.event.reason, "of the service"
    assert plane.notices() == ["AlertFired", "AlertFired"]


def test_people_who_were_told_just_now_keep_no_rollout_from_being_paused() -> None:
    plane = plane_with()
    plane.promote(next_release(plane))
    first, second = (plane.alert("burn", identity=identity, **FIRES) for identity in ("a1", "a2"))
    plane.now += timedelta(minutes=16)
    plane.deliver(first)
    assert "told, nothing done" in plane.event.reason
    document = service("chat", "uri: gs://models/chat/3", more="pool: l4")
    plane.commit({"teams/nlp/chat.yaml": document, "teams/nlp/rules.yaml": RULES})
    plane.push()
    rollout = plane.run(plane.rollouts[-1])
    plane.deliver(second)
    assert [command.verb for command in commands(plane, rollout)] == ["pause"]


def test_a_zero_cooldown_lets_every_firing_through() -> None:
    plane = plane_with()
    rollout = running(plane)
    for identity in ("a1", "a2"):
        plane.deliver(plane.alert("slow", identity=identity))
    assert len(commands(plane, rollout)) == 2


def test_three_deliveries_are_one_command() -> None:
    plane = plane_with()
    rollout = running(plane)
    for _ in range(3):
        plane.deliver(plane.alert("burn", **FIRES))
    assert len(commands(plane, rollout)) == 1
    assert len(plane.notices()) == 1


def test_one_actions_trouble_does_not_keep_the_others() -> None:
    plane = plane_with()
    rollout = running(plane)
    plane.world.failing["bus.publish"] = [Unavailable("no answer")]
    event = plane.alert("burn", **FIRES)
    assert plane.deliver(event) == 503
    assert len(commands(plane, rollout)) == 1
    assert plane.deliver(event) == 200
    assert len(commands(plane, rollout)) == 1
    assert plane.notices() == ["AlertFired"]


def with_running(plane: Plane) -> Event:
    running(plane)
    return plane.alert("burn", **FIRES)


def with_release(plane: Plane) -> Event:
    plane.promote(next_release(plane))
    plane.workflows.started.clear()
    return plane.alert("burn", **FIRES)


def with_pool(plane: Plane) -> Event:
    return plane.alert("queue over 20")


@pytest.mark.parametrize("prepare", [with_running, with_release, with_pool])
def test_a_crash_between_any_two_calls_converges_on_redelivery(prepare: Any) -> None:
    clean = plane_with()
    event = prepare(clean)
    before = len(clean.world.calls)
    clean.deliver(event)
    calls = len(clean.world.calls) - before
    for crash_after in range(calls + 1):
        plane = plane_with()
        event = prepare(plane)
        plane.world.calls.clear()
        plane.world.crash_after = crash_after
        try:
            plane.deliver(event)
        except Crash:
            assert crash_after <= calls
        plane.world.restart()
        plane.now += LEASE
        assert plane.deliver(event) == 200
        said = f"after call {crash_after}"
        record = plane.ledger.get(EventRecord, event.key)
        assert (record.state, record.result) == ("done", "applied"), said
        assert set(record.led_to) == set(clean.ledger.get(EventRecord, event.key).led_to), said
        keys = [sorted(item.key for item in one.ledger.all(CommandRecord)) for one in (plane, clean)]
        assert keys[0] == keys[1], said
        holds = [
            [hold.nodes for pool in one.ledger.all(PoolRecord) for hold in pool.holds.values()]
            for one in (plane, clean)
        ]
        assert holds[0] == holds[1], said
        assert set(plane.started()) == set(clean.started()), said
        assert set(plane.notices()) == set(clean.notices()), said


# --- every sample ------------------------------------------------------------------------------------------------

SAMPLE_RULES = "---\n".join(
    f"""\
apiVersion: pointsman.dev/v1
kind: AlertRule
metadata: {{name: {name}, namespace: nlp}}
spec: {{alert: {match}, actions: [{{notify: {{channels: [oncall]}}}}], cooldown: 0s}}
"""
    for name, match in {
        "by-name": "{name: churn-scorer p99 latency}",
        "by-policy": "{name: projects/acme-ml-prod/alertPolicies/22}",
        "by-label": "{selector: {matchLabels: {pod: churn-7-abc}}}",
        "by-alertname": "{name: ChurnP99High, selector: {matchLabels: {model: churn-scorer}}}",
        "by-grafana": "{name: Churn 5xx}",
        "by-example": "{selector: {matchLabels: {example: label}}}",
    }.items()
)
# Sample -> result, what its reason holds.
OUTCOMES = {
    "alertmanager-firing": ("applied", "nlp/by-alertname"),
    "alertmanager-resolved": ("ignored", "closed: nothing is undone by it"),
    "grafana-firing": ("applied", "nlp/by-grafana"),
    "monitoring-closed-cloudevent": ("ignored", "closed: nothing is undone by it"),
    "monitoring-logmatch-open-cloudevent": ("applied", "nlp/by-label"),
    "monitoring-open-cloudevent": ("applied", "nlp/by-name"),
    "monitoring-open-cloudevent-structured": ("applied", "nlp/by-name"),
    "monitoring-promql-open-cloudevent": ("applied", "nlp/by-policy"),
    "monitoring-test-notification-cloudevent": ("ignored", "a test notification"),
    "pubsub-attributes-only-cloudevent": ("rejected", "the event is no alert"),
    "pubsub-deadletter-cloudevent": ("applied", "nlp/by-name"),
    "pubsub-malformed-data-cloudevent": ("rejected", "the event is no alert"),
    "pubsub-ordered-cloudevent": ("rejected", "the event is no alert"),
    "pubsub-push-raw": ("applied", "nlp/by-name"),
}
CARRIED = [name for name in named("monitoring", "pubsub", "alertmanager", "grafana") if name != "pubsub-push-unwrapped"]


@pytest.mark.parametrize("name", CARRIED)
def test_every_alert_of_the_samples_ends_as_it_should(name: str) -> None:
    plane = plane_with(SAMPLE_RULES)
    given = sample(name)
    if name.startswith(("alertmanager", "grafana")):
        door = door_for(name)
        assert door.send(given) == 202
        ((_, event),) = door.bus.published
    else:
        event = decode(given.headers, given.body)
    for _ in range(3):
        assert plane.deliver(event, "alert-fired") == 200
    result, reason = OUTCOMES[name]
    assert plane.event.result == result
    assert reason in plane.event.reason
    assert plane.event.deliveries == 3
    assert len(plane.notices()) == (1 if result == "applied" else 0)


def test_an_incident_repeated_in_a_new_message_is_the_same_event() -> None:
    plane = plane_with(SAMPLE_RULES)
    for name in ("monitoring-open-cloudevent", "pubsub-push-raw", "pubsub-deadletter-cloudevent"):
        given = sample(name)
        plane.deliver(decode(given.headers, given.body), "alert-fired")
    assert len(plane.notices()) == 1
    assert plane.event.deliveries == 3


@pytest.mark.parametrize(
    "name", sorted(file.stem for file in FOLDER.glob("monitoring-*.json") if "cloudevent" not in file.stem)
)
def test_every_incident_is_read_with_all_that_rules_ask_for(name: str) -> None:
    data = json.loads((FOLDER / f"{name}.json").read_bytes())
    alert = alert_of(Event("i", "//monitoring", MESSAGE_PUBLISHED, at(), "", data))
    incident = data["incident"]
    assert alert.state in ("open", "closed")
    assert alert.policies[0] == incident["policy_name"]
    assert incident["policy_user_labels"].items() <= alert.labels.items()
    assert alert.test == (data["version"] == "test")
    if not alert.test:
        assert alert.started_at == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
        assert alert.severity == "Error"


@pytest.mark.parametrize(
    "started",
    [1795168800, "1795168800", 1795168800.0, "2026-11-20T10:00:00Z", "2026-11-20T11:00:00+01:00"],
)
def test_when_an_incident_began_is_read_however_it_is_written(started: object) -> None:
    data = {"incident": {"incident_id": "1", "state": "OPEN", "started_at": started}}
    alert = alert_of(Event("1/open", "//monitoring", MESSAGE_PUBLISHED, at(), "", data))
    assert alert.started_at == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("started", [None, 0, "", "soon", True, 1e30])
def test_an_incident_that_does_not_say_when_it_began_began_when_it_was_told(started: object) -> None:
    data = {"incident": {"incident_id": "1", "state": "open", "started_at": started}}
    assert alert_of(Event("1/open", "//monitoring", MESSAGE_PUBLISHED, at(5), "", data)).started_at == at(5)


def test_a_policys_own_labels_win_over_the_metrics_and_those_over_the_resources() -> None:
    incident = {
        "state": "open",
        "policy_user_labels": {"a": "policy"},
        "metric": {"labels": {"a": "metric", "b": "metric"}},
        "resource": {"labels": {"a": "resource", "b": "resource", "c": "resource"}},
    }
    alert = alert_of(Event("1/open", "//monitoring", MESSAGE_PUBLISHED, at(), "", {"incident": incident}))
    assert alert.labels == {"a": "policy", "b": "metric", "c": "resource"}
