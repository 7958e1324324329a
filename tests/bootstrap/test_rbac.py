"""The rights in the cluster are what the handlers ask of it: no call is refused, no right is left over."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from tests.handlers.fakes import FakeCluster
from tests.handlers.rollout_cloud import NAME, PLATFORM, SERVICE, Behaviour, Cloud, service

from pointsman.adapters.kubernetes import KubernetesCluster
from pointsman.core.changes import removal
from pointsman.core.names import JSON, Ref
from pointsman.documents import load
from pointsman.documents.effective import EffectiveService, effective
from pointsman.handlers.rollout_step import Steps, handle
from pointsman_cli.bootstrap.rbac import GATEWAY_RULES, RULES, Rule

ACCOUNT = "pointsman-rollout-step@acme.iam.gserviceaccount.com"

Right = tuple[str, str, str, str]
"""Namespace, API group, resource, verb."""


@dataclass
class Wire:
    """Kubernetes' `ApiClient` as far as the adapter calls it: what would be sent is written down."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    def param_serialize(self, method: str, path: str, **_: object) -> tuple[str, str]:
        return method, path

    def call_api(self, method: str, path: str, **_: object) -> Any:
        self.sent.append((method, path))
        return SimpleNamespace(status=200, data=b'{"items": []}', read=lambda: None)


class Recorded(FakeCluster):
    """A cluster in which every call also goes through the real adapter, and becomes the right that it needs."""

    def __init__(self) -> None:
        super().__init__()
        self._wire = Wire()
        self._adapter = KubernetesCluster(self._wire)
        self.rights: set[Right] = set()

    def get(self, ref: Ref) -> JSON | None:
        self._adapter.get(ref)
        self._note()
        return super().get(ref)

    def find(self, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]) -> Sequence[JSON]:
        self._adapter.find(api_version, kind, namespace, labels)
        self._note()
        return super().find(api_version, kind, namespace, labels)

    def apply(self, obj: JSON, *, force: bool = False) -> JSON:
        self._adapter.apply(obj, force=force)
        self._note()
        return super().apply(obj, force=force)

    def delete(self, ref: Ref, *, resource_version: str | None = None) -> None:
        self._adapter.delete(ref, resource_version=resource_version)
        self._note()
        super().delete(ref, resource_version=resource_version)

    def _note(self) -> None:
        self.rights |= {right for sent in self._wire.sent for right in rights_of(*sent)}
        self._wire.sent.clear()


PATH = re.compile(r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)/namespaces/(?P<ns>[^/]+)/(?P<kind>[^/]+)(?P<name>/.+)?")


def rights_of(method: str, path: str) -> Iterator[Right]:
    """ "Determine the request verb" in Kubernetes' documentation of authorization; an apply may have to create."""
    found = PATH.fullmatch(path)
    assert found is not None, f"{path} is of no namespace: a Role cannot grant it"
    verbs = {"GET": ("get" if found["name"] else "list",), "PATCH": ("patch", "create"), "DELETE": ("delete",)}
    for verb in verbs[method]:
        yield found["ns"], found["group"] or "", found["kind"], verb


@dataclass
class Watched(Cloud):
    gateway_class: str = "envoy"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cluster: Recorded = Recorded()
        self.cluster.put(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": {"name": "models", "namespace": "gateway"},
                "spec": {
                    "gatewayClassName": self.gateway_class,
                    "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}],
                },
                "status": {"addresses": [{"type": "IPAddress", "value": "127.0.0.1"}]},
            }
        )


def with_cohort(version: str) -> EffectiveService:
    """The service of the other tests, whose first step is a cohort's."""
    platform = PLATFORM.replace(
        "steps: [", "steps: [{cohort: {headers: [{name: x-group, value: beta}]}, weight: 50, hold: 6s}, "
    )
    text = SERVICE.replace("VERSION", version).replace("REPLICAS", "1").replace("  MORE\n", "")
    loaded = load({"platform.yaml": platform.encode(), "teams/demo/digits.yaml": text.encode()})
    assert loaded.config is not None, loaded.faults
    return effective(loaded.config, project="lab")[NAME]


def whole_life(cloud: Watched) -> None:
    """Everything that a service may go through: served, split by a cohort, without room, back again, taken away."""
    cloud.deployed("v1")
    assert cloud.execute(cloud.push(with_cohort("v2"), "c2").id).run() == "rolled_back"  # nobody is of the cohort
    third = cloud.push(service("v3"), "c3")
    cloud.behaviours[third.to_revision] = Behaviour(room=False)
    execution = cloud.execute(third.id).until("provisioning")
    execution.step()
    cloud.command(third.id, "abort")
    assert execution.run() == "aborted"
    assert cloud.execute(cloud.open(removal(cloud.service, "delete"), service("v2"), "c4").id).run() == "promoted"
    steps = Steps(cloud.ledger, cloud.workflows, cloud.bus, lambda _: cloud.cluster, lambda *_: cloud.metrics, print)  # type: ignore[arg-type]
    handle("inspect", {}, steps, cloud.now)


def granted() -> set[Right]:
    def flat(namespace: str, rules: Sequence[Rule]) -> Iterator[Right]:
        for rule in rules:
            yield from ((namespace, rule.group, item, verb) for item in rule.resources for verb in rule.verbs)

    return {*flat("demo", RULES), *flat("gateway", GATEWAY_RULES)}


@pytest.fixture(scope="module")
def asked() -> set[Right]:
    clouds = Watched(), Watched(gateway_class="gke-l7-global-external-managed")
    for cloud in clouds:
        whole_life(cloud)
    return {right for cloud in clouds for right in cloud.cluster.rights}


def test_no_call_of_the_handlers_is_refused(asked: set[Right]) -> None:
    assert sorted(asked - granted()) == []


def test_no_right_is_granted_that_no_call_needs(asked: set[Right]) -> None:
    assert sorted(granted() - asked) == []
