"""GKE's ClusterManager for one cluster: node pools, operations, stock-outs on demand, and an autoscaler.

gRPC on `container` for Google's clients, REST on `container-rest` for gcloud, `PUT /local/v1/stock` there to
say which machines there are. Nodes are objects in the local Kubernetes API; pods on them are its processes.
"""

import asyncio
import time

import aiohttp
from aiohttp import web

from pointsman_local.gke import methods, rest, rpc
from pointsman_local.gke.autoscaler import Autoscaler
from pointsman_local.gke.engine import Engine, rung
from pointsman_local.gke.kubernetes import Kubernetes
from pointsman_local.gke.state import State
from pointsman_local.site import Site

__all__ = ["serve"]


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    state = State(site.folder("gke") / "state.sqlite")
    engine = Engine(site, state)
    if state.is_new:
        state.keep_pool(methods.default_pool(engine))
    server = rpc.server(engine, site.address("container"))
    runner = web.AppRunner(rest.application(engine), access_log=None)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        await server.start()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", site.ports["container-rest"]).start()
        kubernetes = Kubernetes(engine, session)
        running = [
            group.create_task(work)
            for work in (
                _step(engine),
                kubernetes.follow_pods(),
                kubernetes.keep_nodes(),
                Autoscaler(engine, kubernetes).run(),
            )
        ]
        await stop.wait()
        for task in running:
            task.cancel()
        await server.stop(grace=0.2)
        await runner.cleanup()
    state.close()


async def _step(engine: Engine) -> None:
    """Let the engine do what is due, when it is due."""
    bell = engine.bell()
    while True:
        bell.clear()
        now = time.time()
        due = engine.step(now)
        await rung(bell, None if due is None else max(due - now, 0.0))
