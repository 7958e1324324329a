"""Values of the source compiled to closures, with the calls within them written out before.

A subworkflow called in an expression may wait, and a closure cannot. So the call becomes an operation of its own
before the one that needs it, its result lies in a slot, and the expression reads the slot. Where `and` or `or`
may leave its right side out, a branch leaves out its calls too.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from pointsman_local.workflows import instructions as do
from pointsman_local.workflows.calls import connector
from pointsman_local.workflows.emitting import NEXT, Code, Label
from pointsman_local.workflows.errors import Place, Refused, key_error
from pointsman_local.workflows.expressions import (
    Binary,
    Call,
    Expression,
    Index,
    ListOf,
    Logic,
    MapOf,
    Member,
    Temp,
    Unary,
)
from pointsman_local.workflows.formulas import Formulas, Getter
from pointsman_local.workflows.scopes import Scope
from pointsman_local.workflows.state import UNSET, Frame, Unit
from pointsman_local.workflows.steps import Formula, ListTemplate, Literal, MapTemplate, Parameter, Routine, Template
from pointsman_local.workflows.values import replaced

__all__ = ["Evaluation", "put", "put_within"]

# The one connector that Google's samples call in an expression, with its parameters.
HELPERS: Final = {
    "googleapis.secretmanager.v1.projects.secrets.versions.accessString": ("secret_id", "version", "project_id"),
}


@dataclass(slots=True)
class Evaluation:
    """Where the compiler stands: the code it writes, the scope and step it is in."""

    code: Code
    scope: Scope
    step: str
    routines: dict[str, Routine]
    units: dict[str, Unit]

    def value(self, template: Template, what: str) -> Getter:
        """`what` names the value in messages. Raises Refused."""
        return self._formulas(what).template(self._template(template))

    def expression(self, tree: Expression, place: Place, what: str) -> Getter:
        return self._formulas(what).expression(self._tree(tree, place), place)

    def slot(self) -> int:
        return self.scope.frames.slot()

    def _formulas(self, what: str) -> Formulas:
        return Formulas(self.scope, frozenset(self.routines), self.step, what)

    def subworkflow(self, name: str, given: list[Getter] | dict[str, Getter], place: Place) -> None:
        """Write the call; its result is the frame's value at the next operation. Raises Refused."""
        parameters = self.routines[name].parameters
        if isinstance(given, list):
            if len(given) > len(parameters):
                problem = f"subworkflow '{name}' takes {len(parameters)} arguments, got {len(given)}"
                raise Refused(problem, place, self.step)
            given = dict(zip((parameter.name for parameter in parameters), given, strict=False))
        for argument in given:
            if argument not in (parameter.name for parameter in parameters):
                raise Refused(f"unexpected argument '{argument}' for subworkflow '{name}'", place, self.step)
        getters = [self._argument(name, parameter, given, place) for parameter in parameters]
        self.code.add(self.step, place, do.call, self.units[name], getters, NEXT)

    def _argument(self, routine: str, parameter: Parameter, given: dict[str, Getter], place: Place) -> Getter:
        if parameter.name in given:
            return given[parameter.name]
        if parameter.default is None:
            raise Refused(f"missing argument '{parameter.name}' for subworkflow '{routine}'", place, self.step)
        alone = replace(self, scope=Scope(self.scope.frames))  # a default sees neither side's variables
        return alone.value(parameter.default, f"default of parameter '{parameter.name}'")

    def _template(self, template: Template) -> Template:
        match template:
            case Literal():
                return template
            case Formula(tree, place):
                return Formula(self._tree(tree, place), place)
            case ListTemplate(items, place):
                return ListTemplate(tuple(self._template(item) for item in items), place)
            case MapTemplate(entries, place):
                lowered = tuple((self._key(key), self._template(value)) for key, value in entries)
                return MapTemplate(lowered, place)

    def _key(self, key: Literal | Formula) -> Literal | Formula:
        return key if isinstance(key, Literal) else Formula(self._tree(key.tree, key.place), key.place)

    def _tree(self, tree: Expression, place: Place) -> Expression:
        match tree:
            case Call(name, arguments) if name in self.routines:
                lowered = [self._tree(argument, place) for argument in arguments]
                formulas = self._formulas("call argument")
                self.subworkflow(name, [formulas.expression(each, place) for each in lowered], place)
                return self._kept(place)
            case Call(name, arguments) if name in HELPERS:
                lowered = [self._tree(argument, place) for argument in arguments]
                formulas = self._formulas("call argument")
                given = dict(zip(HELPERS[name], (formulas.expression(each, place) for each in lowered), strict=False))
                self.code.add(self.step, place, do.begin, connector(name, [*given]), [*given.values()], NEXT)
                return self._kept(place)
            case Call(name, arguments):
                return Call(name, tuple(self._tree(argument, place) for argument in arguments))
            case Logic(operator, left, right) if self._calls(right):
                return self._decided(operator, self._tree(left, place), right, place)
            case Logic(operator, left, right):
                return Logic(operator, self._tree(left, place), right)
            case Binary(operator, left, right):
                return Binary(operator, self._tree(left, place), self._tree(right, place))
            case Unary(operator, operand):
                return Unary(operator, self._tree(operand, place))
            case Member(container, key):
                return Member(self._tree(container, place), key)
            case Index(container, index):
                return Index(self._tree(container, place), self._tree(index, place))
            case ListOf(items):
                return ListOf(tuple(self._tree(item, place) for item in items))
            case MapOf(entries):
                return MapOf(tuple((self._tree(key, place), self._tree(value, place)) for key, value in entries))
            case _:
                return tree

    def _kept(self, place: Place) -> Temp:
        """The result of the call just written, in a slot of its own."""
        slot = self.slot()
        self.code.add(self.step, place, do.store, put(slot, 0), NEXT)
        return Temp(slot)

    def _decided(self, operator: str, left: Expression, right: Expression, place: Place) -> Expression:
        """`left and call()`: the call is made only where the left side leaves it open."""
        slot, end = self.slot(), Label()
        formulas = self._formulas("condition")
        both = Logic(operator, left, left)  # checks that it is a boolean
        self.code.add(self.step, place, do.compute, formulas.expression(both, place), put(slot, 0), None, NEXT)
        self.code.add(self.step, place, do.branch, slot, operator == "or", end, NEXT)
        value = Logic(operator, Temp(slot), self._tree(right, place))
        self.code.add(self.step, place, do.compute, formulas.expression(value, place), put(slot, 0), None, NEXT)
        self.code.mark(end)
        return Temp(slot)

    def _calls(self, tree: Expression) -> bool:
        """Whether a subworkflow is called somewhere within."""
        match tree:
            case Call(name, arguments):
                return name in self.routines or name in HELPERS or any(map(self._calls, arguments))
            case Logic(_, left, right) | Binary(_, left, right):
                return self._calls(left) or self._calls(right)
            case Unary(_, operand):
                return self._calls(operand)
            case Member(container, _):
                return self._calls(container)
            case Index(container, key):
                return self._calls(container) or self._calls(key)
            case ListOf(items):
                return any(map(self._calls, items))
            case MapOf(entries):
                return any(self._calls(key) or self._calls(value) for key, value in entries)
            case _:
                return False


def put(slot: int, levels: int) -> do.Setter:
    """Write a slot of the frame, or of one that it was forked from."""

    def own(f: Frame, value: Any) -> None:
        f.vars[slot] = value

    def outer(f: Frame, value: Any) -> None:
        _up(f, levels).vars[slot] = value

    return own if levels == 0 else outer


def _up(f: Frame, levels: int) -> Frame:
    for _ in range(levels):
        assert f.up is not None
        f = f.up
    return f


def put_within(slot: int, levels: int, keys: list[Getter]) -> do.Setter:
    """Write a place within the list or map of a slot; null becomes a map."""

    def write(f: Frame, value: Any) -> None:
        path = [key(f) for key in keys]
        frame = _up(f, levels)
        container = frame.vars[slot]
        if container is UNSET:
            raise key_error("the variable was not assigned yet")
        frame.vars[slot] = replaced(container, path, value)

    return write
