"""`python -m pointsman_local.run SITE SERVICE…`: one process that serves one or more local services.

Each service is a package here with `async def serve(site, stop)`, which returns once `stop` is set and
everything it started has ended.
"""

import asyncio
import importlib
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from pointsman_local.site import Site

__all__ = ["main"]


def main() -> None:
    site = Site.load(Path(sys.argv[1]))
    services: list[Callable[[Site, asyncio.Event], Awaitable[None]]] = [
        importlib.import_module(f"pointsman_local.{name}").serve for name in sys.argv[2:]
    ]
    asyncio.run(_serve(site, services))


async def _serve(site: Site, services: list[Callable[[Site, asyncio.Event], Awaitable[None]]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        for serve in services:
            group.create_task(_one(serve, site, stop))


async def _one(serve: Callable[[Site, asyncio.Event], Awaitable[None]], site: Site, stop: asyncio.Event) -> None:
    try:
        await serve(site, stop)
    finally:
        stop.set()  # one service that ends takes its process along; the supervisor starts it again


if __name__ == "__main__":
    main()
