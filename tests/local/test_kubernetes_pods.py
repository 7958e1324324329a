"""Pods are processes: they start, are probed, crash, are scaled, drained, and never outlive their server."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.local.cluster import Cluster, deployment, is_ready, until

PORT = "pointsman.local/port"


@pytest.fixture(scope="module")
def process(local_process: Callable[..., Any]) -> Iterator[Any]:
    process = local_process("kubernetes")
    process.start(process.site.url("kubernetes") + "/readyz")
    yield process
    assert process.stop() == 0


@pytest.fixture
def cluster(process: Any) -> Iterator[Cluster]:
    cluster = Cluster(process.site.url("kubernetes"))
    yield cluster
    cluster.clear("apps/deployments")
    cluster.clear("pods", gracePeriodSeconds=0)
    until(lambda: not cluster.list("pods"))


def _ask(pod: dict[str, Any], path: str = "/") -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{pod['metadata']['annotations'][PORT]}{path}", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _process_of(pod: dict[str, Any]) -> psutil.Process:
    """By its port, which only it has."""
    port = int(pod["metadata"]["annotations"][PORT])
    for process in psutil.process_iter():
        try:
            if (
                process.environ().get("PORT") == str(port)
                and process.environ().get("HOSTNAME") == pod["metadata"]["name"]
            ):
                return process
        except psutil.Error:
            continue
    raise AssertionError(f"nobody serves {port}")


def _state(pod: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = (pod["status"].get("containerStatuses") or [{"state": {}}])[0]["state"]
    return state


def test_a_deployment_becomes_processes_that_answer_with_its_environment(cluster: Cluster) -> None:
    field = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    colour = {"name": "COLOUR", "value": "$(VERSION)-blue-$$(VERSION)"}
    body = deployment("env", 2)
    body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "VERSION", "value": "v7"}, colour, field]
    cluster.create("apps/deployments", body)
    pods = cluster.ready("env", 2)
    answers = [_ask(pod) for pod in pods]
    assert [one["HOSTNAME"] for one in answers] == [pod["metadata"]["name"] for pod in pods]
    assert {one["PORT"] for one in answers} == {pod["metadata"]["annotations"][PORT] for pod in pods}
    assert [(one["VERSION"], one["COLOUR"], one["NODE"]) for one in answers] == [
        ("v7", "v7-blue-$(VERSION)", "local")
    ] * 2
    assert len({one["cwd"] for one in answers}) == 2, "each has a folder of its own"
    assert pods[0]["status"]["podIP"] == "127.0.0.1"
    assert pods[0]["status"]["phase"] == "Running"
    assert pods[0]["spec"]["nodeName"] == "local"
    log = cluster.get(f"pods/{pods[0]['metadata']['name']}/log", tailLines="1")
    assert log.strip() == f"serving v7 at {pods[0]['metadata']['annotations'][PORT]}"


def test_a_deployments_status_says_when_it_is_there(cluster: Cluster) -> None:
    cluster.create("apps/deployments", deployment("status", 2))

    def complete() -> Any:
        found = cluster.get("apps/deployments/status")
        return found.get("status", {}).get("availableReplicas") == 2 and found

    status = until(complete)["status"]
    counts = {
        name: status.get(name) for name in ("replicas", "updatedReplicas", "readyReplicas", "unavailableReplicas")
    }
    assert counts == {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "unavailableReplicas": None}
    assert status["observedGeneration"] == 1
    conditions = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    assert conditions == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_scaling_keeps_the_pods_that_stay_and_ends_the_others(cluster: Cluster) -> None:
    cluster.create("apps/deployments", deployment("scale", 1))
    (first,) = cluster.ready("scale", 1)
    cluster.merge("apps/deployments/scale/scale", {"spec": {"replicas": 3}})
    three = {pod["metadata"]["uid"] for pod in cluster.ready("scale", 3)}
    assert first["metadata"]["uid"] in three
    processes = [_process_of(pod) for pod in cluster.pods("scale")]
    cluster.merge("apps/deployments/scale/scale", {"spec": {"replicas": 1}})
    (left,) = cluster.ready("scale", 1)
    assert left["metadata"]["uid"] in three
    until(lambda: sum(one.is_running() for one in processes) == 1)
    cluster.merge("apps/deployments/scale/scale", {"spec": {"replicas": 0}})
    until(lambda: not cluster.pods("scale"))
    assert "readyReplicas" not in until(lambda: cluster.get("apps/deployments/scale"))["status"]


def test_a_pod_is_not_ready_while_its_health_check_fails(cluster: Cluster, tmp_path: Path) -> None:
    unhealthy = tmp_path / "unhealthy"
    unhealthy.touch()
    body = deployment("sick", 1, env={"UNHEALTHY": str(unhealthy)})
    body["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] |= {"failureThreshold": 1}
    cluster.create("apps/deployments", body)
    (pod,) = until(lambda: [one for one in cluster.pods("sick") if _state(one).get("running")])
    until(
        lambda: (
            ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
            in cluster.events(pod["metadata"]["name"])
        )
    )
    assert not is_ready(cluster.pods("sick")[0])
    unhealthy.unlink()
    cluster.ready("sick", 1)
    unhealthy.touch()
    until(lambda: not is_ready(cluster.pods("sick")[0]))
    assert cluster.pods("sick")[0]["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_failing_liveness_probe_restarts_the_container(cluster: Cluster, tmp_path: Path) -> None:
    unhealthy = tmp_path / "unhealthy"
    probe = {
        "httpGet": {"path": "/health", "port": 8080},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "initialDelaySeconds": 1,
    }
    body = deployment("live", 1, env={"UNHEALTHY": str(unhealthy)}, container={"livenessProbe": probe})
    cluster.create("apps/deployments", body)
    (pod,) = cluster.ready("live", 1)
    unhealthy.touch()
    until(lambda: cluster.pods("live")[0]["status"]["containerStatuses"][0]["restartCount"] >= 1)
    unhealthy.unlink()
    cluster.ready("live", 1)
    assert "Killing" in dict(cluster.events(pod["metadata"]["name"]))


def test_a_process_that_ends_is_started_again_and_then_backs_off(cluster: Cluster) -> None:
    cluster.create("apps/deployments", deployment("crash", 1, container={"command": ["sh", "-c", "echo no; exit 3"]}))

    def backing_off() -> Any:
        pods = [
            pod for pod in cluster.pods("crash") if _state(pod).get("waiting", {}).get("reason") == "CrashLoopBackOff"
        ]
        return pods and pods[0]["status"]["containerStatuses"][0]["restartCount"] >= 2 and pods[0]

    pod = until(backing_off)
    terminated = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")
    assert "BackOff" in dict(cluster.events(pod["metadata"]["name"]))
    assert cluster.get(f"pods/{pod['metadata']['name']}/log", previous="true") == "no\n"
    conditions = {one["type"]: one["status"] for one in cluster.get("apps/deployments/crash")["status"]["conditions"]}
    assert conditions["Available"] == "False"


@pytest.mark.parametrize(
    ("container", "reason", "message"),
    [
        pytest.param(
            {"command": ["/no/such"]},
            "RunContainerError",
            'exec: "/no/such": executable file not found',
            id="no-command",
        ),
        pytest.param({"command": None}, "RunContainerError", "has no command", id="image-only"),
        pytest.param({"workingDir": "/no/such"}, "RunContainerError", "is no folder", id="no-folder"),
        pytest.param(
            {"env": [{"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            "CreateContainerConfigError",
            'secret "s" not found',
            id="no-secret",
        ),
    ],
)
def test_what_cannot_be_started_waits_and_says_why(
    cluster: Cluster, container: dict[str, Any], reason: str, message: str
) -> None:
    cluster.create("apps/deployments", deployment("wrong", 1, container=container))
    waiting = until(
        lambda: [one for one in map(_state, cluster.pods("wrong")) if one.get("waiting", {}).get("reason") == reason]
    )[0]["waiting"]
    assert message in waiting["message"]


def test_sigterm_comes_first_and_sigkill_after_the_grace(cluster: Cluster, process: Any) -> None:
    polite, stubborn = deployment("polite", 1), deployment("stubborn", 1, env={"STUBBORN": "1"})
    stubborn["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    for body in (polite, stubborn):
        cluster.create("apps/deployments", body)
    pods = [*cluster.ready("polite", 1), *cluster.ready("stubborn", 1)]
    logs = [_log(process, pod) for pod in pods]
    processes = [_process_of(pod) for pod in pods]
    for pod in pods:
        left = cluster.delete(f"pods/{pod['metadata']['name']}")
        assert left["metadata"]["deletionTimestamp"]
    until(lambda: not any(one.is_running() for one in processes))
    assert [log.read_text().splitlines()[-1] == "bye" for log in logs] == [True, False]


def test_a_pod_on_its_way_out_is_replaced_at_once(cluster: Cluster) -> None:
    cluster.create("apps/deployments", deployment("replaced", 1))
    (pod,) = cluster.ready("replaced", 1)
    cluster.delete(f"pods/{pod['metadata']['name']}")
    until(lambda: {one["metadata"]["uid"] for one in cluster.pods("replaced")} - {pod["metadata"]["uid"]})
    (after,) = cluster.ready("replaced", 1)
    assert after["metadata"]["uid"] != pod["metadata"]["uid"]


def test_deleting_a_deployment_takes_its_pods_along_unless_they_are_orphaned(cluster: Cluster) -> None:
    cluster.create("apps/deployments", deployment("owner", 1))
    (pod,) = cluster.ready("owner", 1)
    cluster.delete("apps/deployments/owner", propagationPolicy="Orphan")
    assert not cluster.get(f"pods/{pod['metadata']['name']}")["metadata"]["ownerReferences"]
    cluster.create("apps/deployments", deployment("other", 1))
    cluster.ready("other", 1)
    cluster.delete("apps/deployments/other")
    until(lambda: not cluster.pods("other"))
    assert is_ready(cluster.pods("owner")[0])


def test_a_changed_template_replaces_pods_without_a_moment_with_none(cluster: Cluster) -> None:
    cluster.create("apps/deployments", deployment("rolled", 1, env={"VERSION": "1"}))
    cluster.ready("rolled", 1)
    body = deployment("rolled", 1, env={"VERSION": "2"})
    cluster.merge("apps/deployments/rolled", {"spec": {"template": body["spec"]["template"]}})

    def moved() -> bool:
        ready = [pod for pod in cluster.pods("rolled") if is_ready(pod)]
        assert ready, "there was a moment with no ready pod"
        return [pod["spec"]["containers"][0]["env"][0]["value"] for pod in ready] == ["2"]

    until(moved)


def test_a_killed_server_leaves_no_process_and_starts_its_pods_again(local_process: Callable[..., Any]) -> None:
    process = local_process("kubernetes")
    ready = process.site.url("kubernetes") + "/readyz"
    process.start(ready)
    cluster = Cluster(process.site.url("kubernetes"))
    # The second one's server is a grandchild, which the kernel would leave alone.
    shell = [
        "sh",
        "-c",
        "python " + deployment("x")["spec"]["template"]["spec"]["containers"][0]["command"][1] + "; true",
    ]
    cluster.create("apps/deployments", deployment("direct", 1))
    cluster.create("apps/deployments", deployment("shell", 1, container={"command": shell}))
    pods = [*cluster.ready("direct", 1), *cluster.ready("shell", 1)]
    processes = [_process_of(pod) for pod in pods]
    processes += [child for one in processes for child in one.children(recursive=True)]
    assert len(processes) >= 3
    process.kill()
    until(lambda: not any(_runs(one) for one in processes), within_s=5)
    process.start(ready)
    again = [*cluster.ready("direct", 1), *cluster.ready("shell", 1)]
    until(lambda: all(_ask(pod)["HOSTNAME"] == pod["metadata"]["name"] for pod in again))
    assert [pod["metadata"]["uid"] for pod in again] == [pod["metadata"]["uid"] for pod in pods]
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in again] == [1, 1]
    processes = [_process_of(pod) for pod in again]
    assert process.stop() == 0
    assert not any(_runs(one) for one in processes)


def _log(process: Any, pod: dict[str, Any]) -> Path:
    """The file, which stays when the pod goes."""
    metadata = pod["metadata"]
    folder: Path = process.site.data / "kubernetes" / "logs" / f"default_{metadata['name']}_{metadata['uid']}"
    return folder / "server" / "0.log"


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
