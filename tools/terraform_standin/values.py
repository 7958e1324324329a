"""Values as Terraform's core sends them (msgpack, with unknowns), and what the stand-in makes up where Google would."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from tools.terraform_standin.messages import message
from tools.terraform_standin.schema import Attribute, Block, Type

__all__ = ["UNKNOWN", "decode", "encode", "filled", "made_up"]

UNKNOWN = msgpack.ExtType(0, b"\x00")
PROJECT_NUMBER = "123456789012"

MADE_UP: Mapping[tuple[str, str], str] = {
    (
        "google_artifact_registry_repository",
        "id",
    ): "projects/{project}/locations/{location}/repositories/{repository_id}",
    ("google_cloudfunctions2_function", "id"): "projects/{project}/locations/{location}/functions/{name}",
    ("google_cloudfunctions2_function", "url"): "https://{location}-{project}.cloudfunctions.net/{name}",
    ("google_cloudfunctions2_function", "service_config.uri"): "https://{name}-standin-ew.a.run.app",
    (
        "google_cloudfunctions2_function",
        "service_config.service",
    ): "projects/{project}/locations/{location}/services/{name}",
    ("google_container_cluster", "id"): "projects/{project}/locations/{location}/clusters/{name}",
    ("google_firestore_database", "id"): "projects/{project}/databases/{name}",
    ("google_gke_hub_membership", "id"): "projects/{project}/locations/global/memberships/{membership_id}",
    ("google_project", "number"): PROJECT_NUMBER,
    ("google_project", "project_id"): "{project}",
    ("google_project_iam_custom_role", "id"): "projects/{project}/roles/{role_id}",
    ("google_project_iam_custom_role", "name"): "projects/{project}/roles/{role_id}",
    ("google_pubsub_subscription", "id"): "projects/{project}/subscriptions/{name}",
    ("google_pubsub_topic", "id"): "projects/{project}/topics/{name}",
    ("google_secret_manager_secret", "id"): "projects/{project}/secrets/{secret_id}",
    ("google_secret_manager_secret", "name"): "projects/{project}/secrets/{secret_id}",
    ("google_service_account", "email"): "{account_id}@{project}.iam.gserviceaccount.com",
    (
        "google_service_account",
        "id",
    ): "projects/{project}/serviceAccounts/{account_id}@{project}.iam.gserviceaccount.com",
    ("google_service_account", "member"): "serviceAccount:{account_id}@{project}.iam.gserviceaccount.com",
    (
        "google_service_account",
        "name",
    ): "projects/{project}/serviceAccounts/{account_id}@{project}.iam.gserviceaccount.com",
    ("google_storage_bucket", "id"): "{name}",
    ("google_workflows_workflow", "id"): "projects/{project}/locations/{region}/workflows/{name}",
}
"""Resource and attribute (in a block: `block.attribute`) → what Google would answer, from the resource's arguments."""

Fill = Callable[[str, Attribute], Any]
"""What is put where a computed attribute has no value: by its path and its schema."""


def decode(value: Any) -> Any:
    if value.msgpack:
        return msgpack.unpackb(value.msgpack, raw=False, strict_map_key=False)
    return json.loads(value.json) if value.json else None


def encode(value: Any) -> Any:
    return message("Dynamic")(msgpack=msgpack.packb(value, use_bin_type=True))


def filled(block: Block, value: Any, fill: Fill, path: str = "") -> Any:
    """`value` with every attribute and block of `block`, computed ones that are null or unknown by `fill`."""
    if value is None or _is_unknown(value):
        return value
    result = dict(value)
    for name, attribute in block.attributes.items():
        current = result.get(name)
        if (current is None and attribute.computed) or _is_unknown(current):
            result[name] = fill(f"{path}{name}", attribute)
        else:
            result.setdefault(name, None)
    for name, nested in block.blocks.items():
        current, below = result.get(name), f"{path}{name}."
        if nested.mode == "single":
            result[name] = filled(nested.block, current, fill, below)
        elif isinstance(current, list):
            result[name] = [filled(nested.block, item, fill, below) for item in current]
        elif isinstance(current, dict):
            result[name] = {key: filled(nested.block, item, fill, below) for key, item in current.items()}
        elif name not in result:
            result[name] = {} if nested.mode == "map" else []
    return result


def made_up(resource: str, arguments: Mapping[str, Any], defaults: Mapping[str, str]) -> Fill:
    """What Google would have answered for `resource`: see MADE_UP, else something of the type that says what it is."""
    known = {**defaults, **{name: value for name, value in arguments.items() if isinstance(value, str)}}
    name_of_it = known.get("name", "")

    def fill(path: str, attribute: Attribute) -> Any:
        template = MADE_UP.get((resource, path))
        if template is not None:
            return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[1]), template)
        name = path.rpartition(".")[2]
        if name in defaults:
            return known[name]
        if attribute.type == "string" and name.endswith(("uri", "url")):
            return f"https://standin.invalid/{resource}/{name_of_it or name}"
        return _of_type(attribute.type, f"standin-{resource}-{name_of_it}-{path}")

    return fill


def _of_type(wire: Type, hint: str) -> Any:
    match wire:
        case "string":
            return hint
        case "number":
            return 1
        case "bool":
            return False
        case ["object", fields]:
            return {name: _of_type(inner, f"{hint}.{name}") for name, inner in fields.items()}
        case ["map", _]:
            return {}
        case ["list" | "set", inner]:
            return [_of_type(inner, hint)]
    return None


def _is_unknown(value: Any) -> bool:
    return isinstance(value, msgpack.ExtType)
