"""Every alert policy fires in the local Monitoring on series that mean what it says, stays quiet on healthy ones, and
its incident leads, by the rules of the runbook page, to the right decision of the real handler."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import promql_parser
import pytest
from dashboards.policies import POLICIES, Policy
from tests.dashboards.alert_series import Cloud, Series, bucket, counter, documents, gauge, logged
from tests.handlers.plane import CHAT, Plane, service

from pointsman.core.events import Event
from pointsman.core.records import CommandRecord, PoolRecord
from pointsman.handlers.alerting import alert_of
from pointsman.handlers.envelope import MESSAGE_PUBLISHED

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "runbooks.md").read_text()
REVISION = "chat-0000000b"
LB = "loadbalancing.googleapis.com/https/external/regional"
LB_RESOURCE = "http_external_regional_lb_rule"
RUN = "run.googleapis.com/request_count"
ON_BAD_S = 3 * 3600.0
"""Trouble begins so long after the world did: what is compared with six hours has some of them."""
WHOLE_S = 660.0
"""Beyond every window and duration of the policies but those of an hour, which see what came before, too."""
POD = {"namespace_name": "nlp", "pod_name": f"{REVISION}-7f9c8d-x2x4z", "container_name": "server", "model": "l4"}


def rules() -> str:
    found = re.search(r"```yaml\n# teams/nlp/alerts\.yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


# --- the worlds -----------------------------------------------------------------------------------------------


def backend(revision: str) -> str:
    return f"gkegw1-a1b2-nlp-{revision}-8000-0123456789ab"


def judged(revision: str) -> Series:
    """The judge saw requests of the revision lately."""
    labels = {"namespace": "nlp", "service": "chat", "revision": revision}
    metric = "logging.googleapis.com/user/pointsman/rollout_requests"
    return bucket(metric, "cloud_run_revision", labels, lambda t: [int(t // 10), 0], (1.0,))


def requests(revision: str, share_bad: float) -> list[Series]:
    """20 requests a second, of which a share is answered by 503 once there is trouble."""
    labels = {"backend_target_name": backend(revision)}

    def bad(t: float) -> float:
        return 20 * max(0.0, t - ON_BAD_S) * share_bad

    return [
        counter(
            f"{LB}/request_count", LB_RESOURCE, {**labels, "response_code_class": "200"}, lambda t: 20 * t - bad(t)
        ),
        counter(f"{LB}/request_count", LB_RESOURCE, {**labels, "response_code_class": "500"}, bad),
    ]


def latencies(revision: str, *, slow: bool) -> Series:
    """20 answers a second, under 50 ms; or, once there is trouble, between 400 and 800 ms."""

    def counts(t: float) -> list[int]:
        late = int(20 * max(0.0, t - ON_BAD_S)) if slow else 0
        return [int(20 * t) - late, 0, 0, 0, late, 0, 0]

    return bucket(f"{LB}/backend_latencies", LB_RESOURCE, {"backend_target_name": backend(revision)}, counts)


def model(name: str, revision: str, value: Callable[[float], float]) -> Series:
    labels = {"namespace": "nlp", "service": "chat", "revision": revision}
    return gauge(f"prometheus.googleapis.com/{name}/gauge", "prometheus_target", labels, value)


def jump(count: float) -> Callable[[float], float]:
    """A counter that stands still, but for one jump."""
    return lambda t: 1.0 + (count if t > ON_BAD_S else 0.0)


def duty(percent: Callable[[float], float]) -> Series:
    return gauge("kubernetes.io/container/accelerator/duty_cycle", "k8s_container", POD, percent)


def swept(at: Callable[[float], float]) -> Series:
    labels = {"service_name": "pointsman-sweep", "response_code": "200", "response_code_class": "2xx"}
    return counter(RUN, "cloud_run_revision", labels, at)


PUBSUB = "pubsub.googleapis.com/subscription/dead_letter_message_count"
WORKFLOWS = "workflows.googleapis.com/finished_execution_count"
WORKFLOW = "workflows.googleapis.com/Workflow"


@dataclass(frozen=True)
class Case:
    """The series in trouble and in health, the labels that the incident has, and what the handler makes of it."""

    bad: list[Series]
    good: list[Series]
    labels: Mapping[str, str]
    result: str
    reason: str


TOLD = "oncall told"
CASES: Mapping[str, Case] = {
    "burn-rate": Case(
        [judged(REVISION), *requests(REVISION, 0.4)],
        [judged(REVISION), *requests(REVISION, 0.02)],
        {"namespace": "nlp", "service": "chat", "revision": REVISION},
        "applied",
        "chat roll_back asked of",
    ),
    "latency": Case(
        [judged(REVISION), latencies(REVISION, slow=True)],
        [judged(REVISION), latencies(REVISION, slow=False)],
        {"namespace": "nlp", "service": "chat"},
        "applied",
        "chat roll_back asked of",
    ),
    "quality": Case(
        [model("model_quality", "chat-0000000a", lambda t: 0.9), model("model_quality", REVISION, lambda t: 0.6)],
        [model("model_quality", "chat-0000000a", lambda t: 0.9), model("model_quality", REVISION, lambda t: 0.88)],
        {"namespace": "nlp", "service": "chat", "revision": REVISION},
        "applied",
        "chat roll_back asked of",
    ),
    "drift": Case(
        [model("model_drift", REVISION, lambda t: 0.4)],
        [model("model_drift", REVISION, lambda t: 0.1)],
        {"namespace": "nlp", "service": "chat"},
        "applied",
        "chat pause asked of",
    ),
    "pool-saturated": Case(
        [duty(lambda t: 97.0)],
        [duty(lambda t: 60.0)],
        {"namespace": "nlp", "service": "chat"},
        "applied",
        "l4 2 nodes more",
    ),
    "stock-out": Case(
        [logged("pool_exhausted", {"pool": "l4"}, jump(1))],
        [logged("pool_exhausted", {"pool": "l4"}, jump(0))],
        {"pool": "l4"},
        "applied",
        TOLD,
    ),
    "idle-accelerators": Case(
        [duty(lambda t: 1.0)],
        [duty(lambda t: 20.0)],
        {"namespace": "nlp", "service": "chat"},
        "applied",
        TOLD,
    ),
    "dead-letters": Case(
        [counter(PUBSUB, "pubsub_subscription", {"subscription_id": "repo-pushed-on-repo-push"}, jump(1))],
        [counter(PUBSUB, "pubsub_subscription", {"subscription_id": "repo-pushed-on-repo-push"}, jump(0))],
        {"subscription_id": "repo-pushed-on-repo-push"},
        "applied",
        TOLD,
    ),
    "stuck-rollout": Case(
        [logged("sweep_findings", {"part": "rollouts"}, jump(3))],
        [logged("sweep_findings", {"part": "rollouts"}, jump(1))],
        {"part": "rollouts"},
        "applied",
        TOLD,
    ),
    "failed-executions": Case(
        [counter(WORKFLOWS, WORKFLOW, {"workflow_id": "roll-out", "status": "FAILED"}, jump(1))],
        [counter(WORKFLOWS, WORKFLOW, {"workflow_id": "roll-out", "status": "SUCCEEDED"}, jump(1))],
        {"workflow_id": "roll-out"},
        "applied",
        TOLD,
    ),
    "sweep-findings": Case(
        [logged("sweep_findings", {"part": "weights"}, jump(1))],
        [logged("sweep_findings", {"part": "pools"}, jump(1))],
        {"part": "weights"},
        "applied",
        TOLD,
    ),
    "sweep-silent": Case([swept(lambda t: 3.0)], [swept(lambda t: t // 60)], {}, "applied", TOLD),
    "webhook-silence": Case(
        [logged("sweep_findings", {"part": "pushes"}, jump(1))],
        [logged("sweep_findings", {"part": "commands"}, jump(1))],
        {"part": "pushes"},
        "applied",
        TOLD,
    ),
    "webhooks-refused": Case(
        [logged("webhooks", {"event": "webhook-refused", "sender": "github"}, jump(30))],
        [logged("webhooks", {"event": "webhook-refused", "sender": "github"}, jump(5))],
        {"sender": "github"},
        "applied",
        TOLD,
    ),
    "notices-lost": Case(
        [logged("notices_lost", {"event": "notice-unsent"}, jump(1))],
        [logged("notices_lost", {"event": "notice-unsent"}, jump(0))],
        {"event": "notice-unsent"},
        "applied",
        TOLD,
    ),
}


def told(name: str, series: list[Series], folder: Path) -> list[dict[str, Any]]:
    """What the topic is told by a world in which all was well for three hours."""
    cloud = Cloud(folder, name, series)
    before = cloud.run(ON_BAD_S, step_s=60.0)
    return before + cloud.run(WHOLE_S)


@cache
def opened(name: str) -> str:
    """The first message of a policy's world in trouble, as JSON: each world is lived through once."""
    with TemporaryDirectory() as folder:
        found = [item for item in told(name, CASES[name].bad, Path(folder)) if item["incident"]["state"] == "open"]
    assert len(found) == 1, [item["incident"]["metric"]["labels"] for item in found]
    return json.dumps(found[0])


def test_every_policy_has_a_case() -> None:
    assert sorted(CASES) == sorted(documents())


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_policy_fires_once_on_what_it_is_about(name: str) -> None:
    case, incident = CASES[name], json.loads(opened(name))["incident"]
    assert incident["metric"]["labels"] == {**case.labels, **extra(name)}
    assert incident["policy_user_labels"]["pointsman_alert"] == name
    assert incident["severity"] == documents()[name]["severity"].capitalize()


def extra(name: str) -> Mapping[str, str]:
    """Labels by which two vectors were joined stay in the answer."""
    return {"burn-rate": {"backend": f"nlp-{REVISION}"}, "latency": {"served": "nlp-chat"}}.get(name, {})


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_policy_is_quiet_in_a_healthy_world(name: str, tmp_path: Path) -> None:
    assert told(name, CASES[name].good, tmp_path) == []


@pytest.mark.parametrize("name", ["burn-rate", "latency"])
def test_what_no_rollout_touched_lately_is_nobody_s_release(name: str, tmp_path: Path) -> None:
    series = [one for one in CASES[name].bad if "rollout_requests" not in one(1.0).metric_type]
    assert told(name, series, tmp_path) == []


def test_an_incident_of_a_query_closes_when_the_query_is_not_answered_any_more(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, "drift", [model("model_drift", REVISION, lambda t: 0.4 if t < 600 else 0.0)])
    states = [message["incident"]["state"] for message in cloud.run(1500)]
    assert states == ["open", "closed"]


# --- what the handler makes of it -----------------------------------------------------------------------------


def plane_in_a_rollout() -> tuple[Plane, str]:
    """chat's first revision serves, its next is being rolled out; and that one's name."""
    plane = Plane()
    plane.commit({"teams/nlp/chat.yaml": CHAT, "teams/nlp/alerts.yaml": rules()})
    plane.push()
    plane.promote(plane.rollouts[0])
    plane.commit(
        {
            "teams/nlp/chat.yaml": service("chat", "uri: gs://models/chat/2", more="pool: l4"),
            "teams/nlp/alerts.yaml": rules(),
        }
    )
    plane.push()
    rollout = plane.run(plane.rollouts[-1])
    plane.workflows.started.clear()
    return plane, rollout.to_revision


def delivered(plane: Plane, message: Mapping[str, Any], revision: str) -> None:
    """The message, as if it had been told of the plane's own revision, and just now."""
    incident = dict(message["incident"])
    labels = {name: value.replace(REVISION, revision) for name, value in incident["metric"]["labels"].items()}
    incident |= {"metric": {**incident["metric"], "labels": labels}, "started_at": int(plane.now.timestamp())}
    event = Event(
        f"{incident['incident_id']}/open",
        "//monitoring",
        MESSAGE_PUBLISHED,
        plane.now,
        "",
        {**message, "incident": incident},
    )
    assert plane.deliver(event, "alert-fired") == 200


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_incident_leads_to_the_right_decision(name: str) -> None:
    message = json.loads(opened(name))
    plane, revision = plane_in_a_rollout()
    delivered(plane, message, revision)
    assert (plane.event.result, CASES[name].result) == (CASES[name].result, plane.event.result)
    assert CASES[name].reason in plane.event.reason
    commands = [command.verb for command in plane.ledger.all(CommandRecord) if command.rollout == plane.rollouts[-1].id]
    wanted = {"burn-rate": ["roll_back"], "latency": ["roll_back"], "quality": ["roll_back"], "drift": ["pause"]}
    assert commands == wanted.get(name, [])
    assert plane.started() == ([("scale-pool", "l4")] if name == "pool-saturated" else [])
    holds = {item.name: list(item.holds) for item in plane.ledger.all(PoolRecord)}
    assert holds.get("l4", []) == (["nlp/saturated"] if name == "pool-saturated" else [])
    assert plane.notices() == ([] if name == "pool-saturated" else ["AlertFired"])


@pytest.mark.parametrize("name", sorted(CASES))
def test_another_namespace_s_trouble_moves_nothing_of_ours(name: str) -> None:
    message = json.loads(opened(name))
    labels = message["incident"]["metric"]["labels"]
    if "namespace" not in labels:
        return
    labels["namespace"] = "growth"
    plane, revision = plane_in_a_rollout()
    delivered(plane, message, revision)
    commands = [command for command in plane.ledger.all(CommandRecord) if command.rollout == plane.rollouts[-1].id]
    assert (commands, plane.started()) == ([], [])


# --- the files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_policy_has_a_runbook_and_words_for_people(policy: Policy) -> None:
    (heading,) = re.findall(rf"^### {policy.name}$", PAGE, re.MULTILINE)
    assert heading
    document = documents()[policy.name]
    assert document["runbook"] == f"docs/runbooks.md#{policy.name}"
    assert document["summary"].endswith(".")
    assert len(document["summary"]) < 300


def test_every_runbook_is_of_a_policy() -> None:
    assert re.findall(r"^### (.+)$", PAGE, re.MULTILINE) == [policy.name for policy in POLICIES]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_policy_is_what_the_api_takes(policy: Policy) -> None:
    """User labels: at most 64, lower case; durations: multiples of the interval of evaluation."""
    document = documents()[policy.name]
    promql_parser.parse(document["query"])
    for name, value in document["user_labels"].items():
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", name)
        assert re.fullmatch(r"[a-z0-9_-]{1,63}", value)
    assert int(document["duration"][:-1]) % int(document["evaluation_interval"][:-1]) == 0
    assert document["severity"] in ("CRITICAL", "ERROR", "WARNING")


def test_an_alert_is_read_with_the_labels_that_rules_ask_for() -> None:
    message = json.loads(opened("burn-rate"))
    now = datetime(2026, 11, 20, tzinfo=UTC)
    alert = alert_of(Event("1/open", "//monitoring", MESSAGE_PUBLISHED, now, "", message))
    wanted = {"pointsman_alert": "burn-rate", "pointsman_group": "models", "namespace": "nlp", "service": "chat"}
    assert wanted.items() <= alert.labels.items()
    assert alert.policies[0] == "pointsman: burn-rate"
