"""The whole local cloud: it comes up, keeps itself running, remembers, and leaves nothing behind."""

import asyncio
import json
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from tests.local.cluster import Cluster, deployment, until
from tests.local.local_cloud import LocalCloud, pointsman

from pointsman.errors import Unavailable
from pointsman_local import supervisor
from pointsman_local.identity import Identity, account
from pointsman_local.lock import held, holder
from pointsman_local.site import ENDPOINTS, Site
from pointsman_local.topology import deployed, load

FUNCTIONS = tuple(load(deployed()).functions)
RESTART_S = 20.0

# contracts of the command: what a shell needs to speak to the local cloud with unmodified tools
VARIABLES = {
    "GOOGLE_CLOUD_PROJECT",
    "POINTSMAN_LOCATION",
    "POINTSMAN_CLUSTER",
    "POINTSMAN_LEDGER",
    "PUBSUB_EMULATOR_HOST",
    "POINTSMAN_WORKFLOWS_ENDPOINT",
    "POINTSMAN_WORKFLOWEXECUTIONS_ENDPOINT",
    "POINTSMAN_CONTAINER_ENDPOINT",
    "POINTSMAN_MONITORING_ENDPOINT",
    "POINTSMAN_CALLBACK_ORIGIN",
    "KUBECONFIG",
    "POINTSMAN_REPOSITORY",
    "POINTSMAN_BRANCH",
    "POINTSMAN_POOLS",
    "POINTSMAN_COMMAND_URL",
    "POINTSMAN_WEBHOOK_SECRETS",
    "POINTSMAN_WEBHOOK_URL",
    "POINTSMAN_GIT_URL",
    "POINTSMAN_GATEWAY_URL",
    "POINTSMAN_IDENTITY_TOKEN",
    "CLOUDSDK_CORE_PROJECT",
    "CLOUDSDK_AUTH_DISABLE_CREDENTIALS",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_WORKFLOWS",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_WORKFLOWEXECUTIONS",
}

whole = [pytest.mark.local_cloud]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One cloud for the tests of this file, in their order: the last ones end it."""
    cloud = LocalCloud(tmp_path_factory.mktemp("supervised") / "data")
    cloud.up()
    yield cloud
    cloud.close()


def site_of(cloud: LocalCloud) -> Site:
    return Site.load(cloud.data / "run" / "site.json")


def status_of(url: str, token: str | None = None, body: bytes | None = None) -> int:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


class TestRunning:
    pytestmark = whole

    def test_it_says_that_it_is_ready_and_how_long_that_took(self, cloud: LocalCloud) -> None:
        said = until(lambda: re.search(r"local cloud ready in (\d+\.\d) s, state in (\S+)", cloud.said()))
        assert float(said[1]) <= cloud.took_s
        assert Path(said[2]) == cloud.data

    def test_status_lists_one_process_a_function_and_those_that_serve_them(self, cloud: LocalCloud) -> None:
        processes = cloud.processes()
        assert set(processes) == {*FUNCTIONS, *supervisor.PROCESSES}
        assert "workflows" in processes
        ports = site_of(cloud).ports
        for name in FUNCTIONS:
            assert processes[name]["port"] == ports[f"functions/{name}"]
        pids = {row["pid"] for row in processes.values()}
        assert len(pids) == len(processes)
        assert all(psutil.pid_exists(pid) for pid in pids)

    def test_the_table_of_processes_is_aligned(self, cloud: LocalCloud) -> None:
        lines = pointsman("local", "status", "--data", cloud.data).stdout.splitlines()
        assert lines[0].split() == ["NAME", "PID", "PORT"]
        column = lines[0].index("PID")
        assert all(line[column - 1] == " " and line[column].isdigit() for line in lines[1:])

    def test_env_prints_a_line_for_every_variable(self, cloud: LocalCloud) -> None:
        lines = pointsman("local", "env", "--data", cloud.data).stdout.splitlines()
        assert all(re.fullmatch(r"export [A-Z_]+=\S+", line) for line in lines)
        names = {line.removeprefix("export ").partition("=")[0] for line in lines}
        assert names >= VARIABLES
        as_object = json.loads(pointsman("local", "env", "-o", "json", "--data", cloud.data).stdout)
        assert as_object == cloud.environment
        assert set(as_object) == names
        assert all(
            value.endswith("/") for name, value in as_object.items() if name.startswith("CLOUDSDK_API_ENDPOINT_")
        )

    @pytest.mark.parametrize(
        ("caller", "expected"),
        [
            pytest.param(None, 401, id="without-a-token"),
            pytest.param("stranger@example.com", 403, id="somebody-else"),
            pytest.param(account("notify", "local"), 403, id="another-function"),
            pytest.param("ada@localhost", 400, id="an-operator"),
        ],
    )
    def test_a_function_is_behind_its_guard(self, cloud: LocalCloud, caller: str | None, expected: int) -> None:
        url = cloud.environment["POINTSMAN_COMMAND_URL"]
        token = Identity(cloud.data).token(caller, url, 2e9) if caller else None
        assert status_of(f"{url}/dance", token, b"{}") == expected  # 400: it came through, and is no command

    def test_a_second_cloud_on_the_same_directory_is_refused_in_one_line(self, cloud: LocalCloud) -> None:
        ran = pointsman("local", "up", "--data", cloud.data)
        assert ran.returncode == 4
        assert ran.stdout == ""
        assert ran.stderr == (
            f"error: {cloud.data}: a local cloud runs here already — pointsman local down --data {cloud.data}\n"
        )
        assert cloud.ended() is None

    def test_processes_that_are_killed_are_started_again_where_they_were(self, cloud: LocalCloud) -> None:
        before = cloud.processes()
        killed = ("command", "workflows")
        for name in killed:
            psutil.Process(before[name]["pid"]).kill()

        def back() -> Mapping[str, Mapping[str, object]] | None:
            now = cloud.processes()
            return now if all(now[name]["pid"] != before[name]["pid"] for name in killed) else None

        after = until(back, RESTART_S)
        for name in killed:
            assert after[name]["port"] == before[name]["port"]
        assert {name for name in after if after[name]["pid"] != before[name]["pid"]} == set(killed)
        environment = cloud.environment
        listing = f"{environment['POINTSMAN_CALLBACK_ORIGIN']}/v1/projects/local/locations/us-central1/workflows"
        until(lambda: _answers(listing, 200), RESTART_S)
        until(lambda: _answers(environment["POINTSMAN_COMMAND_URL"], 401), RESTART_S)

    def test_down_stops_it_and_leaves_no_process(self, cloud: LocalCloud) -> None:
        topic = cloud.environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB"] + "v1/projects/local/topics/kept"
        request = urllib.request.Request(topic, b"{}", {"Content-Type": "application/json"}, method="PUT")
        urllib.request.urlopen(request, timeout=10).close()
        assert cloud.end(lambda: pointsman("local", "down", "--data", cloud.data)) == 0
        for command in ("status", "env", "down"):
            ran = pointsman("local", command, "--data", cloud.data)
            assert (ran.returncode, ran.stdout) == (4, "")
            assert ran.stderr == (
                f"error: {cloud.data}: the local cloud is not running — pointsman local up --data {cloud.data}\n"
            )

    def test_a_cloud_started_again_is_where_it_was_and_remembers(self, cloud: LocalCloud) -> None:
        ports, secrets = site_of(cloud).ports, (cloud.data / "run" / "webhook_secrets.json").read_text()
        cloud.up()
        assert site_of(cloud).ports == ports
        assert (cloud.data / "run" / "webhook_secrets.json").read_text() == secrets
        topics = cloud.environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB"] + "v1/projects/local/topics"
        with urllib.request.urlopen(topics, timeout=10) as answer:
            assert "projects/local/topics/kept" in {topic["name"] for topic in json.load(answer)["topics"]}

    def test_kill_9_leaves_no_process_neither_pods_nor_envoy(self, cloud: LocalCloud) -> None:
        cluster = Cluster(site_of(cloud).url("kubernetes"))
        cluster.create("apps/deployments", deployment("lone"))
        cluster.ready("lone", 1)
        commands = [" ".join(child.cmdline()) for child in psutil.Process(cloud.pid).children(recursive=True)]
        assert any("envoy" in command for command in commands)
        assert any("small_model_server" in command for command in commands)
        assert cloud.end(signal.SIGKILL) == -signal.SIGKILL
        assert pointsman("local", "env", "--data", cloud.data).returncode == 4


@pytest.mark.local_cloud
@pytest.mark.parametrize(
    ("number", "status"),
    [
        pytest.param(signal.SIGINT, 130, id="ctrl-c"),
        pytest.param(signal.SIGABRT, -signal.SIGABRT, id="crash"),
    ],
)
def test_one_that_ends_while_it_comes_up_leaves_no_process(tmp_path: Path, number: int, status: int) -> None:
    cloud = LocalCloud(tmp_path / "data")
    cloud.start()
    try:
        until(lambda: len(psutil.Process(cloud.pid).children()) > len(supervisor.PROCESSES))
        assert cloud.end(number) == status
    finally:
        cloud.close()


def _answers(url: str, status: int) -> bool:
    try:
        return status_of(url) == status
    except OSError:
        return False


# --- parts of it, without a cloud ---------------------------------------------------------------------------------


def test_a_process_that_does_not_start_is_named_with_its_last_words_and_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PROCESSES", {"cloud": ("nonesuch",)})
    monkeypatch.setattr(supervisor, "RESTARTS_MAX", 1)
    with pytest.raises(Unavailable) as found:
        asyncio.run(supervisor.up(tmp_path, asyncio.Event(), lambda site, seconds: None))
    assert found.value.what == "cloud does not start: ModuleNotFoundError: No module named 'pointsman_local.nonesuch'"
    assert found.value.remedy == f"see {tmp_path}/logs/cloud.log"
    assert not (tmp_path / "run" / "status.json").exists()
    assert holder(tmp_path / "run" / "lock") is None


def test_an_endpoint_that_never_answers_is_named_with_the_log_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "READY_S", 0.0)
    with pytest.raises(Unavailable) as found:
        asyncio.run(supervisor.up(tmp_path, asyncio.Event(), lambda site, seconds: None))
    assert found.value.what.startswith("no answer in 0 s: ")
    assert "workflows-rest" in found.value.what
    assert f"{tmp_path}/logs/workflows.log" in found.value.remedy
    assert f"{tmp_path}/logs/functions.log" in found.value.remedy


def test_every_endpoint_belongs_to_a_process() -> None:
    owners = {endpoint: supervisor.process_of(endpoint) for endpoint in (*ENDPOINTS, "functions/sweep")}
    assert owners["container"] == "cloud"
    assert owners["envoy-admin"] == "gateway"
    assert owners["workflows-rest"] == "workflows"
    assert owners["functions/sweep"] == "functions"
    assert set(owners.values()) == {*supervisor.PROCESSES, "functions"}


def test_a_lock_is_held_by_one_and_let_go_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    with held(path) as first, held(path) as second:
        assert (first, second) == (True, False)
        assert holder(path) == psutil.Process().pid
    assert holder(path) is None
    with held(path) as again:
        assert again
