"""When incidents open and close, and what the topic is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.cloud import monitoring_v3 as v3

from pointsman_local.monitoring.alerts import Alerts
from pointsman_local.monitoring.conditions import conditions_of
from pointsman_local.monitoring.database import Database
from pointsman_local.monitoring.exposition import Sample
from pointsman_local.monitoring.incidents import Watch
from pointsman_local.monitoring.series import Store
from pointsman_local.monitoring.wire import Refused

EVENTS = Path(__file__).parents[1] / "events"
RESOURCE = {"project_id": "lab", "cluster": "c1", "namespace": "gateway"}
RATE = 'resource.type = "prometheus_target" AND metric.type = "prometheus.googleapis.com/requests_total/counter"'
TOPIC = "projects/lab/topics/alert-fired"


def policy(**threshold: Any) -> Any:
    condition = {
        "filter": RATE,
        "aggregations": [
            {
                "alignment_period": {"seconds": 4},
                "per_series_aligner": "ALIGN_RATE",
                "cross_series_reducer": "REDUCE_SUM",
                "group_by_fields": ["metric.label.service", "resource.label.cluster"],
            }
        ],
        "comparison": "COMPARISON_GT",
        "threshold_value": 100.0,
        "duration": {"seconds": 5},
        "trigger": {"count": 1},
        **threshold,
    }
    return v3.AlertPolicy.pb(
        v3.AlertPolicy(
            {
                "display_name": "digits load",
                "combiner": "OR",
                "severity": "WARNING",
                "user_labels": {"pointsman_service": "digits"},
                "documentation": {"content": "pointsman: more nodes", "mime_type": "text/markdown"},
                "conditions": [{"display_name": "over 100/s", "condition_threshold": condition}],
            }
        )
    )


class Cloud:
    """Monitoring without its servers: a second a round."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.now = 1000.0
        self.count = {"digits": 0.0}
        self.store = Store(self.now)
        self.start()

    def start(self) -> None:
        """The process begins, perhaps again: what it had in memory is gone."""
        self.database = Database(self._folder / "monitoring.sqlite")
        self.alerts = Alerts("lab", self.database, self.store)

    def kill(self) -> None:
        self.database.close()

    def run(self, seconds: int, **rates: float | None) -> None:
        for _ in range(seconds):
            self.now += 1.0
            for service, rate in rates.items():
                if rate is not None:
                    self.count[service] = self.count.get(service, 0.0) + rate
                    sample = Sample("requests_total", "counter", (("service", service),), self.count[service])
                    self.store.write(sample, self.now, RESOURCE, {})
            self.alerts.evaluate(self.now)

    def told(self) -> list[dict[str, Any]]:
        """Notifications so far, as the topic would have them; taken."""
        found = []
        for number, topic, data in self.database.unsent():
            assert topic == TOPIC
            found.append(json.loads(data)["incident"])
            self.database.sent(number)
        return found


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    made = Cloud(tmp_path)
    channel = made.alerts.create_channel(
        v3.NotificationChannel.pb(v3.NotificationChannel({"type_": "pubsub", "labels": {"topic": TOPIC}}))
    )
    given = policy()
    given.notification_channels.append(channel.name)
    made.alerts.create_policy(given)
    return made


def test_an_incident_opens_after_its_duration_and_closes_when_it_is_over(cloud: Cloud) -> None:
    cloud.run(10, digits=50)
    cloud.run(6, digits=200)
    assert cloud.told() == []  # the mean of 4 s passed the threshold in the second second
    cloud.run(1, digits=200)
    (opened,) = cloud.told()
    assert (opened["state"], opened["ended_at"], opened["severity"]) == ("open", None, "Warning")
    cloud.run(20, digits=200)
    assert cloud.told() == []
    cloud.run(10, digits=50)
    (closed,) = cloud.told()
    assert (closed["state"], closed["incident_id"]) == ("closed", opened["incident_id"])
    assert closed["ended_at"] > closed["started_at"] == opened["started_at"]
    assert "returned to normal with a value of" in closed["summary"]


def test_a_peak_shorter_than_the_duration_is_nothing(cloud: Cloud) -> None:
    cloud.run(10, digits=50)
    cloud.run(1, digits=300)
    cloud.run(20, digits=50)
    assert cloud.told() == []


def test_each_group_has_its_own_incident(cloud: Cloud) -> None:
    cloud.run(20, digits=500, chat=500, quiet=1)
    opened = cloud.told()
    assert sorted(incident["metric"]["labels"]["service"] for incident in opened) == ["chat", "digits"]
    assert len({incident["incident_id"] for incident in opened}) == 2
    assert opened[0]["resource"]["labels"] == {"cluster": "c1"}  # what the reduction kept


def test_a_restart_neither_loses_nor_repeats_an_incident(cloud: Cloud) -> None:
    cloud.run(20, digits=500)
    cloud.kill()
    cloud.start()
    (opened,) = cloud.told()  # what was not sent yet is still there
    cloud.run(20, digits=500)
    assert cloud.told() == []
    cloud.run(10, digits=1)
    assert [incident["incident_id"] for incident in cloud.told()] == [opened["incident_id"]]


def test_an_incident_without_data_closes_by_itself(cloud: Cloud) -> None:
    cloud.run(20, digits=500)
    cloud.told()
    cloud.run(1700, digits=None)
    assert cloud.told() == []
    cloud.run(200, digits=None)
    (closed,) = cloud.told()
    assert closed["summary"].endswith("was closed: there was no data.")


def test_a_policy_that_is_deleted_says_no_more(cloud: Cloud) -> None:
    cloud.run(20, digits=500)
    cloud.told()
    (name,) = cloud.alerts.policies
    cloud.alerts.delete_policy(name)
    cloud.run(10, digits=1)
    assert (cloud.told(), cloud.database.incidents()) == ([], [])


@pytest.mark.parametrize(("value", "sample"), [(500, "monitoring-open.json"), (1, "monitoring-closed.json")])
def test_the_json_has_every_field_of_a_real_one(cloud: Cloud, value: int, sample: str) -> None:
    cloud.run(20, digits=500)
    cloud.run(10, digits=value)
    ours = cloud.told()[-1]
    real = json.loads((EVENTS / sample).read_text())["incident"]
    assert ours.keys() == real.keys()
    for name, part in real.items():
        if isinstance(part, dict) and name not in ("policy_user_labels", "metric", "resource"):
            assert ours[name].keys() == part.keys(), name
        if part is not None:
            assert type(ours[name]) is type(part), name
    assert ours["condition"]["conditionThreshold"].keys() == real["condition"]["conditionThreshold"].keys()
    assert ours["condition"]["conditionThreshold"]["duration"] == "5s"
    assert ours["condition"]["name"].startswith("projects/lab/alertPolicies/")


def test_only_what_was_asked_for_is_told(cloud: Cloud) -> None:
    for stored in cloud.alerts.policies.values():
        stored.alert_strategy.notification_prompts.append(1)  # OPENED
    cloud.run(20, digits=500)
    cloud.run(10, digits=1)
    assert [incident["state"] for incident in cloud.told()] == ["open"]


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"comparison": "COMPARISON_GE"}, "INVALID_ARGUMENT", "COMPARISON_GE"),
        ({"filter": "resource.type = 1"}, "INVALID_ARGUMENT", "metric type"),
        ({"denominator_filter": RATE}, "UNIMPLEMENTED", "denominator_filter"),
        ({"forecast_options": {"forecast_horizon": {"seconds": 3600}}}, "UNIMPLEMENTED", "forecast_options"),
        ({"trigger": {"percent": 50.0}}, "UNIMPLEMENTED", "trigger"),
    ],
)
def test_conditions_that_are_wrong_or_not_imitated_are_refused(
    cloud: Cloud, change: dict[str, Any], code: str, says: str
) -> None:
    given = policy(**change)
    with pytest.raises(Refused, match=says) as refused:
        cloud.alerts.create_policy(given)
    assert refused.value.code.name == code


def test_other_conditions_and_channels_are_refused(cloud: Cloud) -> None:
    absent = policy()
    absent.conditions[0].condition_absent.filter = RATE
    email = v3.NotificationChannel.pb(v3.NotificationChannel({"type_": "email", "labels": {"email_address": "a@b.c"}}))
    unknown = policy()
    unknown.notification_channels.append("projects/lab/notificationChannels/1")
    for call, given, code in (
        (cloud.alerts.create_policy, absent, "UNIMPLEMENTED"),
        (cloud.alerts.create_policy, unknown, "NOT_FOUND"),
        (cloud.alerts.create_channel, email, "UNIMPLEMENTED"),
    ):
        with pytest.raises(Refused) as refused:
            call(given)
        assert refused.value.code.name == code


def test_a_channel_in_use_is_deleted_with_force_only(cloud: Cloud) -> None:
    (name,) = cloud.alerts.channels
    with pytest.raises(Refused):
        cloud.alerts.delete_channel(name, force=False)
    cloud.alerts.delete_channel(name, force=True)
    cloud.run(20, digits=500)
    assert cloud.told() == []


def test_a_watch_keeps_no_groups_that_are_gone() -> None:
    watch = Watch()
    watch.seen_at["old"] = watch.met_since["old"] = 1.0
    (condition,) = conditions_of(policy())
    watch.step(condition, [], set(), 2.0, 10.0)
    assert (watch.seen_at, watch.met_since) == ({}, {})
