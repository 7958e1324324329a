"""`docs/reference/documents.md`: every field of the five kinds, made from their JSON Schemas."""

import json
from collections.abc import Container, Iterator, Mapping
from typing import Any

from pointsman.documents.forms import KINDS
from pointsman.documents.scalars import NAME
from pointsman_cli.schemas import document_schema

__all__ = ["reference"]

# Told once and referred to, since they stand in several places.
_SHARED = {
    "PolicySpec": "[RolloutPolicy](#rolloutpolicy) `spec`",
    "Cohort": "cohort",
    "LabelSelector": "Kubernetes label selector",
    "PodTemplateSpec": "PodTemplateSpec",
}
_INTRODUCTION = """\
# What users write

Made from the models by `python -m pointsman_cli.generate`: do not edit. Editors take the same from `schemas/`.

Documents have `apiVersion: pointsman.dev/v1`, `kind`, `metadata` and `spec`; fields are in camelCase. Unknown fields,
`null`, duplicate keys and merge keys are faults. **R** marks required fields. Durations are strings of hours,
minutes, seconds and milliseconds (`90s`, `1h30m`); times are RFC 3339 with a zone; `secret` names a secret of Secret
Manager. `pointsman validate` says every fault with file, line, column, path and remedy.
"""


def reference() -> str:
    """The page, as Markdown."""
    parts = [_INTRODUCTION]
    for kind, model in KINDS.items():
        schema = document_schema(kind)
        parts.append(f"## {kind}\n\n{' '.join((model.__doc__ or '').split())}\n")
        shared = {name: text for name, text in _SHARED.items() if (kind, name) != ("RolloutPolicy", "PolicySpec")}
        parts.append(_table(_Rows(schema["$defs"], shared).of(schema, "")))
    definitions = document_schema("RolloutPolicy")["$defs"]
    parts.append("## Cohort\n\nIn `steps[]` of a RolloutPolicy and in an experiment.\n")
    parts.append(_table(_Rows(definitions, _SHARED).of(definitions["Cohort"], "cohort.")))
    return "\n".join(parts)


def _table(rows: Iterator[str]) -> str:
    return "\n".join(["| field | type, bounds | default | meaning |", "|---|---|---|---|", *rows, ""])


class _Rows:
    """The rows of a schema, depth first; a definition of `shared` is named and not told again."""

    def __init__(self, definitions: dict[str, Any], shared: Mapping[str, str]) -> None:
        self._definitions = definitions
        self._shared = shared

    def of(self, schema: dict[str, Any], prefix: str, only: str = "", skip: Container[str] = ()) -> Iterator[str]:
        for name, field in schema["properties"].items():
            if name in skip or (not prefix and name in ("apiVersion", "kind")):
                continue
            target, ending = _target(field)
            path = f"{prefix}{name}{ending}"
            required = " **R**" if name in schema.get("required", ()) else ""
            meaning = f"{only}{_meaning(field, self._definitions.get(target or '', {}))}"
            yield f"| `{path}`{required} | {self._type(field)} | {_default(field)} | {meaning} |"
            if target in self._definitions and target not in self._shared:
                yield from self.of(self._definitions[target], f"{path}.")
            yield from self._union(field, f"{path}.")

    def _union(self, field: dict[str, Any], prefix: str) -> Iterator[str]:
        """The members of a union by `type`: what they have in common once, then what each has of its own."""
        options = [self._definitions[_name(option)] for option in field.get("items", {}).get("oneOf", ())]
        if not options:
            return
        first = options[0]["properties"]
        yield f"| `{prefix}name` **R** | {self._type(first['name'])} | | {_meaning(first['name'], {})} |"
        types = [option["properties"]["type"]["const"] for option in options]
        yield f"| `{prefix}type` **R** | {' '.join(f'`{value}`' for value in types)} | | Form of the metric. |"
        for value, option in zip(types, options, strict=True):
            yield from self.of(option, prefix, f"`{value}`: ", skip=("name", "type"))

    def _type(self, field: dict[str, Any]) -> str:
        if "$ref" in field:
            return self._shared.get(_name(field), "map")
        if "enum" in field or "const" in field:
            return " ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
        kind = field.get("type")
        if kind == "array":
            items = field["items"]
            inner = "maps" if "$ref" in items or "oneOf" in items else f"list of {self._type(items)}"
            bounds = _bounds(field, "minItems", "maxItems").removeprefix(",")
            return f"{inner}; {bounds.strip()} items" if bounds else inner
        if kind == "object":
            return "map of text"
        if "anyOf" in field:
            return "whole number or percentage"
        if "duration" in field.get("x-unit", ""):
            return f"duration, {field['x-minimum']}–{field['x-maximum']}"
        if field.get("format") == "date-time":
            return "time"
        if kind in ("integer", "number"):
            words = "whole number" if kind == "integer" else "number"
            unit = ", at most one decimal" if "x-decimals" in field else ""
            return f"{words}{_bounds(field, 'minimum', 'maximum')}{unit}"
        words = "name" if field.get("pattern") == NAME else "text"
        least = f", at least {field['x-minimum']}" if "x-minimum" in field else ""
        longest = f", at most {field['maxLength']} characters" if "maxLength" in field else ""
        return f"{words}{longest}{least}"


def _name(field: dict[str, Any]) -> str:
    return str(field["$ref"]).rsplit("/", 1)[-1]


def _target(field: dict[str, Any]) -> tuple[str | None, str]:
    """The definition that a field refers to, and `[]` for a list of it."""
    if "$ref" in field:
        return _name(field), ""
    items = field.get("items")
    if isinstance(items, dict):
        return (_name(items) if "$ref" in items else None), "[]"
    return None, ""


def _bounds(field: dict[str, Any], least: str, most: str) -> str:
    if "exclusiveMinimum" in field:
        return f" > {field['exclusiveMinimum']:g}"
    low, high = field.get(least), field.get(most)
    if low is None and high is None:
        return ""
    if high is None:
        return f" ≥ {low:g}"
    return f", {low or 0:g}–{high:,}" if isinstance(high, int) else f", {low or 0:g}–{high:g}"


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return ""
    value = field["default"]
    if value in ({}, []):
        return "" if value == {} else "none"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _meaning(field: dict[str, Any], target: dict[str, Any]) -> str:
    # What a field would say in the words of its type is left out of the schema.
    text = str(field.get("description") or target.get("description", "")).replace("|", "\\|")
    examples = field.get("examples")
    if examples and not isinstance(examples[0], (dict, list)) and examples[0] != field.get("default"):
        text += f" Example: `{examples[0]}`."
    return text
