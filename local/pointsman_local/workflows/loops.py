"""Loops and parallel steps.

A loop's list, or both ends of its range, and the number of the next iteration lie in slots of the frame; a parallel
step's progress lies in its thread. So both survive a restart in the middle.
"""

from collections.abc import Sequence

from pointsman_local.workflows.errors import Raised, type_error, value_error
from pointsman_local.workflows.formulas import Getter
from pointsman_local.workflows.machine import CONCURRENT_MAX
from pointsman_local.workflows.state import UNSET, Fork, Frame, Op
from pointsman_local.workflows.values import Value, python_name

__all__ = ["fork", "join", "next_item", "next_number", "over_list", "over_range"]


def over_list(items: Getter, state: tuple[int, int], to: int) -> Op:
    held, at = state

    def op(f: Frame) -> int:
        f.run.steps += 1
        value = items(f)
        if not isinstance(value, list):
            raise type_error(f"for: 'in' must be a list, not '{python_name(value)}'")
        f.vars[held] = value
        f.vars[at] = 0
        return to

    return op


def ends_of(value: Value) -> tuple[int | float, int | float]:
    if not isinstance(value, list) or len(value) != 2:
        raise type_error("for: range must be a list of two numbers")
    first, last = value
    for end in value:
        if type(end) is not int and type(end) is not float:
            raise type_error(f"for: range must be a list of two numbers, not '{python_name(end)}'")
    return first, last


def over_range(ends: Getter, state: tuple[int, int], to: int) -> Op:
    held, at = state

    def op(f: Frame) -> int:
        f.run.steps += 1
        f.vars[held] = [*ends_of(ends(f))]
        f.vars[at] = 0
        return to

    return op


def next_item(state: tuple[int, int], value: int, index: int | None, locals_: Sequence[int], to: int, end: int) -> Op:
    """The head of every iteration, where variables of the one before are forgotten."""
    held, at = state

    def op(f: Frame) -> int:
        slots = f.vars
        number = slots[at]
        items = slots[held]
        if number >= len(items):
            slots[held] = UNSET
            return end
        slots[value] = items[number]
        slots[at] = number + 1
        if index is not None:
            slots[index] = number
        for slot in locals_:
            slots[slot] = UNSET
        run = f.run
        return to if run.steps < run.pause_at else run.pause(f, to)

    return op


def next_number(state: tuple[int, int], value: int, index: int | None, locals_: Sequence[int], to: int, end: int) -> Op:
    held, at = state

    def op(f: Frame) -> int:
        slots = f.vars
        number = slots[at]
        first, last = slots[held]
        if first + number > last:
            return end
        slots[value] = first + number
        slots[at] = number + 1
        if index is not None:
            slots[index] = number
        for slot in locals_:
            slots[slot] = UNSET
        run = f.run
        return to if run.steps < run.pause_at else run.pause(f, to)

    return op


def fork(
    units: Sequence[str], source: Getter | None, ranged: bool, limit: Getter | None, slots: list[int], to: int
) -> Op:
    """Of a parallel step: over `source`, or one branch a unit."""

    def op(f: Frame) -> int:
        f.run.steps += 1
        f.pc = to
        most = CONCURRENT_MAX if limit is None else limit(f)
        if type(most) is not int:
            raise type_error(f"concurrency_limit must be an integer, not '{python_name(most)}'")
        if most < 1:
            raise value_error("concurrency_limit must be positive")
        items: list[Value] | None = None
        first: int | float | None = None
        count = len(units)
        if source is not None and ranged:
            first, last = ends_of(source(f))
            count = max(int(last - first) + 1, 0) if last >= first else 0
        elif source is not None:
            items = source(f)
            if not isinstance(items, list):
                raise type_error(f"for: 'in' must be a list, not '{python_name(items)}'")
            count = len(items)
        return f.run.fork(f.thread, Fork([*units], items, first, count, most, slots))

    return op


def join(to: int) -> Op:
    """Where all branches have ended. Raises UnhandledBranchError."""

    def op(f: Frame) -> int:
        done, f.thread.fork = f.thread.fork, None
        assert done is not None
        if not done.failed:
            return to
        raise Raised(
            {
                "tags": ["UnhandledBranchError", *(tag for tag in done.tags if tag != "UnhandledBranchError")],
                "message": "UnhandledBranchError: One or more branches or iterations encountered an unhandled "
                "runtime error",
                "branches": done.errors,
                "truncated": done.failed > len(done.errors),
            }
        )

    return op
