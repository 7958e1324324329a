"""`pointsman why`: the state, the verdict, what happens next, and commands that can be pasted."""

import json
import shlex
from dataclasses import replace
from typing import Any, get_args

import click
import pytest
from tests.cli.ledger_samples import NEW, OLD, ago, head, plan, revision, rollout, service

from pointsman.core.records import RolloutState, Stopped
from pointsman.core.rollout import Memory
from pointsman_cli.main import cli

ID = "aaaa1111bbbb2222"
WORSE = {"action": "roll_back", "reason": "5xx: 4 % against 0 %", "log_e": 9.2, "numbers": {"e": 10095}}
WATCH = "pointsman rollouts watch aaaa1111bbbb"
PROMOTE = "pointsman promote digits -n demo --why REASON"


def on(verb: str) -> str:
    return f"pointsman {verb} digits -n demo"


@pytest.mark.parametrize(
    ("state", "fields", "summary", "after", "types"),
    [
        pytest.param(
            "queued",
            {"reason": "freeze window peak"},
            "is queued for 12h, canary at 0 %",
            "it starts when the service is free and no freeze holds it: freeze window peak",
            [on("abort"), PROMOTE, WATCH],
            id="queued",
        ),
        pytest.param(
            "pending",
            {"deadline": ago(-21)},
            "is pending for 12h, canary at 0 %",
            "it takes the service over and starts its pods; given up in 20h",
            [on("abort"), on("pause"), WATCH],
            id="pending",
        ),
        pytest.param(
            "placing",
            {"memory": Memory(target=2)},
            "is placing for 12h, canary at 0 %",
            "2 pods become ready and answer 5 probes, then the first weight",
            [on("abort"), on("pause"), WATCH],
            id="placing",
        ),
        pytest.param(
            "placing",
            {"memory": Memory(target=2, paused="ada@example.com")},
            "is placing for 12h, canary at 0 %",
            "2 pods become ready and answer 5 probes, then the first weight",
            [on("abort"), on("resume"), WATCH],
            id="placing-and-paused",
        ),
        pytest.param(
            "provisioning",
            {},
            "is provisioning for 12h, canary at 0 %",
            "its pods wait for nodes of pool l4; then the first weight",
            [on("abort"), WATCH],
            id="provisioning",
        ),
        pytest.param(
            "stepping",
            {"step": 1, "want": 25, "seen": 25, "memory": Memory(clock=ago(19))},
            "is stepping(1) for 12h, canary at 25 %",
            "50 % in 20h, if the judge has data and nothing against it",
            [on("abort"), on("pause"), on("skip"), PROMOTE, WATCH],
            id="stepping",
        ),
        pytest.param(
            "stepping",
            {"step": 1, "want": 25, "seen": 5},
            "is stepping(1) for 12h, canary at 25 % wanted, 5 % seen",
            "50 % some time after the weight was seen, if the judge has data and nothing against it",
            [on("abort"), on("pause"), on("skip"), PROMOTE, WATCH],
            id="stepping-and-not-yet-seen",
        ),
        pytest.param(
            "stepping",
            {"step": 2, "want": 50, "seen": 50, "memory": Memory(clock=ago(50))},
            "is stepping(2) for 12h, canary at 50 %",
            "the bake at 98 % now, if the judge has data and nothing against it",
            [on("abort"), on("pause"), on("skip"), PROMOTE, WATCH],
            id="last-step",
        ),
        pytest.param(
            "held",
            {"reason": "approval: 0 of 2 owners have approved", "deadline": ago(-21), "want": 5, "seen": 5},
            "is held(approval: 0 of 2 owners have approved) for 12h, canary at 5 %",
            "it goes on once enough owners approve; given up in 20h",
            [on("abort"), on("approve"), PROMOTE, WATCH],
            id="held-for-approval",
        ),
        pytest.param(
            "held",
            {"reason": "paused: by ada@example.com: lunch"},
            "is held(paused: by ada@example.com: lunch) for 12h, canary at 0 %",
            "nothing, until somebody resumes it",
            [on("abort"), on("resume"), PROMOTE, WATCH],
            id="held-by-a-person",
        ),
        pytest.param(
            "held",
            {"reason": "conflict: somebody else wrote the HTTPRoute 4 times; `pointsman resume` writes it again"},
            "is held(conflict: somebody else wrote the HTTPRoute 4 times; `pointsman resume` writes it again) for 12h, "
            "canary at 0 %",
            "nothing, until somebody resumes it",
            [on("abort"), on("resume"), PROMOTE, WATCH],
            id="held-because-of-another-writer",
        ),
        pytest.param(
            "held",
            {"reason": "no data: 3 of 20 requests at this step"},
            "is held(no data: 3 of 20 requests at this step) for 12h, canary at 0 %",
            "it goes on when that is over",
            [on("abort"), PROMOTE, WATCH],
            id="held-without-data",
        ),
        pytest.param(
            "baking",
            {"step": 3, "want": 98, "seen": 98, "memory": Memory(clock=ago(19))},
            "is baking for 12h, canary at 98 %",
            "100 % in 20h, if nothing speaks against it",
            [on("abort"), on("pause"), on("skip"), PROMOTE, WATCH],
            id="baking",
        ),
        pytest.param(
            "completing",
            {"want": 100, "seen": 98},
            "is completing for 12h, canary at 100 % wanted, 98 % seen",
            f"all traffic goes to {NEW}, then the old side is drained",
            [on("abort"), WATCH],
            id="completing",
        ),
        pytest.param(
            "giving_back",
            {"reason": "aborted by ada", "want": 0, "seen": 25},
            "is giving_back(aborted by ada) for 12h, canary at 0 % wanted, 25 % seen",
            f"all traffic goes to {OLD}, then the canary is scaled to nothing",
            [WATCH],
            id="giving-back",
        ),
    ],
)
def test_a_running_rollout(
    pointsman: Any, ledger: Any, state: str, fields: dict[str, Any], summary: str, after: str, types: list[str]
) -> None:
    ledger.put(service(owner=ID), rollout(ID, state, **fields))
    found = json.loads(pointsman("why", "digits", "-o", "json").out)
    assert found == {
        "service": "demo/digits",
        "state": state,
        "summary": f"{NEW} {summary}; stable is {OLD}",
        "verdict": None,
        "next": after,
        "type": types,
        "notes": [],
    }


DECISIONS = "pointsman rollouts get aaaa1111bbbb --decisions"


@pytest.mark.parametrize(
    ("state", "fields", "summary", "types"),
    [
        pytest.param("promoted", {}, "was promoted", [on("undo"), DECISIONS], id="promoted"),
        pytest.param("superseded", {"reason": ""}, "was superseded", [on("retry"), DECISIONS], id="superseded"),
        pytest.param(
            "aborted",
            {"reason": "aborted by ada: wrong model"},
            "was aborted (aborted by ada: wrong model)",
            [on("unblock"), on("retry"), DECISIONS],
            id="aborted",
        ),
        pytest.param(
            "failed",
            {"reason": "no capacity: every candidate was tried"},
            "failed (no capacity: every candidate was tried)",
            [on("retry"), DECISIONS],
            id="failed",
        ),
        pytest.param(
            "rolled_back",
            {"reason": "rolled back by an alert: latency"},
            "was rolled back (rolled back by an alert: latency)",
            [on("unblock"), on("retry"), DECISIONS],
            id="rolled-back",
        ),
        pytest.param(
            "rolled_back",
            {"reason": WORSE["reason"], "verdict": WORSE},
            "was rolled back",
            [on("unblock"), on("retry"), DECISIONS],
            id="rolled-back-by-the-judge-says-so-once",
        ),
    ],
)
def test_a_rollout_that_has_ended(
    pointsman: Any, ledger: Any, state: str, fields: dict[str, Any], summary: str, types: list[str]
) -> None:
    blocked = on("unblock") in types
    ledger.put(service(revisions={NEW: revision(blocked=blocked)}), rollout(ID, state, **fields))
    found = json.loads(pointsman("why", "digits", "-o", "json").out)
    assert found["summary"] == f"{OLD} serves; {NEW} {summary} 12h ago"
    assert found["next"] == "nothing, until something is pushed, registered or fires"
    assert found["type"] == types


def test_people_read_it_in_lines_that_begin_with_what_they_are(pointsman: Any, ledger: Any) -> None:
    revisions = {NEW: revision(blocked=True, why=str(WORSE["reason"]))}
    ledger.put(service(revisions=revisions), rollout(ID, "rolled_back", verdict=WORSE, reason=WORSE["reason"], want=0))
    assert pointsman("why", "digits").lines == [
        f"demo/digits: {OLD} serves; {NEW} was rolled back 12h ago",
        "verdict: roll_back, 5xx: 4 % against 0 %",
        "next:    nothing, until something is pushed, registered or fires",
        f"note:    {NEW} is blocked: 5xx: 4 % against 0 %",
        "type:    pointsman unblock digits -n demo",
        "         pointsman retry digits -n demo",
        "         pointsman rollouts get aaaa1111bbbb --decisions",
    ]


def test_programs_get_the_verdicts_numbers(pointsman: Any, ledger: Any) -> None:
    ledger.put(service(), rollout(ID, "rolled_back", verdict=WORSE))
    assert json.loads(pointsman("why", "digits", "-o", "json").out)["verdict"] == WORSE


def test_a_service_without_rollouts(pointsman: Any, ledger: Any) -> None:
    ledger.put(service(stable=None))
    assert pointsman("why", "digits").lines == [
        "demo/digits: never rolled out",
        "next:    the next push of its document starts a rollout",
    ]


def test_the_rollout_that_owns_the_service_is_told_not_the_one_behind_it(pointsman: Any, ledger: Any) -> None:
    ledger.put(
        service(owner=ID, next="cccc"),
        rollout(ID, "baking", started_at=ago(30)),
        rollout("cccc", "queued", to_revision="digits-99999999", started_at=ago(3)),
    )
    found = json.loads(pointsman("why", "digits", "-o", "json").out)
    assert found["summary"].startswith(f"{NEW} is baking")
    assert found["notes"] == ["digits-99999999 is queued behind it"]


@pytest.mark.parametrize(
    ("gateway", "address"),
    [
        pytest.param(None, "https://digits-demo.example.com/health", id="by-its-name"),
        pytest.param(
            "http://127.0.0.1:8080",
            "-H 'Host: digits-demo.example.com' http://127.0.0.1:8080/health",
            id="through-the-gateway-of-this-shell",
        ),
    ],
)
def test_the_probe_rules_word_is_told_as_a_request_to_paste(
    pointsman: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch, gateway: str | None, address: str
) -> None:
    if gateway:
        monkeypatch.setenv("POINTSMAN_GATEWAY_URL", gateway)
    ledger.put(service(owner=ID), rollout(ID, memory=Memory(word="sesame")))
    asked = f"to ask the canary alone: curl -H 'x-pointsman-probe: sesame' {address}"
    assert json.loads(pointsman("why", "digits", "-o", "json").out)["notes"] == [asked]


def test_notes_say_what_people_would_not_look_for(pointsman: Any, ledger: Any) -> None:
    faults = ("a.yaml:1:1 spec.x: unknown field", "b.yaml:1:1 spec.y: unknown field")
    stopped = Stopped("ada@example.com", ago(1), "")
    ledger.put(
        service(in_git=False),
        rollout(ID, "promoted"),
        head(refused="deadbeef" + "0" * 32, faults=faults, stopped=stopped),
    )
    assert json.loads(pointsman("why", "digits", "-o", "json").out)["notes"] == [
        "the line is stopped by ada@example.com; to go on: pointsman resume --all",
        "commit deadbeef0000 was refused: a.yaml:1:1 spec.x: unknown field and 1 more",
        "its document is gone from git; it is left as it is until: pointsman delete digits -n demo",
    ]


@pytest.mark.parametrize("state", get_args(RolloutState))
def test_every_command_that_it_names_is_one_that_there_is(pointsman: Any, ledger: Any, state: str) -> None:
    ledger.put(service(owner=ID, revisions={NEW: revision(blocked=True)}), rollout(ID, state, want=5, seen=5))
    for line in json.loads(pointsman("why", "digits", "-o", "json").out)["type"]:
        _, *words = shlex.split(line)
        command: click.Command = cli
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, line
            command = found
        command.make_context("pointsman", words)  # raises UsageError for what it does not take


def test_an_approval_that_the_step_will_ask_for_is_told(pointsman: Any, ledger: Any) -> None:
    steps = plan().steps
    planned = plan(steps=(replace(steps[0], approvals=2), *steps[1:]))
    ledger.put(service(owner=ID), rollout(ID, planned=planned, memory=Memory(clock=ago(19))))
    found = json.loads(pointsman("why", "digits", "-o", "json").out)
    assert found["next"] == "25 % in 20h, once 2 owners approve, if the judge has data and nothing against it"
