"""What a tick writes: the world that the saved rollout wants, with the versions that the tick had read.

Each write carries the resourceVersion of what was read before the ledger was, and our fencing token as an annotation:
who sleeps between the two comes too late and gets a conflict, and who claims the service stamps every object first.
Order: what pods need, more pods, the route, fewer pods. A revision's own objects are sent as they were rendered.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import cast

from pointsman.core.names import JSON, Ref
from pointsman.core.records import RevisionRecord, RolloutRecord
from pointsman.core.rollout import Memory, world
from pointsman.core.rollout_plan import Plan
from pointsman.core.routes import (
    ROLLOUT,
    TOKEN,
    agrees,
    backend_policy,
    cohort_service,
    http_route,
    route_ref,
    token_of,
    weights_of,
)
from pointsman.core.signals import is_google
from pointsman.errors import Absent, Invalid
from pointsman.handlers.rollout_look import Reading, Service
from pointsman.ports import Cluster, Ledger

__all__ = ["objects_of", "write"]

_GOOGLES = ("HealthCheckPolicy", "GCPBackendPolicy")


def write(
    cluster: Cluster, ledger: Ledger, rollout: RolloutRecord, memory: Memory, service: Service, reading: Reading
) -> bool:
    """Bring the cluster to what `world(rollout)` says; whether anything was written.

    Raises Conflict when an object has moved since it was read: nothing is lost, the next tick reads again.
    """
    return _Writer(cluster, ledger, rollout, memory, service, reading).run()


def objects_of(record: RevisionRecord) -> Iterator[Ref]:
    """Every object that may be there for a revision, those that follow the document in place among them."""
    kinds = [(str(item["apiVersion"]), str(item["kind"])) for item in record.objects]
    kinds.append(("networking.gke.io/v1", "GCPBackendPolicy"))
    namespace = record.service.split("/")[1]
    for api_version, kind in kinds:
        yield Ref(api_version, kind, namespace, record.revision)
    yield Ref("v1", "Service", namespace, f"{record.revision}-c")


class _Writer:
    def __init__(
        self,
        cluster: Cluster,
        ledger: Ledger,
        rollout: RolloutRecord,
        memory: Memory,
        service: Service,
        reading: Reading,
    ) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._rollout = rollout
        self._memory = memory
        self._service = service
        self._plan: Plan = service.plan
        self._reading = reading
        self._world = world(rollout)
        self._records: dict[str, RevisionRecord | None] = {}
        self._wrote = False

    def run(self) -> bool:
        to = self._rollout.to_revision
        there = self._reading.deployments
        placed = to in there and self._annotation(there[to], ROLLOUT) == self._rollout.id
        if self._world.place and not placed:
            self._place(to)
        if self._world.route is not None and self._world.route.cohort is not None:
            self._cohort()
        self._replace_pods(to)
        wanted = dict(self._world.replicas)
        for revision in sorted(there):
            now_there = self._replicas(there[revision])
            target = wanted.get(revision, now_there)
            if target >= now_there:
                self._deployment(revision, target)
        self._route()
        for revision, target in sorted(wanted.items()):
            if revision not in there:
                if target or revision == to:
                    self._deployment(revision, target)
            elif target < self._replicas(there[revision]) and self._may_shrink(revision, target):
                self._deployment(revision, target)
        return self._wrote

    def _place(self, revision: str) -> None:
        """All of a revision's objects but its pods; the Service last, so that it stands for the others."""
        record = self._record(revision)
        if record is None:
            raise Invalid(
                f"the objects of {revision} are not kept", where=self._rollout.service, remedy="push it again"
            )
        google = is_google(self._memory.gateway_class)
        objects = [item for item in record.objects if item["kind"] not in ("Deployment", "Service")]
        for item in objects:
            if item["kind"] in _GOOGLES and not google:
                continue
            if item["kind"] == "PodMonitoring":
                with suppress(Absent):  # a cluster without Managed Prometheus: the gateway's own series are judged
                    self._apply(item)
            else:
                self._apply(item)
        if google:
            self._apply(backend_policy(self._plan, revision))
        for item in record.objects:
            if item["kind"] == "Service":
                self._apply(item)

    def _cohort(self) -> None:
        """The second Service over stable's pods, by which a cohort's requests are counted apart."""
        stable = self._rollout.from_revision
        record = self._record(stable) if stable is not None else None
        for item in record.objects if record is not None else ():
            if item["kind"] == "Service":
                second = cohort_service(item)
                name = str(cast("JSON", second["metadata"])["name"])
                if self._cluster.get(Ref("v1", "Service", self._plan.namespace, name)) is None:
                    self._apply(second)

    def _deployment(self, revision: str, replicas: int) -> None:
        """A revision's Deployment with this many replicas, and our stamp; nothing is sent where it is so already."""
        there = self._reading.deployments.get(revision)
        annotations = {TOKEN: str(self._service.token)}
        mine = revision == self._rollout.to_revision and self._world.place
        before = self._annotation(there, ROLLOUT) if there is not None else ""
        if mine or before:
            annotations[ROLLOUT] = self._rollout.id if mine else before
        wanted = {"metadata": {"annotations": annotations}, "spec": {"replicas": replicas}}
        if there is not None and agrees(wanted, there):
            return
        record = self._record(revision)
        stored = next((item for item in record.objects if item["kind"] == "Deployment"), None) if record else None
        if stored is None:
            return  # not rendered by us: applying a part of it would take the rest away
        meta: dict[str, object] = {**cast("JSON", stored["metadata"]), "annotations": annotations}
        if there is not None:
            meta["resourceVersion"] = cast("JSON", there["metadata"])["resourceVersion"]
        self._apply({**stored, "metadata": meta, "spec": {**cast("JSON", stored["spec"]), "replicas": replicas}})

    def _route(self) -> None:
        there = self._reading.route
        if self._world.route_off:
            if there is not None:
                version = str(cast("JSON", there["metadata"])["resourceVersion"])
                self._cluster.delete(route_ref(self._plan), resource_version=version)
                self._wrote = True
            return
        if self._world.route is None:
            if there is not None and token_of(there) != self._service.token:
                self._stamp_route(there)
            return
        wanted = http_route(
            self._plan,
            self._world.route,
            self._memory.gateway_class,
            token=self._service.token,
            rollout=self._rollout.id,
            stable=self._service.stable,
        )
        if there is not None and agrees(wanted, there):
            return
        meta = dict(cast("JSON", wanted["metadata"]))
        if there is not None:
            meta["resourceVersion"] = cast("JSON", there["metadata"])["resourceVersion"]
        self._apply({**wanted, "metadata": meta})

    def _stamp_route(self, there: JSON) -> None:
        """Our token on a route whose rules are left as they are."""
        meta = cast("JSON", there["metadata"])
        labels = cast("Mapping[str, str]", meta.get("labels") or {})
        if labels.get("app.kubernetes.io/managed-by") != "pointsman":
            return
        annotations = {**cast("Mapping[str, str]", meta.get("annotations") or {}), TOKEN: str(self._service.token)}
        kept = {name: meta[name] for name in ("name", "namespace", "labels", "resourceVersion")}
        self._apply(
            {
                "apiVersion": there["apiVersion"],
                "kind": there["kind"],
                "metadata": {**kept, "annotations": annotations},
                "spec": there["spec"],
            }
        )

    def _replace_pods(self, revision: str) -> None:
        """Pods that the judge found to be bad alone go; their Deployment makes others."""
        for pod in self._reading.pods.get(revision, ()):
            metadata = cast("JSON", pod["metadata"])
            name = str(metadata["name"])
            if name in self._memory.replaced and "deletionTimestamp" not in metadata:
                version = str(metadata["resourceVersion"]) if "resourceVersion" in metadata else None
                self._cluster.delete(Ref("v1", "Pod", self._plan.namespace, name), resource_version=version)
                self._wrote = True

    def _may_shrink(self, revision: str, target: int) -> bool:
        """To nothing only what the route just read gives nothing to, and with our stamp on it."""
        route = self._reading.route
        if target or self._plan.replicas == 0 or route is None:
            return True
        return not weights_of(route).get(revision) and token_of(route) == self._service.token

    def _apply(self, obj: JSON) -> None:
        # Forced: whoever else wrote a field of ours is told by our writing it again, and we look before we do.
        self._cluster.apply(obj, force=True)
        self._wrote = True

    def _record(self, revision: str) -> RevisionRecord | None:
        if revision not in self._records:
            saved = self._ledger.read(RevisionRecord, f"{self._rollout.service}/{revision}")
            self._records[revision] = saved.record if saved is not None else None
        return self._records[revision]

    def _replicas(self, deployment: JSON) -> int:
        return cast("int", cast("JSON", deployment["spec"]).get("replicas", 1))

    def _annotation(self, item: JSON, name: str) -> str:
        annotations = cast("JSON", cast("JSON", item["metadata"]).get("annotations") or {})
        return str(annotations.get(name, ""))
