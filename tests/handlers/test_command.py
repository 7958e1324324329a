"""What people ask: who may, what is written, who is woken, and what is answered when nothing is to be done."""

import base64
import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.handlers.fakes import Crash
from tests.handlers.plane import CHAT, REPOSITORY, Plane, service
from tests.handlers.samples import FOLDER

from pointsman.core.records import (
    CommandRecord,
    DocumentRecord,
    HeadRecord,
    RevisionStatus,
    RolloutRecord,
    ServiceRecord,
)
from pointsman.errors import Absent, Conflict, Denied, Invalid
from pointsman.handlers.caller import email_of

CHAT_2 = service("chat", "uri: gs://models/chat/2", more="pool: l4")
CHURN = service("churn", "uri: gs://c/1", namespace="growth")
TRACKED = service("churn", "registry: mlflow, name: churn, alias: champion", namespace="growth")
KEY = "serving/nlp/chat"


def plane_with(*, promoted: bool = True) -> Plane:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    if promoted:
        plane.promote(plane.rollouts[0])
        plane.now += timedelta(hours=2)
    return plane


def release(plane: Plane) -> RolloutRecord:
    plane.commit({"teams/nlp/chat.yaml": CHAT_2})
    plane.push()
    return plane.rollouts[-1]


def record(plane: Plane) -> ServiceRecord:
    return plane.ledger.get(ServiceRecord, KEY)


# --- a running rollout -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["abort", "pause", "resume", "skip", "approve", "promote", "roll_back"])
def test_a_command_is_written_with_its_proven_author_and_wakes_the_rollout(verb: str) -> None:
    plane = plane_with()
    rollout = plane.run(release(plane))
    answer = plane.command(verb, "nlp/chat", why="it smells")
    (command,) = plane.ledger.all(CommandRecord)
    assert answer == {"command": command.id, "state": "stepping"}
    assert (command.rollout, command.verb, command.by, command.why) == (
        rollout.id,
        verb,
        "lea@example.com",
        "it smells",
    )
    assert (command.at, command.taken) == (plane.now, "no")
    assert plane.workflows.rung == [rollout.callback]


def test_a_ring_that_fails_loses_no_command() -> None:
    plane = plane_with()
    plane.run(release(plane))
    plane.world.failing["workflows.ring"] = [Invalid("no callback of ours")]
    assert plane.command("abort", "nlp/chat")["command"]
    assert len(plane.ledger.all(CommandRecord)) == 1


def test_a_rollout_that_nobody_claimed_yet_takes_commands_too() -> None:
    plane = plane_with()
    rollout = release(plane)
    assert plane.command("abort", "nlp/chat")["state"] == "queued"
    assert [command.rollout for command in plane.ledger.all(CommandRecord)] == [rollout.id]
    assert plane.workflows.rung == []


def test_a_rollout_that_has_ended_is_answered_with_its_state() -> None:
    plane = plane_with()
    assert plane.command("abort", "nlp/chat") == {"command": None, "state": "promoted"}
    assert plane.ledger.all(CommandRecord) == []


def test_a_rollout_may_be_named() -> None:
    plane = plane_with()
    ended, running = plane.rollouts[0], plane.run(release(plane))
    assert plane.command("abort", "nlp/chat", rollout=ended.id) == {"command": None, "state": "promoted"}
    assert plane.command("abort", "nlp/chat", rollout=running.id)["state"] == "stepping"
    with pytest.raises(Absent, match="no rollout 0000 of nlp/chat"):
        plane.command("abort", "nlp/chat", rollout="0000")


def test_a_rollout_of_another_service_cannot_be_reached_through_ones_own() -> None:
    plane = plane_with()
    running = plane.run(release(plane))
    plane.commit(
        {
            "teams/nlp/chat.yaml": CHAT_2,
            "teams/growth/churn.yaml": service("churn", "uri: gs://c/1", namespace="growth"),
        }
    )
    plane.push()
    with pytest.raises(Absent):
        plane.command("abort", "growth/churn", rollout=running.id)


# --- who may -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "service_name", "may"),
    [
        ("lea@example.com", "nlp/chat", True),
        ("LEA@example.com", "nlp/chat", True),
        ("bot@acme.iam.gserviceaccount.com", "nlp/chat", True),
        ("sam@example.com", "nlp/chat", False),
        ("lea@example.com.evil.example", "nlp/chat", False),
        ("sam@example.com", "growth/churn", True),
    ],
)
def test_only_owners_command_where_owners_are_listed(by: str, service_name: str, may: bool) -> None:
    plane = plane_with()
    plane.commit(
        {
            "teams/nlp/chat.yaml": CHAT_2,
            "teams/growth/churn.yaml": service("churn", "uri: gs://c/1", namespace="growth"),
        }
    )
    plane.push()
    if may:
        assert plane.command("abort", service_name, by=by)["command"]
    else:
        with pytest.raises(Denied, match="is no owner of namespace nlp"):
            plane.command("abort", service_name, by=by)
        assert plane.ledger.all(CommandRecord) == []


def token(claims: dict[str, object]) -> str:
    parts = (json.dumps({"alg": "RS256"}), json.dumps(claims), "SIGNATURE_REMOVED_BY_GOOGLE")
    encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts[:2]]
    return "Bearer " + ".".join([*encoded, parts[2]])


LEA = token({"email": "Lea@example.com", "email_verified": True})


def test_the_caller_is_who_the_checked_token_names() -> None:
    assert email_of({"Authorization": LEA}) == "lea@example.com"
    assert email_of({"X-Serverless-Authorization": LEA}) == "lea@example.com"
    for claims in json.loads((FOLDER / "oidc-claims.json").read_text()).values():
        assert email_of({"authorization": token(claims)}) == claims["email"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no-token"),
        pytest.param({"X-Goog-Authenticated-User-Email": "accounts.google.com:lea@example.com"}, id="another-header"),
        pytest.param({"Authorization": LEA, "X-Serverless-Authorization": LEA}, id="two-tokens"),
        pytest.param({"Authorization": LEA.replace("Bearer", "Basic")}, id="no-bearer"),
        pytest.param({"Authorization": "Bearer x"}, id="no-token-form"),
        pytest.param({"Authorization": "Bearer a.%%%.c"}, id="no-base64"),
        pytest.param({"Authorization": "Bearer a." + base64.urlsafe_b64encode(b"[" * 5000).decode() + ".c"}, id="deep"),
        pytest.param({"Authorization": token({"email": "lea@example.com", "email_verified": False})}, id="unverified"),
        pytest.param({"Authorization": token({"email": "lea@example.com", "email_verified": "true"})}, id="not-a-bool"),
        pytest.param({"Authorization": token({"sub": "1", "email_verified": True})}, id="no-email"),
    ],
)
def test_nothing_else_says_who_calls(headers: dict[str, str]) -> None:
    with pytest.raises(Denied):
        email_of(headers)


# --- malformed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("destroy", {"service": "nlp/chat"}),
        ("__init__", {"service": "nlp/chat"}),
        ("admit", {"service": "nlp/chat"}),
        ("abort", {"service": "chat"}),
        ("abort", {"service": "a/b/c"}),
        ("abort", {"service": None}),
        ("abort", {"service": "*"}),
        ("abort", {"service": "nlp/chat", "why": 7}),
        ("abort", {"service": "nlp/chat", "why": "x" * 1001}),
        ("abort", {"service": "nlp/chat", "rollout": 7}),
        ("promote", {"service": "nlp/chat"}),
        ("promote", {"service": "nlp/chat", "why": "  "}),
        ("abort", []),
    ],
)
def test_a_malformed_command_is_refused_with_the_remedy(verb: str, body: Any) -> None:
    plane = plane_with()
    plane.run(release(plane))
    with pytest.raises(Invalid):
        plane.command_raw(verb, body)
    assert plane.ledger.all(CommandRecord) == []


def test_an_unknown_service_is_absent() -> None:
    with pytest.raises(Absent, match="no service nlp/other was rolled out"):
        plane_with().command("abort", "nlp/other")


# --- undo, retry, unblock, delete --------------------------------------------------------------------------------


def test_undo_goes_back_to_the_revision_before_by_a_rollout_of_its_own() -> None:
    plane = plane_with()
    before = plane.rollouts[0].to_revision
    plane.promote(release(plane))
    plane.workflows.started.clear()
    plane.now += timedelta(minutes=1)
    answer = plane.command("undo", "nlp/chat", why="customers call")
    back = plane.rollouts[-1]
    assert answer["state"] == "queued"
    assert (back.kind, back.to_revision) == ("roll_back", before)
    assert "lea@example.com: customers call" in back.reason
    assert plane.started() == [("roll-back", back.id)]
    (command,) = plane.ledger.all(CommandRecord)
    assert (command.rollout, command.verb, command.taken) == (back.id, "undo", "start")


def test_undo_of_a_running_rollout_is_an_abort() -> None:
    plane = plane_with()
    plane.run(release(plane))
    with pytest.raises(Invalid, match="is stepping") as refused:
        plane.command("undo", "nlp/chat")
    assert refused.value.remedy == "pointsman abort chat -n nlp"


@pytest.mark.parametrize("verb", ["abort", "undo"])
def test_once_all_traffic_is_there_an_abort_is_a_way_back_that_waits_for_the_rest(verb: str) -> None:
    plane = plane_with()
    before = plane.rollouts[0].to_revision
    rollout = plane.run(release(plane), "completing")
    plane.ledger.put(replace(record(plane), stable=rollout.to_revision))
    assert plane.command(verb, "nlp/chat")["state"] == "queued"
    back = plane.rollouts[-1]
    assert (back.kind, back.to_revision) == ("roll_back", before)
    assert record(plane).next == back.id


def test_undo_without_a_revision_before_says_so() -> None:
    with pytest.raises(Invalid, match="no good revision before"):
        plane_with().command("undo", "nlp/chat")


def failed(plane: Plane, *, blocked: bool) -> RolloutRecord:
    """chat's second revision was rolled back."""
    rollout = release(plane)
    service = record(plane)
    status = RevisionStatus(placed="drained", since=plane.now, blocked=blocked, why="rolled back: worse")
    plane.ledger.put(
        replace(rollout, state="rolled_back" if blocked else "failed", ended="yes"),
        replace(
            service,
            next=None,
            generation=service.generation + 1,
            revisions={**service.revisions, rollout.to_revision: status},
        ),
    )
    plane.workflows.started.clear()
    plane.now += timedelta(minutes=1)
    return rollout


def test_retry_rolls_the_heads_revision_out_once_more() -> None:
    plane = plane_with()
    lost = failed(plane, blocked=False)
    plane.command("retry", "nlp/chat", why="the pool is back")
    again = plane.rollouts[-1]
    assert (again.to_revision, again.kind) == (lost.to_revision, "roll_out")
    assert again.id != lost.id
    assert plane.started() == [("roll-out", again.id)]


def test_a_blocked_revision_is_released_before_it_is_retried() -> None:
    plane = plane_with()
    lost = failed(plane, blocked=True)
    with pytest.raises(Invalid, match="is blocked") as refused:
        plane.command("retry", "nlp/chat")
    assert refused.value.remedy == "pointsman unblock chat -n nlp"
    assert plane.command("unblock", "nlp/chat", why="false alarm")["state"] == "unblocked"
    status = record(plane).revisions[lost.to_revision]
    assert (status.blocked, status.why) == (False, "unblock by lea@example.com: false alarm")
    assert plane.started() == []
    plane.command("retry", "nlp/chat")
    assert plane.rollouts[-1].to_revision == lost.to_revision


def test_what_is_not_blocked_is_not_unblocked() -> None:
    with pytest.raises(Invalid, match="not blocked"):
        plane_with().command("unblock", "nlp/chat")


def test_retry_of_what_serves_is_refused() -> None:
    with pytest.raises(Invalid, match="serves"):
        plane_with().command("retry", "nlp/chat")


def test_a_service_that_follows_a_registry_is_retried_without_asking_it() -> None:
    plane = Plane()
    plane.registries["mlflow"].register("churn", "3", "gs://churn/3", "champion")
    plane.commit({"teams/growth/churn.yaml": TRACKED})
    plane.push()
    lost = plane.rollouts[0]
    service_record = plane.ledger.get(ServiceRecord, lost.service)
    plane.ledger.put(replace(lost, state="failed", ended="yes"), replace(service_record, next=None, generation=1))
    plane.registries["mlflow"].versions.clear()
    plane.now += timedelta(minutes=1)
    plane.command("retry", "growth/churn", by="anybody@example.com")
    assert plane.rollouts[-1].to_revision == lost.to_revision
    assert plane.rollouts[-1].id != lost.id


def test_delete_takes_away_what_git_has_no_more() -> None:
    plane = plane_with()
    with pytest.raises(Invalid, match="still in git"):
        plane.command("delete", "nlp/chat")
    plane.commit({})
    plane.push()
    plane.workflows.started.clear()
    plane.command("delete", "nlp/chat", why="retired")
    removal = plane.rollouts[-1]
    assert removal.kind == "remove"
    assert plane.started() == [("roll-back", removal.id)]


def gone_before_it_served(plane: Plane, tried: RevisionStatus | None = None) -> None:
    rollout = plane.rollouts[0]
    named = {rollout.to_revision: tried} if tried else {}
    plane.ledger.put(
        replace(rollout, state="aborted", ended="yes"),
        replace(record(plane), next=None, generation=1, revisions=named),
    )
    plane.commit({})
    plane.push()
    plane.workflows.started.clear()


def test_a_service_of_which_nothing_was_placed_is_deleted_at_once() -> None:
    plane = plane_with(promoted=False)
    gone_before_it_served(plane)
    assert plane.command("delete", "nlp/chat")["state"] == "deleted"
    assert plane.started() == []
    assert "ModelService/nlp/chat" not in {document.key for document in plane.ledger.all(DocumentRecord)}
    assert record(plane).generation == 1, "numbers only rise, should it come back"


def test_a_service_that_never_served_is_taken_away_with_what_was_tried() -> None:
    plane = plane_with(promoted=False)
    tried = plane.rollouts[0].to_revision
    gone_before_it_served(plane, RevisionStatus(placed="drained", since=plane.now))
    plane.now += timedelta(minutes=1)
    plane.command("delete", "nlp/chat")
    removal = plane.rollouts[-1]
    assert (removal.kind, removal.to_revision) == ("remove", tried)


def test_the_line_is_stopped_and_started_for_every_service() -> None:
    plane = plane_with()
    rollout = plane.run(release(plane))
    assert plane.command("pause", "*", why="incident 12", by="sam@example.com")["state"] == "stopped"
    stopped = plane.ledger.get(HeadRecord, f"{REPOSITORY}#main").stopped
    assert stopped is not None
    assert (stopped.by, stopped.why) == ("sam@example.com", "incident 12")
    assert plane.workflows.rung == [rollout.callback]
    assert plane.command("resume", "*")["state"] == "running"
    assert plane.ledger.get(HeadRecord, f"{REPOSITORY}#main").stopped is None


def test_nothing_can_be_stopped_before_the_first_commit() -> None:
    with pytest.raises(Absent):
        Plane().command("pause", "*")


def test_a_save_that_lost_a_race_is_decided_anew() -> None:
    plane = plane_with()
    plane.promote(release(plane))
    plane.now += timedelta(minutes=1)
    plane.world.failing["ledger.save"] = [Conflict("moved"), Conflict("moved")]
    assert plane.command("undo", "nlp/chat")["state"] == "queued"
    assert len(plane.ledger.all(CommandRecord)) == 1


def test_a_crash_leaves_a_command_whole_or_not_at_all() -> None:
    for crash_after in range(20):
        plane = plane_with()
        plane.promote(release(plane))
        plane.now += timedelta(minutes=1)
        plane.workflows.started.clear()
        rollouts = len(plane.rollouts)
        plane.world.calls.clear()
        plane.world.crash_after = crash_after
        with suppress(Crash):
            plane.command("undo", "nlp/chat")
        plane.world.restart()
        begun = plane.rollouts[rollouts:]
        assert len(begun) == len(plane.ledger.all(CommandRecord))
        assert {run for _, run in plane.started()} <= {rollout.id for rollout in begun}
        assert {record(plane).next} - {None} == {rollout.id for rollout in begun}
        plane.now += timedelta(minutes=2)
        plane.sweep("leases")
        assert {run for _, run in plane.started()} == {rollout.id for rollout in begun}
