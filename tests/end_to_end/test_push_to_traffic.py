"""From a push to traffic, and back, on one local cloud: real processes, real Envoy, requests all the while.

Each service lives through one thing. Every webhook is sent three times and every event is delivered three times, the
whole time.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import partial
from itertools import pairwise

import psutil
import pytest

from pointsman.core.events import REPO_PUSHED
from pointsman.core.records import CommandRecord, RolloutRecord
from pointsman_cli.demo.load import Request
from pointsman_cli.demo.stage import NAMESPACE, Stage, host

pytestmark = [pytest.mark.local_cloud, pytest.mark.timeout(240)]

PLATFORM = """\
apiVersion: pointsman.dev/v1
kind: Platform
metadata: {name: lab, annotations: {config.kubernetes.io/local-config: "true"}}
spec:
  clusters: [{name: local, location: us-central1}]
  gateway: {name: models, namespace: gateway, domain: localhost}
  namespaces: [{name: demo, paths: [teams/demo]}]
  defaults:
    pool: cpu
    requestTimeout: 1s
    rollout:
      steps: [{weight: 20, hold: 1s}, {weight: 50, hold: 1s}]
      bake: {duration: 1s}
      judge: {warmup: 1h, minRequestsPerStep: 10}     # latency, on a machine that does other things too, says nothing
"""
POOL = """\
apiVersion: pointsman.dev/v1
kind: AcceleratorPool
metadata: {name: cpu}
spec:
  nodes: {max: 6}
  candidates: [{machineType: e2-standard-8}]
"""
SERVICE = """\
apiVersion: pointsman.dev/v1
kind: ModelService
metadata: {name: %(name)s}
spec:
  model: {uri: "file://%(models)s/%(version)s"}
  template:
    spec:
      containers:
        - name: server
          image: python:3.12-slim
          command: [python, -m, pointsman_local.models.server]
          ports: [{containerPort: 8080}]
"""
STEADY, HASTY, UNHEARD, SHAKEN = SERVICES = ("steady", "hasty", "unheard", "shaken")
RATE = 40.0
"""Requests a second to each service: ten at a step of 20 % come within 2 s."""

SOON_S = 30.0
ROLLOUT_S = 90.0
BACK_S = 2.0
GOES_ON_S = 10.0


class Lab:
    """The local cloud, and what a person at a desk does with it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.asked: Counter[str] = Counter()
        """Service → how many commits changed it."""

    def push(self, version: str, *names: str, **others: str) -> str:
        """Push services with one version of their model, and other documents; gives the commit."""
        self.asked.update(names)
        files = {f"teams/demo/{name}.yaml": self._document(name, version) for name in names}
        return self.stage.push({**others, **files}, f"Serve {version} of {', '.join(names)}")

    def _document(self, name: str, version: str) -> str:
        return SERVICE % {"name": name, "models": self.stage.models, "version": version}

    def started(self, name: str, commit: str) -> RolloutRecord:
        return self.stage.until(lambda: self.stage.rollout(name, commit), f"{name} is rolled out", SOON_S)

    def until(self, rollout: RolloutRecord, what: str, reached: Callable[[RolloutRecord], bool]) -> RolloutRecord:
        """The rollout as soon as it is as asked; once it has ended, it will not be."""

        def ask() -> RolloutRecord | None:
            now = self.stage.read(rollout.id)
            if reached(now):
                return now
            assert now.ended == "no", f"{now.state}: {now.reason}, before {what}"
            return None

        return self.stage.until(ask, what, ROLLOUT_S)

    def ended(self, rollout: RolloutRecord) -> RolloutRecord:
        return self.until(rollout, "the end", lambda now: now.ended == "yes")

    def at_weight(self, rollout: RolloutRecord, weight: int) -> RolloutRecord:
        """Once exactly this share was asked for and seen."""
        return self.until(rollout, f"{weight} %", lambda now: now.want == now.seen == weight)

    def pointsman(self, *arguments: str) -> str:
        """What the command prints. It ends with status 0, in this cloud's environment."""
        environment = {**os.environ, **self.stage.environment, "NO_COLOR": "1", "COLUMNS": "200"}
        command = [sys.executable, "-m", "pointsman_cli", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.returncode}: {done.stderr}"
        return done.stdout

    def processes(self) -> Mapping[str, int]:
        """Name of each of the cloud's processes → its id."""
        told = json.loads(self.pointsman("local", "status", "--data", str(self.stage.data), "-o", "json"))
        return {row["name"]: row["pid"] for row in told["processes"]}

    def answers(self, service: str, since: float) -> Counter[str]:
        """Version → its answers to the service's requests begun since then; an answer that is none has no version."""
        assert self.stage.load
        return Counter(
            request.version for request in self.stage.load.window(since, time.time(), host(service)).requests
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A local cloud whose services were pushed in one commit, serve v1, and are asked all the time."""
    others = set(psutil.Process().children(recursive=True))
    stage = Stage(tmp_path_factory.mktemp("cloud") / "data")
    started: list[psutil.Process] = []
    try:
        assert stage.load
        lab = Lab(stage)
        stage.ask("PUT", f"{stage.site.url('git')}/local/v1/webhooks", {"copies": 3})
        commit = lab.push("v1", *SERVICES, **{"platform.yaml": PLATFORM, "pools.yaml": POOL})
        for name in SERVICES:
            lab.ended(lab.started(name, commit))
            stage.until(partial(stage.serving, name), f"{name} answers", SOON_S)
            stage.load.rate(host(name), RATE)
        yield lab
    finally:
        started += set(psutil.Process().children(recursive=True)) - others
        stage.close()
    _, left = psutil.wait_procs(started, timeout=SOON_S)
    assert not left, "nothing outlives the local cloud"


@pytest.fixture(autouse=True)
def _no_request_is_lost(lab: Lab) -> Iterator[None]:
    """Of any service, whatever a test does to one of them."""
    before = lost(lab)
    yield
    now = sorted(lost(lab) - before, key=lambda request: request.begun)
    assert not now, f"{len(now)} requests were lost: {now[:5]}"


def lost(lab: Lab) -> Set[Request]:
    """The requests that have had no good answer, since there is a cloud."""
    assert lab.stage.load
    return {request for request in lab.stage.load.window(0, time.time()).requests if request.status != 200}


def weights(lab: Lab, rollout: RolloutRecord) -> Sequence[int]:
    """The shares that were asked for after the first, which is 0: in order, each once."""
    wanted = [decision.after.get("want", 0) for decision in lab.stage.decisions(rollout.id)]
    return [want for before, want in pairwise([0, *wanted]) if want != before and isinstance(want, int)]


def test_a_push_to_an_empty_repository_is_served(lab: Lab) -> None:
    first = lab.stage.pushed[0]
    rollouts = {name: lab.stage.rollout(name, first) for name in SERVICES}
    assert {name: rollout and (rollout.state, rollout.seen) for name, rollout in rollouts.items()} == dict.fromkeys(
        SERVICES, ("promoted", 100)
    )
    begun = time.time()
    lab.stage.until(
        lambda: all(lab.answers(name, begun)["v1"] for name in SERVICES) or None, "v1 answers everybody", SOON_S
    )


def test_a_second_push_takes_the_traffic_in_steps_and_is_promoted(lab: Lab) -> None:
    rollout = lab.started(STEADY, lab.push("v2", STEADY))
    lab.at_weight(rollout, 20)
    assert "20 %" in lab.pointsman("why", STEADY, "-n", NAMESPACE)
    ended = lab.ended(rollout)
    assert (ended.state, ended.seen) == ("promoted", 100)
    assert weights(lab, rollout) == [20, 50, 98, 100]
    now = time.time()
    lab.stage.until(lambda: lab.answers(STEADY, now).total() >= 20 or None, "requests since the end", SOON_S)
    assert set(lab.answers(STEADY, now)) == {"v2"}


def test_abort_in_the_middle_gives_everything_back_within_two_seconds(lab: Lab) -> None:
    assert lab.stage.counters
    rollout = lab.started(HASTY, lab.push("v2", HASTY))
    lab.at_weight(rollout, 20)
    lab.pointsman("abort", HASTY, "-n", NAMESPACE, "--why", "a test")
    ended = lab.ended(rollout)
    assert ended.state == "aborted"
    assert "a test" in ended.reason
    asked = next(saved.record for saved in lab.stage.ledger.find(CommandRecord, {"rollout": rollout.id}))
    last = lab.stage.counters.last_request(f"{NAMESPACE}/{rollout.to_revision}")
    assert last is not None, "the canary had requests"
    assert (last - asked.at).total_seconds() <= BACK_S
    service = lab.stage.service(HASTY)
    assert service is not None
    assert service.stable == rollout.from_revision
    assert f"{rollout.to_revision} was aborted" in lab.pointsman("why", HASTY, "-n", NAMESPACE)


def test_a_push_whose_webhook_was_lost_is_found_by_the_sweep(lab: Lab) -> None:
    stage = lab.stage
    stage.ask("PUT", f"{stage.site.url('git')}/local/v1/webhooks", {"drop": 1, "copies": 3})
    commit = lab.push("v2", UNHEARD)
    jobs = f"/v1/projects/{stage.site.project}/locations/{stage.site.location}/jobs"
    stage.ask("POST", f"{stage.site.url('scheduler')}{jobs}/sweep:run", {"scope": "all"})
    assert lab.at_weight(lab.started(UNHEARD, commit), 20).cause
    told = [event.source for event in stage.events() if event.type == REPO_PUSHED and event.subject.endswith(commit)]
    assert told == ["//pointsman/sweep"]


def test_what_drives_a_rollout_may_be_killed_in_the_middle_of_it(lab: Lab) -> None:
    rollout = lab.started(SHAKEN, lab.push("v2", SHAKEN))
    lab.at_weight(rollout, 20)
    kill_and_see_it_go_on(lab, rollout, "workflows")
    # A weight that is recorded and not seen yet: the step that wrote it down is at work, or just done.
    lab.until(rollout, "a weight that was not seen yet", lambda now: now.want != now.seen)
    kill_and_see_it_go_on(lab, rollout, "rollout_step")
    ended = lab.ended(rollout)
    assert (ended.state, ended.seen) == ("promoted", 100)
    assert weights(lab, rollout) == [20, 50, 98, 100]


def kill_and_see_it_go_on(lab: Lab, rollout: RolloutRecord, name: str) -> None:
    """`kill -9` a process: another takes its place, and the rollout ticks twice (one tick may have been under way)."""
    before = lab.processes()[name]
    seq = lab.stage.read(rollout.id).seq
    os.kill(before, signal.SIGKILL)

    def ticked() -> bool | None:
        now = lab.stage.read(rollout.id)
        return True if now.seq >= seq + 2 or now.ended == "yes" else None

    lab.stage.until(ticked, f"the rollout goes on without the first {name}", GOES_ON_S)
    after = lab.processes()
    assert name in after
    assert after[name] != before


def test_every_event_is_recorded_exactly_once_though_it_comes_three_times(lab: Lab) -> None:
    stage = lab.stage
    subscription = f"{stage.site.url('pubsub-rest')}/local/v1/subscriptions/repo-pushed-on-repo-push"

    def all_came() -> bool | None:
        told = stage.ask("GET", subscription, {})
        assert told["faults"] == {"drop": 0, "duplicate": 3, "delay_s": 0.0, "reorder": 1, "lose_acks": 0}
        return True if told["unacknowledged"] == 0 else None

    stage.until(all_came, "every copy of every event was taken", SOON_S)
    events = [event for event in stage.events() if event.type == REPO_PUSHED]
    assert Counter(event.subject.rpartition("@")[2] for event in events) == Counter(stage.pushed)
    assert {(event.state, event.result) for event in events} == {("done", "applied")}
    assert all(event.deliveries > 1 for event in events)


def test_every_commit_leads_to_one_rollout_and_each_ends_as_it_should(lab: Lab) -> None:
    for name in SERVICES:
        first, *later = [lab.ended(rollout).state for rollout in lab.stage.rollouts(name)]
        assert 1 + len(later) == lab.asked[name]
        assert first == "promoted"
        assert set(later) <= ({"aborted"} if name == HASTY else {"promoted"})


def test_the_command_tells_of_a_live_cloud_what_the_ledger_has(lab: Lab) -> None:
    stage = lab.stage
    status = lab.pointsman("status").splitlines()
    assert status[0].split()[:3] == ["NAMESPACE", "SERVICE", "STABLE"]
    serving = {name: service.stable for name in SERVICES if (service := stage.service(name))}
    assert {line.split()[1]: line.split()[2] for line in status[1:]} == serving

    rollouts = [rollout for name in SERVICES for rollout in stage.rollouts(name)]
    listed = json.loads(lab.pointsman("rollouts", "list", "-o", "json"))
    assert listed["kind"] == "RolloutList"
    assert {item["metadata"]["name"]: item["status"]["state"] for item in listed["items"]} == {
        rollout.id: rollout.state for rollout in rollouts
    }
    shown = lab.pointsman("rollouts", "list").splitlines()[1:]
    assert Counter(line.split()[2] for line in shown) == Counter(rollout.id[:12] for rollout in rollouts)

    events = json.loads(lab.pointsman("events", "list", "-o", "json"))
    commits = Counter(item["status"]["subject"].rpartition("@")[2] for item in events["items"])
    assert {commit: commits[commit] for commit in stage.pushed} == dict.fromkeys(stage.pushed, 1)
    told = lab.pointsman("events", "list")
    assert told.count("repo.pushed") == len(stage.pushed)

    why = json.loads(lab.pointsman("why", f"{NAMESPACE}/{SHAKEN}", "-o", "json"))
    assert why["service"] == f"{NAMESPACE}/{SHAKEN}"
    assert "promoted" in why["state"]


LOGGED = 'logging_googleapis_com:user_pointsman_%s{monitored_resource="cloud_run_revision"}'


def test_dashboards_have_the_series_that_they_ask_for_and_these_count_what_happened(lab: Lab) -> None:
    """Of each source one and more: the log, the services themselves, the load balancer, the pods."""
    url = f"{lab.stage.environment['POINTSMAN_PROMETHEUS_URL']}/api/v1/query"

    def total(promql: str) -> float:
        with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode({'query': promql})}", timeout=10) as answer:
            found = json.loads(answer.read())["data"]["result"]
        return sum(float(sample["value"][1]) for sample in found)

    def seen(promql: str) -> float | None:
        return total(promql) or None

    rollouts = [rollout for name in SERVICES for rollout in lab.stage.rollouts(name)]
    counted = {
        f"increase({LOGGED % 'rollouts_ended'}[10m])": len(rollouts),
        f"increase({LOGGED % 'events_handled'}[10m])": len(lab.stage.pushed),
    }
    for promql, expected in counted.items():
        # A process that was killed in the middle takes its last count along: it is told the next time or never.
        lab.stage.until(partial(seen, promql), promql, SOON_S)
        assert 0 < total(promql) <= expected + 1, promql
    for promql in (
        f"increase({LOGGED % 'rollout_weight_seen_sum'}[10m])",
        f"increase({LOGGED % 'rollout_requests_count'}[10m])",
        'increase(workflows_googleapis_com:finished_execution_count{status="SUCCEEDED"}[10m])',
        "increase(pubsub_googleapis_com:topic_send_message_operation_count[10m])",
        'increase(run_googleapis_com:request_count{service_name="pointsman-rollout-step",response_code="200"}[10m])',
        "run_googleapis_com:request_latencies_count",
        "run_googleapis_com:container_startup_latencies_count",
        "pubsub_googleapis_com:subscription_num_undelivered_messages + 1",
        "increase(loadbalancing_googleapis_com:https_external_regional_request_count[10m])",
        "increase(loadbalancing_googleapis_com:https_external_regional_backend_latencies_count[10m])",
        f'max_over_time(model_quality{{namespace="{NAMESPACE}"}}[10m])',
        "max_over_time(model_drift[10m]) + 1",
    ):
        lab.stage.until(partial(seen, promql), promql, SOON_S)
