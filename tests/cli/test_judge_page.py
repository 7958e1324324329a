"""`docs/judging-your-service.md` is true: its commands run, and print what the page says."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from tests.cli.courses import Answered, lines, recorded, ticks
from tests.cli.test_judge_explain import in_ledger

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "judging-your-service.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
POLICY = """\
apiVersion: pointsman.dev/v1
kind: RolloutPolicy
metadata: {name: careful}
spec: {judge: {profile: Safe, warmup: 0s}, steps: [{weight: 10}]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page's reader stands."""
    (tmp_path / "rollouts").mkdir()
    (tmp_path / "policy.yaml").write_text(POLICY)
    answered = [Answered()] * 3 + [Answered(canary=((50, 4),))] * 5
    recorded(tmp_path / "rollouts" / "3f9c2d1a.jsonl", lines(ticks(answered)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_runs(pointsman: Any, ledger: Any, folder: Path, line: str) -> None:
    in_ledger(ledger)
    pointsman("judge", "record", "digits", "--out", "rollouts/digits.jsonl")
    _, *words = shlex.split(line)
    if "simulate" in words:
        words += ["--rollouts", "2", "--tick", "60s"]  # the last of two options counts: seconds, not minutes
    ran = pointsman(*words)
    assert (ran.status, ran.out != "") == (0, "--out rollouts" not in line), ran.err


def test_the_explanation_is_the_one_of_the_page(pointsman: Any, folder: Path) -> None:
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert pointsman("judge", "explain", "rollouts/3f9c2d1a.jsonl").out.startswith(shown)


def test_the_fields_of_a_replay_are_those_of_the_page(pointsman: Any, folder: Path) -> None:
    part = PAGE.split("## Would it say that again?")[1]
    told = re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
    ran = pointsman("judge", "replay", "rollouts/3f9c2d1a.jsonl", "-o", "json")
    assert re.findall(r'"(\w+)": ', ran.out) == told


def test_the_columns_of_a_simulation_are_those_of_the_page(pointsman: Any) -> None:
    told = re.findall(r"^\| ([A-Z0-9 %]+) \|", PAGE, re.MULTILINE)
    ran = pointsman("judge", "simulate", "--rate", "9", "--base", "1%", "--rollouts", "2", "--tick", "60s")
    (heading,) = [line for line in ran.lines if line.startswith("CANARY")]
    assert [part.removesuffix(" (95 %)") for part in re.split(r"\s{3,}", heading)[1:]] == told
