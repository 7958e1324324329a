"""`status` and `rollouts`, and what all lists have in common: tables for people, kubectl's objects for programs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from tests.cli.ledger_samples import OLD, ago, decision, event, head, revision, rollout, service

from pointsman.core.encoding import encode
from pointsman.core.records import PoolRecord, RolloutRecord, Stopped
from pointsman_cli.output import age


@pytest.fixture
def busy(ledger: Any) -> Any:
    """Three services: one in the middle of a rollout, one rolled back, one that is gone from git."""
    verdict = {"action": "continue", "reason": "nothing speaks against it"}
    worse = {"action": "roll_back", "reason": "5xx: 4 % against 0 %"}
    ledger.put(
        service(owner="aaaa1111bbbb2222", token=7, revisions={OLD: revision(model="gs://models/digits/1")}),
        service("chat", "nlp", stable="chat-11111111", token=2, cluster="c2"),
        service("old", "nlp", stable=None, in_git=False),
        rollout("aaaa1111bbbb2222", "stepping", step=1, want=25, seen=5, seq=4, verdict=verdict, reason="", token=7),
        rollout("9999000011112222", "promoted", want=100, seen=100, from_revision=None, started_at=ago(220)),
        rollout(
            "cccc3333dddd4444",
            "rolled_back",
            service="c2/nlp/chat",
            to_revision="chat-22222222",
            from_revision="chat-11111111",
            started_at=ago(30),
            state_since=ago(28),
            verdict=worse,
            reason="5xx: 4 % against 0 %",
        ),
    )
    return ledger


# --- status -------------------------------------------------------------------------------------------------------


def test_status_is_a_line_a_service(pointsman: Any, busy: Any) -> None:
    assert pointsman("status").lines == [
        "NAMESPACE   SERVICE   STABLE            CANARY                LAST ROLLOUT   SINCE",
        "demo        digits    digits-0a1b2c3d   digits-4e5f6a7b 25%   stepping(1)    12h",
        "nlp         chat      chat-11111111     -                     rolled_back    28h",
        "nlp         old       -                 -                     -              -",
    ]


def test_status_wide_adds_columns(pointsman: Any, busy: Any) -> None:
    first, digits, _, old = pointsman("status", "-o", "wide").lines
    assert first.split()[-6:] == ["SINCE", "MODEL", "CLUSTER", "TOKEN", "IN", "GIT"]
    assert digits.split()[-4:] == ["gs://models/digits/1", "c1", "7", "yes"]
    assert old.split()[-1] == "orphaned"


def test_status_of_one_service_or_one_namespace(pointsman: Any, busy: Any) -> None:
    assert [line.split()[1] for line in pointsman("status", "-n", "nlp").lines[1:]] == ["chat", "old"]
    assert [line.split()[1] for line in pointsman("status", "digits").lines[1:]] == ["digits"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["status"], "no services yet: push a ModelService", id="status"),
        pytest.param(["status", "-n", "x"], "no services in namespace x", id="status-of-a-namespace"),
        pytest.param(["rollouts", "list"], "no rollouts yet: push a model", id="rollouts"),
        pytest.param(["rollouts", "list", "-n", "x"], "no rollouts in namespace x", id="rollouts-of-a-namespace"),
        pytest.param(["events", "list"], "no events yet: push a commit, or register a model version", id="events"),
        pytest.param(["events", "list", "--type", "x"], "no events of type x", id="events-of-a-type"),
        pytest.param(["pools", "list"], "no AcceleratorPool in the config repository", id="pools"),
    ],
)
def test_nothing_to_show_is_said_on_stderr_and_is_no_failure(
    pointsman: Any, ledger: Any, words: list[str], said: str
) -> None:
    ran = pointsman(*words)
    assert (ran.status, ran.out, ran.err) == (0, "", said + "\n")
    empty = pointsman(*words, "-o", "json")
    assert (json.loads(empty.out)["items"], empty.err) == ([], "")


def test_a_line_that_is_stopped_is_said_beside_the_status(pointsman: Any, busy: Any) -> None:
    busy.put(head(stopped=Stopped("ada@example.com", ago(9), "peak trade")))
    assert pointsman("status").err == (
        "the line is stopped by ada@example.com (peak trade); to go on: pointsman resume --all\n"
    )


# --- kubectl's shapes ---------------------------------------------------------------------------------------------


def test_a_list_is_kubectls_list(pointsman: Any, busy: Any) -> None:
    found = json.loads(pointsman("rollouts", "list", "-o", "json").out)
    assert (found["apiVersion"], found["kind"]) == ("pointsman.dev/v1", "RolloutList")
    assert [(item["kind"], item["metadata"]) for item in found["items"]] == [
        ("Rollout", {"name": "aaaa1111bbbb2222", "namespace": "demo"}),
        ("Rollout", {"name": "cccc3333dddd4444", "namespace": "nlp"}),
        ("Rollout", {"name": "9999000011112222", "namespace": "demo"}),
    ]


def test_a_rollouts_status_is_its_record(pointsman: Any, busy: Any) -> None:
    found = json.loads(pointsman("rollouts", "get", "aaaa1111bbbb2222", "-o", "json").out)
    saved = busy.read(RolloutRecord, "aaaa1111bbbb2222")
    assert set(found) == {"apiVersion", "kind", "metadata", "status"}
    assert {"v": 1, **found["status"]} == encode(saved.record)


def test_yaml_says_what_json_says(pointsman: Any, busy: Any) -> None:
    for words in (["status"], ["rollouts", "list"], ["rollouts", "get", "digits"], ["why", "chat"]):
        assert yaml.safe_load(pointsman(*words, "-o", "yaml").out) == json.loads(pointsman(*words, "-o", "json").out)


def test_a_services_status_has_its_newest_rollout(pointsman: Any, busy: Any) -> None:
    items = json.loads(pointsman("status", "-o", "json").out)["items"]
    assert [(item["kind"], item["metadata"]["name"]) for item in items] == [
        ("ModelService", "digits"),
        ("ModelService", "chat"),
        ("ModelService", "old"),
    ]
    assert [(item["status"]["rollout"] or {}).get("id") for item in items] == [
        "aaaa1111bbbb2222",
        "cccc3333dddd4444",
        None,
    ]


# --- rollouts -----------------------------------------------------------------------------------------------------


def test_rollouts_are_listed_newest_first(pointsman: Any, busy: Any) -> None:
    assert pointsman("rollouts", "list").lines == [
        "NAMESPACE   SERVICE   ROLLOUT        REVISION          STATE         WEIGHT          VERDICT     AGE",
        "demo        digits    aaaa1111bbbb   digits-4e5f6a7b   stepping(1)   25% (seen 5%)   continue    20h",
        "nlp         chat      cccc3333dddd   chat-22222222     rolled_back   0%              roll_back   30h",
        "demo        digits    999900001111   digits-4e5f6a7b   promoted      100%            -           9d",
    ]


def test_rollouts_of_one_service_or_one_namespace(pointsman: Any, busy: Any) -> None:
    assert [line.split()[2] for line in pointsman("rollouts", "list", "chat").lines[1:]] == ["cccc3333dddd"]
    assert [line.split()[2] for line in pointsman("rollouts", "list", "-n", "demo").lines[1:]] == [
        "aaaa1111bbbb",
        "999900001111",
    ]


@pytest.mark.parametrize(
    ("state", "fields", "shown"),
    [
        pytest.param("held", {"reason": "approval: 0 of 2"}, "held(approval: 0 of 2)", id="held-says-by-what"),
        pytest.param("giving_back", {"reason": "aborted by ada"}, "giving_back(aborted by ada)", id="giving-back"),
        pytest.param("stepping", {"step": 2}, "stepping(2)", id="which-step"),
        pytest.param("queued", {"reason": "waits"}, "queued", id="others-are-one-word"),
    ],
)
def test_a_state_is_shown_with_what_one_asks_next(
    pointsman: Any, ledger: Any, state: str, fields: dict[str, Any], shown: str
) -> None:
    ledger.put(service(), rollout("r1", state, **fields))
    assert shown in pointsman("rollouts", "list").lines[1]


def test_tenths_of_a_percent_are_shown(pointsman: Any, ledger: Any) -> None:
    ledger.put(service(), rollout("r1", want=5, seen=5, weight_total=1000))
    assert "0.5%" in pointsman("rollouts", "list").lines[1].split()


@pytest.mark.parametrize("wanted", ["aaaa1111bbbb2222", "aaaa1", "digits", "demo/digits"])
def test_a_rollout_is_found_by_id_by_its_start_or_by_its_service(pointsman: Any, busy: Any, wanted: str) -> None:
    assert "aaaa1111bbbb" in pointsman("rollouts", "get", wanted).lines[1]


def test_a_start_that_several_rollouts_have_is_refused(pointsman: Any, ledger: Any) -> None:
    ledger.put(rollout("ab1"), rollout("ab2"))
    assert pointsman("rollouts", "get", "ab").err == "error: 2 rollouts begin with ab — give more of the id\n"


def test_a_services_name_wins_over_the_start_of_an_id(pointsman: Any, ledger: Any) -> None:
    ledger.put(service("ab"), rollout("ab1"), rollout("cd1", service="c1/demo/ab"))
    assert "cd1" in pointsman("rollouts", "get", "ab").lines[1]


# --- decisions ----------------------------------------------------------------------------------------------------


def decisions(of: str) -> list[Any]:
    worse = "5xx: 4 % against 0 %"
    stepping = {"state": "stepping", "step": 0, "want": 5, "seen": 0}
    return [
        decision(of, 1, "pending", before={"state": "queued"}),
        decision(of, 2, "stepping", before={"state": "placing", "want": 0, "seen": 0}, after=stepping),
        decision(of, 3, "stepping", before=stepping, after={**stepping, "seen": 5}),
        decision(
            of,
            4,
            "stepping",
            before={**stepping, "seen": 5},
            after={**stepping, "seen": 5, "verdict": {"action": "continue"}},
            reason="nothing speaks against it",
        ),
        decision(of, 5, "giving_back", after={"want": 0, "verdict": {"action": "roll_back"}}, reason=worse),
        decision(of, 6, "rolled_back", after={"want": 0, "reason": worse}, reason=f"rolled_back: {worse}"),
    ]


LINES = [
    "2026-11-22 12:00:01Z  pending                        was queued",
    "2026-11-22 12:00:02Z  stepping(0)   5%               was placing, 5 % asked for",
    "2026-11-22 12:00:03Z  stepping(0)   5%               5 % in force",
    "2026-11-22 12:00:04Z  stepping(0)   5%    continue   nothing speaks against it",
    "2026-11-22 12:00:05Z  giving_back   0%    roll_back  5xx: 4 % against 0 %",
    "2026-11-22 12:00:06Z  rolled_back   0%               5xx: 4 % against 0 %",
]


def test_decisions_are_told_in_a_line_each(pointsman: Any, ledger: Any) -> None:
    ledger.put(service(), rollout("r1", "rolled_back", seq=6), *decisions("r1"))
    ran = pointsman("rollouts", "get", "r1", "--decisions")
    assert ran.lines[2:] == LINES


def test_programs_get_decisions_with_their_inputs(pointsman: Any, ledger: Any) -> None:
    ledger.put(service(), rollout("r1", "rolled_back", seq=6), *decisions("r1"))
    found = json.loads(pointsman("rollouts", "get", "r1", "--decisions", "-o", "json").out)
    assert [entry["number"] for entry in found["decisions"]] == [1, 2, 3, 4, 5, 6]
    assert found["decisions"][0]["inputs"] == {"tick": None}


def test_watch_follows_a_rollout_to_its_end(pointsman: Any, ledger: Any, between_looks: Any) -> None:
    first, second, *rest = decisions("r1")
    ledger.put(service(), rollout("r1", "stepping", seq=2), first, second)
    between_looks(
        lambda: ledger.put(rest[0]),
        lambda: ledger.put(*rest[1:], rollout("r1", "rolled_back", seq=6)),
    )
    ran = pointsman("rollouts", "watch", "digits")
    assert ran.status == 1
    assert ran.lines == LINES


def test_watch_of_one_that_was_promoted_is_status_0(pointsman: Any, ledger: Any) -> None:
    ledger.put(service(), rollout("r1", "promoted", seq=1), decision("r1", 1, "promoted"))
    assert pointsman("rollouts", "watch", "r1").status == 0


# --- --watch ------------------------------------------------------------------------------------------------------


def test_a_watched_list_prints_rows_that_changed_aligned_under_the_first(
    pointsman: Any, busy: Any, between_looks: Any
) -> None:
    between_looks(
        lambda: None,
        lambda: busy.put(rollout("aaaa1111bbbb2222", "held", reason="no data", want=25, seen=25)),
        lambda: busy.put(rollout("eeee5555ffff6666", "queued", started_at=ago(8))),
    )
    ran = pointsman("rollouts", "list", "--watch")
    assert ran.status == 130
    heading, *rows = ran.lines
    assert [row.split()[2] for row in rows] == [
        "aaaa1111bbbb",
        "cccc3333dddd",
        "999900001111",
        "aaaa1111bbbb",
        "eeee5555ffff",
    ]
    assert rows[3][heading.index("STATE") :].startswith("held(no data)")
    assert rows[4][heading.index("STATE") :].startswith("queued")


def test_a_watched_status_prints_only_what_is_news(pointsman: Any, busy: Any, between_looks: Any) -> None:
    between_looks(lambda: None, lambda: busy.put(service("old", "nlp", stable="old-12345678")))
    lines = pointsman("status", "-w").lines
    assert len(lines) == 1 + 3 + 1
    assert lines[-1].split() == ["nlp", "old", "old-12345678", "-", "serving", "-"]


def test_programs_get_one_object_a_change(pointsman: Any, ledger: Any, between_looks: Any) -> None:
    ledger.put(event("a"))
    between_looks(lambda: ledger.put(event("b", result="rejected")))
    lines = pointsman("events", "list", "--watch", "-o", "json").lines
    assert [json.loads(line)["status"]["result"] for line in lines] == ["applied", "rejected"]
    between_looks()
    documents = list(yaml.safe_load_all(pointsman("events", "list", "--watch", "-o", "yaml").out))
    assert [found["metadata"]["name"] for found in documents] == ["a" * 8, "b" * 8]


def test_a_watched_list_may_begin_empty(pointsman: Any, ledger: Any, between_looks: Any) -> None:
    between_looks(lambda: ledger.put(PoolRecord("l4", wanted=1)))
    assert [line.split()[0] for line in pointsman("pools", "list", "--watch").lines] == ["POOL", "l4"]


# --- how long ago -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 1200, "3h20m"),
        (8 * 3600, "8h"),
        (48 * 3600 - 1, "47h"),
        (48 * 3600, "2d"),
        (52 * 3600, "2d4h"),
        (9 * 86400, "9d"),
    ],
)
def test_an_age_is_as_precise_as_kubectls(seconds: int, shown: str) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert age(now - timedelta(seconds=seconds), now) == shown
