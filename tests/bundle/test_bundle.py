"""What is deployed, alone: the archive, unpacked into a clean environment with nothing but its own requirements."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from zipfile import ZipFile

import grpc
import pytest
import urllib3
import yaml
from google.pubsub_v1.types import PublishRequest, PublishResponse
from tests.bundle.own_events import OWN, SECRET

from pointsman_cli.bootstrap.archive import archive

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = sorted(yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())["functions"])
START_S = 60


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `venv/` and `functions/`, as a build on Google Cloud makes them."""
    folder = tmp_path_factory.mktemp("bundle")
    with ZipFile(io.BytesIO(archive())) as packed:
        packed.extractall(folder / "functions")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    install = [
        str(folder / "venv/bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
    ]
    subprocess.run([*install, "-r", str(folder / "functions/requirements.txt")], check=True, timeout=300)
    return folder


@pytest.fixture
def topics() -> Iterator[tuple[str, list[str]]]:
    """Address of a Pub/Sub that takes every message, and the topics that got one."""
    taken: list[str] = []

    def publish(request: PublishRequest, context: grpc.ServicerContext) -> PublishResponse:
        taken.append(request.topic.rsplit("/", 1)[1])
        return PublishResponse(message_ids=["1"])

    handler = grpc.unary_unary_rpc_method_handler(publish, PublishRequest.deserialize, PublishResponse.serialize)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    service = grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", {"Publish": handler})
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", taken
    server.stop(grace=None).wait()


@pytest.fixture
def environment(tmp_path: Path, topics: tuple[str, list[str]]) -> dict[str, str]:
    """Enough to be wired; but for Pub/Sub nobody listens at any of these addresses, and none is asked."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GOOGLE_CLOUD_PROJECT": "lab",
        "POINTSMAN_LOCATION": "us-central1",
        "POINTSMAN_CLUSTER": "lab",
        "POINTSMAN_LEDGER": f"sqlite:///{tmp_path}/ledger.db",
        "POINTSMAN_REPOSITORY": "http://127.0.0.1:9/local/config.git",
        "POINTSMAN_WEBHOOK_SECRETS": json.dumps({"github": [SECRET]}),
        "PUBSUB_EMULATOR_HOST": topics[0],
        "POINTSMAN_WORKFLOWEXECUTIONS_ENDPOINT": "127.0.0.1:9",
        "POINTSMAN_CONTAINER_ENDPOINT": "127.0.0.1:9",
        "POINTSMAN_MONITORING_ENDPOINT": "127.0.0.1:9",
        "POINTSMAN_SECRETMANAGER_ENDPOINT": "127.0.0.1:9",
        "WORKERS": "1",
        "THREADS": "2",
    }


@pytest.fixture
def started(bundle: Path, environment: dict[str, str], free_port: Callable[[], int]) -> Iterator[Callable[[str], str]]:
    """Starts a function by the command that Google's buildpack runs; gives its URL once it answers."""
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> str:
        port = free_port()
        command = [
            str(bundle / "venv/bin/functions-framework"),
            "--target",
            name,
            "--port",
            str(port),
            "--host",
            "127.0.0.1",
        ]
        running.append(subprocess.Popen(command, cwd=bundle / "functions", env=environment, start_new_session=True))
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib3.request("GET", url, retries=False, timeout=10)
            except urllib3.exceptions.HTTPError:
                assert time.monotonic() < deadline, f"{name} does not answer"
                assert running[-1].poll() is None, f"{name} ended"
                time.sleep(0.05)
            else:
                return url

    yield start
    for process in running:
        os.killpg(process.pid, signal.SIGKILL)  # its polite end takes three seconds and is not asked about here
        process.wait(timeout=20)


# What each answers to a request that is no good: proof that it was found, wired and decides for itself.
@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("receive_webhook", "/webhooks/github", 401),
        ("on_repo_push", "/", 200),
        ("on_model_registered", "/", 200),
        ("on_alert", "/", 200),
        ("rollout_step", "/claim", 400),
        ("pool_step", "/claim", 400),
        ("command", "/abort", 403),
        ("sweep", "/", 200),
        ("notify", "/", 200),
    ],
)
@pytest.mark.timeout(400)  # the first case makes the environment
def test_every_entry_point_starts_by_the_unmodified_command_and_answers_its_event(
    started: Callable[[str], str], topics: tuple[str, list[str]], name: str, path: str, status: int
) -> None:
    url, own = started(name), OWN[name]
    answer = urllib3.request("POST", url + path, json={"no": "event"}, retries=False, timeout=30)
    assert answer.status == status, answer.data
    answer = urllib3.request("POST", url + own.path, body=own.body, headers=own.headers, retries=False, timeout=30)
    assert (answer.status, own.answer in answer.data.decode()) == (own.status, True), answer.data
    assert topics[1] == ([own.published] if own.published else [])


@pytest.mark.timeout(400)
def test_where_traces_are_on_their_libraries_are_there(bundle: Path, environment: dict[str, str]) -> None:
    program = "import main; assert main.spans() is not None"
    environment["POINTSMAN_TRACES"] = "http://127.0.0.1:9/v1/traces"
    python = [str(bundle / "venv/bin/python"), "-c", program]
    subprocess.run(python, cwd=bundle / "functions", env=environment, check=True, timeout=60)


def test_every_function_of_the_topology_is_tried() -> None:
    marks = test_every_entry_point_starts_by_the_unmodified_command_and_answers_its_event.pytestmark  # type: ignore[attr-defined]
    tried = [case[0] for mark in marks if mark.name == "parametrize" for case in mark.args[1]]
    assert sorted(tried) == FUNCTIONS


def test_the_requirements_never_name_pointsman_itself() -> None:
    lines = (ROOT / "functions/requirements.txt").read_text().splitlines()
    assert all("pointsman" not in line.partition("#")[0] for line in lines)
    assert all("==" in line for line in lines if line and not line.startswith("#"))
