"""A group of alerts, as Alertmanager (version 4) and Grafana (version 1) send it: one event an alert.

A group may mix alerts that fire with alerts that are over, hence each one's own status. The same alert is told
again at every repeat interval; its identity is its fingerprint, when it began, and its status.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import cast

from pointsman.core.events import ALERT_FIRED, Event
from pointsman.handlers.webhooks.reading import SUBJECT_MAX, Unreadable, ignored, json_object, text, timestamp

__all__ = ["group"]

LABELS_BYTES_MAX = 2048
SUMMARY_MAX = 500


def group(sender: str, body: bytes, now: datetime) -> Sequence[Event]:
    """One event for each alert of the group; one that says why, where it is none."""
    source = f"//{sender}"
    try:
        payload = json_object(body)
        source = f"//{sender}/{text(payload, 'receiver')}"
        alerts = payload.get("alerts")
        if not isinstance(alerts, list) or not all(isinstance(alert, Mapping) for alert in alerts):
            raise Unreadable("the body has no alerts")
        if not alerts:
            return [ignored(source, None, body, "empty", "a group without alerts", now)]
        return [_alert(source, cast("Mapping[str, object]", alert), now) for alert in alerts]
    except Unreadable as error:
        return [ignored(source, None, body, "unreadable", str(error), now)]


def _alert(source: str, alert: Mapping[str, object], now: datetime) -> Event:
    status, started = text(alert, "status"), text(alert, "startsAt")
    labels = _strings(alert.get("labels"))
    annotations = _strings(alert.get("annotations"))
    fingerprint = str(alert.get("fingerprint") or sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()[:16])
    firing = status == "firing"
    return Event(
        id=f"{fingerprint}/{started}/{status}",
        source=source,
        type=ALERT_FIRED,
        time=timestamp(started if firing else alert.get("endsAt"), now),
        subject=labels.get("alertname", "")[:SUBJECT_MAX],
        data={
            "policy": labels.get("alertname", ""),
            "state": "open" if firing else "closed",
            "severity": labels.get("severity", ""),
            "labels": _fitting(labels),
            "summary": (annotations.get("summary") or annotations.get("description") or "")[:SUMMARY_MAX],
            "started_at": started,
        },
    )


def _strings(value: object) -> dict[str, str]:
    return {str(name): str(item) for name, item in value.items()} if isinstance(value, Mapping) else {}


def _fitting(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels, the shortest first, as far as an event of 4 KiB has room: what selects is short, prose is not."""
    kept: dict[str, str] = {}
    size = 0
    for name, value in sorted(labels.items(), key=lambda item: len(item[0]) + len(item[1])):
        size += len(json.dumps({name: value}))
        if size > LABELS_BYTES_MAX:
            break
        kept[name] = value
    return dict(sorted(kept.items()))
