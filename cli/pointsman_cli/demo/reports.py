"""A report of each story's rollout, and a page that leads to them."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from pointsman_cli.demo.outcome import Outcome
from pointsman_cli.demo.stage import Stage
from pointsman_cli.judging.ledger_course import course_of_decisions
from pointsman_cli.judging.report.style import STYLE
from pointsman_cli.judging.report.writing import write

__all__ = ["write_reports"]

BADGES = {"promoted": "advance", "rolled_back": "roll_back"}
"""Ends of a rollout that have the colour of a verdict; others are neither good nor bad."""


def write_reports(stage: Stage, outcomes: Sequence[Outcome], folder: Path) -> int:
    """Write them into a folder, which is made; how many stories had a rollout."""
    told = [outcome for outcome in outcomes if outcome.rollout]
    folder.mkdir(parents=True, exist_ok=True)
    states = []
    for outcome in told:
        rollout = stage.read(outcome.rollout)
        states.append(rollout.state)
        course = course_of_decisions(rollout, stage.decisions(rollout.id))
        write(course, folder / f"{outcome.name}.html", over=rollout.ended == "yes")
    (folder / "index.html").write_text(_index(told, states), encoding="utf-8")
    return len(told)


def _index(told: Sequence[Outcome], states: Sequence[str]) -> str:
    items = "".join(
        f'<section class="card story"><h3><a href="{escape(outcome.name)}.html">{escape(outcome.title)}</a></h3>'
        f'<p class="reason">{escape(outcome.reason)}</p>'
        f'<span class="badge {BADGES.get(state, "hold")}">{escape(state.replace("_", " "))}</span></section>'
        for outcome, state in zip(told, states, strict=True)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Reports of the demo</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main><h1>Reports of the demo</h1>{items}</main>"
        "</body></html>\n"
    )
