"""The table of rights: each is what our own calls need, and no more."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from google.cloud.firestore_v1.types import Value
from tests.bootstrap.guarded_cloud import CALLS, GATEWAY, TABLE, GuardedCloud, guarded_cloud

from pointsman.adapters import kubernetes, metrics, node_pools, pubsub, steps, tracing, workflows
from pointsman.adapters import secrets as secret_manager
from pointsman.adapters.endpoints import Settings
from pointsman.adapters.ledger_firestore import FirestoreLedger, _fields
from pointsman.adapters.registries import VertexAI
from pointsman.core.events import Event
from pointsman.core.names import Ref
from pointsman.core.records import CommandRecord
from pointsman.documents.pool import Candidate, NodeSettings
from pointsman.errors import Conflict, Denied
from pointsman.ports import Write

ROOT = Path(__file__).resolve().parents[2]
TOPOLOGY: dict[str, Any] = yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())
RIGHTS: Mapping[str, Any] = TABLE["rights"]
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
EVENT = Event(id="1", source="//test", type="t", subject="", time=NOW, data={})
RECORD = CommandRecord("r1", "c1", "abort", "somebody", NOW)
POD = Ref("v1", "Pod", "nlp", "p")
Act = Callable[[], object]


def permissions(right: str) -> set[str]:
    """All that a right may grant, whatever the settings."""
    item = RIGHTS[right]
    listed = [item.get(name, ()) for name in ("permissions", "resize", "full", "connect_gateway")]
    return {name for names in (*listed, TABLE["roles"].get(item.get("role"), ())) for name in names}


@pytest.fixture(scope="module")
def cloud() -> Iterator[GuardedCloud]:
    with guarded_cloud() as found:
        yield found


@pytest.fixture
def settings(cloud: GuardedCloud, monkeypatch: pytest.MonkeyPatch) -> Settings:
    grpc, http = f"127.0.0.1:{cloud.grpc_port}", f"http://127.0.0.1:{cloud.http_port}"
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", grpc)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", grpc)
    services = ("workflows", "workflowexecutions", "container", "monitoring", "secretmanager")
    return Settings(
        "lab",
        "us-central1",
        "c1",
        endpoints=dict.fromkeys(services, grpc),
        callback_origin=http,
        step_urls={"rollout_step": f"{http}/function"},
        metadata_host=http.removeprefix("http://"),
        traces=f"{http}/v1/traces",
    )


def acts(right: str, settings: Settings) -> list[Act]:
    """What is done with a right: every call of the adapters that it is for."""
    origin = settings.callback_origin

    def bus() -> Any:
        return pubsub.connect(settings, lambda _envelope: EVENT)

    def ledger() -> FirestoreLedger:
        return FirestoreLedger("lab", "pointsman")

    pools = node_pools.connect(settings, "c1")
    candidate = Candidate.model_validate({"machineType": "g2-standard-8", "zones": ["us-central1-a"]})
    node = NodeSettings.model_validate({"serviceAccount": "nodes@lab.iam.gserviceaccount.com"})
    token = SimpleNamespace(valid=True, token="t")

    def through(host: str) -> Any:
        return kubernetes.KubernetesCluster(kubernetes._with_credentials(host, token))

    def objects(host: str) -> list[Act]:
        return [
            lambda: through(host).get(POD),
            lambda: through(host).apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}),
            lambda: through(host).delete(POD),
        ]

    def span() -> None:
        with tracing.connect(settings, "sweep").span("s", trace="0" * 31 + "1"):
            pass

    def looked_up() -> Any:
        import urllib3

        return VertexAI("vertex", f"{origin}/vertex", "p", urllib3.PoolManager()).resolve("m", version="3")

    table: Mapping[str, list[Act]] = {
        "publish": [lambda: bus().publish("notices", EVENT)],
        "dead-letters": [lambda: bus().redrive("notices")],
        "ledger": [
            lambda: ledger().read(CommandRecord, "r1/c1"),
            lambda: ledger().find(CommandRecord, {"rollout": "r1"}),
            lambda: ledger().save([Write(CommandRecord("r1", "new", "abort", "somebody", NOW))]),
            lambda: ledger().delete(_saved(ledger())),
            lambda: _lose(ledger(), RECORD),
        ],
        "start": [lambda: workflows.connect(settings).start("roll-out", {})],
        "executions": [lambda: workflows.connect(settings).execution("executions/1")],
        "signal": [lambda: workflows.connect(settings).ring(f"{origin}/callbacks/1")],
        "registry": [looked_up],
        "metrics": [
            lambda: metrics.connect(settings, "c1", "gke-l7-rilb").gateway("nlp", "chat", NOW),
            lambda: metrics.connect(settings, "c1", "gke-l7-rilb").pods("nlp", "chat", ["chat-1"], NOW),
        ],
        "kubernetes": [
            lambda: kubernetes._dns_endpoint(settings, "c1"),
            *objects(origin),
            *objects(f"{origin}{GATEWAY}"),
        ],
        "node_pools": [
            pools.find,
            lambda: pools.get("l4"),
            lambda: pools.limit("l4", 0, 2),
            lambda: pools.resize("l4", 2),
            lambda: pools.delete("l4"),
            lambda: pools.operation("operation-1"),
        ],
        "nodes": [lambda: pools.create("l4", candidate, node, owner="l4", nodes=0, nodes_max=2)],
        "invoke": [lambda: steps.connect(settings).inspect("rollout_step")],
        "secret": [lambda: secret_manager.connect(settings).read("token")],
        "trace": [span],
    }
    return table[right]


def _saved(ledger: FirestoreLedger) -> Any:
    found = ledger.read(CommandRecord, "r1/c1")
    assert found is not None
    return found


def _lose(ledger: FirestoreLedger, record: CommandRecord) -> None:
    """Write as if it were new what is there already."""
    with suppress(Conflict):
        ledger.save([Write(record)])


def done(right: str, settings: Settings, cloud: GuardedCloud, granted: set[str]) -> bool:
    """Whether everything that the right is for was let through, with these permissions and no other right's."""
    others = permissions(TOGETHER[right]) if right in TOGETHER else set()
    whole = True
    cloud.begin(granted | others)
    cloud.document = {"record": Value(bytes_value=_fields(RECORD)["record"])}
    for act in acts(right, settings):
        try:
            act()
        except Denied:
            whole = False
    refused = [call for call in cloud.called if not set(CALLS[call]) <= cloud.granted]
    assert whole == (not refused) or right == "trace"  # spans that are refused are lost without a word
    return not refused


TOGETHER = {"nodes": "node_pools", "dead-letters": "publish"}
"""Right → another without which it is of no use."""
OURS = sorted(set(RIGHTS) - {"channels", "log"})
"""Rights that an adapter of ours uses. `log` is used by Workflows itself, `channels` needs nothing of Google."""


@pytest.mark.parametrize("right", OURS)
def test_with_its_permissions_everything_that_a_right_is_for_is_let_through(
    right: str, settings: Settings, cloud: GuardedCloud
) -> None:
    assert done(right, settings, cloud, permissions(right))
    assert cloud.called


@pytest.mark.parametrize(
    ("right", "permission"), [(right, name) for right in OURS for name in sorted(permissions(right))]
)
def test_without_any_one_of_its_permissions_something_is_refused(
    right: str, permission: str, settings: Settings, cloud: GuardedCloud
) -> None:
    assert not done(right, settings, cloud, permissions(right) - {permission})


def test_every_call_in_the_table_is_one_of_ours(settings: Settings, cloud: GuardedCloud) -> None:
    called: set[str] = set()
    for right in OURS:
        done(right, settings, cloud, {name for of in RIGHTS for name in permissions(of)})
        called |= set(cloud.called)
    assert set(CALLS) - called == {"logging.googleapis.com/entries"}


def test_every_workflow_may_log_since_workflows_logs_its_errors() -> None:
    assert all("log" in item["may"] for item in TOPOLOGY["workflows"].values())
    assert permissions("log") == set(CALLS["logging.googleapis.com/entries"])


def test_observing_pools_changes_no_cluster(settings: Settings, cloud: GuardedCloud) -> None:
    cloud.begin(RIGHTS["node_pools"]["permissions"])
    pools = node_pools.connect(settings, "c1")
    assert [pool.name for pool in pools.find()] == ["l4"]
    with pytest.raises(Denied):
        pools.limit("l4", 0, 2)
    with pytest.raises(Denied):
        pools.delete("l4")


def test_every_right_of_the_topology_is_in_the_table_and_every_other_says_when_it_is_given() -> None:
    used = {word.partition(":")[0] for item in _holders().values() for word in item["may"]}
    assert set(RIGHTS) - used == {"secret", "nodes", "trace"}
    assert used <= set(RIGHTS)


# --- what a function may is what its code does -------------------------------------------------------------------

HANDLERS = ROOT / "functions" / "pointsman" / "handlers"
PORTS = {
    "ledger": "ledger",
    "registry": "registry",
    "kubernetes": "kubernetes",
    "metrics": "metrics",
    "node_pools": "node_pools",
    "channels": "channels",
}
"""A port, as main.py names it → the right that it needs. Those of `bus` and `workflows` depend on what is called."""
METHODS = {"ring": "signal", "execution": "executions", "redrive": "dead-letters"}


def _holders() -> Mapping[str, Any]:
    return {**TOPOLOGY["functions"], **TOPOLOGY["workflows"]}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _entry(name: str) -> ast.FunctionDef:
    tree = _tree(ROOT / "functions" / "main.py")
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)


def _reached(entry: ast.FunctionDef) -> set[str]:
    """Modules of handlers that an entry point imports, and what those import."""
    waiting = [
        str(node.module).removeprefix("pointsman.handlers.")
        for node in ast.walk(entry)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pointsman.handlers.")
    ]
    found: set[str] = set()
    while waiting:
        module = waiting.pop()
        path = HANDLERS / f"{module.replace('.', '/')}.py"
        if module not in found and path.exists():
            found.add(module)
            for node in ast.walk(_tree(path)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pointsman.handlers"):
                    within = str(node.module).removeprefix("pointsman.handlers").removeprefix(".")
                    waiting += [within] if within else [alias.name for alias in node.names]
    return found


def _called(modules: set[str]) -> Iterator[tuple[str, str]]:
    """Port and method of every call that these modules make of the bus or of workflows."""
    for module in sorted(modules):
        for node in ast.walk(_tree(HANDLERS / f"{module.replace('.', '/')}.py")):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of: Any = node.func.value
                name = getattr(of, "id", getattr(of, "attr", None)) or getattr(getattr(of, "func", None), "id", None)
                if name in ("workflows", "bus"):
                    yield name, node.func.attr


@pytest.mark.parametrize("name", sorted(TOPOLOGY["functions"]))
def test_a_function_may_do_what_its_code_does_and_nothing_else(name: str) -> None:
    entry, may = _entry(name), {word.partition(":")[0] for word in TOPOLOGY["functions"][name]["may"]}
    words = {node.value for node in ast.walk(entry) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    words |= {node.id for node in ast.walk(entry) if isinstance(node, ast.Name)}
    words |= {alias.name for node in ast.walk(entry) if isinstance(node, ast.ImportFrom) for alias in node.names}
    does = {right for port, right in PORTS.items() if port in words}
    does |= {"ledger"} if "delivered" in words else set()
    calls = set(_called(_reached(entry)))
    does |= {METHODS.get(method, method) for port, method in calls if port in words or port == "bus"}
    assert may == does


def test_secrets_are_given_to_functions_that_read_them() -> None:
    """`source` reads the repository's token, `registry` those of registries, channels and webhooks their own."""
    reads = {"repository": ("source", "commit_statuses"), "registries": ("registry",), "channels": ("channels",)}
    for name, item in TOPOLOGY["functions"].items():
        text = ast.unparse(_entry(name))
        found = {secret for secret, words in reads.items() if any(re.search(rf"\b{word}\b", text) for word in words)}
        found |= {"webhooks"} if "webhook_secrets" in text else set()
        assert set(item.get("secrets", ())) == found, name


def test_the_table_names_its_source() -> None:
    assert "iann0036/iam-dataset (MIT" in (ROOT / "bootstrap" / "permissions.yaml").read_text()
