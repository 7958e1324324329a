"""What each entry point costs when it starts: time and memory, beside a bare functions-framework app that connects the
same official clients. A fresh process each time; processor time, since a machine that is busy changes it least."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.row import Row

__all__ = ["MEMORY_MIB_MAX", "RATIO_MAX", "clients", "rows", "started"]

ROOT = Path(__file__).resolve().parents[1]
RUNS = 3
RATIO_MAX, MEMORY_MIB_MAX = 1.5, 256.0
"""Budgets: of a bare app with the same clients, and of the least memory that a function of 2nd generation is given."""

BARE = "import functions_framework\n\n@functions_framework.http\ndef bare(request):\n    return 'ok'\n"

# A cold start up to the first answer, and what a request that is good would connect beyond that. The addresses lead
# nowhere, so the answer may be a refusal; nobody is asked anything by connecting.
START = """
import os, resource, sys, time
os.environ.update(GOOGLE_CLOUD_PROJECT="lab", POINTSMAN_LOCATION="us-central1", POINTSMAN_CLUSTER="lab",
    POINTSMAN_LEDGER="sqlite:///" + sys.argv[3] + "/ledger.db", PUBSUB_EMULATOR_HOST="127.0.0.1:9",
    FIRESTORE_EMULATOR_HOST="127.0.0.1:9",
    POINTSMAN_REPOSITORY="http://127.0.0.1:9/local/config.git", POINTSMAN_WEBHOOK_SECRETS='{"github": ["secret"]}',
    POINTSMAN_WORKFLOWEXECUTIONS_ENDPOINT="127.0.0.1:9", POINTSMAN_CONTAINER_ENDPOINT="127.0.0.1:9",
    POINTSMAN_MONITORING_ENDPOINT="127.0.0.1:9", POINTSMAN_SECRETMANAGER_ENDPOINT="127.0.0.1:9")
begun = time.process_time()
import functions_framework
app = functions_framework.create_app(sys.argv[1], sys.argv[2])
app.test_client().post("/claim", json={"no": "event"})
exec(sys.argv[4])
print(time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def _grpc(module: str, client: str) -> str:
    return (
        f"import grpc, {module} as module; found = module.{client}; "
        "found(transport=found.get_transport_class('grpc')(channel=grpc.insecure_channel('127.0.0.1:9')))"
    )


# Client → how its own documentation connects it; how our adapter does.
CLIENTS: Mapping[str, tuple[str, str]] = {
    "firestore": (
        "from google.cloud import firestore; firestore.Client(project='lab')",
        "from pointsman.adapters.ledger_firestore import FirestoreLedger; FirestoreLedger('lab', '(default)')",
    ),
    "pubsub": (
        "from google.cloud import pubsub_v1; pubsub_v1.PublisherClient()",
        "import main; main.port(*main.ADAPTERS['bus'])",
    ),
    "workflows": (
        _grpc("google.cloud.workflows.executions_v1", "ExecutionsClient"),
        "import main; main.port('workflows')",
    ),
    "container": (
        _grpc("google.cloud.container_v1", "ClusterManagerClient"),
        "import main; main.port('node_pools', 'projects/p/locations/l/clusters/c')",
    ),
    "kubernetes": (
        "import google.auth, google.auth.transport.urllib3; from kubernetes import client; client.ApiClient(); "
        + _grpc("google.cloud.container_v1", "ClusterManagerClient"),
        "from google.auth.credentials import AnonymousCredentials; from pointsman.adapters import kubernetes; "
        "kubernetes._with_credentials('https://127.0.0.1:9', AnonymousCredentials()); "
        + _grpc("google.cloud.container_v1", "ClusterManagerClient"),
    ),
    "monitoring": (
        _grpc("google.cloud.monitoring_v3", "MetricServiceClient"),
        "import main; main.port('metrics', 'projects/p/locations/l/clusters/c', 'gke-l7-global-external-managed')",
    ),
    "secretmanager": (
        _grpc("google.cloud.secretmanager_v1", "SecretManagerServiceClient"),
        "import main; main.port('secrets')",
    ),
    "git": (
        "from dulwich.client import get_transport_and_path; from dulwich.repo import MemoryRepo; "
        "get_transport_and_path('http://127.0.0.1:9/x')",
        "import main; main.port(*main.ADAPTERS['source'])",
    ),
}
RIGHTS: Mapping[str, str] = {
    "ledger": "firestore",
    "publish": "pubsub",
    "dead-letters": "pubsub",
    "start": "workflows",
    "executions": "workflows",
    "signal": "workflows",
    "kubernetes": "kubernetes",
    "metrics": "monitoring",
    "node_pools": "container",
}
"""What a function may do → the client by which it does it."""


def clients(function: Mapping[str, Any]) -> Sequence[str]:
    """The clients that an entry of the topology needs, by what it may do and which secrets it reads itself."""
    needed = {RIGHTS[right] for may in function["may"] if (right := may.partition(":")[0]) in RIGHTS}
    secrets = set(function.get("secrets", ()))
    if secrets - {"webhooks"}:  # those are mounted
        needed.add("secretmanager")
    if "repository" in secrets and "ledger" in function["may"]:
        needed.add("git")
    return [name for name in CLIENTS if name in needed]


def rows() -> Iterator[Row]:
    functions = yaml.safe_load((ROOT / "bootstrap/topology.yaml").read_text())["functions"]
    with tempfile.TemporaryDirectory() as folder:
        for name, function in functions.items():
            needed = clients(function)
            pairs = [(started(name, needed, folder), started("", needed, folder)) for _ in range(RUNS)]
            seconds, base_s = (statistics.median(pair[index][0] for pair in pairs) for index in (0, 1))
            mib = max(ours[1] for ours, _ in pairs)
            ratio = statistics.median(ours[0] / bare[0] for ours, bare in pairs)
            yield Row(
                f"cold start: {name}",
                f"{seconds * 1000:,.0f} ms CPU, {mib:.0f} MiB",
                f"bare app and {', '.join(needed) or 'no client'}: {base_s * 1000:,.0f} ms",
                f"{ratio:.2f} x of {RATIO_MAX:g}, {mib / MEMORY_MIB_MAX:.2f} of {MEMORY_MIB_MAX:.0f} MiB",
            )


def started(name: str, needed: Sequence[str], folder: str) -> tuple[float, float]:
    """CPU seconds and peak resident MiB of one cold start: of an entry point, or (no name) of a bare app."""
    source = ROOT / "functions" / "main.py"
    if not name:
        source = Path(folder) / "bare.py"
        source.write_text(BARE)
    connect = "\n".join(CLIENTS[client][1 if name else 0] for client in needed)
    command = [sys.executable, "-c", START, name or "bare", str(source), folder, connect]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    seconds, mib = output.split()[-2:]
    return float(seconds), float(mib)
