"""`schemas/recording.json` is the form that the reader takes: what is valid needs no mending."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.cli.courses import Answered, lines, ticks

from pointsman.core.judge.recording import read
from pointsman_cli.judging.recording_schema import KINDS

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "schemas" / "recording.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)

HEAD: dict[str, Any] = {
    "kind": "head",
    "v": 1,
    "rollout": "3f9c2d1a",
    "model": "demo/digits",
    "stable": "v12",
    "canary": "v13",
    "metrics": [
        {"name": "5xx", "type": "ratio", "of": "requests", "weight": 0.4},
        {
            "name": "refusals",
            "type": "ratio",
            "of": "answers",
            "set": "answers",
            "class": "refusals",
            "weight": 0.1,
            "margin_pct": 20,
            "mode": "Observe",
        },
        {"name": "latency", "type": "latency", "edges_ms": [10, 100], "weight": 0.3, "margin_pct": 10, "margin_ms": 2},
        {"name": "score", "type": "mean", "worse": "lower", "bounds": [0, 1], "weight": 0.15},
        {"name": "guard", "type": "absolute", "limit": 0.3, "weight": 0.05},
    ],
    "profile": "safe",
    "alpha": 0.001,
    "warmup_s": 30,
    "mode": "Enforce",
    "seed_history": {
        "requests": 2000,
        "bad": {"5xx": 9},
        "latency": [500, 1400, 100],
        "phi": [1.0, 1.1, 1.2, 1.3],
        "tau": 0.1,
    },
    "carried": {},
}
POD: dict[str, Any] = {
    "id": "a",
    "start": "2026-01-02T03:00:00Z",
    "at": "2026-01-02T03:04:09Z",
    "age_s": 240,
    "requests": 1016,
    "started": 1021,
    "answers": 900,
    "bad": {"5xx": 3, "refusals": 12},
    "latency": [200, 800, 16],
    "score": {"n": 10, "sum": 8.5, "ss": 7.4},
    "stratum": "us-central1-a",
}
TICK: dict[str, Any] = {
    "kind": "tick",
    "seq": 17,
    "t0": "2026-01-02T03:04:00Z",
    "t1": "2026-01-02T03:04:10Z",
    "split": 0.05,
    "opening": True,
    "source_down": "",
    "arms": {"canary": {"pods": [POD], "ready": 1}, "baseline": {"pods": [{**POD, "id": "b"}], "ready": 3}},
}
SAID: list[dict[str, Any]] = [
    {
        "kind": "verdict",
        "seq": 17,
        "log_e": 1.23,
        "by_metric": {"5xx": [1.2, 3, 5]},
        "action": "continue",
        "reason": "",
    },
    {"kind": "split", "seq": 18, "from": 0.05, "to": 0.25, "why": "dwell"},
    {"kind": "command", "seq": 18, "verb": "abort", "by": "ada@example.com", "why": "enough"},
    {"kind": "decision", "at": "2026-01-02T03:04:10Z", "what": "stepping", "why": "25 % asked for"},
    {"kind": "weather", "of": "elsewhere"},
]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("line", [HEAD, TICK, *SAID], ids=lambda line: line["kind"])
def test_a_line_with_every_field_is_valid(line: dict[str, Any]) -> None:
    VALIDATOR.validate(line)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_examples_have_every_field_that_the_schema_names(kind: str) -> None:
    (example,) = [line for line in (HEAD, TICK, *SAID) if line["kind"] == kind]
    assert set(SCHEMA["$defs"][kind]["properties"]) == set(example) - {"kind"}


def test_a_pod_and_a_metric_have_every_field_too() -> None:
    assert set(SCHEMA["$defs"]["pod"]["properties"]) == set(POD) - {"answers", "latency", "score"}
    assert set(SCHEMA["$defs"]["metric"]["properties"]) == {name for metric in HEAD["metrics"] for name in metric}


def test_what_is_valid_is_read_without_mending() -> None:
    recording = read(json.dumps(line) for line in (HEAD, TICK, *SAID))
    (tick,) = recording.ticks
    assert tick.repairs == ()
    assert (tick.canary.ready, tick.baseline.ready, tick.split) == (1, 3, 0.05)
    assert {pod.metric_set for pod in tick.canary.pods} == {"requests", "answers", "score"}
    assert [entry.kind for entry in recording.entries if not hasattr(entry, "split")] == [line["kind"] for line in SAID]


def test_what_the_tests_record_is_valid() -> None:
    for line in lines(ticks([Answered()] * 2)):
        VALIDATOR.validate(line)


@pytest.mark.parametrize(
    ("line", "path", "value"),
    [
        pytest.param(TICK, ["seq"], "17", id="seq"),
        pytest.param(TICK, ["split"], 5, id="split"),
        pytest.param(TICK, ["t1"], 17, id="time"),
        pytest.param(TICK, ["arms", "canary", "pods", 0, "requests"], -1, id="requests"),
        pytest.param(TICK, ["arms", "canary", "pods", 0, "bad"], {"5xx": 0.5}, id="bad"),
        pytest.param(TICK, ["arms", "canary", "pods", 0, "latency"], [1, -1, 0], id="buckets"),
        pytest.param(TICK, ["arms", "canary", "pods", 0, "score"], {"n": 1}, id="sums"),
        pytest.param(HEAD, ["metrics"], [], id="metrics"),
        pytest.param(HEAD, ["metrics", 0, "type"], "count", id="type"),
        pytest.param(HEAD, ["profile"], "Default", id="profile"),
        pytest.param(HEAD, ["alpha"], 2, id="alpha"),
        pytest.param(SAID[0], ["action"], "pass", id="action"),
    ],
)
def test_a_wrong_field_is_refused(line: dict[str, Any], path: list[str | int], value: object) -> None:
    changed: Any = deepcopy(line)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert not VALIDATOR.is_valid(changed)
