"""The service: one broker over one SQLite file, two faces, and the pushing."""

import asyncio
import time

from aiohttp import web

from pointsman_local import topology
from pointsman_local.identity import Identity
from pointsman_local.pubsub import grpc_face, rest_face
from pointsman_local.pubsub.api import Api
from pointsman_local.pubsub.broker import Broker
from pointsman_local.pubsub.declared import declare
from pointsman_local.pubsub.push import push
from pointsman_local.pubsub.store import Store
from pointsman_local.site import Site

__all__ = ["serve"]

STOP_GRACE_S = 0.5


async def serve(site: Site, stop: asyncio.Event) -> None:
    """Serve Pub/Sub with the topics and subscriptions of the topology, until `stop`."""
    store = Store(site.folder("pubsub") / "pubsub.db")
    pacer = _Pacer()
    broker = Broker(store, time.time(), pacer.arm)
    declare(broker, site, topology.load(topology.deployed()))
    api = Api(broker, time.time)
    rpc = grpc_face.server(api)
    rpc.add_insecure_port(site.address("pubsub"))
    runner = web.AppRunner(rest_face.application(api, broker, site.project), access_log=None)
    works = [asyncio.create_task(push(broker, Identity(site.data))), asyncio.create_task(pacer.run(broker))]
    try:
        await rpc.start()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", site.ports["pubsub-rest"], shutdown_timeout=STOP_GRACE_S).start()
        waiting = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([waiting, *works], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for work in done & set(works):
            work.result()  # neither ends by itself
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        await rpc.stop(STOP_GRACE_S)
        await runner.cleanup()
        store.close()


class _Pacer:
    """Wakes the broker when something is due."""

    def __init__(self) -> None:
        self._when = float("inf")
        self._moved = asyncio.Event()

    def arm(self, when: float) -> None:
        if when < self._when:
            self._when = when
            self._moved.set()

    async def run(self, broker: Broker) -> None:
        while True:
            self._moved.clear()
            left = None if self._when == float("inf") else max(0.0, self._when - time.time())
            try:
                async with asyncio.timeout(left):
                    await self._moved.wait()
            except TimeoutError:
                self._when = float("inf")
                broker.wake(time.time())
