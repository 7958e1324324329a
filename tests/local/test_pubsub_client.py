"""The local Pub/Sub as Google's unmodified client sees it, and as `gcloud` does."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google.api_core.exceptions as errors
import grpc
import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.types import PublisherOptions
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import SchemaServiceClient

from pointsman_local.site import Site


@pytest.fixture(scope="module")
def site(local_process: Callable[..., Any]) -> Iterator[Site]:
    process = local_process("pubsub")
    process.start(f"{process.site.url('pubsub-rest')}/v1/projects/lab/topics")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", process.site.address("pubsub"))
        yield process.site


@pytest.fixture(scope="module")
def publisher(site: Site) -> PublisherClient:
    return PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))


@pytest.fixture(scope="module")
def subscriber(site: Site) -> Iterator[SubscriberClient]:
    with SubscriberClient() as client:
        yield client


@pytest.fixture
def topic(publisher: PublisherClient, request: pytest.FixtureRequest) -> str:
    name = f"projects/lab/topics/t{abs(hash(request.node.name))}"
    publisher.create_topic(name=name)
    return name


@pytest.fixture
def subscription(subscriber: SubscriberClient, topic: str) -> str:
    name = topic.replace("topics", "subscriptions")
    subscriber.create_subscription(name=name, topic=topic)
    return name


def test_the_topology_is_there_from_the_start(publisher: PublisherClient, subscriber: SubscriberClient) -> None:
    topics = {item.name.rsplit("/", 1)[1] for item in publisher.list_topics(project="projects/lab")}
    names = {item.name.rsplit("/", 1)[1]: item for item in subscriber.list_subscriptions(project="projects/lab")}
    declared = {"repo-pushed", "model-registered", "alert-fired", "notices"}
    assert declared | {f"{name}-dead" for name in declared} <= topics
    assert {f"{name}-dead" for name in declared} <= names.keys()
    push = names["repo-pushed-on-repo-push"]
    assert push.push_config.push_endpoint.startswith("http://127.0.0.1:")
    assert push.push_config.oidc_token.audience == push.push_config.push_endpoint
    assert push.push_config.oidc_token.service_account_email == "pointsman-pubsub-push@lab.iam.gserviceaccount.com"
    assert push.retry_policy.minimum_backoff.total_seconds() == 10
    assert push.retry_policy.maximum_backoff.total_seconds() == 600
    assert push.dead_letter_policy.dead_letter_topic == "projects/lab/topics/repo-pushed-dead"
    assert push.dead_letter_policy.max_delivery_attempts == 20
    assert push.ack_deadline_seconds == 60


def test_names_that_exist_or_do_not_are_the_clients_own_errors(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str
) -> None:
    with pytest.raises(errors.AlreadyExists):
        publisher.create_topic(name=topic)
    with pytest.raises(errors.NotFound):
        publisher.get_topic(topic="projects/lab/topics/nowhere")
    with pytest.raises(errors.NotFound):
        subscriber.create_subscription(name="projects/lab/subscriptions/some", topic="projects/lab/topics/nowhere")
    with pytest.raises(errors.InvalidArgument, match=r"Invalid \[topics\] name: \(name=projects/lab/topics/te\)"):
        publisher.create_topic(name="projects/lab/topics/te")
    with pytest.raises(errors.NotFound):
        publisher.publish("projects/lab/topics/nowhere", b"x").result(timeout=10)


def test_pull_acknowledge_and_nothing_left(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    # The second key is one of those that Google's clients write themselves, where their tracing is on.
    attributes = {"colour": "red", "googclient_traceparent": "00-a-b-01"}
    number = publisher.publish(topic, b"hello", **attributes).result(timeout=10)
    (received,) = subscriber.pull(subscription=subscription, max_messages=10, timeout=10).received_messages
    assert received.message.message_id == number
    assert received.message.data == b"hello"
    assert received.message.attributes == attributes
    assert received.delivery_attempt == 0, "counted only with a dead-letter policy"
    subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])
    with pytest.raises(errors.DeadlineExceeded):
        subscriber.pull(subscription=subscription, max_messages=10, timeout=0.3)


def test_a_waiting_pull_is_answered_when_a_message_comes(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    timer = threading.Timer(0.2, lambda: publisher.publish(topic, b"late").result(timeout=10))
    timer.start()
    (received,) = subscriber.pull(subscription=subscription, max_messages=1, timeout=4).received_messages
    timer.join()
    assert received.message.data == b"late"


def test_streaming_pull_keeps_the_order_of_each_key(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str
) -> None:
    name = topic.replace("topics", "subscriptions")
    subscriber.create_subscription(request={"name": name, "topic": topic, "enable_message_ordering": True})
    seen: dict[str, list[int]] = {key: [] for key in "abcd"}
    done = threading.Event()

    def take(message: Any) -> None:
        seen[message.ordering_key].append(int(message.data))
        message.ack()
        if sum(map(len, seen.values())) == 200:
            done.set()

    pulling = subscriber.subscribe(name, callback=take)
    for number in range(200):
        publisher.publish(topic, str(number).encode(), ordering_key="abcd"[number % 4])
    assert done.wait(30)
    pulling.cancel()
    pulling.result(timeout=10)
    assert seen == {key: list(range(place, 200, 4)) for place, key in enumerate("abcd")}


def test_streaming_pull_lends_no_more_than_was_asked_for(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    for number in range(20):
        publisher.publish(topic, str(number).encode()).result(timeout=10)
    requests: list[dict[str, Any]] = [
        {"subscription": subscription, "stream_ack_deadline_seconds": 10, "max_outstanding_messages": 3}
    ]
    more = threading.Event()
    acknowledged: list[str] = []

    def asked() -> Iterator[Any]:
        yield from map(to_request, requests)
        more.wait(20)
        yield to_request({"ack_ids": acknowledged})
        ended.wait(20)

    ended = threading.Event()
    stream = subscriber.streaming_pull(requests=asked())
    first = next(iter(stream))
    assert len(first.received_messages) == 3
    acknowledged.append(first.received_messages[0].ack_id)
    more.set()
    assert len(next(iter(stream)).received_messages) == 1, "room for the one that was acknowledged"
    ended.set()
    stream.cancel()


def to_request(fields: dict[str, Any]) -> Any:
    from google.pubsub_v1.types import StreamingPullRequest

    return StreamingPullRequest(fields)


def test_a_refused_message_comes_again(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    publisher.publish(topic, b"again").result(timeout=10)
    (first,) = subscriber.pull(subscription=subscription, max_messages=1, timeout=10).received_messages
    subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[first.ack_id], ack_deadline_seconds=0)
    (second,) = subscriber.pull(subscription=subscription, max_messages=1, timeout=10).received_messages
    assert second.message == first.message


def test_a_filter_keeps_the_others_away(publisher: PublisherClient, subscriber: SubscriberClient, topic: str) -> None:
    name = topic.replace("topics", "subscriptions")
    subscriber.create_subscription(
        request={"name": name, "topic": topic, "filter": 'hasPrefix(attributes.ref, "refs/heads/")'}
    )
    for ref in ("refs/tags/v1", "refs/heads/main"):
        publisher.publish(topic, b"", ref=ref).result(timeout=10)
    received = subscriber.pull(subscription=name, max_messages=10, timeout=10).received_messages
    assert [item.message.attributes["ref"] for item in received] == ["refs/heads/main"]


def test_a_subscription_is_changed_field_by_field(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    changed = subscriber.update_subscription(
        subscription={"name": subscription, "ack_deadline_seconds": 30, "labels": {"team": "nlp"}},
        update_mask=FieldMask(paths=["ack_deadline_seconds"]),
    )
    assert (changed.ack_deadline_seconds, dict(changed.labels)) == (30, {})
    with pytest.raises(errors.InvalidArgument, match="'filter' field in the Subscription is not mutable"):
        subscriber.update_subscription(
            subscription={"name": subscription, "filter": "attributes:a"}, update_mask=FieldMask(paths=["filter"])
        )


def test_a_topic_that_goes_leaves_its_subscriptions(
    publisher: PublisherClient, subscriber: SubscriberClient, topic: str, subscription: str
) -> None:
    publisher.publish(topic, b"kept").result(timeout=10)
    assert list(publisher.list_topic_subscriptions(topic=topic)) == [subscription]
    publisher.delete_topic(topic=topic)
    assert subscriber.get_subscription(subscription=subscription).topic == "_deleted-topic_"
    (received,) = subscriber.pull(subscription=subscription, max_messages=1, timeout=10).received_messages
    assert received.message.data == b"kept"
    subscriber.delete_subscription(subscription=subscription)
    with pytest.raises(errors.NotFound):
        subscriber.get_subscription(subscription=subscription)


def test_lists_come_in_pages(publisher: PublisherClient) -> None:
    for number in range(5):
        publisher.create_topic(name=f"projects/paged/topics/topic{number}")
    pager = publisher.list_topics(request={"project": "projects/paged", "page_size": 2})
    pages = [[item.name[-1] for item in page.topics] for page in pager.pages]
    assert pages == [["0", "1"], ["2", "3"], ["4"]]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        pytest.param(
            lambda publisher, subscriber, name: subscriber.seek(request={"subscription": name}),
            "google.pubsub.v1.Subscriber/Seek",
            id="seek",
        ),
        pytest.param(
            lambda publisher, subscriber, name: subscriber.list_snapshots(project="projects/lab"),
            "google.pubsub.v1.Subscriber/ListSnapshots",
            id="snapshots",
        ),
        pytest.param(
            lambda publisher, subscriber, name: publisher.update_topic(
                topic={}, update_mask=FieldMask(paths=["labels"])
            ),
            "google.pubsub.v1.Publisher/UpdateTopic",
            id="update-topic",
        ),
        pytest.param(
            lambda publisher, subscriber, name: SchemaServiceClient().list_schemas(parent="projects/lab"),
            "google.pubsub.v1.SchemaService/ListSchemas",
            id="another-service",
        ),
        pytest.param(
            lambda publisher, subscriber, name: subscriber.create_subscription(
                request={
                    "name": f"{name}-x",
                    "topic": "projects/lab/topics/notices",
                    "enable_exactly_once_delivery": True,
                }
            ),
            "Subscription.enable_exactly_once_delivery",
            id="a-field",
        ),
    ],
)
def test_what_is_not_imitated_says_so(
    publisher: PublisherClient,
    subscriber: SubscriberClient,
    subscription: str,
    call: Callable[[Any, Any, str], Any],
    named: str,
) -> None:
    with pytest.raises(errors.MethodNotImplemented, match=f"{named} is not imitated by the local Pub/Sub"):
        call(publisher, subscriber, subscription)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({}, id="empty"),
        pytest.param({"data": b"x", "attributes": {"a": "x" * 1025}}, id="long-value"),
        pytest.param({"data": b"x", "attributes": {"google": "x"}}, id="reserved-key"),
        pytest.param({"data": b"x", "attributes": {f"a{i}": "x" for i in range(101)}}, id="many-attributes"),
    ],
)
def test_messages_past_the_documented_limits_are_refused(site: Site, topic: str, message: dict[str, Any]) -> None:
    from google.pubsub_v1 import PublisherClient as Plain

    with pytest.raises(errors.InvalidArgument):
        Plain().publish(request={"topic": topic, "messages": [message]})


def test_a_taken_port_is_an_error_and_not_a_second_server(site: Site, local_process: Callable[..., Any]) -> None:
    second = local_process("pubsub", ports={"pubsub": site.ports["pubsub"]})
    with pytest.raises(AssertionError, match="ended with"):
        second.start(f"{second.site.url('pubsub-rest')}/v1/projects/lab/topics")
    with grpc.insecure_channel(site.address("pubsub")) as channel:
        grpc.channel_ready_future(channel).result(timeout=5)


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud_creates_publishes_and_pulls(site: Site, tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(tmp_path),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": "lab",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"{site.url('pubsub-rest')}/",
    }

    def gcloud(*words: str) -> str:
        done = subprocess.run(["gcloud", "pubsub", *words], env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    gcloud("topics", "create", "from-gcloud")
    gcloud("subscriptions", "create", "from-gcloud-sub", "--topic", "from-gcloud", "--ack-deadline", "30")
    gcloud("subscriptions", "update", "from-gcloud-sub", "--ack-deadline", "45")
    gcloud("topics", "publish", "from-gcloud", "--message", "hello", "--attribute", "a=b")
    pulled = gcloud(
        "subscriptions", "pull", "from-gcloud-sub", "--auto-ack", "--format", "value(message.data,message.attributes)"
    )
    assert "aGVsbG8=" in pulled or "hello" in pulled
    assert "from-gcloud-sub" in gcloud(
        "subscriptions", "list", "--format", "value(name,ackDeadlineSeconds)", "--filter", "ackDeadlineSeconds=45"
    )
