"""The demo's reports: a file for each story with a rollout, and a page that leads to them."""

import re
from io import StringIO
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from tests.cli.courses import Answered, judged, ticks
from tests.cli.ledger_samples import decision, plan, rollout

from pointsman.core.judge import JudgePolicy
from pointsman.core.judge.recording_lines import kept
from pointsman.core.records import DecisionRecord, RolloutRecord
from pointsman_cli.demo.outcome import Outcome
from pointsman_cli.demo.reports import write_reports
from pointsman_cli.demo.screen import Screen
from pointsman_cli.demo.stage import Stage

POLICY = {"warmup": "0s"}
PASTED = 'in another terminal: eval "$(pointsman local env --data /tmp/pointsman-demo-agpnutu1)"'


class Told:
    """What a stage is asked for a report: a rollout and its decisions."""

    def read(self, name: str) -> RolloutRecord:
        return rollout(name, "rolled_back", planned=plan(judge=POLICY))

    def decisions(self, name: str) -> list[DecisionRecord]:
        answered = [Answered()] * 2 + [Answered(canary=((50, 6),))] * 3
        found = judged(ticks(answered), JudgePolicy.of(POLICY))
        return [
            decision(name, number, "stepping", after={"verdict": verdict.as_json()}, inputs={"tick": kept(tick)})
            for number, (tick, verdict) in enumerate(found, start=1)
        ]


def outcome(name: str, **fields: Any) -> Outcome:
    known: dict[str, Any] = {"seconds": 1.0, "requests": 1, "failed_requests": 0, "bad_requests_seen": 0}
    known |= {"name": name, "title": f"the {name}", "ok": True, "highest_canary_weight": 5, "verdict": "roll_back"}
    return Outcome(**{**known, "reason": "1 < 2", **fields})


def test_every_story_with_a_rollout_has_a_report_and_the_index_leads_to_it(tmp_path: Path) -> None:
    told = [outcome("failing-version", rollout="aaaa1111"), outcome("load-rise")]
    assert write_reports(cast("Stage", Told()), told, tmp_path / "reports") == 1
    assert sorted(file.name for file in (tmp_path / "reports").iterdir()) == ["failing-version.html", "index.html"]
    index = (tmp_path / "reports" / "index.html").read_text()
    (story,) = index.split("<section")[1:]
    assert re.findall(r'<a href="([^"]+)">([^<]+)</a>', story) == [("failing-version.html", "the failing-version")]
    assert "1 &lt; 2" in story
    assert re.findall(r'class="badge (\w+)">([^<]+)<', story) == [("roll_back", "rolled back")]
    assert "was rolled back: its 5xx is worse" in (tmp_path / "reports" / "failing-version.html").read_text()


def test_a_command_that_can_be_pasted_is_in_one_line_however_narrow_the_terminal_is() -> None:
    told = StringIO()
    Screen(Console(file=told, width=40), lambda: (None, None)).says(PASTED)
    assert told.getvalue() == f"{PASTED}\n"


def test_a_story_that_there_is_none_of_is_refused_before_anything_begins(pointsman: Any) -> None:
    ran = pointsman("demo", "--only", "bz9")
    assert (ran.status, ran.out) == (2, "")
    assert "invalid value for --only: there is no story 9, z; those there are: abcdefghi" in ran.err
