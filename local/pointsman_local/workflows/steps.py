"""A workflow as a tree of steps: what the source says, checked for form, before any name is looked up."""

from dataclasses import dataclass, field
from typing import TypeAlias

from pointsman_local.workflows.errors import Place
from pointsman_local.workflows.expressions import Expression

__all__ = [
    "Action",
    "Assign",
    "Branch",
    "CallStep",
    "Case",
    "Except",
    "For",
    "Formula",
    "ListTemplate",
    "Literal",
    "MapTemplate",
    "Nested",
    "Nothing",
    "Parallel",
    "Parameter",
    "Raise",
    "Retry",
    "Return",
    "Routine",
    "Step",
    "Switch",
    "Target",
    "Template",
    "Try",
]


@dataclass(frozen=True, slots=True)
class Literal:
    """A scalar of the source."""

    value: bool | int | float | str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Formula:
    """A `${…}` of the source."""

    tree: Expression
    place: Place


@dataclass(frozen=True, slots=True)
class ListTemplate:
    items: "tuple[Template, ...]"
    place: Place


@dataclass(frozen=True, slots=True)
class MapTemplate:
    """Keys may be formulas too ("Maps", dynamic keys)."""

    entries: "tuple[tuple[Literal | Formula, Template], ...]"
    place: Place


Template: TypeAlias = Literal | Formula | ListTemplate | MapTemplate


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What is assigned to: a variable, or a place within it."""

    name: str
    path: tuple[Expression, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Nothing:
    """A step that only jumps."""


@dataclass(frozen=True, slots=True)
class Assign:
    entries: tuple[tuple[Target, Template], ...]


@dataclass(frozen=True, slots=True)
class CallStep:
    function: str
    arguments: "dict[str, Template] | tuple[Template, ...]"
    result: Target | None
    place: Place


@dataclass(frozen=True, slots=True)
class Case:
    """One condition of a switch."""

    condition: Template
    action: "Action"
    next: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Switch:
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, eq=False)
class For:
    """A loop; `source` is the list, or the two ends where `ranged`."""

    value: str
    index: str | None
    source: Template
    ranged: bool
    steps: "tuple[Step, ...]"
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    name: str
    steps: "tuple[Step, ...]"
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Parallel:
    shared: tuple[tuple[str, Place], ...]
    limit: Template | None
    branches: tuple[Branch, ...]
    loop: For | None
    place: Place


@dataclass(frozen=True, slots=True)
class Raise:
    value: Template


@dataclass(frozen=True, slots=True)
class Return:
    value: Template


@dataclass(frozen=True, slots=True)
class Retry:
    """Either a whole policy, or its parts."""

    policy: Template | None
    predicate: Template | None
    max_retries: Template | None
    backoff: Template | None
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Except:
    variable: str | None
    action: "Action"
    next: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Try:
    action: "Action"
    next: str | None
    retry: Retry | None
    handler: Except | None
    place: Place


@dataclass(frozen=True, slots=True)
class Nested:
    steps: "tuple[Step, ...]"


Action: TypeAlias = Nothing | Assign | CallStep | Switch | For | Parallel | Raise | Return | Try | Nested


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    name: str
    action: Action
    next: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    default: Template | None = None


@dataclass(frozen=True, slots=True)
class Routine:
    """`main` or a subworkflow."""

    name: str
    parameters: tuple[Parameter, ...]
    steps: tuple[Step, ...]
    place: Place = field(default=Place(1, 1))
