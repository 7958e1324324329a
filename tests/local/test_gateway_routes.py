"""What an HTTPRoute means to Envoy: pure, case by case."""

from typing import Any

import pytest

from pointsman_local.gateway.routes import Backend, Condition, Snapshot, snapshot

Object = dict[str, Any]

GATEWAY: Object = {
    "metadata": {"name": "models", "namespace": "gateway"},
    "spec": {"gatewayClassName": "envoy", "listeners": [{"name": "http", "port": 18000}]},
}


def _route(*rules: Object, name: str = "chat", hostnames: tuple[str, ...] = ("chat.test",), **changes: Any) -> Object:
    metadata = {"name": name, "namespace": "nlp", "creationTimestamp": changes.pop("created", "2026-01-01T00:00:00Z")}
    parents = [{"name": "models", "namespace": "gateway"}]
    spec = {"hostnames": list(hostnames), "parentRefs": parents, "rules": list(rules)}
    return {"metadata": metadata, "spec": {**spec, **changes}}


def _rule(*backends: tuple[str, int], match: Object | None = None, **rest: Any) -> Object:
    references = [{"name": name, "port": 80, "weight": weight} for name, weight in backends]
    return {"matches": [match or {"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": references, **rest}


def _service(name: str, **port: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": "nlp"},
        "spec": {"selector": {"rev": name}, "ports": [{"port": 80, **port}]},
    }


def _pod(service: str, port: int, ready: str = "True", **metadata: Any) -> Object:
    return {
        "metadata": {
            "name": f"{service}-{port}",
            "namespace": "nlp",
            "labels": {"rev": service},
            "annotations": {"pointsman.local/port": str(port)},
            **metadata,
        },
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def _of(*routes: Object, services: tuple[Object, ...] = (_service("r1"), _service("r2"))) -> Snapshot:
    return snapshot([GATEWAY], routes, services, [])


def _conditions(found: Snapshot, route: str = "nlp/chat") -> dict[str, tuple[bool, str]]:
    return {one.type: (one.status, one.reason) for one in found.parents[route][0]}


def test_weights_become_envoys_weights_one_to_one() -> None:
    found = _of(_route(_rule(("r1", 95), ("r2", 5))))
    (host,) = found.virtual_hosts
    assert host["domains"] == ["chat.test"]
    (entry,) = host["routes"]
    assert entry["match"] == {"prefix": "/"}
    assert entry["route"]["weighted_clusters"]["clusters"] == [
        {"name": "nlp/r1", "weight": 95},
        {"name": "nlp/r2", "weight": 5},
    ]
    assert _conditions(found) == {"Accepted": (True, "Accepted"), "ResolvedRefs": (True, "ResolvedRefs")}


def test_only_ready_pods_that_stay_are_endpoints() -> None:
    pods = [
        _pod("r1", 1001),
        _pod("r1", 1002, ready="False"),
        _pod("r1", 1003, deletionTimestamp="2026-01-01T00:00:00Z"),
        _pod("r1", 1004, annotations={}),
        _pod("r1", 1005, namespace="other"),
        _pod("r2", 1006),
    ]
    found = snapshot([GATEWAY], [], [_service("r1"), _service("r2", appProtocol="kubernetes.io/h2c")], pods)
    assert found.backends == {"nlp/r1": Backend((1001,)), "nlp/r2": Backend((1006,), http2=True)}


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param({"path": {"type": "PathPrefix", "value": "/v1"}}, {"path_separated_prefix": "/v1"}, id="prefix"),
        pytest.param({"path": {"type": "PathPrefix", "value": "/v1/"}}, {"path_separated_prefix": "/v1"}, id="slash"),
        pytest.param({"path": {"type": "Exact", "value": "/v1"}}, {"path": "/v1"}, id="exact"),
        pytest.param(
            {"headers": [{"name": "x-group", "value": "beta"}]},
            {"prefix": "/", "headers": [{"name": "x-group", "string_match": {"exact": "beta"}}]},
            id="header",
        ),
        pytest.param(
            {"queryParams": [{"name": "user", "value": "7"}]},
            {"prefix": "/", "query_parameters": [{"name": "user", "string_match": {"exact": "7"}}]},
            id="query",
        ),
        pytest.param(
            {"method": "POST"},
            {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]},
            id="method",
        ),
    ],
)
def test_matches_are_envoys(match: Object, expected: Object) -> None:
    (host,) = _of(_route(_rule(("r1", 1), match=match))).virtual_hosts
    assert host["routes"][0]["match"] == expected


def test_the_most_special_match_comes_first_then_the_oldest_route() -> None:
    header = {"path": {"type": "PathPrefix", "value": "/"}, "headers": [{"name": "probe", "value": "w"}]}
    longer = {"path": {"type": "PathPrefix", "value": "/v1"}}
    exact = {"path": {"type": "Exact", "value": "/v1/x"}}
    young = _route(_rule(("r1", 1)), name="a-young", created="2026-01-02T00:00:00Z")
    old = _route(
        _rule(("r1", 1)),
        _rule(("r1", 1), match=longer),
        _rule(("r1", 1), match=header),
        _rule(("r1", 1), match=exact),
        name="old",
    )
    (host,) = _of(young, old).virtual_hosts
    assert [entry["name"] for entry in host["routes"]] == [
        "nlp/old/3",
        "nlp/old/1",
        "nlp/old/2",
        "nlp/old/0",
        "nlp/a-young/0",
    ]


@pytest.mark.parametrize(
    ("timeouts", "seconds"),
    [({}, "0s"), ({"request": "10s"}, "10s"), ({"request": "1h30m"}, "5400s"), ({"backendRequest": "250ms"}, "0.25s")],
)
def test_timeouts_bound_an_answer(timeouts: Object, seconds: str) -> None:
    (host,) = _of(_route(_rule(("r1", 1), timeouts=timeouts))).virtual_hosts
    assert host["routes"][0]["route"]["timeout"] == seconds


@pytest.mark.parametrize(
    ("mirror", "millionths"),
    [({}, 1_000_000), ({"percent": 20}, 200_000), ({"fraction": {"numerator": 1, "denominator": 3}}, 333_333)],
)
def test_a_mirror_copies_its_share(mirror: Object, millionths: int) -> None:
    filtered = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "r2", "port": 80}, **mirror}}
    (host,) = _of(_route(_rule(("r1", 1), filters=[filtered]))).virtual_hosts
    (policy,) = host["routes"][0]["route"]["request_mirror_policies"]
    assert policy["cluster"] == "nlp/r2"
    assert policy["runtime_fraction"]["default_value"] == {"numerator": millionths, "denominator": "MILLION"}


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        pytest.param({"name": "none", "port": 80, "weight": 1}, "BackendNotFound", id="no-service"),
        pytest.param({"name": "r1", "port": 81, "weight": 1}, "BackendNotFound", id="no-port"),
        pytest.param({"name": "r1", "port": 80, "weight": 1, "namespace": "other"}, "RefNotPermitted", id="namespace"),
        pytest.param({"name": "r1", "weight": 1, "kind": "InferencePool", "group": "g"}, "InvalidKind", id="kind"),
    ],
)
def test_a_reference_that_leads_nowhere_is_said_and_its_share_kept_for_500(reference: Object, reason: str) -> None:
    rule = _rule(("r2", 1))
    rule["backendRefs"].append(reference)
    found = _of(_route(rule))
    assert _conditions(found)["Accepted"] == (True, "Accepted")
    assert _conditions(found)["ResolvedRefs"] == (False, reason)
    route = found.virtual_hosts[0]["routes"][0]["route"]
    names = [one["name"] for one in route["weighted_clusters"]["clusters"]]
    assert names[0] == "nlp/r2"
    assert names[1] not in found.backends
    assert route["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"


def test_a_split_of_nothing_is_answered_and_never_sent_to_envoy() -> None:
    (host,) = _of(_route(_rule(("r1", 0), ("r2", 0)), _rule())).virtual_hosts
    assert [entry["direct_response"]["status"] for entry in host["routes"]] == [500, 500]


REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
REGEX = {"path": {"type": "RegularExpression", "value": "/.*"}}
HEADER_REGEX = {"headers": [{"name": "a", "type": "RegularExpression", "value": ".*"}]}
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "r2", "port": 80}}}


@pytest.mark.parametrize(
    ("route", "where"),
    [
        pytest.param(_route(_rule(("r1", 1), match=REGEX)), "spec.rules[0].matches[0].path.type", id="path"),
        pytest.param(
            _route(_rule(("r1", 1), match=HEADER_REGEX)), "spec.rules[0].matches[0].headers[a].type", id="header"
        ),
        pytest.param(_route(_rule(("r1", 1), filters=[REDIRECT])), "spec.rules[0].filters", id="filter"),
        pytest.param(_route(_rule(("r1", 1), filters=[MIRROR, MIRROR])), "spec.rules[0].filters", id="two-mirrors"),
        pytest.param(
            _route(_rule(("r1", 1), timeouts={"request": "1d"})), "spec.rules[0].timeouts.request", id="duration"
        ),
        pytest.param(_route(_rule(("r1", 1)), hostnames=("a b",)), "spec.hostnames", id="host"),
    ],
)
def test_a_route_that_asks_for_more_is_refused_alone(route: Object, where: str) -> None:
    good = _route(_rule(("r2", 1)), name="good")
    found = _of(good, route)
    assert _conditions(found)["Accepted"] == (False, "UnsupportedValue")
    message = next(one.message for one in found.parents["nlp/chat"][0] if one.type == "Accepted")
    assert message.startswith(where)
    names = [entry["name"] for host in found.virtual_hosts for entry in host["routes"]]
    assert names == ["nlp/good/0"]


def test_routes_of_other_gateways_are_left_alone() -> None:
    google = {**GATEWAY, "metadata": {"name": "g", "namespace": "gateway"}, "spec": {"gatewayClassName": "gke-l7-rilb"}}
    elsewhere = _route(_rule(("r1", 1)), parentRefs=[{"name": "g", "namespace": "gateway"}])
    found = snapshot([GATEWAY, google], [elsewhere], [_service("r1")], [])
    assert (found.virtual_hosts, found.parents) == ([], {})


def test_a_listener_that_is_not_there_is_said() -> None:
    found = _of(
        _route(_rule(("r1", 1)), parentRefs=[{"name": "models", "namespace": "gateway", "sectionName": "https"}])
    )
    accepted = found.parents["nlp/chat"][0][0]
    assert accepted == Condition("Accepted", False, "NoMatchingParent", accepted.message)
    assert found.virtual_hosts == []
