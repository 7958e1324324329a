"""Names of all time series that dashboards and alert policies are made of, and which lines of the log become one.

pointsman writes no time series: it logs (`core.log_lines`), and log-based metrics are made of what it logs. That needs
no right, no client and no call of any function, and what a crash cut off was in the log before.
A log-based metric counts lines, or keeps the distribution of one field, of which dashboards show the mean.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "ACCELERATOR_DUTY_CYCLE",
    "FUNCTION_LATENCIES",
    "FUNCTION_REQUESTS",
    "FUNCTION_STARTS",
    "LOAD_BALANCERS",
    "LOG_METRICS",
    "MODEL_DRIFT",
    "MODEL_QUALITY",
    "PUBSUB_DEAD_LETTERS",
    "PUBSUB_OLDEST",
    "PUBSUB_PUBLISHED",
    "PUBSUB_PUSHED",
    "PUBSUB_UNDELIVERED",
    "SYSTEM",
    "WORKFLOWS_FINISHED",
    "WORKFLOWS_STARTED",
    "LogMetric",
    "balanced",
    "log_metric",
    "promql_name",
]

# Google's own (https://cloud.google.com/monitoring/api/metrics_gcp), each with its resource.
FUNCTION_REQUESTS = "run.googleapis.com/request_count"
FUNCTION_LATENCIES = "run.googleapis.com/request_latencies"
FUNCTION_STARTS = "run.googleapis.com/container/startup_latencies"
PUBSUB_PUBLISHED = "pubsub.googleapis.com/topic/send_message_operation_count"
PUBSUB_PUSHED = "pubsub.googleapis.com/subscription/push_request_count"
PUBSUB_UNDELIVERED = "pubsub.googleapis.com/subscription/num_undelivered_messages"
PUBSUB_OLDEST = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
PUBSUB_DEAD_LETTERS = "pubsub.googleapis.com/subscription/dead_letter_message_count"
WORKFLOWS_STARTED = "workflows.googleapis.com/started_execution_count"
WORKFLOWS_FINISHED = "workflows.googleapis.com/finished_execution_count"
ACCELERATOR_DUTY_CYCLE = "kubernetes.io/container/accelerator/duty_cycle"

# What a model's server, or a job that knows the true answers, may tell: gauges, scraped by its PodMonitoring.
MODEL_QUALITY = "prometheus.googleapis.com/model_quality/gauge"
"""How good the answers are, from 0 to 1: accuracy on labelled requests, or the mean confidence where there are none."""
MODEL_DRIFT = "prometheus.googleapis.com/model_drift/gauge"
"""How far what is asked has moved from what was learned: population stability index; beyond 0.25 it is another."""

SYSTEM: Mapping[str, str] = {
    FUNCTION_REQUESTS: "cloud_run_revision",
    FUNCTION_LATENCIES: "cloud_run_revision",
    FUNCTION_STARTS: "cloud_run_revision",
    PUBSUB_PUBLISHED: "pubsub_topic",
    PUBSUB_PUSHED: "pubsub_subscription",
    PUBSUB_UNDELIVERED: "pubsub_subscription",
    PUBSUB_OLDEST: "pubsub_subscription",
    PUBSUB_DEAD_LETTERS: "pubsub_subscription",
    WORKFLOWS_STARTED: "workflows.googleapis.com/Workflow",
    WORKFLOWS_FINISHED: "workflows.googleapis.com/Workflow",
    ACCELERATOR_DUTY_CYCLE: "k8s_container",
}
"""Metric type → monitored resource. PromQL must name it where a metric has several."""

LOAD_BALANCERS: Mapping[str, str] = {
    "https": "https_lb_rule",
    "https/external/regional": "http_external_regional_lb_rule",
    "https/internal": "internal_http_lb_rule",
}
"""Below `loadbalancing.googleapis.com/`: a prefix for each class of Gateway, with its resource."""


def balanced(metric: str) -> tuple[str, ...]:
    """The load balancers' series of one kind (`request_count`, `backend_latencies`): one a class of Gateway."""
    return tuple(f"loadbalancing.googleapis.com/{prefix}/{metric}" for prefix in LOAD_BALANCERS)


_PARTS: Mapping[str, str] = {"cluster": "^([^/]+)/", "namespace": "^[^/]+/([^/]+)/", "service": "/([^/]+)$"}
"""Labels that are parts of a field: a service's key is `cluster/namespace/name`."""

_PERCENT = tuple(float(bound) for bound in range(0, 101, 5))
_EVIDENCE = tuple(bound / 4 for bound in range(-12, 49))
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 86400.0)
_COUNT = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0, 65536.0)


@dataclass(frozen=True, slots=True)
class LogMetric:
    """A log-based metric: counts the lines of `events`; with `value`, keeps the distribution of that field.

    `labels` are labels by the field that each is read from. `bounds` are the buckets' of a distribution; its mean is
    exact whatever they are. `unit` as Monitoring writes units.
    """

    name: str
    description: str
    events: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    value: str | None = None
    unit: str = "1"
    bounds: tuple[float, ...] = ()

    @property
    def metric_type(self) -> str:
        return f"logging.googleapis.com/user/{self.name}"

    def as_document(self) -> dict[str, object]:
        """What makes it: the fields of a `google_logging_metric`, and of the local Monitoring."""
        named = " OR ".join(f'"{event}"' for event in self.events)
        document: dict[str, object] = {
            "name": self.name,
            "description": self.description,
            "filter": 'resource.type="cloud_run_revision" AND jsonPayload.event='
            + (named if len(self.events) == 1 else f"({named})"),
            "value_type": "DISTRIBUTION" if self.value else "INT64",
            "unit": self.unit,
            "label_extractors": {label: _extractor(label, source) for label, source in self.labels.items()},
        }
        if self.value:
            document["value_extractor"] = f"EXTRACT(jsonPayload.{self.value})"
            document["bounds"] = list(self.bounds)
        return document


def _extractor(label: str, source: str) -> str:
    if source == "service" and label in _PARTS:
        return f'REGEXP_EXTRACT(jsonPayload.service, "{_PARTS[label]}")'
    return f"EXTRACT(jsonPayload.{source})"


_SERVICE = {"namespace": "service", "service": "service"}
_REVISION = {**_SERVICE, "revision": "revision"}
_POOL = {"pool": "pool", "candidate": "candidate"}


def _standing(name: str, description: str, value: str, unit: str = "1") -> LogMetric:
    return LogMetric(f"pointsman/{name}", description, ("pool-standing",), _POOL, value, unit, _COUNT)


LOG_METRICS: tuple[LogMetric, ...] = (
    LogMetric(
        "pointsman/rollout_weight_asked",
        "Canary's weight that is asked for.",
        ("decided",),
        _REVISION,
        "weight_pct",
        "%",
        _PERCENT,
    ),
    LogMetric(
        "pointsman/rollout_weight_seen",
        "Canary's weight that was seen in force.",
        ("decided",),
        _REVISION,
        "seen_pct",
        "%",
        _PERCENT,
    ),
    LogMetric(
        "pointsman/rollout_evidence",
        "Evidence against the canary, in nats: 4.6 is 100 to 1.",
        ("verdict",),
        _REVISION,
        "log_e",
        "1",
        _EVIDENCE,
    ),
    LogMetric("pointsman/rollout_verdicts", "The judge spoke.", ("verdict",), {**_SERVICE, "action": "action"}),
    LogMetric(
        "pointsman/rollout_requests",
        "Requests of the canary in a tick.",
        ("verdict",),
        _REVISION,
        "canary_requests",
        "1",
        _COUNT,
    ),
    LogMetric(
        "pointsman/rollout_states",
        "A rollout's state changed.",
        ("state-changed",),
        {**_SERVICE, "state": "state"},
    ),
    LogMetric("pointsman/rollouts_opened", "A rollout was opened.", ("rollout-opened",), {**_SERVICE, "kind": "kind"}),
    LogMetric(
        "pointsman/rollouts_ended",
        "A rollout is over.",
        ("rollout-ended",),
        {**_SERVICE, "kind": "kind", "outcome": "outcome"},
    ),
    LogMetric(
        "pointsman/rollout_duration",
        "From a rollout's opening to its end.",
        ("rollout-ended",),
        {"kind": "kind", "outcome": "outcome"},
        "duration_s",
        "s",
        _SECONDS,
    ),
    LogMetric(
        "pointsman/rollout_bad_answers",
        "Bad answers of the canary, from first weight to the end.",
        ("rollout-ended",),
        {**_SERVICE, "outcome": "outcome"},
        "canary_bad",
        "1",
        _COUNT,
    ),
    _standing("pool_nodes_wanted", "Nodes that a pool should have.", "wanted"),
    _standing("pool_nodes_seen", "Nodes of a pool that are ready.", "seen"),
    _standing("pool_nodes_held", "Nodes that rollouts and alerts hold.", "held"),
    _standing("pool_candidates_out", "Candidates that have no machines now.", "stockouts"),
    _standing("pool_accelerators", "Accelerators of the nodes that are ready.", "accelerators"),
    _standing("pool_cost", "List price of the nodes that are ready, an hour.", "cost_per_hour", "{USD}/h"),
    LogMetric("pointsman/pool_stock_outs", "A candidate had no machines.", ("pool-stock-out",), _POOL),
    LogMetric("pointsman/pool_exhausted", "No candidate had machines.", ("pool-exhausted",), {"pool": "pool"}),
    LogMetric(
        "pointsman/events_handled",
        "An event was dealt with.",
        ("event-handled",),
        {"type": "type", "result": "result"},
    ),
    LogMetric(
        "pointsman/event_age",
        "From an event's own time to its end.",
        ("event-handled",),
        {"type": "type"},
        "age_s",
        "s",
        _SECONDS,
    ),
    LogMetric(
        "pointsman/events_returned",
        "An event could not be dealt with and comes again.",
        ("event-delayed", "event-failed", "event-unfinished", "claim-failed"),
        {"event": "event", "code": "code"},
    ),
    LogMetric(
        "pointsman/webhooks",
        "A webhook came.",
        ("webhook-published", "webhook-refused", "webhook-unpublished"),
        {"event": "event", "sender": "sender"},
    ),
    LogMetric(
        "pointsman/refusals",
        "A request was refused, or met a mistake of ours.",
        ("refused", "failed"),
        {"event": "event", "function": "function", "code": "code"},
    ),
    LogMetric("pointsman/sweep_findings", "The sweep found something.", ("swept",), {"part": "part"}),
    LogMetric(
        "pointsman/sweep_failures",
        "The sweep could not look at something.",
        ("sweep-failed",),
        {"part": "part", "code": "code"},
    ),
    LogMetric("pointsman/notices", "People were told.", ("notice",), {"notice": "notice"}),
    LogMetric(
        "pointsman/notices_lost",
        "People could not be told.",
        ("notice-unsent", "notice-rejected"),
        {"event": "event"},
    ),
)
"""Every log-based metric. Bounds and labels are fixed: Monitoring keeps what it has under the same name."""


def log_metric(name: str) -> LogMetric:
    """The log-based metric `pointsman/<name>`. Raises KeyError for one that is not there."""
    return {metric.name: metric for metric in LOG_METRICS}[f"pointsman/{name}"]


def promql_name(metric_type: str) -> str:
    """A metric's name in PromQL ("Mapping Cloud Monitoring metrics to PromQL"): `a.b/c/d` is `a_b:c_d`.

    A distribution has `_bucket`, `_sum` and `_count` of it. Managed Prometheus' series have the name that they were
    scraped by.
    """
    if metric_type.startswith("prometheus.googleapis.com/"):
        return metric_type.split("/")[1]
    domain, _, path = metric_type.partition("/")
    return ":".join(re.sub(r"[^a-zA-Z0-9_]", "_", part) for part in (domain, path))
