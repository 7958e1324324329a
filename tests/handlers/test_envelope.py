"""One event is the same event, whatever carried it."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.handlers.fakes import at
from tests.handlers.samples import CARRIED, FOLDER, sample

from pointsman.adapters.pubsub import message_of
from pointsman.core.events import MODEL_REGISTERED, REPO_PUSHED, Event
from pointsman.errors import Invalid
from pointsman.handlers.envelope import MESSAGE_PUBLISHED, UNREADABLE, decode, unreadable

AUDIT = "google.cloud.audit.log.v1.written"
AUDITED = "//cloudaudit.googleapis.com/projects/acme-ml-prod/logs/activity"
ENTRY = "projects/acme-ml-prod/logs/cloudaudit.googleapis.com%2Factivity"
MONITORED = "//monitoring.googleapis.com/acme-ml-prod"
TRANSPORT = "//pubsub.googleapis.com/projects/acme-ml-prod/subscriptions/eventarc-us-central1-alerts-123456-sub-654"
CI = "//github.com/acme-ml/churn-training/actions/runs/1234567890"

# Sample -> source, id, type, attempt. `pubsub-push-unwrapped` has no envelope and is told apart below.
EXPECTED = {
    "ci-model-registered-pubsub-binding-cloudevent": (CI, "churn-scorer/7/d40643a08260cdc1", MODEL_REGISTERED, 1),
    "ci-model-registered-structured": (CI, "churn-scorer/7/d40643a08260cdc1", MODEL_REGISTERED, 1),
    "monitoring-closed-cloudevent": (MONITORED, "0.nabc0v1sglo1/closed", MESSAGE_PUBLISHED, 1),
    "monitoring-logmatch-open-cloudevent": (MONITORED, "0.nabc0v3logm1/open", MESSAGE_PUBLISHED, 1),
    "monitoring-open-cloudevent": (MONITORED, "0.nabc0v1sglo1/open", MESSAGE_PUBLISHED, 1),
    "monitoring-open-cloudevent-structured": (MONITORED, "0.nabc0v1sglo1/open", MESSAGE_PUBLISHED, 1),
    "monitoring-promql-open-cloudevent": (MONITORED, "0.nabc0v2prom1/open", MESSAGE_PUBLISHED, 1),
    "monitoring-test-notification-cloudevent": (
        "//monitoring.googleapis.com/12345",
        "12345/open",
        MESSAGE_PUBLISHED,
        1,
    ),
    "pubsub-attributes-only-cloudevent": (TRANSPORT, "9100000000000006", MESSAGE_PUBLISHED, 1),
    "pubsub-deadletter-cloudevent": (MONITORED, "0.nabc0v1sglo1/open", MESSAGE_PUBLISHED, 1),
    "pubsub-malformed-data-cloudevent": (TRANSPORT, "9100000000000008", MESSAGE_PUBLISHED, 1),
    "pubsub-ordered-cloudevent": (TRANSPORT, "9100000000000007", MESSAGE_PUBLISHED, 1),
    "pubsub-push-raw": (MONITORED, "0.nabc0v1sglo1/open", MESSAGE_PUBLISHED, 2),
    "vertex-merge-version-aliases": (AUDITED, f"{ENTRY}1a2b3c4d5e721795167000123456", AUDIT, 1),
    "vertex-upload-model-failed": (AUDITED, f"{ENTRY}1a2b3c4d5e711795166741123456", AUDIT, 1),
    "vertex-upload-model-first": (AUDITED, f"{ENTRY}1a2b3c4d5e6f1795166411123456", AUDIT, 1),
    "vertex-upload-model-last": (AUDITED, f"{ENTRY}1a2b3c4d5e701795166441123456", AUDIT, 1),
}


@pytest.mark.parametrize("name", CARRIED)
def test_every_sample_has_the_identity_that_lies_inside(name: str) -> None:
    given = sample(name)
    if name == "pubsub-push-unwrapped":
        with pytest.raises(Invalid, match="neither a CloudEvent nor a Pub/Sub envelope"):
            decode(given.headers, given.body)
        return
    event = decode(given.headers, given.body)
    assert (event.source, event.id, event.type, event.attempt) == EXPECTED[name]


def test_an_unwrapped_push_is_found_in_the_ledger_by_its_message() -> None:
    given = sample("pubsub-push-unwrapped")
    event = unreadable(given.headers, given.body, at())
    assert event.type == UNREADABLE
    assert event.source == "//pubsub.googleapis.com/projects/acme-ml-prod/subscriptions/alerts-push"
    assert event.id == "9100000000000001"


@pytest.mark.parametrize(
    "name", ["monitoring-open-cloudevent", "monitoring-open-cloudevent-structured", "pubsub-push-raw"]
)
def test_an_incident_carries_its_own_data_and_the_time_of_its_message(name: str) -> None:
    given = sample(name)
    event = decode(given.headers, given.body)
    assert event.data == json.loads((FOLDER / "monitoring-open.json").read_bytes())
    assert event.time == datetime(2026, 11, 20, 10, 0, 1, 123000, UTC)
    assert event.subject == "churn-scorer p99 latency"


def test_data_that_is_no_json_stays_bytes() -> None:
    given = sample("pubsub-malformed-data-cloudevent")
    assert decode(given.headers, given.body).data == b"\xff\xfenot json"


def test_a_message_without_data_is_an_event_without_data() -> None:
    given = sample("pubsub-attributes-only-cloudevent")
    assert decode(given.headers, given.body).data == b""


PUSH = Event(
    id="7a0c0001-c5d1-11f0-8f6a-3b1e5a2d7c01",
    source="//github.com/acme-ml/model-config",
    type=REPO_PUSHED,
    time=datetime(2026, 11, 20, 10, 0, 1, tzinfo=UTC),
    subject="refs/heads/main@2f22",
    data={"ref": "refs/heads/main", "after": "2f22"},
)


def binary(event: Event) -> tuple[dict[str, str], bytes]:
    headers = {
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-source": event.source,
        "ce-type": event.type,
        "ce-time": event.time.isoformat().replace("+00:00", "Z"),
        "ce-subject": event.subject,
    }
    return headers, json.dumps(event.data).encode()


def structured(event: Event) -> tuple[dict[str, str], bytes]:
    headers, body = binary(event)
    attributes = {name.removeprefix("ce-"): value for name, value in headers.items() if name.startswith("ce-")}
    return {"Content-Type": "application/cloudevents+json; charset=utf-8"}, json.dumps(
        {**attributes, "datacontenttype": "application/json", "data": json.loads(body)}
    ).encode()


def message(attributes: dict[str, str], data: bytes, message_id: str = "77") -> dict[str, object]:
    return {
        "message": {
            "data": base64.b64encode(data).decode(),
            "attributes": {name.lower(): value for name, value in attributes.items()},
            "messageId": message_id,
            "publishTime": "2026-11-22T12:00:00Z",
        },
        "subscription": "projects/p/subscriptions/repo-pushed-on-repo-push",
    }


def raw(event: Event, *, inner: str = "binary") -> tuple[dict[str, str], bytes]:
    envelope = message(*(binary(event) if inner == "binary" else structured(event)))
    return {"Content-Type": "application/json"}, json.dumps({**envelope, "deliveryAttempt": 3}).encode()


def eventarc(event: Event) -> tuple[dict[str, str], bytes]:
    headers = {
        "Content-Type": "application/json",
        "CE-SpecVersion": "1.0",
        "CE-Type": MESSAGE_PUBLISHED,
        "CE-Source": "//pubsub.googleapis.com/projects/p/topics/repo-pushed",
        "CE-Id": "77",
        "CE-Time": "2026-11-22T12:00:00Z",
    }
    return headers, json.dumps(message(*binary(event))).encode()


@pytest.mark.parametrize(
    "request_of",
    [
        pytest.param(binary, id="binary"),
        pytest.param(structured, id="structured"),
        pytest.param(eventarc, id="eventarc"),
        pytest.param(raw, id="our-push-subscription"),
        pytest.param(lambda event: raw(event, inner="structured"), id="structured-in-a-message"),
    ],
)
def test_five_carriers_of_one_event_are_one_event(request_of: object) -> None:
    headers, body = request_of(PUSH)  # type: ignore[operator]
    event = decode(headers, body)
    assert (event.source, event.id, event.type, event.time) == (PUSH.source, PUSH.id, PUSH.type, PUSH.time)
    assert (event.data, event.subject, event.key) == (PUSH.data, PUSH.subject, PUSH.key)


@pytest.mark.parametrize(
    "event",
    [
        PUSH,
        replace(PUSH, data=b"\xff\xfe"),
        replace(PUSH, data={}, subject="", time=datetime(2026, 11, 20, 10, 0, 1, 123456, UTC)),
        replace(PUSH, subject="refs/heads/grün@2f22", data={"pusher": "Ärzte"}),
    ],
)
def test_what_our_bus_publishes_arrives_as_it_was(event: Event) -> None:
    data, attributes = message_of(event)
    envelope = json.dumps(message(attributes, data)).encode()
    assert decode({"Content-Type": "application/json"}, envelope) == event


def test_the_envelope_tells_which_attempt_it_is() -> None:
    assert decode(*raw(PUSH)).attempt == 3


def test_an_event_that_tells_no_time_has_its_messages() -> None:
    headers, body = binary(PUSH)
    del headers["ce-time"]
    assert decode({}, json.dumps(message(headers, body)).encode()).time == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    assert decode(headers, body).time == datetime.fromtimestamp(0, UTC)


def test_a_message_published_twice_is_two_events_only_without_an_identity_inside() -> None:
    anonymous = [decode({}, json.dumps(message({}, b'{"kind": "tick"}', number)).encode()) for number in ("1", "2")]
    assert anonymous[0].key != anonymous[1].key
    ours = [decode({}, json.dumps(message(*binary(PUSH), number)).encode()) for number in ("1", "2")]
    assert ours[0].key == ours[1].key


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({}, b"", id="nothing"),
        pytest.param({}, b"[" * 100_000, id="too-deep"),
        pytest.param(
            {"ce-specversion": "9.9", "ce-id": "1", "ce-source": "s", "ce-type": "t"}, b"{}", id="version-9.9"
        ),
        pytest.param({"ce-specversion": "1.0", "ce-source": "s", "ce-type": "t"}, b"{}", id="no-id"),
        pytest.param({"content-type": "application/cloudevents+json"}, b"{", id="structured-but-no-json"),
        pytest.param({"content-type": "application/cloudevents+json"}, b"[]", id="structured-but-a-list"),
        pytest.param(
            {"content-type": "application/cloudevents+json"},
            b'{"specversion": "1.0", "id": 7, "source": "s", "type": "t"}',
            id="id-is-a-number",
        ),
        pytest.param({"content-type": "application/cloudevents-batch+json"}, b"[]", id="batch"),
        pytest.param({}, b'{"message": {"data": "e30="}}', id="envelope-without-message-id"),
        pytest.param({}, b'{"message": {"data": "&&", "messageId": "1"}}', id="not-base64"),
    ],
)
def test_what_carries_no_event_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Invalid):
        decode(headers, body)


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=30), max_size=4), st.binary(max_size=200))
def test_no_request_breaks_the_decoder(headers: dict[str, str], body: bytes) -> None:
    try:
        event = decode(headers, body)
    except Invalid:
        event = unreadable(headers, body, at())
    assert len(event.key) == 32
