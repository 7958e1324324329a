"""The operations of single steps. Each maker takes where to go on (`to`) and gives a closure over a frame.

Those that open a step count it; those that jump backwards give the machine a chance to pause.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from pointsman_local.workflows.errors import Raised, type_error
from pointsman_local.workflows.formulas import Getter
from pointsman_local.workflows.machine import BLOCK, DONE, SWITCH, Run
from pointsman_local.workflows.state import Frame, Op, Unit, Wait
from pointsman_local.workflows.values import Value, python_name

__all__ = [
    "Begin",
    "Setter",
    "assign",
    "await_callback",
    "begin",
    "branch",
    "call",
    "compute",
    "goto",
    "raise_value",
    "return_value",
    "step",
    "store",
    "test",
]

Setter: TypeAlias = Callable[[Frame, Any], None]
Begin: TypeAlias = Callable[[Run, list[Value]], Wait | None]
LIGHT: Final = (int, bool, float, type(None))


def goto(to: int) -> Op:
    """A jump, which may lead backwards."""

    def op(f: Frame) -> int:
        run = f.run
        return to if run.steps < run.pause_at else run.pause(f, to)

    return op


def step(to: int) -> Op:
    """A step that does nothing but lead on."""

    def op(f: Frame) -> int:
        f.run.steps += 1
        return to

    return op


def assign(slot: int, value: Getter, first: bool, to: int) -> Op:
    """The most frequent of all: a variable of the frame itself."""

    def op(f: Frame) -> int:
        run = f.run
        if first:
            run.steps += 1
        else:
            run.extra_assignments += 1
        new = value(f)
        if type(new) not in LIGHT:
            run.charge(new)
        f.vars[slot] = new
        return to

    return op


def compute(value: Getter, put: Setter, first: bool | None, to: int) -> Op:
    """Any other assignment; `first` is None where it is none that the source names."""

    def op(f: Frame) -> int:
        run = f.run
        if first:
            run.steps += 1
        elif first is False:
            run.extra_assignments += 1
        new = value(f)
        if type(new) not in LIGHT:
            run.charge(new)
        put(f, new)
        return to

    return op


def store(put: Setter | None, to: int) -> Op:
    """The result of a call."""

    def op(f: Frame) -> int:
        value, f.value = f.value, None
        if put is not None:
            if type(value) not in LIGHT:
                f.run.charge(value)
            put(f, value)
        return to

    return op


def test(condition: Getter, counted: bool, yes: int, no: int) -> Op:
    """One condition of a switch."""

    def op(f: Frame) -> int:
        if counted:
            f.run.steps += 1
        answer = condition(f)
        if answer is True:
            return yes
        if answer is False:
            return no
        raise type_error(f"condition must be a boolean, not '{python_name(answer)}'")

    return op


def branch(slot: int, stop_at: bool, stop: int, to: int) -> Op:
    """Of `and` and `or` whose right side has to be called: go on unless the left side decides."""

    def op(f: Frame) -> int:
        return stop if f.vars[slot] is stop_at else to

    return op


def return_value(value: Getter, counted: bool) -> Op:
    def op(f: Frame) -> int:
        if counted:
            f.run.steps += 1
        result = value(f)
        thread = f.thread
        if thread.parent is None and len(thread.frames) == 1:
            f.run.measure()
        thread.frames.pop()
        if thread.frames:
            thread.frames[-1].value = result
            return SWITCH
        thread.result = result
        return DONE

    return op


def raise_value(value: Getter) -> Op:
    def op(f: Frame) -> int:
        f.run.steps += 1
        error = value(f)
        if not isinstance(error, str | dict):
            raise type_error(f"an error must be a string or a map, not '{python_name(error)}'")
        raise Raised(error)

    return op


def call(unit: Unit, getters: Sequence[Getter], to: int) -> Op:
    """Of a subworkflow; its result is the frame's value at `to`."""

    def op(f: Frame) -> int:
        run = f.run
        run.steps += 1
        f.pc = to
        return run.call(f, unit, [getter(f) for getter in getters])

    return op


def begin(start: Begin, getters: Sequence[Getter], to: int) -> Op:
    """Of a function that waits; its result is the frame's value at `to`."""

    def op(f: Frame) -> int:
        run = f.run
        run.steps += 1
        run.keep_limit()
        wait = start(run, [getter(f) for getter in getters])
        if wait is None:
            return to
        f.pc = to
        return run.block(f.thread, wait)

    return op


def await_callback(getters: Sequence[Getter], to: int) -> Op:
    def op(f: Frame) -> int:
        f.run.steps += 1
        f.pc = to
        callback, timeout = (getter(f) for getter in getters)
        return to if f.run.await_callback(f.thread, callback, timeout) == 0 else BLOCK

    return op
