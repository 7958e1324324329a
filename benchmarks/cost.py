"""What one rollout costs, counted: the workflow's own file on the local executor, the step function behind it, virtual
time. Counts are exact but for two that only a cloud can tell, which are said; prices are the lists' (`prices.py`)."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.handlers.rollout_cloud import NAME, PLATFORM, SERVICE, Cloud
from tests.workflows.test_rollout_workflows import Deployed

from benchmarks.row import Row
from pointsman.adapters.logs import Lines
from pointsman.adapters.narrated import NarratedLedger, NarratedWorkflows
from pointsman.core.records import Record
from pointsman.documents import load
from pointsman.documents.effective import EffectiveService, effective
from pointsman.handlers.rollout_step import Steps
from pointsman.ports import Ledger, Saved, Write
from pointsman_cli.bootstrap.costs import Line, idle, total
from pointsman_cli.bootstrap.estate import estate, sources

__all__ = ["Counted", "Rollout", "counted", "rows"]

TICKS = 160
STEPS_MAX, PRICE_MAX = 12, 0.03
"""Budgets: billed steps a tick, and dollars a rollout."""

CALL_S, CPU, GIB = 0.4, 1.0, 0.5
"""Not counted here: how long a call lasts, for an instance of 512 MiB, by the time that its clients' calls take."""
SERIES = 60
"""Not counted here: time series that are returned a tick, for two revisions with a few pods each."""
KEPT = ("jobs", "images", "objects", "documents")
BAKE_S, STEP_S = 97, 28
"""Long enough for so many ticks of the lab's gateway, whose shortest window is two seconds."""


@dataclass
class Counted:
    """What one rollout took."""

    ticks: int = 0
    billed_steps: int = 0
    calls: int = 0
    reads: int = 0
    writes: int = 0
    messages: int = 0
    judged: int = 0
    log_bytes: int = 0

    def lines(self) -> Sequence[Line]:
        seconds = self.calls * CALL_S
        return (
            Line("steps", self.billed_steps),
            Line("cpu", seconds * CPU),
            Line("memory", seconds * GIB),
            Line("requests", self.calls),
            Line("reads", self.reads),
            Line("writes", self.writes),
            Line("messages", self.messages),
            Line("series", self.judged * SERIES),
            Line("logs", self.log_bytes / 2**30),
        )


class Counting:
    """A ledger as Firestore bills it: a document read or written is one; a query without an answer is one, too."""

    def __init__(self, ledger: Ledger, counted: Counted) -> None:
        self._ledger = ledger
        self._counted = counted

    def read(self, kind: Any, key: str) -> Any:
        self._counted.reads += 1
        return self._ledger.read(kind, key)

    def save(self, writes: Sequence[Write], unchanged: Sequence[Saved[Any]] = ()) -> None:
        # The transaction reads what it compares before it writes.
        self._counted.reads += len(writes) + len(unchanged)
        self._counted.writes += len(writes)
        self._ledger.save(writes, unchanged)

    def find(self, kind: Any, where: Mapping[str, str] | None = None, limit: int = 100) -> Any:
        found = self._ledger.find(kind, where, limit)
        self._counted.reads += max(1, len(found))
        return found

    def delete(self, saved: Saved[Record]) -> None:
        self._counted.writes += 1
        self._ledger.delete(saved)


@dataclass
class Rollout(Cloud):
    """A cloud whose step function is wired as `main` wires it, and counted."""

    taken: Counted = field(default_factory=Counted)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.log = Lines(lambda: "lab", lambda: self.now)

    @property
    def steps(self) -> Steps:
        wired = super().steps
        ledger = NarratedLedger(Counting(self.ledger, self.taken), self.log)
        workflows = NarratedWorkflows(self.workflows, self.log)
        return Steps(ledger, workflows, wired.bus, wired.cluster, wired.metrics, wired.probe)


def counted() -> Counted:
    """A rollout of about `TICKS` ticks, promoted."""
    cloud = Rollout()
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        cloud.execute(cloud.push(_service("v1"), "c1").id).run()
        log.truncate(log.seek(0))
        cloud.taken, before, reads = Counted(), len(cloud.bus.on("notices")), len(cloud.world.calls)
        rollout = cloud.push(_service("v2"), "c2")
        ended = Deployed(cloud, rollout.id).go()
    assert ended.result["state"] == "promoted", ended.result
    taken = cloud.taken
    taken.ticks = ended.verbs.count("advance")
    taken.billed_steps, taken.calls = ended.run.billed_steps, len(ended.verbs)
    taken.messages = len(cloud.bus.on("notices")) - before
    taken.judged = cloud.world.calls[reads:].count("metrics.pods")
    taken.log_bytes = len(log.getvalue().encode())
    return taken


def _service(version: str) -> EffectiveService:
    """The lab's service with a policy of so many ticks."""
    platform = PLATFORM.replace("hold: 6s", f"hold: {STEP_S}s").replace("duration: 8s", f"duration: {BAKE_S}s")
    text = SERVICE.replace("VERSION", version).replace("REPLICAS", "1").replace("  MORE\n", "")
    config = load({"platform.yaml": platform.encode(), "teams/demo/digits.yaml": text.encode()}).config
    assert config is not None
    return effective(config, project="lab")[NAME]


def rows() -> Iterator[Row]:
    taken = counted()
    price, steps = total(taken.lines()), taken.billed_steps / taken.ticks
    yield Row(
        f"rollout of {taken.ticks} ticks: billed steps",
        f"{taken.billed_steps:,}: {steps:.1f} a tick",
        f"budget {STEPS_MAX} a tick",
        f"{steps / STEPS_MAX:.2f} x",
    )
    yield Row(
        "the same: calls, ledger, log",
        f"{taken.calls} calls, {taken.reads:,} reads, {taken.writes} writes, {taken.log_bytes / 1024:,.0f} KiB of log",
    )
    yield Row(
        "the same: price at list",
        f"${price:.4f}",
        f"budget ${PRICE_MAX:.2f}; {_largest(taken.lines())}",
        f"{price / PRICE_MAX:.2f} x",
    )
    nothing = idle(estate(sources()))
    kept = [line for line in nothing if line.price in KEPT]
    works = [line for line in nothing if line.price not in KEPT]
    yield Row(
        "idle month, after what is free",
        f"${total(works, free=True):.2f}, storage and the scheduler job ${total(kept, free=True):.2f}",
        f"at list ${total(works):.2f} and ${total(kept):.2f}",
    )


def _largest(lines: Sequence[Line]) -> str:
    """The three that cost most."""
    costly = sorted(lines, key=lambda line: -line.usd())[:3]
    return ", ".join(f"{line.price} ${line.usd():.4f}" for line in costly)
