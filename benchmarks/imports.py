"""What each entry point costs when it starts: time and memory, beside a bare functions-framework app."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.row import Row

__all__ = ["rows"]

RUNS = 3
BARE = "import functions_framework\n\n@functions_framework.http\ndef bare(request):\n    return 'ok'\n"

# A cold start up to the first answer: framework, source, and one request, which wires what the function needs.
# The addresses lead nowhere, so an answer may be a refusal; what counts is that everything was imported for it.
START = """
import os, resource, sys, time
os.environ.update(GOOGLE_CLOUD_PROJECT="lab", POINTSMAN_LOCATION="us-central1", POINTSMAN_CLUSTER="lab",
    POINTSMAN_LEDGER="sqlite:///" + sys.argv[3] + "/ledger.db", PUBSUB_EMULATOR_HOST="127.0.0.1:9",
    POINTSMAN_REPOSITORY="http://127.0.0.1:9/local/config.git", POINTSMAN_WEBHOOK_SECRETS='{"github": ["secret"]}',
    POINTSMAN_WORKFLOWEXECUTIONS_ENDPOINT="127.0.0.1:9", POINTSMAN_CONTAINER_ENDPOINT="127.0.0.1:9",
    POINTSMAN_MONITORING_ENDPOINT="127.0.0.1:9", POINTSMAN_SECRETMANAGER_ENDPOINT="127.0.0.1:9")
begun = time.process_time()
import functions_framework
app = functions_framework.create_app(sys.argv[1], sys.argv[2])
app.test_client().post("/claim", json={"no": "event"})
print(time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def rows() -> Iterator[Row]:
    import tempfile

    functions = yaml.safe_load(Path("bootstrap/topology.yaml").read_text())["functions"]
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "main.py"
        bare.write_text(BARE)
        base_s, base_mib = _start("bare", bare, folder)
        for name in functions:
            seconds, mib = _start(name, Path("functions/main.py").resolve(), folder)
            yield Row(
                f"cold start: {name}",
                f"{seconds * 1000:,.0f} ms CPU, {mib:.0f} MiB",
                f"bare app {base_s * 1000:,.0f} ms, {base_mib:.0f} MiB",
                f"{seconds / base_s:.1f} x, {mib / base_mib:.1f} x",
            )


def _start(name: str, source: Path, folder: str) -> tuple[float, float]:
    """Median CPU seconds and peak resident MiB of a fresh process."""
    runs = []
    for _ in range(RUNS):
        command = [sys.executable, "-c", START, name, str(source), folder]
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
        seconds, mib = output.split()[-2:]
        runs.append((float(seconds), float(mib)))
    return statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)
