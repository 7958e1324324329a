"""What a cold start pays for: importing the entry points loads no client, and no more of us than it must."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[2] / "functions"
HEAVY = ("grpc", "google.cloud", "google.api_core", "kubernetes", "dulwich", "pydantic", "yaml", "urllib3")


def loaded_by(*statements: str) -> Sequence[str]:
    """The modules that a fresh interpreter has loaded after `statements`."""
    program = "; ".join((*statements, "import json, sys; print(json.dumps(sorted(sys.modules)))"))
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=FUNCTIONS,
        env={"PYTHONPATH": str(FUNCTIONS), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    modules: list[str] = json.loads(answer.stdout.splitlines()[-1])
    return modules


@pytest.fixture(scope="module")
def framework() -> set[str]:
    """What a bare app loads: the framework has a package `google.cloud.functions` of its own."""
    return set(loaded_by("import functions_framework"))


def heavy(modules: Sequence[str], framework: set[str]) -> set[str]:
    ours = set(modules) - framework
    return {name for name in HEAVY for module in ours if module == name or module.startswith(f"{name}.")}


def test_importing_main_loads_no_client(framework: set[str]) -> None:
    modules = loaded_by("import main")
    assert "functions_framework" in framework
    assert set(modules) > framework
    assert heavy(modules, framework) == set()
    assert not [name for name in framework if name.startswith(("grpc", "kubernetes", "google.cloud.pubsub"))]


def test_the_receiver_and_notify_load_no_documents(framework: set[str]) -> None:
    handlers = "import pointsman.handlers.webhook, pointsman.handlers.notify"
    assert heavy(loaded_by("import main", handlers), framework) == set()


def test_no_handler_loads_a_client(framework: set[str]) -> None:
    handlers = ("repo_push", "model_registered", "alert", "rollout_step", "pool_step", "command", "sweep")
    modules = loaded_by(*(f"import pointsman.handlers.{name}" for name in handlers))
    assert heavy(modules, framework) <= {"pydantic", "yaml"}
