"""Watches: the list's revision, then every change after it, in order, none twice.

Events come from the store's ring, so nothing between a list and its watch is lost. Of an object that a change
moves into or out of the selection, the watcher sees an ADDED or a DELETED, as from an apiserver.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from pointsman_local.kubernetes.kinds import Kind, Object
from pointsman_local.kubernetes.refusals import gone
from pointsman_local.kubernetes.selectors import Matches
from pointsman_local.kubernetes.store import Change, Store

__all__ = ["Watch", "events", "refuse_forgotten"]

BOOKMARK_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What a client asked for. Without `revision` (or 0) it begins with an ADDED for everything there is."""

    kind: Kind
    namespace: str
    matches: Matches
    revision: int | None
    timeout_s: float
    bookmarks: bool
    initial_end: bool = False
    """Say by a bookmark where the initial events end (`sendInitialEvents`)."""


def refuse_forgotten(store: Store, revision: int | None) -> None:
    """Raises Refusal 410 for a revision whose successors are no longer all known."""
    if revision and revision < store.oldest:
        raise gone(revision, store.oldest)


async def events(store: Store, watch: Watch, stop: asyncio.Event) -> AsyncGenerator[Object, None]:
    """Watch events until the timeout, `stop`, or the watcher is too slow, which an ERROR event says."""
    revision = watch.revision or 0
    begin = store.revision
    wake = asyncio.Event()
    end_listening = store.listen(lambda change: wake.set() if change.kind is watch.kind else None)
    deadline = time.monotonic() + watch.timeout_s
    try:
        if not revision:
            revision = begin
            for item in store.list(watch.kind, watch.namespace):
                if watch.matches(item):
                    yield {"type": "ADDED", "object": item}
            if watch.initial_end:
                yield _bookmark(watch.kind, begin, {"k8s.io/initial-events-end": "true"})
        while not stop.is_set() and (left_s := deadline - time.monotonic()) > 0:
            wake.clear()
            if revision < store.oldest:
                yield {"type": "ERROR", "object": gone(revision, store.oldest).as_json()}
                return
            seen = store.revision
            for change in store.since(revision):
                if event := _event(watch, change):
                    yield event
            revision = seen
            await _wait(wake, stop, min(left_s, BOOKMARK_EVERY_S))
            if watch.bookmarks and not wake.is_set():
                yield _bookmark(watch.kind, revision := store.revision)
    finally:
        end_listening()


def _event(watch: Watch, change: Change) -> Object | None:
    if change.kind is not watch.kind:
        return None
    if watch.namespace and change.object["metadata"].get("namespace") != watch.namespace:
        return None
    now = change.type != "DELETED" and watch.matches(change.object)
    before = change.before is not None and watch.matches(change.before)
    if not (now or before):
        return None
    return {"type": "MODIFIED" if now and before else "ADDED" if now else "DELETED", "object": change.object}


def _bookmark(kind: Kind, revision: int, annotations: Object | None = None) -> Object:
    metadata: Object = {"resourceVersion": str(revision)}
    if annotations:
        metadata["annotations"] = annotations
    return {"type": "BOOKMARK", "object": {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata}}


async def _wait(wake: asyncio.Event, stop: asyncio.Event, timeout_s: float) -> None:
    """Until either is set, or the time is over."""
    waits = [asyncio.ensure_future(wake.wait()), asyncio.ensure_future(stop.wait())]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
