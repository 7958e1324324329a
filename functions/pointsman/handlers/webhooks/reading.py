"""A verified body, read: the fields that are needed, or the event that says why it is none of ours."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import cast

from pointsman.core.events import WEBHOOK_IGNORED, Event

__all__ = ["SUBJECT_MAX", "Unreadable", "ignored", "json_object", "mapping", "text", "timestamp"]

SUBJECT_MAX = 256


class Unreadable(Exception):
    """A verified body that is not what its sender documents."""


def json_object(body: bytes | str) -> Mapping[str, object]:
    """Raises Unreadable for anything but a JSON object, however deep."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the body is not JSON") from error
    if not isinstance(value, dict):
        raise Unreadable("the body is no JSON object")
    return cast("Mapping[str, object]", value)


def mapping(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    """An object in `value`. Raises Unreadable when it is none."""
    item = value.get(name)
    if not isinstance(item, Mapping):
        raise Unreadable(f"the body has no {name}")
    return cast("Mapping[str, object]", item)


def text(value: Mapping[str, object], name: str) -> str:
    """A string in `value` that is not empty. Raises Unreadable when it is none."""
    item = value.get(name)
    if not isinstance(item, str) or not item:
        raise Unreadable(f"the body has no {name}")
    return item


def timestamp(value: object, otherwise: datetime) -> datetime:
    """An RFC 3339 time with a zone, or `otherwise`."""
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return otherwise
    return time if time.tzinfo else otherwise


def ignored(source: str, delivery: str | None, body: bytes, kind: str, reason: str, now: datetime) -> Event:
    """A verified call that is no event of ours, published so that `pointsman events list` shows it."""
    return Event(
        id=delivery or sha256(body).hexdigest(),
        source=source,
        type=WEBHOOK_IGNORED,
        time=now,
        subject=kind[:SUBJECT_MAX],
        data={"kind": kind[:SUBJECT_MAX], "reason": reason},
    )
