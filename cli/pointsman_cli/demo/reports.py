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


def write_reports(stage: Stage, outcomes: Sequence[Outcome], folder: Path) -> int:
    """Write them into a folder, which is made; how many stories had a rollout."""
    told = [outcome for outcome in outcomes if outcome.rollout]
    folder.mkdir(parents=True, exist_ok=True)
    for outcome in told:
        rollout = stage.read(outcome.rollout)
        course = course_of_decisions(rollout, stage.decisions(rollout.id))
        write(course, folder / f"{outcome.name}.html", over=rollout.ended == "yes")
    (folder / "index.html").write_text(_index(told), encoding="utf-8")
    return len(told)


def _index(told: Sequence[Outcome]) -> str:
    items = "".join(
        f'<li><a href="{escape(outcome.name)}.html">{escape(outcome.title)}</a>: {escape(outcome.reason)}</li>'
        for outcome in told
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Reports of the demo</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f'<body><main><h1>Reports of the demo</h1><section class="card why"><ul>{items}</ul></section></main>'
        "</body></html>\n"
    )
