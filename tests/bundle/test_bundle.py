"""What is deployed, alone: `functions/` in a clean environment with nothing but its own requirements."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
import yaml

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = sorted(yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())["functions"])
START_S = 60


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `venv/` and `functions/`, as a build on Google Cloud makes them."""
    folder = tmp_path_factory.mktemp("bundle")
    shutil.copytree(ROOT / "functions", folder / "functions", ignore=shutil.ignore_patterns("__pycache__"))
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
def environment(tmp_path: Path) -> dict[str, str]:
    """Enough to be wired; nobody listens at any of these addresses, and none is asked before a request is good."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GOOGLE_CLOUD_PROJECT": "lab",
        "POINTSMAN_LOCATION": "us-central1",
        "POINTSMAN_CLUSTER": "lab",
        "POINTSMAN_LEDGER": f"sqlite:///{tmp_path}/ledger.db",
        "POINTSMAN_REPOSITORY": "http://127.0.0.1:9/local/config.git",
        "POINTSMAN_WEBHOOK_SECRETS": '{"github": ["secret"]}',
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
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
def test_every_entry_point_starts_by_the_unmodified_command_and_answers(
    started: Callable[[str], str], name: str, path: str, status: int
) -> None:
    answer = urllib3.request("POST", started(name) + path, json={"no": "event"}, retries=False, timeout=30)
    assert answer.status == status, answer.data


def test_every_function_of_the_topology_is_tried() -> None:
    marks = test_every_entry_point_starts_by_the_unmodified_command_and_answers.pytestmark  # type: ignore[attr-defined]
    tried = [case[0] for mark in marks if mark.name == "parametrize" for case in mark.args[1]]
    assert sorted(tried) == FUNCTIONS


def test_the_requirements_never_name_pointsman_itself() -> None:
    lines = (ROOT / "functions/requirements.txt").read_text().splitlines()
    assert all("pointsman" not in line.partition("#")[0] for line in lines)
    assert all("==" in line for line in lines if line and not line.startswith("#"))
