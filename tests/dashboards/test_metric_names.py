"""Every series has one name, in one module; a name that is gone is missed somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import promql_parser
import pytest
import yaml
from dashboards.policies import POLICIES

from dashboards import __main__ as generator
from pointsman.adapters.metric_series import LOAD_BALANCERS as READ
from pointsman.core.log_lines import ENVELOPE, LINES
from pointsman.core.metric_names import (
    LOAD_BALANCERS,
    LOG_METRICS,
    MODEL_DRIFT,
    MODEL_QUALITY,
    SYSTEM,
    LogMetric,
    balanced,
    log_metric,
    promql_name,
)
from pointsman.core.records import RolloutState

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = ("_bucket", "_sum", "_count")


@pytest.mark.parametrize(
    ("metric_type", "name"),
    [
        # The first three are the documentation's own examples ("Mapping Cloud Monitoring metrics to PromQL").
        ("kubernetes.io/container/cpu/limit_cores", "kubernetes_io:container_cpu_limit_cores"),
        (
            "custom.googleapis.com/opencensus/opencensus.io/http/server/request_count_by_method",
            "custom_googleapis_com:opencensus_opencensus_io_http_server_request_count_by_method",
        ),
        ("networking.googleapis.com/vm_flow/rtt", "networking_googleapis_com:vm_flow_rtt"),
        ("logging.googleapis.com/user/pointsman/webhooks", "logging_googleapis_com:user_pointsman_webhooks"),
        ("prometheus.googleapis.com/vllm:num_requests_waiting/gauge", "vllm:num_requests_waiting"),
    ],
)
def test_a_name_in_promql_follows_google_s_rule(metric_type: str, name: str) -> None:
    assert promql_name(metric_type) == name


@pytest.mark.parametrize("metric", LOG_METRICS, ids=lambda metric: metric.name)
def test_a_log_based_metric_is_made_of_lines_that_are_written(metric: LogMetric) -> None:
    lines = {line.event: line for line in LINES}
    for event in metric.events:
        assert event in lines, event
        fields = lines[event].names() | set(ENVELOPE)
        # A counter of several events has labels that only some of them know; one of a single event knows all of them.
        for label, source in metric.labels.items():
            assert source in fields or len(metric.events) > 1, f"{event} has no field {source} for {label}"
        if metric.value:
            assert metric.value in fields
    used = {name for event in metric.events for name in lines[event].names()} | set(ENVELOPE)
    assert set(metric.labels.values()) <= used


@pytest.mark.parametrize("metric", LOG_METRICS, ids=lambda metric: metric.name)
def test_a_log_based_metric_stays_within_what_logging_allows(metric: LogMetric) -> None:
    """ "Quotas and limits" of Cloud Logging: ten labels, two hundred buckets, names of a hundred characters."""
    assert re.fullmatch(r"pointsman/[a-z_]{1,80}", metric.name)
    assert len(metric.labels) <= 10
    assert len(metric.bounds) <= 200
    assert bool(metric.bounds) is bool(metric.value)
    assert list(metric.bounds) == sorted(set(metric.bounds))
    assert len({other.name for other in LOG_METRICS}) == len(LOG_METRICS)


@pytest.mark.parametrize(
    ("service", "namespace", "name"), [("eu/nlp/chat-8b", "nlp", "chat-8b"), ("local/demo/digits", "demo", "digits")]
)
def test_labels_are_cut_out_of_a_service_s_key(service: str, namespace: str, name: str) -> None:
    document: Any = log_metric("rollouts_opened").as_document()
    extractors = document["label_extractors"]
    for label, expected in (("namespace", namespace), ("service", name)):
        pattern = re.fullmatch(r'REGEXP_EXTRACT\(jsonPayload\.service, "(.*)"\)', extractors[label])
        assert pattern is not None
        found = re.search(pattern[1], service)
        assert found is not None
        assert found[1] == expected


def test_the_load_balancers_are_those_that_are_read() -> None:
    assert {item.prefix: item.resource for item in READ.values()} == LOAD_BALANCERS


# --- what dashboards and alerts ask for -----------------------------------------------------------------------


def selectors(promql: str) -> Iterator[Any]:
    """Every selector of a query."""
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(promql), visit)
    return iter(found)


def queries() -> Iterator[tuple[str, str]]:
    marks = {
        "<namespace>": 'namespace="x"',
        "<service>": 'service="x"',
        "<window>": "1m",
        "<tick>": "1m",
        "<sweep>": "1m",
    }
    for dashboard in generator.DASHBOARDS:
        for row in dashboard.rows:
            for panel in row.panels:
                for query in panel.queries:
                    promql = query.promql
                    for mark, spelling in marks.items():
                        promql = promql.replace(mark, spelling)
                    yield f"{dashboard.name}: {panel.title}", promql
        for name, promql in dashboard.variables.items():
            yield f"{dashboard.name}: ${name}", promql
    for policy in POLICIES:
        yield policy.name, policy.query


def known() -> dict[str, set[str]]:
    """Name in PromQL → labels that its series have, the resource's among them."""
    run = {"service_name", "revision_name", "location", "project_id", "monitored_resource"}
    found = {promql_name(metric.metric_type): {*metric.labels, *run} for metric in LOG_METRICS}
    system = {
        "run.": {*run, "response_code", "response_code_class"},
        "pubsub.googleapis.com/topic": {"topic_id", "response_code"},
        "pubsub.googleapis.com/subscription": {"subscription_id", "response_class"},
        "workflows.": {"workflow_id", "location", "status"},
        "kubernetes.io": {"namespace_name", "pod_name", "container_name", "cluster_name", "model"},
    }
    for metric_type in SYSTEM:
        (labels,) = [labels for prefix, labels in system.items() if metric_type.startswith(prefix)]
        found[promql_name(metric_type)] = {*labels, "monitored_resource", "project_id"}
    for kind in ("request_count", "backend_latencies"):
        found |= {promql_name(name): {"backend_target_name", "response_code_class"} for name in balanced(kind)}
    scraped = {"namespace", "service", "revision", "pod", "cluster", "job", "instance"}
    return {**found, promql_name(MODEL_QUALITY): scraped, promql_name(MODEL_DRIFT): scraped}


@pytest.mark.parametrize(("where", "promql"), list(queries()))
def test_a_query_asks_for_series_and_labels_that_there_are(where: str, promql: str) -> None:
    for selector in selectors(promql):
        name = selector.name
        base = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
        labels = known().get(name, known().get(base))
        assert labels is not None, f"{where}: no series is called {name}"
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels, f"{where}: {name} has no label {matcher.name}"


def test_every_log_based_metric_is_asked_for() -> None:
    text = " ".join(promql for _, promql in queries())
    unused = [metric.name for metric in LOG_METRICS if promql_name(metric.metric_type) not in text]
    assert unused == []


def test_a_log_based_metric_of_several_resources_is_asked_for_with_one() -> None:
    """Without `monitored_resource` Cloud Monitoring refuses a metric that has several resource types."""
    for where, promql in queries():
        for selector in selectors(promql):
            if "googleapis_com:" in selector.name and not selector.name.startswith("loadbalancing"):
                assert "monitored_resource" in {matcher.name for matcher in selector.matchers.matchers}, where


def test_what_terraform_and_the_laptop_read_has_every_metric() -> None:
    found = yaml.safe_load((ROOT / "dashboards" / "log-metrics.yaml").read_text())["metrics"]
    assert [item["name"] for item in found] == [metric.name for metric in LOG_METRICS]


# --- values that queries compare with -------------------------------------------------------------------------


def values(name: str) -> set[str]:
    """Every value that a matcher of this label names, in any query."""
    found: set[str] = set()
    for _, promql in queries():
        for selector in selectors(promql):
            for matcher in selector.matchers.matchers:
                if matcher.name == name and matcher.value not in ("x", "20") and "*" not in matcher.value:
                    found |= set(matcher.value.split("|"))
    return found


TOPOLOGY: dict[str, Any] = yaml.safe_load((ROOT / "bootstrap" / "topology.yaml").read_text())
SWEEP = (ROOT / "functions" / "pointsman" / "handlers" / "sweep.py").read_text()


def test_the_topics_are_those_of_the_topology() -> None:
    assert values("topic_id") == set(TOPOLOGY["topics"])


def test_a_function_is_called_as_terraform_calls_it() -> None:
    assert values("service_name") <= {f"pointsman-{name.replace('_', '-')}" for name in TOPOLOGY["functions"]}
    assert values("service_name")


def test_a_part_of_the_sweep_is_one_that_it_has() -> None:
    parts = set(re.findall(r'\("([a-z ]+)", sweep\.\w+\)', SWEEP))
    assert values("part") <= parts
    assert values("part") >= {"pushes", "rollouts", "weights"}


def test_states_and_events_are_those_that_are_logged() -> None:
    assert values("outcome") <= set(get_args(RolloutState))
    assert values("kind") <= {"roll_out", "roll_back", "remove"}
    assert values("event") <= {line.event for line in LINES}


@pytest.mark.parametrize("name", [policy.name for policy in POLICIES])
def test_a_policy_has_the_label_by_which_rules_choose_it(name: str) -> None:
    labels = yaml.safe_load((ROOT / "dashboards" / "alerts" / f"{name}.yaml").read_text())["user_labels"]
    assert labels["pointsman_alert"] == name
    assert labels["pointsman_group"] in ("models", "capacity", "plane")


def test_a_rule_of_the_runbooks_chooses_policies_that_there_are() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text()
    named = set(re.findall(r"pointsman_alert: ([\w-]+)", page))
    for listed in re.findall(r"key: pointsman_alert, operator: In, values: \[([^\]]+)\]", page):
        named |= {value.strip() for value in listed.split(",")}
    assert named <= {policy.name for policy in POLICIES}
    assert {policy.group for policy in POLICIES if policy.name not in named} == {"plane"}


def test_the_local_services_count_under_the_same_names() -> None:
    """They may not import ours, so that they cannot agree with a mistake of ours unseen: here the two meet."""
    pattern = re.compile(r'"((?:run|pubsub|workflows)\.googleapis\.com/[a-z_/]+|kubernetes\.io/[a-z_/]+/duty_cycle)"')
    text = "\n".join(path.read_text() for path in sorted((ROOT / "local").rglob("*.py")))
    assert set(pattern.findall(text)) == set(SYSTEM)
    resources = {name for name in SYSTEM.values() if f'"{name}"' in text}
    assert resources == set(SYSTEM.values())
