"""The local ClusterManager in a thread of the test's process, a Kubernetes API beside it, and Google's client."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud import container_v1 as v1
from google.cloud.container_v1.services.cluster_manager.transports import ClusterManagerGrpcTransport
from tests.local.cluster import until
from tests.local.kubernetes_stub import KubernetesStub

from pointsman_local.gke import serve
from pointsman_local.site import Site

__all__ = ["PARENT", "TIMES", "Cloud", "kubernetes_on", "running"]

PARENT = "projects/lab/locations/us-central1/clusters/c1"
TIMES = {"operation_s": 0.05, "node_start_s": 0.05, "give_up_s": 0.05, "scan_s": 0.05, "backoff_s": 0.2, "idle_s": 60}


class Cloud:
    """The service, a Kubernetes API beside it, and the client."""

    def __init__(self, site: Site, kubernetes: KubernetesStub) -> None:
        self.kubernetes = kubernetes
        self.site = site
        self.connect()
        self.control({"times": TIMES})

    def connect(self) -> None:
        self.channel = grpc.insecure_channel(self.site.address("container"))
        self.client = v1.ClusterManagerClient(transport=ClusterManagerGrpcTransport(channel=self.channel))

    def control(self, stock: Mapping[str, Any]) -> Any:
        return self.rest("PUT", "/local/v1/stock", stock)

    def rest(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.site.url("container-rest") + path, data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def create(self, name: str, nodes: int = 0, limits: tuple[int, int] = (0, 3), **config: Any) -> v1.Operation:
        low, high = limits
        pool = v1.NodePool(
            name=name,
            initial_node_count=nodes,
            locations=["us-central1-a"],
            config=v1.NodeConfig(
                **{"machine_type": "e2-standard-4", "labels": {"pointsman.dev/pool": "cpu"}, **config}
            ),
            autoscaling=v1.NodePoolAutoscaling(enabled=True, total_min_node_count=low, total_max_node_count=high),
        )
        return self.client.create_node_pool(parent=PARENT, node_pool=pool)

    def finished(self, operation: v1.Operation) -> v1.Operation:
        name = f"projects/lab/locations/us-central1/operations/{operation.name}"

        def done() -> v1.Operation | None:
            found = self.client.get_operation(name=name)
            return found if found.status == v1.Operation.Status.DONE else None

        found = until(done)
        assert isinstance(found, v1.Operation)
        return found

    def pool(self, name: str) -> v1.NodePool:
        return self.client.get_node_pool(name=f"{PARENT}/nodePools/{name}")


@contextmanager
def kubernetes_on(port: int) -> Iterator[KubernetesStub]:
    stub = KubernetesStub(port)
    try:
        yield stub
    finally:
        stub.close()


@contextmanager
def running(site: Site) -> Iterator[Cloud]:
    """The service in a thread: a process would import the client anew, a second each time."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    with kubernetes_on(site.ports["kubernetes"]) as kubernetes:
        thread = threading.Thread(target=lambda: loop.run_until_complete(serve(site, stop)))
        thread.start()
        try:
            until(lambda: _answers(site.url("container-rest")))
            cloud = Cloud(site, kubernetes)
            yield cloud
            cloud.channel.close()
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/local/v1/stock", timeout=5).close()
    except OSError:
        return False
    return True
