"""What is published is what `schemas/events` promises: every event of ours in these tests is held against it."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from tests.handlers.fakes import at
from tests.handlers.plane import CHAT, RULES, Plane, service
from tests.handlers.samples import HOOKS, sample
from tests.handlers.test_webhook import door_for

from pointsman.core import events
from pointsman.core.events import Event
from pointsman.core.notices import ChannelRef, Notice, NoticeKind, notice_event

SCHEMAS: Mapping[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text())
    for file in (Path(__file__).parents[2] / "schemas" / "events").glob("*.json")
}
TYPES = {
    value
    for name, value in vars(events).items()
    if name.isupper() and isinstance(value, str) and value.startswith("dev.pointsman.")
}


def faults(event: Event) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMAS[event.type]).iter_errors(event.data)]


def test_every_type_of_ours_has_a_schema_that_describes_every_field() -> None:
    assert set(SCHEMAS) == TYPES
    for name, schema in SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        assert schema["$id"].endswith(f"/events/{name}.json")
        assert all(field.get("description") for field in schema["properties"].values()), name


@pytest.mark.parametrize("name", HOOKS)
def test_what_the_receiver_publishes_is_as_promised(name: str) -> None:
    door = door_for(name)
    door.send(sample(name))
    for _, event in door.bus.published:
        assert faults(event) == []


def test_what_the_sweep_rings_with_is_as_promised() -> None:
    plane = Plane()
    plane.commit({"teams/growth/c.yaml": service("churn", "registry: mlflow, name: c, alias: a", namespace="growth")})
    plane.push()
    plane.registries["mlflow"].register("c", "2", "gs://c/2", "a")
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.sweep()
    assert len(plane.bus.published) == 2
    assert [faults(event) for _, event in plane.bus.published] == [[], []]


def test_notices_of_handlers_are_as_promised() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT, "teams/nlp/rules.yaml": RULES})
    plane.push()
    plane.promote(plane.rollouts[0])
    plane.deliver(plane.alert("burn", labels={"pointsman_alert": "burn-rate"}))
    plane.commit({"teams/nlp/chat.yaml": "apiVersion: pointsman.dev/v1\nkind: ["})
    plane.push()
    plane.commit({})
    plane.push()
    assert plane.notices() == ["AlertFired", "DocumentsRefused", "ServiceOrphaned"]
    assert [faults(event) for event in plane.bus.on("notices")] == [[], [], []]


@pytest.mark.parametrize("kind", get_args(NoticeKind))
def test_every_kind_of_notice_is_as_promised(kind: NoticeKind) -> None:
    notice = Notice(kind, "title", "text", (ChannelRef("a", "Slack", secret="s"),), verdict={"action": "hold"})
    assert faults(notice_event(notice, cause="c", now=at())) == []


def test_the_notices_schema_is_the_notice() -> None:
    schema = SCHEMAS["dev.pointsman.notice.v1"]
    assert set(schema["properties"]) == {field.name for field in fields(Notice)} - {"id", "at"}
    assert tuple(schema["properties"]["notice"]["enum"]) == get_args(NoticeKind)


def test_a_cis_announcement_is_as_promised() -> None:
    body = json.loads(sample("ci-model-registered-structured").body)
    assert faults(Event("i", "s", body["type"], at(), "", body["data"])) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("dev.pointsman.repo.pushed.v1", {"repository": "u"}),
        ("dev.pointsman.model.registered.v1", {"model": "", "version": "1", "registry": "ci"}),
        ("dev.pointsman.model.registered.v1", {"model": "m", "version": "1", "registry": "huggingface"}),
        ("dev.pointsman.webhook.ignored.v1", {"kind": "ping", "reason": "r", "payload": {}}),
    ],
)
def test_the_schemas_refuse_what_is_not_ours(kind: str, data: object) -> None:
    assert faults(Event("i", "s", kind, at(), "", data))
