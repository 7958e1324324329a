"""What the Kubernetes API holds of a kind, kept current by list and watch."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from pointsman_local.gateway.routes import Object

__all__ = ["Kept"]

RETRY_S = 0.2
# The server closes a watch after this; a connection that died without a word is noticed by then.
WATCH_S = 60


class Kept:
    """A copy of all objects at `path`. `changed` is called after each event, and once the first list is there."""

    def __init__(self, url: str, path: str, changed: Callable[[], None]) -> None:
        self._url = url + path
        self._changed = changed
        self._items: dict[tuple[str, str], Object] = {}
        self.listed = False

    @property
    def items(self) -> list[Object]:
        return list(self._items.values())

    async def run(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        """List and watch until `stop`. What is known stays while the API is out of reach."""
        following = asyncio.create_task(self._follow(session))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((following, stopped), return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            for task in (following, stopped):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _follow(self, session: aiohttp.ClientSession) -> None:
        while True:
            try:
                revision = await self._list(session)
                while revision:
                    revision = await self._watch(session, revision)
            except (aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(RETRY_S)

    async def _list(self, session: aiohttp.ClientSession) -> str:
        async with session.get(self._url, timeout=aiohttp.ClientTimeout(total=10)) as answer:
            answer.raise_for_status()
            found = await answer.json()
        self._items = {_key(item): item for item in found["items"]}
        self.listed = True
        self._changed()
        return str(found["metadata"]["resourceVersion"])

    async def _watch(self, session: aiohttp.ClientSession, revision: str) -> str:
        """Follow events; the revision to go on from, or empty when everything has to be listed anew."""
        query = {
            "watch": "true",
            "resourceVersion": revision,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
        }
        timeout = aiohttp.ClientTimeout(sock_connect=10, sock_read=2 * WATCH_S)
        async with session.get(self._url, params=query, timeout=timeout) as answer:
            if answer.status == 410:
                return ""
            answer.raise_for_status()
            async for line in answer.content:
                event: dict[str, Any] = json.loads(line)
                if event["type"] == "ERROR":
                    return ""
                item = event["object"]
                revision = item["metadata"]["resourceVersion"]
                match event["type"]:
                    case "ADDED" | "MODIFIED":
                        self._items[_key(item)] = item
                    case "DELETED":
                        self._items.pop(_key(item), None)
                    case _:
                        continue
                self._changed()
        return revision


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
