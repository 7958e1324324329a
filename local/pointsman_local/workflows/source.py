"""A workflow's source text as nodes that know their place.

YAML is composed from the parser's events, which are flat, so that a deep or circular document is refused instead
of exhausting the stack. Scalars are resolved as YAML 1.2 does it (`yes` and `on` are strings, as are dates), map
keys are strings. JSON is read as the YAML that it is, and by itself where YAML differs (tabs between tokens).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from pointsman_local.workflows.errors import Place, Raised, Refused
from pointsman_local.workflows.values import decode_json

__all__ = ["Node", "parse"]

SOURCE_BYTES_MAX: Final = 128 * 1024  # Workflows API, Workflow.sourceContents
NODES_MAX: Final = 100_000
DEPTH_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Node:
    """One scalar, list (`items`) or map (`entries`) of the source."""

    place: Place
    scalar: bool | int | float | str | None = None
    items: "tuple[Node, ...] | None" = None
    entries: "tuple[tuple[str, Place, Node], ...] | None" = None

    def get(self, key: str) -> "Node | None":
        return next((value for name, _, value in self.entries or () if name == key), None)

    @property
    def text(self) -> str | None:
        """The scalar where it is a string."""
        return self.scalar if isinstance(self.scalar, str) else None

    @property
    def kind(self) -> str:
        if self.items is not None:
            return "a list"
        if self.entries is not None:
            return "a map"
        return "empty" if self.scalar is None else f"`{self.scalar}`"


def parse(text: str) -> Node:
    """The document's root. Raises Refused: too large, no YAML, duplicate keys, more than one document."""
    if len(text.encode("utf-8", "surrogatepass")) > SOURCE_BYTES_MAX:
        raise Refused("the source is larger than 128 KB")
    try:
        return _Composer(text).document()
    except yaml.YAMLError as error:
        if text.lstrip().startswith(("{", "[")):
            try:
                return _of_json(decode_json(text), Place(1, 1), 0)
            except Raised:
                pass
        mark = getattr(error, "problem_mark", None)
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
        problem = getattr(error, "problem", None) or str(error)
        raise Refused(f"line {place.line}, column {place.column}: {problem}", place) from None


def _of_json(value: Any, place: Place, depth: int) -> Node:
    if depth > DEPTH_MAX:
        raise Refused("the source is nested too deep", place)
    if isinstance(value, dict):
        return Node(place, entries=tuple((key, place, _of_json(item, place, depth + 1)) for key, item in value.items()))
    if isinstance(value, list):
        return Node(place, items=tuple(_of_json(item, place, depth + 1) for item in value))
    return Node(place, scalar=value)


DIGITS_MAX: Final = 250
INTEGER: Final = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
CONSTANTS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


def _resolve(text: str) -> bool | int | float | str | None:
    """A plain scalar's value by YAML 1.2's core schema."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if INTEGER.fullmatch(text):
        base = {"0x": 16, "0o": 8}.get(text[:2], 10)
        if len(text) > DIGITS_MAX:  # of any base: no 64-bit integer, and perhaps no double
            return float(text) if base == 10 else math.inf
        number = int(text[2:], base) if base != 10 else int(text)
        return number if -(2**63) <= number < 2**63 else float(number)
    if FLOAT.fullmatch(text):
        return float(text)
    return text


class _Composer:
    def __init__(self, text: str) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=loader)
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise Refused("the source holds more than one document", _place(event))
                root = self._node(next(self._events), 0)
        if root is None:
            raise Refused("the source is empty", Place(1, 1))
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = _place(event)
        if depth > DEPTH_MAX or self._nodes > NODES_MAX:
            raise Refused("the source is nested too deep or too large", place)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise Refused(f"unknown alias {event.anchor!r}", place)
            node, weight = self._anchors[event.anchor]
            self._nodes += weight  # an alias counts as what it stands for, or a few of them would be gigabytes
            return node
        before = self._nodes
        self._nodes += 1
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0] and not event.style
            value = _resolve(event.value) if plain else event.value
            if isinstance(value, float) and not math.isfinite(value):
                raise Refused(f"number {event.value} is out of range", place)
            node = Node(place, scalar=value)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Node(place, items=tuple(self._items(depth)))
        else:
            node = Node(place, entries=tuple(self._entries(depth)))
        anchor: str | None = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = (node, self._nodes - before)
        return node

    def _items(self, depth: int) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[tuple[str, Place, Node]]:
        seen: set[str] = set()
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            if not isinstance(event, yaml.ScalarEvent):
                raise Refused("a map key must be a string", _place(event))
            self._nodes += 1
            if event.value in seen:
                raise Refused(f"key {event.value!r} is there twice", _place(event))
            seen.add(event.value)
            yield event.value, _place(event), self._node(next(self._events), depth + 1)


def _place(event: yaml.Event) -> Place:
    start, end = event.start_mark, event.end_mark
    assert start is not None
    assert end is not None
    return Place(start.line + 1, start.column + 1, end.index - start.index)
