"""`pointsman trace`: an event's whole way on one screen, from what the ledger has a time for."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cli.ledger_samples import NEW, decision, event, rollout

from pointsman.core.records import DecisionRecord

ID = "aaaa1111bbbb2222"
EXECUTION = "projects/lab/locations/us-central1/workflows/roll-out/executions/1f2e3d4c-5b6a"


def at(seconds: float) -> datetime:
    return datetime(2026, 11, 22, 9, 0, tzinfo=UTC) + timedelta(seconds=seconds)


def verdict(action: str, log_e: float) -> dict[str, object]:
    return {"action": action, "reason": "r", "log_e": log_e}


def taken(number: int, seconds: float, before: Any, after: Any, reason: str = "", **fields: Any) -> DecisionRecord:
    whole = {"state": "stepping", "want": 5, "seen": 5, "weight_total": 100}
    state = {**whole, **after}["state"]
    sides = {"before": {**whole, **before}, "after": {**whole, **after}}
    return decision(ID, number, state, **{**sides, "at": at(seconds), "reason": reason or state, **fields})


@pytest.fixture
def told(ledger: Any) -> Any:
    """A push that was rolled out and rolled back: three decisions, and verdicts between them."""
    ledger.put(
        event(
            "ab12",
            sent_at=at(0),
            received_at=at(1.25),
            attempts=2,
            led_to=(ID,),
            reason="c0ffee000000: demo/digits roll out",
        ),
        rollout(ID, "rolled_back", started_at=at(1.25), state_since=at(400), reason="5xx"),
        decision(
            ID,
            1,
            "pending",
            at=at(2),
            inputs={"commands": [], "execution": EXECUTION},
            before={"state": "queued", "token": 6, "attempt": 0},
            after={"token": 7, "attempt": 1},
            reason="pending",
        ),
        taken(2, 30, {"state": "placing", "want": 0, "seen": 0}, {"seen": 0}, "digits answers"),
        taken(3, 31, {"seen": 0}, {}),
        taken(4, 40, {}, {"verdict": verdict("continue", 0.0)}),
        taken(5, 50, {}, {"verdict": verdict("continue", 0.0)}),
        taken(6, 200, {}, {"verdict": verdict("continue", 1.0)}),
        taken(7, 210, {}, {"state": "held"}, "paused: look", inputs={"commands": [{"verb": "pause", "by": "ada"}]}),
        taken(8, 220, {}, {"state": "giving_back", "want": 0, "verdict": verdict("roll_back", 9.21)}, "5xx: worse"),
        taken(
            9, 400, {"state": "giving_back", "want": 0}, {"state": "rolled_back", "want": 0, "seen": 0}, "5xx: worse"
        ),
    )
    return ledger


def test_an_events_way_is_told_from_its_sending_to_the_last_weight(pointsman: Any, told: Any) -> None:
    assert pointsman("trace", "ab12").lines == [
        "event ab12ab12ab12ab12ab12ab12ab12ab12: dev.pointsman.repo.pushed.v1, //github.com/acme/config delivery-ab12",
        f"rollout {ID}: c1/demo/digits to {NEW}, rolled_back",
        "2026-11-22 UTC",
        "09:00:00.0         +0.0s  sent",
        "09:00:01.2         +1.2s  claimed, attempt 2; applied: c0ffee000000: demo/digits roll out",
        "09:00:01.2         +1.2s  opened: 5xx",
        "09:00:02.0         +2.0s  claimed by roll-out/1f2e3d4c, token 7; pending",
        "09:00:30.0        +30.0s  placed, stepping: digits answers; 5 % asked",
        "09:00:31.0        +31.0s  5 % seen",
        "09:00:40.0        +40.0s  verdict continue, evidence 2.7 to 1 x3 until +3m20s",
        "09:03:30.0        +3m30s  pause by ada; held: paused: look",
        "09:03:40.0        +3m40s  verdict roll_back, evidence 9,997 to 1; giving back: 5xx: worse; 0 % asked",
        "09:06:40.0        +6m40s  rolled back: 5xx: worse; 0 % seen",
    ]


def test_a_program_reads_every_moment_with_its_time(pointsman: Any, told: Any) -> None:
    found = json.loads(pointsman("trace", "ab12", "-o", "json").out)
    assert (found["event"], found["rollouts"]) == ("ab12" * 8, [ID])
    assert [moment["kind"] for moment in found["moments"]] == [
        "sent",
        "claimed",
        "handled",
        "opened",
        "claim",
        "state",
        "state",
        "weight asked",
        "weight seen",
        "verdict continue",
        "command",
        "state",
        "verdict roll_back",
        "state",
        "weight asked",
        "state",
        "weight seen",
    ]
    assert found["moments"][9] == {
        "at": "2026-11-22T09:00:40Z",
        "after_s": 40.0,
        "what": "verdict continue, evidence 2.7 to 1",
        "kind": "verdict continue",
        "of": ID,
        "decision": 4,
        "count": 3,
        "until": "2026-11-22T09:03:20Z",
    }


def test_a_rollout_that_a_person_asked_for_has_a_way_too(pointsman: Any, told: Any) -> None:
    lines = pointsman("trace", ID[:6]).lines
    assert lines[0].startswith(f"rollout {ID}")
    assert lines[2].endswith("+0.0s  opened: 5xx")


def test_an_event_that_led_to_nothing_is_told_in_a_line(pointsman: Any, ledger: Any) -> None:
    ledger.put(event("cd", result="ignored", reason="nobody follows it", received_at=at(0)))
    assert pointsman("trace", "cd").lines[-1] == "09:00:00.0         +0.0s  claimed; ignored: nobody follows it"


def test_an_event_that_is_not_there_is_an_error_that_says_where_to_look(pointsman: Any, ledger: Any) -> None:
    ran = pointsman("trace", "nothing")
    assert (ran.status, ran.err) == (1, "error: no event nothing — pointsman events list\n")
