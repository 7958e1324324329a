"""The examples hold, and are what the schemas say; so is every example and default inside the schemas."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from pointsman.documents import load
from pointsman.documents.effective import effective

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "Platform": "platform",
    "AcceleratorPool": "accelerator-pool",
    "RolloutPolicy": "rollout-policy",
    "ModelService": "model-service",
    "AlertRule": "alert-rule",
}


def folder(name: str) -> dict[str, bytes]:
    root = ROOT / "examples" / name
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.yaml"))}


def schema(kind: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "schemas" / f"{FILES[kind]}.json").read_text())
    return read


@pytest.mark.parametrize(("name", "documents", "served"), [("demo", 3, 1), ("platform", 11, 3)])
def test_the_examples_load_without_fault(name: str, documents: int, served: int) -> None:
    loaded = load(folder(name))
    assert [str(fault) for fault in loaded.faults] == []
    assert loaded.documents == documents
    assert loaded.config is not None
    assert len(effective(loaded.config, project="acme-ml-prod", region="us-central1")) == served


@pytest.mark.parametrize("name", ["demo", "platform"])
def test_the_schemas_take_what_the_loader_takes(name: str) -> None:
    seen = set()
    for content in folder(name).values():
        for document in yaml.safe_load_all(content):
            errors = [error.message for error in Draft202012Validator(schema(document["kind"])).iter_errors(document)]
            assert errors == []
            seen.add(document["kind"])
    assert seen >= {"Platform", "AcceleratorPool", "ModelService"}


@pytest.mark.parametrize(
    ("kind", "document", "message"),
    [
        ("Platform", {"spec": {"clusters": []}}, "'metadata' is a required property"),
        ("RolloutPolicy", {"metadata": {"name": "p"}, "spec": {"stepz": []}}, "'stepz' was unexpected"),
        ("RolloutPolicy", {"metadata": {"name": "p"}, "spec": {"steps": None}}, "None is not of type 'array'"),
        ("RolloutPolicy", {"metadata": {"name": "p"}, "spec": {"bake": {"duration": "1d"}}}, "'1d' does not match"),
        ("RolloutPolicy", {"metadata": {"name": "p"}, "spec": {"steps": [{"weight": 101}]}}, "101 is greater than"),
        (
            "ModelService",
            {"metadata": {"name": "s"}, "spec": {"model": {}, "template": {"spec": {"containerz": []}}}},
            "'containerz' was unexpected",
        ),
        ("AlertRule", {"metadata": {"name": "r"}, "spec": {"alert": {}, "actions": [{}]}}, "{} should be non-empty"),
    ],
)
def test_the_schemas_refuse_what_an_editor_should_underline(kind: str, document: dict[str, Any], message: str) -> None:
    whole = {"apiVersion": "pointsman.dev/v1", "kind": kind, **document}
    messages = [error.message for error in Draft202012Validator(schema(kind)).iter_errors(whole)]
    assert any(message in text for text in messages), messages


def properties(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        inner = node.get("properties")
        if isinstance(inner, dict):
            yield from (item for item in inner.values() if isinstance(item, dict))
        for item in node.values():
            yield from properties(item)
    elif isinstance(node, list):
        for item in node:
            yield from properties(item)


@pytest.mark.parametrize("kind", sorted(FILES))
def test_every_field_is_described_and_its_examples_and_default_are_of_its_form(kind: str) -> None:
    whole = schema(kind)
    Draft202012Validator.check_schema(whole)
    definitions = {name: item for name, item in whole["$defs"].items() if not name.startswith("Pod")}
    fields = list(properties({**whole, "$defs": definitions}))
    assert len(fields) > 15
    for field in fields:
        assert field["title"]
        target = whole["$defs"].get(str(field.get("$ref", "")).rsplit("/", 1)[-1], {})
        assert field.get("description") or target.get("description"), field
        validator = Draft202012Validator({**field, "$defs": whole["$defs"]})
        for value in [*field.get("examples", []), *([field["default"]] if "default" in field else [])]:
            assert [error.message for error in validator.iter_errors(value)] == [], (field["title"], value)


def test_the_demo_says_nothing_that_is_not_needed() -> None:
    """The shortest ModelService is 14 lines."""
    assert len(folder("demo")["teams/demo/digits.yaml"].splitlines()) == 14
