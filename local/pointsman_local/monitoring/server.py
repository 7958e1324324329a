"""Monitoring as a service: it scrapes, evaluates, tells, and answers."""

import asyncio
import time

import aiohttp

from pointsman_local.monitoring.alerts import Alerts, Publisher
from pointsman_local.monitoring.database import Database
from pointsman_local.monitoring.rpc import server
from pointsman_local.monitoring.scrape import Scraper
from pointsman_local.monitoring.series import Store
from pointsman_local.site import Site

__all__ = ["serve"]

SCRAPE_S = 1.0
ANSWER_S = 0.8
"""A target has less than a round to answer, so that one that hangs delays nobody."""
SAVE_EVERY = 5
"""Rounds between two savings of how far all counters were: what a crash may cost in telling a reset."""


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve until `stop`. State is kept in `monitoring/monitoring.sqlite`."""
    database = Database(site.folder("monitoring") / "monitoring.sqlite")
    store = Store(time.time(), database.origins())
    alerts = Alerts(site.project, database, store)
    grpc_server = server(site.project, store, alerts, site.address("monitoring"))
    await grpc_server.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as http:
            scraper, publisher = Scraper(site, store, http), Publisher(database, http, site.url("pubsub-rest"))
            await _rounds(scraper, publisher, alerts, store, database, stop)
    finally:
        await grpc_server.stop(0.5)
        database.save_origins(store.origins, all_of_them=True)
        database.close()


async def _rounds(
    scraper: Scraper, publisher: Publisher, alerts: Alerts, store: Store, database: Database, stop: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    due, count = loop.time(), 0
    while not stop.is_set():
        await scraper.scrape()
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
