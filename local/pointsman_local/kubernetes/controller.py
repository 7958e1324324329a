"""A controller: level-triggered, called again after any change of the kinds it looks at.

It compares everything there is with what should be, so that a change it slept through costs nothing, and a
restart needs no memory.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from pointsman_local.kubernetes.kinds import Kind
from pointsman_local.kubernetes.store import Store

__all__ = ["run"]


async def run(
    store: Store,
    kinds: Collection[Kind],
    reconcile: Callable[[], float | None],
    stop: asyncio.Event,
) -> None:
    """Call `reconcile` now and after changes, until `stop`. What it gives is the longest wait in s, None: for ever."""
    wake = asyncio.Event()
    end_listening = store.listen(lambda change: wake.set() if change.kind in kinds else None)
    stopping = asyncio.create_task(_set_when(stop, wake))
    try:
        while not stop.is_set():
            wake.clear()
            wait_s = reconcile()
            await asyncio.sleep(0)  # what a reconcile wrote wakes the others first
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await wake.wait()
    finally:
        stopping.cancel()
        end_listening()


async def _set_when(stop: asyncio.Event, wake: asyncio.Event) -> None:
    await stop.wait()
    wake.set()
