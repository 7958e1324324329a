"""The broker in virtual time: what is promised for any order of publishing, leasing, acknowledging and restarts."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pointsman_local.pubsub.broker import Broker
from pointsman_local.pubsub.faults import Faults
from pointsman_local.pubsub.store import Store
from pointsman_local.pubsub.wire import Refused, message_class

Topic, SubscriptionSettings, PubsubMessage = map(message_class, ("Topic", "Subscription", "PubsubMessage"))
TOPIC = "projects/lab/topics/orders"
DEAD = "projects/lab/topics/orders-dead"
NAME = "projects/lab/subscriptions/orders-sub"
DEAD_NAME = "projects/lab/subscriptions/orders-dead"


def made(tmp_path: Path, **fields: Any) -> Broker:
    """A broker with one topic, its dead-letter topic, and a subscription on each."""
    broker = Broker(Store(tmp_path / "pubsub.db"), 0.0)
    broker.create_topic(Topic(name=TOPIC))
    broker.create_topic(Topic(name=DEAD))
    broker.create_subscription(SubscriptionSettings(name=NAME, topic=TOPIC, **fields))
    broker.create_subscription(SubscriptionSettings(name=DEAD_NAME, topic=DEAD))
    return broker


def publish(broker: Broker, *texts: str, now: float = 0.0, key: str = "") -> None:
    broker.publish(TOPIC, [PubsubMessage(data=text.encode(), ordering_key=key) for text in texts], now)


def lease(broker: Broker, now: float, *, limit: int = 100, lease_s: float = 10, name: str = NAME) -> list[Any]:
    broker.wake(now)
    return broker.lease(broker.subscription(name), limit, now, lease_s=lease_s)


def texts(received: list[Any]) -> list[str]:
    return [item.message.data.decode() for item in received]


def acknowledge(broker: Broker, received: list[Any], now: float) -> None:
    broker.acknowledge(broker.subscription(NAME), [item.ack_id for item in received], now)


def nack(broker: Broker, received: list[Any], now: float) -> None:
    broker.extend(broker.subscription(NAME), [item.ack_id for item in received], 0, now)


def test_a_lease_that_runs_out_brings_the_message_back(tmp_path: Path) -> None:
    broker = made(tmp_path)
    publish(broker, "a")
    first = lease(broker, 1, lease_s=10)
    assert lease(broker, 10.9) == []
    second = lease(broker, 11)
    assert texts(first) == texts(second) == ["a"]
    assert second[0].ack_id != first[0].ack_id


def test_an_extended_lease_holds_until_its_new_end(tmp_path: Path) -> None:
    broker = made(tmp_path)
    publish(broker, "a")
    received = lease(broker, 0, lease_s=10)
    broker.extend(broker.subscription(NAME), [received[0].ack_id], 60, 9)
    assert lease(broker, 68.9) == []
    assert texts(lease(broker, 69)) == ["a"]


def test_backoff_doubles_between_its_bounds(tmp_path: Path) -> None:
    broker = made(tmp_path, retry_policy={"minimum_backoff": {"seconds": 10}, "maximum_backoff": {"seconds": 35}})
    publish(broker, "a")
    now, gaps = 0.0, []
    for _ in range(4):
        nack(broker, lease(broker, now), now)
        gaps.append(broker.subscription(NAME).backlog.next_time() or 0.0)
        gaps[-1], now = gaps[-1] - now, gaps[-1]
    assert gaps == [10, 20, 35, 35]


def test_without_a_retry_policy_a_refused_message_is_there_at_once(tmp_path: Path) -> None:
    broker = made(tmp_path)
    publish(broker, "a")
    nack(broker, lease(broker, 0), 0)
    assert texts(lease(broker, 0)) == ["a"]


def test_after_the_last_attempt_a_message_is_in_the_dead_letter_topic(tmp_path: Path) -> None:
    broker = made(tmp_path, dead_letter_policy={"dead_letter_topic": DEAD, "max_delivery_attempts": 5})
    publish(broker, "a")
    for attempt in range(1, 6):
        (received,) = lease(broker, 0)
        assert received.delivery_attempt == attempt
        nack(broker, [received], 0)
    assert lease(broker, 0) == []
    (buried,) = lease(broker, 0, name=DEAD_NAME)
    assert buried.message.data == b"a"
    assert dict(buried.message.attributes) == {
        "CloudPubSubDeadLetterSourceSubscription": "orders-sub",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "lab",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "1970-01-01T00:00:00+00:00",
    }


def test_a_missing_dead_letter_topic_keeps_the_message_trying(tmp_path: Path) -> None:
    broker = made(tmp_path, dead_letter_policy={"dead_letter_topic": DEAD, "max_delivery_attempts": 5})
    broker.delete_topic(DEAD)
    publish(broker, "a")
    for _ in range(8):
        nack(broker, lease(broker, 0), 0)
    assert texts(lease(broker, 0)) == ["a"]


def test_a_message_past_its_retention_is_gone(tmp_path: Path) -> None:
    broker = made(tmp_path, message_retention_duration={"seconds": 600})
    publish(broker, "old", now=0)
    publish(broker, "new", now=599)
    assert texts(lease(broker, 661)) == ["new"]


def test_only_one_lease_of_a_key_is_out_and_a_refusal_takes_back_what_followed(tmp_path: Path) -> None:
    broker = made(tmp_path, enable_message_ordering=True)
    publish(broker, "a", "b", "c", key="k")
    publish(broker, "x", key="other")
    first = lease(broker, 0, limit=2)
    assert texts(first) == ["a", "b"]
    assert texts(lease(broker, 0)) == ["x"], "c waits for a and b"
    acknowledge(broker, first[:1], 0)
    assert lease(broker, 0) == [], "b is still out"
    nack(broker, first[1:], 0)
    assert texts(lease(broker, 0)) == ["b", "c"]


@pytest.mark.parametrize(
    ("faults", "published", "expected"),
    [
        pytest.param({"drop": 2}, "abc", "c", id="drop-swallows-the-next-ones"),
        pytest.param({"duplicate": 3}, "ab", "aaabbb", id="duplicate-delivers-each-so-often"),
        pytest.param({"reorder": 3}, "abcdef", "cbafed", id="reorder-turns-each-group-around"),
        pytest.param({"reorder": 2, "duplicate": 2}, "ab", "bbaa", id="reordered-copies"),
        pytest.param({"drop": 1, "duplicate": 2}, "ab", "bb", id="drop-and-duplicate"),
    ],
)
def test_faults_act_as_they_say(tmp_path: Path, faults: dict[str, float], published: str, expected: str) -> None:
    broker = made(tmp_path)
    broker.set_faults(NAME, Faults.of(faults))
    publish(broker, *published)
    assert "".join(texts(lease(broker, 0))) == expected


def test_every_copy_needs_its_own_acknowledgement(tmp_path: Path) -> None:
    broker = made(tmp_path)
    broker.set_faults(NAME, Faults(duplicate=3))
    publish(broker, "a")
    received = lease(broker, 0)
    acknowledge(broker, received[:1], 0)
    assert len(lease(broker, 10)) == 2
    assert len({item.message.message_id for item in received}) == 1


def test_delayed_messages_come_late(tmp_path: Path) -> None:
    broker = made(tmp_path)
    broker.set_faults(NAME, Faults(delay_s=2.5))
    publish(broker, "a", now=100)
    assert lease(broker, 102.4) == []
    assert texts(lease(broker, 102.5)) == ["a"]


def test_a_group_that_is_not_full_goes_after_two_seconds(tmp_path: Path) -> None:
    broker = made(tmp_path)
    broker.set_faults(NAME, Faults(reorder=5))
    publish(broker, "a", now=0)
    publish(broker, "b", now=1)
    assert lease(broker, 1.9) == []
    assert texts(lease(broker, 3)) == ["b", "a"]
    publish(broker, "c", now=4)
    assert texts(lease(broker, 6)) == ["c"]


def test_reordering_leaves_ordering_keys_in_order(tmp_path: Path) -> None:
    broker = made(tmp_path, enable_message_ordering=True)
    broker.set_faults(NAME, Faults(reorder=2))
    publish(broker, "a", "b", key="k")
    assert texts(lease(broker, 0)) == ["a", "b"]


def test_a_lost_acknowledgement_brings_the_message_again(tmp_path: Path) -> None:
    broker = made(tmp_path)
    broker.set_faults(NAME, Faults(lose_acks=1))
    publish(broker, "a")
    acknowledge(broker, lease(broker, 0, lease_s=10), 1)
    again = lease(broker, 10)
    assert texts(again) == ["a"]
    acknowledge(broker, again, 11)
    assert lease(broker, 1000) == []


def test_faults_and_their_counts_survive_a_restart(tmp_path: Path) -> None:
    broker = made(tmp_path)
    broker.set_faults(NAME, Faults(drop=2, delay_s=1.5))
    publish(broker, "a")
    again = Broker(Store(tmp_path / "pubsub.db"), 0.0)
    assert again.subscription(NAME).faults == Faults(drop=1, delay_s=1.5)
    assert again.subscription(NAME).lost == 1


@pytest.mark.parametrize(
    "faults",
    [
        {"drop": -1},
        {"duplicate": 0},
        {"drop": 1.5},
        {"drop": True},
        {"delay": 1},
        {"delay_s": "2"},
        {"reorder": 5000},
        [],
    ],
    ids=str,
)
def test_faults_that_make_no_sense_are_refused(faults: object) -> None:
    with pytest.raises(Refused):
        Faults.of(faults)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"ack_deadline_seconds": 5}, id="short-deadline"),
        pytest.param({"ack_deadline_seconds": 601}, id="long-deadline"),
        pytest.param({"message_retention_duration": {"seconds": 60}}, id="short-retention"),
        pytest.param(
            {"dead_letter_policy": {"dead_letter_topic": DEAD, "max_delivery_attempts": 4}}, id="few-attempts"
        ),
        pytest.param({"retry_policy": {"maximum_backoff": {"seconds": 601}}}, id="long-backoff"),
        pytest.param({"filter": "nonsense"}, id="filter"),
        pytest.param({"push_config": {"push_endpoint": "https://example.com/push"}}, id="push-to-elsewhere"),
        pytest.param({"push_config": {"push_endpoint": "ftp://127.0.0.1/"}}, id="push-by-another-scheme"),
        pytest.param({"topic": "projects/lab/topics/none"}, id="no-such-topic"),
    ],
)
def test_a_subscription_out_of_bounds_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    broker = made(tmp_path)
    with pytest.raises(Refused):
        broker.create_subscription(
            SubscriptionSettings(**{"name": "projects/lab/subscriptions/other", "topic": TOPIC, **fields})
        )
    assert set(broker.subscriptions) == {NAME, DEAD_NAME}


class Deliveries(RuleBasedStateMachine):
    """What holds however calls are mixed: nothing is lost, nothing acknowledged comes again, keys keep their order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 0.0
        self.published: list[tuple[str, str]] = []
        self.acknowledged: set[str] = set()
        self.lent: list[Any] = []
        self.seen: dict[str, list[str]] = {}

    @initialize()
    def start(self) -> None:
        self.broker = made(
            Path(self.folder.name),
            enable_message_ordering=True,
            ack_deadline_seconds=10,
            retry_policy={"minimum_backoff": {"seconds": 1}, "maximum_backoff": {"seconds": 4}},
        )

    @rule(key=st.sampled_from(["", "k", "l"]), count=st.integers(1, 3))
    def publish(self, key: str, count: int) -> None:
        names = [f"{key or 'plain'}-{len(self.published) + i}" for i in range(count)]
        publish(self.broker, *names, now=self.now, key=key)
        self.published += [(name, key) for name in names]

    @rule(limit=st.integers(1, 5))
    def lease(self, limit: int) -> None:
        for received in lease(self.broker, self.now, limit=limit, lease_s=10):
            name, key = received.message.data.decode(), received.message.ordering_key
            assert name not in self.acknowledged
            if key:
                earlier = [other for other, of in self.published if of == key]
                earlier = earlier[: earlier.index(name)]
                lent = {item.message.data.decode() for item in self.lent}
                assert all(other in self.acknowledged or other in lent for other in earlier), f"{name} overtook"
            self.lent = [item for item in self.lent if item.message.data != received.message.data] + [received]

    @rule(which=st.integers(0, 20))
    def acknowledge(self, which: int) -> None:
        if self.lent:
            received = self.lent.pop(which % len(self.lent))
            subscription = self.broker.subscription(NAME)
            held = self.broker.is_lent(subscription, received.ack_id)
            acknowledge(self.broker, [received], self.now)
            if held:
                self.acknowledged.add(received.message.data.decode())
            else:  # the lease had run out: the message is either gone, which is fine, or still to come
                left = [self.broker._message(item).data for item in subscription.backlog.older_than(float("inf"))]
                if received.message.data not in left:
                    self.acknowledged.add(received.message.data.decode())

    @rule(which=st.integers(0, 20))
    def refuse(self, which: int) -> None:
        if self.lent:
            nack(self.broker, [self.lent.pop(which % len(self.lent))], self.now)

    @rule(seconds=st.floats(0.5, 12))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.broker.wake(self.now)

    @rule()
    def restart(self) -> None:
        self.broker = Broker(Store(Path(self.folder.name) / "pubsub.db"), self.now)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "broker"):
            missing = len(self.published) - len(self.acknowledged)
            assert len(self.broker.subscription(NAME).backlog) == missing

    def teardown(self) -> None:
        if hasattr(self, "broker"):
            for _ in range(200):
                received = lease(self.broker, self.now)
                acknowledge(self.broker, received, self.now)
                self.acknowledged |= set(texts(received))
                self.now += 5
                if len(self.acknowledged) == len(self.published):
                    break
            assert self.acknowledged == {name for name, _ in self.published}
        self.folder.cleanup()


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = hypothesis_settings(max_examples=25, stateful_step_count=30, deadline=None)
