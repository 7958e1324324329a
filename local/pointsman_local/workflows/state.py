"""What an execution consists of, as plain data: threads of frames, and what they wait for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pointsman_local.workflows.errors import Place, Raised

if TYPE_CHECKING:
    from pointsman_local.workflows.machine import Run

__all__ = ["UNSET", "Callback", "Fork", "Frame", "Op", "Outcome", "Program", "Thread", "Unit", "Unset", "Wait"]


class Unset:
    """What a variable holds before its first assignment."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()

Op: TypeAlias = "Callable[[Frame], int]"
Wait: TypeAlias = dict[str, Any]


@dataclass(slots=True, eq=False)
class Unit:
    """The code of a routine or a parallel branch. `regions` are its try blocks, inner ones first: from, to, handler."""

    name: str
    routine: str
    slots: int = 0
    ops: list[Op] = field(default_factory=list)
    at: list[tuple[str, Place]] = field(default_factory=list)
    regions: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A deployed workflow: its code by unit, and whether `main` takes the execution's argument."""

    units: Mapping[str, Unit]
    takes_argument: bool


class Frame:
    """One call in progress. `up` is the frame that a parallel branch was forked from."""

    __slots__ = ("pc", "run", "thread", "unit", "up", "value", "vars")

    def __init__(self, run: "Run", thread: "Thread", unit: Unit, up: "Frame | None" = None) -> None:
        self.run = run
        self.thread = thread
        self.unit = unit
        self.up = up
        self.pc = 0
        self.vars: list[Any] = [UNSET] * unit.slots
        self.value: Any = None


@dataclass(slots=True)
class Fork:
    """A parallel step in progress."""

    units: list[str]
    """One unit a branch, or the one of all iterations."""
    items: list[Any] | None
    """What a parallel loop goes through; None of branches."""
    first: int | float | None
    """Where a ranged loop starts; None of lists and branches."""
    count: int
    limit: int
    slots: list[int]
    """Slots of the loop's value and index."""
    started: int = 0
    running: int = 0
    failed: int = 0
    errors: list[Any] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Thread:
    """`calls` counts the frames below it, `depth` the parallel steps around it; `ticket` names one wait."""

    id: int
    parent: int | None
    branch: str
    depth: int
    calls: int
    frames: list[Frame] = field(default_factory=list)
    wait: Wait | None = None
    ticket: int = 0
    fork: Fork | None = None
    error: Raised | None = None
    result: Any = None


@dataclass(slots=True)
class Callback:
    """An endpoint; `payload` is the request that came before anybody waited."""

    method: str
    payload: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended: a result, as JSON text, or an error."""

    result: str | None
    error: Raised | None
