"""One contract for every cluster: the adapter over HTTP against the local Kubernetes API, and the handlers' fake.

Against a real cluster it runs with `POINTSMAN_TEST_KUBECONFIG`, in the namespace `default` of that context.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.handlers.fakes import FakeCluster

from pointsman.adapters.endpoints import Settings
from pointsman.adapters.kubernetes import connect
from pointsman.core.names import JSON, Ref
from pointsman.errors import Conflict
from pointsman.ports import Cluster

GATEWAY_API = "gateway.networking.k8s.io/v1"


def _settings(kubeconfig: Path | str) -> Settings:
    return Settings(project="p", location="us-central1", cluster="c1", kubeconfig=str(kubeconfig))


@pytest.fixture(scope="module")
def local_kubeconfig(local_process: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    process = local_process("kubernetes")
    url = process.site.url("kubernetes")
    process.start(f"{url}/readyz")
    path = tmp_path_factory.mktemp("kube") / "config"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": url}}],
        "users": [],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": ""}}],
        "current-context": "local",
    }
    path.write_text(json.dumps(config))
    yield path
    assert process.stop() == 0


REAL = os.environ.get("POINTSMAN_TEST_KUBECONFIG", "")


@pytest.fixture(params=["local", "fake", *(["real"] if REAL else [])])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if request.param == "fake":
        yield FakeCluster()
        return
    kubeconfig = REAL if request.param == "real" else request.getfixturevalue("local_kubeconfig")
    found = connect(_settings(kubeconfig), "c1")
    yield found
    for kind, api_version in (("HTTPRoute", GATEWAY_API), ("Service", "v1"), ("Deployment", "apps/v1")):
        for item in found.find(api_version, kind, "default", {"suite": "contract"}):
            found.delete(Ref(api_version, kind, "default", _meta(item)["name"]))


def _meta(item: JSON | None) -> dict[str, Any]:
    assert item is not None
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    return metadata


def _route(*weights: int, **metadata: Any) -> dict[str, Any]:
    backends = [{"name": f"r{number}", "port": 80, "weight": weight} for number, weight in enumerate(weights)]
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {"name": "chat", "namespace": "default", "labels": {"suite": "contract"}, **metadata},
        "spec": {"parentRefs": [{"name": "models", "namespace": "gateway"}], "rules": [{"backendRefs": backends}]},
    }


def _service(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": {"suite": "contract", **labels}},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }


ROUTE = Ref(GATEWAY_API, "HTTPRoute", "default", "chat")


def _weights(item: JSON | None) -> list[int]:
    assert item is not None
    spec: Any = item["spec"]
    return [backend["weight"] for backend in spec["rules"][0]["backendRefs"]]


def test_what_is_not_there_is_none_and_deleting_it_is_fine(cluster: Cluster) -> None:
    absent = Ref("apps/v1", "Deployment", "default", "absent")
    assert cluster.get(absent) is None
    cluster.delete(absent)


def test_what_was_applied_is_got_and_found(cluster: Cluster) -> None:
    applied = cluster.apply(_route(100, 0))
    assert _meta(applied)["uid"]
    assert cluster.get(ROUTE) == applied
    assert _weights(applied) == [100, 0]
    assert [
        _meta(item)["name"] for item in cluster.find(GATEWAY_API, "HTTPRoute", "default", {"suite": "contract"})
    ] == ["chat"]
    assert cluster.find(GATEWAY_API, "HTTPRoute", "default", {"suite": "other"}) == []


def test_found_objects_say_what_they_are(cluster: Cluster) -> None:
    cluster.apply(_service("one", tier="1"))
    cluster.apply(_service("two", tier="2"))
    found = cluster.find("v1", "Service", "default", {"suite": "contract", "tier": "2"})
    assert [(item["apiVersion"], item["kind"], _meta(item)["name"]) for item in found] == [("v1", "Service", "two")]


def test_applying_the_same_again_changes_nothing(cluster: Cluster) -> None:
    first = cluster.apply(_route(95, 5))
    assert _meta(cluster.apply(_route(95, 5)))["resourceVersion"] == _meta(first)["resourceVersion"]


def test_every_change_of_the_spec_is_a_generation_and_labels_are_none(cluster: Cluster) -> None:
    first = _meta(cluster.apply(_route(95, 5)))
    second = _meta(cluster.apply(_route(75, 25)))
    third = _meta(cluster.apply(_route(75, 25, annotations={"pointsman.dev/token": "7"})))
    assert second["generation"] == first["generation"] + 1
    assert third["generation"] == second["generation"]
    assert len({one["resourceVersion"] for one in (first, second, third)}) == 3


def test_a_resource_version_that_no_longer_holds_is_a_conflict_forced_or_not(cluster: Cluster) -> None:
    stale = _meta(cluster.apply(_route(95, 5)))["resourceVersion"]
    fresh = _meta(cluster.apply(_route(75, 25, resourceVersion=stale)))["resourceVersion"]
    for force in (False, True):
        with pytest.raises(Conflict):
            cluster.apply(_route(50, 50, resourceVersion=stale), force=force)
    assert _weights(cluster.get(ROUTE)) == [75, 25]
    cluster.apply(_route(50, 50, resourceVersion=fresh))


def test_a_resource_version_of_an_object_that_is_gone_is_a_conflict(cluster: Cluster) -> None:
    stale = _meta(cluster.apply(_route(95, 5)))["resourceVersion"]
    cluster.delete(ROUTE)
    with pytest.raises(Conflict):
        cluster.apply(_route(50, 50, resourceVersion=stale))
    assert cluster.get(ROUTE) is None


def test_a_late_deletion_is_a_conflict(cluster: Cluster) -> None:
    stale = _meta(cluster.apply(_route(95, 5)))["resourceVersion"]
    fresh = _meta(cluster.apply(_route(75, 25)))["resourceVersion"]
    with pytest.raises(Conflict):
        cluster.delete(ROUTE, resource_version=stale)
    cluster.delete(ROUTE, resource_version=fresh)
    assert cluster.get(ROUTE) is None


def test_what_is_left_out_of_an_apply_is_removed(cluster: Cluster) -> None:
    cluster.apply(_route(95, 5, annotations={"pointsman.dev/token": "7", "pointsman.dev/stable": "r0"}))
    applied = cluster.apply(_route(95, 5, annotations={"pointsman.dev/token": "8"}))
    assert _meta(applied)["annotations"] == {"pointsman.dev/token": "8"}


def test_no_replicas_are_a_number_like_any_other(cluster: Cluster) -> None:
    def deployment(**spec: int) -> dict[str, Any]:
        container = {"name": "server", "image": "example.test/server:1", "command": ["sleep", "1"]}
        template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [container]}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d", "namespace": "default", "labels": {"suite": "contract"}},
            "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template, **spec},
        }

    applied: Any = cluster.apply(deployment(replicas=0))
    assert applied["spec"]["replicas"] == 0
    again: Any = cluster.apply(deployment(replicas=0))
    assert again["metadata"]["generation"] == applied["metadata"]["generation"]
