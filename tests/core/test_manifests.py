"""The objects of a revision and of a route: what pointsman adds, what it leaves alone, what GKE alone gets."""

import json
from typing import Any

import pytest
from tests.core.rollout_lab import NEW, NOON, OLD, plan
from tests.handlers.rollout_cloud import service

from pointsman.core.manifests import additions, probe_path, render, serving_port
from pointsman.core.names import JSON, RevisionName
from pointsman.core.revision import ResolvedModel
from pointsman.core.routes import (
    RouteSpec,
    agrees,
    backend_policy,
    cohort_service,
    http_route,
    reconciled,
    token_of,
    weights_of,
)
from pointsman.documents.effective import EffectiveService

MODEL = ResolvedModel({"uri": "gs://m/1"}, "gs://m/1", None, None)
REVISION = RevisionName("digits-0a1b2c3d")


def effective(template: dict[str, Any] | None = None, **fields: Any) -> EffectiveService:
    data = service("v1").model_dump(mode="json", by_alias=True, exclude_none=True)
    return EffectiveService.model_validate({**data, **({"template": template} if template else {}), **fields})


def pod(**container: Any) -> dict[str, Any]:
    server = {"name": "server", "image": "i:1", "ports": [{"containerPort": 8080}], **container}
    return {"spec": {"containers": [server]}}


def rendered(wanted: EffectiveService, model: ResolvedModel = MODEL) -> dict[str, Any]:
    record = render(wanted, model, REVISION, commit="c1", now=NOON)
    return {str(item["kind"]): json.loads(json.dumps(item)) for item in record.objects}


def test_a_revision_is_a_service_a_deployment_and_what_guards_and_measures_them() -> None:
    objects = rendered(effective())
    assert list(objects) == ["Service", "Deployment", "PodDisruptionBudget", "PodMonitoring", "HealthCheckPolicy"]
    labels = {
        "app.kubernetes.io/managed-by": "pointsman",
        "app.kubernetes.io/name": "digits",
        "pointsman.dev/service": "digits",
        "pointsman.dev/revision": REVISION,
    }
    assert all(
        item["metadata"] == {"name": REVISION, "namespace": "demo", "labels": labels} for item in objects.values()
    )
    assert objects["Service"]["spec"] == {
        "type": "ClusterIP",
        "selector": {"pointsman.dev/revision": REVISION},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    }
    assert "replicas" not in objects["Deployment"]["spec"], "they are put in when it is sent"
    assert objects["PodDisruptionBudget"]["spec"]["minAvailable"] == 1


def test_what_is_added_to_a_template() -> None:
    spec = rendered(effective())["Deployment"]["spec"]["template"]
    assert spec["metadata"]["labels"]["pointsman.dev/model-version"] == "0a1b2c3d"
    (server,) = spec["spec"]["containers"]
    assert {item["name"]: item["value"] for item in server["env"]} == {
        "MODEL_URI": "gs://m/1",
        "MODEL_NAME": "digits",
        "MODEL_VERSION": "0a1b2c3d",
    }
    assert server["readinessProbe"] == {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 5}
    assert server["lifecycle"] == {"preStop": {"sleep": {"seconds": 60}}}
    assert spec["spec"]["terminationGracePeriodSeconds"] == 120
    assert spec["spec"]["nodeSelector"] == {"pointsman.dev/pool": "cpu"}
    assert spec["spec"]["tolerations"] == [{"key": "cloud.google.com/gke-spot", "operator": "Exists"}]
    assert spec["spec"]["topologySpreadConstraints"][0]["topologyKey"] == "topology.kubernetes.io/zone"
    assert additions(effective()) == ()


def test_nothing_that_the_user_set_is_overridden_and_each_case_is_said() -> None:
    template = pod(
        env=[{"name": "MODEL_URI", "value": "mine"}],
        readinessProbe={"tcpSocket": {"port": 8080}},
        lifecycle={"preStop": {"exec": {"command": ["true"]}}, "postStart": {"exec": {"command": ["true"]}}},
    )
    template["metadata"] = {"labels": {"team": "vision"}}
    template["spec"] |= {
        "terminationGracePeriodSeconds": 5,
        "topologySpreadConstraints": [],
        "tolerations": [{"key": "mine", "operator": "Exists"}],
        "nodeSelector": {"disk": "ssd"},
    }
    wanted = effective(template)
    spec = rendered(wanted)["Deployment"]["spec"]["template"]
    (server,) = spec["spec"]["containers"]
    assert server["env"][0] == {"name": "MODEL_URI", "value": "mine"}
    assert [item["name"] for item in server["env"]] == ["MODEL_URI", "MODEL_NAME", "MODEL_VERSION"]
    for name in ("readinessProbe", "lifecycle", "image"):
        assert server[name] == template["spec"]["containers"][0][name]
    assert (spec["spec"]["terminationGracePeriodSeconds"], spec["spec"]["topologySpreadConstraints"]) == (5, [])
    assert spec["spec"]["nodeSelector"] == {"pointsman.dev/pool": "cpu", "disk": "ssd"}
    assert [item["key"] for item in spec["spec"]["tolerations"]] == ["mine", "cloud.google.com/gke-spot"]
    assert spec["metadata"]["labels"]["team"] == "vision"
    warnings = " ".join(additions(wanted))
    for told in ("MODEL_URI", "readinessProbe", "preStop", "terminationGracePeriodSeconds", "topologySpread"):
        assert told in warnings


@pytest.mark.parametrize("resource", ["nvidia.com/gpu", "google.com/tpu"])
def test_accelerators_are_tolerated_where_they_are_asked_for(resource: str) -> None:
    template = pod(resources={"limits": {resource: 1}})
    spec = rendered(effective(template))["Deployment"]["spec"]["template"]["spec"]
    assert {"key": resource, "operator": "Exists"} in spec["tolerations"]


def test_without_a_pool_the_templates_own_selectors_rule() -> None:
    data = service("v1").model_dump(mode="json", by_alias=True, exclude_none=True)
    del data["pool"]
    spec = rendered(EffectiveService.model_validate(data))["Deployment"]["spec"]["template"]["spec"]
    assert "nodeSelector" not in spec
    assert "tolerations" not in spec


def test_env_goes_into_init_containers_too_and_a_versions_label_is_a_label() -> None:
    template = pod()
    template["spec"]["initContainers"] = [{"name": "fetch", "image": "i:2"}]
    model = ResolvedModel({}, "gs://m/7", "chat 8b", "2026/11:02 (final)")
    spec = rendered(effective(template), model)["Deployment"]["spec"]["template"]
    assert spec["spec"]["initContainers"][0]["env"][0]["name"] == "MODEL_URI"
    assert spec["metadata"]["labels"]["pointsman.dev/model-version"] == "2026-11-02--final"
    assert {"name": "MODEL_VERSION", "value": "2026/11:02 (final)"} in spec["spec"]["containers"][0]["env"]


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ([{"containerPort": 8000}], {"containerPort": 8000}),
        (
            [{"containerPort": 9, "name": "metrics"}, {"containerPort": 8000, "name": "http"}],
            {"containerPort": 8000, "name": "http"},
        ),
        (
            [{"containerPort": 9, "name": "metrics"}, {"containerPort": 8001, "name": "h2c"}],
            {"containerPort": 8001, "name": "h2c"},
        ),
    ],
)
def test_traffic_goes_to_the_port_named_for_it_or_the_only_one(ports: list[Any], port: Any) -> None:
    assert serving_port(pod(ports=ports)) == port


def test_http2_without_tls_is_said_and_metrics_have_a_port_of_their_own() -> None:
    template = pod(ports=[{"containerPort": 9, "name": "metrics"}, {"containerPort": 8001, "name": "h2c"}])
    objects = rendered(effective(template))
    assert objects["Service"]["spec"]["ports"][0]["appProtocol"] == "kubernetes.io/h2c"
    assert objects["PodMonitoring"]["spec"]["endpoints"][0]["port"] == "metrics"


def test_the_load_balancers_health_check_follows_the_readiness_probe() -> None:
    ports = [{"containerPort": 8000, "name": "http"}]
    template = pod(ports=ports, readinessProbe={"httpGet": {"path": "/ready", "port": "http"}})
    config = rendered(effective(template))["HealthCheckPolicy"]["spec"]["default"]["config"]
    assert config["httpHealthCheck"] == {"port": 8000, "portSpecification": "USE_FIXED_PORT", "requestPath": "/ready"}


@pytest.mark.parametrize(("route", "path"), [("/", "/health"), ("/v1", "/v1"), ("/health", "/health")])
def test_forced_requests_ask_what_the_route_covers(route: str, path: str) -> None:
    assert probe_path(pod(), route) == path


# --- routes ---------------------------------------------------------------------------------------------------


def route(spec: RouteSpec, gateway_class: str = "envoy") -> dict[str, Any]:
    made = http_route(plan(), spec, gateway_class, token=7, rollout="r2", stable=OLD)
    return dict(json.loads(json.dumps(made)))


def test_a_route_says_who_wrote_it_and_where_back_is() -> None:
    meta = route(RouteSpec({OLD: 100}))["metadata"]
    assert meta["annotations"] == {
        "pointsman.dev/token": "7",
        "pointsman.dev/rollout": "r2",
        "pointsman.dev/stable": OLD,
        "client.lifecycle.config.k8s.io/mutation": "ignore",
    }
    assert token_of({"metadata": meta}) == 7
    assert token_of({"metadata": {}}) == 0


def test_rules_from_the_top_are_the_probe_the_cohort_and_everybody() -> None:
    cohort = {"headers": [{"name": "x-user-group", "value": "staff"}], "queryParams": [{"name": "g", "value": "1"}]}
    made = route(RouteSpec({OLD: 100, NEW: 0}, ("sesame", NEW), cohort, {f"{OLD}-c": 50, NEW: 50}))
    probe, group, everybody = made["spec"]["rules"]
    path = {"type": "PathPrefix", "value": "/"}
    header = {"type": "Exact", "name": "x-pointsman-probe", "value": "sesame"}
    assert probe["matches"] == [{"path": path, "headers": [header]}]
    assert [ref["name"] for ref in probe["backendRefs"]] == [NEW]
    assert group["matches"] == [
        {
            "path": path,
            "headers": [{"type": "Exact", "name": "x-user-group", "value": "staff"}],
            "queryParams": [{"type": "Exact", "name": "g", "value": "1"}],
        }
    ]
    assert [(ref["name"], ref["weight"]) for ref in group["backendRefs"]] == [(f"{OLD}-c", 50), (NEW, 50)]
    assert [(ref["name"], ref["weight"], ref["port"]) for ref in everybody["backendRefs"]] == [
        (OLD, 100, 80),
        (NEW, 0, 80),
    ]
    assert weights_of(made) == {OLD: 100, NEW: 0}
    assert made["spec"]["hostnames"] == ["digits-demo.localhost"]
    assert made["spec"]["parentRefs"] == [{"kind": "Gateway", "name": "models", "namespace": "gateway"}]


def test_copies_of_requests_are_a_filter_of_everybodys_rule() -> None:
    (rule,) = route(RouteSpec({OLD: 100, NEW: 0}, mirror=(NEW, 20)))["spec"]["rules"]
    backend = {"kind": "Service", "name": NEW, "port": 80}
    assert rule["filters"] == [{"type": "RequestMirror", "requestMirror": {"backendRef": backend, "percent": 20}}]


def test_with_the_probe_rule_alone_nobody_is_served() -> None:
    made = route(RouteSpec({}, ("sesame", NEW)))
    assert len(made["spec"]["rules"]) == 1
    assert weights_of(made) == {}


def test_the_timeout_is_the_routes_or_gkes_policy() -> None:
    (rule,) = route(RouteSpec({OLD: 100}))["spec"]["rules"]
    assert rule["timeouts"] == {"request": "1s"}
    (rule,) = route(RouteSpec({OLD: 100}), "gke-l7-regional-external-managed")["spec"]["rules"]
    assert "timeouts" not in rule
    policy = backend_policy(plan(request_timeout_s=600.0, access="IAP"), NEW)
    assert policy["spec"] == {
        "default": {"timeoutSec": 600, "connectionDraining": {"drainingTimeoutSec": 600}, "iap": {"enabled": True}},
        "targetRef": {"group": "", "kind": "Service", "name": NEW},
    }


def test_a_cohort_reaches_stables_pods_through_a_service_of_its_own() -> None:
    first = rendered(effective())["Service"]
    second: Any = cohort_service(first)
    assert second["metadata"]["name"] == f"{REVISION}-c"
    assert second["metadata"]["labels"]["pointsman.dev/revision"] == f"{REVISION}-c", "counted apart"
    assert second["spec"]["selector"] == first["spec"]["selector"]


def conditions(generation: int, **statuses: str) -> JSON:
    told = [{"type": kind, "status": status, "observedGeneration": generation} for kind, status in statuses.items()]
    parents = [{"parentRef": {"name": "models"}, "conditions": told}]
    return {"metadata": {"generation": 3}, "status": {"parents": parents}}


@pytest.mark.parametrize(
    ("live", "force"),
    [
        pytest.param(conditions(3, Accepted="True", ResolvedRefs="True"), True, id="both-true"),
        pytest.param(conditions(2, Accepted="True", ResolvedRefs="True"), False, id="of-the-generation-before"),
        pytest.param(conditions(3, Accepted="True", ResolvedRefs="False"), False, id="a-backend-is-missing"),
        pytest.param(conditions(3, Accepted="True"), False, id="not-said-yet"),
        pytest.param(conditions(3, Accepted="True", ResolvedRefs="True", Reconciled="False"), False, id="gke-says-no"),
        pytest.param(conditions(3, Accepted="True", ResolvedRefs="True", Reconciled="True"), True, id="gke-says-yes"),
        pytest.param({"metadata": {"generation": 3}}, False, id="no-status"),
        pytest.param(
            {**conditions(3, Accepted="True", ResolvedRefs="True"), "metadata": {"generation": 4}}, False, id="newer"
        ),
    ],
)
def test_a_route_is_in_force_when_our_gateway_says_so_of_this_generation(live: JSON, force: bool) -> None:
    assert reconciled(live, plan()) == force


def test_what_another_gateway_says_does_not_count() -> None:
    assert not reconciled(conditions(3, Accepted="True", ResolvedRefs="True"), plan(gateway="other"))


@pytest.mark.parametrize(
    ("wanted", "actual", "same"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 1, "d": 2}]}}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ({"a": {}}, {"a": None}, False),
    ],
)
def test_what_a_server_adds_is_no_difference(wanted: Any, actual: Any, same: bool) -> None:
    assert agrees(wanted, actual) == same
