"""The shape of a PodTemplateSpec: unknown fields, wrong types and missing ones, before Kubernetes sees it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

from pointsman.documents.faults import QUOTE, Path, Problem, describe, nearest
from pointsman.documents.pod_fields import TYPES
from pointsman.documents.scalars import QUANTITY

__all__ = ["PodField", "containers", "pod_types", "shape"]

_QUANTITY = re.compile(QUANTITY)
_PORTS = {"containerPort", "hostPort"}


@dataclass(frozen=True, slots=True)
class PodField:
    """One field of one type. `form` is `one`, `list` or `map`; `type` a scalar's word or a type's name."""

    name: str
    type: str
    form: str
    required: bool


@cache
def pod_types() -> Mapping[str, Mapping[str, PodField]]:
    """Type → field's name → field, of everything in a PodTemplateSpec."""
    types: dict[str, dict[str, PodField]] = {}
    for line in TYPES.replace("\n  ", " ").splitlines():
        kind, *fields = line.split()
        types[kind] = {}
        for text in fields:
            name, _, declared = text.partition(":")
            required = name.endswith("!")
            name = name.rstrip("!")
            form = {"[": "list", "{": "map"}.get(declared[:1], "one")
            inner = declared.strip("[]{}") or "text"
            # A pod cannot be without a spec, though the API's schema does not say so.
            types[kind][name] = PodField(name, inner, form, required or (kind, name) == ("PodTemplateSpec", "spec"))
    return types


def shape(template: Mapping[str, object], path: Path) -> Iterator[Problem]:
    """What in the template does not have a PodTemplateSpec's form. Nulls are not told: they are faults already."""
    yield from _object("PodTemplateSpec", template, path)


def containers(template: Mapping[str, object], path: Path) -> Iterator[tuple[Mapping[str, object], Path]]:
    """Every container of a template, the server first, with its path; only what has a container's form."""
    spec = template.get("spec")
    if not isinstance(spec, dict):
        return
    for group in ("containers", "initContainers", "ephemeralContainers"):
        items = spec.get(group)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                yield item, (*path, "spec", group, index)


def _object(kind: str, value: Mapping[str, object], path: Path) -> Iterator[Problem]:
    known = pod_types()[kind]
    for name, item in value.items():
        field = known.get(name)
        if field is None:
            near = nearest(name, known)
            remedy = f'did you mean "{near}"?' if near else f"a {kind} has no such field: remove it"
            yield Problem("unknown-field", (*path, name), "unknown field", remedy, near)
        elif item is not None:
            yield from _field(field, item, (*path, name))
    for field in known.values():
        if field.required and field.name not in value:
            yield Problem("missing-field", (*path, field.name), "missing", "add it")
    if kind == "Container" and "image" not in value:
        yield Problem("missing-field", (*path, "image"), "missing", "name the container's image")


def _field(field: PodField, value: object, path: Path) -> Iterator[Problem]:
    if field.form == "list":
        if not isinstance(value, list):
            yield _wrong(path, value, "a list")
            return
        if not value and field.required:
            yield Problem("out-of-bounds", path, "is empty", "give at least one")
        for index, item in enumerate(cast("Sequence[object]", value)):
            if item is not None:
                yield from _one(field, item, (*path, index))
    elif field.form == "map":
        if not isinstance(value, dict):
            yield _wrong(path, value, "a map")
            return
        for key, item in value.items():
            if item is not None:
                yield from _one(field, item, (*path, str(key)))
    else:
        yield from _one(field, value, path)


def _one(field: PodField, value: object, path: Path) -> Iterator[Problem]:
    match field.type:
        case "text" | "time":
            if not isinstance(value, str):
                yield _wrong(path, value, "text")
        case "int":
            if isinstance(value, bool) or not isinstance(value, int):
                yield _wrong(path, value, "a whole number")
            elif field.name in _PORTS and not 0 <= value <= 65535:
                yield Problem("out-of-bounds", path, f"{value} is no port", "use a number from 1 to 65535")
        case "number":
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                yield _wrong(path, value, "a number")
        case "bool":
            if not isinstance(value, bool):
                yield _wrong(path, value, "true or false")
        case "int-or-text":
            if isinstance(value, bool) or not isinstance(value, (int, str)):
                yield _wrong(path, value, "a number or a name")
        case "quantity":
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                yield _wrong(path, value, "a quantity")
            elif not _QUANTITY.match(str(value)):
                yield Problem("out-of-bounds", path, f"{value!r} is no quantity", "write it as 200Gi, 500m or 4")
        case "object":
            if not isinstance(value, dict):
                yield _wrong(path, value, "a map")
        case kind:
            if isinstance(value, dict):
                yield from _object(kind, value, path)
            else:
                yield _wrong(path, value, "a map")


def _wrong(path: Path, value: object, wanted: str) -> Problem:
    remedy = QUOTE if wanted == "text" and not isinstance(value, (list, dict)) else f"give {wanted}"
    return Problem("wrong-type", path, f"is {describe(value)}, not {wanted}", remedy)
