"""Alert policies, dashboards and log metrics: every file of `dashboards/` is made, and heard where it should be."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.bootstrap.terraform_run import PROJECT, Run, run_of
from tools.terraform_standin.terraform import EXAMPLES

pytestmark = pytest.mark.timeout(300)  # Terraform on a busy machine

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = ROOT / "dashboards"
POLICIES: dict[str, Any] = {
    path.stem: yaml.safe_load(path.read_text()) for path in (DASHBOARDS / "alerts").glob("*.yaml")
}
METRICS: dict[str, Any] = {
    item["name"]: item for item in yaml.safe_load((DASHBOARDS / "log-metrics.yaml").read_text())["metrics"]
}
TOPICS: dict[str, Any] = yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())["topics"]


@pytest.fixture(params=EXAMPLES, scope="module")
def run(request: pytest.FixtureRequest) -> Run:
    return run_of(request.param)


def test_every_policy_is_made_as_its_file_says_and_tells_on_alert(run: Run) -> None:
    made = {item.key: item.values for item in run.of("google_monitoring_alert_policy")}
    [channel] = run.of("google_monitoring_notification_channel")
    assert set(made) == set(POLICIES)
    assert len(made) >= 10
    for name, policy in POLICIES.items():
        [condition] = made[name]["conditions"]
        [query] = condition["condition_prometheus_query_language"]
        assert query["query"] == policy["query"]
        assert (query["duration"], query["evaluation_interval"]) == (policy["duration"], policy["evaluation_interval"])
        assert query["disable_metric_validation"] is True
        assert made[name]["severity"] == policy["severity"]
        assert made[name]["alert_strategy"][0]["auto_close"] == policy["auto_close"]
        assert made[name]["notification_channels"] == [channel.values["name"]]
        assert made[name]["user_labels"] == {"app": "pointsman", **policy["user_labels"]}
        assert policy["runbook"] in made[name]["documentation"][0]["content"]


def test_every_dead_letter_is_watched(run: Run) -> None:
    """The policy counts what was given up by subscription, and names none: each topic's is counted."""
    query = run.one("google_monitoring_alert_policy", "policy", "dead-letters")["conditions"][0]
    text = query["condition_prometheus_query_language"][0]["query"]
    assert "subscription_dead_letter_message_count" in text
    assert "by (subscription_id)" in text
    assert "subscription_id=" not in text
    given_up_from = {item.key for item in run.of("google_pubsub_subscription", "push")}
    assert given_up_from == set(TOPICS)


def test_every_log_metric_is_made_as_its_file_says(run: Run) -> None:
    made = {item.key: item.values for item in run.of("google_logging_metric")}
    assert set(made) == set(METRICS)
    for name, metric in METRICS.items():
        [descriptor] = made[name]["metric_descriptor"]
        assert made[name]["filter"] == metric["filter"]
        assert made[name]["label_extractors"] == metric["label_extractors"]
        assert made[name]["value_extractor"] == metric.get("value_extractor")
        assert descriptor["value_type"] == metric["value_type"]
        assert {label["key"] for label in descriptor["labels"]} == set(metric["label_extractors"])
        bounds = [bucket["explicit_buckets"][0]["bounds"] for bucket in made[name]["bucket_options"]]
        assert bounds == ([metric["bounds"]] if "bounds" in metric else [])


def test_every_dashboard_is_made(run: Run) -> None:
    made = {item.key: json.loads(item.values["dashboard_json"]) for item in run.of("google_monitoring_dashboard")}
    assert made == {
        path.stem: json.loads(path.read_text()) for path in (DASHBOARDS / "cloud-monitoring").glob("*.json")
    }


def test_the_channel_may_publish_to_its_topic(run: Run) -> None:
    [agent] = run.of("google_pubsub_topic_iam_member", "agent")
    [channel] = run.of("google_monitoring_notification_channel")
    assert channel.values["labels"]["topic"] == f"projects/{PROJECT}/topics/{agent.values['topic']}"
    assert agent.values["role"] == "roles/pubsub.publisher"
    assert "gcp-sa-monitoring-notification" in agent.values["member"]
