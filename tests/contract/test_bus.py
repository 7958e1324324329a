"""What `Bus` promises, on the local Pub/Sub and on Google's own emulator: neither may flatter the adapter."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.api_core.exceptions import AlreadyExists, DeadlineExceeded
from google.pubsub_v1 import PublisherClient, SubscriberClient

from pointsman.adapters import pubsub
from pointsman.adapters.endpoints import Settings
from pointsman.core.events import MODEL_REGISTERED, REPO_PUSHED, Event
from pointsman.errors import Absent, Unavailable
from pointsman.handlers.envelope import decode
from pointsman.ports import Bus

PROJECT = "lab"
TOPIC = "repo-pushed"
EVENT = Event(
    id="72d3162e-cc78-11e3-81ab-4c9367dc0958",
    source="//github.com/acme/config",
    type=REPO_PUSHED,
    time=datetime(2026, 11, 20, 10, 0, 1, 123000, tzinfo=UTC),
    subject="refs/heads/main",
    data={"repository": "https://github.com/acme/config.git", "ref": "refs/heads/main", "pusher": "zoë"},
)


def java_emulator() -> Path | None:
    """Google's emulator, where gcloud and its component are installed."""
    gcloud = shutil.which("gcloud")
    if gcloud is None or shutil.which("java") is None:
        return None
    folder = Path(gcloud).resolve().parents[1] / "platform" / "pubsub-emulator" / "lib"
    return next(iter(folder.glob("cloud-pubsub-emulator-*-all.jar")), None)


@pytest.fixture(
    scope="module",
    params=[
        "local",
        pytest.param(
            "given",
            marks=pytest.mark.skipif(
                "PUBSUB_EMULATOR_HOST" not in os.environ, reason="PUBSUB_EMULATOR_HOST is not set"
            ),
        ),
        pytest.param(
            "java",
            marks=pytest.mark.skipif(java_emulator() is None, reason="Google's Pub/Sub emulator is not installed"),
        ),
    ],
)
def host(request: pytest.FixtureRequest, local_process: Callable[..., Any]) -> Iterator[str]:
    """`host:port` of a Pub/Sub, which Google's client is told of by the environment."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "given":
            yield os.environ["PUBSUB_EMULATOR_HOST"]
        elif request.param == "local":
            process = local_process("pubsub")
            process.start(f"{process.site.url('pubsub-rest')}/v1/projects/lab/topics")
            patch.setenv("PUBSUB_EMULATOR_HOST", process.site.address("pubsub"))
            yield process.site.address("pubsub")
        else:
            with running_emulator() as address:
                patch.setenv("PUBSUB_EMULATOR_HOST", address)
                yield address


class running_emulator:  # noqa: N801 - a context manager
    def __enter__(self) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        jar = str(java_emulator())
        self._process = subprocess.Popen(
            ["java", "-Xmx256m", "-jar", jar, "--host=127.0.0.1", f"--port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return f"127.0.0.1:{port}"
        raise AssertionError("the emulator never listened")

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def observer(host: str) -> Iterator[str]:
    """A subscription that sees what is published to the topic; topics and dead letters are there as declared."""
    publisher, subscriber = PublisherClient(), SubscriberClient()
    for topic in (TOPIC, f"{TOPIC}-dead"):
        with suppress(AlreadyExists):
            publisher.create_topic(name=f"projects/{PROJECT}/topics/{topic}")
    dead = {"name": path(f"{TOPIC}-dead"), "topic": f"projects/{PROJECT}/topics/{TOPIC}-dead"}
    with suppress(AlreadyExists):
        subscriber.create_subscription(request=dead)
    name = path(f"observer-{uuid4().hex[:8]}")
    subscriber.create_subscription(name=name, topic=f"projects/{PROJECT}/topics/{TOPIC}")
    yield name
    subscriber.delete_subscription(subscription=name)


@pytest.fixture
def bus(observer: str) -> Bus:
    return pubsub.connect(Settings(PROJECT, "us-central1", "c1"), partial(decode, {}))


def path(subscription: str) -> str:
    return f"projects/{PROJECT}/subscriptions/{subscription}"


def take(subscription: str) -> list[Any]:
    """The messages that are there, acknowledged; at least one, or none after a second."""
    subscriber = SubscriberClient()
    try:
        answer = subscriber.pull(request={"subscription": subscription, "max_messages": 10}, retry=None, timeout=1)
    except DeadlineExceeded:
        return []
    received = list(answer.received_messages)
    if received:
        subscriber.acknowledge(subscription=subscription, ack_ids=[item.ack_id for item in received])
    return [item.message for item in received]


def bury(event: Event) -> None:
    """Put an event where Pub/Sub puts what was not taken in 20 attempts."""
    data, attributes = pubsub.message_of(event)
    attributes |= {"CloudPubSubDeadLetterSourceDeliveryCount": "20"}
    PublisherClient().publish(
        request={
            "topic": f"projects/{PROJECT}/topics/{TOPIC}-dead",
            "messages": [{"data": data, "attributes": attributes}],
        }
    )


def opened(message: Any) -> Event:
    return decode({}, pubsub._envelope(path("any"), message))


def test_a_published_event_is_received_as_the_same_event(bus: Bus, observer: str) -> None:
    number = bus.publish(TOPIC, EVENT)
    (message,) = take(observer)
    assert message.message_id == number
    assert opened(message) == EVENT
    assert message.attributes["content-type"] == "application/json"
    assert message.attributes["ce-type"] == "dev.pointsman.repo.pushed.v1"


def test_an_event_without_subject_and_with_bytes_travels_too(bus: Bus, observer: str) -> None:
    event = Event("1", "//mlflow/host", MODEL_REGISTERED, EVENT.time, "", b"\xff\x00")
    bus.publish(TOPIC, event)
    (message,) = take(observer)
    assert opened(message) == event


def test_two_publications_are_two_messages(bus: Bus, observer: str) -> None:
    assert bus.publish(TOPIC, EVENT) != bus.publish(TOPIC, EVENT)


def test_a_topic_that_is_not_there_is_absent(bus: Bus) -> None:
    with pytest.raises(Absent, match="nowhere"):
        bus.publish("nowhere", EVENT)
    with pytest.raises(Absent, match="nowhere-dead"):
        bus.redrive("nowhere")


def test_nothing_dead_is_nothing_to_redrive(bus: Bus, observer: str) -> None:
    assert bus.redrive(TOPIC) == []
    assert take(observer) == []


def test_a_dead_letter_is_published_once_more_and_the_second_time_given_up(bus: Bus, observer: str) -> None:
    bury(EVENT)
    assert bus.redrive(TOPIC) == []
    (again,) = take(observer)
    assert opened(again) == EVENT
    assert again.attributes["redriven"] == "1"
    assert not any(name.startswith("CloudPubSubDeadLetter") for name in again.attributes)
    PublisherClient().publish(
        request={
            "topic": f"projects/{PROJECT}/topics/{TOPIC}-dead",
            "messages": [{"data": again.data, "attributes": dict(again.attributes)}],
        }
    )
    assert bus.redrive(TOPIC) == [EVENT]
    assert take(observer) == []
    assert bus.redrive(TOPIC) == []


def test_an_unreachable_service_is_unavailable(
    observer: str, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(pubsub, "DEADLINE_S", 0.3)
    with pytest.raises(Unavailable):
        pubsub.connect(Settings(PROJECT, "us-central1", "c1")).publish(TOPIC, EVENT)
