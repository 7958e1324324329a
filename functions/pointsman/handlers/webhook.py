"""The public door: verify first, on the raw bytes; publish a few fields; answer. Nothing else is open.

Senders wait ten seconds and some never repeat, so nothing is decided here. What is verified but no event of
ours is published too, as `webhook.ignored`, since there is no ledger here and people look there.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import ModuleType
from typing import Protocol, cast

from pointsman.core.events import Event
from pointsman.errors import PointsmanError
from pointsman.handlers.delivery import RETRY_AFTER_S, Answer
from pointsman.handlers.webhooks import alertmanager, github, gitlab, grafana, mlflow
from pointsman.handlers.webhooks.reading import ignored
from pointsman.ports import Bus, Log

__all__ = ["BODY_BYTES_MAX", "receive"]

BODY_BYTES_MAX = 25 * 1024 * 1024
"""GitHub's and GitLab's own limit for a payload."""
DATA_BYTES_MAX = 4096
PREFIX = "/webhooks/"
SENDERS: Mapping[str, ModuleType] = {
    module.__name__.rsplit(".", 1)[-1]: module for module in (github, gitlab, mlflow, alertmanager, grafana)
}


class _Sender(Protocol):
    TOPIC: str

    def verified(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool: ...

    def events(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Sequence[Event]: ...


def receive(
    method: str,
    path: str,
    headers: Mapping[str, str],
    read: Callable[[int], bytes],
    *,
    secrets: Callable[[], Mapping[str, Sequence[str]]],
    bus: Callable[[], Bus],
    now: datetime,
    log: Log,
) -> Answer:
    """Answer one call: 202 published, 401 unverified, 404, 405, 413 over 25 MB, 503 when publishing failed.

    `read(n)` gives at most `n` more bytes of the body, none at its end, and is not called for a body that says it is
    larger than the limit. `bus` is asked for only once a call is verified: strangers cost no client.
    """
    name = path.removeprefix(PREFIX)
    if not path.startswith(PREFIX) or name not in SENDERS:
        return "", 404, {}
    if method != "POST":
        return "", 405, {"Allow": "POST"}
    lower = {key.lower(): value for key, value in headers.items()}
    length = lower.get("content-length", "")
    if length.isdigit() and int(length) > BODY_BYTES_MAX:
        return "", 413, {"Connection": "close"}
    body = _all_of(read)
    if body is None:
        return "", 413, {"Connection": "close"}
    sender = cast("_Sender", SENDERS[name])
    try:
        # An empty secret would verify what anybody can sign.
        known = [secret for secret in secrets().get(name, ()) if secret]
        if not sender.verified(lower, body, known, now):
            log("webhook-refused", severity="WARNING", sender=name)
            return "", 401, {}
        for event in sender.events(lower, body, now):
            published = _small(event, body, now)
            bus().publish(sender.TOPIC, published)
            about = {"trace": published.key, "key": published.key, "type": published.type, "id": published.id}
            log("webhook-published", sender=name, topic=sender.TOPIC, **about)
    except PointsmanError as error:
        # Denied and the like are ours to mend, not the sender's: it must come again, and is told nothing.
        log("webhook-unpublished", severity="ERROR", sender=name, code=error.code, reason=str(error))
        return "", 503, {"Retry-After": str(RETRY_AFTER_S)}
    return "", 202, {}


def _all_of(read: Callable[[int], bytes]) -> bytes | None:
    """The whole body; None when it is over the limit, of which no more than a byte is read."""
    parts: list[bytes] = []
    room = BODY_BYTES_MAX + 1
    while room and (part := read(room)):
        parts.append(part)
        room -= len(part)
    return b"".join(parts) if room else None


def _small(event: Event, body: bytes, now: datetime) -> Event:
    """An event is a few fields; one that is not is told of instead."""
    if len(json.dumps(event.data).encode()) <= DATA_BYTES_MAX:
        return event
    return ignored(event.source, event.id, body, "too_large", f"its fields exceed {DATA_BYTES_MAX} bytes", now)
