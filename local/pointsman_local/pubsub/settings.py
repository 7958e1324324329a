"""Topics and subscriptions as they may be asked for: defaults filled in, bounds checked, the rest refused by name."""

import ipaddress
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from pointsman_local.pubsub import filters
from pointsman_local.pubsub.names import check_name
from pointsman_local.pubsub.wire import Refused

__all__ = ["check_push", "check_subscription", "check_topic", "merge", "seconds"]

# https://cloud.google.com/pubsub/docs/subscription-properties
ACK_DEADLINE_S = (10, 600)
RETENTION_S = (600, 31 * 86400)
BACKOFF_S = (0, 600)
ATTEMPTS = (5, 100)

_UNSERVED_OF_TOPIC = ("schema_settings", "ingestion_data_source_settings", "message_transforms", "kms_key_name")
_UNSERVED_OF_SUBSCRIPTION = (
    "bigquery_config",
    "cloud_storage_config",
    "bigtable_config",
    "enable_exactly_once_delivery",
    "message_transforms",
)
_MUTABLE = (
    "push_config",
    "ack_deadline_seconds",
    "retain_acked_messages",
    "message_retention_duration",
    "labels",
    "expiration_policy",
    "dead_letter_policy",
    "retry_policy",
)


def seconds(duration: Any) -> float:
    """A protobuf Duration."""
    span: timedelta = duration.ToTimedelta()
    return span.total_seconds()


def check_topic(topic: Any) -> None:
    check_name(topic.name, "topics")
    _refuse_unserved(topic, _UNSERVED_OF_TOPIC, "Topic")


def check_subscription(subscription: Any) -> None:
    """Fill in the service's defaults in place. Raises Refused."""
    check_name(subscription.name, "subscriptions")
    _refuse_unserved(subscription, _UNSERVED_OF_SUBSCRIPTION, "Subscription")
    subscription.ack_deadline_seconds = subscription.ack_deadline_seconds or ACK_DEADLINE_S[0]
    _within("ack_deadline_seconds", subscription.ack_deadline_seconds, ACK_DEADLINE_S)
    if not subscription.HasField("message_retention_duration"):
        subscription.message_retention_duration.FromSeconds(7 * 86400)
    _within("message_retention_duration", seconds(subscription.message_retention_duration), RETENTION_S)
    if not subscription.HasField("expiration_policy"):
        subscription.expiration_policy.ttl.FromSeconds(31 * 86400)
    if subscription.HasField("retry_policy"):
        policy = subscription.retry_policy
        if not policy.HasField("minimum_backoff"):
            policy.minimum_backoff.FromSeconds(10)
        if not policy.HasField("maximum_backoff"):
            policy.maximum_backoff.FromSeconds(600)
        _within("minimum_backoff", seconds(policy.minimum_backoff), BACKOFF_S)
        _within("maximum_backoff", seconds(policy.maximum_backoff), BACKOFF_S)
        if seconds(policy.minimum_backoff) > seconds(policy.maximum_backoff):
            raise Refused.invalid("minimum_backoff is more than maximum_backoff")
    if subscription.HasField("dead_letter_policy"):
        policy = subscription.dead_letter_policy
        check_name(policy.dead_letter_topic, "topics")
        policy.max_delivery_attempts = policy.max_delivery_attempts or ATTEMPTS[0]
        _within("max_delivery_attempts", policy.max_delivery_attempts, ATTEMPTS)
    filters.parse(subscription.filter)
    check_push(subscription.push_config)


def check_push(push: Any) -> None:
    """Raises Refused for a push endpoint that is elsewhere: nothing leaves this machine."""
    if push.HasField("no_wrapper"):
        raise Refused.unserved("PushConfig.no_wrapper")
    if not push.push_endpoint:
        return
    parts = urlsplit(push.push_endpoint)
    try:
        loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = False
    if parts.scheme not in ("http", "https") or not loopback:
        raise Refused.invalid(f"push_endpoint {push.push_endpoint!r} is not on the loopback interface")


def merge(current: Any, changed: Any, paths: Sequence[str]) -> Any:
    """A copy of `current` with `paths` as in `changed`. Raises Refused for a field that cannot be changed."""
    merged = type(current)()
    merged.CopyFrom(current)
    if not paths:
        raise Refused.invalid("The update_mask in the UpdateSubscriptionRequest must be set, and must be non-empty.")
    for path in paths:
        field = path.split(".")[0]
        if field not in _MUTABLE:
            raise Refused.invalid(
                "Invalid update_mask provided in the UpdateSubscriptionRequest: "
                f"the '{field}' field in the Subscription is not mutable."
            )
        merged.ClearField(field)
        part = type(current)()
        part.CopyFrom(changed)
        for other, _ in changed.ListFields():
            if other.name != field:
                part.ClearField(other.name)
        merged.MergeFrom(part)
    return merged


def _refuse_unserved(message: Any, fields: Sequence[str], kind: str) -> None:
    for field, _ in message.ListFields():
        if field.name in fields:
            raise Refused.unserved(f"{kind}.{field.name}")


def _within(name: str, value: float, bounds: tuple[float, float]) -> None:
    if not bounds[0] <= value <= bounds[1]:
        raise Refused.invalid(f"{name} is {value:g}, expected {bounds[0]:g} to {bounds[1]:g}")
