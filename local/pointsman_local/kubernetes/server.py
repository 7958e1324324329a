"""`serve`: the API, its controllers and the pods, in one event loop."""

import asyncio

from aiohttp import web

from pointsman_local.kubernetes.api import Api
from pointsman_local.kubernetes.deployments import Deployments
from pointsman_local.kubernetes.kinds import Object, named
from pointsman_local.kubernetes.kubelet import Kubelet
from pointsman_local.kubernetes.objects import Objects
from pointsman_local.kubernetes.scheduler import BUILT_IN_NODE, PODS_MAX, Scheduler
from pointsman_local.kubernetes.store import Store
from pointsman_local.site import Site

__all__ = ["serve"]

NAMESPACES = ("default", "gateway")


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve the Kubernetes API at `site.ports["kubernetes"]` and run its pods, until `stop`."""
    folder = site.folder("kubernetes")
    store = Store(folder / "objects.db")
    objects = Objects(store)
    _create_what_is_always_there(objects, site)
    runner = web.AppRunner(Api(objects, folder / "logs", stop).application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", site.ports["kubernetes"]).start()
        async with asyncio.TaskGroup() as group:
            for part in (Deployments(objects), Scheduler(objects), Kubelet(objects, folder)):
                group.create_task(part.run(stop))
    finally:
        await runner.cleanup()
        store.close()


def _create_what_is_always_there(objects: Objects, site: Site) -> None:
    for name in NAMESPACES:
        _ensure(objects, "Namespace", "", {"metadata": {"name": name}})
    node = {
        "metadata": {"name": BUILT_IN_NODE},
        "status": {
            "allocatable": {"pods": PODS_MAX},
            "capacity": {"pods": PODS_MAX},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }
    _ensure(objects, "Node", "", node)
    listener = {
        "name": "http",
        "protocol": "HTTP",
        "port": site.ports["gateway"],
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    gateway = {
        "metadata": {"name": "models", "namespace": "gateway"},
        "spec": {"gatewayClassName": "envoy", "listeners": [listener]},
    }
    _ensure(objects, "Gateway", "gateway", gateway)

    def point_here(item: Object) -> None:
        # The port is another one when the local cloud is started anew.
        item["spec"]["listeners"] = [{**one, "port": site.ports["gateway"]} for one in item["spec"]["listeners"]]
        item.setdefault("status", {})["addresses"] = [{"type": "IPAddress", "value": "127.0.0.1"}]

    objects.modify(named("Gateway"), "gateway", "models", point_here)


def _ensure(objects: Objects, kind: str, namespace: str, body: Object) -> None:
    if objects.store.get(named(kind), namespace, body["metadata"]["name"]) is None:
        objects.add(named(kind), namespace, body)
