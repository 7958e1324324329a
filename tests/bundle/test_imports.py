"""What a cold start pays for: importing the entry points loads no client, and no more of us than it must."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[2] / "functions"
HEAVY = ("grpc", "google.cloud", "google.api_core", "kubernetes", "dulwich", "pydantic", "yaml", "urllib3")


def loaded_by(*statements: str, environment: Mapping[str, str] | None = None) -> Sequence[str]:
    """The modules that a fresh interpreter has loaded after `statements`."""
    program = "; ".join((*statements, "import json, sys; print(json.dumps(sorted(sys.modules)))"))
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=FUNCTIONS,
        env={"PYTHONPATH": str(FUNCTIONS), "PATH": "", **(environment or {})},
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


JUDGE = "pointsman.core.judge"
MODELS = frozenset({"pydantic", "pointsman.documents"})
READER = MODELS | {"yaml"}


def heavy_of_ours(modules: Sequence[str], framework: set[str]) -> set[str]:
    loaded = {name for name in (JUDGE, "pointsman.documents") if name in modules}
    return heavy(modules, framework) | loaded


@pytest.mark.parametrize(
    ("handler", "allowed"),
    [
        pytest.param("webhook", frozenset(), id="the receiver parses no document"),
        pytest.param("notify", frozenset(), id="notices are their own records"),
        pytest.param("repo_push", READER, id="a push is documents"),
        pytest.param("model_registered", MODELS, id="an effective document tells who follows the model"),
        pytest.param("alert", MODELS, id="an AlertRule is a document"),
        pytest.param("pool_step", MODELS, id="an AcceleratorPool is a document"),
        pytest.param("command", MODELS, id="an effective document tells what is undone"),
        pytest.param("sweep", READER, id="the sweep rings as a push does, and shares its settings"),
        pytest.param("rollout_step", frozenset({JUDGE}), id="rollout_step alone judges, and by its plan"),
    ],
)
def test_a_handler_loads_no_client_and_only_its_own_of_us(
    handler: str, allowed: frozenset[str], framework: set[str]
) -> None:
    modules = loaded_by("import main", f"import pointsman.handlers.{handler}")
    assert f"pointsman.handlers.{handler}" in modules
    assert heavy_of_ours(modules, framework) <= allowed


# A request that is no good: every port that is wired eagerly has been, and nobody was asked anything.
ASKED = """
import json, sys
from functions_framework import create_app
answer = create_app({name!r}, "main.py").test_client().post({path!r}, json={{"no": "event"}})
assert answer.status_code == {status}, answer.data
"""
NOTHING = frozenset[str]()
TALKS = frozenset({"grpc", "google.cloud", "google.api_core", "urllib3"})  # workflows and Pub/Sub are spoken to


@pytest.mark.parametrize(
    ("name", "path", "status", "allowed"),
    [
        pytest.param("receive_webhook", "/webhooks/github", 401, NOTHING, id="who is not known costs nothing"),
        pytest.param("notify", "/", 200, frozenset({"urllib3"}), id="notify speaks HTTP alone"),
        pytest.param("command", "/abort", 403, MODELS, id="who may not costs no client"),
        pytest.param("on_alert", "/", 200, TALKS | MODELS, id="an alert needs no git and no cluster"),
        pytest.param("rollout_step", "/claim", 400, TALKS | {JUDGE}, id="a bad claim connects no cluster"),
    ],
)
def test_a_function_pays_for_no_client_that_it_does_not_use(
    name: str, path: str, status: int, allowed: frozenset[str], framework: set[str], tmp_path: Path
) -> None:
    environment = {
        "GOOGLE_CLOUD_PROJECT": "lab",
        "POINTSMAN_LOCATION": "us-central1",
        "POINTSMAN_CLUSTER": "lab",
        "POINTSMAN_LEDGER": f"sqlite:///{tmp_path}/ledger.db",
        "POINTSMAN_WEBHOOK_SECRETS": '{"github": ["secret"]}',
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
        "POINTSMAN_WORKFLOWEXECUTIONS_ENDPOINT": "127.0.0.1:9",
    }
    asked = ASKED.format(name=name, path=path, status=status)
    modules = loaded_by(f"exec({asked!r})", environment=environment)
    assert heavy_of_ours(modules, framework) <= allowed


def test_traces_cost_nothing_where_they_are_off() -> None:
    modules = loaded_by("import main")
    assert [name for name in modules if name.startswith("opentelemetry")] == []
    assert not {"pointsman.adapters.tracing", "pointsman.adapters.spanned"} & set(modules)
