"""Grafana alerting: a bearer token, or since 12.0 an HMAC of the body ("Webhook notifier" in its docs).

The HMAC covers `<timestamp>:<body>` where a timestamp header is configured; its name is free, and here it is
the signature's with `-Timestamp`. A call that is signed must be signed rightly, whatever token it bears.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pointsman.core.events import Event
from pointsman.handlers.webhooks.alerts import group
from pointsman.handlers.webhooks.signatures import bearer, equals_any, hmac_hex, timely

__all__ = ["TOPIC", "events", "verified"]

TOPIC = "alert-fired"
SIGNATURE = "x-grafana-alerting-signature"
STAMP = f"{SIGNATURE}-timestamp"
WINDOW_S = 300


def verified(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    if SIGNATURE not in headers:
        return equals_any([bearer(headers)], [secret.encode() for secret in secrets])
    stamp = headers.get(STAMP)
    signed = body if stamp is None else f"{stamp}:".encode("utf-8", "surrogateescape") + body
    matches = equals_any([headers[SIGNATURE]], [hmac_hex(secret.encode(), signed) for secret in secrets])
    return matches and (stamp is None or timely(stamp, now, WINDOW_S))


def events(headers: Mapping[str, str], body: bytes, now: datetime) -> Sequence[Event]:
    return group("grafana", body, now)
