"""What the log says of a save: each line by the records that it tells of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.log_lines import LINES
from pointsman.core.narration import narrated
from pointsman.core.records import (
    CommandRecord,
    DecisionRecord,
    HeadRecord,
    Hold,
    PoolRecord,
    Record,
    RolloutRecord,
    ServiceRecord,
    StockOutNote,
    Stopped,
)

T0 = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CAUSE = "0123456789abcdef0123456789abcdef"
ROLLOUT = RolloutRecord(
    id="a1b2c3d4e5f60718",
    kind="roll_out",
    service="serving/nlp/chat",
    generation=3,
    from_revision="chat-11111111",
    to_revision="chat-22222222",
    state="stepping",
    plan={},
    cause=CAUSE,
    commit="c0ffee",
    started_at=T0,
    state_since=T0,
    token=7,
    want=5,
    seen=5,
    execution="projects/p/locations/l/workflows/roll-out/executions/1",
)
ABOUT = {
    "trace": CAUSE,
    "service": "serving/nlp/chat",
    "rollout": "a1b2c3d4e5f60718",
    "revision": "chat-22222222",
    "token": 7,
    "commit": "c0ffee",
    "execution": "projects/p/locations/l/workflows/roll-out/executions/1",
    "decision": None,
}
SERVICE = ServiceRecord("serving", "nlp", "chat", stable="chat-11111111", owner="a1b2c3d4e5f60718", token=7)
COMMAND = CommandRecord("a1b2c3d4e5f60718", "n1", "abort", "lea@example.com", T0, "a secret reason")
POOL = PoolRecord("l4", token=2, wanted=1, seen=1, execution="e1")
HEAD = HeadRecord("https://github.com/acme/config", "main", "c0ffee", T0)
POOL_ABOUT = {"trace": "b1c013294f3e3ba8cfdbd4f0acf4a9c6", "pool": "l4", "token": 2, "execution": "e1"}


def verdict(action: str, canary: tuple[int, int], baseline: tuple[int, int], log_e: float = 0.5) -> Any:
    """Counts of a tick, as two metric sets saw it: the second misses some requests."""
    arms = {
        arm: {
            "Gateway": {"requests": requests, "bad": {"5xx": bad}},
            "Pods": {"requests": requests - 1, "bad": {"5xx": 0, "timeout": 1}},
        }
        for arm, (requests, bad) in (("canary", canary), ("baseline", baseline))
    }
    numbers = {"exposure": {"requests": 140, "bad": 21}, "tick": arms, "cause": None, "log_e_needed": 4.6}
    return {"action": action, "metric": "errors", "reason": "r", "log_e": log_e, "effect": 2.0, "numbers": numbers}


def decision(number: int, said: Any = None, kind: Any = "state") -> DecisionRecord:
    return DecisionRecord(ROLLOUT.id, number, T0, kind, {}, {}, {"verdict": said}, "because")


def told(*saved: tuple[Record, Record | None]) -> list[tuple[str, dict[str, object]]]:
    return [(event, dict(fields)) for event, fields in narrated(saved)]


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        pytest.param(
            replace(ROLLOUT, state="queued", execution=None, token=0),
            None,
            [
                (
                    "rollout-opened",
                    {
                        **ABOUT,
                        "execution": None,
                        "token": 0,
                        "kind": "roll_out",
                        "cause": CAUSE,
                        "from_revision": "chat-11111111",
                        "state": "queued",
                    },
                )
            ],
            id="a rollout that was not there is opened",
        ),
        pytest.param(
            ROLLOUT,
            replace(ROLLOUT, token=6),
            [("rollout-claimed", {**ABOUT, "attempt": 0})],
            id="a new token is a claim",
        ),
        pytest.param(
            replace(ROLLOUT, lease_until=T0), ROLLOUT, [], id="a lease that is renewed is nothing to speak of"
        ),
        pytest.param(
            replace(ROLLOUT, want=255, weight_total=1000),
            replace(ROLLOUT, want=50, weight_total=1000, seen=5),
            [("weight-set", {**ABOUT, "weight_pct": 25.5, "was": 5.0, "step": 0})],
            id="weights are told in percent, whatever they are counted in",
        ),
        pytest.param(
            ROLLOUT,
            replace(ROLLOUT, seen=0),
            [("weight-seen", {**ABOUT, "seen_pct": 5.0, "was": 0.0, "step": 0})],
            id="a weight is seen after it was set",
        ),
        pytest.param(
            replace(ROLLOUT, state="promoted", ended="yes", state_since=T0 + timedelta(minutes=12)),
            replace(ROLLOUT, state="completing"),
            [
                ("state-changed", {**ABOUT, "state": "promoted", "was": "completing", "step": 0, "reason": None}),
                (
                    "rollout-ended",
                    {
                        **ABOUT,
                        "kind": "roll_out",
                        "outcome": "promoted",
                        "reason": None,
                        "duration_s": 720.0,
                        "canary_requests": 0,
                        "canary_bad": 0,
                    },
                ),
            ],
            id="an end is told once, with its time",
        ),
        pytest.param(
            replace(SERVICE, stable="chat-22222222"),
            SERVICE,
            [
                (
                    "stable-set",
                    {
                        "service": "serving/nlp/chat",
                        "revision": "chat-22222222",
                        "was": "chat-11111111",
                        "rollout": "a1b2c3d4e5f60718",
                        "token": 7,
                    },
                )
            ],
            id="another stable revision",
        ),
        pytest.param(
            COMMAND,
            None,
            [
                (
                    "command-given",
                    {"rollout": ROLLOUT.id, "verb": "abort", "by": "lea@example.com", "number": "n1"},
                )
            ],
            id="who asked for what, and never why: people write what they like there",
        ),
        pytest.param(
            replace(COMMAND, taken="12"),
            COMMAND,
            [
                (
                    "command-taken",
                    {
                        "rollout": ROLLOUT.id,
                        "verb": "abort",
                        "by": "lea@example.com",
                        "number": "n1",
                        "decision": 12,
                    },
                )
            ],
            id="a command that was taken, by its decision",
        ),
        pytest.param(
            replace(POOL, seen=2, holds={"r": Hold(2, "pods wait", T0)}, candidate="l4-1"),
            replace(POOL, candidate="l4-1"),
            [
                (
                    "pool-changed",
                    {**POOL_ABOUT, "wanted": 1, "seen": 2, "held": 2, "candidate": "l4-1", "reason": None},
                )
            ],
            id="nodes that came, and who holds them",
        ),
        pytest.param(
            replace(POOL, stockouts={"l4-1": StockOutNote(T0, "no machines")}, retry_at=T0, reason="none"),
            replace(POOL, reason="none"),
            [
                ("pool-stock-out", {**POOL_ABOUT, "candidate": "l4-1", "until": T0, "reason": "no machines"}),
                ("pool-exhausted", {**POOL_ABOUT, "reason": "none", "retry_at": T0}),
            ],
            id="a candidate without machines, and no other one",
        ),
        pytest.param(HEAD, None, [("head-applied", {"branch": "main", "commit": "c0ffee"})], id="a first head"),
        pytest.param(
            replace(HEAD, refused="bad", faults=("one", "two")),
            HEAD,
            [("head-refused", {"branch": "main", "commit": "bad", "faults": 2})],
            id="a head with faults, which are counted and not quoted",
        ),
        pytest.param(
            replace(HEAD, stopped=Stopped("lea@example.com", T0, "an incident")),
            HEAD,
            [("line-stopped", {"branch": "main", "by": "lea@example.com"})],
            id="the line is stopped",
        ),
    ],
)
def test_a_save_is_told_by_what_it_changed(after: Record, before: Record | None, expected: object) -> None:
    assert told((after, before)) == expected


def test_a_verdict_is_told_with_the_requests_of_its_tick_alone() -> None:
    before = replace(ROLLOUT, verdict=verdict("continue", (10, 0), (100, 0)))
    said = verdict("roll_back", (40, 20), (700, 3), log_e=5.5)
    after = replace(before, state="giving_back", verdict=said, reason="errors")
    lines = dict(told((after, before), (decision(9, said), None)))
    assert list(lines) == ["verdict", "decided", "state-changed"]
    assert lines["verdict"] == {
        **ABOUT,
        "decision": 9,
        "baseline": "chat-11111111",
        "action": "roll_back",
        "metric": "errors",
        "cause": None,
        "reason": "r",
        "log_e": 5.5,
        "log_e_needed": 4.6,
        "canary_requests": 40,
        "canary_bad": 20,
        "baseline_requests": 700,
        "baseline_bad": 3,
    }
    assert {fields["decision"] for fields in lines.values()} == {9}, "all that one decision led to bears its number"


def test_a_rollout_that_a_person_asked_for_has_a_trace_of_its_own() -> None:
    asked = replace(ROLLOUT, cause="lea@example.com")
    [(_, fields)] = told((asked, None))
    assert fields["trace"] == told((replace(asked, state="held"), asked))[0][1]["trace"]
    assert len(str(fields["trace"])) == 32


JSONS = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["numbers", "exposure", "tick", "canary", "bad"]), inner)
    ),
    max_leaves=6,
)


@given(JSONS, JSONS)
def test_no_record_however_odd_stops_the_narration(before: Any, after: Any) -> None:
    rollout = replace(ROLLOUT, verdict=after, weight_total=0)
    assert all(
        event in {line.event for line in LINES}
        for event, _ in narrated([(rollout, replace(ROLLOUT, verdict=before)), (decision(1, after), None)])
    )
