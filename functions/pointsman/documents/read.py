"""One file to the documents in it: found, told apart from other tools' manifests, and given their form."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import cast

from pydantic import ValidationError

from pointsman.documents.compose import Composed, compose
from pointsman.documents.faults import QUOTE, Fault, Path, Problem, describe, nearest, path_text
from pointsman.documents.forms import KINDS, AnyDocument, form, without
from pointsman.documents.shape import API_VERSION

__all__ = ["GROUP", "Document", "looks_like_ours", "read"]

GROUP = "pointsman.dev"
_MARK = f"{GROUP}/".encode()
_MISSPELT = "misspelt"


class Broken:
    """Where a document's form is wrong: what a rule says near there may be a consequence only."""

    def __init__(self, codes: Mapping[Path, str]) -> None:
        self.paths = frozenset(codes)
        self._above = {path[:length] for path in codes for length in range(len(path) + 1)}
        # An unknown field may be a missing one misspelt; a faulty one may decide what its neighbours mean.
        self._beside = {path[:-1] for path in codes}
        self._deciding = {path[:-1] for path, code in codes.items() if _decides(path, code)}

    def hides(self, path: Path, written: bool) -> bool:
        """Whether what is said of `path` may come from a fault at, above, below or beside it."""
        if path in self._above or any(path[:length] in self.paths for length in range(len(path))):
            return True
        return path[:-1] in (self._deciding if written else self._beside)


def _decides(path: Path, code: str) -> bool:
    """In an item of a list, `provisioning` or `type` misspelt makes its neighbours look wrong; elsewhere a misspelt
    field leaves the others what they are."""
    return code != "unknown-field" and (code != _MISSPELT or (len(path) > 1 and isinstance(path[-2], int)))


@dataclass(slots=True, eq=False)
class Document:
    """A document while a repository is judged: what was written, what it came to, and its faults so far.

    `model` is there when the form is right. `salvage` is a stand-in for a document whose form is not: it is
    without the faulty fields, good for what does not touch them.
    """

    file: str
    composed: Composed
    kind: str = ""
    model: AnyDocument | None = None
    salvage: AnyDocument | None = None
    faults: list[Fault] = field(default_factory=list)
    namespace: str | None = None
    folder_namespace: str | None = None
    broken: Broken | None = None
    _told: set[tuple[Path, str]] = field(default_factory=set)

    @property
    def data(self) -> Mapping[str, object]:
        """The document's values."""
        return cast("Mapping[str, object]", self.composed.value) if isinstance(self.composed.value, dict) else {}

    @property
    def name(self) -> str | None:
        """`metadata.name`, if it is text."""
        name = self.metadata.get("name")
        return name if isinstance(name, str) else None

    @property
    def metadata(self) -> Mapping[str, object]:
        """`metadata`, if it is a map."""
        metadata = self.data.get("metadata")
        return cast("Mapping[str, object]", metadata) if isinstance(metadata, dict) else {}

    def may_be_in(self, namespace: str | None) -> bool:
        """Whether the document is, or was probably meant to be, in this namespace (None: the platform's)."""
        return namespace in (self.namespace, self.folder_namespace) if self.faults else namespace == self.namespace

    @property
    def sound(self) -> bool:
        """Whether nothing was found wrong so far."""
        return not self.faults

    def report(self, problem: Problem) -> None:
        """Note a fault, at the place of its path; a second one of the same code there says nothing new."""
        if (problem.path, problem.code) in self._told:
            return
        self._told.add((problem.path, problem.code))
        text = path_text(problem.path)
        line, column = self.composed.place(problem.path)
        self.faults.append(
            Fault(self.file, line, column, problem.code, text, problem.problem, problem.remedy, problem.nearest)
        )

    def faulty_at(self, path: str, code: str) -> bool:
        """Whether a fault lies at this path or bears this code."""
        return any(fault.path == path or fault.code == code for fault in self.faults)

    def at(self, path: Path) -> str:
        """`file:line:column` of the field."""
        line, column = self.composed.place(path)
        return f"{self.file}:{line}:{column}"

    def hides(self, path: Path) -> bool:
        """Whether what a rule says of `path` may come only from a fault of form near it."""
        return self.broken is not None and self.broken.hides(path, path in self.composed.places)


def looks_like_ours(data: bytes) -> bool:
    """Whether a file is parsed at all: it contains the text `pointsman.dev/`."""
    return _MARK in data


def read(file: str, data: bytes) -> Iterator[Document]:
    """Our documents of one file, each with the faults of its form. Raises Unreadable."""
    for composed in compose(data):
        document = _identify(file, composed)
        if document is not None:
            _give_form(document)
            yield document


def _identify(file: str, composed: Composed) -> Document | None:
    value = composed.value
    document = Document(file, composed)
    if not isinstance(value, dict):
        if _means_us(value):
            document.report(Problem("wrong-type", (), f"the document is {describe(value)}, not a map", _ROOT))
            return document
        return None
    api, kind = value.get("apiVersion"), value.get("kind")
    if isinstance(api, str):
        if api != GROUP and not api.startswith(f"{GROUP}/"):
            return None
    elif kind not in KINDS:
        return None
    elif "apiVersion" not in value:
        document.report(Problem("missing-field", ("apiVersion",), "missing", f"add apiVersion: {API_VERSION}"))
    document.kind = kind if isinstance(kind, str) else ""
    return document


_ROOT = f"begin it with apiVersion: {API_VERSION}"


def _means_us(value: object) -> bool:
    if isinstance(value, str):
        return f"{GROUP}/" in value
    items = value if isinstance(value, list) else []
    return any(isinstance(item, dict) and str(item.get("apiVersion")).startswith(f"{GROUP}/") for item in items)


def _give_form(document: Document) -> None:
    data = document.data
    problems = list(_header(data)) if data else []
    readable = not problems and document.sound and not document.composed.merged and document.kind in KINDS
    model: AnyDocument | None = None
    if readable:
        model, problems = form(document.kind, data)
    unknown = {problem.path for problem in problems if problem.code == "unknown-field"}
    flawed = {flaw.path for flaw in document.composed.flaws if flaw.code != "duplicate-key"}
    for flaw in document.composed.flaws:
        # What is said of an unknown field's value, or of how its name is written, is beside the point.
        if flaw.code == "wrong-type" and any(flaw.path[: n + 1] in unknown for n in range(len(flaw.path))):
            continue
        line, column = flaw.place
        document.faults.append(
            Fault(document.file, line, column, flaw.code, path_text(flaw.path), flaw.problem, flaw.remedy)
        )
    for problem in problems:
        if problem.path not in flawed or problem.code == "unknown-field":
            if problem.remedy == QUOTE and problem.path in document.composed.texts:
                problem = replace(problem, remedy=f'quote it: "{document.composed.texts[problem.path]}"')
            document.report(problem)
    if document.sound:
        document.model = document.salvage = model
    elif readable:
        document.broken = Broken(dict.fromkeys(flawed, "flaw") | {item.path: _cause(item) for item in problems})
        document.salvage = model or _salvage(document, document.broken.paths)


def _cause(problem: Problem) -> str:
    return _MISSPELT if problem.code == "unknown-field" and problem.nearest else problem.code


def _header(data: Mapping[str, object]) -> Iterator[Problem]:
    api, kind = data.get("apiVersion"), data.get("kind")
    if isinstance(api, str) and api != API_VERSION:
        yield Problem(
            "unknown-reference",
            ("apiVersion",),
            f'no version "{api.removeprefix(GROUP + "/")}" of {GROUP}',
            f"use {API_VERSION}",
            API_VERSION,
        )
    if "kind" not in data:
        yield Problem("missing-field", ("kind",), "missing", f"add it: one of {', '.join(KINDS)}")
    elif not isinstance(kind, str):
        yield Problem("wrong-type", ("kind",), f"is {describe(kind)}, not text", f"use one of {', '.join(KINDS)}")
    elif kind not in KINDS:
        near = nearest(kind, KINDS)
        remedy = f'did you mean "{near}"?' if near else f"use one of {', '.join(KINDS)}"
        yield Problem("unknown-reference", ("kind",), f'no kind "{kind}"', remedy, near)


def _salvage(document: Document, broken: Set[Path]) -> AnyDocument | None:
    """The document without its faulty fields, if that has the kind's form."""
    paths = [path for path in broken if path in document.composed.places]
    outermost = [path for path in paths if not any(path[:length] in broken for length in range(len(path)))]
    data = without(document.data, outermost)
    if data is None:
        return None
    try:
        return KINDS[document.kind].model_validate(data, by_name=False, by_alias=True)
    except ValidationError:
        return None
