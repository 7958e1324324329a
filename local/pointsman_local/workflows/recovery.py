"""try, retry, except: the error, as plain data, and the number of retries lie in slots of the frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pointsman_local.workflows.errors import Place, Raised, Trace, type_error
from pointsman_local.workflows.formulas import Getter
from pointsman_local.workflows.state import UNSET, Frame, Op, Unit
from pointsman_local.workflows.stdlib.catalogue import CONSTANTS, FUNCTIONS
from pointsman_local.workflows.values import FunctionRef, Value, python_name

__all__ = ["Policy", "ask", "attempt", "catch", "decide", "enter", "rethrow"]

ALWAYS: Final = FunctionRef("retry.always")
RETRIES: Final = 5  # as the built-in policies have it


@dataclass(frozen=True, slots=True)
class Policy:
    """When to try again: a whole policy, or its parts. What is left out is as in the built-in policies."""

    whole: Getter | None
    predicate: Getter | None
    max_retries: Getter | None
    backoff: Getter | None

    def asked(self, f: Frame) -> tuple[Value, Value]:
        """Predicate and number of retries."""
        if self.whole is not None:
            policy = _map(self.whole(f))
            return policy.get("predicate", ALWAYS), policy.get("max_retries", RETRIES)
        predicate = ALWAYS if self.predicate is None else self.predicate(f)
        return predicate, RETRIES if self.max_retries is None else self.max_retries(f)

    def delays(self, f: Frame) -> list[Value]:
        """First delay, longest delay, factor."""
        given: Value = None
        if self.whole is not None:
            given = _map(self.whole(f)).get("backoff")
        elif self.backoff is not None:
            given = self.backoff(f)
        delays = {**_map(CONSTANTS["retry.default_backoff"]), **({} if given is None else _map(given))}
        return [delays["initial_delay"], delays["max_delay"], delays["multiplier"]]


def _map(value: Value) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    raise type_error(f"retry: a policy must be a map, not '{python_name(value)}'")


def attempt(slot: int, to: int) -> Op:
    def op(f: Frame) -> int:
        f.run.steps += 1
        f.vars[slot] = 0
        return to

    return op


def catch(slot: int, to: int) -> Op:
    """Where an error of the try block arrives; kept as plain data, since a retry may outlive the process."""

    def op(f: Frame) -> int:
        error, f.value = f.value, None
        f.vars[slot] = [
            error.value,
            error.text,
            [[at.step, at.routine, at.place.line, at.place.column, at.place.length] for at in error.trace],
        ]
        return to

    return op


def rethrow(slot: int) -> Op:
    def op(f: Frame) -> int:
        value, text, trace = f.vars[slot]
        error = Raised(value, message=text)
        error.trace = [Trace(name, routine, Place(*place)) for name, routine, *place in trace]
        error.passing = True
        raise error

    return op


def enter(error: int, variable: int | None, locals_: Sequence[int], to: int) -> Op:
    def op(f: Frame) -> int:
        for slot in locals_:
            f.vars[slot] = UNSET
        if variable is not None:
            f.vars[variable] = f.vars[error][0]
        f.vars[error] = UNSET
        return to

    return op


def ask(
    policy: Policy,
    units: Mapping[str, Unit],
    error: int,
    count: int,
    to: int,
    give_up: int,
) -> Op:
    """Ask the predicate whether to try again; its answer is the frame's value at `to`."""

    def op(f: Frame) -> int:
        predicate, most = policy.asked(f)
        if type(most) is not int:
            raise type_error(f"max_retries must be an integer, not '{python_name(most)}'")
        if f.vars[count] >= most:
            return give_up
        if not isinstance(predicate, FunctionRef):
            raise type_error(f"retry: predicate must be a function, not '{python_name(predicate)}'")
        value = f.vars[error][0]
        unit = units.get(predicate.name)
        if unit is not None:
            f.pc = to
            return f.run.call(f, unit, [value])
        function = FUNCTIONS.get(predicate.name)
        if function is None or function.apply is None or len(function.parameters) != 1:
            raise type_error(f"retry: {predicate.name} cannot be a predicate")
        f.value = function.apply(value)
        return to

    return op


def decide(policy: Policy, count: int, again: int, give_up: int) -> Op:
    """After the predicate: wait and run the try block again, or give up."""

    def op(f: Frame) -> int:
        answer, f.value = f.value, None
        if answer is False or answer is None:
            return give_up
        if answer is not True:
            raise type_error(f"a retry predicate must answer a boolean, not '{python_name(answer)}'")
        numbers: list[int | float] = []
        for part in policy.delays(f):
            if type(part) is not int and type(part) is not float:
                raise type_error(f"retry: backoff must consist of numbers, not '{python_name(part)}'")
            numbers.append(part)
        initial, most, factor = numbers
        done = f.vars[count]
        f.vars[count] = done + 1
        try:
            delay = min(initial * float(factor) ** done, most)
        except OverflowError:
            delay = most
        f.pc = again
        run = f.run
        if delay <= 0:
            return again if run.steps < run.pause_at else run.pause(f, again)
        return run.block(f.thread, {"kind": "sleep", "until": run.clock() + delay})

    return op
