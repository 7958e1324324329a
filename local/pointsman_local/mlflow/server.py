"""The service: MLflow's REST API over one SQLite file."""

import asyncio

import aiohttp
from aiohttp import web

from pointsman_local.mlflow.registry import Registry
from pointsman_local.mlflow.rest import application
from pointsman_local.mlflow.webhooks import Webhooks
from pointsman_local.site import Site

__all__ = ["serve"]


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve the registry until `stop`. Webhooks still being tried then are lost, as MLflow's are."""
    registry = Registry(site.folder("mlflow") / "registry.db")
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        webhooks = Webhooks(site, session)
        runner = web.AppRunner(application(registry, webhooks), access_log=None)
        try:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", site.ports["mlflow"], shutdown_timeout=0.5).start()
            await stop.wait()
        finally:
            await runner.cleanup()
            await webhooks.end()
            registry.close()
