"""An alert, whoever sent it: Cloud Monitoring's incident, or our event of Alertmanager's or Grafana's alert."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from pointsman.core.events import ALERT_FIRED, Event
from pointsman.documents.alert import AlertRule
from pointsman.errors import Invalid

__all__ = ["Alert", "alert_of", "matches"]


@dataclass(frozen=True, slots=True)
class Alert:
    """What rules are matched against. `policies` are the names by which it may be called.

    `state` is `open` or `closed`, in lower case; closed does not mean healthy, since an incident is closed too when
    its data stop. `labels` are the policy's own, then the metric's and the resource's, the earlier ones first.
    """

    policies: tuple[str, ...]
    state: str
    severity: str
    labels: Mapping[str, str]
    summary: str
    started_at: datetime
    test: bool = False
    closing: str | None = field(default=None)
    """The id that the same alert's close has."""


def alert_of(event: Event) -> Alert:
    """The alert in an event. Raises Invalid when there is none."""
    if event.type == ALERT_FIRED:
        return _of_ours(event)
    data = event.data
    incident = data.get("incident") if isinstance(data, Mapping) else None
    if not isinstance(incident, Mapping) or not isinstance(incident.get("state"), str):
        raise Invalid("the event is no alert", where=f"{event.type} {event.id}")
    return _of_incident(
        event, cast("Mapping[str, object]", incident), str(cast("Mapping[str, object]", data).get("version"))
    )


def matches(rule: AlertRule, alert: Alert) -> bool:
    """Whether the rule is about this alert: by name, labels and severity, as far as it says."""
    wanted = rule.spec.alert
    if wanted.name is not None and wanted.name not in alert.policies:
        return False
    if wanted.selector is not None and not wanted.selector.matches(dict(alert.labels)):
        return False
    severities = {severity.casefold() for severity in wanted.severities or ()}
    return wanted.severities is None or alert.severity.casefold() in severities


def _of_ours(event: Event) -> Alert:
    data = event.fields()
    if data.get("state") not in ("open", "closed"):
        raise Invalid("the alert has no state", where=event.id)
    stem, _, status = event.id.rpartition("/")
    return Alert(
        policies=(str(data.get("policy") or ""),),
        state=str(data["state"]),
        severity=str(data.get("severity") or ""),
        labels=_strings(data.get("labels")),
        summary=str(data.get("summary") or ""),
        started_at=_time(data.get("started_at"), event.time),
        closing=f"{stem}/resolved" if status == "firing" else None,
    )


def _of_incident(event: Event, incident: Mapping[str, object], version: str) -> Alert:
    state = str(incident["state"]).casefold()
    condition = incident.get("condition")
    path = str(condition.get("name") or "") if isinstance(condition, Mapping) else ""
    name = path.partition("/conditions/")[0]
    policies = (str(incident.get("policy_name") or ""), name)
    labels: dict[str, str] = {}
    for part in ("resource", "metric"):
        inner = incident.get(part)
        labels |= _strings(inner.get("labels") if isinstance(inner, Mapping) else None)
    return Alert(
        policies=tuple(policy for policy in policies if policy),
        state=state,
        severity=str(incident.get("severity") or ""),
        labels={**labels, **_strings(incident.get("policy_user_labels"))},
        summary=str(incident.get("summary") or ""),
        started_at=_time(incident.get("started_at"), event.time),
        test=version.casefold() == "test",
        closing=f"{incident.get('incident_id')}/closed" if state == "open" else None,
    )


def _strings(value: object) -> dict[str, str]:
    return {str(name): str(item) for name, item in value.items()} if isinstance(value, Mapping) else {}


def _time(value: object, otherwise: datetime) -> datetime:
    """Unix seconds, as a number or as text, or RFC 3339; else when the event was sent."""
    try:
        seconds = float(str(value))
    except ValueError:
        return _rfc3339(str(value), otherwise)
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 1e11 else otherwise


def _rfc3339(text: str, otherwise: datetime) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return time.astimezone(UTC) if time.tzinfo else otherwise
