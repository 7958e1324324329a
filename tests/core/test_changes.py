"""What a commit would change, and the records of a start: by content, whatever the order of pushes."""

from dataclasses import replace
from typing import Any

import pytest
from tests.core.rollout_lab import NOON
from tests.handlers.rollout_cloud import KEY, NAME, service

from pointsman.core.changes import Known, change_of, changes, placement, removal, retry, undo
from pointsman.core.encoding import decode, encode
from pointsman.core.plan import open_rollout
from pointsman.core.records import RevisionStatus, RolloutRecord, ServiceRecord
from pointsman.core.revision import ModelVersion, resolve, revision_name
from pointsman.core.rollout_plan import plan_of
from pointsman.documents.effective import EffectiveService
from pointsman.errors import Invalid

V1, V2, V3 = (service(version) for version in ("v1", "v2", "v3"))


def name_of(effective: EffectiveService) -> str:
    model = resolve(effective.model.model_dump(by_alias=True, exclude_none=True), None)
    assert model is not None
    return revision_name("digits", model.content, effective.template, "cpu")


R1, R2, R3 = (name_of(effective) for effective in (V1, V2, V3))


def known(stable: str | None = R1, running: tuple[RolloutRecord, ...] = (), **fields: Any) -> Known:
    record = ServiceRecord("local", "demo", "digits", stable=stable, placement=placement(V1), **fields)
    return Known(record, running)


def running(to: str = R2, state: str = "stepping", kind: str = "roll_out", **fields: Any) -> RolloutRecord:
    plan = {"placement": placement(V2)}
    values: dict[str, Any] = {"id": f"r-{to}", "from_revision": R1, "to_revision": to, "state": state, "plan": plan}
    return RolloutRecord(
        **{
            "kind": kind,
            "service": KEY,
            "generation": 1,
            "cause": "e",
            "commit": "c",
            "started_at": NOON,
            "state_since": NOON,
            **values,
            **fields,
        }
    )


def status(*, good: bool = True, blocked: bool = False, placed: Any = "drained") -> RevisionStatus:
    return RevisionStatus(placed=placed, since=NOON, good=good, blocked=blocked)


@pytest.mark.parametrize(
    ("wanted", "before", "kind", "to"),
    [
        pytest.param(V1, None, "roll_out", R1, id="first"),
        pytest.param(V1, known(), "unchanged", R1, id="the-same-content"),
        pytest.param(V2, known(), "roll_out", R2, id="other-content"),
        pytest.param(service("v1", replicas=3), known(), "in_place", R1, id="replicas"),
        pytest.param(service("v1", more="route: {path: /v1}"), known(), "in_place", R1, id="route"),
        pytest.param(V2, known(revisions={R2: status()}), "way_back", R2, id="good-here-before"),
        pytest.param(V2, known(revisions={R2: status(good=False)}), "roll_out", R2, id="seen-but-never-good"),
        pytest.param(V2, known(revisions={R2: status(placed="deleted")}), "roll_out", R2, id="good-but-deleted"),
        pytest.param(V2, known(revisions={R2: status(blocked=True)}), "blocked", R2, id="blocked"),
        pytest.param(V1, known(revisions={R1: status(blocked=True)}), "unchanged", R1, id="blocked-but-it-serves"),
        pytest.param(V2, known(running=(running(),)), "unchanged", R2, id="on-its-way"),
        pytest.param(service("v2", replicas=3), known(running=(running(),)), "in_place", R2, id="and-more-replicas"),
        pytest.param(
            service("v2", replicas=3), known(running=(running(state="queued"),)), "roll_out", R2, id="queued-and-more"
        ),
        pytest.param(V3, known(running=(running(),)), "roll_out", R3, id="newer"),
        pytest.param(V1, known(running=(running(),)), "way_back", R1, id="reverted-in-the-middle"),
        pytest.param(V1, known(running=(running(state="giving_back"),)), "unchanged", R1, id="going-there-already"),
        pytest.param(V3, known(running=(running(kind="remove"),)), "rejected", R3, id="being-removed"),
    ],
)
def test_a_service_is_compared_by_content(wanted: EffectiveService, before: Known | None, kind: str, to: str) -> None:
    change = change_of(wanted, before, None)
    assert (change.kind, change.to_revision) == (kind, to), change.why
    assert change.waits == (kind == "in_place" and bool(before and before.running))


def test_the_rollout_to_come_leads_and_not_the_one_that_runs() -> None:
    both = (running(R2), running(R3, state="queued"))
    assert change_of(V3, known(running=both, next=f"r-{R3}"), None).kind == "unchanged"
    assert change_of(V2, known(running=both, next=f"r-{R3}"), None).kind == "roll_out"


def test_a_policy_may_reject_what_comes_while_a_rollout_runs() -> None:
    data = V3.model_dump(mode="json", by_alias=True, exclude_none=True)
    data["policy"]["onNewRevision"] = "Reject"
    rejecting = EffectiveService.model_validate(data)
    assert change_of(rejecting, known(running=(running(),)), None).kind == "rejected"
    assert change_of(rejecting, known(), None).kind == "roll_out"


def test_what_is_gone_from_git_is_orphaned_once_and_touched_never() -> None:
    (orphan,) = changes({}, {NAME: known()}, {})
    assert (orphan.kind, orphan.starts) == ("orphaned", False)
    assert "pointsman delete digits -n demo" in orphan.why
    (again,) = changes({}, {NAME: known(in_git=False)}, {})
    assert again.kind == "unchanged"


def follower(**model: str) -> EffectiveService:
    data = V1.model_dump(mode="json", by_alias=True, exclude_none=True)
    data["model"] = {"registry": "mlflow", "name": "digits", **model}
    return EffectiveService.model_validate(data)


def test_a_service_that_follows_an_alias_waits_until_there_is_an_artifact() -> None:
    wanted = follower(alias="champion")
    silent, empty = change_of(wanted, None, None), change_of(wanted, None, ModelVersion("digits", "7", None))
    assert silent.kind == empty.kind == "waiting"
    assert not silent.starts
    seven = change_of(wanted, None, ModelVersion("digits", "7", "gs://m/7"))
    eight = change_of(wanted, None, ModelVersion("digits", "8", "gs://m/8"))
    assert seven.kind == eight.kind == "roll_out"
    assert seven.to_revision != eight.to_revision


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"uri": "gs://m/1"}, {"uri": "gs://m/1", "version": "one"}, True, id="a-label-is-no-content"),
        pytest.param({"uri": "gs://m/1"}, {"uri": "gs://m/2"}, False, id="another-uri"),
    ],
)
def test_a_revision_is_named_by_what_is_served(one: Any, other: Any, same: bool) -> None:
    names = []
    for model in (one, other):
        resolved = resolve(model, None)
        assert resolved is not None
        names.append(revision_name("digits", resolved.content, {}, "cpu"))
    assert (names[0] == names[1]) == same


def test_a_revisions_name_is_fixed_for_ever() -> None:
    template = {"spec": {"containers": [{"name": "s", "image": "i:1"}]}}
    assert revision_name("digits", {"uri": "file:///models/digits/v1"}, template, "cpu") == "digits-fcaa5aa1"
    assert revision_name("digits", {"uri": "file:///models/digits/v1"}, template, None) != "digits-fcaa5aa1"


# --- undo, retry, removal -------------------------------------------------------------------------------------


def test_undo_goes_to_the_last_good_revision_that_is_there() -> None:
    later = replace(status(), since=NOON.replace(hour=13))
    revisions = {R1: status(), R2: later, R3: status(placed="warm")}
    change = undo(known(R3, revisions=revisions).service, "too slow")
    assert (change.kind, change.to_revision, change.blocks, change.why) == ("way_back", R2, True, "too slow")
    named = undo(known(R3, revisions=revisions).service, "", to=R1)
    assert named.to_revision == R1
    with pytest.raises(Invalid, match="no good revision before"):
        undo(known(R3, revisions={R3: status(), R2: status(blocked=True)}).service, "")
    with pytest.raises(Invalid, match="is not a good revision"):
        undo(known(R3, revisions=revisions).service, "", to="digits-99999999")


def test_retry_starts_what_would_start_and_says_why_it_can_not() -> None:
    assert retry(V2, known(), None, "again").why == "again"
    with pytest.raises(Invalid, match="blocked") as refused:
        retry(V2, known(revisions={R2: status(blocked=True)}), None, "again")
    assert refused.value.remedy == "pointsman unblock digits -n demo"
    with pytest.raises(Invalid, match="serves"):
        retry(V1, known(), None, "again")


def test_a_removal_names_what_is_there() -> None:
    assert removal(known().service, "bye").remove
    assert removal(known(None, revisions={R2: status(placed="warm")}).service, "bye").to_revision == R2
    with pytest.raises(Invalid, match="nothing of it is there"):
        removal(known(None).service, "bye")


# --- the records of a start -----------------------------------------------------------------------------------


def start(effective: EffectiveService, before: Known | None) -> tuple[RolloutRecord, ServiceRecord, Any]:
    change = change_of(effective, before, None)
    return open_rollout(change, effective, before.service if before else None, cause="e1", commit="c1", now=NOON)


def test_a_start_is_one_rollout_of_the_service_with_its_plan_whole() -> None:
    rollout, record, revision = start(V2, known())
    assert (rollout.kind, rollout.state, rollout.from_revision, rollout.to_revision) == ("roll_out", "queued", R1, R2)
    assert (record.next, record.owner, record.in_git) == (rollout.id, None, True)
    assert revision.revision == R2
    plan = plan_of(rollout)
    assert [step.weight for step in plan.steps] == [5, 25, 50]
    assert (plan.bake_weight, plan.bake_s, plan.request_timeout_s, plan.min_requests) == (98, 8.0, 1.0, 20)
    assert plan.cluster == "projects/lab/locations/us-central1/clusters/local"
    assert [channel["name"] for channel in plan.channels] == ["hook", "quiet"]
    assert decode(RolloutRecord, encode(rollout)) == rollout


def test_the_same_start_is_the_same_rollout_and_a_later_one_is_not() -> None:
    first, _, _ = start(V2, known())
    again, _, _ = start(V2, known())
    later, _, _ = start(V2, known(generation=1))
    assert first.id == again.id
    assert first.id != later.id


def test_every_rollout_that_is_opened_counts() -> None:
    first, record, _ = start(V2, known(generation=4))
    assert (first.generation, record.generation) == (4, 5)
    second, record, _ = start(V2, Known(record))
    assert (second.generation, record.generation) == (5, 6)
    assert first.id != second.id


def test_a_revision_is_rendered_once_and_its_record_kept() -> None:
    _, _, revision = start(V2, known())
    change = change_of(V2, known(revisions={R2: status()}), None)
    kept = replace(revision, digest="older")
    assert open_rollout(change, V2, known().service, cause="", commit="", now=NOON, kept=kept)[2] is kept
    with pytest.raises(Invalid, match="are not kept"):
        open_rollout(undo(known(R3, revisions={R1: status()}).service, ""), V1, None, cause="", commit="", now=NOON)


@pytest.mark.parametrize("strategy", ["Step", "Swap"])
def test_strategies_that_are_not_carried_out_yet_are_refused_by_name(strategy: str) -> None:
    data = V2.model_dump(mode="json", by_alias=True, exclude_none=True)
    data["policy"]["capacity"]["strategy"] = strategy
    with pytest.raises(Invalid, match=f"capacity.strategy {strategy} is not carried out yet") as refused:
        start(EffectiveService.model_validate(data), known())
    assert "Surge" in refused.value.remedy


def test_nothing_is_started_where_nothing_changes() -> None:
    with pytest.raises(Invalid, match="nothing to start"):
        start(V1, known())


def test_a_service_that_follows_is_remembered_with_what_it_follows() -> None:
    change = change_of(follower(alias="champion"), None, ModelVersion("digits", "7", "gs://m/7"))
    _, record, revision = open_rollout(change, follower(alias="champion"), None, cause="", commit="", now=NOON)
    assert record.following == {"registry": "mlflow", "model": "digits", "alias": "champion", "version": None}
    assert (revision.model["uri"], revision.model["version"]) == ("gs://m/7", "7")
