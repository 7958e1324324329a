"""Series that make an alert policy fire, and how they come to an incident: the local Monitoring without servers."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dashboards.playing import policy_of
from google.cloud import monitoring_v3 as v3

from pointsman_local.monitoring.alerts import Alerts
from pointsman_local.monitoring.database import Database
from pointsman_local.monitoring.exposition import Histogram
from pointsman_local.monitoring.series import Reading, Store

__all__ = ["ALERTS", "BOUNDS", "Cloud", "bucket", "counter", "documents", "gauge", "logged"]

ALERTS = Path(__file__).resolve().parents[2] / "dashboards" / "alerts"
TOPIC = "projects/acme/topics/alert-fired"
STEP_S = 5.0
KEPT_S = 6 * 3600.0
BOUNDS = (50.0, 100.0, 200.0, 400.0, 800.0, 1600.0)

Series = Callable[[float], Reading]
"""The reading of one series so many seconds after the beginning."""


def documents() -> Mapping[str, Mapping[str, Any]]:
    """Every policy's document, by its name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted(ALERTS.glob("*.yaml"))}


def counter(metric: str, resource_type: str, labels: Mapping[str, str], at: Callable[[float], float]) -> Series:
    resource = {name: value for name, value in labels.items() if name.endswith(("_id", "_name"))}
    own = {name: value for name, value in labels.items() if name not in resource}
    return lambda seconds: Reading(metric, resource_type, True, at(seconds), resource, own)


def gauge(metric: str, resource_type: str, labels: Mapping[str, str], at: Callable[[float], float]) -> Series:
    resource = {name: value for name, value in labels.items() if name.endswith("_name")}
    own = {name: value for name, value in labels.items() if name not in resource}
    return lambda seconds: Reading(metric, resource_type, False, at(seconds), resource, own)


def bucket(
    metric: str,
    resource_type: str,
    labels: Mapping[str, str],
    at: Callable[[float], Sequence[int]],
    bounds: Sequence[float] = BOUNDS,
) -> Series:
    """A distribution: `at` gives how many lie in each bucket, one more than there are bounds."""
    resource = {name: value for name, value in labels.items() if name.endswith(("_id", "_name"))}
    own = {name: value for name, value in labels.items() if name not in resource}

    def reading(seconds: float) -> Reading:
        counts = tuple(at(seconds))
        return Reading(metric, resource_type, True, Histogram(tuple(bounds), counts, float(sum(counts))), resource, own)

    return reading


def logged(name: str, labels: Mapping[str, str], at: Callable[[float], float]) -> Series:
    """A counter that is made of the log."""
    return counter(f"logging.googleapis.com/user/pointsman/{name}", "cloud_run_revision", labels, at)


@dataclass
class Cloud:
    """One policy at work on some series. `seconds` is how long the world has run."""

    folder: Path
    policy: str
    series: Sequence[Series]
    seconds: float = 0.0

    BEGAN = 1_790_000_000.0

    def __post_init__(self) -> None:
        self.store = Store(self.BEGAN, kept_s=KEPT_S)
        self.database = Database(self.folder / "monitoring.sqlite")
        self.alerts = Alerts("acme", self.database, self.store)
        channel = self.alerts.create_channel(
            v3.NotificationChannel.pb(v3.NotificationChannel({"type_": "pubsub", "labels": {"topic": TOPIC}}))
        )
        made = v3.AlertPolicy.pb(policy_of(documents()[self.policy]))
        made.notification_channels.append(channel.name)
        self.alerts.create_policy(made)

    def run(self, seconds: float, step_s: float = STEP_S) -> list[dict[str, Any]]:
        """Let time pass; what the topic was told, as messages."""
        end = self.seconds + seconds
        while self.seconds < end:
            self.seconds += step_s
            now = self.BEGAN + self.seconds
            for series in self.series:
                # What a counter has at first was counted long ago.
                self.store.put(series(self.seconds), now, 0.0)
            self.alerts.evaluate(now)
        told = []
        for number, topic, data in self.database.unsent():
            assert topic == TOPIC
            told.append(json.loads(data))
            self.database.sent(number)
        return told
