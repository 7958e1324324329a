"""Prometheus Alertmanager, which signs nothing: its secret is a bearer token (`http_config.authorization`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pointsman.core.events import Event
from pointsman.handlers.webhooks.alerts import group
from pointsman.handlers.webhooks.signatures import bearer, equals_any

__all__ = ["TOPIC", "events", "verified"]

TOPIC = "alert-fired"


def verified(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    return equals_any([bearer(headers)], [secret.encode() for secret in secrets])


def events(headers: Mapping[str, str], body: bytes, now: datetime) -> Sequence[Event]:
    return group("alertmanager", body, now)
