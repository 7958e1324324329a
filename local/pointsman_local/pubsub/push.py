"""Push: one request a message, signed, with the service's envelope; what is not taken comes again later."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from pointsman_local.identity import Identity
from pointsman_local.pubsub.broker import Broker, Subscription, resource

__all__ = ["envelope", "push"]

TAKEN = (102, 200, 201, 202, 204)
"""The answers that acknowledge; https://cloud.google.com/pubsub/docs/push#receive_push"""
WINDOW = 32
"""Requests under way to one endpoint; the service widens its own with success."""
LEASE_MARGIN_S = 5.0
"""A lease outlives its request by this much, so that it is the answer that ends it."""
TOKEN_REUSE_S = 1800
HOLD_S = 5.0
"""How long a message is held for an endpoint where nobody listens yet: Cloud Run holds a request while an instance
starts, and a function that is being started again should not cost a back-off."""
HOLD_PAUSE_S = 0.1

PUSHED = "pubsub.googleapis.com/subscription/push_request_count"

Tokens = Callable[[str, str], str]


async def push(broker: Broker, identity: Identity) -> None:
    """Serve every push subscription, until cancelled."""
    loops: dict[str, asyncio.Task[None]] = {}
    tokens = _tokens(identity)
    # A connection kept alive could be closed by the receiver just as a message is sent, and a lost request
    # costs a whole back-off; a new one on loopback costs a fraction of a millisecond.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        try:
            while True:
                broker.reconfigured.clear()
                wanted = {name: item for name, item in broker.subscriptions.items() if item.pushes}
                for name in loops.keys() - wanted.keys():
                    loops.pop(name).cancel()
                for name in wanted.keys() - loops.keys():
                    loops[name] = asyncio.create_task(_Pusher(broker, wanted[name], session, tokens).run())
                for task in loops.values():
                    if task.done():
                        task.result()
                await broker.reconfigured.wait()
        finally:
            for task in loops.values():
                task.cancel()
            await asyncio.gather(*loops.values(), return_exceptions=True)


class _Pusher:
    """One subscription's requests."""

    def __init__(
        self, broker: Broker, subscription: Subscription, session: aiohttp.ClientSession, tokens: Tokens
    ) -> None:
        self._broker = broker
        self._subscription = subscription
        self._session = session
        self._tokens = tokens
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        try:
            while True:
                self._subscription.stirred.clear()
                lease_s = self._subscription.settings.ack_deadline_seconds + LEASE_MARGIN_S
                room = WINDOW - len(self._running) if self._subscription.pushes else 0
                batch = self._broker.lease(self._subscription, room, time.time(), lease_s=lease_s, alone=True)
                for received in batch:
                    task = asyncio.create_task(self._send(received))
                    self._running.add(task)
                    task.add_done_callback(self._ended)
                if not batch:
                    await self._subscription.stirred.wait()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._subscription.stirred.set()

    async def _send(self, received: Any) -> None:
        problem = await self._post(received)
        own = resource("pubsub_subscription", self._subscription.settings.name)
        self._broker.counters.add(PUSHED, own, {"response_class": _class_of(problem)})
        if problem:
            self._subscription.last_failure = problem
            self._broker.fail(self._subscription, [received.ack_id], time.time())
        else:
            self._broker.acknowledge(self._subscription, [received.ack_id], time.time())

    async def _post(self, received: Any) -> str:
        """Why the message was not taken; empty when it was."""
        settings = self._subscription.settings
        config = settings.push_config
        headers = {
            "Content-Type": "application/json",
            "From": "noreply@google.com",
            "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        }
        if config.oidc_token.service_account_email:
            audience = config.oidc_token.audience or config.push_endpoint
            headers["Authorization"] = f"Bearer {self._tokens(config.oidc_token.service_account_email, audience)}"
        body = json.dumps(envelope(settings.name, received)).encode()
        timeout = aiohttp.ClientTimeout(total=settings.ack_deadline_seconds)
        held_until = asyncio.get_running_loop().time() + HOLD_S
        while True:
            try:
                async with self._session.post(
                    config.push_endpoint, data=body, headers=headers, allow_redirects=False, timeout=timeout
                ) as answer:
                    return "" if answer.status in TAKEN else f"HTTP {answer.status}"
            except TimeoutError:
                return f"no answer within {settings.ack_deadline_seconds} s"
            except aiohttp.ClientConnectorError as error:
                if asyncio.get_running_loop().time() >= held_until:
                    return f"ClientConnectorError: {error}"
                await asyncio.sleep(HOLD_PAUSE_S)
            except aiohttp.ClientError as error:
                return f"{type(error).__name__}: {error}"


def envelope(subscription: str, received: Any) -> dict[str, object]:
    """The body of a push: both spellings of the names that have two, `data` only where there is some."""
    message = received.message
    published = message.publish_time.ToJsonString()
    inner: dict[str, object] = {"attributes": dict(message.attributes)} if message.attributes else {}
    if message.data:
        inner["data"] = base64.b64encode(message.data).decode()
    inner |= {"messageId": message.message_id, "message_id": message.message_id}
    if message.ordering_key:
        inner["orderingKey"] = message.ordering_key
    inner |= {"publishTime": published, "publish_time": published}
    attempt = {"deliveryAttempt": received.delivery_attempt} if received.delivery_attempt else {}
    return {**attempt, "message": inner, "subscription": subscription}


def _class_of(problem: str) -> str:
    """`response_class` of a push: acknowledged, refused by the endpoint, or not answered."""
    if not problem:
        return "ack"
    code = problem.removeprefix("HTTP ")
    return f"remote_server_{code[0]}xx" if code.isdecimal() else "unreachable"


def _tokens(identity: Identity) -> Tokens:
    """Signing costs a millisecond or two, so a token is used for half an hour of its hour."""
    kept: dict[tuple[str, str], tuple[float, str]] = {}

    def token(email: str, audience: str) -> str:
        now = time.time()
        made, text = kept.get((email, audience), (0.0, ""))
        if now - made > TOKEN_REUSE_S:
            text = identity.token(email, audience, now)
            kept[(email, audience)] = (now, text)
        return text

    return token
