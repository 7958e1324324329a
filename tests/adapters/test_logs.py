"""The log as it is written: one JSON object a line, in the words of `core.log_lines`, and no word of anybody else's."""

import ast
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from tests.handlers.rollout_cloud import Behaviour, Cloud, service

from pointsman.adapters.logs import TEXT_MAX, Lines
from pointsman.adapters.narrated import NarratedLedger, NarratedWorkflows
from pointsman.core.log_lines import ENVELOPE, FIELDS, LINES, SEVERITIES
from pointsman.handlers.rollout_step import Steps

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
T0 = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KNOWN = {line.event: line for line in LINES}
WHERE = {"trace", "span", "function"}
"""Fields of every line: where it belongs."""


@pytest.fixture
def log() -> Lines:
    return Lines(lambda: "acme", lambda: T0)


def test_a_line_is_one_json_object(log: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    log("weight-set", severity="NOTICE", service="serving/nlp/chat", rollout="r1", weight_pct=5.0, was=None, trace="ab")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "severity": "NOTICE",
        "event": "weight-set",
        "message": "weight-set serving/nlp/chat",
        "time": "2026-11-22T09:00:00Z",
        "service": "serving/nlp/chat",
        "rollout": "r1",
        "weight_pct": 5.0,
        "logging.googleapis.com/trace": "projects/acme/traces/ab",
        "logging.googleapis.com/labels": {"service": "serving/nlp/chat", "rollout": "r1"},
    }


def test_what_is_said_within_a_request_bears_its_fields_until_it_ends(
    log: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    with log.within(function="on_alert", trace="aa", span="01"):
        with log.within(trace="bb"):
            log("swept", part="pools", found="one\nthing")
            log("swept", part="pools", found="another", trace="cc")
        log("answered")
    log("answered")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    traces = [line.get("logging.googleapis.com/trace") for line in lines]
    assert traces == ["projects/acme/traces/bb", "projects/acme/traces/cc", "projects/acme/traces/aa", None]
    assert [line.get("function") for line in lines] == ["on_alert", "on_alert", "on_alert", None]
    assert lines[0]["message"] == "swept: one\nthing"


def test_a_text_too_long_for_a_line_is_cut(log: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    log("refused", reason="x" * 1_000_000)
    line = json.loads(capsys.readouterr().out)
    assert len(line["reason"]) == TEXT_MAX
    assert line["reason"].endswith("x…")


# --- the vocabulary -----------------------------------------------------------------------------------------------


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call `log("event", …)` of deployed code, with where it stands."""
    for path in sorted(FUNCTIONS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node, "func", None)
            named = getattr(name, "id", getattr(name, "attr", "")) in ("log", "_log")
            if (
                isinstance(node, ast.Call)
                and named
                and node.args
                and isinstance(getattr(node.args[0], "value", None), str)
            ):
                yield f"{path.name}:{node.lineno}", node


def test_every_line_that_code_writes_is_one_of_the_vocabulary_with_its_fields() -> None:
    wrong = []
    for where, call in calls():
        event = ast.literal_eval(call.args[0])
        if event not in KNOWN:
            wrong.append(f"{where}: {event} is not in core/log_lines.py")
            continue
        fields = {word.arg for word in call.keywords if word.arg} - {"severity", *WHERE}
        wrong += [f"{where}: {event} has no field {name}" for name in sorted(fields - KNOWN[event].names())]
        severities = [word.value for word in call.keywords if word.arg == "severity"]
        severity = ast.literal_eval(severities[0]) if severities and isinstance(severities[0], ast.Constant) else "INFO"
        if severity != SEVERITIES[event] and "_log" not in ast.unparse(call.func):
            wrong.append(f"{where}: {event} is written at {severity}")
    assert len(list(calls())) > 15
    assert wrong == []


def test_every_line_of_the_vocabulary_is_written_somewhere() -> None:
    said = {
        node.value
        for path in FUNCTIONS.rglob("*.py")
        if path.name != "log_lines.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert sorted(set(KNOWN) - said) == []


def test_every_field_is_explained_and_every_explanation_is_of_a_field() -> None:
    used = {name for line in LINES for name in line.names()}
    assert sorted(used ^ set(FIELDS)) == []
    assert not used & set(ENVELOPE)
    assert len(KNOWN) == len(LINES)


# --- whole rollouts -----------------------------------------------------------------------------------------------


class Kept:
    """Checks each line against the vocabulary, and keeps it."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, object]] = []

    def __call__(self, event: str, *, severity: str = "INFO", **fields: object) -> None:
        line = KNOWN[event]
        assert severity == line.severity
        assert set(fields) - WHERE == line.names(), event
        missing = [name for name in line.fields if not name.endswith("?") and fields[name] is None]
        assert missing == [], event
        self.lines.append({"event": event, **fields})

    def of(self, rollout: str, *events: str) -> list[Mapping[str, object]]:
        return [line for line in self.lines if line.get("rollout") == rollout and line["event"] in events]


class Told(Cloud):
    """A cloud whose step function is wired as `main` wires it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.log = Kept()

    @property
    def steps(self) -> Steps:
        wired = super().steps
        ledger, workflows = NarratedLedger(self.ledger, self.log), NarratedWorkflows(self.workflows, self.log)
        return Steps(ledger, workflows, wired.bus, wired.cluster, wired.metrics, wired.probe)


def test_a_rollout_that_goes_well_is_told_from_claim_to_end() -> None:
    cloud = Told()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    assert cloud.execute(rollout.id).run() == "promoted"
    weights = cloud.log.of(rollout.id, "weight-set", "weight-seen")
    wanted = [line["weight_pct"] for line in weights if line["event"] == "weight-set"]
    assert wanted == [5.0, 25.0, 50.0, 98.0, 100.0]
    assert [line["seen_pct"] for line in weights if line["event"] == "weight-seen"] == wanted
    assert [line["event"] for line in cloud.log.of(rollout.id, "rollout-claimed", "stable-set", "rollout-ended")] == [
        "rollout-claimed",
        "stable-set",
        "rollout-ended",
    ]
    verdicts = cloud.log.of(rollout.id, "verdict")
    assert {line["action"] for line in verdicts} <= {"continue", "advance", "hold"}
    numbers = [line["decision"] for line in cloud.log.of(rollout.id, "decided")]
    assert numbers == sorted({decision.number for decision in cloud.decisions(rollout.id)} & set(numbers))
    # Requests by tick add up to what the last verdict counts since the beginning.
    judged = cloud.rollout(rollout.id).verdict
    assert judged is not None
    assert (
        sum(int(str(line["canary_requests"])) for line in verdicts)
        == cast("Any", judged)["numbers"]["exposure"]["requests"]
    )


def test_a_rollout_that_goes_badly_is_told_with_what_it_spared() -> None:
    cloud = Told()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    cloud.behaviours[rollout.to_revision] = Behaviour(errors=0.3)
    assert cloud.execute(rollout.id).run() == "rolled_back"
    [ended] = cloud.log.of(rollout.id, "rollout-ended")
    assert ended["outcome"] == "rolled_back"
    assert 0 < int(str(ended["canary_bad"])) < int(str(ended["canary_requests"]))
    assert cloud.log.of(rollout.id, "verdict")[-1]["action"] == "roll_back"
    assert cloud.log.of(rollout.id, "weight-set")[-1]["weight_pct"] == 0.0
