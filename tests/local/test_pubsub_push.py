"""Push: what a receiver gets, what happens when it does not take it, faults on demand, and `kill -9`."""

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import google.api_core.exceptions as errors
import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from pointsman_local.identity import Identity
from pointsman_local.site import Site

TOPIC = "projects/lab/topics/pushed"


class Receiver:
    """An endpoint that keeps what it is sent and answers as told, 200 by default."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[float, dict[str, str], dict[str, Any]]] = []
        self.answers: list[int] = []
        """Status codes of the next answers."""
        self.arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.arrived:
                    outer.requests.append((time.time(), dict(self.headers), body))
                    status = outer.answers.pop(0) if outer.answers else 200
                    outer.arrived.notify_all()
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/in"

    def wait(self, count: int, *, timeout_s: float = 30) -> list[dict[str, Any]]:
        """The bodies of the first `count` requests."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, timeout_s), len(self.requests)
            return [body for _, _, body in self.requests[:count]]

    def texts(self) -> list[str]:
        return [base64.b64decode(body["message"]["data"]).decode() for _, _, body in self.requests]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def process(local_process: Callable[..., Any]) -> Any:
    made = local_process("pubsub")
    made.start(f"{made.site.url('pubsub-rest')}/v1/projects/lab/topics")
    return made


@pytest.fixture(scope="module")
def site(process: Any) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", process.site.address("pubsub"))
        PublisherClient().create_topic(name=TOPIC)
        yield process.site


@pytest.fixture
def publish(site: Site) -> Callable[..., str]:
    client = PublisherClient()

    def send(text: str, **attributes: str) -> str:
        number: str = client.publish(TOPIC, text.encode(), **attributes).result(timeout=10)
        return number

    return send


@pytest.fixture
def subscriber(site: Site) -> Iterator[SubscriberClient]:
    with SubscriberClient() as client:
        yield client


@pytest.fixture
def subscription(subscriber: SubscriberClient, receiver: Receiver) -> Iterator[str]:
    """A push subscription that tries again after 0.1 s and gives up after five attempts."""
    name = "projects/lab/subscriptions/pushed-sub"
    subscriber.create_subscription(request=push_settings(name, receiver))
    yield name
    subscriber.delete_subscription(subscription=name)


def push_settings(name: str, receiver: Receiver) -> dict[str, Any]:
    return {
        "name": name,
        "topic": TOPIC,
        "push_config": {
            "push_endpoint": receiver.url,
            "oidc_token": {"service_account_email": "pusher@lab.iam.gserviceaccount.com", "audience": "https://aud"},
        },
        "retry_policy": {"minimum_backoff": {"nanos": 100_000_000}, "maximum_backoff": {"seconds": 1}},
        "dead_letter_policy": {"dead_letter_topic": "projects/lab/topics/notices-dead", "max_delivery_attempts": 5},
    }


def call(site: Site, method: str, path: str, body: object = None) -> Any:
    request = urllib.request.Request(
        f"{site.url('pubsub-rest')}{path}", None if body is None else json.dumps(body).encode(), method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def status(site: Site) -> Any:
    return call(site, "GET", "/local/v1/subscriptions/pushed-sub")


def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.02)


def test_a_push_is_the_documented_envelope_with_a_signed_token(
    site: Site, publish: Callable[..., str], subscription: str, receiver: Receiver
) -> None:
    number = publish("hello", colour="red")
    (body,) = receiver.wait(1)
    message = body["message"]
    assert body["subscription"] == subscription
    assert body["deliveryAttempt"] == 1
    assert message["data"] == "aGVsbG8="
    assert message["attributes"] == {"colour": "red"}
    assert message["messageId"] == message["message_id"] == number
    assert message["publishTime"] == message["publish_time"]
    assert message["publishTime"].endswith("Z")
    _, headers, _ = receiver.requests[0]
    assert headers["Content-Type"] == "application/json"
    token = headers["Authorization"].removeprefix("Bearer ")
    identity = Identity(site.data)
    assert identity.email(token, "https://aud", time.time()) == "pusher@lab.iam.gserviceaccount.com"
    assert identity.email(token, "https://other", time.time()) is None


def test_an_attribute_only_message_has_no_data(
    publish: Callable[..., str], subscription: str, receiver: Receiver
) -> None:
    publish("", only="attributes")
    (body,) = receiver.wait(1)
    assert "data" not in body["message"]


@pytest.mark.parametrize("answer", [400, 401, 429, 500, 503, 302], ids=str)
def test_an_answer_that_acknowledges_nothing_brings_the_message_again(
    publish: Callable[..., str], subscription: str, receiver: Receiver, answer: int
) -> None:
    receiver.answers = [answer]
    publish("a")
    first, second = receiver.wait(2)
    assert (first["deliveryAttempt"], second["deliveryAttempt"]) == (1, 2)
    assert first["message"] == second["message"]


def test_retries_wait_twice_as_long_each_time_and_end_in_the_dead_letter_topic(
    site: Site, subscriber: SubscriberClient, publish: Callable[..., str], subscription: str, receiver: Receiver
) -> None:
    receiver.answers = [503] * 5
    publish("poison", kind="bad")
    dead = "projects/lab/subscriptions/notices-dead"
    (buried,) = subscriber.pull(subscription=dead, max_messages=5, timeout=20).received_messages
    subscriber.acknowledge(subscription=dead, ack_ids=[buried.ack_id])
    times = [when for when, _, _ in receiver.requests]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == 5
    assert all(gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.8), strict=True)), gaps
    assert buried.message.data == b"poison"
    assert buried.message.attributes["kind"] == "bad"
    assert buried.message.attributes["CloudPubSubDeadLetterSourceSubscription"] == "pushed-sub"
    assert buried.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert status(site)["unacknowledged"] == 0
    assert status(site)["last_failure"] == "HTTP 503"


def test_an_endpoint_that_nobody_serves_for_long_is_tried_again(
    site: Site,
    subscriber: SubscriberClient,
    publish: Callable[..., str],
    subscription: str,
    receiver: Receiver,
    free_port: Callable[[], int],
) -> None:
    subscriber.modify_push_config(
        subscription=subscription, push_config={"push_endpoint": f"http://127.0.0.1:{free_port()}/"}
    )
    publish("a")
    until(lambda: "ClientConnectorError" in status(site)["last_failure"])
    subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": receiver.url})
    assert receiver.wait(1)[0]["deliveryAttempt"] >= 2
    until(lambda: status(site)["unacknowledged"] == 0)


def test_an_endpoint_that_is_just_starting_is_waited_for(
    site: Site,
    subscriber: SubscriberClient,
    publish: Callable[..., str],
    subscription: str,
    free_port: Callable[[], int],
) -> None:
    port = free_port()
    subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": f"http://127.0.0.1:{port}/"})
    publish("a")
    until(lambda: status(site)["unacknowledged"] == 1)
    late = Receiver(port)
    assert late.wait(1)[0]["deliveryAttempt"] == 1
    late.server.shutdown()
    late.server.server_close()


def test_a_subscription_turned_to_pull_pushes_no_more(
    subscriber: SubscriberClient, publish: Callable[..., str], subscription: str, receiver: Receiver
) -> None:
    with pytest.raises(errors.FailedPrecondition):
        subscriber.pull(subscription=subscription, max_messages=1, timeout=10)
    subscriber.modify_push_config(subscription=subscription, push_config={})
    publish("pulled")
    (received,) = subscriber.pull(subscription=subscription, max_messages=1, timeout=10).received_messages
    assert received.message.data == b"pulled"
    assert receiver.requests == []


def test_pushes_of_one_key_wait_for_each_other(subscriber: SubscriberClient, receiver: Receiver, site: Site) -> None:
    name = "projects/lab/subscriptions/ordered-sub"
    subscriber.create_subscription(request={**push_settings(name, receiver), "enable_message_ordering": True})
    receiver.answers = [200, 500, 500]
    messages = [{"data": str(number).encode(), "ordering_key": "k"} for number in range(4)]
    call_publish(messages)
    receiver.wait(6)
    subscriber.delete_subscription(subscription=name)
    assert receiver.texts() == ["0", "1", "1", "1", "2", "3"]


def call_publish(messages: list[dict[str, Any]]) -> None:
    from google.pubsub_v1 import PublisherClient as Plain

    Plain().publish(request={"topic": TOPIC, "messages": messages})


def test_a_doubled_message_is_pushed_that_often_and_then_gone(
    site: Site, publish: Callable[..., str], subscription: str, receiver: Receiver
) -> None:
    answer = call(site, "PUT", "/local/v1/subscriptions/pushed-sub/faults", {"duplicate": 3})
    assert answer["faults"]["duplicate"] == 3
    number = publish("a")
    assert {body["message"]["messageId"] for body in receiver.wait(3)} == {number}
    until(lambda: status(site)["unacknowledged"] == 0)
    call(site, "DELETE", "/local/v1/subscriptions/pushed-sub/faults")
    publish("b")
    receiver.wait(4)
    until(lambda: status(site)["unacknowledged"] == 0)
    assert receiver.texts() == ["a", "a", "a", "b"]


def test_a_dropped_message_never_arrives(
    site: Site, publish: Callable[..., str], subscription: str, receiver: Receiver
) -> None:
    call(site, "PUT", "/local/v1/subscriptions/pushed-sub/faults", {"drop": 1})
    publish("lost")
    publish("kept")
    receiver.wait(1)
    assert status(site)["lost"] == 1
    assert status(site)["faults"]["drop"] == 0
    assert receiver.texts() == ["kept"]


def test_a_late_message_is_late_and_an_acknowledgement_can_be_lost(
    site: Site, publish: Callable[..., str], subscription: str, receiver: Receiver
) -> None:
    call(site, "PUT", "/local/v1/subscriptions/pushed-sub/faults", {"delay_s": 0.3, "lose_acks": 1})
    began = time.time()
    publish("a")
    receiver.wait(2)
    assert receiver.requests[0][0] - began >= 0.3
    assert receiver.texts() == ["a", "a"]
    until(lambda: status(site)["unacknowledged"] == 0)


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        pytest.param("PUT", "/local/v1/subscriptions/none/faults", {}, 404, id="no-such-subscription"),
        pytest.param("PUT", "/local/v1/subscriptions/notices-dead/faults", {"dropp": 1}, 400, id="no-such-fault"),
        pytest.param("POST", "/v1/projects/lab/topics/notices:setIamPolicy", {}, 501, id="no-such-call"),
        pytest.param("PUT", "/v1/projects/lab/topics/notices", {"name": 5}, 409, id="exists"),
        pytest.param("POST", "/v1/projects/lab/topics/notices:publish", {"messages": 5}, 400, id="wrong-type"),
    ],
)
def test_the_rest_face_refuses_by_status(site: Site, method: str, path: str, body: object, expected: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        call(site, method, path, body)
    assert refused.value.code == expected
    assert json.load(refused.value)["error"]["code"] == expected


def test_nothing_unacknowledged_is_lost_by_kill_nine(local_process: Callable[..., Any], receiver: Receiver) -> None:
    process = local_process("pubsub")
    ready = f"{process.site.url('pubsub-rest')}/v1/projects/lab/topics"
    process.start(ready)
    name, pulled = "projects/lab/subscriptions/pushed-sub", "projects/lab/subscriptions/pulled-sub"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", process.site.address("pubsub"))
        publisher = PublisherClient()
        with SubscriberClient() as subscriber:
            publisher.create_topic(name=TOPIC)
            settings = push_settings(name, receiver)
            settings["dead_letter_policy"]["max_delivery_attempts"] = 100
            subscriber.create_subscription(request=settings)
            subscriber.create_subscription(name=pulled, topic=TOPIC)
            receiver.answers = [503] * 10_000
            numbers = [publisher.publish(TOPIC, str(number).encode()).result(timeout=10) for number in range(8)]
            receiver.wait(8)
            (first, *_) = subscriber.pull(subscription=pulled, max_messages=8, timeout=10).received_messages
            subscriber.acknowledge(subscription=pulled, ack_ids=[first.ack_id])
            process.kill()
            pushed = len(receiver.requests)
            receiver.answers = []
            process.start(ready)
            until(lambda: status(process.site)["unacknowledged"] == 0)
            again = [body for _, _, body in receiver.requests[pushed:]]
            assert {body["message"]["messageId"] for body in again} == set(numbers)
            assert all(body["deliveryAttempt"] > 1 for body in again), "attempts are remembered"
            received = subscriber.pull(subscription=pulled, max_messages=20, timeout=10).received_messages
            assert {item.message.message_id for item in received} == set(numbers) - {first.message.message_id}


def test_a_restart_gives_declared_subscriptions_the_declared_settings(
    process: Any, site: Site, subscriber: SubscriberClient
) -> None:
    name = "projects/lab/subscriptions/notices-notify"
    before = subscriber.get_subscription(subscription=name)
    subscriber.modify_push_config(subscription=name, push_config={"push_endpoint": "http://127.0.0.1:1/"})
    assert process.stop() == 0
    process.start(f"{site.url('pubsub-rest')}/v1/projects/lab/topics")
    assert subscriber.get_subscription(subscription=name) == before
