"""roll-out.yaml and roll-back.yaml as they are deployed, with the real step function behind them, in virtual time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.handlers.rollout_cloud import Behaviour, Cloud, service

from pointsman.core.changes import undo
from pointsman.core.records import CommandRecord, PoolRecord
from pointsman.errors import PointsmanError, Unavailable
from pointsman.handlers import rollout_tick
from pointsman_local.workflows.compiler import deploy
from pointsman_local.workflows.errors import http_error
from pointsman_local.workflows.machine import Run
from pointsman_local.workflows.rehearsal import environment

WORKFLOWS = Path(__file__).parents[2] / "workflows"
CREATE = "googleapis.workflowexecutions.v1.projects.locations.workflows.executions.create"
STEP = "https://rollout-step-abc-uc.a.run.app"


class Deployed:
    """One execution of a workflow file. Connectors are kept and answered; HTTP goes to the cloud's step function."""

    def __init__(self, cloud: Cloud, rollout: str) -> None:
        self.cloud = cloud
        kind = cloud.rollout(rollout).kind
        workflow = "roll-out" if kind == "roll_out" else "roll-back"
        self.name = cloud.workflows.start(workflow, {"rollout": rollout})
        env = environment(workflow, "p", "us-central1") | {"ROLLOUT_STEP_URL": STEP}
        env["GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID"] = self.name.rpartition("/")[2]
        self.logs: list[Any] = []
        self.run = Run(
            deploy((WORKFLOWS / f"{workflow}.yaml").read_text()),
            name=self.name,
            env=env,
            clock=lambda: cloud.now.timestamp(),
            log=lambda severity, payload: self.logs.append(payload),
        )
        self.run.start({"rollout": rollout})
        self.created: list[tuple[str, Any]] = []
        self.verbs: list[str] = []
        self.refuse: Callable[[str], int] = lambda verb: 200
        self.no_connectors = False

    def go(self, until: Callable[[], bool] | None = None) -> "Deployed":
        """To the end, or until something is so after a call."""
        for _ in range(3000):
            self.run.advance()
            if self.run.outcome is not None or (until is not None and until()):
                return self
            if not self.run.ready:
                self._serve()
        raise AssertionError(f"no end: {self.verbs[-5:]}")

    @property
    def result(self) -> Any:
        assert self.run.outcome is not None
        assert self.run.outcome.result is not None, self.run.outcome.error
        return json.loads(self.run.outcome.result)

    def ring(self) -> None:
        (number,) = self.run.callbacks
        self.run.deliver(number, {"http_request": {}, "received_time": "", "type": "HTTP"})

    def _serve(self) -> None:
        for thread, ticket, wait in [*self.run.waits()]:
            if wait["kind"] == "http":
                assert wait["auth"] == {"type": "OIDC", "audience": STEP}
                self._post(thread, ticket, wait)
                return
            if wait["kind"] == "connector":
                assert wait["call"] == CREATE
                if self.no_connectors:
                    self.run.fail(thread, ticket, http_error(429, {}, None))
                    return
                arguments = wait["arguments"]
                self.created.append((arguments["parent"], json.loads(arguments["body"]["argument"])))
                self.run.resume(thread, ticket, {"name": "x"})
                return
        deadline = self.run.deadline()
        assert deadline is not None
        self.cloud.tick(deadline - self.cloud.now.timestamp())
        self.run.expire(self.cloud.now.timestamp())

    def _post(self, thread: int, ticket: int, wait: Any) -> None:
        verb = wait["url"].removeprefix(f"{STEP}/")
        self.verbs.append(verb)
        self.cloud.tick(0.02)
        body, status = wait["body"], self.refuse(verb)
        if status != 200:
            self.run.fail(thread, ticket, http_error(status, {}, None))
            return
        try:
            answer = self.cloud.call(verb, body["rollout"], body["execution"], body["callback"])
        except PointsmanError as error:
            self.run.fail(thread, ticket, http_error(503 if error.retry else 400, {}, error.as_json()))
        else:
            self.run.resume(thread, ticket, {"body": answer, "code": 200, "headers": {}})


def distinct(verbs: list[str]) -> list[str]:
    return [verb for number, verb in enumerate(verbs) if number == 0 or verbs[number - 1] != verb]


def test_a_good_revision_is_promoted_by_the_file_alone_within_its_budget_of_steps() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    ended = Deployed(cloud, rollout.id).go()
    assert ended.result == {"state": "promoted", "outcome": "promoted"}
    assert distinct(ended.verbs) == ["claim", "place", "advance", "finish"]
    assert ended.run.billed_steps < 12 * len(ended.verbs)
    assert len(ended.verbs) < 60


def test_a_bad_revision_is_given_back() -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    cloud.behaviours[rollout.to_revision] = Behaviour(errors=0.5)
    assert Deployed(cloud, rollout.id).go().result == {"state": "rolled_back", "outcome": "rolled_back"}


def test_a_way_back_is_carried_out_by_its_own_file() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    Deployed(cloud, cloud.push(service("v2"), "c2").id).go()
    back = cloud.open(undo(cloud.service, "undo by lea@example.com"), service("v2"), "c2")
    ended = Deployed(cloud, back.id).go()
    assert ended.result["outcome"] == "promoted"
    assert distinct(ended.verbs) == ["claim", "place", "restore", "finish"]
    assert cloud.route() == {old: 100}


def test_a_ring_ends_a_wait_at_once_and_is_waited_for_again() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    execution = Deployed(cloud, rollout.id).go(until=lambda: cloud.rollout(rollout.id).seen == 5)
    for verb in ("pause", "resume", "abort"):
        before = cloud.now
        cloud.command(rollout.id, verb)
        execution.ring()
        execution.go(until=lambda: all(command_taken(cloud)))
        assert (cloud.now - before).total_seconds() < 0.1, verb
    assert cloud.route()[old] == 100
    assert execution.go().result["outcome"] == "aborted"


def command_taken(cloud: Cloud) -> list[bool]:
    return [command.taken != "no" for command in cloud.ledger.all(CommandRecord)]


def test_nodes_are_asked_for_beside_and_the_one_who_brings_them_rings() -> None:
    cloud = Cloud()
    rollout = cloud.push(service("v1"))
    cloud.behaviours[rollout.to_revision] = Behaviour(room=False)
    execution = Deployed(cloud, rollout.id)
    execution.go(until=lambda: bool(execution.created))
    parent, argument = execution.created[0]
    assert parent == "projects/p/locations/us-central1/workflows/provision-pool"
    assert argument == {"pool": "cpu", "callback": cloud.rollout(rollout.id).callback}
    pool = cloud.ledger.get(PoolRecord, "cpu")
    cloud.ledger.put(PoolRecord("cpu", holds=pool.holds, execution="e9"))
    execution.go(until=lambda: len(execution.verbs) > 8)
    assert len(execution.created) == 1
    cloud.behaviours[rollout.to_revision] = Behaviour()
    cloud.tick(0.1)
    execution.ring()
    assert execution.go().result["outcome"] == "promoted"


def test_a_pool_workflow_that_can_not_be_started_does_not_give_the_rollout_back() -> None:
    cloud = Cloud()
    rollout = cloud.push(service("v1"))
    cloud.behaviours[rollout.to_revision] = Behaviour(room=False)
    execution = Deployed(cloud, rollout.id)
    execution.no_connectors = True
    execution.go(until=lambda: len(execution.logs) == 2)
    assert execution.logs[0]["event"] == "provision-pool-not-started"
    assert "give-back" not in execution.verbs
    execution.no_connectors = False
    execution.go(until=lambda: bool(execution.created))
    cloud.behaviours[rollout.to_revision] = Behaviour()
    assert execution.go().result["outcome"] == "promoted"


def test_transient_answers_are_tried_again() -> None:
    cloud = Cloud()
    rollout = cloud.push(service("v1"))
    execution = Deployed(cloud, rollout.id)
    execution.go(until=lambda: len(execution.verbs) == 3)
    cloud.world.failing["ledger.read"] = [Unavailable("ledger is away") for _ in range(3)]
    assert execution.go().result["outcome"] == "promoted"
    assert "give-back" not in execution.verbs


def test_a_step_that_fails_for_good_gives_back_and_the_execution_fails_with_what_it_was() -> None:
    cloud = Cloud()
    old = cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    execution = Deployed(cloud, rollout.id).go(until=lambda: cloud.rollout(rollout.id).seen == 25)
    execution.refuse = lambda verb: 500 if verb == "advance" else 200
    execution.go()
    assert execution.run.outcome is not None
    assert execution.run.outcome.error is not None
    failure: Any = execution.run.outcome.error.value
    assert failure["code"] == 500
    assert distinct(execution.verbs)[-3:] == ["advance", "give-back", "finish"]
    assert cloud.route() == {old: 100}
    assert cloud.rollout(rollout.id).state == "failed"


def test_an_execution_at_its_limit_creates_its_successor_with_the_same_argument(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud = Cloud()
    cloud.deployed("v1")
    rollout = cloud.push(service("v2"), "c2")
    monkeypatch.setattr(rollout_tick, "TICKS_MAX", 5)
    first = Deployed(cloud, rollout.id).go()
    assert first.result["outcome"] == "handed_over"
    assert first.created == [("projects/p/locations/us-central1/workflows/roll-out", {"rollout": rollout.id})]
    monkeypatch.setattr(rollout_tick, "TICKS_MAX", 2000)
    assert Deployed(cloud, rollout.id).go().result["outcome"] == "promoted"


def test_of_two_executions_one_is_a_duplicate_and_says_so() -> None:
    cloud = Cloud()
    rollout = cloud.push(service("v1"))
    first, second = Deployed(cloud, rollout.id), Deployed(cloud, rollout.id)
    first.go(until=lambda: len(first.verbs) == 2)
    assert second.go().result["outcome"] == "duplicate"
    assert second.verbs == ["claim"]
    assert first.go().result["outcome"] == "promoted"


def test_both_files_differ_in_their_verbs_alone() -> None:
    out, back = ((WORKFLOWS / f"{name}.yaml").read_text().splitlines() for name in ("roll-out", "roll-back"))
    differing = [(one, other) for one, other in zip(out, back, strict=True) if one != other]
    assert [line.strip() for line, _ in differing[1:]] == ['- verbs: ["claim", "place", "advance", "finish"]']
