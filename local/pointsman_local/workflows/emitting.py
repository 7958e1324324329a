"""Drafts of operations, before they know where they lie.

The compiler writes drafts one after the other and marks places with labels; `finish` turns labels into indices.
`NEXT` is the operation after a draft. A jump between drafts costs nothing at run time: whoever led to it is made
to lead to its target.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pointsman_local.workflows.errors import Place
from pointsman_local.workflows.state import Op, Unit

__all__ = ["NEXT", "Code", "Label"]


@dataclass(slots=True, eq=False)
class Label:
    """A place in the code; `at` is known once it was passed."""

    at: int = -1


class Next:
    """The operation that follows."""


NEXT: Final = Next()


@dataclass(frozen=True, slots=True)
class Draft:
    make: Callable[..., Op] | None
    """None: a jump to the one label in `arguments`."""
    arguments: tuple[Any, ...]
    step: str
    place: Place


class Code:
    """The drafts of one unit."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self._drafts: list[Draft] = []
        self._regions: list[tuple[Label, Label, Label]] = []

    def add(self, step: str, place: Place, make: Callable[..., Op], *arguments: Any) -> None:
        """One operation: `make(*arguments)`, with labels and NEXT among the arguments made indices."""
        self._drafts.append(Draft(make, arguments, step, place))

    def jump(self, label: Label, step: str, place: Place) -> None:
        self._drafts.append(Draft(None, (label,), step, place))

    def mark(self, label: Label) -> None:
        label.at = len(self._drafts)

    def region(self, first: Label, last: Label, handler: Label) -> None:
        """Errors from `first` up to `last` go to `handler`. Inner regions must be given before outer ones."""
        self._regions.append((first, last, handler))

    def finish(self) -> None:
        for at, draft in enumerate(self._drafts):
            make = draft.make
            if make is None:
                target = self._through(at)
                make, arguments = _jump, (target,)
            else:
                arguments = tuple(self._index(argument, at) for argument in draft.arguments)
            self.unit.ops.append(make(*arguments))
            self.unit.at.append((draft.step, draft.place))
        self.unit.regions.extend((first.at, last.at, handler.at) for first, last, handler in self._regions)

    def _index(self, argument: Any, at: int) -> Any:
        if argument is NEXT:
            return self._through(at + 1)
        if isinstance(argument, Label):
            return self._through(argument.at)
        return argument

    def _through(self, at: int) -> int:
        """Where one arrives that leads to `at`: jumps are followed."""
        for _ in self._drafts:
            draft = self._drafts[at]
            if draft.make is not None:
                return at
            at = draft.arguments[0].at
        return at


def _jump(to: int) -> Op:
    return lambda f: to
