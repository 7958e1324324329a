"""From a document's values to its model, or to everything in which it has not its kind's form."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pointsman.documents.alert import AlertRule
from pointsman.documents.faults import QUOTE, Path, Problem, describe, nearest, path_text
from pointsman.documents.platform import Platform
from pointsman.documents.pod_template import shape
from pointsman.documents.policy import RolloutPolicy
from pointsman.documents.pool import AcceleratorPool
from pointsman.documents.scalars import NAME, DurationFrom
from pointsman.documents.service import ModelService

__all__ = ["KINDS", "AnyDocument", "form", "without"]

AnyDocument = Platform | AcceleratorPool | RolloutPolicy | ModelService | AlertRule

KINDS: Mapping[str, type[AnyDocument]] = {
    "Platform": Platform,
    "AcceleratorPool": AcceleratorPool,
    "RolloutPolicy": RolloutPolicy,
    "ModelService": ModelService,
    "AlertRule": AlertRule,
}
"""Kind → its model."""

_WANTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a map",
    "mapping": "a map",
    "model": "a map",
}
_LEAST = {"greater_than_equal": ("ge", "less than"), "greater_than": ("gt", "not more than")}
_MOST = {"less_than_equal": ("le", "more than"), "less_than": ("lt", "not less than")}


def form(kind: str, data: Mapping[str, object]) -> tuple[AnyDocument | None, list[Problem]]:
    """The document, or None and every problem of its form; a pod template's may come with a document."""
    problems: list[Problem] = []
    document: AnyDocument | None = None
    try:
        # By name would take `request_timeout` for `requestTimeout`.
        document = KINDS[kind].model_validate(data, by_name=False, by_alias=True)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A list is also told to be too short when its items are faulty.
        faulty = {item["loc"][:length] for item in errors for length in range(len(item["loc"]))}
        errors = [item for item in errors if item["type"] != "too_short" or item["loc"] not in faulty]
        problems = [_problem(KINDS[kind], data, cast("Mapping[str, Any]", item)) for item in errors]
    if kind == "ModelService":
        spec = data.get("spec")
        template = spec.get("template") if isinstance(spec, Mapping) else None
        if isinstance(template, Mapping):
            problems += shape(cast("Mapping[str, object]", template), ("spec", "template"))
    return document, list(_once(problems))


def _once(problems: list[Problem]) -> Iterator[Problem]:
    """One mistake is one fault: a required field whose name has a typo is unknown, and not missing besides."""
    missing = {item.path for item in problems if item.code == "missing-field"}
    meant: set[Path] = set()
    told: list[Problem] = []
    for item in problems:
        beside = [str(path[-1]) for path in missing if path[:-1] == item.path[:-1]]
        near = nearest(str(item.path[-1]), beside, 0.6) if item.code == "unknown-field" and beside else None
        if near is not None:
            meant.add((*item.path[:-1], near))
            item = replace(item, remedy=f'did you mean "{near}"?', nearest=near)
        told.append(item)
    return (item for item in told if item.path not in meant or item.code != "missing-field")


def without(data: Mapping[str, object], paths: list[Path]) -> dict[str, object] | None:
    """A copy of the values without these fields; None where one of them is an item of a list, or not there."""
    copy = cast("dict[str, object]", _copy(data))
    for path in paths:
        value: Any = copy
        try:
            for part in path[:-1]:
                value = value[part]
            if not path or isinstance(path[-1], int):
                return None
            del value[path[-1]]
        except (LookupError, TypeError):
            return None
    return copy


def _copy(value: object) -> object:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _problem(model: type[BaseModel], data: object, error: Mapping[str, Any]) -> Problem:
    kind, value = str(error["type"]), error["input"]
    path = _path(error["loc"], data)
    if kind == "missing":
        return Problem("missing-field", path, "missing", _add(_field(model, path, data)))
    if kind == "extra_forbidden":
        return _unknown(model, path, data)
    if kind == "union_tag_not_found":
        return Problem("missing-field", (*path, "type"), "missing", f"use one of {_expected(error)}")
    if kind == "union_tag_invalid":
        value, path = cast("Mapping[str, object]", value)["type"], (*path, "type")
    if kind in ("union_tag_invalid", "literal_error"):
        if not isinstance(value, str):
            return Problem("wrong-type", path, f"is {describe(value)}, not text", QUOTE)
        near = nearest(value, _words(error))
        remedy = f'did you mean "{near}"?' if near else f"use one of {_expected(error)}"
        return Problem("out-of-bounds", path, f'"{_cut(value)}" is none of {_expected(error)}', remedy, near)
    if kind == "type" or (kind.endswith("_type") and kind != "timezone_type") or kind == "int_from_float":
        wanted = _WANTED.get(kind.partition("_")[0], "a value of another type")
        what = f"{describe(value)}, not {wanted}" if kind != "type" else f"{describe(value)}: {error['msg']}"
        return Problem("wrong-type", path, f"is {what}", _remedy(model, path, data, value, wanted))
    return Problem("out-of-bounds", path, _bound(kind, error, value), _write_as(_field(model, path, data), kind, error))


def _bound(kind: str, error: Mapping[str, Any], value: object) -> str:
    context = error.get("ctx", {})
    for table in (_LEAST, _MOST):
        if kind in table:
            key, words = table[kind]
            return f"{value} is {words} {context[key]:g}"
    match kind:
        case "string_pattern_mismatch":
            return (
                f'"{_cut(str(value))}" is no name'
                if context.get("pattern") == NAME
                else f'"{_cut(str(value))}" has not the form'
            )
        case "string_too_long":
            return f"{len(str(value))} characters, at most {context['max_length']}"
        case "string_too_short":
            return "is empty"
        case "too_long":
            return f"{context['actual_length']} items, at most {context['max_length']}"
        case "too_short":
            return "is empty" if not context["actual_length"] else f"fewer than {context['min_length']} items"
        case "finite_number":
            return f"{value} is no number to count with"
        case _:
            return str(error["msg"])


def _write_as(field: FieldInfo | None, kind: str, error: Mapping[str, Any]) -> str:
    if remedy := error.get("ctx", {}).get("remedy"):
        return str(remedy)
    if error.get("ctx", {}).get("pattern") == NAME and kind == "string_pattern_mismatch":
        return "use lower case letters, digits and -, a letter first"
    if kind == "string_too_long":
        return "shorten it"
    if kind == "too_long":
        return "remove some"
    if kind == "too_short":
        return "give at least one"
    if kind in ("bounds", *_LEAST, *_MOST):
        return "choose a value within the bounds"
    example = _example(field)
    return f"write it as {example}" if example else "see its description in the reference"


def _remedy(model: type[BaseModel], path: Path, data: object, value: object, wanted: str) -> str:
    field = _field(model, path, data)
    example = _example(field)
    if wanted == "text" and not isinstance(value, (list, dict)) and not (field and _is_duration(field)):
        return QUOTE
    return f"write it as {example}" if example else f"give {wanted}"


def _is_duration(field: FieldInfo) -> bool:
    inner = [item for option in (field.annotation, *get_args(field.annotation)) for item in get_args(option)]
    return any(isinstance(item, DurationFrom) for item in (*field.metadata, *inner))


def _add(field: FieldInfo | None) -> str:
    example = _example(field)
    return f"add it, as {example}" if example else "add it"


def _example(field: FieldInfo | None) -> str:
    if field is None or not field.examples:
        return ""
    example = field.examples[0]
    return str(example) if not isinstance(example, (dict, list)) else ""


def _expected(error: Mapping[str, Any]) -> str:
    return ", ".join(_words(error))


def _words(error: Mapping[str, Any]) -> list[str]:
    context = error["ctx"]
    text = str(context.get("expected_tags") or context.get("expected") or "Ratio, Latency, Mean")
    return [word.strip(" '\"") for word in text.replace(" or ", ", ").split(",")]


def _cut(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:57]}..."


def _unknown(model: type[BaseModel], path: Path, data: object) -> Problem:
    name = str(path[-1])
    known = [_alias(field, own) for own, field in _fields(model, path[:-1], data).items()]
    if path == ("status",):
        return Problem("unknown-field", path, "written by pointsman", "remove it, and read it with `pointsman status`")
    near = nearest(name, known)
    home = None if near else _home(model, path[:-1], name, data)
    if near:
        remedy = f'did you mean "{near}"?'
    elif home:
        remedy = f"it belongs in {path_text(home)}"
    elif len(known) <= 8:
        remedy = f"known here: {', '.join(known)}"
    else:
        remedy = "remove it, or see the reference"
    return Problem("unknown-field", path, "unknown field", remedy, near)


def _home(model: type[BaseModel], path: Path, name: str, data: object) -> Path | None:
    """The map just below or above this one that has a field of this name."""
    if any(isinstance(part, int) for part in path):
        return None
    for alias in _fields(model, path, data):
        if name in _fields(model, (*path, alias), data):
            return (*path, alias)
    return path[:-1] if path and name in _fields(model, path[:-1], data) else None


def _path(location: tuple[str | int, ...], data: object) -> Path:
    """An error's location without what pydantic adds: the tag of a union, the mark of a key."""
    path: list[str | int] = []
    value: Any = data
    for part in location:
        if part == "[key]":
            continue
        if isinstance(value, Mapping) and part not in value and value.get("type") == part:
            continue
        path.append(part)
        try:
            value = value[part]
        except (LookupError, TypeError):
            value = None
    return tuple(path)


def _alias(field: FieldInfo, name: str) -> str:
    return field.alias or name


@cache
def _by_alias(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    return {_alias(field, name): field for name, field in model.model_fields.items()}


def _fields(model: type[BaseModel], path: Path, data: object) -> Mapping[str, FieldInfo]:
    """The fields of the model at this path, as far as there is one."""
    models: list[type[BaseModel]] = [model]
    value: Any = data
    for part in path:
        try:
            value = value[part]
        except (LookupError, TypeError):
            value = None
        if isinstance(part, int):
            continue
        models = [
            found for item in models if part in _by_alias(item) for found in _models(_by_alias(item)[part].annotation)
        ]
    if len(models) > 1 and isinstance(value, Mapping):
        tagged = [item for item in models if value.get("type") in get_args(item.model_fields["type"].annotation)]
        models = tagged or models
    return {name: field for item in models for name, field in _by_alias(item).items()}


def _field(model: type[BaseModel], path: Path, data: object) -> FieldInfo | None:
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return _fields(model, path[:-1], data).get(str(path[-1])) if path else None


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """The models that an annotation holds, through options, lists and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType, tuple):
        for argument in get_args(annotation):
            yield from _models(argument)
