"""Which variable a name means ("Variables", Variable scope), and that no two steps of a routine share a name.

A routine is one scope; each `for` body, `except` block, parallel branch and parallel iteration is a scope within.
An assignment writes the variable of that name that was assigned before it in the text, in this scope or one
around it; if there is none it makes one in its own scope. A parallel branch may write a variable from outside only
if the step shares it. A read may also see what is assigned further down, since steps may jump back to it.
"""

from dataclasses import dataclass, field

from pointsman_local.workflows.errors import Place, Refused
from pointsman_local.workflows.steps import (
    Action,
    Assign,
    Branch,
    CallStep,
    Except,
    For,
    Nested,
    Parallel,
    Routine,
    Step,
    Switch,
    Target,
    Try,
)

__all__ = ["Scope", "Scopes", "Variable", "declare", "undefined"]


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A slot among a frame's variables. `level` counts the parallel branches around it in its routine."""

    slot: int
    level: int


@dataclass(slots=True, eq=False)
class Frames:
    """How many slots a frame needs so far."""

    level: int
    size: int = 0

    def slot(self) -> int:
        self.size += 1
        return self.size - 1


@dataclass(slots=True, eq=False)
class Scope:
    frames: Frames
    parent: "Scope | None" = None
    shared: frozenset[str] | None = None
    """Of a parallel branch: what it may write outside; None of any other scope."""
    variables: dict[str, Variable] = field(default_factory=dict)
    loops: dict[str, Place] = field(default_factory=dict)
    """Loop variables, which belong to the loop alone."""

    def find(self, name: str) -> Variable | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name]
            scope = scope.parent
        return None

    def writable(self, name: str, place: Place, step: str) -> Variable | None:
        """As `find`. Raises Refused where a branch may not write."""
        scope: Scope | None = self
        crossed: list[Scope] = []
        while scope is not None:
            if name in scope.variables:
                for branch in crossed:
                    if name not in (branch.shared or ()):
                        raise Refused(
                            f"variable '{name}' is assigned in a parallel branch but is not listed in 'shared'",
                            place,
                            step,
                        )
                return scope.variables[name]
            if scope.shared is not None:
                crossed.append(scope)
            scope = scope.parent
        return None

    def declare(self, name: str) -> Variable:
        variable = Variable(self.frames.slot(), self.frames.level)
        self.variables[name] = variable
        return variable


@dataclass(slots=True)
class Scopes:
    """What was found in one routine. The nodes of the tree are keys by identity."""

    routine: Scope
    inner: dict[For | Except | Branch, Scope] = field(default_factory=dict)
    bound: dict[Target, Variable] = field(default_factory=dict)
    """Whole variables that are assigned; paths into one are looked up like reads."""
    steps: set[str] = field(default_factory=set)
    """Names of steps, at whatever depth."""


def undefined(name: str) -> str:
    """The service's words ("Troubleshoot issues")."""
    return f"symbol '{name}' is neither a variable nor a sub-workflow name"


def declare(routine: Routine) -> Scopes:
    """Raises Refused: a step's name used twice, writes to what is not shared, loop variables used twice."""
    top = Scope(Frames(level=0))
    for parameter in routine.parameters:
        top.declare(parameter.name)
    scopes = Scopes(top)
    _steps(routine.steps, top, scopes)
    return scopes


def _steps(steps: tuple[Step, ...], scope: Scope, scopes: Scopes) -> None:
    for step in steps:
        if step.name in scopes.steps:  # "must be unique at the subworkflow level" ("Steps", Step names)
            raise Refused(f"duplicate step name '{step.name}'", step.place, step.name)
        scopes.steps.add(step.name)
        _action(step.action, step.name, scope, scopes)


def _action(action: Action, step: str, scope: Scope, scopes: Scopes) -> None:
    match action:
        case Assign(entries):
            for target, _ in entries:
                _bind(target, step, scope, scopes)
        case CallStep():
            if action.result is not None:
                _bind(action.result, step, scope, scopes)
        case Switch(cases):
            for case in cases:
                _action(case.action, step, scope, scopes)
        case Nested(steps):
            _steps(steps, scope, scopes)
        case For():
            _loop(action, step, Scope(scope.frames, scope), scopes)
        case Parallel():
            _parallel(action, step, scope, scopes)
        case Try():
            _action(action.action, step, scope, scopes)
            if action.handler is not None:
                inner = scopes.inner[action.handler] = Scope(scope.frames, scope)
                if action.handler.variable is not None:
                    inner.declare(action.handler.variable)
                _action(action.handler.action, step, inner, scopes)


def _bind(target: Target, step: str, scope: Scope, scopes: Scopes) -> None:
    if target.path:
        return
    known = scope.writable(target.name, target.place, step)
    if known is None:
        _not_of_a_loop(target.name, target.place, step, scope, scopes)
        known = scope.declare(target.name)
    scopes.bound[target] = known


def _loop(loop: For, step: str, inner: Scope, scopes: Scopes) -> None:
    scopes.inner[loop] = inner
    for name in (loop.value, loop.index):
        if name is None:
            continue
        if inner.parent is not None and inner.parent.find(name) is not None:
            raise Refused(f"loop variable '{name}' is already a variable outside of the loop", loop.place, step)
        inner.loops[name] = loop.place
        inner.declare(name)
    _steps(loop.steps, inner, scopes)


def _not_of_a_loop(name: str, place: Place, step: str, scope: Scope, scopes: Scopes) -> None:
    """A loop variable must not be assigned outside of its loop ("Iteration")."""
    for inner in scopes.inner.values():
        if name in inner.loops and inner.parent is scope:
            raise Refused(f"loop variable '{name}' cannot be assigned outside of its loop", place, step)


def _parallel(action: Parallel, step: str, scope: Scope, scopes: Scopes) -> None:
    for name, place in action.shared:
        if scope.find(name) is None:
            raise Refused(f"shared variable '{name}' is not defined: {undefined(name)}", place, step)
    shared = frozenset(name for name, _ in action.shared)
    if action.loop is not None:
        inner = Scope(Frames(scope.frames.level + 1), scope, shared)
        _loop(action.loop, step, inner, scopes)
    for branch in action.branches:
        inner = scopes.inner[branch] = Scope(Frames(scope.frames.level + 1), scope, shared)
        _steps(branch.steps, inner, scopes)
