"""Push webhooks as GitHub sends them: signed, each with a delivery id, repeated until they are taken."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp
from dulwich.objects import Commit, ObjectID
from dulwich.repo import Repo
from dulwich.walk import Walker

from pointsman_local.site import Site

__all__ = ["Webhooks"]

TRIES = 8
PAUSE_S = 0.5
ABSENT = "0" * 40
COMMITS_MAX = 20


@dataclass(frozen=True, slots=True)
class _Delivery:
    id: str
    body: bytes


class Webhooks:
    """Queues a webhook for each pushed ref. `pushed` is called by the server's threads, the rest by its loop."""

    def __init__(self, site: Site, repository: str) -> None:
        self._site = site
        self._repository = repository
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[_Delivery] = asyncio.Queue()
        self._drop = 0
        self._copies = 1

    def misbehave(self, *, drop: int, copies: int) -> None:
        """Lose the next `drop` webhooks; deliver each later one `copies` times."""
        self._drop = drop
        self._copies = copies

    def pushed(self, repository: Repo, before: str, after: str, ref: str) -> None:
        body = json.dumps(_payload(repository, self._site, self._repository, before, after, ref)).encode()
        if self._drop > 0:
            self._drop -= 1
            return
        delivery = _Delivery(str(uuid4()), body)
        for _ in range(self._copies):
            self._loop.call_soon_threadsafe(self._queue.put_nowait, delivery)

    async def deliver_until(self, stop: asyncio.Event) -> None:
        """Post what is queued until `stop`."""
        stopping = asyncio.create_task(stop.wait())
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            asyncio.TaskGroup() as group,
        ):
            deliveries: set[asyncio.Task[None]] = set()
            while not stop.is_set():
                taking = asyncio.create_task(self._queue.get())
                await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not taking.done():
                    taking.cancel()
                    break
                task = group.create_task(self._deliver(session, taking.result()))
                deliveries.add(task)
                task.add_done_callback(deliveries.discard)
            for task in deliveries:
                task.cancel()

    async def _deliver(self, session: aiohttp.ClientSession, delivery: _Delivery) -> None:
        secret = _secret(self._site.data)
        signature = hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/local",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": delivery.id,
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        url = f"{self._site.url('functions/receive_webhook')}/webhooks/github"
        for attempt in range(TRIES):
            try:
                async with session.post(url, data=delivery.body, headers=headers) as answer:
                    if answer.status < 500:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass  # the receiver is being started: GitHub gives up here, a laptop tries a few times
            await asyncio.sleep(PAUSE_S * (attempt + 1))


def _secret(data: Path) -> str:
    secrets: Mapping[str, list[str]] = json.loads((data / "run" / "webhook_secrets.json").read_text())
    return secrets["github"][0]


def _payload(repository: Repo, site: Site, name: str, before: str, after: str, ref: str) -> dict[str, object]:
    """The fields of GitHub's `push` event that a receiver may rely on."""
    owner, _, short = name.partition("/")
    new = _commits(repository, before, after)
    person = {"name": owner, "email": f"{owner}@localhost"}
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "created": before == ABSENT,
        "deleted": after == ABSENT,
        "forced": ABSENT not in (before, after) and not _contains(repository, before, after),
        "base_ref": None,
        "compare": f"{site.url('git')}/{name}/compare/{before[:12]}...{after[:12]}",
        "commits": new,
        "head_commit": new[-1] if new else None,
        "repository": {
            "id": 1,
            "name": short,
            "full_name": name,
            "private": True,
            "owner": {**person, "login": owner},
            "html_url": f"{site.url('git')}/{name}",
            "clone_url": f"{site.url('git')}/{name}.git",
            "default_branch": "main",
        },
        "pusher": person,
        "sender": {"login": owner, "id": 1, "type": "User"},
    }


def _commits(repository: Repo, before: str, after: str) -> list[dict[str, object]]:
    if after == ABSENT or not isinstance(repository[ObjectID(after.encode())], Commit):
        return []
    exclude = [ObjectID(before.encode())] if before != ABSENT else []
    walker = Walker(repository.object_store, [ObjectID(after.encode())], exclude=exclude, max_entries=COMMITS_MAX)
    return [
        {
            "id": entry.commit.id.decode(),
            "tree_id": entry.commit.tree.decode(),
            "distinct": True,
            "message": entry.commit.message.decode("utf-8", "replace"),
        }
        for entry in reversed(list(walker))
    ]


def _contains(repository: Repo, old: str, new: str) -> bool:
    walker = Walker(repository.object_store, [ObjectID(new.encode())])
    return any(entry.commit.id.decode() == old for entry in walker)
