"""Topics, subscriptions, and the way of a message from one to the other.

Synchronous and without a clock: every call takes `now` (Unix seconds) and is one transaction of the store, first
written, then done in memory. What waits for something to happen waits on a subscription's `stirred`.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import grpc

from pointsman_local.counting import Counters, Resource
from pointsman_local.pubsub import filters
from pointsman_local.pubsub.backlog import Backlog, Delivery
from pointsman_local.pubsub.faults import GATHER_S, Faults
from pointsman_local.pubsub.names import check_message
from pointsman_local.pubsub.settings import check_subscription, check_topic, seconds
from pointsman_local.pubsub.store import Store
from pointsman_local.pubsub.wire import Refused, message_class

__all__ = ["DELETED_TOPIC", "Broker", "Subscription", "resource"]

DELETED_TOPIC = "_deleted-topic_"
PUSH_BACKOFF_S = (0.1, 60.0)  # of a push subscription without a retry policy
RETENTION_CHECK_S = 60.0
_DEAD_LETTER = "CloudPubSubDeadLetterSource"
PUBLISHED = "pubsub.googleapis.com/topic/send_message_operation_count"
DEAD_LETTERS = "pubsub.googleapis.com/subscription/dead_letter_message_count"

_Topic = message_class("Topic")
_Subscription = message_class("Subscription")
_PubsubMessage = message_class("PubsubMessage")
_ReceivedMessage = message_class("ReceivedMessage")


class Subscription:
    """One subscription at work: its settings (`google.pubsub.v1.Subscription`) and its backlog."""

    def __init__(self, settings: Any, faults: Faults, lost: int) -> None:
        self.settings = settings
        self.backlog = Backlog()
        self.passes = filters.parse(settings.filter)
        self.faults = faults
        self.lost = lost
        """How many messages the fault `drop` has swallowed."""
        self.last_failure = ""
        """Why the last push was not taken."""
        self.stirred = asyncio.Event()
        """Set whenever something may be taken, room was made, or the subscription changed or went."""
        self.gathering: list[Delivery] = []
        """What the fault `reorder` holds back until its group is full."""

    @property
    def pushes(self) -> bool:
        return bool(self.settings.push_config.push_endpoint)

    def backoff_s(self, attempt: int) -> float:
        """How long to wait after that many attempts: doubling, between the bounds of the retry policy."""
        if self.settings.HasField("retry_policy"):
            least = seconds(self.settings.retry_policy.minimum_backoff)
            most = seconds(self.settings.retry_policy.maximum_backoff)
        elif self.pushes:
            least, most = PUSH_BACKOFF_S
        else:
            return 0.0
        return min(most, least * 2.0 ** min(attempt - 1, 30))


class Broker:
    """All of one local cloud's Pub/Sub. `arm` is called with the time at which `wake` is next needed."""

    def __init__(self, store: Store, now: float, arm: Callable[[float], None] = lambda when: None) -> None:
        self._store = store
        self._arm = arm
        self._checked = now
        self.counters = Counters(now)
        self.reconfigured = asyncio.Event()
        """Set when a subscription was made, changed or deleted."""
        self.topics: dict[str, Any] = {name: _Topic.FromString(body) for name, body in store.topics()}
        self.subscriptions: dict[str, Subscription] = {}
        for name, body, faults, lost in store.subscriptions():
            subscription = Subscription(_Subscription.FromString(body), Faults(**json.loads(faults)), lost)
            self.subscriptions[name] = subscription
            for row in store.deliveries(name):
                delivery = Delivery(row.id, row.message, row.published, row.rank, row.key, row.attempt, row.due)
                subscription.backlog.add(delivery, now)
        self._rearm()

    # Topics and subscriptions

    def topic(self, name: str) -> Any:
        if name not in self.topics:
            raise Refused.absent(name)
        return self.topics[name]

    def subscription(self, name: str) -> Subscription:
        if name not in self.subscriptions:
            raise Refused.absent(name)
        return self.subscriptions[name]

    def create_topic(self, topic: Any) -> Any:
        check_topic(topic)
        if topic.name in self.topics:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, "Topic already exists")
        topic.state = _Topic.State.ACTIVE
        self._store.put_topic(topic.name, topic.SerializeToString())
        self.topics[topic.name] = topic
        return topic

    def delete_topic(self, name: str) -> None:
        """Its subscriptions stay, with what they have, and name `_deleted-topic_`."""
        self.topic(name)
        with self._store.transaction():
            self._store.drop_topic(name)
            for subscription in self._of_topic(name):
                subscription.settings.topic = DELETED_TOPIC
                self._store.put_subscription(subscription.settings.name, subscription.settings.SerializeToString())
        del self.topics[name]

    def create_subscription(self, settings: Any) -> Any:
        check_subscription(settings)
        if settings.name in self.subscriptions:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, "Subscription already exists")
        self.topic(settings.topic)
        settings.state = _Subscription.State.ACTIVE
        self._store.put_subscription(settings.name, settings.SerializeToString())
        self.subscriptions[settings.name] = Subscription(settings, Faults(), 0)
        self.reconfigured.set()
        return settings

    def change_subscription(self, settings: Any) -> Any:
        """Put `settings` in the place of those of the same name."""
        check_subscription(settings)
        subscription = self.subscription(settings.name)
        self._store.put_subscription(settings.name, settings.SerializeToString())
        subscription.settings = settings
        subscription.stirred.set()
        self.reconfigured.set()
        return settings

    def delete_subscription(self, name: str) -> None:
        subscription = self.subscription(name)
        with self._store.transaction():
            self._store.drop_subscription(name)
        del self.subscriptions[name]
        subscription.backlog = Backlog()  # whoever still holds it finds nothing
        subscription.stirred.set()
        self.reconfigured.set()

    def set_faults(self, name: str, faults: Faults) -> None:
        subscription = self.subscription(name)
        subscription.faults = faults
        self._store.put_faults(name, json.dumps(faults.as_json()), subscription.lost)

    # Messages

    def publish(self, topic: str, messages: Iterable[Any], now: float) -> list[str]:
        """Numbers of the messages, once they cannot be lost any more."""
        self.topic(topic)
        batch = list(messages)
        for message in batch:
            check_message(message.data, message.attributes, message.ordering_key)
        taken: list[tuple[Subscription, Delivery]] = []
        with self._store.transaction():
            numbers = [self._publish(topic, message, now, taken) for message in batch]
        self._take_in(taken, now)
        self.counters.add(PUBLISHED, resource("pubsub_topic", topic), {"response_code": "success"}, len(batch))
        return [str(number) for number in numbers]

    def _publish(self, topic: str, message: Any, now: float, taken: list[tuple[Subscription, Delivery]]) -> int:
        kept = _PubsubMessage(data=message.data, attributes=message.attributes, ordering_key=message.ordering_key)
        kept.publish_time.FromNanoseconds(int(now * 1e9))
        number = self._store.add_message(kept.SerializeToString())
        before = len(taken)
        for subscription in self._of_topic(topic):
            if subscription.passes(message.attributes):
                self._address(subscription, number, message.ordering_key, now, taken)
        if len(taken) == before:
            self._store.drop_unwanted([number])
        return number

    def _address(
        self, subscription: Subscription, number: int, key: str, now: float, taken: list[tuple[Subscription, Delivery]]
    ) -> None:
        """One message for one subscription, with the faults that were asked for."""
        settings, faults = subscription.settings, subscription.faults
        if faults.drop:
            subscription.lost += 1
            self.set_faults(settings.name, replace(faults, drop=faults.drop - 1))
            return
        line = key if settings.enable_message_ordering else ""
        gathered = faults.reorder > 1 and not line
        due = now + max(faults.delay_s, GATHER_S if gathered else 0.0)
        for _ in range(faults.duplicate):
            row = self._store.add_delivery(settings.name, number, line, now, due)
            delivery = Delivery(row, number, now, float(row), line, 0, due)
            taken.append((subscription, delivery))
            if gathered:
                subscription.gathering.append(delivery)
                # Below the group's first number, and above that of whatever came before the group.
                place = len(subscription.gathering) / (faults.reorder * faults.duplicate + 1)
                delivery.rank = subscription.gathering[0].id - place
                self._store.set_rank(row, delivery.rank)
        if gathered and len(subscription.gathering) >= faults.reorder * faults.duplicate:
            for delivery in subscription.gathering:
                delivery.due = now + faults.delay_s
            taken += [(subscription, delivery) for delivery in subscription.gathering]
            subscription.gathering.clear()

    def _take_in(self, taken: Sequence[tuple[Subscription, Delivery]], now: float) -> None:
        """Give the backlogs what was committed: new deliveries, and those whose group is now full."""
        for subscription, delivery in taken:
            if subscription.backlog.get(delivery.id) is None:
                subscription.backlog.add(delivery, now)
            else:
                subscription.backlog.release(delivery, now)
            subscription.stirred.set()
        if taken:
            self._rearm()

    def lease(
        self, subscription: Subscription, limit: int, now: float, *, lease_s: float, alone: bool = False
    ) -> list[Any]:
        """Up to `limit` messages (`google.pubsub.v1.ReceivedMessage`), lent for `lease_s`."""
        batch = subscription.backlog.take(limit, now + lease_s, now, alone=alone)
        if not batch:
            return []
        with self._store.transaction():
            self._store.set_attempts((delivery.attempt, delivery.id) for delivery in batch)
        self._rearm()
        counted = subscription.settings.HasField("dead_letter_policy")
        received = []
        for delivery in batch:
            message = self._message(delivery)
            received.append(
                _ReceivedMessage(
                    ack_id=f"{delivery.id}:{delivery.attempt}",
                    message=message,
                    delivery_attempt=delivery.attempt if counted else 0,
                )
            )
        return received

    def acknowledge(self, subscription: Subscription, ack_ids: Iterable[str], now: float) -> None:
        """Forget messages. Those that are not known (any more) are passed over, as the service does."""
        gone: list[Delivery] = []
        for number, attempt in map(_ack_id, ack_ids):
            delivery = subscription.backlog.get(number)
            if delivery is None or (delivery.state == "leased" and delivery.attempt != attempt):
                continue
            if subscription.faults.lose_acks:
                fewer = replace(subscription.faults, lose_acks=subscription.faults.lose_acks - 1)
                self.set_faults(subscription.settings.name, fewer)
                if subscription.pushes:
                    self.fail(subscription, [f"{number}:{attempt}"], now)
                continue
            gone.append(delivery)
        self._forget(subscription, gone, now)

    def extend(self, subscription: Subscription, ack_ids: Iterable[str], lease_s: float, now: float) -> None:
        """Move the end of leases; 0 gives the messages back at once."""
        if lease_s == 0:
            self.fail(subscription, ack_ids, now)
            return
        for number, attempt in map(_ack_id, ack_ids):
            subscription.backlog.extend(number, attempt, now + lease_s)
        self._rearm()

    def is_lent(self, subscription: Subscription, ack_id: str) -> bool:
        number, attempt = _ack_id(ack_id)
        delivery = subscription.backlog.get(number)
        return delivery is not None and delivery.state == "leased" and delivery.attempt == attempt

    def fail(self, subscription: Subscription, ack_ids: Iterable[str], now: float) -> None:
        """Messages were refused, or not acknowledged in time: again later, or to the dead-letter topic."""
        for ack_id in ack_ids:
            if self.is_lent(subscription, ack_id):
                delivery = subscription.backlog.get(_ack_id(ack_id)[0])
                assert delivery is not None
                self._fail(subscription, delivery, now)
        self._rearm()

    def wake(self, now: float) -> None:
        """Do what is due: messages that have waited, leases that have run out, retention."""
        for subscription in list(self.subscriptions.values()):
            for delivery in subscription.backlog.wake(now):
                if delivery.state == "leased":  # not given back with an earlier one of its line
                    self._fail(subscription, delivery, now)
            subscription.gathering = [item for item in subscription.gathering if item.state == "waiting"]
            subscription.stirred.set()
        if now - self._checked >= RETENTION_CHECK_S:
            self._checked = now
            for subscription in self.subscriptions.values():
                retention_s = seconds(subscription.settings.message_retention_duration)
                self._forget(subscription, subscription.backlog.older_than(now - retention_s), now)
        self._rearm()

    def _fail(self, subscription: Subscription, delivery: Delivery, now: float) -> None:
        policy = subscription.settings.dead_letter_policy
        if (
            subscription.settings.HasField("dead_letter_policy")
            and delivery.attempt >= policy.max_delivery_attempts
            and policy.dead_letter_topic in self.topics
        ):
            self._bury(subscription, delivery, policy.dead_letter_topic, now)
            return
        changed = subscription.backlog.give_back(delivery, now + subscription.backoff_s(delivery.attempt), now)
        with self._store.transaction():
            self._store.set_due((item.due, item.id) for item in changed)
        subscription.stirred.set()

    def _bury(self, subscription: Subscription, delivery: Delivery, topic: str, now: float) -> None:
        """Publish a copy to the dead-letter topic and forget the message: one transaction."""
        message = self._message(delivery)
        _, project, _, name = subscription.settings.name.split("/")
        buried = _PubsubMessage(data=message.data, attributes=message.attributes, ordering_key=message.ordering_key)
        buried.attributes[f"{_DEAD_LETTER}Subscription"] = name
        buried.attributes[f"{_DEAD_LETTER}SubscriptionProject"] = project
        buried.attributes[f"{_DEAD_LETTER}DeliveryCount"] = str(delivery.attempt)
        buried.attributes[f"{_DEAD_LETTER}TopicPublishTime"] = message.publish_time.ToJsonString().replace(
            "Z", "+00:00"
        )
        taken: list[tuple[Subscription, Delivery]] = []
        with self._store.transaction():
            self._publish(topic, buried, now, taken)
            self._store.drop_deliveries([(delivery.id, delivery.message)])
        subscription.backlog.remove(delivery, now)
        self._take_in(taken, now)
        self.counters.add(DEAD_LETTERS, resource("pubsub_subscription", subscription.settings.name))

    def _forget(self, subscription: Subscription, gone: Sequence[Delivery], now: float) -> None:
        if gone:
            with self._store.transaction():
                self._store.drop_deliveries([(delivery.id, delivery.message) for delivery in gone])
            for delivery in gone:
                subscription.backlog.remove(delivery, now)
        subscription.stirred.set()

    def _message(self, delivery: Delivery) -> Any:
        message = _PubsubMessage.FromString(self._store.message(delivery.message))
        message.message_id = str(delivery.message)
        return message

    def _of_topic(self, topic: str) -> list[Subscription]:
        return [item for item in self.subscriptions.values() if item.settings.topic == topic]

    def _rearm(self) -> None:
        times = [when for item in self.subscriptions.values() if (when := item.backlog.next_time()) is not None]
        if times:
            self._arm(min(times))


def resource(kind: str, name: str) -> Resource:
    """The monitored resource of a topic or subscription, by its full name."""
    _, project, _, own = name.split("/")
    return Resource(kind, {"project_id": project, f"{kind.removeprefix('pubsub_')}_id": own})


def _ack_id(text: str) -> tuple[int, int]:
    number, _, attempt = text.partition(":")
    if not (number.isdecimal() and attempt.isdecimal()):
        raise Refused.invalid(f"Invalid ack id: (ack_id={text[:64]})")
    return int(number), int(attempt)
