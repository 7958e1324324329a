"""What is made from the code lies in `docs/` as it would be made now, and leaves nothing out."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pointsman.adapters.endpoints import Settings
from pointsman.core import events
from pointsman_cli.generate_reference import ROOT, WITH_BLOCKS, pages
from pointsman_cli.reference_blocks import BLOCKS
from pointsman_local.environment import for_people
from pointsman_local.site import ENDPOINTS, Site
from pointsman_local.topology import load

REFERENCE = ROOT / "docs" / "reference"


def test_no_page_that_is_made_is_stale() -> None:
    stale = [path for path, content in pages().items() if (ROOT / path).read_text(encoding="utf-8") != content]
    assert stale == [], "run `make schemas`"


def test_every_block_that_is_made_stands_in_a_page() -> None:
    stand = {name for page in WITH_BLOCKS for name in re.findall(r"<!-- made: ([\w-]+) -->", (ROOT / page).read_text())}
    assert stand == set(BLOCKS)


def code(*folders: str) -> Iterator[ast.AST]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield from ast.walk(ast.parse(path.read_text()))


def test_every_code_of_an_error_is_in_the_reference() -> None:
    page = (REFERENCE / "errors.md").read_text()
    codes = {
        node.value.value
        for node in code("functions")
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and any(
            getattr(target, "id", "") == "code"
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        )
    }
    assert {"invalid", "unavailable"} < codes
    assert sorted(code for code in codes - {"error"} if f"| `{code}` |" not in page) == []  # of the base, never raised


def test_every_variable_that_is_read_is_in_the_reference() -> None:
    page = (REFERENCE / "settings.md").read_text()
    asked = {name for node in code("functions", "cli", "local") if (name := variable(node))}
    assert {"POINTSMAN_LEDGER", "POINTSMAN_COMMAND_URL", "POINTSMAN_ENVOY"} < asked
    assert sorted(name for name in asked - {"PATH"} if f"| `{name}` |" not in page) == []


def test_every_setting_that_functions_read_is_asked_for_by_one_of_them() -> None:
    called = ("settings", "settings()", "here", "followed")
    asked = {
        node.attr
        for node in code("functions")
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(called)
    }
    assert [field.name for field in dataclasses.fields(Settings) if field.name not in asked] == []


def variable(node: ast.AST) -> str:
    """The variable that an expression reads of the environment; none of a WSGI request's, which is called so too."""
    name: ast.AST | None = None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        name, of = node.args[0], node.func.value
    elif isinstance(node, ast.Subscript):
        name, of = node.slice, node.value
    if name is None or getattr(of, "attr", getattr(of, "id", "")) != "environ":
        return ""
    text = str(name.value) if isinstance(name, ast.Constant) else ""
    is_wsgi = text.startswith(("HTTP_", "REQUEST_", "CONTENT_", "PATH_", "QUERY_", "wsgi."))
    return "" if is_wsgi else text


def test_every_variable_that_a_laptop_prints_is_in_the_reference(tmp_path: Path) -> None:
    functions = (f"functions/{name}" for name in load(ROOT).functions)
    ports = {name: 1024 + number for number, name in enumerate([*ENDPOINTS, *functions])}
    printed = for_people(Site(tmp_path, "local", "us-central1", "local", ports), 0.0)
    page = (REFERENCE / "settings.md").read_text()
    assert sorted(name for name in printed if f"| `{name}` |" not in page) == []


def test_every_type_of_event_is_in_the_reference() -> None:
    page = (REFERENCE / "events.md").read_text()
    types = [value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)]
    assert len(types) > 3
    assert [kind for kind in types if f"## `{kind}`" not in page] == []


@pytest.mark.parametrize("page", sorted(path.name for path in REFERENCE.glob("*.md")))
def test_a_page_of_the_reference_says_that_it_is_made(page: str) -> None:
    assert "do not edit" in (REFERENCE / page).read_text()
