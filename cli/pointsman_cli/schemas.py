"""JSON Schemas of what users write and of what pointsman records, made from the models that are enforced."""

import dataclasses
import types
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from pointsman.core.encoding import VERSION
from pointsman.core.judge.ticks import Tick
from pointsman.core.records import DecisionRecord
from pointsman.documents.forms import KINDS
from pointsman.documents.pod_template import PodField, pod_types
from pointsman.documents.scalars import QUANTITY
from pointsman_cli.judging.recording_schema import recording_schema

__all__ = ["document_schema", "models_of", "record_schema", "schemas"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
HOME = "https://pointsman.dev/schemas"
POD = "PodTemplateSpec"

_FILES = {
    "Platform": "platform",
    "AcceleratorPool": "accelerator-pool",
    "RolloutPolicy": "rollout-policy",
    "ModelService": "model-service",
    "AlertRule": "alert-rule",
}

Schema = dict[str, Any]


def schemas() -> dict[str, Schema]:
    """File name below `schemas/` → schema."""
    found = {f"{_FILES[kind]}.json": document_schema(kind) for kind in KINDS}
    found["decision-record.json"] = record_schema(DecisionRecord, "One decision with its inputs", versioned=True)
    found["tick.json"] = record_schema(Tick, "What the judge is given in one tick", versioned=False)
    found["recording.json"] = {"$schema": DIALECT, "$id": f"{HOME}/recording.json", **recording_schema()}
    return found


def document_schema(kind: str) -> Schema:
    """The schema of one kind. What spans several fields or documents is `pointsman validate`'s."""
    model = KINDS[kind]
    schema = model.model_json_schema(by_alias=True)
    _complete(schema, model)
    definitions = schema.pop("$defs", {})
    if kind == "ModelService":
        definitions |= _pod_definitions()
        definitions["ServiceSpec"]["properties"]["template"] |= {"$ref": f"#/$defs/{POD}"}
    document = {
        "$schema": DIALECT,
        "$id": f"{HOME}/{_FILES[kind]}.json",
        **schema,
        "$defs": dict(sorted(definitions.items())),
    }
    plain = _plain(document)
    assert isinstance(plain, dict)
    return plain


def models_of(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and every model in it, each once."""
    seen: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        found = waiting.pop()
        if found in seen:
            continue
        seen.add(found)
        yield found
        for field in found.model_fields.values():
            waiting += _models(field.annotation)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _complete(schema: Schema, model: type[BaseModel]) -> None:
    """Titles in words; and `{}` takes the defaults of a map, which pydantic does not say of a factory."""
    for found in models_of(model):
        properties = (schema if found is model else schema["$defs"][found.__name__])["properties"]
        for name, field in found.model_fields.items():
            properties[field.alias or name]["title"] = name.replace("_", " ").capitalize()
            if field.default_factory is not None:
                properties[field.alias or name].setdefault("default", {})


def _plain(value: object) -> object:
    """Without null, which no document may have: neither as an alternative nor in a default."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {key: _plain(item) for key, item in value.items() if not (key == "default" and item is None)}
    options = schema.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        del schema["anyOf"]
        schema |= rest[0] if len(rest) == 1 else {"anyOf": rest}
    if "default" in schema:
        schema["default"] = _without_null(schema["default"])
    return schema


def _without_null(value: object) -> object:
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return value


# --- pod templates ---------------------------------------------------------------------------------------

_SCALARS: Mapping[str, Schema] = {
    "text": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "int": {"type": "integer"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "int-or-text": {"type": ["integer", "string"]},
    "quantity": {"type": ["number", "string"], "pattern": QUANTITY},
    "object": {"type": "object"},
}


def _pod_definitions() -> Schema:
    definitions: Schema = {}
    for kind, fields in pod_types().items():
        definitions[kind if kind == POD else f"Pod.{kind}"] = {
            "type": "object",
            "title": kind,
            "properties": {name: _pod_field(field) for name, field in fields.items()},
            "required": [name for name, field in fields.items() if field.required],
            "additionalProperties": False,
        }
    definitions["Pod.Container"]["required"].append("image")
    return definitions


def _pod_field(field: PodField) -> Schema:
    inner = dict(_SCALARS.get(field.type) or {"$ref": f"#/$defs/Pod.{field.type}"})
    match field.form:
        case "list":
            return {"type": "array", "items": inner}
        case "map":
            return {"type": "object", "additionalProperties": inner}
        case _:
            return inner


# --- records ---------------------------------------------------------------------------------------------


def record_schema(record: type, title: str, *, versioned: bool) -> Schema:
    """The schema of a frozen dataclass or named tuple as it is written: its fields' names, times in RFC 3339."""
    definitions: Schema = {}
    schema = _record(record, definitions)
    if versioned:
        schema["properties"] = {"v": {"const": VERSION, "description": "Version of the form."}, **schema["properties"]}
        schema["required"] = ["v", *schema["required"]]
    name = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in record.__name__).strip("-")
    found = {"$schema": DIALECT, "$id": f"{HOME}/{name}.json", "title": title, **schema}
    return {**found, "$defs": dict(sorted(definitions.items()))} if definitions else found


def _record(kind: Any, definitions: Schema) -> Schema:
    hints = get_type_hints(kind)
    if dataclasses.is_dataclass(kind):
        none = (dataclasses.MISSING, dataclasses.MISSING)
        is_required = {f.name: (f.default, f.default_factory) == none for f in dataclasses.fields(kind)}
    else:
        is_required = {name: name not in kind._field_defaults for name in kind._fields}
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "properties": {name: _hint(hints[name], definitions) for name in is_required},
        "required": [name for name, needed in is_required.items() if needed],
        "additionalProperties": False,
    }


def _hint(hint: Any, definitions: Schema) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        options = [_hint(argument, definitions) for argument in inner]
        return {"anyOf": [*options, {"type": "null"}]} if len(inner) < len(arguments) else {"anyOf": options}
    if origin is tuple:
        return {"type": "array", "items": _hint(arguments[0], definitions)}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _hint(arguments[1], definitions)}
    if dataclasses.is_dataclass(hint) or hasattr(hint, "_field_defaults"):
        name = str(getattr(hint, "__name__", hint))
        if name not in definitions:
            definitions[name] = {}
            definitions[name] |= _record(hint, definitions)
        return {"$ref": f"#/$defs/{name}"}
    if hint is datetime:
        return {"type": "string", "format": "date-time"}
    if hint is object:
        return {}
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean"}[hint]}
