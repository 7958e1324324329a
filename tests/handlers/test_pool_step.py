"""pool_step as its workflows call it: who owns a pool, what is noted before it is done, whom to ring."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from tests.handlers.fake_node_pools import FakeNodePools
from tests.handlers.fakes import Crash, FakeBus, FakeLedger, FakeWorkflows, World, at
from tests.handlers.plane import Lines

from pointsman.core.notices import notice_of
from pointsman.core.pools import PoolMode, exhausted_until, released, with_hold, without_hold
from pointsman.core.records import DocumentRecord, PoolRecord
from pointsman.errors import Conflict, Invalid, QuotaExceeded, Unavailable
from pointsman.handlers.pool_step import Steps, handle

CLUSTER = "projects/p/locations/us-central1/clusters/local"
PLATFORM: dict[str, Any] = {
    "apiVersion": "pointsman.dev/v1",
    "kind": "Platform",
    "metadata": {"name": "demo"},
    "spec": {
        "clusters": [{"name": "local", "location": "us-central1"}],
        "gateway": {"name": "models", "namespace": "gateway"},
        "namespaces": [{"name": "demo", "paths": ["teams/demo"]}],
        "channels": [{"name": "oncall", "type": "Webhook", "url": "https://hooks.example.com/x"}],
        "defaults": {"channels": ["oncall"]},
    },
}
RESERVATION: dict[str, Any] = {
    "machineType": "e2-standard-4",
    "provisioning": "Reservation",
    "reservation": "demo",
    "zones": ["us-central1-a"],
}
ON_DEMAND: dict[str, Any] = {"machineType": "e2-standard-4"}
CALLBACK = "https://workflowexecutions.googleapis.com/v1/callbacks/1"


@dataclass
class Desk:
    """A cluster, a ledger with a Platform and the pool `cpu`, and a clock that a test moves."""

    now: datetime = field(default_factory=at)
    world: World = field(default_factory=World)
    mode: PoolMode = "full"
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.world)
        self.workflows = FakeWorkflows(self.world)
        self.bus = FakeBus(self.world)
        self.log = Lines()
        self.pools = FakeNodePools(self.now, self.world)
        self.document("Platform", "demo", PLATFORM)
        self.pool(RESERVATION, ON_DEMAND)

    def document(self, kind: str, name: str, document: dict[str, Any]) -> None:
        self.ledger.put(DocumentRecord(kind, "", name, document, "c0ffee", "pools.yaml", "0"))

    def pool(self, *candidates: dict[str, Any], most: int = 4, least: int = 0) -> None:
        spec = {"nodes": {"max": most, "min": least}, "candidates": list(candidates)}
        header = {"apiVersion": "pointsman.dev/v1", "kind": "AcceleratorPool", "metadata": {"name": "cpu"}}
        self.document("AcceleratorPool", "cpu", {**header, "spec": spec})

    def hold(self, key: str = "r1", nodes: int = 1) -> None:
        saved = self.ledger.read(PoolRecord, "cpu")
        before = saved.record if saved else PoolRecord(name="cpu")
        self.ledger.put(with_hold(before, key, nodes_more=nodes, nodes_min=0, why="2 pods wait", now=self.now))

    @property
    def record(self) -> PoolRecord:
        return self.ledger.get(PoolRecord, "cpu")

    def execution(self) -> str:
        return self.workflows.start("provision-pool", {"pool": "cpu"})

    def ask(self, verb: str, execution: str, callback: str | None = None) -> dict[str, Any]:
        self.pools.now = self.now
        steps = Steps(self.ledger, self.workflows, self.bus, self._cluster, self.mode, "p", self.log)
        request = {"pool": "cpu", "execution": execution, "callback": callback}
        return dict(handle(verb, request, steps, self.now))

    def inspect(self) -> Any:
        return self.ask("inspect", "")["findings"]

    def _cluster(self, name: str) -> FakeNodePools:
        assert name == CLUSTER
        return self.pools

    def run(self, execution: str, callback: str | None = None, until: int = 200) -> dict[str, Any]:
        """What provision-pool.yaml does, in virtual time."""
        answer = self.ask("claim", execution, callback)
        if answer["outcome"] is not None:
            return answer
        for _ in range(until):
            answer = self.ask("finish" if answer["done"] and answer["state"] != "claimed" else "advance", execution)
            if answer["outcome"] is not None or "ring" in answer:
                return answer
            self.now += timedelta(seconds=answer["wait_s"])
        raise AssertionError(f"not done after {until} calls: {self.record}")

    def notices(self) -> list[tuple[str, str]]:
        found = [notice_of(event) for event in self.bus.on("notices")]
        return [(notice.notice, notice.text) for notice in found]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_stock_out_of_the_first_candidate_is_noted_and_the_second_is_had(desk: Desk) -> None:
    desk.pools.missing = {"demo"}
    desk.hold()
    answer = desk.run(desk.execution(), CALLBACK)
    assert answer == {"state": "ready", "wait_s": 0.0, "done": True, "outcome": None, "need": None, "ring": [CALLBACK]}
    reserved, on_demand = desk.pools.pools.values()
    assert (reserved.status, reserved.nodes_min, on_demand.nodes_ready) == ("ERROR", 0, 1)
    assert "[GCE_STOCKOUT]" in desk.record.stockouts[reserved.name].why
    assert (desk.record.candidate, desk.record.seen, desk.record.execution) == (on_demand.name, 1, None)
    assert desk.record.callbacks == ()
    assert desk.notices() == [("PoolScaled", "1 nodes ready, 1 wanted")]


def test_an_exhausted_ladder_says_what_was_tried_and_when_to_try_again(desk: Desk) -> None:
    desk.pools.missing = {"demo", "e2-standard-4"}
    desk.hold()
    answer = desk.run(desk.execution(), CALLBACK)
    assert (answer["state"], answer["ring"]) == ("exhausted", [CALLBACK])
    reserved, on_demand = desk.pools.pools
    assert f"{reserved}: [GCE_STOCKOUT]" in desk.record.reason
    assert f"{on_demand}: no ready node within 10m" in desk.record.reason
    assert exhausted_until(desk.record, "r1") == desk.record.retry_at
    ((kind, text),) = desk.notices()
    assert kind == "PoolExhausted"
    assert desk.record.retry_at is not None
    assert text.endswith(f"Next try: {desk.record.retry_at:%H:%M} UTC")


def test_a_second_live_execution_is_a_duplicate_and_its_parent_is_rung_by_the_first(desk: Desk) -> None:
    desk.hold()
    first, second = desk.execution(), desk.execution()
    desk.ask("claim", first, CALLBACK)
    assert desk.ask("claim", second, f"{CALLBACK}0")["outcome"] == "duplicate"
    assert desk.run(first, CALLBACK)["ring"] == [CALLBACK, f"{CALLBACK}0"]


def test_who_was_overtaken_is_told_so_by_every_verb(desk: Desk) -> None:
    first, second = desk.execution(), desk.execution()
    desk.ask("claim", first)
    desk.workflows.end(first, "FAILED")
    assert desk.ask("claim", second)["outcome"] is None
    assert desk.ask("advance", first)["outcome"] == "superseded"
    assert desk.ask("finish", first)["outcome"] == "superseded"
    assert desk.record.token == 2


@pytest.mark.parametrize(
    ("state", "silent_s", "taken"),
    [
        pytest.param("SUCCEEDED", 0, True, id="ended"),
        pytest.param("ACTIVE", 60, False, id="alive"),
        pytest.param("ACTIVE", 90 + 179, False, id="late"),
        pytest.param("ACTIVE", 90 + 180, True, id="silent-for-two-leases"),
        pytest.param(None, 90 + 29, False, id="unknown-and-late"),
        pytest.param(None, 90 + 30, True, id="unknown-and-over"),
    ],
)
def test_a_pool_is_taken_over_from_who_ended_or_is_silent(desk: Desk, state: Any, silent_s: int, taken: bool) -> None:
    first = desk.execution() if state else "projects/p/locations/l/workflows/w/executions/gone"
    desk.ask("claim", first)
    if state == "SUCCEEDED":
        desk.workflows.end(first)
    desk.now += timedelta(seconds=silent_s)
    assert (desk.ask("claim", desk.execution())["outcome"] is None) is taken


def test_claiming_twice_keeps_the_token(desk: Desk) -> None:
    execution = desk.execution()
    desk.ask("claim", execution, CALLBACK)
    desk.ask("claim", execution, CALLBACK)
    assert (desk.record.token, desk.record.callbacks) == (1, (CALLBACK,))


def test_a_hold_that_comes_while_others_are_worked_off_is_worked_off_too(desk: Desk) -> None:
    desk.hold("r1")
    execution = desk.execution()
    desk.ask("claim", execution)
    while not desk.ask("advance", execution)["done"]:
        desk.now += timedelta(seconds=5)
    desk.hold("r2")
    assert desk.ask("finish", execution)["done"] is False
    assert desk.run(execution)["state"] == "ready"
    assert desk.record.seen == 2


def test_a_busy_node_pool_is_asked_again_and_its_time_has_not_begun(desk: Desk) -> None:
    desk.pool(ON_DEMAND)
    desk.hold()
    execution = desk.execution()
    desk.ask("claim", execution)
    answer = desk.ask("advance", execution)
    (name,) = desk.pools.pools
    desk.pools.refusing[name] = Unavailable("busy")
    desk.now += timedelta(seconds=40)
    desk.pools.pools[name] = replace(desk.pools.pools[name], nodes_min=0)
    answer = desk.ask("advance", execution)
    assert (answer["state"], answer["wait_s"], answer["done"]) == ("limiting", 5.0, False)
    assert desk.record.deadline == desk.now + timedelta(minutes=10)


def test_a_refusal_at_once_is_noted_like_one_that_comes_later(desk: Desk) -> None:
    desk.hold()
    execution = desk.execution()
    desk.ask("claim", execution)
    (first, *_) = (rung for rung in desk_rungs(desk))
    desk.pools.refusing[first] = QuotaExceeded("Insufficient regional quota")
    answer = desk.ask("advance", execution)
    assert answer["done"] is False
    assert desk.record.stockouts[first].why == "Insufficient regional quota"
    assert desk.run(execution)["state"] == "ready"


def desk_rungs(desk: Desk) -> list[str]:
    from pointsman.core.pool_choice import rungs
    from pointsman.handlers.standing import pool_of

    return [rung.name for rung in rungs(pool_of(desk.ledger, "cpu"))]


def test_a_pool_without_a_document_ends_with_the_reason(desk: Desk) -> None:
    desk.ledger.put(PoolRecord(name="gone"))
    steps = Steps(desk.ledger, desk.workflows, desk.bus, desk._cluster, "full", "p", desk.log)
    request = {"pool": "gone", "execution": desk.execution(), "callback": CALLBACK}
    handle("claim", request, steps, desk.now)
    assert handle("advance", request, steps, desk.now)["done"] is True
    assert handle("finish", request, steps, desk.now)["ring"] == [CALLBACK]
    assert desk.ledger.get(PoolRecord, "gone").reason == "no AcceleratorPool 'gone'"


def test_a_hold_that_is_released_lowers_the_minimum(desk: Desk) -> None:
    desk.pool(ON_DEMAND)
    desk.hold()
    desk.run(desk.execution())
    (name,) = desk.pools.pools
    desk.ledger.put(without_hold(desk.record, "r1"))
    assert desk.inspect() == [
        {"pool": "cpu", "what": f"{name} keeps at least 1 nodes, 0 are needed", "start": "scale-pool"}
    ]
    desk.run(desk.execution())
    assert desk.pools.pools[name].nodes_min == 0
    assert desk.notices()[-1] == ("PoolScaled", f"{name} keeps at least 0 nodes, at most 4")
    desk.now += timedelta(minutes=1)
    assert desk.inspect() == []


def test_nodes_of_a_rollout_that_ended_are_kept_until_their_time_is_over(desk: Desk) -> None:
    desk.pool(ON_DEMAND)
    desk.hold()
    desk.run(desk.execution())
    (name,) = desk.pools.pools
    until = desk.now + timedelta(minutes=30)
    desk.ledger.put(released(desk.record, "r1", now=desk.now, until=until))
    assert desk.inspect() == []
    assert desk.run(desk.execution())["state"] == "ready"
    assert desk.pools.pools[name].nodes_min == 1
    desk.now = until
    assert desk.inspect()[0]["what"] == f"{name} keeps at least 1 nodes, 0 are needed"
    assert desk.run(desk.execution())["state"] == "ready"
    assert desk.pools.pools[name].nodes_min == 0
    desk.now += timedelta(minutes=1)
    assert desk.inspect() == []


def test_inspecting_finds_executions_that_ended_and_needs_that_nobody_works_off(desk: Desk) -> None:
    desk.hold()
    assert desk.inspect()[0]["what"] == "1 nodes short of what is held"
    execution = desk.execution()
    desk.ask("claim", execution)
    assert desk.inspect() == []
    desk.workflows.end(execution, "FAILED")
    assert desk.inspect()[0]["what"] == f"execution {execution} ended without finishing"


def test_an_exhausted_pool_is_found_once_its_time_has_come(desk: Desk) -> None:
    desk.pool({**ON_DEMAND, "cooldown": "30m"})
    desk.pools.missing = {"e2-standard-4"}
    desk.hold()
    desk.run(desk.execution())
    assert desk.inspect() == []
    assert desk.record.retry_at is not None
    desk.now = desk.record.retry_at
    assert desk.inspect()[0]["what"] == "1 nodes short of what is held"


def test_the_spending_of_other_pools_counts(desk: Desk) -> None:
    platform = {**PLATFORM, "spec": {**PLATFORM["spec"], "spendingCap": {"perHour": 0.20}}}
    desk.document("Platform", "demo", platform)
    desk.hold()
    assert desk.run(desk.execution())["state"] == "ready"
    header = {"apiVersion": "pointsman.dev/v1", "kind": "AcceleratorPool", "metadata": {"name": "other"}}
    spec = {"nodes": {"max": 4}, "candidates": [ON_DEMAND]}
    desk.document("AcceleratorPool", "other", {**header, "spec": spec})
    desk.ledger.put(PoolRecord(name="other", wanted=1))
    desk.hold("r2")
    assert desk.run(desk.execution())["state"] == "exhausted"
    assert "would be over the spending cap of 0.20" in desk.record.reason


def test_observing_touches_nothing(desk: Desk) -> None:
    desk.mode = "observe"
    desk.hold()
    assert desk.run(desk.execution())["state"] == "exhausted"
    assert desk.pools.pools == {}


def test_malformed_requests_are_the_callers_mistake(desk: Desk) -> None:
    with pytest.raises(Invalid, match="pool is missing"):
        handle("claim", {}, cast("Steps", None), desk.now)
    with pytest.raises(Invalid, match="no verb 'provision'"):
        desk.ask("provision", "e1")


def test_a_lost_compare_and_set_is_an_answer(desk: Desk) -> None:
    desk.hold()
    execution = desk.execution()
    desk.ask("claim", execution)
    desk.world.failing["ledger.save"] = [Conflict("somebody wrote first")]
    assert desk.ask("advance", execution)["wait_s"] == 0.0
    assert desk.pools.pools == {}
    assert desk.run(execution)["state"] == "ready"


@pytest.mark.parametrize("crash_after", range(1, 40))
def test_whatever_call_a_function_dies_after_the_next_execution_gets_the_nodes(crash_after: int) -> None:
    desk = Desk(world=World(crash_after=None))
    desk.pools.missing = {"demo"}
    desk.hold()
    first = desk.execution()
    desk.world.calls.clear()
    desk.world.crash_after = crash_after
    try:
        desk.run(first, CALLBACK)
    except Crash:
        desk.world.restart()
        desk.workflows.end(first, "FAILED")
        desk.run(desk.execution(), CALLBACK)
    assert desk.record.seen >= 1
    assert desk.record.execution is None
    assert len(desk.pools.pools) == 2
    assert sum(pool.nodes_ready for pool in desk.pools.pools.values()) == 1
