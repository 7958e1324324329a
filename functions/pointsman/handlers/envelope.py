"""One event, whatever carried it: a CloudEvent, a Pub/Sub push envelope, or one inside the other.

Identity comes from inside, never from the carrier: a message that is published twice is one event. The
decoder is ours because the framework's own loses `deliveryAttempt`, refuses a message without data, and
hides an event that travels inside a message ("CloudEvents - Pub/Sub protocol binding" in google-cloudevents).
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import cast

from cloudevents.exceptions import GenericException
from cloudevents.http import from_http

from pointsman.core.events import Event
from pointsman.core.traces import CARRIED
from pointsman.errors import Invalid

__all__ = ["MESSAGE_PUBLISHED", "UNREADABLE", "decode", "unreadable"]

MESSAGE_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
UNREADABLE = "dev.pointsman.unreadable.v1"
"""Never published: how the ledger lists a request that carried no event."""

STRUCTURED = "application/cloudevents"
EPOCH = datetime.fromtimestamp(0, UTC)


def decode(headers: Mapping[str, str], body: bytes) -> Event:
    """The event in a request. An event that tells no time has its message's, or else the Unix epoch.

    Raises Invalid when the request carries neither a CloudEvent nor a Pub/Sub envelope.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    envelope = _json(body)
    if "ce-specversion" in lower or lower.get("content-type", "").startswith(STRUCTURED):
        try:
            event = _cloud_event(lower, body, EPOCH)
        except Invalid:
            if _message(envelope) is None:
                raise
        else:
            if event.type != MESSAGE_PUBLISHED:
                return event
            envelope = event.data
    if (message := _message(envelope)) is not None:
        return _opened(cast("Mapping[str, object]", envelope), message)
    raise Invalid(
        "the request carries neither a CloudEvent nor a Pub/Sub envelope",
        remedy="switch payload unwrapping off on the push subscription",
    )


def unreadable(headers: Mapping[str, str], body: bytes, now: datetime) -> Event:
    """What stands in the ledger for a request that `decode` refused, so that people can find it."""
    lower = {name.lower(): value for name, value in headers.items()}
    subscription = lower.get("x-goog-pubsub-subscription-name", "")
    return Event(
        id=lower.get("x-goog-pubsub-message-id") or sha256(body).hexdigest(),
        source=f"//pubsub.googleapis.com/{subscription}" if subscription else "//pointsman/unreadable",
        type=UNREADABLE,
        time=now,
        subject="",
        data=body,
    )


def _message(envelope: object) -> Mapping[str, object] | None:
    """The message of a push envelope; None when it is no envelope."""
    message = envelope.get("message") if isinstance(envelope, Mapping) else None
    if not isinstance(message, Mapping) or not (message.get("messageId") or message.get("message_id")):
        return None
    return cast("Mapping[str, object]", message)


def _opened(envelope: Mapping[str, object], message: Mapping[str, object]) -> Event:
    attempt = envelope.get("deliveryAttempt")
    attempt = attempt if isinstance(attempt, int) and attempt > 0 else 1
    published = _time(message.get("publishTime") or message.get("publish_time"), EPOCH)
    try:
        data = base64.b64decode(str(message.get("data") or ""), validate=True)
    except binascii.Error as error:
        raise Invalid("the envelope's data is not base64") from error
    attributes = message.get("attributes")
    inner = (
        {str(name).lower(): str(value) for name, value in attributes.items()} if isinstance(attributes, Mapping) else {}
    )
    if "ce-specversion" in inner or inner.get("content-type", "").startswith(STRUCTURED):
        try:
            event = _cloud_event(inner, data, published)
        except Invalid:
            pass  # somebody else's idea of a CloudEvent: an ordinary message
        else:
            return replace(event, attempt=attempt, traceparent=inner.get(CARRIED, ""))
    payload = _json(data)
    payload = data if payload is None else payload
    event = _incident(payload, published) or Event(
        id=str(message.get("messageId") or message.get("message_id")),
        source=f"//pubsub.googleapis.com/{envelope.get('subscription') or ''}",
        type=MESSAGE_PUBLISHED,
        time=published,
        subject="",
        data=payload,
    )
    return replace(event, attempt=attempt, traceparent=inner.get(CARRIED, ""))


def _incident(payload: object, published: datetime) -> Event | None:
    """Cloud Monitoring's notification, which repeats itself in new messages: same incident and state, same event."""
    incident = payload.get("incident") if isinstance(payload, Mapping) else None
    if (
        not isinstance(incident, Mapping)
        or not incident.get("incident_id")
        or not isinstance(incident.get("state"), str)
    ):
        return None
    return Event(
        id=f"{incident['incident_id']}/{incident['state'].casefold()}",
        source=f"//monitoring.googleapis.com/{incident.get('scoping_project_id') or ''}",
        type=MESSAGE_PUBLISHED,
        time=published,
        subject=str(incident.get("policy_name") or ""),
        data=payload,
    )


def _cloud_event(headers: Mapping[str, str], body: bytes, otherwise: datetime) -> Event:
    if headers.get("content-type", "").startswith(f"{STRUCTURED}-batch"):
        raise Invalid("a batch of CloudEvents", remedy="send one event in a request")
    try:
        parsed = from_http(dict(headers), body, data_unmarshaller=_payload)
        attributes = parsed.get_attributes()
    except (GenericException, ValueError, RecursionError, AttributeError, TypeError) as error:
        # The library checks neither that the body is an object nor what its attributes hold.
        raise Invalid("not a CloudEvent", remedy="see the CloudEvents 1.0 HTTP binding") from error
    if not all(isinstance(attributes[name], str) and attributes[name] for name in ("id", "source", "type")):
        raise Invalid("a CloudEvent without id, source or type")
    # The library puts the present time where there is none; an event must not change by being read again.
    told = headers.get("ce-time") if "ce-specversion" in headers else _told(body)
    return Event(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        time=_time(told, otherwise),
        subject=str(attributes.get("subject") or ""),
        data=parsed.get_data(),
    )


def _told(body: bytes) -> object:
    event = _json(body)
    return event.get("time") if isinstance(event, Mapping) else None


def _payload(raw: str | bytes) -> object:
    data = raw.encode() if isinstance(raw, str) else bytes(raw)
    value = _json(data)
    return data if value is None and data.strip() != b"null" else value


def _json(data: bytes) -> object:
    """The JSON value in `data`; None where there is none. Deep nesting is no JSON of ours."""
    try:
        return cast("object", json.loads(data))
    except (ValueError, RecursionError):
        return None


def _time(value: object, otherwise: datetime) -> datetime:
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return otherwise
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
