"""The rules of the house that people would forget: names, sizes, clocks, and names that must agree across files."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
CODE = ("functions", "cli", "local", "benchmarks", "dashboards", "tests", "tools")
TEXTS = {".py", ".md", ".yaml", ".yml", ".json", ".toml", ".txt", ".sh", ""}

NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base", "misc"}
"""If a function has no home, its idea has no name yet."""

LINES_MAX = 400
LONG: Mapping[str, str] = {
    "tests/cli/test_views.py": "every view of the command, read from one ledger of samples",
    "tests/core/test_rollout_table.py": "one table: every state with every command, deadline and obstacle",
    "tests/handlers/fakes.py": "one fake a port, which the contract suites hold to their promises together",
    "tests/handlers/test_alert.py": "everything an alert may lead to, on one plane",
    "tests/handlers/test_command.py": "everything people may ask, on one plane",
    "tests/handlers/test_repo_push.py": "everything a push may lead to, on one plane",
    "tests/handlers/test_rollout_faults.py": "every place where a step may die, on one cloud",
    "tests/handlers/test_webhook.py": "one door, and every sample of every sender at it",
    "tests/local/test_monitoring_server.py": "one server, asked by Google's client for all that it serves",
    "tests/workflows/test_errors.py": "one table: every error of the language, as its documentation says it",
}
"""Files that may be longer, and why they are not split."""

CLOCKS: Mapping[str, str] = {
    "functions/main.py": "the only place where time enters",
}
"""Deployed files that may read a clock, and why. An adapter that has to measure goes here."""

_CLOCK = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("time", "perf_counter"),
    ("time", "sleep"),
}


def files(*folders: str, suffixes: Sequence[str] = (".py",)) -> Iterator[Path]:
    """Files of the repository, without what tools leave lying about."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            parts = path.relative_to(ROOT).parts
            if (
                path.suffix in suffixes
                and path.is_file()
                and not any(part in ("__pycache__", "build") for part in parts)
            ):
                yield path


def texts() -> Iterator[Path]:
    """Everything that people or programs read, but for what lies outside the repository's own folders."""
    own = [path.name for path in sorted(ROOT.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    # In a work tree of git's, `.git` is a file, and says where the repository is.
    top = (path for path in sorted(ROOT.iterdir()) if path.suffix in TEXTS and path.name != ".git")
    yield from (path for path in top if path.is_file())
    yield from files(*(name for name in own if name != "build"), ".ci", suffixes=tuple(TEXTS))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_module_is_named_after_nothing() -> None:
    found = [
        named(path) for path in files(*CODE) if NAMELESS & {path.stem, path.parent.name, *path.stem.split("_")[1:]}
    ]
    assert found == []


def test_a_file_holds_one_idea_in_four_hundred_lines_or_says_why_not() -> None:
    long = [named(path) for path in files(*CODE) if len(path.read_text().splitlines()) > LINES_MAX]
    assert sorted(set(long) - set(LONG)) == [], "split it, or give the reason in LONG"


@pytest.mark.parametrize("path", sorted({**LONG, **CLOCKS}))
def test_an_exception_is_of_a_file_that_is_there(path: str) -> None:
    assert (ROOT / path).is_file()


def test_deployed_code_reads_no_clock_but_where_it_is_allowed() -> None:
    found = [
        f"{named(path)}:{line}"
        for path in files("functions")
        if named(path) not in CLOCKS
        for line in clock_lines(ast.parse(path.read_text()))
    ]
    assert found == []


def clock_lines(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.module == "time":
                yield node.lineno
        elif isinstance(node, ast.Attribute):
            of = getattr(node.value, "id", getattr(node.value, "attr", ""))  # `time.time`, `datetime.datetime.now`
            if (of, node.attr) in _CLOCK:
                yield node.lineno


def test_what_is_left_to_do_has_an_issue() -> None:
    word = "TO" + "DO"
    left = re.compile(rf"\b({word}|FIX" + r"ME)\b(?!\s*\(#\d+\))")
    assert [named(path) for path in texts() if left.search(path.read_text(errors="replace"))] == []


# Where a thing was made is nobody's business: no path of a machine, and no index but the public one.
_PLACES = re.compile(r"(?<![\w.$}/*-])/(root|home|Users|workspaces?|work)/\w")
_INDEXES = re.compile(r"--(extra-)?index-url|--trusted-host|PIP_INDEX|UV_INDEX|artifactory|/simple/")


@pytest.mark.parametrize("forbidden", [_PLACES, _INDEXES], ids=["paths-of-a-machine", "package-indexes"])
def test_the_project_does_not_say_where_it_was_made(forbidden: re.Pattern[str]) -> None:
    here = Path(__file__)
    assert [
        f"{named(path)}: {found[0]}"
        for path in texts()
        if path != here and (found := forbidden.search(path.read_text(errors="replace")))
    ] == []


def test_every_page_that_is_named_is_one_of_the_repository() -> None:
    page = re.compile(r"(?<![\w/.:-])([\w-]+(?:/[\w-]+)*\.md)\b")
    missing = [
        f"{named(path)}: {name}"
        for path in texts()
        if path.suffix in (".py", ".md", ".yaml", ".toml", "")
        for name in page.findall(path.read_text(errors="replace"))
        if not any(
            (folder / name).is_file() for folder in (path.parent, ROOT, ROOT / "docs", ROOT / "docs" / "reference")
        )
    ]
    assert missing == []


# --- names that must agree ------------------------------------------------------------------------------------

TOPOLOGY: dict[str, Any] = yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())
BUILT_IN = {
    "GOOGLE_CLOUD_PROJECT_ID",
    "GOOGLE_CLOUD_PROJECT_NUMBER",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_SERVICE_ACCOUNT_NAME",
    "GOOGLE_CLOUD_WORKFLOW_ID",
    "GOOGLE_CLOUD_WORKFLOW_REVISION_ID",
    "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID",
}
"""Cloud Workflows, "Use environment variables"."""


def test_the_entry_points_are_the_functions_of_the_topology() -> None:
    tree = ast.parse((ROOT / "functions" / "main.py").read_text())
    points = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any(getattr(item, "id", "") == "entry" for item in node.decorator_list)
    }
    assert points == set(TOPOLOGY["functions"])


def test_the_workflow_files_are_the_workflows_of_the_topology() -> None:
    assert {path.stem for path in (ROOT / "workflows").glob("*.yaml")} == set(TOPOLOGY["workflows"])


@pytest.mark.parametrize("name", sorted(TOPOLOGY["workflows"]))
def test_a_workflow_asks_for_variables_that_it_is_given(name: str) -> None:
    asked = set(re.findall(r"sys\.get_env\(\"(\w+)\"", (ROOT / "workflows" / f"{name}.yaml").read_text()))
    given = TOPOLOGY["workflows"][name]["env"]
    assert asked - BUILT_IN == set(given)
    assert set(given.values()) <= set(TOPOLOGY["functions"])


@pytest.mark.parametrize("name", sorted(TOPOLOGY["workflows"]))
def test_a_workflow_may_do_what_its_file_does(name: str) -> None:
    text, may = (ROOT / "workflows" / f"{name}.yaml").read_text(), set(TOPOLOGY["workflows"][name]["may"])
    assert {f"invoke:{function}" for function in TOPOLOGY["workflows"][name]["env"].values()} <= may
    started = set(re.findall(r"workflows \+ \"([\w-]+)\"", text))
    started |= {name} if 'sys.get_env("GOOGLE_CLOUD_WORKFLOW_ID")}' in text and "executions.create" in text else set()
    assert {right.partition(":")[2] for right in may if right.startswith("start:")} == started


def test_every_invoker_and_every_right_names_something_of_the_topology() -> None:
    functions, workflows, topics = (set(TOPOLOGY[kind]) for kind in ("functions", "workflows", "topics"))
    for name, item in TOPOLOGY["functions"].items():
        assert set(item.get("invokers", ())) <= functions | workflows | {"operators"}, name
        assert item.get("topic") in topics | {None}, name
    known = {"publish": topics, "start": workflows, "invoke": functions}
    for name, item in {**TOPOLOGY["functions"], **TOPOLOGY["workflows"]}.items():
        for right in item["may"]:
            kind, colon, of = right.partition(":")
            assert not colon or of in known[kind], f"{name}: {right}"


# --- what is deployed is pinned -------------------------------------------------------------------------------


def pinned() -> dict[str, str]:
    """Distribution → version, of `functions/requirements.txt`."""
    lines = (ROOT / "functions" / "requirements.txt").read_text().splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, equals, version = line.partition("==")
            assert equals, f"{line}: a version with =="
            found[name] = version
    return found


@cache
def imported() -> set[str]:
    """Distributions that deployed code imports, wherever in a file."""
    homes = packages_distributions()
    modules: set[str] = set()
    for path in files("functions"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                shared = node.module in ("google", "google.cloud")
                modules |= {f"{node.module}.{alias.name}" for alias in node.names} if shared else {node.module}
    tops = {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"pointsman", "google"}
    google = {name for name in modules if name.startswith("google.")}
    found = {canonical(home) for top in tops for home in homes[top]}
    return found | {home for name in google if (home := google_distribution(name))}


def google_distribution(module: str) -> str:
    """`google` is a namespace that many share: its distributions are named after what is below."""
    shared = {"google.api_core": "google-api-core", "google.auth": "google-auth", "google.oauth2": "google-auth"}
    for prefix, home in {**shared, "google.protobuf": "protobuf", "google.pubsub": "google-cloud-pubsub"}.items():
        if module.startswith(prefix):
            return home
    service = re.fullmatch(r"google\.cloud\.([a-z]+?)(?:_v\d+)?(?:\..*)?", module)
    names = {"secretmanager": "secret-manager"}
    return f"google-cloud-{names.get(service[1], service[1])}" if service else ""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def dependencies() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {canonical(item.name): item for item in map(Requirement, project["dependencies"])}


def test_what_deployed_code_imports_is_pinned() -> None:
    assert sorted(imported() - {canonical(name) for name in pinned()}) == []


def test_a_pin_is_what_the_project_allows() -> None:
    versions = {canonical(name): version for name, version in pinned().items()}
    wrong = {
        name: str(item)
        for name, item in dependencies().items()
        if name in versions and not item.specifier.contains(versions[name])
    }
    assert wrong == {}


def test_a_dependency_that_deployed_code_imports_is_pinned_by_name() -> None:
    direct = imported() & set(dependencies())
    assert direct >= {"pydantic", "dulwich", "kubernetes", "functions-framework", "google-cloud-pubsub"}
    assert direct <= {canonical(name) for name in pinned()}


def test_the_deployed_package_is_never_a_requirement_of_itself() -> None:
    assert "pointsman" not in {canonical(name) for name in pinned()}
