"""`pointsman judge replay`: the same record gives the same verdicts, and what differs or cannot be read is named."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.courses import Answered, lines, recorded, ticks

from pointsman.core.judge import judge
from pointsman.core.judge.recording import read
from pointsman.core.names import JSON

FAILS = [Answered()] * 2 + [Answered(canary=((50, 3),))] * 4
WELL = [Answered()] * 6


def verdicts(answered: list[Answered]) -> list[dict[str, Any]]:
    """The lines of a recording, each tick followed by the verdict that it led to."""
    head, *found = lines(ticks(answered))
    told = by_the_plane([head, *found])
    return [head, *(line for pair in zip(found, told, strict=True) for line in pair)]


def by_the_plane(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts of a judge that forgets everything between two ticks but its state, as JSON."""
    recording = read(json.dumps(line) for line in found)
    state: JSON | None = None
    told = []
    for tick in recording.ticks:
        after, verdict = judge(state, tick, recording.head.policy)
        state = json.loads(json.dumps(after))
        told.append({"kind": "verdict", "seq": tick.seq, "log_e": verdict.log_e, "action": verdict.action})
    return told


def test_a_file_is_judged_in_one_line_by_the_tick_that_decides(pointsman: Any, tmp_path: Path) -> None:
    file = recorded(tmp_path / "fails.jsonl", lines(ticks(FAILS)))
    ran = pointsman("judge", "replay", file, "-o", "json")
    (line,) = map(json.loads, ran.lines)
    assert ran.status == 0
    assert list(line) == ["file", "verdict", "seq", "log_e", "metric", "reason"]
    assert (line["file"], line["verdict"], line["metric"]) == (str(file), "roll_back", "5xx")
    assert 3 <= line["seq"] <= 6
    assert line["log_e"] > 4.6


def test_a_rollout_that_is_well_is_judged_by_its_last_tick(pointsman: Any, tmp_path: Path) -> None:
    file = recorded(tmp_path / "well.jsonl", lines(ticks(WELL)))
    (line,) = map(json.loads, pointsman("judge", "replay", file).lines)
    assert (line["verdict"], line["seq"], line["metric"]) == ("continue", 6, None)


def test_ticks_come_before_the_line_of_their_file_with_the_same_fields(pointsman: Any, tmp_path: Path) -> None:
    file = recorded(tmp_path / "fails.jsonl", lines(ticks(FAILS)))
    *each, last = map(json.loads, pointsman("judge", "replay", file, "--ticks").lines)
    assert [line["seq"] for line in each] == [0, 1, 2, 3, 4, 5, 6]
    assert last in each
    assert [line["verdict"] for line in each[:3]] == ["hold", "hold", "continue"]
    assert {line["verdict"] for line in each[last["seq"] :]} == {"roll_back"}


def test_what_the_plane_said_is_said_again_bit_for_bit(pointsman: Any, tmp_path: Path) -> None:
    ran = pointsman("judge", "replay", recorded(tmp_path / "a.jsonl", verdicts(FAILS)))
    assert (ran.status, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"log_e": 0.5}, "differs: {file}: tick 3: log_e 0.5 is recorded, ", id="evidence"),
        pytest.param({"action": "advance"}, "differs: {file}: tick 3: advance is recorded, ", id="action"),
        pytest.param({"log_e": "much"}, "differs: {file}: tick 3: log_e 'much' is recorded, ", id="no-number"),
        pytest.param({"log_e": float("nan")}, "differs: {file}: tick 3: log_e nan is recorded, ", id="not-a-number"),
        pytest.param(
            {"seq": 77}, "differs: {file}: tick 77: a verdict is recorded, and there is no such tick", id="seq"
        ),
    ],
)
def test_a_verdict_that_differs_is_named(pointsman: Any, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    found = verdicts(FAILS)
    found[8] |= changed
    file = recorded(tmp_path / "a.jsonl", found)
    ran = pointsman("judge", "replay", file, "-o", "json")
    assert ran.status == 1
    assert len(ran.lines) == 1
    assert ran.err.startswith(said.format(file=file))
    assert len(ran.err.splitlines()) == 1


def test_a_verdict_a_billionth_off_is_the_same_and_rollback_is_roll_back(pointsman: Any, tmp_path: Path) -> None:
    found = verdicts(FAILS)
    for line in found:
        if line["kind"] == "verdict":
            line["log_e"] += 9e-10
            line["action"] = line["action"].replace("roll_back", "rollback")
    assert pointsman("judge", "replay", recorded(tmp_path / "a.jsonl", found)).status == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "{file}:1: the file is empty — record a rollout into it", id="empty"),
        pytest.param(b"\n{]\n", "{file}:2: its first line is no JSON object — begin with ", id="no-json"),
        pytest.param(b'{"kind": "tick"}\n', "{file}:1: its first line is no head — begin with ", id="no-head"),
        pytest.param(b"\xff\xfe\x00", "{file}: is no text — a recording has a JSON object in each line", id="bytes"),
        pytest.param(None, "{file}: cannot be read: No such file or directory — ", id="absent"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_the_others_are_judged(
    pointsman: Any, tmp_path: Path, content: bytes | None, said: str
) -> None:
    bad, good = tmp_path / "bad.jsonl", recorded(tmp_path / "good.jsonl", lines(ticks(WELL)))
    if content is not None:
        bad.write_bytes(content)
    ran = pointsman("judge", "replay", bad, good, "-o", "json")
    assert ran.status == 1
    assert [json.loads(line)["file"] for line in ran.lines] == [str(good)]
    assert ran.err.startswith(f"error: {said.format(file=bad)}")
    assert len(ran.err.splitlines()) == 1


def test_a_recording_without_ticks_holds(pointsman: Any, tmp_path: Path) -> None:
    (line,) = map(json.loads, pointsman("judge", "replay", recorded(tmp_path / "a.jsonl", lines([]))).lines)
    assert (line["verdict"], line["seq"], line["log_e"]) == ("hold", None, 0.0)


def test_another_policy_is_named_with_what_it_forgives(pointsman: Any, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("judge: {profile: Safe, badAnswerLimitPercent: 50}\n")
    files = [recorded(tmp_path / f"{name}.jsonl", verdicts(FAILS)) for name in "ab"]
    ran = pointsman("judge", "replay", *files, "--policy", policy, "-o", "json")
    assert ran.status == 0  # recorded verdicts were made by another policy, and are not compared
    first, second = ran.err.splitlines()[:2]
    assert first.startswith(f"judged by {policy}: profile Safe, at most 0.1 % false rollbacks")
    assert second == "looser than recorded in 2 files: 1,000 to 1 must be reached in place of 100 to 1"
    assert "looser than recorded in 2 files: 50 % bad answers are accepted in place of 30 %" in ran.err


def test_the_policys_profile_is_the_one_that_judges(pointsman: Any, tmp_path: Path) -> None:
    slowly = [Answered()] * 2 + [Answered(canary=((50, 1),))] * 20
    policy, file = tmp_path / "policy.yaml", recorded(tmp_path / "a.jsonl", lines(ticks(slowly)))
    default = json.loads(pointsman("judge", "replay", file).lines[-1])
    policy.write_text("profile: Safe\nwarmup: 0s\n")
    safe = json.loads(pointsman("judge", "replay", file, "--policy", policy).lines[-1])
    assert safe["seq"] > default["seq"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("judge: {profile: Loose}", "policy.yaml: spec.judge.profile: "),
        ("kind: ModelService", "policy.yaml: is a ModelService — give a RolloutPolicy or its `judge` section"),
        ("- 1", "policy.yaml: is no policy — give a RolloutPolicy or its `judge` section"),
        ("a: [", "policy.yaml:1: is no YAML: while parsing a flow node, expected the node content, but found "),
        ("profile: Safe\n---\nprofile: Safe", "policy.yaml:2: is no YAML: expected a single document in the stream, "),
        (
            "{profile: Loose, warmup: never}",
            'spec.judge.profile: "Loose" is none of Default, Safe, Sensitive; spec.judge.warmup: ',
        ),
    ],
)
def test_a_faulty_policy_is_refused_before_anything_is_judged(
    pointsman: Any, tmp_path: Path, text: str, said: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(text)
    ran = pointsman("judge", "replay", recorded(tmp_path / "a.jsonl", lines(ticks(WELL))), "--policy", policy)
    assert (ran.status, ran.out) == (1, "")
    assert said in ran.err


def test_a_policy_that_is_not_there_is_asked_for(pointsman: Any, tmp_path: Path) -> None:
    ran = pointsman("judge", "simulate", "--rate", "9", "--base", "1%", "--policy", tmp_path / "none.yaml")
    assert ran.status == 1
    assert ran.err.endswith(
        "none.yaml: cannot be read: No such file or directory — give a RolloutPolicy or its `judge` section\n"
    )


def test_a_table_has_a_row_a_file(pointsman: Any, tmp_path: Path) -> None:
    files = [recorded(tmp_path / f"{name}.jsonl", lines(ticks(what))) for name, what in (("a", WELL), ("b", FAILS))]
    ran = pointsman("judge", "replay", *files, "-o", "table")
    heading, first, second = ran.lines
    assert heading.split() == ["FILE", "TICK", "VERDICT", "EVIDENCE", "METRIC", "REASON"]
    assert "continue" in first
    assert "roll_back" in second
    assert " to 1 " in second


def test_a_reason_in_a_table_is_of_the_tick_of_its_row_or_names_another(pointsman: Any, tmp_path: Path) -> None:
    file = recorded(tmp_path / "a.jsonl", lines(ticks(FAILS)))
    _, *rows, last = pointsman("judge", "replay", file, "--ticks", "-o", "table").lines
    decided, *later = [row for row in rows if "roll_back" in row]
    assert decided == last
    assert later
    assert all(f"   decided at tick {decided.split()[1]}: 5xx: " in row for row in later)
    assert "decided at tick" not in decided


def test_many_files_are_judged_by_several_processes_in_the_order_given(pointsman: Any, tmp_path: Path) -> None:
    files = [recorded(tmp_path / f"{n:02}.jsonl", lines(ticks(FAILS if n % 3 else WELL))) for n in range(20)]
    ran = pointsman("judge", "replay", *files, "-o", "json")
    found = [json.loads(line) for line in ran.lines]
    assert [line["file"] for line in found] == [str(file) for file in files]
    assert [line["verdict"] for line in found] == ["roll_back" if n % 3 else "continue" for n in range(20)]


def test_replay_starts_without_what_it_does_not_need(tmp_path: Path) -> None:
    file = recorded(tmp_path / "a.jsonl", lines(ticks(WELL)))
    asked = (
        "import sys; from pointsman_cli.judging.replaying import replayed;"
        f"list(replayed([{str(file)!r}], None, ticks=False));"
        "print(*({'pydantic', 'yaml', 'rich', 'numpy', 'grpc', 'kubernetes'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_what_had_to_be_mended_is_named_in_the_line_and_on_stderr(pointsman: Any, tmp_path: Path) -> None:
    found = lines(ticks([Answered()] * 4))
    found[3]["arms"]["canary"]["pods"][0]["bad"] = {"5xx": -1}
    file = recorded(tmp_path / "r.jsonl", found)
    file.write_text(file.read_text() + "{ broken\n")
    ran = pointsman("judge", "replay", file, "-o", "json")
    (line,) = (json.loads(text) for text in ran.lines)
    assert ran.status == 0
    assert line["repairs"] == [
        "tick 2: canary: 5xx of canary-1 is no count of some of its 100 answers",
        "line 7 is no JSON object",
    ]
    assert ran.err == f"mended or left out: {file}: {line['repairs'][0]}, and 1 more\n"


def test_a_tick_that_is_there_twice_is_left_out_once_and_named(pointsman: Any, tmp_path: Path) -> None:
    head, *found = lines(ticks(WELL))
    whole = recorded(tmp_path / "whole.jsonl", [head, *found])
    doubled = recorded(tmp_path / "doubled.jsonl", [head, *found[:4], found[3], *found[4:]])
    once, twice = map(json.loads, pointsman("judge", "replay", whole, doubled).lines)
    assert twice["repairs"] == [f"tick {found[3]['seq']}: it was there before, and is left out"]
    assert (twice["verdict"], twice["log_e"]) == (once["verdict"], once["log_e"])


def test_what_is_no_count_after_the_tick_that_decided_is_named_too(pointsman: Any, tmp_path: Path) -> None:
    found = lines(ticks(FAILS))
    found[-1]["arms"]["canary"]["pods"][0]["requests"] = -1
    (line,) = map(json.loads, pointsman("judge", "replay", recorded(tmp_path / "r.jsonl", found)).lines)
    assert line["verdict"] == "roll_back"
    assert line["seq"] < found[-1]["seq"]
    assert line["repairs"] == [f"tick {found[-1]['seq']}: canary: canary-1 has no count of requests"]
