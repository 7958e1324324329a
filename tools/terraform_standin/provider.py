"""The provider: one method a call of the plugin protocol. It plans what is configured, and keeps it."""

import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.terraform_standin.messages import message
from tools.terraform_standin.schema import Block, Schema, read
from tools.terraform_standin.values import UNKNOWN, decode, encode, filled, made_up

__all__ = ["CALLS", "Provider"]

_NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}
ERROR = 1

REPLACING = frozenset(
    {"name", "account_id", "secret_id", "location", "region", "zone", "project", "role_id", "repository_id"}
)
"""Arguments whose change replaces nearly every resource: the binding does not say of which."""

CALLS: Mapping[str, str] = {
    "GetSchema": "Empty",
    "PrepareProviderConfig": "PrepareRequest",
    "Configure": "ConfigureRequest",
    "ValidateResourceTypeConfig": "TypeRequest",
    "ValidateDataSourceConfig": "TypeRequest",
    "UpgradeResourceState": "UpgradeRequest",
    "ReadResource": "ReadRequest",
    "PlanResourceChange": "PlanRequest",
    "ApplyResourceChange": "ApplyRequest",
    "ReadDataSource": "TypeRequest",
    "ImportResourceState": "ImportRequest",
    "Stop": "Empty",
}
"""Method of `tfplugin5.Provider` → its request. Each is a method of `Provider`, by its name in the protocol."""


class Provider:
    """Serves the schema in the file `path`. Project and region are those that the configuration gives the provider."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._defaults = {"project": "standin-project", "region": "standin-region", "location": "standin-region"}

    @cached_property
    def _schema(self) -> Schema:
        return read(self._path)

    def _block(self, name: str, *, data: bool = False) -> Block:
        return (self._schema.data_sources if data else self._schema.resources)[name]

    def GetSchema(self, _request: Any) -> bytes:  # noqa: N802
        """Kept beside the schema's file: to build it takes 0.3 s, and every command of Terraform asks."""
        kept = self._path.with_suffix(".pb")
        if not kept.exists() or kept.stat().st_mtime < self._path.stat().st_mtime:
            draft = kept.with_suffix(f".{os.getpid()}")
            draft.write_bytes(_as_message(self._schema))
            draft.replace(kept)
        return kept.read_bytes()

    def PrepareProviderConfig(self, request: Any) -> Any:  # noqa: N802
        return message("PrepareResponse")(prepared_config=request.config)

    def Configure(self, request: Any) -> Any:  # noqa: N802
        config = decode(request.config) or {}
        for name in ("project", "region"):
            if isinstance(config.get(name), str):
                self._defaults[name] = config[name]
        self._defaults["location"] = self._defaults["region"]
        return message("Diagnostics")()

    def ValidateResourceTypeConfig(self, request: Any) -> Any:  # noqa: N802
        return _diagnosed(self._block(request.type_name), decode(request.config))

    def ValidateDataSourceConfig(self, request: Any) -> Any:  # noqa: N802
        return _diagnosed(self._block(request.type_name, data=True), decode(request.config))

    def UpgradeResourceState(self, request: Any) -> Any:  # noqa: N802
        block = self._block(request.type_name)
        state = {
            name: value
            for name, value in json.loads(request.raw_state.json).items()
            if name in block.attributes or name in block.blocks
        }
        return message("UpgradeResponse")(upgraded_state=encode(filled(block, state, lambda *_: None)))

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        return message("ReadResponse")(new_state=request.current_state, private=request.private)

    def PlanResourceChange(self, request: Any) -> Any:  # noqa: N802
        before, proposed = decode(request.prior_state), decode(request.proposed_new_state)
        # The old type system's latitude: without it core refuses what is null in a plan and known afterwards.
        response = message("PlanResponse")(legacy_type_system=True)
        if proposed is not None and before is None:
            project = self._defaults["project"]
            proposed = filled(
                self._block(request.type_name),
                proposed,
                lambda path, attribute: project if path == "project" and attribute.optional else UNKNOWN,
            )
        elif proposed is not None:
            for name in sorted(REPLACING & set(before)):
                if before[name] is not None and proposed.get(name) != before[name]:
                    response.requires_replace.add().steps.add(attribute_name=name)
        response.planned_state.CopyFrom(encode(proposed))
        return response

    def ApplyResourceChange(self, request: Any) -> Any:  # noqa: N802
        planned = decode(request.planned_state)
        response = message("ApplyResponse")(legacy_type_system=True)
        response.new_state.CopyFrom(encode(planned and self._answered(request.type_name, planned)))
        return response

    def ReadDataSource(self, request: Any) -> Any:  # noqa: N802
        return message("DataResponse")(
            state=encode(self._answered(request.type_name, decode(request.config), data=True))
        )

    def ImportResourceState(self, request: Any) -> Any:  # noqa: N802
        response = message("ImportResponse")()
        state = filled(self._block(request.type_name), {"id": request.id}, lambda *_: None)
        response.imported_resources.add(type_name=request.type_name, state=encode(state))
        return response

    def Stop(self, _request: Any) -> Any:  # noqa: N802
        return message("Empty")()

    def _answered(self, name: str, arguments: Mapping[str, Any], *, data: bool = False) -> Any:
        return filled(self._block(name, data=data), arguments, made_up(name, arguments, self._defaults))


def _as_message(schema: Schema) -> bytes:
    response = message("SchemaResponse")()
    _write(schema.provider, response.provider.block)
    for blocks, entries in (
        (schema.resources, response.resource_schemas),
        (schema.data_sources, response.data_source_schemas),
    ):
        for name, block in sorted(blocks.items()):
            _write(block, entries.add(key=name).value.block)
    response.server_capabilities.SetInParent()
    encoded: bytes = response.SerializeToString()
    return encoded


def _write(block: Block, out: Any) -> None:
    out.SetInParent()  # core follows the pointer also where a block has no arguments
    for name, item in sorted(block.attributes.items()):
        wire = json.dumps(item.type).encode()
        out.attributes.add(name=name, type=wire, required=item.required, optional=item.optional, computed=item.computed)
    for name, nested in sorted(block.blocks.items()):
        added = out.block_types.add(
            type_name=name, nesting=_NESTING[nested.mode], min_items=nested.least, max_items=nested.most
        )
        _write(nested.block, added.block)


def _diagnosed(block: Block, config: Any) -> Any:
    """Values that no comment of the provider allows, each an error at its place."""
    response = message("Diagnostics")()
    for path, name, value, allowed in _refused(block, config, ()):
        found = response.diagnostics.add(
            severity=ERROR, summary=f"invalid value for {name}", detail=f'"{value}" is none of {", ".join(allowed)}.'
        )
        for step in (*path, name):
            found.attribute.steps.add(**{"attribute_name" if isinstance(step, str) else "element_key_int": step})
    return response


def _refused(block: Block, config: Any, path: tuple[str | int, ...]) -> Iterator[tuple[Any, str, str, Any]]:
    if not isinstance(config, dict):
        return
    for name, attribute in block.attributes.items():
        value = config.get(name)
        if attribute.allowed and isinstance(value, str) and value not in attribute.allowed:
            yield path, name, value, attribute.allowed
    for name, nested in block.blocks.items():
        inner = config.get(name)
        for number, item in enumerate(inner if isinstance(inner, list) else [inner]):
            # An element of a set has no number: its place is the set.
            below = (*path, name, number) if nested.mode == "list" else (*path, name)
            yield from _refused(nested.block, item, below)
