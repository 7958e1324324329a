"""The page of rollouts has every state, every way between two, and every reason to be held."""

import ast
import re
from inspect import getsource
from pathlib import Path
from typing import get_args

from pointsman.core.records import RolloutState
from pointsman.core.rollout import FINAL, pacing, steps
from pointsman.core.rollout.turn import ENDS_AS
from pointsman_cli.rollout_states import explored

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rollout.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without their heads."""
    text = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|---")]


def test_the_picture_has_every_state_and_every_way_between_two() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+)", PAGE, re.MULTILINE))
    assert drawn == explored().edges
    assert {state for way in drawn for state in way} == set(get_args(RolloutState))
    assert set(re.findall(r"^    (\w+) --> \[\*\]", PAGE, re.MULTILINE)) == FINAL


def test_the_states_that_are_not_final_have_a_row_each() -> None:
    described = [row[0].strip("`") for row in rows("States") if row[0].startswith("`")]
    assert described == [state for state in get_args(RolloutState) if state not in FINAL]


def test_every_reason_to_be_held_has_a_row() -> None:
    trees = (ast.parse(getsource(module)) for module in (steps, pacing))
    texts = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    kinds = {
        found[1] for text in texts if isinstance(text, str) and (found := re.match(r"([a-z]+(?: [a-z]+)?): ", text))
    }
    told = {reason for row in rows("Held, and why") for reason in re.findall(r"`([a-z ]+)`", row[0])}
    assert {"paused", "no data", "source down"} < kinds
    assert told == kinds - {"held"}  # what a note begins with


def test_every_cause_has_a_row() -> None:
    assert {row[0].strip("`") for row in rows("Why traffic is given back")[1:]} == set(ENDS_AS)


def test_a_settled_state_leads_nowhere() -> None:
    assert not {before for before, _ in explored().edges} & FINAL
