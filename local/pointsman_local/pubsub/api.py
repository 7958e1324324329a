"""Publisher and Subscriber, one method a call: what both faces serve.

Each takes and gives `google.pubsub.v1` messages and raises Refused. What is not here is answered UNIMPLEMENTED,
by name, by the faces.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from google.protobuf.empty_pb2 import Empty

from pointsman_local.pubsub.broker import Broker, Subscription
from pointsman_local.pubsub.names import check_project
from pointsman_local.pubsub.settings import check_push, merge
from pointsman_local.pubsub.wire import Refused, message_class

__all__ = ["Api"]

PULL_WAIT_S = 5.0
"""How long a pull without messages waits; the service waits for a bounded time that it does not tell."""
STREAM_BATCH = 100
MODIFIED_DEADLINE_S = (0, 600)

_ListTopicsResponse = message_class("ListTopicsResponse")
_ListTopicSubscriptionsResponse = message_class("ListTopicSubscriptionsResponse")
_ListSubscriptionsResponse = message_class("ListSubscriptionsResponse")
_PublishResponse = message_class("PublishResponse")
_PullResponse = message_class("PullResponse")
_StreamingPullResponse = message_class("StreamingPullResponse")


class Api:
    """The calls, over one broker. `clock` gives Unix seconds."""

    def __init__(self, broker: Broker, clock: Callable[[], float]) -> None:
        self._broker = broker
        self._clock = clock

    # Publisher

    async def create_topic(self, topic: Any) -> Any:
        return self._broker.create_topic(topic)

    async def get_topic(self, request: Any) -> Any:
        return self._broker.topic(request.topic)

    async def list_topics(self, request: Any) -> Any:
        prefix = f"{check_project(request.project)}/"
        names = [name for name in self._broker.topics if name.startswith(prefix)]
        page, token = _page(names, request)
        return _ListTopicsResponse(topics=[self._broker.topics[name] for name in page], next_page_token=token)

    async def list_topic_subscriptions(self, request: Any) -> Any:
        self._broker.topic(request.topic)
        names = [name for name, item in self._broker.subscriptions.items() if item.settings.topic == request.topic]
        page, token = _page(names, request)
        return _ListTopicSubscriptionsResponse(subscriptions=page, next_page_token=token)

    async def delete_topic(self, request: Any) -> Any:
        self._broker.delete_topic(request.topic)
        return Empty()

    async def publish(self, request: Any) -> Any:
        if not request.messages:
            raise Refused.invalid("The value for message_count is too small. You passed 0; it must be at least 1.")
        if len(request.messages) > 1000:
            raise Refused.invalid("The value for message_count is too large: at most 1000 in one call.")
        return _PublishResponse(message_ids=self._broker.publish(request.topic, request.messages, self._clock()))

    # Subscriber

    async def create_subscription(self, settings: Any) -> Any:
        return self._broker.create_subscription(settings)

    async def get_subscription(self, request: Any) -> Any:
        return self._broker.subscription(request.subscription).settings

    async def list_subscriptions(self, request: Any) -> Any:
        prefix = f"{check_project(request.project)}/"
        page, token = _page([name for name in self._broker.subscriptions if name.startswith(prefix)], request)
        settings = [self._broker.subscriptions[name].settings for name in page]
        return _ListSubscriptionsResponse(subscriptions=settings, next_page_token=token)

    async def update_subscription(self, request: Any) -> Any:
        current = self._broker.subscription(request.subscription.name).settings
        return self._broker.change_subscription(merge(current, request.subscription, request.update_mask.paths))

    async def modify_push_config(self, request: Any) -> Any:
        check_push(request.push_config)
        settings = type(self._broker.subscription(request.subscription).settings)()
        settings.CopyFrom(self._broker.subscription(request.subscription).settings)
        settings.push_config.CopyFrom(request.push_config)
        self._broker.change_subscription(settings)
        return Empty()

    async def delete_subscription(self, request: Any) -> Any:
        self._broker.delete_subscription(request.subscription)
        return Empty()

    async def acknowledge(self, request: Any) -> Any:
        subscription = self._broker.subscription(request.subscription)
        if not request.ack_ids:
            raise Refused.invalid("No ack ids specified.")
        self._broker.acknowledge(subscription, request.ack_ids, self._clock())
        return Empty()

    async def modify_ack_deadline(self, request: Any) -> Any:
        subscription = self._broker.subscription(request.subscription)
        if not request.ack_ids:
            raise Refused.invalid("No ack ids specified.")
        self._extend(subscription, request.ack_ids, request.ack_deadline_seconds)
        return Empty()

    async def pull(self, request: Any) -> Any:
        subscription = self._pullable(request.subscription)
        if request.max_messages < 1:
            raise Refused.invalid("The value for max_messages must be greater than 0.")
        loop = asyncio.get_running_loop()
        end = loop.time() + (0.0 if request.return_immediately else PULL_WAIT_S)
        while True:
            subscription.stirred.clear()
            lease_s = subscription.settings.ack_deadline_seconds
            messages = self._broker.lease(subscription, min(request.max_messages, 1000), self._clock(), lease_s=lease_s)
            left = end - loop.time()
            if messages or left <= 0:
                return _PullResponse(received_messages=messages)
            try:
                async with asyncio.timeout(left):
                    await subscription.stirred.wait()
            except TimeoutError:
                return _PullResponse()
            self._pullable(request.subscription)  # deleted or turned into a push subscription meanwhile

    async def streaming_pull(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Messages as they come, never more lent than the stream's first request allows."""
        try:
            first = await anext(requests)
        except StopAsyncIteration:
            return
        subscription = self._pullable(first.subscription)
        stream = _Stream(first, subscription)
        self._obey(stream, first)
        reader = asyncio.create_task(self._read(stream, requests))
        reader.add_done_callback(lambda _: subscription.stirred.set())
        try:
            while not reader.done():
                subscription.stirred.clear()
                stream.lent = {ack_id: size for ack_id, size in stream.lent.items() if self._lent(subscription, ack_id)}
                messages = self._broker.lease(subscription, stream.room(), self._clock(), lease_s=stream.lease_s)
                if not messages:
                    await subscription.stirred.wait()
                    self._pullable(first.subscription)
                    continue
                stream.lent.update((message.ack_id, message.message.ByteSize()) for message in messages)
                answer = _StreamingPullResponse(received_messages=messages)
                answer.subscription_properties.message_ordering_enabled = subscription.settings.enable_message_ordering
                yield answer
            reader.result()
        finally:
            reader.cancel()

    async def _read(self, stream: "_Stream", requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            self._obey(stream, request)

    def _obey(self, stream: "_Stream", request: Any) -> None:
        if request.stream_ack_deadline_seconds:
            stream.lease_s = request.stream_ack_deadline_seconds
        if request.ack_ids:
            self._broker.acknowledge(stream.subscription, request.ack_ids, self._clock())
        for ack_id, lease_s in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=False):
            self._extend(stream.subscription, [ack_id], lease_s)

    def _lent(self, subscription: Subscription, ack_id: str) -> bool:
        return self._broker.is_lent(subscription, ack_id)

    def _extend(self, subscription: Subscription, ack_ids: Iterable[str], lease_s: int) -> None:
        if not MODIFIED_DEADLINE_S[0] <= lease_s <= MODIFIED_DEADLINE_S[1]:
            raise Refused.invalid(f"ack_deadline_seconds is {lease_s}, expected 0 to 600")
        self._broker.extend(subscription, ack_ids, lease_s, self._clock())

    def _pullable(self, name: str) -> Subscription:
        subscription = self._broker.subscription(name)
        if subscription.pushes:
            raise Refused.failed_precondition(f"Subscription {name} has a push endpoint: it cannot be pulled from.")
        return subscription


class _Stream:
    """One streaming pull: how long it borrows, and how much at once."""

    def __init__(self, first: Any, subscription: Subscription) -> None:
        self.subscription = subscription
        self.lease_s: int = subscription.settings.ack_deadline_seconds
        self.lent: dict[str, int] = {}
        self._messages_max: int = first.max_outstanding_messages
        self._bytes_max: int = first.max_outstanding_bytes

    def room(self) -> int:
        if self._bytes_max > 0 and sum(self.lent.values()) >= self._bytes_max:
            return 0
        if self._messages_max <= 0:
            return STREAM_BATCH
        return max(0, min(STREAM_BATCH, self._messages_max - len(self.lent)))


def _page(names: list[str], request: Any) -> tuple[list[str], str]:
    """One page of sorted names; the token is the last name of the page before."""
    later = sorted(name for name in names if name > request.page_token)
    size = request.page_size or 1000
    return later[:size], later[size - 1] if len(later) > size else ""
