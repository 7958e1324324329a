"""What Pub/Sub checks of names and messages: a local cloud that took more would hide a mistake."""

import re
from collections.abc import Mapping

from pointsman_local.pubsub.wire import Refused

__all__ = ["check_message", "check_name", "check_project"]

# https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
_RESOURCE = re.compile(r"projects/([^/]+)/(topics|subscriptions)/([A-Za-z][A-Za-z0-9._~+%-]{2,254})")
_PROJECT = re.compile(r"projects/[^/]+")

# https://cloud.google.com/pubsub/quotas#resource_limits
MESSAGE_BYTES_MAX = 10_000_000
ATTRIBUTES_MAX = 100
ATTRIBUTE_KEY_BYTES_MAX = 256
ATTRIBUTE_VALUE_BYTES_MAX = 1024
ORDERING_KEY_BYTES_MAX = 1024
OF_CLIENTS = "googclient_"
"""Google's own clients put a trace's context under such keys (google-cloud-pubsub, `context_propagation`)."""


def check_name(name: str, collection: str) -> str:
    """`name`, if it is one of `collection` (`topics` or `subscriptions`)."""
    match = _RESOURCE.fullmatch(name)
    if match is None or match[2] != collection or match[3].startswith("goog"):
        raise Refused.invalid(f"Invalid [{collection}] name: (name={name})")
    return name


def check_project(name: str) -> str:
    if not _PROJECT.fullmatch(name):
        raise Refused.invalid(f"Invalid [projects] name: (name={name})")
    return name


def check_message(data: bytes, attributes: Mapping[str, str], ordering_key: str) -> None:
    """Refuse what the service refuses: an empty message, and one past the documented limits."""
    if not data and not attributes:
        raise Refused.invalid("Some messages in the batch are empty: each needs data or attributes.")
    if len(attributes) > ATTRIBUTES_MAX:
        raise Refused.invalid(f"A message has {len(attributes)} attributes, the limit is {ATTRIBUTES_MAX}.")
    size = len(data)
    for key, value in attributes.items():
        key_bytes, value_bytes = len(key.encode()), len(value.encode())
        size += key_bytes + value_bytes
        reserved = key.startswith("goog") and not key.startswith(OF_CLIENTS)
        if not 0 < key_bytes <= ATTRIBUTE_KEY_BYTES_MAX or reserved:
            raise Refused.invalid(f"Invalid attribute key: {key[:64]!r}")
        if value_bytes > ATTRIBUTE_VALUE_BYTES_MAX:
            raise Refused.invalid(f"The value of attribute {key!r} has more than {ATTRIBUTE_VALUE_BYTES_MAX} bytes.")
    if size > MESSAGE_BYTES_MAX:
        raise Refused.invalid(f"A message has {size} bytes, the limit is {MESSAGE_BYTES_MAX}.")
    if len(ordering_key.encode()) > ORDERING_KEY_BYTES_MAX:
        raise Refused.invalid(f"An ordering key has more than {ORDERING_KEY_BYTES_MAX} bytes.")
