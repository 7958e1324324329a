"""Alert policies: PromQL over the series of `core.metric_names`, labels that `on_alert` is given, and a runbook each.

A policy has an incident for each series that its query answers, and the incident bears that series' labels beside the
policy's own: `pointsman_alert`, by which AlertRules choose, and `namespace`, `service`, `revision` or `pool`, by which
they act. Judging a canary is the judge's work; these watch what comes after, and whether anybody watches at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dashboards.panels import backends, counted, observed, system
from pointsman.core.metric_names import (
    ACCELERATOR_DUTY_CYCLE,
    FUNCTION_REQUESTS,
    MODEL_DRIFT,
    MODEL_QUALITY,
    PUBSUB_DEAD_LETTERS,
    WORKFLOWS_FINISHED,
    promql_name,
)

__all__ = ["POLICIES", "Policy"]

Severity = Literal["CRITICAL", "ERROR", "WARNING"]
Group = Literal["models", "capacity", "plane"]


@dataclass(frozen=True, slots=True)
class Policy:
    """One alert policy. `duration_s` is how long the query must answer without a break before anybody is told."""

    name: str
    group: Group
    severity: Severity
    summary: str
    query: str
    duration_s: int = 0

    def as_document(self) -> Mapping[str, object]:
        """What Terraform makes a `google_monitoring_alert_policy` of."""
        return {
            "display_name": f"pointsman: {self.name}",
            "severity": self.severity,
            "user_labels": {"pointsman_alert": self.name, "pointsman_group": self.group},
            "query": self.query,
            "duration": f"{self.duration_s}s",
            "evaluation_interval": "30s",
            "auto_close": "1800s",
            "summary": self.summary,
            "runbook": f"docs/runbooks.md#{self.name}",
        }


BAD = 'response_code_class=~"500|0"'
RELEASED = "6h"
"""What was rolled out so lately may be the cause; of what serves longer, other alerts tell."""


def _released(by: str, *joined: str) -> str:
    """1 for all that a rollout was judged in lately, with a label `by` that a load balancer's series can have, too."""
    labels = ("namespace", "service", *(["revision"] if "revision" in joined else []))
    judged = observed("rollout_requests", labels, window=RELEASED)
    sources = ", ".join(f'"{label}"' for label in joined)
    return f'label_join({judged} > bool 0, "{by}", "-", {sources})'


def _share(window: str) -> str:
    bad, every = (backends("request_count", "", where, window=window) for where in (BAD, ""))
    return f"{bad} / on (backend) {every}"


def _served(metric: str, window: str) -> str:
    """p95 latency of all of a service's revisions together, by `served` (`namespace-service`)."""
    by_backend = backends(metric, "_bucket", "", ("le",), window)
    whole = f'label_replace({by_backend}, "served", "$1", "backend", "(.+)-[0-9a-f]{{8}}")'
    return f"histogram_quantile(0.95, sum by (le, served) ({whole}))"


BURN = (
    f"({_share('5m')} > 0.05 and on (backend) {_share('30m')} > 0.05"
    f" and on (backend) {backends('request_count', '', '', window='5m')} > 0.2)"
    f" * on (backend) group_left (namespace, service, revision) {_released('backend', 'namespace', 'revision')}"
)
SLOWER = (
    f"({_served('backend_latencies', '5m')} > 2 * {_served('backend_latencies', '6h')})"
    f" * on (served) group_left (namespace, service) {_released('served', 'namespace', 'service')}"
)
QUALITY, DRIFT = promql_name(MODEL_QUALITY), promql_name(MODEL_DRIFT)


def _duty(window: str) -> str:
    """Mean duty cycle of a service's accelerators. A pod is named after its revision, and that after its service."""
    series = f"avg_over_time({system(ACCELERATOR_DUTY_CYCLE)}[{window}])"
    named = f'label_replace({series}, "service", "$1", "pod_name", "(.+)-[0-9a-f]{{8}}-[a-z0-9]+-[a-z0-9]+")'
    return f'avg by (namespace, service) (label_replace({named}, "namespace", "$1", "namespace_name", "(.+)"))'


def _found(parts: str, window: str) -> str:
    return counted("sweep_findings", ("part",), f'part=~"{parts}"', window)


REFUSED = 'event="webhook-refused"'
FAILED = system(WORKFLOWS_FINISHED, where='status="FAILED"')
SWEPT = system(FUNCTION_REQUESTS, where='service_name="pointsman-sweep",response_code_class="2xx"')

POLICIES: tuple[Policy, ...] = (
    Policy(
        "burn-rate",
        "models",
        "CRITICAL",
        "More than 5 % of a revision's answers are errors, over five minutes and over thirty: ten times the rate at"
        " which an objective of 99.5 % may be missed.",
        BURN,
    ),
    Policy(
        "latency",
        "models",
        "ERROR",
        "A service's p95 latency is more than twice what it was in the last six hours.",
        SLOWER,
        300,
    ),
    Policy(
        "quality",
        "models",
        "ERROR",
        "A revision's quality is more than a tenth below what the service had in the last six hours.",
        f"avg by (namespace, service, revision) (avg_over_time({QUALITY}[10m]))"
        f" < on (namespace, service) group_left 0.9 * avg by (namespace, service) (avg_over_time({QUALITY}[6h]))",
        300,
    ),
    Policy(
        "drift",
        "models",
        "WARNING",
        "What a model is asked is no longer what it learned from: its stability index is over 0.25.",
        f"avg by (namespace, service) (avg_over_time({DRIFT}[30m])) > 0.25",
        300,
    ),
    Policy(
        "pool-saturated",
        "capacity",
        "ERROR",
        "A service's accelerators worked more than 90 % of the last ten minutes.",
        f"{_duty('10m')} > 90",
        120,
    ),
    Policy(
        "stock-out",
        "capacity",
        "ERROR",
        "No candidate of a pool has machines; rollouts that need them wait.",
        f"{counted('pool_exhausted', ('pool',), window='15m')} > 0",
    ),
    Policy(
        "idle-accelerators",
        "capacity",
        "WARNING",
        "A service's accelerators worked less than 5 % of the last hour, and are paid for.",
        f"{_duty('1h')} < 5",
        600,
    ),
    Policy(
        "dead-letters",
        "plane",
        "ERROR",
        "An event failed 20 times in a row.",
        f"sum by (subscription_id) (increase({system(PUBSUB_DEAD_LETTERS)}[10m])) > 0",
    ),
    Policy(
        "stuck-rollout",
        "plane",
        "CRITICAL",
        "A rollout's executions end again and again: the sweep has started one three times in half an hour.",
        f"{_found('rollouts', '30m')} >= 3",
    ),
    Policy(
        "failed-executions",
        "plane",
        "ERROR",
        "A workflow's execution ended in an error.",
        f"sum by (workflow_id) (increase({FAILED}[10m])) > 0",
    ),
    Policy(
        "sweep-findings",
        "plane",
        "WARNING",
        "Somebody changed a route by hand, or an event was given up.",
        f"{_found('weights|dead letters|claims', '15m')} > 0",
    ),
    Policy(
        "sweep-silent",
        "plane",
        "CRITICAL",
        "The sweep has not answered for ten minutes: nothing that is lost is found.",
        f"absent(increase({SWEPT}[10m]) > 0)",
        120,
    ),
    Policy(
        "webhook-silence",
        "plane",
        "ERROR",
        "The sweep found a push, or a moved alias, of which no webhook told.",
        f"{_found('pushes|aliases', '1h')} > 0",
    ),
    Policy(
        "webhooks-refused",
        "plane",
        "WARNING",
        "More than 20 webhooks in ten minutes could not be verified: a secret differs, or somebody tries.",
        f"{counted('webhooks', ('sender',), REFUSED, '10m')} > 20",
    ),
    Policy(
        "notices-lost",
        "plane",
        "WARNING",
        "People could not be told: a channel does not answer.",
        f"{counted('notices_lost', ('event',), window='15m')} > 0",
    ),
)
"""Every policy. A name is an anchor of docs/runbooks.md."""
