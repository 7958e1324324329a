"""Incidents: when one opens and closes, and the JSON that its notification channel is told (schema 1.2)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format

from pointsman_local.monitoring.conditions import Reading, Threshold
from pointsman_local.monitoring.filters import parse
from pointsman_local.monitoring.series import RESOURCE

__all__ = ["Incident", "Watch", "notification"]

PROJECT_NUMBER = 123456789012
SEVERITIES = {"CRITICAL": "Critical", "ERROR": "Error", "WARNING": "Warning"}
AUTO_CLOSE_S = 1800.0
"""Without data for so long an incident closes, unless the policy says otherwise."""


@dataclass(frozen=True, slots=True)
class Incident:
    """An open incident of one condition and group of series. Times are Unix seconds."""

    id: str
    policy: str
    condition: str
    group: str
    metric_labels: Mapping[str, str]
    resource_labels: Mapping[str, str]
    started_at: int
    value: float


@dataclass(slots=True)
class Watch:
    """One condition over time: since when each group has met it, and when each was last seen."""

    met_since: dict[str, float] = field(default_factory=dict)
    seen_at: dict[str, float] = field(default_factory=dict)

    def step(
        self, condition: Threshold, readings: list[Reading], is_open: set[str], now: float, auto_close_s: float
    ) -> tuple[list[Reading], list[tuple[str, float | None]]]:
        """Groups whose incident opens now; groups whose incident closes, with the value that closed it.

        An incident opens once the condition was met without a break for its duration, and closes at the first
        value that does not meet it, or when there was none for `auto_close_s`.
        """
        opening: list[Reading] = []
        closing: list[tuple[str, float | None]] = []
        values = {reading.key: reading for reading in readings}
        for key, reading in values.items():
            self.seen_at[key] = now
            if not condition.is_met(reading.value):
                self.met_since.pop(key, None)
                if key in is_open:
                    closing.append((key, reading.value))
            elif now - self.met_since.setdefault(key, now) >= condition.duration_s and key not in is_open:
                opening.append(reading)
        silent = sorted(is_open - values.keys())
        closing.extend((key, None) for key in silent if now - self.seen_at.setdefault(key, now) >= auto_close_s)
        for key in [key for key in self.seen_at if key not in values and key not in is_open]:
            del self.seen_at[key]
            self.met_since.pop(key, None)
        return opening, closing


def notification(policy: Any, incident: Incident, project: str, *, ended_at: int | None, value: float | None) -> bytes:
    """The message's data: `{"incident": {…}, "version": "1.2"}`; open while `ended_at` is None."""
    condition = next(condition for condition in policy.conditions if condition.name == incident.condition)
    threshold = condition.condition_threshold.threshold_value
    metric_type = _metric_type(condition.condition_threshold.filter)
    resource_labels = dict(incident.resource_labels)
    described = ", ".join(f"{name}={text}" for name, text in sorted(resource_labels.items()))
    resource_name = f"{project} Prometheus Target labels {{{described}}}"
    severity = type(policy).Severity.Name(policy.severity)
    labels = ", ".join(f"{name}={text}" for name, text in sorted(incident.metric_labels.items()))
    seen = incident.value if value is None and ended_at is None else value
    side = "below" if "LT" in json_format.MessageToDict(condition)["conditionThreshold"]["comparison"] else "above"
    happened = (
        f"is {side} the threshold of {threshold:.3f} with a value of {seen or 0.0:.3f}."
        if ended_at is None
        else f"returned to normal with a value of {seen:.3f}."
        if seen is not None
        else "was closed: there was no data."
    )
    body: dict[str, object] = {
        "incident_id": incident.id,
        "scoping_project_id": project,
        "scoping_project_number": PROJECT_NUMBER,
        "url": f"https://console.cloud.google.com/monitoring/alerting/incidents/{incident.id}?project={project}",
        "started_at": incident.started_at,
        "ended_at": ended_at,
        "state": "open" if ended_at is None else "closed",
        "severity": SEVERITIES.get(severity, "No severity"),
        "policy_name": policy.display_name,
        "policy_user_labels": dict(policy.user_labels),
        "condition_name": condition.display_name,
        "condition": json_format.MessageToDict(condition),
        "metric": {
            "type": metric_type,
            "displayName": metric_type.removeprefix("prometheus.googleapis.com/"),
            "labels": dict(incident.metric_labels),
        },
        "resource": {"type": RESOURCE, "labels": resource_labels},
        "metadata": {"system_labels": {}, "user_labels": {}},
        "resource_id": "",
        "resource_name": resource_name,
        "resource_type_display_name": "Prometheus Target",
        "observed_value": "" if seen is None else f"{seen:.3f}",
        "threshold_value": f"{threshold:g}",
        "summary": f"{metric_type.removeprefix('prometheus.googleapis.com/').rpartition('/')[0]} for {resource_name} "
        f"with metric labels {{{labels}}} {happened}",
    }
    if policy.HasField("documentation"):
        body["documentation"] = {
            "content": policy.documentation.content,
            "mime_type": policy.documentation.mime_type or "text/markdown",
            "subject": policy.documentation.subject or f"[ALERT] {policy.display_name}",
        }
    return json.dumps({"incident": body, "version": "1.2"}).encode()


def _metric_type(text: str) -> str:
    return parse(text).metric_type
