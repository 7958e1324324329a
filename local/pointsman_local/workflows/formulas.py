"""Expressions and templates as Python closures over a frame, made once for each workflow.

A closure takes the frame and gives the value. The fast ways through (two integers, a variable and a constant)
are written out here; everything else is done by `values`.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pointsman_local.workflows.errors import Place, Raised, Refused, key_error, type_error
from pointsman_local.workflows.expressions import (
    Binary,
    Call,
    Const,
    Expression,
    Index,
    ListOf,
    Logic,
    MapOf,
    Member,
    Name,
    Temp,
    Unary,
    dotted,
)
from pointsman_local.workflows.scopes import Scope, undefined
from pointsman_local.workflows.state import UNSET, Frame
from pointsman_local.workflows.stdlib.catalogue import CONSTANTS, FUNCTIONS, REQUIRED, Function, is_connector
from pointsman_local.workflows.steps import Formula, ListTemplate, Literal, MapTemplate, Template
from pointsman_local.workflows.values import (
    INT_MAX,
    INT_MIN,
    FunctionRef,
    Value,
    add,
    contains,
    equal,
    member,
    modulo,
    multiply,
    negate,
    order,
    python_name,
    quotient,
    ratio,
    subtract,
)

__all__ = ["Formulas", "Getter", "applied", "arguments_of"]

Getter: TypeAlias = Callable[[Frame], Any]

ARITHMETIC: Final[dict[str, Callable[[Value, Value], Value]]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": ratio,
    "//": quotient,
    "%": modulo,
}
ORDER: Final[dict[str, Callable[[int], bool]]] = {
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
}


class Formulas:
    """Compiles what stands in one step. `what` names the part in messages: "return value", "condition"."""

    def __init__(self, scope: Scope, routines: frozenset[str], step: str, what: str) -> None:
        self._scope = scope
        self._routines = routines
        self._step = step
        self._what = what

    def template(self, template: Template) -> Getter:
        """A value of the source. Errors within carry the place of their expression."""
        if _is_plain(template):
            return _constant(_plain(template))
        match template:
            case Literal(value):
                return _constant(value)
            case Formula(tree, place):
                return _placed(self.expression(tree, place), place)
            case ListTemplate(items):
                getters = [self.template(item) for item in items]
                return lambda f: [getter(f) for getter in getters]
            case MapTemplate(entries):
                pairs = [(self.template(key), self.template(value)) for key, value in entries]
                return lambda f: {_key(key(f)): value(f) for key, value in pairs}

    def expression(self, tree: Expression, place: Place) -> Getter:
        match tree:
            case Const(value):
                return _constant(value)
            case Temp(slot):
                return lambda f: f.vars[slot]
            case Name(name):
                return self._name(name, place)
            case Member(container, key):
                return self._member(tree, container, key, place)
            case Index(container, key):
                of, at = self.expression(container, place), self.expression(key, place)
                return lambda f: member(of(f), at(f))
            case Unary("-", operand):
                of = self.expression(operand, place)
                return lambda f: negate(of(f))
            case Unary(_, operand):
                return _negation(self.expression(operand, place))
            case Logic(operator, left, right):
                return _logic(operator, self.expression(left, place), self.expression(right, place))
            case Binary(operator, left, right):
                return _binary(operator, self.expression(left, place), self.expression(right, place))
            case ListOf(items):
                getters = [self.expression(item, place) for item in items]
                return lambda f: [getter(f) for getter in getters]
            case MapOf(entries):
                pairs = [(self.expression(key, place), self.expression(value, place)) for key, value in entries]
                return lambda f: {_key(key(f)): value(f) for key, value in pairs}
            case Call(function, arguments):
                return self._call(function, arguments, place)

    def refuse(self, problem: str, place: Place) -> Refused:
        return Refused(f"error evaluating {self._what}: {problem}", place, self._step)

    def _name(self, name: str, place: Place) -> Getter:
        variable = self._scope.find(name)
        if variable is not None:
            return _variable(name, variable.slot, self._scope.frames.level - variable.level)
        if name in self._routines:
            return _constant(FunctionRef(name))
        raise self.refuse(undefined(name), place)

    def _member(self, tree: Expression, container: Expression, key: str, place: Place) -> Getter:
        path = dotted(tree)
        if path is not None and self._scope.find(path.split(".", 1)[0]) is None:
            if path in CONSTANTS:
                return _constant(CONSTANTS[path])
            if path in FUNCTIONS:
                return _constant(FunctionRef(path))
            root = path.split(".", 1)[0]
            if not any(path.startswith(f"{constant}.") for constant in CONSTANTS):
                known = any(name.startswith(f"{root}.") for name in FUNCTIONS)
                raise self.refuse(undefined(path if known else root), place)
        of = self.expression(container, place)

        def field(f: Frame) -> Value:
            value = of(f)
            if type(value) is dict:
                try:
                    found: Value = value[key]
                except KeyError:
                    raise key_error(key) from None
                return found
            return member(value, key)

        return field

    def _call(self, name: str, arguments: tuple[Expression, ...], place: Place) -> Getter:
        function = FUNCTIONS.get(name)
        if function is None:
            if is_connector(name) or name.startswith("gke."):
                raise self.refuse(f"'{name}' is a blocking call and can only be made in a call step", place)
            raise self.refuse(undefined(name), place)
        if function.step_only:
            raise self.refuse(f"'{name}' is a blocking call and can only be made in a call step", place)
        getters = [self.expression(argument, place) for argument in arguments]
        return applied(function, arguments_of(function, getters, lambda problem: self.refuse(problem, place)))


def arguments_of(
    function: Function, given: list[Getter] | dict[str, Getter], refuse: Callable[[str], Refused]
) -> list[Getter]:
    """Getters in the order of the parameters, defaults filled in. Raises what `refuse` makes."""
    names = [*function.parameters]
    if isinstance(given, list):
        if len(given) > len(names):
            raise refuse(f"function '{function.name}' takes {len(names)} arguments, got {len(given)}")
        given = dict(zip(names, given, strict=False))
    for name in given:
        if name not in function.parameters:
            raise refuse(f"unexpected argument '{name}' for function '{function.name}'")
    getters: list[Getter] = []
    for name, default in function.parameters.items():
        if name in given:
            getters.append(given[name])
        elif default is REQUIRED:
            raise refuse(f"missing argument '{name}' for function '{function.name}'")
        else:
            getters.append(_constant(default))
    return getters


def applied(function: Function, getters: list[Getter]) -> Getter:
    """A call of a function that needs no waiting."""
    apply = function.apply
    if apply is None:
        name = function.name
        return lambda f: f.run.inquire(name, [getter(f) for getter in getters])
    match getters:
        case [one]:
            return lambda f: apply(one(f))
        case [one, two]:
            return lambda f: apply(one(f), two(f))
        case _:
            return lambda f: apply(*[getter(f) for getter in getters])


def _is_plain(template: Template) -> bool:
    """Whether there is no formula in it, so that it is built once."""
    match template:
        case Literal():
            return True
        case Formula():
            return False
        case ListTemplate(items):
            return all(map(_is_plain, items))
        case MapTemplate(entries):
            return all(_is_plain(key) and _is_plain(value) for key, value in entries)


def _plain(template: Template) -> Value:
    match template:
        case ListTemplate(items):
            return [_plain(item) for item in items]
        case MapTemplate(entries):
            return {_key(_plain(key)): _plain(value) for key, value in entries}
        case Literal(value):
            return value
        case Formula():
            raise AssertionError("a formula is not plain")


def _constant(value: Any) -> Getter:
    return lambda f: value


def _placed(getter: Getter, place: Place) -> Getter:
    def placed(f: Frame) -> Any:
        try:
            return getter(f)
        except Raised as error:
            if error.place is None:
                error.place = place
            raise

    return placed


def _variable(name: str, slot: int, levels: int) -> Getter:
    def unset() -> Raised:
        return key_error(f"{name} (the variable was not assigned yet)")

    def own(f: Frame) -> Any:
        value = f.vars[slot]
        if value is UNSET:
            raise unset()
        return value

    def outer(f: Frame) -> Any:
        for _ in range(levels):
            assert f.up is not None
            f = f.up
        value = f.vars[slot]
        if value is UNSET:
            raise unset()
        return value

    return own if levels == 0 else outer


def _key(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise type_error(f"map key must be a string, not '{python_name(value)}'")


def boolean(operator: str, value: Value) -> bool:
    if value is True or value is False:
        return value
    raise type_error(f"bad operand type for {operator}: '{python_name(value)}' is not a boolean")


def _negation(of: Getter) -> Getter:
    return lambda f: not boolean("not", of(f))


def _logic(operator: str, left: Getter, right: Getter) -> Getter:
    """The right side is not evaluated where the left one decides."""
    if operator == "and":
        return lambda f: boolean("and", left(f)) and boolean("and", right(f))
    return lambda f: boolean("or", left(f)) or boolean("or", right(f))


def _binary(operator: str, left: Getter, right: Getter) -> Getter:
    match operator:
        case "+":
            return _sum(left, right)
        case "-" | "*" | "/" | "//" | "%":
            compute = ARITHMETIC[operator]
            return lambda f: compute(left(f), right(f))
        case "==":
            return lambda f: equal(left(f), right(f))
        case "!=":
            return lambda f: not equal(left(f), right(f))
        case "in":
            return lambda f: contains(left(f), right(f))
        case _:
            return _comparison(operator, left, right)


def _sum(left: Getter, right: Getter) -> Getter:
    def plus(f: Frame) -> Value:
        a, b = left(f), right(f)
        if type(a) is int and type(b) is int:
            total = a + b
            if INT_MIN <= total <= INT_MAX:
                return total
        return add(a, b)

    return plus


def _comparison(operator: str, left: Getter, right: Getter) -> Getter:
    holds = ORDER[operator]

    def compare(f: Frame) -> bool:
        a, b = left(f), right(f)
        if type(a) is int and type(b) is int:
            return holds(a - b)
        return holds(order(operator, a, b))

    return compare
