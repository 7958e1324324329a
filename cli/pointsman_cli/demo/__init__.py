"""`pointsman demo`: nine stories on a local cloud, told live, with real models and real traffic."""

import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman.errors import PointsmanError

if TYPE_CHECKING:
    from pointsman_cli.demo.screen import Screen
    from pointsman_cli.demo.stage import Stage

__all__ = ["command"]

PAUSE_S = 0.5


@click.command()
@click.option("--keep", is_flag=True, help="Leave the local cloud running at the end, until Ctrl-C.")
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures to FILE.")
@click.option("--only", help="Only these stories, by letter (`ab`); (a) always plays.")
@click.option(
    "--reports",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for a report of each rollout. Default: a new one among the temporary files.",
)
@click.pass_context
def command(context: click.Context, keep: bool, file: Path | None, only: str | None, reports: Path | None) -> None:
    """Run the main job on this machine: pushes become served models, and bad ones go back.

    Exit status 0 only if every story ended as it should.
    """
    from pointsman_cli.demo.stories import STORIES

    known = "".join(story.letter for story in STORIES)
    if unknown := sorted(set(only or "") - set(known)):
        raise click.BadParameter(
            f"there is no story {', '.join(unknown)}; those there are: {known}", param_hint="--only"
        )
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a script had started it with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="pointsman-demo-"))
    try:
        ok = _play(folder, keep=keep, file=file, letters=only, reports=reports)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        context.exit(130)
    except PointsmanError:
        kept = Path(tempfile.mkdtemp(prefix="pointsman-demo-logs-"))
        for log in [*folder.glob("*.log"), *folder.glob("logs/*.log")]:
            shutil.copy(log, kept)
        click.echo(f"logs: {kept}", err=True)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    context.exit(0 if ok else 1)


def _play(folder: Path, *, keep: bool, file: Path | None, letters: str | None, reports: Path | None) -> bool:
    from rich.console import Console

    from pointsman.core.records import RolloutRecord
    from pointsman_cli.demo.load import Load
    from pointsman_cli.demo.memory import Peak
    from pointsman_cli.demo.outcome import Outcome, Result
    from pointsman_cli.demo.reports import write_reports
    from pointsman_cli.demo.screen import Screen, summary, table
    from pointsman_cli.demo.stage import Stage
    from pointsman_cli.demo.stories import STORIES

    console = Console()
    playing: list[Stage] = []

    def now() -> tuple[RolloutRecord | None, Load | None]:
        if not playing:
            return None, None
        running = [saved.record for saved in playing[0].ledger.find(RolloutRecord, {"ended": "no"})]
        return (running[0] if running else None), playing[0].load

    peak = Peak()
    outcomes: list[Outcome] = []
    with Screen(console, now) as screen:
        screen.begins("starting the local cloud, training five versions of a digit classifier")
        stage = Stage(folder)
        try:
            screen.says(f"local cloud ready in {stage.ready_s:.1f} s; every request below is a real one, through Envoy")
            playing.append(stage)
            for story in STORIES:
                if letters and story.letter not in f"a{letters}":
                    continue
                screen.begins(f"({story.letter}) {story.title}")
                outcome = story.play(stage, story)
                outcomes.append(outcome)
                screen.ends(outcome)
                time.sleep(PAUSE_S)
            sent, recorded = _events(stage)
            screen.begins("drawing a report of each rollout")
            there = reports or Path(tempfile.mkdtemp(prefix="pointsman-reports-"))
            written = f"reports of {write_reports(stage, outcomes, there)} rollouts: {there / 'index.html'}"
            if keep:
                screen.says(written)
                _hold(stage, screen)
        finally:
            playing.clear()
            stage.close()
    result = Result(outcomes, peak.close(), sent, recorded)
    console.print()
    console.print(table(result))
    for line in summary(result, stage.ready_s):
        console.print(line, highlight=False)
    console.print(written, highlight=False, soft_wrap=True)
    if file:
        _write(file, result.as_json())
    return result.ok


def _events(stage: "Stage") -> tuple[int, int]:
    """Events sent, and how many of them the ledger has exactly once: pushes by commit, webhooks by number."""
    from collections import Counter

    from pointsman.core.events import MODEL_REGISTERED, REPO_PUSHED

    events = stage.events()
    commits = Counter(event.subject.rpartition("@")[2] for event in events if event.type == REPO_PUSHED)
    once = sum(commits[commit] == 1 for commit in stage.pushed)
    registered = sum(event.type == MODEL_REGISTERED for event in events)
    return len(stage.pushed) + stage.webhooks, once + min(registered, stage.webhooks)


def _hold(stage: "Stage", screen: "Screen") -> None:
    """Leave everything running until Ctrl-C, and say how to look at it."""
    screen.says(f'in another terminal: eval "$(pointsman local env --data {stage.data})"')
    screen.says("then: pointsman status; Ctrl-C here stops everything")
    screen.begins("kept running")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        pass


def _write(file: Path, content: object) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.replace(file)
