"""The messages of Terraform's plugin protocol 5, built from a table of field numbers.

The numbers are those of `tfplugin5.proto` (hashicorp/terraform, docs/plugin-protocol); fields that the stand-in neither
reads nor writes are left out, which the wire format allows.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["message"]

# Message → its fields: name, number, kind. Kind: s string, b bytes, i int64, o bool, or a message; `*`: repeated.
_FIELDS: dict[str, list[tuple[str, int, str]]] = {
    "Dynamic": [("msgpack", 1, "b"), ("json", 2, "b")],
    "Step": [("attribute_name", 1, "s"), ("element_key_string", 2, "s"), ("element_key_int", 3, "i")],
    "Path": [("steps", 1, "*Step")],
    "Diagnostic": [("severity", 1, "i"), ("summary", 2, "s"), ("detail", 3, "s"), ("attribute", 4, "Path")],
    "Attribute": [
        *(("name", 1, "s"), ("type", 2, "b"), ("description", 3, "s"), ("required", 4, "o")),
        *(("optional", 5, "o"), ("computed", 6, "o"), ("sensitive", 7, "o")),
    ],
    "Nested": [
        *(("type_name", 1, "s"), ("block", 2, "Block"), ("nesting", 3, "i")),
        *(("min_items", 4, "i"), ("max_items", 5, "i")),
    ],
    "Block": [("version", 1, "i"), ("attributes", 2, "*Attribute"), ("block_types", 3, "*Nested")],
    "Schema": [("version", 1, "i"), ("block", 2, "Block")],
    "Entry": [("key", 1, "s"), ("value", 2, "Schema")],
    "Capabilities": [("plan_destroy", 1, "o")],
    "SchemaResponse": [
        *(("provider", 1, "Schema"), ("resource_schemas", 2, "*Entry"), ("data_source_schemas", 3, "*Entry")),
        *(("diagnostics", 4, "*Diagnostic"), ("server_capabilities", 6, "Capabilities")),
    ],
    "Empty": [],
    "PrepareRequest": [("config", 1, "Dynamic")],
    "PrepareResponse": [("prepared_config", 1, "Dynamic"), ("diagnostics", 2, "*Diagnostic")],
    "ConfigureRequest": [("terraform_version", 1, "s"), ("config", 2, "Dynamic")],
    "Diagnostics": [("diagnostics", 1, "*Diagnostic")],
    "TypeRequest": [("type_name", 1, "s"), ("config", 2, "Dynamic")],
    "Raw": [("json", 1, "b")],
    "UpgradeRequest": [("type_name", 1, "s"), ("version", 2, "i"), ("raw_state", 3, "Raw")],
    "UpgradeResponse": [("upgraded_state", 1, "Dynamic"), ("diagnostics", 2, "*Diagnostic")],
    "ReadRequest": [("type_name", 1, "s"), ("current_state", 2, "Dynamic"), ("private", 3, "b")],
    "ReadResponse": [("new_state", 1, "Dynamic"), ("diagnostics", 2, "*Diagnostic"), ("private", 3, "b")],
    "PlanRequest": [
        *(("type_name", 1, "s"), ("prior_state", 2, "Dynamic"), ("proposed_new_state", 3, "Dynamic")),
        *(("config", 4, "Dynamic"), ("prior_private", 5, "b")),
    ],
    "PlanResponse": [
        *(("planned_state", 1, "Dynamic"), ("requires_replace", 2, "*Path"), ("planned_private", 3, "b")),
        *(("diagnostics", 4, "*Diagnostic"), ("legacy_type_system", 5, "o")),
    ],
    "ApplyRequest": [
        *(("type_name", 1, "s"), ("prior_state", 2, "Dynamic"), ("planned_state", 3, "Dynamic")),
        ("config", 4, "Dynamic"),
    ],
    "ApplyResponse": [
        *(("new_state", 1, "Dynamic"), ("private", 2, "b"), ("diagnostics", 3, "*Diagnostic")),
        ("legacy_type_system", 4, "o"),
    ],
    "DataResponse": [("state", 1, "Dynamic"), ("diagnostics", 2, "*Diagnostic")],
    "ImportRequest": [("type_name", 1, "s"), ("id", 2, "s")],
    "Imported": [("type_name", 1, "s"), ("state", 2, "Dynamic"), ("private", 3, "b")],
    "ImportResponse": [("imported_resources", 1, "*Imported"), ("diagnostics", 2, "*Diagnostic")],
}


def _classes() -> dict[str, Any]:
    field_type = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "s": field_type.TYPE_STRING,
        "b": field_type.TYPE_BYTES,
        "i": field_type.TYPE_INT64,
        "o": field_type.TYPE_BOOL,
    }
    file = descriptor_pb2.FileDescriptorProto(name="standin.proto", package="standin", syntax="proto3")
    for name, fields in _FIELDS.items():
        described = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            label = field_type.LABEL_REPEATED if kind.startswith("*") else field_type.LABEL_OPTIONAL
            field = described.field.add(name=field_name, number=number, label=label)
            plain = kind.lstrip("*")
            if plain in scalars:
                field.type = scalars[plain]
            else:
                field.type, field.type_name = field_type.TYPE_MESSAGE, f".standin.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"standin.{name}")) for name in _FIELDS}


_CLASSES = _classes()


def message(name: str) -> Any:
    """The class of a message of the table."""
    return _CLASSES[name]
