"""A provider's schema, as Terraform's core sees it, and its form in a file."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Attribute", "Block", "BlockType", "Schema", "Type", "read", "write"]

Type: TypeAlias = str | list[Any]
"""A type in Terraform's JSON: `"string"`, `["list", "string"]`, `["object", {"name": "string"}]`."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An argument, or what is only given back (`computed` alone). `allowed`: its values, where they are known."""

    type: Type
    required: bool = False
    optional: bool = False
    computed: bool = False
    allowed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Block:
    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: dict[str, "BlockType"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlockType:
    """A nested block: `mode` is `single`, `list`, `set` or `map`; `most` 0 is without limit."""

    mode: str
    block: Block
    least: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class Schema:
    version: str
    provider: Block
    resources: dict[str, Block]
    data_sources: dict[str, Block]


def write(schema: Schema, path: Path) -> None:
    content = {
        "version": schema.version,
        "provider": _out(schema.provider),
        "resources": {name: _out(block) for name, block in sorted(schema.resources.items())},
        "data_sources": {name: _out(block) for name, block in sorted(schema.data_sources.items())},
    }
    with gzip.open(path, "wt", compresslevel=6) as file:
        json.dump(content, file, separators=(",", ":"), sort_keys=True)


def read(path: Path) -> Schema:
    with gzip.open(path, "rt") as file:
        content: dict[str, Any] = json.load(file)
    return Schema(
        content["version"],
        _in(content["provider"]),
        {name: _in(block) for name, block in content["resources"].items()},
        {name: _in(block) for name, block in content["data_sources"].items()},
    )


def _out(block: Block) -> Mapping[str, Any]:
    attributes = {
        name: [item.type, item.required, item.optional, item.computed, list(item.allowed)]
        for name, item in block.attributes.items()
    }
    blocks = {name: [item.mode, _out(item.block), item.least, item.most] for name, item in block.blocks.items()}
    return {"a": attributes, "b": blocks}


def _in(data: Mapping[str, Any]) -> Block:
    return Block(
        {name: _attribute(item) for name, item in data["a"].items()},
        {name: BlockType(mode, _in(inner), least, most) for name, (mode, inner, least, most) in data["b"].items()},
    )


def _attribute(item: Sequence[Any]) -> Attribute:
    wire, required, optional, computed, allowed = item
    return Attribute(wire, required, optional, computed, tuple(allowed))
