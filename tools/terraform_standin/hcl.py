"""Terraform's files without Terraform: parsed by python-hcl2 and held against the schema.

Finds names that no resource has, arguments that are missing, values that are none of those allowed, and references to
what is not declared. It evaluates nothing: what an expression becomes only Terraform knows.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.terraform_standin.schema import Attribute, Block, Schema

__all__ = ["Module", "faults", "parsed"]

META = {"count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection"}
_REFERENCE = re.compile(r"(?<![\w.\"$-])(data\.)?((?:google_\w+|local|var|module))\.(\w+)")
_STRING = re.compile(r"[A-Za-z0-9_.-]*")

BUILT_IN = {"terraform_data": Block({"input": Attribute("dynamic"), "triggers_replace": Attribute("dynamic")})}
"""Resources that are Terraform's own."""

Module = Mapping[str, Mapping[str, Any]]
"""File → its content as python-hcl2 gives it."""


def parsed(folder: Path) -> Module:
    """The files of one module. Raises ValueError for a file that is no HCL, naming it."""
    import hcl2
    from hcl2.utils import SerializationOptions

    options = SerializationOptions(strip_string_quotes=True, with_comments=False)
    module = {}
    for path in sorted(folder.glob("*.tf")):
        try:
            module[path.name] = hcl2.loads(path.read_text(), serialization_options=options)
        except Exception as error:  # its parser raises several kinds, all of which say where
            raise ValueError(f"{path.name}: {error}") from error
    return module


def faults(module: Module, schema: Schema) -> list[str]:
    """All faults of a module, each with its file and the place in it."""
    return [*_against_schema(module, schema), *_dangling(module)]


def blocks(module: Module, kind: str) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """File, type, name and body of every `resource` or `data`."""
    for file, content in module.items():
        for item in content.get(kind, ()):
            for type_name, named in item.items():
                for name, body in named.items():
                    yield file, type_name, name, body


def _against_schema(module: Module, schema: Schema) -> Iterator[str]:
    for kind, known in (("resource", {**schema.resources, **BUILT_IN}), ("data", schema.data_sources)):
        for file, type_name, name, body in blocks(module, kind):
            where = f"{file}: {type_name}.{name}"
            if type_name not in known:
                yield f"{where}: no such {kind}"
            else:
                yield from _in_block(where, known[type_name], body, META)


def _in_block(where: str, block: Block, body: Mapping[str, Any], also: set[str]) -> Iterator[str]:
    given = {name for name in body if not name.startswith("__")}
    made = {name for item in body.get("dynamic", ()) for name in item}
    for name in sorted(given - set(block.attributes) - set(block.blocks) - also - {"dynamic"}):
        yield f"{where}: no argument {name}"
    for name in sorted(made - set(block.blocks)):
        yield f"{where}: no block {name}"
    for name, attribute in block.attributes.items():
        if attribute.required and name not in given:
            yield f"{where}: {name} is missing"
        value = body.get(name)
        literal = isinstance(value, str) and _STRING.fullmatch(value) and "." not in value
        if attribute.allowed and literal and value not in attribute.allowed and not _is_null(value):
            yield f"{where}: {name} is {value}, none of {', '.join(attribute.allowed)}"
    for name, nested in block.blocks.items():
        items = body.get(name, [])
        if nested.least and not items and name not in made:
            yield f"{where}: a block {name} is missing"
        for item in items if isinstance(items, list) else [items]:
            yield from _in_block(f"{where}.{name}", nested.block, item, set())
        for dynamic in body.get("dynamic", ()):
            if name in dynamic:
                for content in dynamic[name].get("content", ()):
                    yield from _in_block(f"{where}.{name}", nested.block, content, set())


def _is_null(value: object) -> bool:
    return value in ("null", "true", "false")


def _dangling(module: Module) -> Iterator[str]:
    """References of a module to what it does not declare."""
    declared = {(kind, name) for _, kind, name, _ in blocks(module, "resource")}
    data = {(kind, name) for _, kind, name, _ in blocks(module, "data")}
    for content in module.values():
        declared |= {("local", name) for item in content.get("locals", ()) for name in item}
        declared |= {("var", name) for item in content.get("variable", ()) for name in item}
        declared |= {("module", name) for item in content.get("module", ()) for name in item}
    for file, content in module.items():
        for text in _texts(content):
            for is_data, kind, name in _REFERENCE.findall(text):
                if (kind, name) not in (data if is_data else declared):
                    yield f"{file}: {is_data}{kind}.{name} is not declared"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item)
            if "${" in str(name):
                yield str(name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
