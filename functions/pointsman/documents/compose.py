"""YAML to plain values, with the place of every one of them.

libyaml's own composer recurses in C: a pushed file of 100,000 `[` would end the process. Its event stream is
flat, so values are composed from that, under a limit of our own. An alias is not expanded but counted as if it
were, so that anchors which explode stop at the same limit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from pointsman.documents.faults import Path

__all__ = ["Composed", "Flaw", "Place", "Unreadable", "compose"]

BYTES_MAX = 512 * 1024
DEPTH_MAX = 64
NODES_MAX = 20_000
DOCUMENTS_MAX = 5_000
BITS_MAX = 1024
"""Python refuses to write out much longer numbers, which hexadecimal digits make easily."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TEXT = _TAG + "str"
_COLLECTIONS = (None, "!", _TAG + "map", _TAG + "seq")

_BEGUN = ("scanning a quoted scalar", "scanning a simple key", "parsing a flow sequence", "parsing a flow mapping")
_REMEDIES = (
    ("cannot start any token", "indent with spaces, and quote a value that begins with @, ` or %"),
    ("mapping values are not allowed", "quote the value, or check the indentation"),
    ("did not find expected", "check brackets, commas and the indentation"),
    ("could not find expected ':'", "write `key: value`, with a space after the colon"),
    ("unexpected end of stream", "close the quote or bracket"),
    ("control characters", "remove the character"),
)

Place = tuple[int, int]
"""Line and column, from 1."""


class Unreadable(Exception):
    """The file cannot be read as documents: `code` is `syntax` or `too-large`."""

    def __init__(self, code: str, place: Place, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.code = code
        self.place = place
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Flaw:
    """What YAML allows, or another tool may accept, and documents may not have."""

    code: str
    path: Path
    place: Place
    problem: str
    remedy: str


@dataclass(slots=True)
class Composed:
    """One document of a file.

    `texts` is what was written where YAML made something else of it than text. `merged` says that `<<` was used,
    so that fields may seem to be missing.
    """

    value: object
    places: dict[Path, Place]
    texts: dict[Path, str] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    merged: bool = False

    def place(self, path: Path) -> Place:
        """Where the path is: its key's place, or that of the nearest ancestor which is there."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]


def compose(data: bytes) -> Iterator[Composed]:
    """The documents of a file, empty ones left out. Raises Unreadable."""
    if len(data) > BYTES_MAX:
        raise Unreadable("too-large", (1, 1), f"{len(data):,} bytes, at most {BYTES_MAX:,}", "split the file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable("syntax", (1, 1), f"line {line} is no UTF-8", "save the file as UTF-8") from error
    loader = _LOADER(text)
    composer = _Composer(loader.get_event, text)
    try:
        yield from composer.documents()
    except yaml.YAMLError as error:
        raise composer.syntax(error) from error
    finally:
        loader.dispose()


def _place(event: Any) -> Place:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


_SCALARS: Any = yaml.SafeLoader("")


@lru_cache(maxsize=8192)
def _plain_tag(text: str) -> str:
    """What YAML 1.1 takes a text without quotes for."""
    return str(_SCALARS.resolve(yaml.ScalarNode, text, (True, False)))


def _construct(tag: str, text: str) -> object:
    if tag == _TAG + "int" and text.isdigit() and text[0] != "0" and len(text) < 16:
        return int(text)
    value: object = _SCALARS.construct_object(yaml.ScalarNode(tag, text))
    _SCALARS.constructed_objects.clear()  # it keeps what it made, for aliases, which come here never
    if isinstance(value, int) and value.bit_length() > BITS_MAX:
        raise ValueError("too long a number")
    return value


class _Composer:
    def __init__(self, next_event: Callable[[], Any], text: str) -> None:
        self._next = next_event
        self._text = text
        self._nodes = 0
        self._deepest = 0
        self._anchors: dict[str, tuple[object, int, int]] = {}
        self._document = Composed(None, {})

    def documents(self) -> Iterator[Composed]:
        count = 0
        while not isinstance(event := self._next(), yaml.StreamEndEvent):
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            first = self._next()
            self._anchors = {}
            self._document = document = Composed(None, {})
            document.value = self._value(first, ())
            if document.value is None and not document.flaws:
                continue
            count += 1
            if count > DOCUMENTS_MAX:
                raise Unreadable("too-large", _place(first), f"more than {DOCUMENTS_MAX:,} documents", "split the file")
            yield document

    def syntax(self, error: yaml.YAMLError) -> Unreadable:
        mark = self._mark(error)
        # A ReaderError of the stream has no mark.
        place = (min(mark.line + 1, self._text.count("\n") + 1), mark.column + 1) if mark else (1, 1)
        problem = " ".join(
            str(part) for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part
        )
        problem = problem or str(error).splitlines()[0]
        remedy = next((remedy for words, remedy in _REMEDIES if words in problem), "mend the YAML")
        return Unreadable("syntax", place, problem, remedy)

    def _mark(self, error: yaml.YAMLError) -> Any:
        """What was begun and not ended lies where it was begun, not where that was found out, lines below."""
        context, begun = getattr(error, "context", None) or "", getattr(error, "context_mark", None)
        found: Any = getattr(error, "problem_mark", None) or begun
        if begun is None or not any(words in context for words in _BEGUN):
            return found
        if "flow" not in context:
            return begun
        # A bracket that is not closed runs into the next key, or the end; else something between brackets is wrong.
        lines = self._text.split("\n")
        rest = lines[found.line][found.column :] if found.line < len(lines) else ""
        return begun if rest[:1] in ("", ":") else found

    def _value(self, event: Any, path: Path) -> object:
        document = self._document
        if path not in document.places:
            document.places[path] = _place(event)
        before, self._nodes = self._nodes, self._nodes + 1
        depth = len(path)
        if event.__class__ is yaml.ScalarEvent:
            self._measure(event, depth)
            value = self._scalar(event, path)
            height = 0
        elif event.__class__ is yaml.AliasEvent:
            if event.anchor not in self._anchors:
                raise Unreadable(
                    "syntax", _place(event), f"no anchor &{event.anchor}", f"name one above, or quote *{event.anchor}"
                )
            value, size, height = self._anchors[event.anchor]
            self._nodes += size
            self._measure(event, depth + height)
            return value
        else:
            outer, self._deepest = self._deepest, depth
            self._measure(event, depth)
            if event.tag not in _COLLECTIONS:
                document.flaws.append(Flaw("syntax", path, _place(event), f"unknown tag {event.tag}", "remove the tag"))
            if event.__class__ is yaml.SequenceStartEvent:
                items: list[object] = []
                while (item := self._next()).__class__ is not yaml.SequenceEndEvent:
                    items.append(self._value(item, (*path, len(items))))
                value = items
            else:
                value = self._mapping(path)
            height = self._deepest - depth
            self._deepest = max(outer, self._deepest)
        if event.anchor:
            # Only now: `&a [*a]` must find no anchor.
            self._anchors[event.anchor] = value, self._nodes - before, height
        return value

    def _measure(self, event: Any, depth: int) -> None:
        if depth > self._deepest:
            self._deepest = depth
        if depth > DEPTH_MAX:
            raise Unreadable("too-large", _place(event), f"nested deeper than {DEPTH_MAX} levels", "flatten it")
        if self._nodes > NODES_MAX:
            raise Unreadable(
                "too-large",
                _place(event),
                f"more than {NODES_MAX:,} values, anchors counted as often as used",
                "split the file",
            )

    def _mapping(self, path: Path) -> dict[str, object]:
        document = self._document
        result: dict[str, object] = {}
        while (event := self._next()).__class__ is not yaml.MappingEndEvent:
            place = _place(event)
            key = self._key(event, path)
            below = (*path, key)
            if key in result:
                first = document.places[below]
                document.flaws.append(
                    Flaw("duplicate-key", below, place, f"{key} is also at line {first[0]}", "remove one of them")
                )
                known = len(document.flaws)
                self._value(self._next(), (*below, "<again>"))
                del document.flaws[known:]
                continue
            document.places[below] = place
            result[key] = self._value(self._next(), below)
        return result

    def _key(self, event: Any, path: Path) -> str:
        document = self._document
        place = _place(event)
        if event.__class__ is yaml.ScalarEvent:
            tag = self._tag(event)
            text: str = event.value
            if event.anchor:
                self._anchors[event.anchor] = text, 1, 0
            if tag == _TEXT:
                return text
            if tag == _TAG + "merge":
                document.merged = True
                document.flaws.append(
                    Flaw(
                        "syntax",
                        (*path, text),
                        place,
                        "merge keys are not taken",
                        "write the fields out, or use an alias for a value",
                    )
                )
                return text
            kind = tag.removeprefix(_TAG)
            document.flaws.append(
                Flaw("wrong-type", (*path, text), place, f"YAML reads this key as {kind}", f'quote it: "{text}"')
            )
            return text
        if isinstance(event, yaml.AliasEvent):
            anchored = self._anchors.get(event.anchor or "")
            if anchored and isinstance(anchored[0], str):
                return anchored[0]
        raise Unreadable("syntax", place, "a key that is no text", "use a plain word as the key")

    def _tag(self, event: Any) -> str:
        tag = event.tag
        if tag is not None and tag != "!":
            return str(tag)
        return _plain_tag(event.value) if event.implicit[0] else _TEXT

    def _scalar(self, event: Any, path: Path) -> object:
        if event.tag is None and not event.implicit[0]:
            return event.value
        tag = self._tag(event)
        # `=` and `<<` as values have types in YAML 1.1 that nobody means.
        if tag in (_TEXT, _TAG + "value", _TAG + "merge"):
            return event.value
        if tag == _TAG + "null":
            if path:
                document = self._document
                document.flaws.append(
                    Flaw("wrong-type", path, document.places[path], "is null", "give a value, or remove the key")
                )
            return None
        self._document.texts[path] = event.value
        try:
            return _construct(tag, event.value)
        except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError):
            self._document.flaws.append(
                Flaw("syntax", path, _place(event), f"{event.value!r} is no {tag.removeprefix(_TAG)}", "quote it")
            )
            return event.value
