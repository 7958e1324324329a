"""From the tree of steps to the machine's code, with every name looked up: what a deployment checks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from pointsman_local.workflows import instructions as do
from pointsman_local.workflows import loops, recovery
from pointsman_local.workflows.calls import STARTS, connector
from pointsman_local.workflows.emitting import NEXT, Code, Label
from pointsman_local.workflows.errors import Place, Refused
from pointsman_local.workflows.evaluation import Evaluation, put, put_within
from pointsman_local.workflows.formulas import Getter, applied, arguments_of
from pointsman_local.workflows.scopes import Scope, Scopes, declare, undefined
from pointsman_local.workflows.state import Program, Unit
from pointsman_local.workflows.stdlib.catalogue import FUNCTIONS, is_connector
from pointsman_local.workflows.steps import (
    Action,
    Assign,
    Branch,
    CallStep,
    For,
    Nested,
    Nothing,
    Parallel,
    Raise,
    Retry,
    Return,
    Step,
    Switch,
    Target,
    Template,
    Try,
)
from pointsman_local.workflows.syntax import read

__all__ = ["deploy"]

SPECIAL: Final = ("end", "break", "continue")


def deploy(text: str) -> Program:
    """Compile a source. Raises Refused with what the service would say."""
    routines = read(text)
    units = {name: Unit(name, name) for name in routines}
    branches: dict[str, Unit] = {}
    for routine in routines.values():
        scopes = declare(routine)
        here = Evaluation(Code(units[routine.name]), scopes.routine, "", routines, units)
        _Emitter(here, scopes, branches).unit(routine.steps, Block({}), routine.place)
    return Program({**units, **branches}, takes_argument=bool(routines["main"].parameters))


@dataclass(frozen=True, slots=True)
class Block:
    """Where jumps may go: the steps of one list, and of those around it; out of a loop, and on with it."""

    labels: dict[str, Label]
    outer: "Block | None" = None
    end: Label | None = None
    again: Label | None = None
    of_loop: bool = False
    parallel: bool = False

    def target(self, name: str) -> Label | None:
        block: Block | None = self
        while block is not None and name not in block.labels:
            block = block.outer
        return None if block is None else block.labels[name]

    def loop(self) -> "Block | None":
        block: Block | None = self
        while block is not None and not block.of_loop:
            block = block.outer
        return block


class _Emitter:
    """Writes one unit: a routine, or a branch of a parallel step."""

    def __init__(self, here: Evaluation, scopes: Scopes, branches: dict[str, Unit]) -> None:
        self._here = here
        self._code = here.code
        self._level = here.scope.frames.level
        self._scopes = scopes
        self._branches = branches

    def unit(self, steps: tuple[Step, ...], block: Block, place: Place) -> None:
        self._steps(steps, block)
        if block.end is not None:
            self._code.mark(block.end)
        self._add(place, do.return_value, lambda f: None, False)
        self._code.unit.slots = self._here.scope.frames.size
        self._code.finish()

    def _steps(self, steps: tuple[Step, ...], outer: Block, scope: Scope | None = None) -> None:
        """A list of steps, in `scope` where it opens one."""
        block = replace(outer, labels={step.name: Label() for step in steps}, outer=outer, of_loop=False)
        before, self._here.scope = self._here.scope, scope or self._here.scope
        for step in steps:
            self._code.mark(block.labels[step.name])
            self._within(step.name, step.action, step.next, block, step.place)
        self._here.scope = before

    def _within(
        self, name: str, action: Action, after: str | None, block: Block, place: Place, *, named: bool = True
    ) -> None:
        before, self._here.step = self._here.step, name
        self._action(action, block, place)
        if after is not None and not isinstance(action, Raise | Return):
            if named and isinstance(action, Nothing):
                self._add(place, do.step, NEXT)
            self._jump(after, block, place)
        self._here.step = before

    def _add(self, place: Place, make: Callable[..., Any], *arguments: Any) -> None:
        self._code.add(self._here.step, place, make, *arguments)

    def _refused(self, problem: str, place: Place) -> Refused:
        return Refused(problem, place, self._here.step)

    def _jump(self, to: str, block: Block, place: Place) -> None:
        label = block.target(to)
        if label is None and to == "end":
            self._add(place, do.return_value, lambda f: None, False)
            return
        if label is None and to in SPECIAL:
            loop = block.loop()
            if loop is None:
                raise self._refused(f"'next: {to}' is only allowed inside a for loop", place)
            if to == "break" and loop.parallel:
                raise self._refused("'next: break' is not allowed in a parallel loop", place)
            label = loop.end if to == "break" else loop.again
        if label is None:
            raise self._refused(f"next step '{to}' is not defined", place)
        self._add(place, do.goto, label)

    def _action(self, action: Action, block: Block, place: Place) -> None:
        match action:
            case Nothing():
                pass
            case Assign(entries):
                for number, (target, value) in enumerate(entries):
                    self._assign(target, value, first=number == 0)
            case CallStep():
                self._call(action)
            case Switch():
                self._switch(action, block)
            case For():
                self._for(action, block)
            case Parallel():
                self._parallel(action)
            case Raise(value):
                self._add(value.place, do.raise_value, self._here.value(value, "raised value"))
            case Return(value):
                self._add(value.place, do.return_value, self._here.value(value, "return value"), True)
            case Try():
                self._try(action, block)
            case Nested(steps):
                self._steps(steps, block)

    def _assign(self, target: Target, value: Template, *, first: bool) -> None:
        getter = self._here.value(value, "assigned value")
        variable = self._scopes.bound.get(target)
        if variable is not None and variable.level == self._level:
            self._add(value.place, do.assign, variable.slot, getter, first, NEXT)
        else:
            self._add(value.place, do.compute, getter, self._setter(target), first, NEXT)

    def _setter(self, target: Target) -> do.Setter:
        if not target.path:
            variable = self._scopes.bound[target]
            return put(variable.slot, self._level - variable.level)
        found = self._here.scope.writable(target.name, target.place, self._here.step)
        if found is None:
            raise self._refused(f"error evaluating assigned variable: {undefined(target.name)}", target.place)
        keys = [self._here.expression(key, target.place, "index of an assignment") for key in target.path]
        return put_within(found.slot, self._level - found.level, keys)

    def _switch(self, switch: Switch, block: Block) -> None:
        end = Label()
        for number, case in enumerate(switch.cases):
            body, otherwise = Label(), Label()
            condition = self._here.value(case.condition, "condition")
            self._add(case.place, do.test, condition, number == 0, body, otherwise)
            self._code.mark(body)
            self._within(self._here.step, case.action, case.next, block, case.place, named=False)
            self._code.jump(end, self._here.step, case.place)
            self._code.mark(otherwise)
        self._code.mark(end)

    def _for(self, loop: For, block: Block) -> None:
        scope = self._scopes.inner[loop]
        state = (self._here.slot(), self._here.slot())
        value, index = scope.variables[loop.value].slot, scope.variables[loop.index].slot if loop.index else None
        own = [variable.slot for name, variable in scope.variables.items() if name not in scope.loops]
        head, body, end = Label(), Label(), Label()
        source = self._source(loop)
        self._add(loop.place, loops.over_range if loop.ranged else loops.over_list, source, state, NEXT)
        self._code.mark(head)
        step = loops.next_number if loop.ranged else loops.next_item
        self._add(loop.place, step, state, value, index, own, body, end)
        self._code.mark(body)
        inside = Block({}, outer=block, end=end, again=head, of_loop=True)
        self._steps(loop.steps, inside, scope)
        self._code.jump(head, self._here.step, loop.place)
        self._code.mark(end)

    def _source(self, loop: For) -> Getter:
        return self._here.value(loop.source, "range" if loop.ranged else "list of a for loop")

    def _parallel(self, action: Parallel) -> None:
        """Each branch is a unit of its own; all iterations are one."""
        limit = None if action.limit is None else self._here.value(action.limit, "concurrency limit")
        source: Getter | None = None
        ranged = False
        slots: list[int] = []
        if action.loop is not None:
            loop, scope = action.loop, self._scopes.inner[action.loop]
            source, ranged = self._source(loop), loop.ranged
            slots = [scope.variables[name].slot for name in (loop.value, loop.index) if name is not None]
            units = [self._branch(loop, "iteration", loop.steps)]
        else:
            units = [self._branch(branch, branch.name, branch.steps) for branch in action.branches]
        self._add(action.place, loops.fork, units, source, ranged, limit, slots, NEXT)
        self._add(action.place, loops.join, NEXT)

    def _branch(self, node: For | Branch, name: str, steps: tuple[Step, ...]) -> str:
        routine = self._code.unit.routine
        unit = Unit(f"{routine}/{len(self._branches)}/{name}", routine)
        self._branches[unit.name] = unit
        here = replace(self._here, code=Code(unit), scope=self._scopes.inner[node])
        end = Label()
        block = Block({}, end=end, again=end, of_loop=isinstance(node, For), parallel=True)
        _Emitter(here, self._scopes, self._branches).unit(steps, block, node.place)
        return unit.name

    def _call(self, call: CallStep) -> None:
        name = call.function
        function = FUNCTIONS.get(name)
        setter = None if call.result is None else self._setter(call.result)
        given = self._given(call)
        if name in self._here.routines:
            self._here.subworkflow(name, given, call.place)
        elif function is not None:
            getters = arguments_of(function, given, lambda problem: self._refused(problem, call.place))
            if not function.step_only:
                self._add(call.place, do.compute, applied(function, getters), setter or _nowhere, True, NEXT)
                return
            if name == "events.await_callback":
                self._add(call.place, do.await_callback, getters, NEXT)
            else:
                start = STARTS.get(name) or connector(name, [*function.parameters])
                self._add(call.place, do.begin, start, getters, NEXT)
        elif is_connector(name):
            if isinstance(given, list):
                raise self._refused("arguments of a connector must be named", call.place)
            self._add(call.place, do.begin, connector(name, [*given]), [*given.values()], NEXT)
        else:
            raise self._refused(undefined(name), call.place)
        self._add(call.place, do.store, setter, NEXT)

    def _given(self, call: CallStep) -> list[Getter] | dict[str, Getter]:
        if isinstance(call.arguments, tuple):
            return [self._here.value(argument, "call argument") for argument in call.arguments]
        return {name: self._here.value(value, f"argument '{name}'") for name, value in call.arguments.items()}

    def _try(self, action: Try, block: Block) -> None:
        error, count = self._here.slot(), self._here.slot()
        first, last, handler, end = Label(), Label(), Label(), Label()
        self._add(action.place, recovery.attempt, count, NEXT)
        self._code.mark(first)
        self._within(self._here.step, action.action, action.next, block, action.place)
        self._code.jump(end, self._here.step, action.place)
        self._code.mark(last)
        self._code.region(first, last, last)
        self._add(action.place, recovery.catch, error, NEXT)
        if action.retry is not None:
            self._retry(action.retry, error, count, first, handler)
        self._code.mark(handler)
        if action.handler is None:
            self._add(action.place, recovery.rethrow, error)
        else:
            scope = self._scopes.inner[action.handler]
            name, place = action.handler.variable, action.handler.place
            variable = scope.variables[name].slot if name is not None else None
            own = [known.slot for key, known in scope.variables.items() if key != name]
            self._add(place, recovery.enter, error, variable, own, NEXT)
            before, self._here.scope = self._here.scope, scope
            self._within(self._here.step, action.handler.action, action.handler.next, block, place)
            self._here.scope = before
        self._code.mark(end)

    def _retry(self, retry: Retry, error: int, count: int, again: Label, give_up: Label) -> None:
        parts = (retry.policy, retry.predicate, retry.max_retries, retry.backoff)
        getters = [None if part is None else self._here.value(part, "retry policy") for part in parts]
        policy = recovery.Policy(*getters)
        self._add(retry.place, recovery.ask, policy, self._here.units, error, count, NEXT, give_up)
        self._add(retry.place, recovery.decide, policy, count, again, give_up)


def _nowhere(f: Any, value: Any) -> None:
    """A result that nobody wants."""
