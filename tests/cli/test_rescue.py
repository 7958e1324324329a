"""`pointsman rescue`: a route back to its stable revision, with nothing but a kubeconfig."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.cli.ledger_samples import NEW, OLD, plan

from pointsman.adapters.endpoints import Settings
from pointsman.core.names import Ref
from pointsman.core.routes import RouteSpec, http_route
from pointsman.errors import Invalid
from pointsman_cli.rescue import to_stable


def route(spec: RouteSpec, *, stable: str | None = OLD) -> dict[str, Any]:
    """What pointsman writes, as an API server gives it back."""
    written = http_route(plan(), spec, "envoy", token=7, rollout="r1", stable=stable)
    found: dict[str, Any] = json.loads(json.dumps(written))
    found["metadata"] |= {"resourceVersion": "12", "managedFields": [{"manager": "pointsman"}], "uid": "u"}
    found["status"] = {"parents": []}
    return found


COHORT = {"headers": [{"name": "x-beta", "value": "1"}]}
PROBE = ("sesame", NEW)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(RouteSpec({OLD: 75, NEW: 25}, PROBE), id="split-with-a-probe-rule"),
        pytest.param(RouteSpec({OLD: 0, NEW: 100}), id="everything-at-the-canary"),
        pytest.param(RouteSpec({OLD: 100, NEW: 0}, PROBE), id="nothing-yet-at-the-canary"),
        pytest.param(RouteSpec({OLD: 100}, PROBE, COHORT, {f"{OLD}-c": 50, NEW: 50}), id="cohort"),
        pytest.param(RouteSpec({OLD: 100}, PROBE, mirror=(NEW, 20)), id="mirror"),
    ],
)
def test_everybody_gets_stable_and_nobody_anything_else(spec: RouteSpec) -> None:
    before = route(spec)
    as_it_was = copy.deepcopy(before)
    wanted: Any = to_stable(before)
    assert before == as_it_was
    (rule,) = wanted["spec"]["rules"]
    assert rule["backendRefs"] == [{"kind": "Service", "name": OLD, "port": 80, "weight": 100}]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert "filters" not in rule
    assert rule["timeouts"] == {"request": "1s"}


def test_what_the_server_adds_is_not_sent_back_and_the_rest_is_kept() -> None:
    before = route(RouteSpec({OLD: 75, NEW: 25}))
    wanted: Any = to_stable(before)
    assert set(wanted) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(wanted["metadata"]) == {"name", "namespace", "labels", "annotations"}
    assert wanted["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert wanted["spec"]["hostnames"] == before["spec"]["hostnames"]
    assert wanted["spec"]["parentRefs"] == before["spec"]["parentRefs"]


def test_done_twice_it_changes_nothing_more() -> None:
    once = to_stable(route(RouteSpec({OLD: 75, NEW: 25}, PROBE)))
    assert to_stable(once) == once


@pytest.mark.parametrize(
    ("spec", "stable"),
    [
        pytest.param(RouteSpec({NEW: 100}), None, id="no-stable-yet"),
        pytest.param(RouteSpec({NEW: 100}), OLD, id="stable-is-no-backend"),
        pytest.param(RouteSpec({}, PROBE), OLD, id="only-the-probe-rule"),
    ],
)
def test_a_route_without_a_stable_backend_is_refused(spec: RouteSpec, stable: str | None) -> None:
    with pytest.raises(Invalid) as found:
        to_stable(route(spec, stable=stable))
    assert found.value.where == "HTTPRoute demo/digits"
    assert found.value.remedy == "choose a backend by hand: kubectl edit httproute digits -n demo"


def test_a_route_that_is_not_ours_is_refused() -> None:
    with pytest.raises(Invalid):
        to_stable({"apiVersion": "v1", "kind": "HTTPRoute", "metadata": {"name": "a", "namespace": "b"}, "spec": {}})


# --- the command --------------------------------------------------------------------------------------------------


class FakeCluster:
    def __init__(self, held: Mapping[str, object] | None) -> None:
        self.held = held
        self.forced = False

    def get(self, ref: Ref) -> Mapping[str, object] | None:
        assert (ref.kind, ref.namespace, ref.name) == ("HTTPRoute", "demo", "digits")
        return self.held

    def apply(self, wanted: Mapping[str, object], *, force: bool = False) -> None:
        self.held, self.forced = wanted, force


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCluster:
    """A cluster, and a shell in which nothing but that is known."""
    config = tmp_path / "kubeconfig"
    config.touch()
    cluster = FakeCluster(route(RouteSpec({OLD: 75, NEW: 25}, PROBE)))
    for name in ("GOOGLE_CLOUD_PROJECT", "POINTSMAN_LEDGER", "POINTSMAN_COMMAND_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(config))

    def connect(settings: Settings, name: str) -> FakeCluster:
        assert settings.kubeconfig == str(config)
        return cluster

    monkeypatch.setattr("pointsman.adapters.kubernetes.connect", connect)
    return cluster


def test_it_shows_what_it_would_write_and_writes_nothing(pointsman: Any, cluster: FakeCluster) -> None:
    before = cluster.held
    ran = pointsman("rescue", "digits", "-n", "demo")
    assert ran.status == 0
    assert ran.lines == [
        f"now   {NEW} 1  (only x-pointsman-probe: sesame)",
        f"now   {OLD} 75, {NEW} 25",
        f"then  {OLD} 100",
    ]
    assert ran.err == "nothing written; to write it: pointsman rescue digits -n demo --yes\n"
    assert cluster.held is before


def test_with_yes_it_writes_over_whoever_wrote_before(pointsman: Any, cluster: FakeCluster) -> None:
    wanted = to_stable(route(RouteSpec({OLD: 75, NEW: 25}, PROBE)))
    assert pointsman("rescue", "demo/digits", "--yes").status == 0
    assert cluster.held == wanted
    assert cluster.forced


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param(
            ["digits"],
            2,
            "no ledger is asked here, so the namespace must be said: -n NAMESPACE — see: pointsman rescue --help",
            id="namespace",
        ),
        pytest.param(
            ["digits", "-n", "demo"], 1, "no HTTPRoute demo/digits — see: kubectl get httproutes -n demo", id="absent"
        ),
    ],
)
def test_what_cannot_be_found_is_said(
    pointsman: Any, cluster: FakeCluster, words: list[str], status: int, said: str
) -> None:
    cluster.held = None
    ran = pointsman("rescue", *words)
    assert (ran.status, ran.err) == (status, f"error: {said}\n")


def test_without_a_kubeconfig_it_says_where_it_looked(
    pointsman: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    ran = pointsman("rescue", "digits", "-n", "demo")
    assert ran.status == 1
    assert ran.err == f"error: {tmp_path}/.kube/config: there is no kubeconfig — export KUBECONFIG=FILE\n"
