"""A push is a doorbell: the head is applied, once, whatever comes how often in which order."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.handlers.fakes import Crash, World, at
from tests.handlers.plane import CHAT, PLATFORM, REPOSITORY, RULES, Plane, service
from tests.handlers.samples import named, sample
from tests.handlers.test_webhook import door_for

from pointsman.core.encoding import encode
from pointsman.core.events import Event
from pointsman.core.records import (
    DocumentRecord,
    EventRecord,
    HeadRecord,
    RevisionStatus,
    RolloutRecord,
    ServiceRecord,
    Stopped,
)
from pointsman.errors import Absent, Conflict, Denied, Unavailable
from pointsman.handlers.delivery import LEASE
from pointsman.handlers.documenting import digests_of, removed

CHAT_2 = service("chat", "uri: gs://models/chat/2", more="pool: l4")


def head(plane: Plane) -> HeadRecord:
    return plane.ledger.get(HeadRecord, f"{REPOSITORY}#main")


def test_a_first_push_starts_a_rollout_of_every_service() -> None:
    plane = Plane()
    commit = plane.commit({"teams/nlp/chat.yaml": CHAT, "teams/nlp/rules.yaml": RULES})
    assert plane.push() == 200
    (rollout,) = plane.rollouts
    assert plane.started() == [("roll-out", rollout.id)]
    assert (rollout.kind, rollout.state, rollout.service) == ("roll_out", "queued", "serving/nlp/chat")
    assert (rollout.commit, rollout.cause) == (commit, plane.event.event)
    assert plane.ledger.get(ServiceRecord, "serving/nlp/chat").next == rollout.id
    assert head(plane).commit == commit
    assert plane.event.result == "applied"
    assert plane.event.led_to == (rollout.id,)
    assert "nlp/chat" in plane.event.reason


def test_documents_are_kept_for_all_that_never_read_git() -> None:
    plane = Plane()
    commit = plane.commit({"teams/nlp/chat.yaml": CHAT, "teams/nlp/rules.yaml": RULES})
    plane.push()
    kept = {record.key: record for record in plane.ledger.all(DocumentRecord)}
    assert set(kept) == {
        "Platform//acme",
        "AcceleratorPool//l4",
        "ModelService/nlp/chat",
        "AlertRule/nlp/burn-rate",
        "AlertRule/nlp/saturated",
        "AlertRule/nlp/slow",
    }
    assert kept["ModelService/nlp/chat"].file == "teams/nlp/chat.yaml"
    assert kept["ModelService/nlp/chat"].document["requestTimeout"] == "60s"
    assert {record.commit for record in kept.values()} == {commit}
    assert sorted(head(plane).digests.values()) == sorted(record.digest[:12] for record in kept.values())


def test_a_head_of_as_many_documents_as_there_may_be_is_a_record() -> None:
    documents = [
        DocumentRecord("ModelService", "n" * 63, f"{number:052}", {}, "c", "f", f"{number:064x}")
        for number in range(5000)
    ]
    record = replace(HeadRecord("https://github.com/acme/config", "main", "c", at(0)), digests=digests_of(documents))
    assert len(record.digests) == 5000
    assert len(json.dumps(encode(record))) < 256 * 1024


@pytest.mark.parametrize("names", ["short", "whole"])
def test_what_the_head_has_no_more_goes_whichever_way_its_names_are_kept(names: str) -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT, "teams/nlp/rules.yaml": RULES})
    plane.push()
    documents = plane.ledger.all(DocumentRecord)
    kept = [record for record in documents if record.kind != "AlertRule"]
    whole = {record.key: record.digest for record in kept}
    record = replace(head(plane), digests=digests_of(kept) if names == "short" else whole)
    gone = {saved.record.key for saved in removed(plane.ledger, record)}
    assert gone == {f"AlertRule/nlp/{name}" for name in ("burn-rate", "saturated", "slow")}


def test_three_deliveries_of_a_push_are_one_event_and_one_rollout() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    assert [plane.push(delivery="d1") for _ in range(3)] == [200, 200, 200]
    assert len(plane.started()) == 1
    assert [(record.id, record.deliveries) for record in plane.ledger.all(EventRecord)] == [("d1", 3)]


def test_a_head_that_is_applied_is_acknowledged_with_the_reason() -> None:
    plane = Plane()
    commit = plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    plane.push()
    assert (plane.event.result, plane.event.reason) == ("ignored", f"{commit[:12]} is applied already")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param({"ref": "refs/heads/next"}, "next is not the branch that is followed", id="another-branch"),
        pytest.param(
            {"repository": "https://github.com/acme-ml/other.git"},
            "https://github.com/acme-ml/other.git is not the repository that is followed",
            id="another-repository",
        ),
        pytest.param({"deleted": True}, "main was deleted: what it said last stays in force", id="branch-deleted"),
    ],
)
def test_a_push_that_is_not_followed_is_ignored_with_the_reason(data: dict[str, object], reason: str) -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    assert plane.push(**data) == 200  # type: ignore[arg-type]
    assert (plane.event.result, plane.event.reason) == ("ignored", reason)
    assert plane.started() == []


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme-ml/model-config",
        "git@github.com:acme-ml/model-config.git",
        "ssh://git@github.com/acme-ml/model-config.git",
        "https://GitHub.com/acme-ml/model-config.git/",
    ],
)
def test_a_repository_is_known_by_any_of_its_addresses(url: str) -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push(repository=url)
    assert plane.event.result == "applied"


def test_late_and_reordered_pushes_apply_the_head_alone() -> None:
    plane = Plane()
    for order in itertools.permutations(("d1", "d2", "d3")):
        plane = Plane()
        plane.commit({"teams/nlp/chat.yaml": CHAT})
        plane.commit({"teams/nlp/chat.yaml": CHAT_2})
        last = plane.commit({"teams/nlp/chat.yaml": service("chat", "uri: gs://models/chat/3")})
        for delivery in order:
            assert plane.push(delivery=delivery, after="whatever it says") == 200
        assert head(plane).commit == last
        assert len(plane.started()) == 1


def test_a_newer_head_starts_the_newer_revision_while_the_older_runs() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    older = plane.run(plane.rollouts[0])
    plane.now += timedelta(minutes=1)
    plane.commit({"teams/nlp/chat.yaml": CHAT_2})
    plane.push()
    newer = plane.rollouts[1]
    assert newer.to_revision != older.to_revision
    assert plane.ledger.get(ServiceRecord, "serving/nlp/chat").next == newer.id
    assert plane.started()[-1] == ("roll-out", newer.id)


def test_a_revert_in_the_middle_of_a_rollout_is_a_way_back() -> None:
    plane = Plane()
    first = plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    plane.promote(plane.rollouts[0])
    plane.now += timedelta(hours=1)
    plane.commit({"teams/nlp/chat.yaml": CHAT_2})
    plane.push()
    plane.run(plane.rollouts[1])
    plane.now += timedelta(minutes=1)
    plane.source.point(REPOSITORY, first)
    plane.push()
    back = plane.rollouts[2]
    assert back.kind == "roll_back"
    assert plane.started()[-1] == ("roll-back", back.id)
    assert back.to_revision == plane.rollouts[0].to_revision


def test_a_forced_push_back_and_forth_is_applied_each_time() -> None:
    plane = Plane()
    first = plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    second = plane.commit({"teams/nlp/chat.yaml": CHAT_2})
    for commit in (second, first, second, first):
        plane.source.point(REPOSITORY, commit)
        plane.now += timedelta(minutes=1)
        delivery = f"to {commit} at {plane.now}"
        if plane.push(delivery=delivery) == 503:
            # An older rollout of the same commit has not ended yet. It does, and the push comes again.
            plane.settle()
            assert plane.push(delivery=delivery) == 200
        assert head(plane).commit == commit


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"teams/nlp/chat.yaml": "apiVersion: pointsman.dev/v1\nkind: ["}, "chat.yaml", id="no-yaml"),
        pytest.param({"teams/nlp/chat.yaml": CHAT.replace("replicas:", "replica:")}, "replicas", id="unknown-field"),
        pytest.param({"teams/vision/x.yaml": service("x", "uri: gs://x/1", namespace="vision")}, "vision", id="tenant"),
    ],
)
def test_a_head_with_a_fault_applies_nothing_and_says_every_fault(files: dict[str, str], said: str) -> None:
    plane = Plane()
    good = plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    before = plane.ledger.all(DocumentRecord)
    bad = plane.commit({"teams/nlp/other.yaml": service("other", "uri: gs://o/1"), **files})
    assert plane.push() == 200
    assert plane.event.result == "rejected"
    assert said in plane.event.reason
    assert (head(plane).commit, head(plane).refused) == (good, bad)
    assert any(said in fault for fault in head(plane).faults)
    assert plane.ledger.all(DocumentRecord) == before
    assert len(plane.started()) == 1
    assert plane.notices() == ["DocumentsRefused"]
    told = plane.bus.on("notices")[0].fields()
    assert told["commit"] == bad
    assert [channel["name"] for channel in told["channels"]] == ["all"]  # type: ignore[attr-defined]


def test_a_refused_head_is_told_once_and_mended_by_the_next() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": "apiVersion: pointsman.dev/v1\nkind: ["})
    for _ in range(3):
        plane.push()
    assert plane.notices() == ["DocumentsRefused"]
    assert {record.result for record in plane.ledger.all(EventRecord)} == {"rejected"}
    assert head(plane).commit == ""
    mended = plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    assert (head(plane).commit, head(plane).refused, head(plane).faults) == (mended, None, ())
    assert len(plane.started()) == 1


def test_a_repository_beyond_its_limits_is_refused_with_the_reason() -> None:
    plane = Plane()
    plane.commit({f"teams/nlp/{number}.yaml": "apiVersion: pointsman.dev/v1\n" for number in range(3)})
    plane.push()
    assert plane.event.result == "rejected"


def test_rules_that_need_the_last_commit_have_it() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT, "pools/other.yaml": pool("other", "serving")})
    plane.push()
    two = PLATFORM.replace("clusters: [", "clusters: [{name: east, location: us-east1}, ")
    plane.commit({"platform.yaml": two, "teams/nlp/chat.yaml": CHAT, "pools/other.yaml": pool("other", "east")})
    plane.push()
    assert plane.event.result == "rejected"
    assert any("spec.cluster" in fault for fault in head(plane).faults)


def pool(name: str, cluster: str) -> str:
    return f"""\
apiVersion: pointsman.dev/v1
kind: AcceleratorPool
metadata: {{name: {name}}}
spec: {{cluster: {cluster}, nodes: {{max: 2}}, candidates: [{{machineType: e2-standard-4}}]}}
"""


def test_a_last_commit_that_is_gone_from_the_repository_is_done_without() -> None:
    plane = Plane()
    first = plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    del plane.source.trees[first]
    plane.commit({"teams/nlp/chat.yaml": CHAT_2})
    plane.push()
    assert plane.event.result == "applied"


def test_a_document_taken_out_of_git_takes_no_traffic_away() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT, "teams/nlp/rules.yaml": RULES})
    plane.push()
    plane.promote(plane.rollouts[0])
    plane.commit({})
    plane.push()
    record = plane.ledger.get(ServiceRecord, "serving/nlp/chat")
    assert (record.in_git, record.stable is not None) == (False, True)
    assert plane.notices() == ["ServiceOrphaned"]
    kept = {document.key for document in plane.ledger.all(DocumentRecord)}
    assert kept == {"Platform//acme", "AcceleratorPool//l4", "ModelService/nlp/chat"}
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    assert plane.ledger.get(ServiceRecord, "serving/nlp/chat").in_git
    assert len(plane.started()) == 1, "its revision serves already"


def test_one_services_trouble_is_its_own() -> None:
    step = "apiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {name: step, namespace: nlp}\n"
    step += "spec: {capacity: {strategy: Step}}\n"
    plane = Plane()
    plane.commit(
        {
            "teams/nlp/step.yaml": step,
            "teams/nlp/chat.yaml": CHAT,
            "teams/nlp/odd.yaml": service("odd", "uri: gs://o/1", more="policy: step"),
        }
    )
    plane.push()
    assert plane.event.result == "applied"
    assert "nlp/odd refused" in plane.event.reason
    assert [rollout.service for rollout in plane.rollouts] == ["serving/nlp/chat"]


def test_a_push_to_blocked_content_changes_nothing_and_is_told_at_the_commit() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    plane.promote(plane.rollouts[0])
    bad = plane.commit({"teams/nlp/chat.yaml": CHAT_2})
    plane.push()
    rolled_back = plane.rollouts[-1]
    plane.settle()
    record = plane.ledger.get(ServiceRecord, "serving/nlp/chat")
    blocked = RevisionStatus(placed="drained", since=at(), blocked=True, why="worse")
    plane.ledger.put(replace(record, revisions={**record.revisions, rolled_back.to_revision: blocked}))
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    plane.source.point(REPOSITORY, bad)
    plane.push()
    assert len(plane.rollouts) == 2
    assert f"{rolled_back.to_revision} is blocked: worse" in plane.event.reason
    (told,) = plane.bus.on("notices")
    fields = told.fields()
    assert (fields["notice"], fields["commit"], fields["service"]) == ("RolloutFailed", bad, "nlp/chat")
    assert "worse" in str(fields["text"])


def test_a_silent_registry_holds_only_the_services_that_follow_it() -> None:
    plane = Plane(World(failing={"registry.resolve": [Unavailable("no answer")]}))
    plane.commit(
        {
            "teams/nlp/chat.yaml": CHAT,
            "teams/nlp/tracked.yaml": service("tracked", "registry: mlflow, name: t, alias: a"),
        }
    )
    plane.push()
    assert plane.event.result == "applied"
    assert [rollout.service for rollout in plane.rollouts] == ["serving/nlp/chat"]
    assert "nlp/tracked waiting" in plane.event.reason


def test_what_was_stopped_by_hand_stays_stopped_over_a_push() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    stopped = Stopped("lea@example.com", at(), "looking")
    plane.ledger.put(replace(head(plane), stopped=stopped))
    plane.commit({"teams/nlp/chat.yaml": CHAT_2})
    plane.push()
    assert head(plane).stopped == stopped


@pytest.mark.parametrize(
    ("call", "error", "status"),
    [
        pytest.param("source.heads", Unavailable("no answer"), 503, id="repository-silent"),
        pytest.param("source.files", Unavailable("no answer"), 503, id="repository-silent-later"),
        pytest.param("workflows.start", Unavailable("no answer"), 503, id="workflows-silent"),
        pytest.param("source.heads", Denied("the token is refused"), 200, id="token-refused"),
        pytest.param("source.files", Absent("no such commit"), 200, id="commit-gone"),
    ],
)
def test_transient_trouble_comes_back_and_ends_well(call: str, error: Exception, status: int) -> None:
    plane = Plane(World(failing={call: [error]}))
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    assert plane.push(delivery="d") == status
    if status == 503:
        assert plane.push(delivery="d") == 200
        assert plane.event.result == "applied"
        assert {run for _, run in plane.started()} == {plane.rollouts[0].id}
    else:
        assert plane.event.result == "rejected"


def test_a_save_that_lost_a_race_is_decided_anew() -> None:
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    plane.push()
    plane.commit({"teams/nlp/chat.yaml": CHAT_2})
    save = plane.ledger.save
    races = iter([True, True, False, False, False])

    def racing(writes: object, unchanged: object = ()) -> None:
        if any(write.record.collection == "heads" for write in writes) and next(races):  # type: ignore[attr-defined]
            raise Conflict("a rollout has ticked")
        save(writes, unchanged)  # type: ignore[arg-type]

    plane.ledger.save = racing  # type: ignore[method-assign]
    assert plane.push() == 200
    assert plane.event.result == "applied"


FAULTY = {"teams/nlp/chat.yaml": "apiVersion: pointsman.dev/v1\nkind: ["}


def two_services(plane: Plane) -> None:
    plane.commit({"teams/nlp/chat.yaml": CHAT, "teams/growth/churn.yaml": CHURN})


def orphaned(plane: Plane) -> None:
    plane.commit({"teams/nlp/chat.yaml": CHAT, "teams/nlp/rules.yaml": RULES})
    plane.push()
    plane.promote(plane.rollouts[0])
    plane.commit({"teams/growth/churn.yaml": CHURN})


CHURN = service("churn", "uri: gs://models/churn/1", namespace="growth")


@pytest.mark.parametrize("prepare", [two_services, orphaned, lambda plane: plane.commit(FAULTY)])
def test_a_crash_between_any_two_calls_converges_on_redelivery(prepare: Callable[[Plane], object]) -> None:
    clean = Plane()
    prepare(clean)
    before = len(clean.world.calls)
    clean.push(delivery="crashing")
    calls = len(clean.world.calls) - before
    assert calls > 8
    for crash_after in range(calls + 1):
        plane = Plane()
        prepare(plane)
        plane.world.calls.clear()
        plane.world.crash_after = crash_after
        try:
            plane.push(delivery="crashing")
        except Crash:
            assert crash_after <= calls
        plane.world.restart()
        plane.now += LEASE
        assert plane.push(delivery="crashing") == 200
        assert outcome_of(plane) == outcome_of(clean), f"after call {crash_after}: {plane.world.calls[crash_after - 1]}"
        assert {run for _, run in plane.started()} == {rollout.id for rollout in plane.rollouts}


def outcome_of(plane: Plane) -> object:
    """All that must be the same, however often the process died."""
    event = plane.ledger.get(
        EventRecord, Event("crashing", "//github.com/acme-ml/model-config", "", at(), "", None).key
    )
    return (
        event.state,
        event.result,
        set(event.led_to),
        replace(head(plane), applied_at=at()),
        sorted(document.key for document in plane.ledger.all(DocumentRecord)),
        [(rollout.id, rollout.service) for rollout in sorted(plane.ledger.all(RolloutRecord), key=lambda one: one.id)],
        sorted(set(plane.notices())),
        [(record.key, record.in_git, record.next) for record in plane.ledger.all(ServiceRecord)],
    )


# What becomes of every sample once it has come through the receiver: the repository is followed, branch main.
PUSHES = {
    "github-ping": ("ignored", "the webhook is set up"),
    "github-push-create-branch-zero-commits": ("ignored", "is not the branch that is followed"),
    "github-push-delete-branch": ("ignored", "is not the branch that is followed"),
    "github-push-docs-only": ("applied", "nlp/chat roll out"),
    "github-push-forced": ("applied", "nlp/chat roll out"),
    "github-push-forced-rewind-zero-commits": ("applied", "nlp/chat roll out"),
    "github-push-form.body": ("applied", "nlp/chat roll out"),
    "github-push-tag": ("ignored", "refs/tags/v1.4.0 is no branch"),
    "github-push-update": ("applied", "nlp/chat roll out"),
    "github-push-update-redelivery": ("applied", "nlp/chat roll out"),
    "github-vector.body": ("ignored", "the body is not JSON"),
    "gitlab-push": ("ignored", "https://gitlab.example/acme-ml/model-config.git is not the repository"),
    "gitlab-push-delete-branch": ("ignored", "https://gitlab.example/acme-ml/model-config.git is not the repository"),
    "gitlab-push-signed": ("ignored", "https://gitlab.example/acme-ml/model-config.git is not the repository"),
    "gitlab-push-truncated": ("ignored", "https://gitlab.example/acme-ml/model-config.git is not the repository"),
    "gitlab-tag-push": ("ignored", "tag_push is no push to a branch"),
}


@pytest.mark.parametrize("name", named("github", "gitlab"))
def test_every_push_of_the_samples_ends_as_it_should(name: str) -> None:
    result, reason = PUSHES[name]
    plane, door = Plane(), door_for(name)
    plane.commit({"teams/nlp/chat.yaml": CHAT})
    assert door.send(sample(name)) == 202
    ((_, event),) = door.bus.published
    for _ in range(3):
        assert plane.deliver(event, "repo-pushed") == 200
    assert plane.event.result == result
    assert reason in plane.event.reason
    assert len(plane.ledger.all(EventRecord)) == 1
