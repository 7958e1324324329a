"""From the source's nodes to the tree of steps: keys, shapes and counts ("Syntax overview", "Quotas and limits")."""

import re
from typing import Final

from pointsman_local.workflows import source
from pointsman_local.workflows.errors import Place, Refused
from pointsman_local.workflows.expressions import NotAnExpression, parse, parse_target
from pointsman_local.workflows.source import Node
from pointsman_local.workflows.steps import (
    Action,
    Assign,
    Branch,
    CallStep,
    Case,
    Except,
    For,
    Formula,
    ListTemplate,
    Literal,
    MapTemplate,
    Nested,
    Nothing,
    Parallel,
    Parameter,
    Raise,
    Retry,
    Return,
    Routine,
    Step,
    Switch,
    Target,
    Template,
    Try,
)

__all__ = ["read"]

ASSIGNMENTS_MAX: Final = 50
CONDITIONS_MAX: Final = 50
BRANCHES_MAX: Final = 10
PARAMETERS_MAX: Final = 10
EXPRESSION_CHARACTERS_MAX: Final = 400

ACTIONS: Final = ("assign", "call", "switch", "for", "parallel", "raise", "try", "return", "steps")
BELONGS: Final = {"args": "call", "result": "call", "retry": "try", "except": "try"}
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read(text: str) -> dict[str, Routine]:
    """The routines of a source, `main` among them. Raises Refused."""
    root = source.parse(text)
    if root.items is not None:
        return {"main": Routine("main", (), _steps(root, None), root.place)}
    if root.entries is None:
        raise Refused("the workflow must be a list of steps or a map with `main`", root.place)
    if root.get("main") is None:
        raise Refused("main workflow is not defined", root.place)
    return {name: _routine(name, place, node) for name, place, node in root.entries}


def _routine(name: str, place: Place, node: Node) -> Routine:
    if not VARIABLE.fullmatch(name):
        raise Refused(f"invalid subworkflow name '{name}'", place)
    if node.entries is None:
        raise Refused(f"workflow '{name}' must be a map with `steps`", place)
    for key, at, _ in node.entries:
        if key not in ("params", "steps"):
            raise Refused(f"unknown key '{key}' in workflow '{name}'", at)
    steps = node.get("steps")
    if steps is None:
        raise Refused(f"workflow '{name}' has no steps", place)
    return Routine(name, _parameters(name, node.get("params")), _steps(steps, None), place)


def _parameters(routine: str, node: Node | None) -> tuple[Parameter, ...]:
    if node is None or (node.items is None and node.entries is None and node.scalar is None):
        return ()
    if node.items is None:
        raise Refused(f"params of workflow '{routine}' must be a list", node.place)
    most = 1 if routine == "main" else PARAMETERS_MAX
    if len(node.items) > most:
        raise Refused(f"workflow '{routine}' may have at most {most} parameter{'s' if most > 1 else ''}", node.place)
    parameters: list[Parameter] = []
    for item in node.items:
        default: Template | None = None
        if item.text is not None and ":" in item.text:
            item = source.parse(item.text)  # JSON has no other way to write it: "country: \"England\""
        if item.entries is not None and len(item.entries) == 1:
            name, _, value = item.entries[0]
            default = _template(value, None, "parameter default")
        elif item.text is not None:
            name = item.text
        else:
            raise Refused(f"a parameter of workflow '{routine}' is {item.kind}, not a name", item.place)
        _variable(name, item.place, None)
        if name in (known.name for known in parameters):
            raise Refused(f"workflow '{routine}' has parameter '{name}' twice", item.place)
        parameters.append(Parameter(name, default))
    return tuple(parameters)


def _steps(node: Node, within: str | None) -> tuple[Step, ...]:
    if node.items is None:
        raise Refused(f"steps must be a list, not {node.kind}", node.place, within)
    if not node.items:
        raise Refused("the list of steps is empty", node.place, within)
    steps: list[Step] = []
    seen: set[str] = set()
    for item in node.items:
        if item.entries is None or len(item.entries) != 1:
            raise Refused("each step must be a map with one key, its name", item.place, within)
        name, place, body = item.entries[0]
        if not name:
            raise Refused("step name should not be empty", place, within)
        if name in seen:
            raise Refused(f"duplicate step name '{name}'", place, name)
        seen.add(name)
        if body.entries is None:
            raise Refused(f"a step must be a map, not {body.kind}", body.place, name)
        action, after = _action(body, name, ())
        steps.append(Step(name, action, after, place))
    return tuple(steps)


def _action(node: Node, step: str, besides: tuple[str, ...]) -> tuple[Action, str | None]:
    """The one thing that a step, a condition or a try block does, and where it goes next."""
    if node.entries is None:
        raise Refused(f"expected a map, not {node.kind}", node.place, step)
    keys = [key for key, _, _ in node.entries]
    for key, place, _ in node.entries:
        if key not in (*ACTIONS, *BELONGS, "next", *besides):
            raise Refused(f"unknown key '{key}'", place, step)
        if key in BELONGS and BELONGS[key] not in keys:
            raise Refused(f"'{key}' needs '{BELONGS[key]}'", place, step)
    actions = [key for key in keys if key in ACTIONS]
    if len(actions) > 1:
        raise Refused(f"'{actions[0]}' and '{actions[1]}' cannot stand in one step", node.place, step)
    jump = node.get("next")
    after: str | None = None
    if jump is not None:
        after = jump.text if jump.text is not None else str(jump.scalar)
        if not after or jump.items is not None or jump.entries is not None or jump.scalar is None:
            raise Refused(f"next must be the name of a step, not {jump.kind}", jump.place, step)
    if not actions:
        if jump is None and not besides:
            raise Refused("the step does nothing", node.place, step)
        return Nothing(), after
    body = node.get(actions[0])
    assert body is not None
    match actions[0]:
        case "assign":
            return _assign(body, step), after
        case "call":
            return _call(node, body, step), after
        case "switch":
            return _switch(body, step), after
        case "for":
            return _for(body, step), after
        case "parallel":
            return _parallel(body, step), after
        case "raise":
            return Raise(_template(body, step, "raised value")), None
        case "return":
            return Return(_template(body, step, "return value")), None
        case "try":
            return _try(node, body, step), after
        case _:
            return Nested(_steps(body, step)), after


def _assign(node: Node, step: str) -> Assign:
    if not node.items:
        raise Refused("assign must be a list of assignments", node.place, step)
    if len(node.items) > ASSIGNMENTS_MAX:
        raise Refused(f"more than {ASSIGNMENTS_MAX} assignments in one step", node.place, step)
    entries: list[tuple[Target, Template]] = []
    for item in node.items:
        if item.entries is None or len(item.entries) != 1:
            raise Refused("each assignment must be a map with one key", item.place, step)
        name, place, value = item.entries[0]
        entries.append((_target(name, place, step), _template(value, step, "assigned value")))
    return Assign(tuple(entries))


def _target(text: str, place: Place, step: str) -> Target:
    if VARIABLE.fullmatch(text):
        return Target(text, (), place)
    try:
        name, path = parse_target(text)
    except NotAnExpression as error:
        raise Refused(f"invalid variable name '{text}': {error}", place, step) from None
    return Target(name, path, place)


def _call(node: Node, body: Node, step: str) -> CallStep:
    if not body.text:
        raise Refused(f"call must be the name of a function, not {body.kind}", body.place, step)
    arguments: dict[str, Template] | tuple[Template, ...] = {}
    given = node.get("args")
    if given is not None and given.entries is not None:
        arguments = {key: _template(value, step, f"argument '{key}'") for key, _, value in given.entries}
    elif given is not None and given.items is not None:
        arguments = tuple(_template(value, step, "argument") for value in given.items)
    elif given is not None and given.scalar is not None:
        raise Refused(f"args must be a map, not {given.kind}", given.place, step)
    result = node.get("result")
    if result is not None and not result.text:
        raise Refused(f"result must be the name of a variable, not {result.kind}", result.place, step)
    target = _target(result.text, result.place, step) if result is not None and result.text else None
    return CallStep(body.text, arguments, target, body.place)


def _switch(node: Node, step: str) -> Switch:
    if not node.items:
        raise Refused("switch must be a list of conditions", node.place, step)
    if len(node.items) > CONDITIONS_MAX:
        raise Refused(f"more than {CONDITIONS_MAX} conditions in one switch", node.place, step)
    cases: list[Case] = []
    for item in node.items:
        condition = item.get("condition")
        if condition is None:
            raise Refused("each entry of a switch needs a condition", item.place, step)
        value = _template(condition, step, "condition")
        if not isinstance(value, Formula) and not (isinstance(value, Literal) and isinstance(value.value, bool)):
            raise Refused(
                f"a condition must be an expression or a boolean, not {condition.kind}", condition.place, step
            )
        action, after = _action(item, step, ("condition",))
        cases.append(Case(value, action, after, condition.place))
    return Switch(tuple(cases))


def _for(node: Node, step: str) -> For:
    _keys(node, step, "for", ("value", "index", "in", "range", "steps"), ("value", "steps"))
    value, index, steps = node.get("value"), node.get("index"), node.get("steps")
    assert value is not None
    assert steps is not None
    names: list[str] = []
    for name in (value, index):
        if name is not None:
            if name.text is None:
                raise Refused(f"the loop variable is {name.kind}, not a name", name.place, step)
            names.append(_variable(name.text, name.place, step))
    if len(set(names)) < len(names):
        raise Refused(f"loop variable '{names[0]}' is value and index at once", value.place, step)
    items, ends = node.get("in"), node.get("range")
    if (items is None) == (ends is None):
        raise Refused("for needs exactly one of 'in' and 'range'", node.place, step)
    ranged = items is None
    source_node = ends if ranged else items
    assert source_node is not None
    template = _template(source_node, step, "range" if ranged else "list")
    if isinstance(template, Literal | MapTemplate):
        raise Refused(f"'{'range' if ranged else 'in'}' must be a list or an expression", source_node.place, step)
    if ranged and isinstance(template, ListTemplate) and len(template.items) != 2:
        raise Refused("range must have two elements", source_node.place, step)
    return For(names[0], names[1] if index is not None else None, template, ranged, _steps(steps, step), node.place)


def _parallel(node: Node, step: str) -> Parallel:
    _keys(node, step, "parallel", ("shared", "concurrency_limit", "exception_policy", "branches", "for"), ())
    branches, loop, limit, shared = (node.get(key) for key in ("branches", "for", "concurrency_limit", "shared"))
    if (branches is None) == (loop is None):
        raise Refused("parallel needs exactly one of 'branches' and 'for'", node.place, step)
    policy = node.get("exception_policy")
    if policy is not None and policy.text != "continueAll":
        raise Refused("exception_policy must be 'continueAll'", policy.place, step)
    names: list[tuple[str, Place]] = []
    if shared is not None and (shared.items is not None or shared.scalar is not None or shared.entries is not None):
        for item in shared.items if shared.items is not None else (shared,):
            if shared.items is None or item.text is None:
                raise Refused("shared must be a list of variables", shared.place, step)
            if item.text in (known for known, _ in names):
                raise Refused(f"shared variable '{item.text}' is listed twice", item.place, step)
            names.append((_variable(item.text, item.place, step), item.place))
    most = None if limit is None else _template(limit, step, "concurrency limit")
    if isinstance(most, Literal) and not (type(most.value) is int and most.value > 0):
        raise Refused("concurrency_limit must be a positive integer", most.place, step)
    if loop is not None:
        return Parallel(tuple(names), most, (), _for(loop, step), node.place)
    assert branches is not None
    if branches.items is not None and len(branches.items) > BRANCHES_MAX:
        raise Refused(f"more than {BRANCHES_MAX} branches in one parallel step", branches.place, step)
    parts = tuple(
        Branch(
            part.name, part.action.steps if isinstance(part.action, Nested) and not part.next else (part,), part.place
        )
        for part in _steps(branches, step)
    )
    return Parallel(tuple(names), most, parts, None, node.place)


def _try(node: Node, body: Node, step: str) -> Try:
    inner: tuple[Action, str | None]
    if body.items is not None:
        inner = Nested(_steps(body, step)), None
    else:
        if body.get("for") is not None:
            raise Refused("loop step name should not be empty", body.place, step)  # "Known issues"
        inner = _action(body, step, ())
    policy, handler = node.get("retry"), node.get("except")
    if policy is None and handler is None:
        raise Refused("try needs 'retry' or 'except'", body.place, step)
    return Try(
        *inner,
        None if policy is None else _retry(policy, step),
        None if handler is None else _except(handler, step),
        body.place,
    )


def _retry(node: Node, step: str) -> Retry:
    if node.entries is None:
        policy = _template(node, step, "retry policy")
        if not isinstance(policy, Formula):
            raise Refused(f"retry must be a policy, not {node.kind}", node.place, step)
        return Retry(policy, None, None, None, node.place)
    _keys(node, step, "retry", ("predicate", "max_retries", "backoff"), ())
    parts = [node.get(key) for key in ("predicate", "max_retries", "backoff")]
    backoff = parts[2]
    if backoff is not None and backoff.entries is not None:
        _keys(backoff, step, "backoff", ("initial_delay", "max_delay", "multiplier"), ())
    values = [None if part is None else _template(part, step, "retry policy") for part in parts]
    if values[0] is not None and not isinstance(values[0], Formula):
        raise Refused("predicate must be an expression that names a function", node.place, step)
    return Retry(None, values[0], values[1], values[2], node.place)


def _except(node: Node, step: str) -> Except:
    if node.entries is None:
        raise Refused(f"except must be a map, not {node.kind}", node.place, step)
    variable = node.get("as")
    if variable is not None and variable.text is None:
        raise Refused(f"'as' must be the name of a variable, not {variable.kind}", variable.place, step)
    name = None if variable is None or variable.text is None else _variable(variable.text, variable.place, step)
    action, after = _action(node, step, ("as",))
    return Except(name, action, after, node.place)


def _keys(node: Node, step: str, where: str, known: tuple[str, ...], needed: tuple[str, ...]) -> None:
    if node.entries is None:
        raise Refused(f"{where} must be a map, not {node.kind}", node.place, step)
    for key, place, _ in node.entries:
        if key not in known:
            raise Refused(f"unknown key '{key}' in {where}", place, step)
    for key in needed:
        if node.get(key) is None:
            raise Refused(f"{where} needs '{key}'", node.place, step)


def _variable(name: str, place: Place, step: str | None) -> str:
    if not VARIABLE.fullmatch(name):
        raise Refused(f"invalid variable name '{name}'", place, step)
    return name


def _template(node: Node, step: str | None, what: str) -> Template:
    if node.items is not None:
        return ListTemplate(tuple(_template(item, step, what) for item in node.items), node.place)
    if node.entries is not None:
        return MapTemplate(
            tuple(
                (_scalar(key, place, step, what), _template(value, step, what)) for key, place, value in node.entries
            ),
            node.place,
        )
    if node.text is None:
        return Literal(node.scalar, node.place)
    return _scalar(node.text, node.place, step, what)


def _scalar(text: str, place: Place, step: str | None, what: str) -> Literal | Formula:
    """A string, or the expression that it holds: `${` first and `}` last, white space around them aside."""
    stripped = text.strip()
    if not stripped.startswith("${"):
        return Literal(text, place)
    if not stripped.endswith("}"):
        raise Refused(f"error parsing {what}: missing '}}' at the end of '{stripped}'", place, step)
    inner = stripped[2:-1]
    if len(inner) > EXPRESSION_CHARACTERS_MAX:
        raise Refused(
            f"error parsing {what}: expression is longer than {EXPRESSION_CHARACTERS_MAX} characters", place, step
        )
    try:
        return Formula(parse(inner), place)
    except NotAnExpression as error:
        raise Refused(f"error parsing {what}: {error}: '{stripped}'", place, step) from None
