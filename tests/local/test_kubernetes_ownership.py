"""Server-side apply and `managedFields`, as Kubernetes' documentation "Server-Side Apply" has them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_local.kubernetes.kinds import named
from pointsman_local.kubernetes.ownership import ApplyConflict, Manager, apply, update

DEPLOYMENT = named("Deployment")
ROUTE = named("HTTPRoute")
T0, T1 = "2026-11-22T09:00:00Z", "2026-11-22T09:01:00Z"
ANN = Manager("ann", "Apply", "apps/v1")
BOB = Manager("bob", "Apply", "apps/v1")
KUBECTL = Manager("kubectl", "Update", "apps/v1")


def _config(replicas: int | None = None, **env: str) -> dict[str, Any]:
    """What one applier says of the Deployment `d`."""
    spec: dict[str, Any] = {} if replicas is None else {"replicas": replicas}
    if env:
        container = {"name": "s", "env": [{"name": name, "value": value} for name, value in env.items()]}
        spec["template"] = {"spec": {"containers": [container]}}
    config = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
    return {**config, "spec": spec} if spec else config


def _env(item: dict[str, Any]) -> dict[str, str | None]:
    containers = item.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    return {one["name"]: one.get("value") for container in containers for one in container.get("env", [])}


def _fields(item: dict[str, Any], manager: Manager) -> Any:
    for entry in item["metadata"].get("managedFields", ()):
        if (entry["manager"], entry["operation"]) == (manager.name, manager.operation):
            return entry["fieldsV1"]
    return None


def test_fields_are_written_as_kubernetes_writes_them() -> None:
    item = apply(DEPLOYMENT, {}, _config(3, A="1"), ANN, force=False, now=T0)
    env: Any = {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}
    container = {'k:{"name":"s"}': {".": {}, "f:name": {}, "f:env": env}}
    assert item["metadata"]["managedFields"] == [
        {
            "manager": "ann",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": T0,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": container}}}},
        }
    ]


def test_who_creates_by_update_owns_maps_as_such_where_they_are_not_always_there() -> None:
    item = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "annotations": {"n": "1"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}},
    }
    created = update(DEPLOYMENT, {}, item, KUBECTL, now=T0)
    assert _fields(created, KUBECTL) == {
        "f:metadata": {"f:annotations": {".": {}, "f:n": {}}},
        "f:spec": {"f:replicas": {}, "f:selector": {}},
    }


def test_a_field_of_another_manager_is_a_conflict_that_names_him() -> None:
    item = apply(DEPLOYMENT, {}, _config(3, A="1"), ANN, force=False, now=T0)
    with pytest.raises(ApplyConflict) as caught:
        apply(DEPLOYMENT, item, _config(5), BOB, force=False, now=T1)
    assert str(caught.value) == 'Apply failed with 1 conflict: conflict with "ann": .spec.replicas'
    with pytest.raises(ApplyConflict) as caught:
        apply(DEPLOYMENT, item, _config(5, A="2"), BOB, force=False, now=T1)
    assert str(caught.value) == (
        'Apply failed with 2 conflicts: conflicts with "ann":\n- .spec.replicas\n'
        '- .spec.template.spec.containers[name="s"].env[name="A"].value'
    )


def test_a_conflict_with_who_updated_says_by_which_version_and_subresource() -> None:
    item = apply(DEPLOYMENT, {}, _config(3), ANN, force=False, now=T0)
    scaled = {**item, "spec": {**item["spec"], "replicas": 7}}
    item = update(DEPLOYMENT, item, scaled, Manager("kubectl", "Update", "apps/v1", "scale"), now=T1)
    assert _fields(item, ANN) is None, "a manager that owns nothing any more vanishes"
    with pytest.raises(ApplyConflict) as caught:
        apply(DEPLOYMENT, item, _config(3), ANN, force=False, now=T1)
    assert str(caught.value) == (
        'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas'
    )


def test_force_takes_the_field_over() -> None:
    item = apply(DEPLOYMENT, {}, _config(3, A="1"), ANN, force=False, now=T0)
    item = apply(DEPLOYMENT, item, _config(5), BOB, force=True, now=T1)
    assert item["spec"]["replicas"] == 5
    assert _fields(item, BOB) == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in _fields(item, ANN)["f:spec"]


def test_the_same_value_is_shared_and_stays_until_both_let_go() -> None:
    item = apply(DEPLOYMENT, {}, _config(3, A="1"), ANN, force=False, now=T0)
    item = apply(DEPLOYMENT, item, _config(3), BOB, force=False, now=T1)
    item = apply(DEPLOYMENT, item, _config(None, A="1"), ANN, force=False, now=T1)
    assert item["spec"]["replicas"] == 3
    item = apply(DEPLOYMENT, item, _config(None), BOB, force=False, now=T1)
    assert "replicas" not in item.get("spec", {})


def test_what_is_no_longer_applied_is_removed_and_what_others_have_in_the_same_list_stays() -> None:
    item = apply(DEPLOYMENT, {}, _config(1, A="1", B="2"), ANN, force=False, now=T0)
    item = apply(DEPLOYMENT, item, _config(None, C="3"), BOB, force=False, now=T1)
    assert _env(item) == {"A": "1", "B": "2", "C": "3"}
    item = apply(DEPLOYMENT, item, _config(1, B="2"), ANN, force=False, now=T1)
    assert _env(item) == {"B": "2", "C": "3"}


def test_a_manager_that_gives_up_everything_takes_what_only_it_owned() -> None:
    item = apply(DEPLOYMENT, {}, _config(1, A="1"), ANN, force=False, now=T0)
    item = apply(DEPLOYMENT, item, _config(None, C="3"), BOB, force=False, now=T1)
    item = apply(DEPLOYMENT, item, _config(None), ANN, force=False, now=T1)
    assert _env(item) == {"C": "3"}
    assert item["spec"]["template"]["spec"]["containers"][0]["name"] == "s", "a key field stays with its item"
    assert _fields(item, ANN) is None


def test_the_rules_of_a_route_are_owned_as_a_whole() -> None:
    def route(*weights: int) -> dict[str, Any]:
        backends = [{"name": f"r{number}", "weight": weight} for number, weight in enumerate(weights)]
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "r"},
            "spec": {"rules": [{"backendRefs": backends}]},
        }

    item = apply(ROUTE, {}, route(90, 10), ANN, force=False, now=T0)
    assert _fields(item, ANN) == {"f:spec": {"f:rules": {}}}
    item = apply(ROUTE, item, route(50, 50), ANN, force=False, now=T1)
    assert item["spec"]["rules"][0]["backendRefs"][1]["weight"] == 50
    with pytest.raises(ApplyConflict, match=r'conflict with "ann": \.spec\.rules$'):
        apply(ROUTE, item, route(50, 49), BOB, force=False, now=T1)


def test_an_entry_keeps_its_time_while_its_fields_stay() -> None:
    item = apply(DEPLOYMENT, {}, _config(1), ANN, force=False, now=T0)
    item = apply(DEPLOYMENT, item, _config(2), ANN, force=False, now=T1)
    assert item["metadata"]["managedFields"][0]["time"] == T0
    item = apply(DEPLOYMENT, item, _config(2, A="1"), ANN, force=False, now=T1)
    assert item["metadata"]["managedFields"][0]["time"] == T1


envs = st.dictionaries(st.sampled_from("ABCD"), st.sampled_from("12"), max_size=4)
configs = st.tuples(st.none() | st.integers(1, 3), envs)


@given(st.lists(st.tuples(st.sampled_from([ANN, BOB]), configs), max_size=8))
def test_applied_is_what_was_asked_whatever_came_before(
    steps: list[tuple[Manager, tuple[int | None, dict[str, str]]]],
) -> None:
    item: dict[str, Any] = {}
    latest: dict[Manager, tuple[int | None, dict[str, str]]] = {}
    for manager, (replicas, env) in steps:
        config = _config(replicas, **env)
        item = apply(DEPLOYMENT, item, config, manager, force=True, now=T0)
        latest[manager] = (replicas, env)
        assert replicas is None or item["spec"]["replicas"] == replicas
        assert env.items() <= _env(item).items()
        # Nothing stays that neither asks for.
        assert _env(item).keys() <= {name for _, asked in latest.values() for name in asked}
        again = apply(DEPLOYMENT, item, config, manager, force=True, now=T1)
        assert json.dumps(again, sort_keys=True) == json.dumps(item, sort_keys=True), "applying twice is applying once"
