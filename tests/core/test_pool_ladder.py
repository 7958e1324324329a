"""How the ladder of an AcceleratorPool gets from one candidate to the next, and when it ends."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.pool_samples import (
    ON_DEMAND,
    RESERVATION,
    SPOT,
    T0,
    TERRAFORM,
    after,
    held,
    names,
    node_pool,
    pool,
    world,
)

from pointsman.core.pool_ladder import Create, Delete, Limit, Move, Resize, World, advance, refused, targets
from pointsman.core.pools import Operation, PoolMode
from pointsman.core.records import PoolRecord, StockOutNote
from pointsman.documents.pool import AcceleratorPool
from pointsman.errors import Denied, Invalid, PointsmanError, QuotaExceeded, StockOut, Unavailable


def test_the_first_move_creates_the_first_candidate_s_pool_empty_and_autoscaled() -> None:
    document = pool(ON_DEMAND, SPOT)
    move = advance(world(document), held(2), T0)
    assert move.action == Create(names(document)[0], document.spec.candidates[0], nodes=0, nodes_min=2, nodes_max=4)
    assert (move.state, move.tracked, move.done) == ("creating", True, False)
    assert move.record.candidate == names(document)[0]
    assert move.record.deadline == after(600)


def test_a_reservation_is_created_with_its_nodes() -> None:
    document = pool(RESERVATION)
    assert advance(world(document), held(2), T0).action == Create(
        names(document)[0], document.spec.candidates[0], nodes=2, nodes_min=2, nodes_max=4
    )


def climbing(document: AcceleratorPool, index: int = 0, **fields: Any) -> PoolRecord:
    """The record while the candidate `index` is tried for one node."""
    return held(1, **{"candidate": names(document)[index], "deadline": after(600), **fields})


def operation(error: PointsmanError | None = None, *, done: bool = True) -> Operation:
    return Operation("op-1", done=done, error=error)


def test_a_running_operation_is_waited_for() -> None:
    document = pool(ON_DEMAND)
    seen = world(document, node_pool(names(document)[0], status="PROVISIONING"), operation=operation(done=False))
    record = climbing(document, operation="op-1")
    assert advance(seen, record, after(8)) == Move(replace(record, wanted=1), "waiting", 2.0)


def test_waits_grow_with_the_time_waited() -> None:
    document = pool(ON_DEMAND)
    seen = world(document, node_pool(names(document)[0], limits=(1, 4)))
    waits = [advance(seen, climbing(document), after(seconds)).wait_s for seconds in (0, 8, 60, 500)]
    assert waits == [0.5, 2.0, 15.0, 30.0]


@pytest.mark.parametrize(
    ("error", "cooldown_s"),
    [
        pytest.param(StockOut("out of machines"), 300, id="stock-out"),
        pytest.param(QuotaExceeded("NVIDIA_L4_GPUS"), 1800, id="quota"),
        pytest.param(Unavailable("Internal error."), 300, id="failure"),
    ],
)
def test_an_operation_that_fails_is_noted_and_the_next_candidate_is_asked_at_once(
    error: PointsmanError, cooldown_s: int
) -> None:
    document = pool(RESERVATION, ON_DEMAND)
    first, second = names(document)
    failed = node_pool(first, status="ERROR", limits=(1, 4))
    seen = world(document, failed, operation=operation(error))
    move = advance(seen, climbing(document, operation="op-1"), T0)
    assert move.record.stockouts[first] == StockOutNote(after(cooldown_s), error.what, 1, at=T0)
    assert move.action == Create(second, document.spec.candidates[1], nodes=0, nodes_min=1, nodes_max=4)
    assert move.record.draining == {first: T0}


@pytest.mark.parametrize("error", [Invalid("reservation not found"), Denied("no right to act as that account")])
def test_the_users_mistake_is_no_reason_to_pay_for_another_machine(error: PointsmanError) -> None:
    document = pool(RESERVATION, ON_DEMAND)
    seen = world(document, operation=operation(error))
    move = advance(seen, climbing(document, operation="op-1"), T0)
    assert (move.state, move.done) == ("exhausted", True)
    assert error.what in move.record.reason


def test_a_deadline_that_passes_is_a_stock_out_even_while_the_operation_runs() -> None:
    document = pool(RESERVATION, ON_DEMAND)
    first, second = names(document)
    seen = world(document, node_pool(first, status="PROVISIONING"), operation=operation(done=False))
    move = advance(seen, climbing(document, operation="op-1"), after(600))
    assert move.record.stockouts[first].why == "no ready node within 10m"
    assert isinstance(move.action, Create)
    assert move.action.pool == second


def test_limits_of_a_pool_that_is_there_are_moved_and_then_its_nodes_are_waited_for() -> None:
    document = pool(ON_DEMAND)
    (name,) = names(document)
    move = advance(world(document, node_pool(name, limits=(0, 4))), held(2), T0)
    assert move.action == Limit(name, 2, 4)
    assert advance(world(document, node_pool(name, limits=(2, 4))), move.record, after(1)).state == "waiting"


def test_enough_ready_nodes_settle_the_ladder_and_forgive_the_candidate() -> None:
    document = pool(ON_DEMAND)
    (name,) = names(document)
    record = climbing(document, stockouts={name: StockOutNote(after(-60), "before", 2)})
    move = advance(world(document, node_pool(name, ready=1, limits=(1, 4))), record, after(5))
    assert (move.state, move.done, move.record.seen) == ("ready", True, 1)
    assert (move.record.deadline, move.record.stockouts, move.record.retry_at) == (None, {}, None)


def test_the_minimum_of_a_pool_left_behind_is_lowered_while_the_next_one_s_nodes_come() -> None:
    document = pool(RESERVATION, ON_DEMAND)
    first, second = names(document)
    seen = world(document, node_pool(first, status="ERROR", limits=(1, 4)), node_pool(second, limits=(1, 4)))
    move = advance(seen, climbing(document, 1, draining={first: T0}), after(1))
    assert move.action == Limit(first, 0, 1)
    assert not move.tracked


def test_a_minimum_that_nobody_holds_any_more_is_lowered() -> None:
    document = pool(ON_DEMAND, least=1)
    (name,) = names(document)
    record = PoolRecord(name="l4", candidate=name, since=T0)
    move = advance(world(document, node_pool(name, ready=3, limits=(3, 4))), record, after(1))
    assert (move.action, move.tracked) == (Limit(name, 1, 4), False)
    assert advance(world(document, node_pool(name, ready=3, limits=(1, 4))), record, after(2)).done


def test_a_busy_pool_does_not_keep_a_settled_ladder_from_ending() -> None:
    document = pool(ON_DEMAND)
    (name,) = names(document)
    record = PoolRecord(name="l4", candidate=name, since=T0)
    assert advance(world(document, node_pool(name, status="RECONCILING", limits=(3, 4))), record, T0).done


def test_tidying_has_a_bound() -> None:
    document = pool(ON_DEMAND)
    (name,) = names(document)
    record = PoolRecord(name="l4", candidate=name, since=T0)
    assert advance(world(document, node_pool(name, limits=(3, 4))), record, after(119)).action is not None
    assert advance(world(document, node_pool(name, limits=(3, 4))), record, after(120)).done


def test_a_pool_in_error_from_an_earlier_time_is_made_anew() -> None:
    document = pool(RESERVATION)
    (name,) = names(document)
    record = held(1, draining={name: after(-300)}, stockouts={name: StockOutNote(T0, "out of stock", 1)})
    move = advance(world(document, node_pool(name, status="ERROR")), record, T0)
    assert (move.action, move.tracked) == (Delete(name), True)
    again = advance(world(document), move.record, after(1))
    assert isinstance(again.action, Create)
    assert again.record.draining == {}


def test_a_pool_found_in_error_after_a_crash_is_noted() -> None:
    document = pool(RESERVATION, ON_DEMAND)
    first, second = names(document)
    failed = node_pool(first, status="ERROR", conditions=("GCE_STOCKOUT: no machines",))
    move = advance(world(document, failed), climbing(document), after(5))
    assert move.record.stockouts[first].why == "GCE_STOCKOUT: no machines"
    assert move.record.candidate == second


def test_an_empty_pool_of_no_use_goes_after_ten_minutes_and_only_in_full() -> None:
    document = pool(ON_DEMAND)
    old = node_pool("l4-00000000", limits=(0, 1))
    record = PoolRecord(name="l4", draining={old.name: T0}, since=after(599))
    assert advance(world(document, old), record, after(599)).action is None
    assert advance(world(document, old), record, after(600)).action == Delete(old.name)
    assert advance(world(document, old, mode="resize"), record, after(600)).action is None


def test_a_pool_that_has_nodes_is_not_deleted_and_loses_its_mark() -> None:
    document = pool(ON_DEMAND)
    old = node_pool("l4-00000000", ready=1, limits=(0, 1))
    move = advance(world(document, old), PoolRecord(name="l4", draining={old.name: T0}, since=T0), after(900))
    assert (move.action, move.record.draining) == (None, {})


def test_a_foreign_pool_moves_within_its_own_limits() -> None:
    document = pool(TERRAFORM, most=8)
    foreign = node_pool("l4-terraform", ready=1, limits=(1, 3), created_by_us=False)
    assert advance(world(document, foreign), held(5), T0).action == Limit("l4-terraform", 3, 3)


def test_a_pool_without_an_autoscaler_is_enlarged_and_never_shrunk() -> None:
    document = pool(TERRAFORM, most=8)
    fixed = node_pool("l4-terraform", ready=1, limits=(0, 0), autoscaled=False, created_by_us=False)
    fixed = replace(fixed, nodes_max=5)
    assert advance(world(document, fixed), held(3), T0).action == Resize("l4-terraform", 3)
    assert advance(world(document, fixed), PoolRecord(name="l4", since=T0), T0).action is None


def test_observing_does_nothing_but_says_which_candidate_and_gives_up_in_time() -> None:
    document = pool(ON_DEMAND, SPOT)
    first, second = names(document)
    move = advance(world(document, mode="observe"), held(1), T0)
    assert (move.action, move.state, move.record.candidate) == (None, "waiting", first)
    move = advance(world(document, mode="observe"), move.record, after(600))
    assert (move.action, move.record.candidate) == (None, second)
    move = advance(world(document, mode="observe"), move.record, after(1200))
    assert (move.state, move.record.retry_at) == ("exhausted", after(1200))


def test_a_pool_at_its_maximum_says_so_to_rollouts_that_need_more() -> None:
    document = pool(ON_DEMAND, most=2)
    (name,) = names(document)
    move = advance(world(document, node_pool(name, ready=2, limits=(2, 2))), held(3), T0)
    assert (move.state, move.record.reason) == ("exhausted", "all 2 nodes of nodes.max are taken, 1 more are needed")


def test_an_error_while_only_tidying_ends_the_ladder_with_its_reason() -> None:
    document = pool(ON_DEMAND)
    move = refused(world(document), PoolRecord(name="l4"), Invalid("no autoscaler"), T0)
    assert (move.state, move.done, move.record.reason) == ("ready", True, "no autoscaler")


def test_an_operation_that_nobody_knows_any_more_counts_as_ended() -> None:
    document = pool(ON_DEMAND)
    (name,) = names(document)
    move = advance(world(document, node_pool(name, limits=(1, 4))), climbing(document, operation="lost"), after(1))
    assert (move.state, move.record.operation) == ("waiting", None)


STATUSES: list[Literal["PROVISIONING", "RUNNING", "RUNNING_WITH_ERROR", "RECONCILING", "STOPPING", "ERROR"]] = [
    "PROVISIONING",
    "RUNNING",
    "RUNNING_WITH_ERROR",
    "RECONCILING",
    "STOPPING",
    "ERROR",
]


@st.composite
def situations(draw: st.DrawFn) -> tuple[World, PoolRecord]:
    """Any document of three candidates, with any of its node pools in any status, at any point of a climb."""
    document = pool(RESERVATION, ON_DEMAND, SPOT, most=draw(st.integers(1, 6)))
    seen = []
    for name in [*names(document), "l4-00000000"]:
        if draw(st.booleans()):
            limits = (draw(st.integers(0, 6)), draw(st.integers(1, 6)))
            seen.append(node_pool(name, draw(st.integers(0, 6)), limits, status=draw(st.sampled_from(STATUSES))))
    deadline = draw(st.none() | st.integers(-600, 600).map(after))
    record = held(
        draw(st.integers(0, 8)),
        candidate=draw(st.none() | st.sampled_from(names(document))),
        deadline=deadline,
        operation=draw(st.none() | st.just("op-1")),
        draining=dict.fromkeys(draw(st.lists(st.sampled_from(names(document)), unique=True)), T0),
    )
    error = draw(st.sampled_from([None, StockOut("s"), QuotaExceeded("q"), Invalid("i"), Unavailable("u")]))
    found = draw(st.none() | st.just(operation(error)) | st.just(operation(done=False)))
    mode: PoolMode = draw(st.sampled_from(["observe", "resize", "full"]))
    return World(document, {item.name: item for item in seen}, mode, found), record


@given(situations())
def test_every_situation_has_a_move_within_the_rights_given(situation: tuple[World, PoolRecord]) -> None:
    seen, record = situation
    move = advance(seen, record, T0)
    assert move.wait_s >= 0
    assert move.done == (move.action is None and move.state in ("ready", "exhausted"))
    if seen.mode == "observe":
        assert move.action is None
    if isinstance(move.action, (Create, Delete)):
        assert seen.mode == "full"
    if isinstance(move.action, Delete):
        assert seen.seen[move.action.pool].nodes_ready == 0
    if isinstance(move.action, (Create, Limit)):
        assert 0 <= move.action.nodes_min <= move.action.nodes_max
    if move.state == "exhausted":
        assert move.record.retry_at is not None


@given(situations())
def test_minima_together_never_pass_what_is_wanted(situation: tuple[World, PoolRecord]) -> None:
    seen, record = situation
    wanted = replace(record, wanted=seen.wanted(record, T0))
    assert sum(least for least, _ in targets(seen, wanted).values()) <= wanted.wanted
