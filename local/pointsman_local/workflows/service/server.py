"""The service: deployed workflows and running executions over one SQLite file, two faces."""

import asyncio
import logging
import sys
import time

import aiohttp
from aiohttp import web

from pointsman_local import topology
from pointsman_local.identity import Identity, account
from pointsman_local.site import Site
from pointsman_local.workflows.errors import Refused
from pointsman_local.workflows.service import grpc_face, rest_face
from pointsman_local.workflows.service.deployments import Deployments
from pointsman_local.workflows.service.engine import Engine
from pointsman_local.workflows.service.executions import Executions
from pointsman_local.workflows.service.store import Store

__all__ = ["serve"]

STOP_GRACE_S = 0.5
RETENTION_S = 90 * 86_400  # as the service keeps executions
log = logging.getLogger("pointsman.workflows")


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve until `stop`; executions that run then go on at the next start."""
    if not log.handlers:
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.setLevel(logging.INFO)
    store = Store(site.folder("workflows") / "workflows.db")
    store.forget_executions(time.time() - RETENTION_S)
    deployments = Deployments(store, lambda workflow: account(workflow, site.project))
    _declare(site, deployments)
    identity = Identity(site.data)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        engine = Engine(
            store,
            deployments,
            session=session,
            callback_origin=site.url("workflows-rest"),
            token=lambda workflow, audience: identity.token(account(workflow, site.project), audience, time.time()),
        )
        executions = Executions(store, deployments, engine)
        rpc = grpc_face.server(deployments, executions)
        rpc.add_insecure_port(site.address("workflows"))
        runner = web.AppRunner(rest_face.application(deployments, executions, engine), access_log=None)
        try:
            await rpc.start()
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", site.ports["workflows-rest"], shutdown_timeout=STOP_GRACE_S).start()
            engine.resume()
            await stop.wait()
        finally:
            await rpc.stop(STOP_GRACE_S)
            await runner.cleanup()
            await engine.close()
            store.close()


def _declare(site: Site, deployments: Deployments) -> None:
    """Deploy our own workflows: those of the topology whose file is there."""
    folder = topology.deployed()
    parent = f"projects/{site.project}/locations/{site.location}"
    for name, variables in topology.load(folder).workflows.items():
        path = folder / "workflows" / f"{name}.yaml"
        if not path.exists():
            continue
        env = {variable: site.url(f"functions/{function}") for variable, function in variables.items()}
        try:
            deployments.declare(f"{parent}/workflows/{name}", path.read_text(encoding="utf-8"), env)
        except Refused as refused:
            place = f":{refused.place.line}:{refused.place.column}" if refused.place is not None else ""
            log.error("%s%s: %s", path, place, refused.message)  # the source's fault, not ours
