"""Expressions `${…}`: from text to a tree.

    or      = and { or and }                 postfix = primary { "." NAME | "[" or "]" }
    and     = compare { and compare }        primary = NUMBER | STRING | true | false | null | "(" or ")"
    compare = sum { < <= > >= == != in sum }           | "[" or , … "]" | "{" or ":" or , … "}"
    sum     = product { + - product }                  | NAME { "." NAME } "(" or , … ")" | NAME
    product = unary { * / // % unary }       unary   = "-" unary | negation
                                             negation = not negation | postfix

`not` binds tighter than comparison: `not "k" in m` is `(not "k") in m` ("Data types, functions, operators",
Order of operations). Binary operators are read by precedence climbing, so that depth costs few Python frames.
"""

import math
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from pointsman_local.workflows.values import INT_MAX, whole

__all__ = [
    "Binary",
    "Call",
    "Const",
    "Expression",
    "Index",
    "ListOf",
    "Logic",
    "MapOf",
    "Member",
    "Name",
    "NotAnExpression",
    "Temp",
    "Unary",
    "dotted",
    "parse",
    "parse_target",
]

DEPTH_MAX: Final = 60


class NotAnExpression(Exception):  # what was found, said of the text
    """Why a text is no expression, in one phrase."""


@dataclass(frozen=True, slots=True)
class Const:
    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    container: "Expression"
    key: str


@dataclass(frozen=True, slots=True)
class Index:
    container: "Expression"
    key: "Expression"


@dataclass(frozen=True, slots=True)
class Unary:
    """`-` or `not`."""

    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or`."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class ListOf:
    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class MapOf:
    entries: "tuple[tuple[Expression, Expression], ...]"


@dataclass(frozen=True, slots=True)
class Temp:
    """The result of a subworkflow call that was made before the expression is evaluated."""

    slot: int


Expression: TypeAlias = Const | Name | Member | Index | Unary | Binary | Logic | Call | ListOf | MapOf | Temp

TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<symbol>//|<=|>=|==|!=|[-+*/%<>()\[\]{},.:])
    )""",
    re.VERBOSE | re.DOTALL,
)
WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL"), None),
}
KEYWORDS: Final = {"and", "AND", "or", "OR", "not", "NOT", "in", *WORDS}
PRECEDENCE: Final = {
    **dict.fromkeys(("or", "OR"), 1),
    **dict.fromkeys(("and", "AND"), 2),
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "//", "%"), 5),
}
ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\", "/": "/"}


def parse(text: str) -> Expression:
    """The tree of what stands between `${` and `}`. Raises NotAnExpression."""
    parser = _Parser(text)
    tree = parser.expression(1)
    parser.end()
    return tree


def parse_target(text: str) -> tuple[str, tuple[Expression, ...]]:
    """The left side of an assignment: a variable and the path into it. Raises NotAnExpression."""
    parser = _Parser(text)
    tree = parser.postfix()
    parser.end()
    path: list[Expression] = []
    while not isinstance(tree, Name):
        if isinstance(tree, Member):
            path.append(Const(tree.key))
        elif isinstance(tree, Index):
            path.append(tree.key)
        else:
            raise NotAnExpression(f"cannot assign to '{text}'")
        tree = tree.container
    return tree.name, tuple(reversed(path))


def dotted(tree: Expression) -> str | None:
    """`a.b.c` where the tree is nothing else."""
    if isinstance(tree, Name):
        return tree.name
    if isinstance(tree, Member):
        front = dotted(tree.container)
        return None if front is None else f"{front}.{tree.key}"
    return None


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        self._depth = 0
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = TOKEN.match(stripped, position)
            if match is None:
                found = stripped[position:].lstrip()[:1]
                raise NotAnExpression(f"token recognition error at: '{found}'")
            assert match.lastgroup is not None
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self._tokens.append(("end", ""))

    def end(self) -> None:
        kind, text = self._tokens[self._at]
        if kind != "end":
            raise NotAnExpression(f"extraneous input '{text}'")

    def expression(self, least: int) -> Expression:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise NotAnExpression("nested too deep")
        left = self._unary()
        while True:
            kind, operator = self._tokens[self._at]
            strength = PRECEDENCE.get(operator, 0) if kind in ("symbol", "name") else 0
            if strength < least or strength == 0:
                self._depth -= 1
                return left
            self._at += 1
            right = self.expression(strength + 1)
            left = Logic(operator.lower(), left, right) if strength <= 2 else Binary(operator, left, right)

    def _unary(self) -> Expression:
        signs = 0
        while self._take("symbol", "-"):
            signs += 1
        negations = 0
        while self._tokens[self._at] in (("name", "not"), ("name", "NOT")):
            self._at += 1
            negations += 1
        tree = self.postfix()
        for _ in range(negations):
            tree = Unary("not", tree)
        for _ in range(signs):
            match tree:
                case Const(int() | float() as number) if not isinstance(number, bool):
                    tree = Const(-number)
                case _:
                    tree = Unary("-", tree)
        if isinstance(tree, Const) and type(tree.value) is int and tree.value > INT_MAX:
            raise NotAnExpression(f"{tree.value} does not fit into 64 bits")
        return tree

    def postfix(self) -> Expression:
        tree = self._primary()
        while True:
            if self._take("symbol", "."):
                kind, name = self._next()
                if kind != "name":
                    raise NotAnExpression(f"mismatched input '{name}', expecting a field name after '.'")
                tree = Member(tree, name)
            elif self._take("symbol", "["):
                tree = Index(tree, self.expression(1))
                self._expect("]")
            elif self._tokens[self._at] == ("symbol", "("):
                function = dotted(tree)
                if function is None:
                    raise NotAnExpression("extraneous input '('")
                self._at += 1
                tree = Call(function, tuple(self._list(")")))
            else:
                return tree

    def _primary(self) -> Expression:
        kind, text = self._next()
        match kind:
            case "number":
                number = int(text) if text.isdigit() else float(text)
                if isinstance(number, float) and not math.isfinite(number):
                    raise NotAnExpression(f"{text} is out of range")
                return Const(number)
            case "string":
                return Const(_unescaped(text[1:-1]))
            case "name" if text in WORDS:
                return Const(WORDS[text])
            case "name" if text == "in" and self._take("symbol", "("):  # the helper in(key, container)
                arguments = self._list(")")
                if len(arguments) != 2:
                    raise NotAnExpression("in() takes a key and a list or map")
                return Binary("in", arguments[0], arguments[1])
            case "name" if text not in KEYWORDS:
                return Name(text)
            case "symbol" if text == "(":
                tree = self.expression(1)
                self._expect(")")
                return tree
            case "symbol" if text == "[":
                return ListOf(tuple(self._list("]")))
            case "symbol" if text == "{":
                return MapOf(tuple(self._pairs()))
        raise NotAnExpression("unexpected end of the expression" if kind == "end" else f"mismatched input '{text}'")

    def _list(self, closing: str) -> list[Expression]:
        items: list[Expression] = []
        if self._take("symbol", closing):
            return items
        while True:
            items.append(self.expression(1))
            if self._take("symbol", closing):
                return items
            self._expect(",")

    def _pairs(self) -> list[tuple[Expression, Expression]]:
        pairs: list[tuple[Expression, Expression]] = []
        if self._take("symbol", "}"):
            return pairs
        while True:
            key = self.expression(1)
            self._expect(":")
            pairs.append((key, self.expression(1)))
            if self._take("symbol", "}"):
                return pairs
            self._expect(",")

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        if token[0] != "end":
            self._at += 1
        return token

    def _take(self, kind: str, text: str) -> bool:
        if self._tokens[self._at] == (kind, text):
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._take("symbol", symbol):
            kind, text = self._tokens[self._at]
            found = "the end of the expression" if kind == "end" else f"'{text}'"
            raise NotAnExpression(f"missing '{symbol}' at {found}")


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    # An unknown escape stays as it is, so that a regular expression may be written with single backslashes.
    return whole(re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _escape, text, flags=re.DOTALL))


def _escape(match: re.Match[str]) -> str:
    text = match[1]
    if len(text) == 5:
        return chr(int(text[1:], 16))
    return ESCAPES.get(text, match[0])
