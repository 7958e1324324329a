"""The bus: Pub/Sub, by Google's client.

Its generated client is used, not the one that batches: a handler publishes one event and waits for its number, and
a batch would only add its waiting time and a thread. PUBSUB_EMULATOR_HOST is the client's own setting.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, cast

from pointsman.adapters.endpoints import Settings
from pointsman.core.events import Event
from pointsman.core.traces import CARRIED
from pointsman.errors import Absent, Denied, Invalid, Unavailable

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.pubsub_v1 import PublisherClient, SubscriberClient
    from google.pubsub_v1.types import PubsubMessage, ReceivedMessage

__all__ = ["REDRIVEN", "PubSub", "connect"]

DEADLINE_S = 10.0
REDRIVEN = "redriven"
"""Attribute of a message that has come out of its dead-letter topic once."""
DEAD_LETTER = "CloudPubSubDeadLetter"
"""Attributes that Pub/Sub adds to what it puts into a dead-letter topic."""
PULL_WAIT_S = 1.0
"""How long an empty dead-letter subscription is waited for; a pull that does not wait may find nothing where
something is ("Pull subscriptions" in Pub/Sub's docs)."""
BATCH = 100
BATCHES_MAX = 10


class PubSub:
    """Topics of one project. `opened` makes of a push envelope the event in it, by its own identity."""

    def __init__(
        self,
        project: str,
        publisher: "PublisherClient",
        subscriber: "Callable[[], SubscriberClient]",
        retry: "Retry",
        opened: Callable[[bytes], Event],
    ) -> None:
        self._project = project
        self._publisher = publisher
        self._subscriber = subscriber
        self._retry = retry
        self._opened = opened

    def publish(self, topic: str, event: Event) -> str:
        """The message's number, once Pub/Sub has it: within 10 s, or Unavailable; then it may yet have it."""
        data, attributes = message_of(event)
        return self._send(topic, data, attributes)

    def redrive(self, topic: str) -> Sequence[Event]:
        """Publish what lies in TOPIC-dead to TOPIC once more; give those events that have been through that before.

        A crash between the two publishes a message twice, which is no harm: it is the same event.
        """
        given_up: list[Event] = []
        name = f"{topic}-dead"
        path = f"projects/{self._project}/subscriptions/{name}"
        with _translated(name):
            subscriber = self._subscriber()
        for _ in range(BATCHES_MAX):
            received = self._pull(subscriber, path)
            for item in received:
                if REDRIVEN in item.message.attributes:
                    given_up.append(self._opened(_envelope(path, item.message)))
                else:
                    kept = {
                        name: value
                        for name, value in item.message.attributes.items()
                        if not name.startswith(DEAD_LETTER)
                    }
                    self._send(topic, item.message.data, {**kept, REDRIVEN: "1"})
                with _translated(name):
                    subscriber.acknowledge(
                        subscription=path, ack_ids=[item.ack_id], retry=self._retry, timeout=DEADLINE_S
                    )
            if not received:
                break
        return given_up

    def _send(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        with _translated(topic):
            answer = self._publisher.publish(
                request={
                    "topic": f"projects/{self._project}/topics/{topic}",
                    "messages": [{"data": data, "attributes": dict(attributes)}],
                },
                retry=self._retry,
                timeout=DEADLINE_S,
            )
            return str(answer.message_ids[0])

    def _pull(self, subscriber: "SubscriberClient", path: str) -> "Sequence[ReceivedMessage]":
        from google.api_core.exceptions import DeadlineExceeded

        with _translated(path.rsplit("/", 1)[1]):
            try:
                answer = subscriber.pull(
                    request={"subscription": path, "max_messages": BATCH}, retry=None, timeout=PULL_WAIT_S
                )
            except DeadlineExceeded:
                return ()
            return answer.received_messages


def connect(settings: Settings, opened: Callable[[bytes], Event] | None = None) -> PubSub:
    """The bus of the settings' project. `opened` (for `redrive` alone) decodes a push envelope."""
    from google.api_core.retry import Retry, if_transient_error
    from google.pubsub_v1 import PublisherClient, SubscriberClient

    with _translated("Pub/Sub"):
        publisher = PublisherClient()
    retry = Retry(predicate=if_transient_error, initial=0.1, maximum=2.0, multiplier=2.0, timeout=DEADLINE_S)
    return PubSub(settings.project, publisher, cache(SubscriberClient), retry, opened or _no_decoder)


def message_of(event: Event) -> tuple[bytes, dict[str, str]]:
    """An event as a message: CloudEvents' Pub/Sub protocol binding, attributes `ce-*` and the data as it is."""
    attributes = {
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-source": event.source,
        "ce-type": event.type,
        "ce-time": event.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    if event.subject:
        attributes["ce-subject"] = event.subject
    if event.traceparent:
        attributes[CARRIED] = event.traceparent
    if isinstance(event.data, bytes):
        return event.data, {**attributes, "content-type": "application/octet-stream"}
    data = json.dumps(event.data, separators=(",", ":"), ensure_ascii=False).encode()
    return data, {**attributes, "content-type": "application/json"}


def _envelope(subscription: str, message: "PubsubMessage") -> bytes:
    published = cast("datetime | None", message.publish_time)  # which is what the client makes of a Timestamp
    inner = {
        "data": base64.b64encode(message.data).decode(),
        "attributes": dict(message.attributes),
        "messageId": message.message_id,
        "publishTime": published.astimezone(UTC).isoformat() if published else "",
    }
    return json.dumps({"message": inner, "subscription": subscription}).encode()


def _no_decoder(envelope: bytes) -> Event:
    raise AssertionError("this bus was connected without a decoder of dead letters")


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Google's errors as ours. Messages of the service name the resource; they quote no message."""
    from google.api_core import exceptions
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    try:
        yield
    except exceptions.NotFound as error:
        raise Absent(f"no topic or subscription {where!r}", where="Pub/Sub", remedy="apply the Terraform") from error
    except (exceptions.PermissionDenied, exceptions.Unauthenticated) as error:
        raise Denied("Pub/Sub refused", where=where, remedy="grant publisher (dead letters: subscriber)") from error
    except exceptions.InvalidArgument as error:
        raise Invalid(f"Pub/Sub cannot take it: {error.message}", where=where) from error
    except DefaultCredentialsError as error:
        raise Denied("no credentials for Pub/Sub", where=where, remedy="run as a service account") from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError) as error:
        raise Unavailable(f"Pub/Sub does not answer: {type(error).__name__}", where=where) from error
