"""The demo as it is told in a terminal: a line a story, and under it what happens now."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pointsman.core.records import RolloutRecord
from pointsman_cli.demo.load import Load
from pointsman_cli.demo.outcome import Outcome, Result
from pointsman_cli.output import state_text

__all__ = ["Now", "Screen"]

BAR = 24
Now = Callable[[], tuple[RolloutRecord | None, Load | None]]


class Screen:
    """Prints what has happened for good, and redraws what is happening eight times a second on a terminal."""

    def __init__(self, console: Console, now: Now) -> None:
        self._console = console
        self._now = now
        self._title: str | None = None
        self._begun = time.monotonic()
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=8, transient=True)

    def __enter__(self) -> "Screen":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._title = None
        if self._live.is_started:
            self._live.stop()

    def begins(self, title: str) -> None:
        """Something begins, and is shown until it ends."""
        self._title, self._begun = title, time.monotonic()
        if not self._live.is_started:
            self._console.print(f"… {title}", highlight=False)

    def ends(self, outcome: Outcome) -> None:
        """A story has ended."""
        mark = Text("✓", "green") if outcome.ok else Text("✗", "bold red")
        line = Text.assemble(mark, f" {outcome.title} ", (f"{outcome.seconds:.0f} s", "bright_black"))
        self._console.print(line)
        self._console.print(Text(f"  {outcome.reason}", "bright_black"))

    def says(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)  # a command that is wrapped cannot be pasted

    def _draw(self) -> RenderableType:
        if self._title is None:
            return Text()
        rollout, load = self._now()
        seconds = time.monotonic() - self._begun
        rows: list[RenderableType] = [Spinner("dots", Text(f"{self._title}  {seconds:.0f} s", "bold"))]
        if rollout is not None and rollout.ended == "no":
            rows.append(_rollout(rollout))
        if load is not None:
            rows.append(_traffic(load))
        return Group(*rows)


def _rollout(rollout: RolloutRecord) -> Text:
    share = rollout.want / rollout.weight_total
    filled = round(share * BAR)
    return Text.assemble(
        ("  " + "█" * filled, "green"),
        ("░" * (BAR - filled), "bright_black"),
        f" {100 * share:3.0f} %  {state_text(rollout.state, rollout.step, rollout.reason)}",
        (f"  {(rollout.verdict or {}).get('reason', '')}", "bright_black"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _traffic(load: Load) -> Text:
    window = load.recent(2.0)
    versions: dict[str, int] = {}
    for request in window.requests:
        versions[request.version] = versions.get(request.version, 0) + 1
    shares = "  ".join(f"{name} {count / 2:.0f}/s" for name, count in sorted(versions.items()))
    return Text.assemble(
        ("  traffic  ", "bright_black"),
        shares or "none yet",
        (f"  failed {window.failed}", "red" if window.failed else ""),
    )


def table(result: Result) -> Table:
    """What the demo ends with."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    found.add_column("")
    found.add_column("STORY")
    for heading in ("SECONDS", "REQUESTS", "FAILED", "BAD", "TO CANARY"):
        found.add_column(heading, justify="right")
    found.add_column("VERDICT")
    for outcome in result.outcomes:
        found.add_row(
            Text("✓", "green") if outcome.ok else Text("✗", "bold red"),
            outcome.name,
            f"{outcome.seconds:.0f}",
            f"{outcome.requests:,}",
            f"{outcome.failed_requests:,}",
            f"{outcome.bad_requests_seen:,}",
            f"{outcome.highest_canary_weight:g} %",
            outcome.verdict,
        )
    return found


def summary(result: Result, ready_s: float) -> Sequence[str]:
    """The lines under the table."""
    checks = [check for outcome in result.outcomes for check in outcome.weights]
    agreeing = sum(check.within_binomial_99_9 for check in checks)
    return (
        "failed: no good answer; bad: failed, or slow; to canary: its highest share; verdict: the judge's last",
        f"weights that Envoy counted agree with the decision log in {agreeing} of {len(checks)} steps",
        f"events sent {result.sent}, in the ledger exactly once {result.recorded_once}",
        f"local cloud ready in {ready_s:.1f} s, peak memory of everything {result.peak_memory_mib:,.0f} MiB",
    )
