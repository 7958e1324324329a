"""The slice of the Kubernetes API over HTTP: objects, versions, conflicts, watches, and what is refused."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.local.cluster import Cluster, Refused, deployment, until

from pointsman_local.kubernetes.kinds import KINDS

MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def cluster(local_process: Callable[..., Any]) -> Iterator[Cluster]:
    process = local_process("kubernetes")
    process.start(process.site.url("kubernetes") + "/readyz")
    yield Cluster(process.site.url("kubernetes"))
    assert process.stop() == 0


def _service(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }


def _refused(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.status, caught.value.body["reason"]


def test_namespaces_the_built_in_node_and_the_gateway_are_there_from_the_start(cluster: Cluster) -> None:
    assert {one["metadata"]["name"] for one in cluster.list("namespaces")} >= {"default", "gateway"}
    assert [one["metadata"]["name"] for one in cluster.list("nodes")] == ["local"]
    gateway = cluster.get("gateway/gateways/models", "gateway")
    assert gateway["spec"]["gatewayClassName"] == "envoy"
    assert gateway["status"]["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]


def test_a_namespace_is_there_once_something_is_put_into_it(cluster: Cluster) -> None:
    cluster.create("services", _service("a"), namespace="nowhere", dryRun="All")
    assert cluster.gone("namespaces/nowhere")
    assert cluster.create("services", _service("a"), namespace="elsewhere")["metadata"]["namespace"] == "elsewhere"
    assert cluster.get("namespaces/elsewhere")["status"] == {"phase": "Active"}
    cluster.create("namespaces", {"metadata": {"name": "somewhere"}})
    created = cluster.create("services", _service("a"), namespace="somewhere")
    assert created["metadata"]["namespace"] == "somewhere"
    assert created["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_identity_version_and_generation_are_the_servers(cluster: Cluster) -> None:
    created = cluster.create("services", _service("identity"))
    metadata = created["metadata"]
    assert metadata["uid"]
    assert metadata["creationTimestamp"]
    assert metadata["generation"] == 1
    assert _refused(lambda: cluster.create("services", _service("identity"))) == (409, "AlreadyExists")
    labelled = cluster.merge("services/identity", {"metadata": {"labels": {"a": "b"}, "uid": metadata["uid"]}})
    assert int(labelled["metadata"]["resourceVersion"]) > int(metadata["resourceVersion"])
    assert labelled["metadata"]["generation"] == 1
    changed = cluster.merge("services/identity", {"spec": {"selector": {"app": "other"}}})
    assert changed["metadata"]["generation"] == 2
    assert changed["metadata"]["creationTimestamp"] == metadata["creationTimestamp"]


def test_a_write_that_changes_nothing_is_no_write(cluster: Cluster) -> None:
    created = cluster.apply("services/same", _service("same", a="b"))
    assert cluster.apply("services/same", _service("same", a="b")) == created
    assert cluster.merge("services/same", {"metadata": {"labels": {"a": "b"}}}) == created


def test_a_stale_resource_version_is_a_conflict_in_every_kind_of_write(cluster: Cluster) -> None:
    stale = cluster.create("services", _service("stale"))
    cluster.merge("services/stale", {"metadata": {"labels": {"a": "b"}}})
    version = {"metadata": {"name": "stale", "resourceVersion": stale["metadata"]["resourceVersion"]}}
    apply = {"apiVersion": "v1", "kind": "Service", **version}
    assert _refused(lambda: cluster.send("PUT", cluster.path("services/stale"), stale)) == (409, "Conflict")
    assert _refused(lambda: cluster.merge("services/stale", version)) == (409, "Conflict")
    assert _refused(lambda: cluster.apply("services/stale", apply)) == (409, "Conflict")
    assert _refused(lambda: cluster.apply("services/stale", apply, force="true")) == (409, "Conflict")
    with pytest.raises(Refused, match="the object has been modified; please apply your changes to the latest version"):
        cluster.send("PUT", cluster.path("services/stale"), stale)


def test_applying_with_a_version_to_what_is_gone_is_a_conflict(cluster: Cluster) -> None:
    gone = cluster.create("services", _service("gone"))
    cluster.delete("services/gone")
    body = _service("gone")
    body["metadata"]["resourceVersion"] = gone["metadata"]["resourceVersion"]
    assert _refused(lambda: cluster.apply("services/gone", body)) == (409, "Conflict")


def test_deletion_holds_to_its_preconditions(cluster: Cluster) -> None:
    there = cluster.create("services", _service("pre"))["metadata"]
    for wrong in ({"uid": "other"}, {"uid": there["uid"], "resourceVersion": "1"}):
        assert _refused(lambda wrong=wrong: cluster.delete("services/pre", preconditions=wrong)) == (409, "Conflict")  # type: ignore[misc]
    right = {"uid": there["uid"], "resourceVersion": there["resourceVersion"]}
    assert cluster.delete("services/pre", preconditions=right)["status"] == "Success"
    assert cluster.gone("services/pre")


def test_conflicts_of_ownership_are_told_with_their_fields(cluster: Cluster) -> None:
    cluster.apply("apps/deployments/owned", deployment("owned", replicas=0), manager="ann")
    with pytest.raises(Refused) as caught:
        cluster.apply("apps/deployments/owned", {**deployment("owned", replicas=1)}, manager="bob")
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "ann"', "field": ".spec.replicas"}
    assert caught.value.body["details"]["causes"] == [cause]
    forced = cluster.apply("apps/deployments/owned", deployment("owned", replicas=0), manager="bob", force="true")
    assert {entry["manager"] for entry in forced["metadata"]["managedFields"]} == {"ann", "bob"}
    cluster.delete("apps/deployments/owned")


def test_the_scale_subresource_owns_replicas_as_whoever_scaled(cluster: Cluster) -> None:
    cluster.apply("apps/deployments/scaled", deployment("scaled", replicas=0), manager="ann")
    assert cluster.get("apps/deployments/scaled/scale")["spec"] == {"replicas": 0}
    cluster.merge("apps/deployments/scaled", {"spec": {"replicas": 0, "paused": True}})
    scale = cluster.merge("apps/deployments/scaled/scale", {"spec": {"replicas": 0}})
    assert scale["kind"] == "Scale"
    assert scale["status"]["selector"] == "app=scaled"
    cluster.delete("apps/deployments/scaled")


def test_status_and_the_rest_are_written_apart(cluster: Cluster) -> None:
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "apart"},
        "spec": {"parentRefs": [{"name": "models", "namespace": "gateway"}]},
        "status": {"parents": [{"no": "body"}]},
    }
    assert "status" not in cluster.create("gateway/httproutes", route)
    written = cluster.merge(
        "gateway/httproutes/apart/status", {"status": {"parents": []}, "spec": {"hostnames": ["a.b"]}}
    )
    assert written["status"] == {"parents": []}
    assert "hostnames" not in written["spec"]
    assert written["metadata"]["generation"] == 1
    again = cluster.merge("gateway/httproutes/apart", {"status": None, "spec": {"hostnames": ["a.b"]}})
    assert again["status"] == {"parents": []}
    assert again["metadata"]["generation"] == 2


def test_a_route_is_completed_as_the_gateway_apis_schema_does(cluster: Cluster) -> None:
    rules = [{"backendRefs": [{"name": "r1", "port": 80}]}]
    body = {"metadata": {"name": "filled"}, "spec": {"rules": rules, "parentRefs": [{"name": "models"}]}}
    spec = cluster.create("gateway/httproutes", body)["spec"]
    assert spec["rules"] == [
        {
            "backendRefs": [{"name": "r1", "port": 80, "group": "", "kind": "Service", "weight": 1}],
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        }
    ]
    assert spec["parentRefs"] == [{"name": "models", "group": "gateway.networking.k8s.io", "kind": "Gateway"}]


@pytest.mark.parametrize(
    ("short", "body", "field"),
    [
        pytest.param(
            "services", {"metadata": {"name": "Bad_Name"}, "spec": {"ports": [{"port": 1}]}}, "metadata.name", id="name"
        ),
        pytest.param("services", {"metadata": {"name": "x"}, "spec": {}}, "spec.ports", id="no-port"),
        pytest.param(
            "services",
            {"metadata": {"name": "x", "labels": {"v": "a/b"}}, "spec": {"ports": [{"port": 1}]}},
            "metadata.labels",
            id="label",
        ),
        pytest.param(
            "gateway/httproutes",
            {"metadata": {"name": "x"}, "spec": {"rules": [{"backendRefs": [{"name": "a", "weight": 1_000_001}]}]}},
            "spec.rules[0].backendRefs[0].weight",
            id="weight",
        ),
        pytest.param(
            "gateway/httproutes",
            {"metadata": {"name": "x"}, "spec": {"rules": [{"timeouts": {"request": "600000ms"}}]}},
            "spec.rules[0].timeouts.request",
            id="six-digits-of-milliseconds",
        ),
        pytest.param(
            "apps/deployments",
            {"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {}}}},
            "spec.template.metadata.labels",
            id="selector",
        ),
        pytest.param(
            "pods",
            {
                "metadata": {"name": "x"},
                "spec": {"containers": [{"name": "a", "image": "i"}, {"name": "a", "image": "i"}]},
            },
            "spec.containers",
            id="twice-the-same-container",
        ),
    ],
)
def test_what_an_apiserver_refuses_is_refused_with_its_field(
    cluster: Cluster, short: str, body: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as caught:
        cluster.create(short, body)
    assert caught.value.status == 422
    assert field in [cause["field"] for cause in caught.value.body["details"]["causes"]]


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("GET", "/apis/batch/v1/namespaces/default/jobs", MERGE),
        ("GET", "/api/v1/namespaces/default/secrets/x", MERGE),
        ("GET", "/openapi/v3", MERGE),
        ("POST", "/api/v1/namespaces/default/pods/x/eviction", MERGE),
        ("DELETE", "/api/v1/namespaces/default/services", MERGE),
        ("DELETE", "/api/v1/namespaces/default", MERGE),
        ("PATCH", "/api/v1/namespaces/default/services/json-patched", "application/json-patch+json"),
    ],
)
def test_what_is_not_imitated_says_so_and_names_the_call(
    cluster: Cluster, method: str, path: str, content_type: str
) -> None:
    with pytest.raises(Refused) as caught:
        cluster.send(method, path, {} if method in ("POST", "PATCH") else None, content_type)
    assert caught.value.status == 501
    assert path in caught.value.body["message"]
    assert method in caught.value.body["message"]


def test_selectors_choose_among_labels_and_fields(cluster: Cluster) -> None:
    for name, tier in (("sel-a", "1"), ("sel-b", "2"), ("sel-c", "3")):
        cluster.create("services", _service(name, tier=tier, suite="selectors"))

    def names(**query: str) -> list[str]:
        return [one["metadata"]["name"] for one in cluster.list("services", **query)]

    assert names(labelSelector="suite=selectors,tier in (1,3)") == ["sel-a", "sel-c"]
    assert names(labelSelector="suite=selectors,tier!=1") == ["sel-b", "sel-c"]
    assert names(labelSelector="suite,!other,tier notin (2)") == ["sel-a", "sel-c"]
    assert names(fieldSelector="metadata.name=sel-b") == ["sel-b"]
    assert names(labelSelector="suite==selectors", fieldSelector="metadata.name!=sel-b") == ["sel-a", "sel-c"]
    assert _refused(lambda: cluster.list("services", labelSelector="a b c")) == (400, "BadRequest")


def test_a_watch_gives_everything_after_the_list_it_goes_on_from(cluster: Cluster) -> None:
    cluster.create("services", _service("w-before"))
    version = cluster.get("services")["metadata"]["resourceVersion"]
    cluster.create("services", _service("w-one", watched="yes"))
    cluster.merge("services/w-one", {"metadata": {"annotations": {"n": "1"}}})
    cluster.delete("services/w-one")
    events = list(cluster.watch("services", resourceVersion=version, timeoutSeconds="1"))
    seen = [(event["type"], event["object"]["metadata"]["name"]) for event in events]
    assert seen == [("ADDED", "w-one"), ("MODIFIED", "w-one"), ("DELETED", "w-one")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(versions)
    assert versions[0] > int(version)


def test_an_object_that_leaves_the_selection_is_deleted_for_the_watcher(cluster: Cluster) -> None:
    version = cluster.get("services")["metadata"]["resourceVersion"]
    cluster.create("services", _service("in-out"))
    cluster.merge("services/in-out", {"metadata": {"labels": {"in": "yes"}}})
    cluster.merge("services/in-out", {"metadata": {"labels": {"in": None}}})
    events = cluster.watch("services", resourceVersion=version, labelSelector="in=yes", timeoutSeconds="1")
    assert [event["type"] for event in events] == ["ADDED", "DELETED"]


def test_a_watch_hears_of_what_happens_while_it_is_open(cluster: Cluster) -> None:
    seen: list[str] = []

    def follow() -> None:
        seen.extend(
            event["object"]["metadata"]["name"]
            for event in cluster.watch("services", labelSelector="live=yes", timeoutSeconds="2")
        )

    watching = threading.Thread(target=follow)
    watching.start()
    for number in range(5):
        cluster.create("services", _service(f"live-{number}", live="yes"))
    watching.join(timeout=20)
    assert seen == [f"live-{number}" for number in range(5)]


def test_initial_events_end_with_a_bookmark_that_says_so(cluster: Cluster) -> None:
    cluster.create("services", _service("initial", initial="yes"))
    events = list(
        cluster.watch(
            "services",
            labelSelector="initial=yes",
            sendInitialEvents="true",
            allowWatchBookmarks="true",
            timeoutSeconds="1",
        )
    )
    assert [event["type"] for event in events[:2]] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_dry_run_answers_as_if_and_changes_nothing(cluster: Cluster) -> None:
    assert cluster.apply("services/dry", _service("dry"), dryRun="All")["metadata"]["uid"]
    assert cluster.gone("services/dry")
    assert _refused(lambda: cluster.create("services", {**_service("dry"), "spec": {}}, dryRun="All")) == (
        422,
        "Invalid",
    )


SELECTOR = {"matchLabels": {"a": "b"}}
TARGET = {"group": "", "kind": "Service", "name": "r1"}


@pytest.mark.parametrize(
    ("short", "spec"),
    [
        ("policy/poddisruptionbudgets", {"minAvailable": 1, "selector": SELECTOR}),
        ("monitoring/podmonitorings", {"selector": SELECTOR, "endpoints": [{"port": "http", "interval": "15s"}]}),
        ("gke/gcpbackendpolicies", {"targetRef": TARGET, "default": {"timeoutSec": 60}}),
        ("gke/healthcheckpolicies", {"targetRef": TARGET, "default": {"config": {"type": "HTTP"}}}),
        ("autoscaling/horizontalpodautoscalers", {"minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": {"name": "d"}}),
    ],
)
def test_kinds_that_nobody_carries_out_here_are_kept(cluster: Cluster, short: str, spec: dict[str, Any]) -> None:
    name, api_version = next((kind.name, kind.api_version) for kind in KINDS if kind.plural == short.partition("/")[2])
    body = {"apiVersion": api_version, "kind": name, "metadata": {"name": "kept"}, "spec": spec}
    assert cluster.apply(f"{short}/kept", body)["spec"] == spec
    assert [one["metadata"]["name"] for one in cluster.list(short)] == ["kept"]
    assert cluster.merge(f"{short}/kept", {"metadata": {"labels": {"x": "y"}}})["metadata"]["generation"] == 1
    cluster.delete(f"{short}/kept")


def test_strategic_patches_merge_containers_by_name(cluster: Cluster) -> None:
    cluster.create("apps/deployments", deployment("strategic", replicas=0, env={"A": "1"}))
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "server", "env": [{"name": "B", "value": "2"}]}]}}}}
    path = cluster.path("apps/deployments/strategic")
    patched = cluster.send("PATCH", path, patch, "application/strategic-merge-patch+json")
    container = patched["spec"]["template"]["spec"]["containers"][0]
    assert {one["name"] for one in container["env"]} == {"A", "B"}
    assert container["command"][0] == "python"
    cluster.delete("apps/deployments/strategic")


def test_a_table_is_answered_to_who_asks_for_one(cluster: Cluster) -> None:
    cluster.create("apps/deployments", deployment("tabled", replicas=0))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    answer = cluster.send("GET", cluster.path("apps/deployments"), accept=accept)
    columns = [column["name"] for column in answer["columnDefinitions"]]
    rows = {row["cells"][0]: dict(zip(columns, row["cells"], strict=True)) for row in answer["rows"]}
    assert rows["tabled"]["Ready"] == "0/0"
    cluster.delete("apps/deployments/tabled")


def test_discovery_lists_every_kind_in_both_forms(cluster: Cluster) -> None:
    groups = {group["name"] for group in cluster.send("GET", "/apis")["groups"]}
    assert {"apps", "gateway.networking.k8s.io", "monitoring.googleapis.com", "networking.gke.io", "policy"} <= groups
    core = {resource["name"] for resource in cluster.send("GET", "/api/v1")["resources"]}
    assert {"pods", "pods/log", "nodes", "namespaces", "services", "events"} <= core
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    aggregated = cluster.send("GET", "/apis", accept=accept)
    apps = next(item for item in aggregated["items"] if item["metadata"]["name"] == "apps")
    assert apps["versions"][0]["resources"][0]["resource"] == "deployments"


def test_objects_and_versions_survive_kill_9(local_process: Callable[..., Any]) -> None:
    process = local_process("kubernetes")
    ready = process.site.url("kubernetes") + "/readyz"
    process.start(ready)
    cluster = Cluster(process.site.url("kubernetes"))
    created = cluster.apply("services/kept", _service("kept", a="b"))
    cluster.create("services", _service("deleted"))
    cluster.delete("services/deleted")
    listed = cluster.get("services")["metadata"]["resourceVersion"]
    process.kill()
    process.start(ready)
    assert cluster.get("services/kept") == created
    # What happened in between is not known any more: whoever watched has to list again.
    path = cluster.path("services")
    before = str(int(listed) - 1)
    assert _refused(lambda: cluster.send("GET", path, watch="true", resourceVersion=before)) == (410, "Expired")
    assert list(cluster.watch("services", resourceVersion=listed, timeoutSeconds="1")) == []
    assert cluster.gone("services/deleted")
    after = cluster.merge("services/kept", {"metadata": {"labels": {"a": "c"}}})["metadata"]["resourceVersion"]
    assert int(after) > int(listed), "a version is never given twice"
    until(lambda: cluster.get("nodes/local"))
