"""Monitoring as a service: it scrapes, asks, reads the log, evaluates, tells, and answers."""

import asyncio
import time
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from pointsman_local import topology
from pointsman_local.monitoring import log_metrics, rest
from pointsman_local.monitoring.alerts import Alerts, Publisher
from pointsman_local.monitoring.database import Database
from pointsman_local.monitoring.log_metrics import LogMetrics
from pointsman_local.monitoring.reported import Reported
from pointsman_local.monitoring.rpc import server
from pointsman_local.monitoring.scrape import Scraper
from pointsman_local.monitoring.series import Store
from pointsman_local.site import Site

__all__ = ["serve"]

SCRAPE_S = 1.0
ANSWER_S = 0.8
"""A target has less than a round to answer, so that one that hangs delays nobody."""
REPORT_EVERY = 5
"""Rounds between two samples of what is not scraped: in the cloud it is a minute."""
STOP_GRACE_S = 0.5
SAVE_EVERY = 5
"""Rounds between two savings of how far all counters were: what a crash may cost in telling a reset."""


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve until `stop`. State is kept in `monitoring/monitoring.sqlite`."""
    database = Database(site.folder("monitoring") / "monitoring.sqlite")
    store = Store(time.time(), database.origins())
    alerts = Alerts(site.project, database, store)
    grpc_server = server(site.project, store, alerts, site.address("monitoring"))
    app = rest.application(store, site.project)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_GRACE_S)
    await grpc_server.start()
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", site.ports["monitoring-rest"]).start()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as http:
            log = LogMetrics(log_metrics.load(topology.deployed()), site.data / "logs" / "functions.log", site, store)
            sources = _Sources(Scraper(site, store, http), Reported(site, store, http), log)
            publisher = Publisher(database, http, site.url("pubsub-rest"))
            await _rounds(sources, publisher, alerts, store, database, stop)
    finally:
        await grpc_server.stop(STOP_GRACE_S)
        await runner.cleanup()
        database.save_origins(store.origins, all_of_them=True)
        database.close()


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where series come from."""

    scraper: Scraper
    reported: Reported
    log: LogMetrics

    async def round(self, count: int) -> None:
        await self.scraper.scrape()
        whole = count % REPORT_EVERY == 0
        if whole:
            await self.reported.ask(time.time())
        self.log.read(time.time(), whole=whole)


async def _rounds(
    sources: _Sources, publisher: Publisher, alerts: Alerts, store: Store, database: Database, stop: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    due, count = loop.time(), 0
    while not stop.is_set():
        await sources.round(count)
        alerts.evaluate(time.time())
        if count % SAVE_EVERY == 0:
            store.forget(time.time())
        database.save_origins(store.origins, all_of_them=count % SAVE_EVERY == 0)
        await publisher.send()
        count += 1
        # Rounds keep their beat; after a machine that slept, the missed ones are not made up.
        due = max(due + SCRAPE_S, loop.time())
        try:
            async with asyncio.timeout_at(due):
                await stop.wait()
        except TimeoutError:
            continue
