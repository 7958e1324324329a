"""Incidents: when one opens and closes, and the JSON that its notification channel is told (schema 1.2)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format

from pointsman_local.monitoring.conditions import Condition, Reading
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
        self, condition: Condition, readings: list[Reading], is_open: set[str], now: float, auto_close_s: float
    ) -> tuple[list[Reading], list[tuple[str, float | None]]]:
        """Groups whose incident opens now; groups whose incident closes, with the value that closed it.

        An incident opens once the condition was met without a break for its duration, and closes at the first
        value that does not meet it, or when there was none for `auto_close_s`; a query's, when it is not answered.
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
        patience_s = 0.0 if condition.silence_ends else auto_close_s
        closing.extend((key, None) for key in silent if now - self.seen_at.setdefault(key, now) >= patience_s)
        for key in [key for key in self.seen_at if key not in values and key not in is_open]:
            del self.seen_at[key]
            self.met_since.pop(key, None)
        return opening, closing


def notification(policy: Any, incident: Incident, project: str, *, ended_at: int | None, value: float | None) -> bytes:
    """The message's data: `{"incident": {…}, "version": "1.2"}`; open while `ended_at` is None."""
    condition = next(condition for condition in policy.conditions if condition.name == incident.condition)
    severity = type(policy).Severity.Name(policy.severity)
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
        "metadata": {"system_labels": {}, "user_labels": {}},
        "resource_id": "",
    }
    seen = incident.value if value is None and ended_at is None else value
    if condition.WhichOneof("condition") == "condition_threshold":
        body |= _of_threshold(condition, incident, project, seen, over=ended_at is not None)
    else:
        body |= _of_query(policy, incident, over=ended_at is not None)
    if policy.HasField("documentation"):
        body["documentation"] = {
            "content": policy.documentation.content,
            "mime_type": policy.documentation.mime_type or "text/markdown",
            "subject": policy.documentation.subject or f"[ALERT] {policy.display_name}",
        }
    return json.dumps({"incident": body, "version": "1.2"}).encode()


def _of_threshold(
    condition: Any, incident: Incident, project: str, seen: float | None, *, over: bool
) -> dict[str, object]:
    threshold = condition.condition_threshold.threshold_value
    chosen = parse(condition.condition_threshold.filter)
    called = chosen.metric_type.removeprefix("prometheus.googleapis.com/")
    resource_labels = dict(incident.resource_labels)
    described = ", ".join(f"{name}={text}" for name, text in sorted(resource_labels.items()))
    resource_name = f"{project} Prometheus Target labels {{{described}}}"
    labels = ", ".join(f"{name}={text}" for name, text in sorted(incident.metric_labels.items()))
    side = "below" if "LT" in json_format.MessageToDict(condition)["conditionThreshold"]["comparison"] else "above"
    happened = (
        f"is {side} the threshold of {threshold:.3f} with a value of {seen or 0.0:.3f}."
        if not over
        else f"returned to normal with a value of {seen:.3f}."
        if seen is not None
        else "was closed: there was no data."
    )
    return {
        "metric": {"type": chosen.metric_type, "displayName": called, "labels": dict(incident.metric_labels)},
        "resource": {"type": chosen.resource_type or RESOURCE, "labels": resource_labels},
        "resource_name": resource_name,
        "resource_type_display_name": "Prometheus Target",
        "observed_value": "" if seen is None else f"{seen:.3f}",
        "threshold_value": f"{threshold:g}",
        "summary": f"{called.rpartition('/')[0]} for {resource_name} with metric labels {{{labels}}} {happened}",
    }


def _of_query(policy: Any, incident: Incident, *, over: bool) -> dict[str, object]:
    """A query names no metric and no resource: the labels of its answer are all that is known."""
    labels = ", ".join(f"{name}={text}" for name, text in sorted(incident.metric_labels.items()))
    met = "no longer met" if over else "met"
    return {
        "metric": {"type": "", "displayName": "", "labels": dict(incident.metric_labels)},
        "resource": {"type": "", "labels": {}},
        "resource_name": "",
        "resource_type_display_name": "",
        "summary": f"PromQL condition {met} for {policy.display_name}"
        + (f" with labels {{{labels}}}" if labels else ""),
    }
