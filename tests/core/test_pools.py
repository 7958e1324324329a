"""How many nodes are wanted, and which candidate is next."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.pool_samples import ON_DEMAND, RESERVATION, SPOT, T0, TERRAFORM, after, held, names, node_pool, pool

from pointsman.core.pool_choice import Budget, Choice, choose, noted, rungs
from pointsman.core.pools import (
    NodePool,
    PoolMode,
    exhausted_until,
    is_short,
    released,
    uncovered,
    wanted_nodes,
    with_hold,
    without_hold,
)
from pointsman.core.records import Hold, PoolRecord, StockOutNote
from pointsman.documents.pool import AcceleratorPool

# --- how many ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holds", "least", "most", "wanted"),
    [
        pytest.param({}, 0, 4, 0, id="nobody"),
        pytest.param({}, 2, 4, 2, id="the-minimum-of-the-document"),
        pytest.param({"r1": 1, "demo/burn": 2}, 0, 4, 3, id="holds-add-up"),
        pytest.param({"r1": 1}, 2, 4, 2, id="a-hold-below-the-minimum"),
        pytest.param({"r1": 3, "r2": 3}, 0, 4, 4, id="capped"),
    ],
)
def test_wanted_is_the_larger_of_minimum_and_holds_at_most_the_maximum(
    holds: dict[str, int], least: int, most: int, wanted: int
) -> None:
    record = PoolRecord(name="l4", holds={key: Hold(nodes, "", T0) for key, nodes in holds.items()})
    assert wanted_nodes(record, nodes_min=least, nodes_max=most, now=T0) == wanted


def test_a_hold_with_an_end_counts_until_then() -> None:
    record = PoolRecord(name="l4", holds={"demo/burn": Hold(2, "alert", T0, until=after(60))})
    assert wanted_nodes(record, nodes_min=0, nodes_max=4, now=after(59)) == 2
    assert wanted_nodes(record, nodes_min=0, nodes_max=4, now=after(60)) == 0


def test_a_hold_asks_for_nodes_beyond_those_that_are_there() -> None:
    record = PoolRecord(name="l4", seen=2, holds={"r1": Hold(1, "", T0)})
    record = with_hold(record, "r2", nodes_more=1, nodes_min=0, why="pods", now=T0)
    assert record.holds["r2"].nodes == 2
    assert wanted_nodes(record, nodes_min=0, nodes_max=9, now=T0) == 3


def test_asking_again_while_an_execution_works_on_it_does_not_add_up() -> None:
    record = PoolRecord(name="l4", execution="e1")
    once = with_hold(record, "r1", nodes_more=1, nodes_min=0, why="pods", now=T0)
    again = with_hold(replace(once, seen=1), "r1", nodes_more=1, nodes_min=0, why="pods", now=after(5))
    assert again.holds == once.holds


def test_asking_again_later_raises_the_hold_and_keeps_when_it_began() -> None:
    record = with_hold(PoolRecord(name="l4"), "r1", nodes_more=1, nodes_min=0, why="pods", now=T0)
    came = replace(record, seen=1, came_at=after(60))
    soon = with_hold(came, "r1", nodes_more=1, nodes_min=0, why="pods", now=after(359))
    assert soon.holds["r1"].nodes == 1  # the pods may still be on their way to the new node
    later = with_hold(came, "r1", nodes_more=1, nodes_min=0, why="pods", now=after(360))
    assert later.holds["r1"] == Hold(2, "pods", T0)


def test_an_alert_that_fires_again_asks_for_more_at_once() -> None:
    came = PoolRecord(name="l4", seen=1, came_at=T0, holds={"demo/burn": Hold(1, "alert", T0)})
    assert with_hold(came, "demo/burn", nodes_more=1, nodes_min=0, why="alert", now=T0).holds["demo/burn"].nodes == 2


@pytest.mark.parametrize(
    ("seen", "execution", "short"),
    [
        pytest.param(1, None, True, id="short"),
        pytest.param(1, "e1", False, id="somebody-works-on-it"),
        pytest.param(2, None, False, id="enough"),
        pytest.param(3, None, False, id="more-than-enough"),
    ],
)
def test_a_pool_is_short_when_nobody_works_off_what_is_held(seen: int, execution: str | None, short: bool) -> None:
    assert is_short(held(2, seen=seen, execution=execution), nodes_min=0, nodes_max=4, now=T0) is short


def test_a_pool_is_short_of_nodes_that_it_may_not_have() -> None:
    assert is_short(held(5, seen=4), nodes_min=0, nodes_max=4, now=T0)
    assert not is_short(held(4, seen=4), nodes_min=0, nodes_max=4, now=T0)


@pytest.mark.parametrize(
    ("nodes", "seen", "others", "kept"),
    [
        pytest.param(2, 2, {}, 2, id="all-there"),
        pytest.param(2, 1, {}, 1, id="one-came"),
        pytest.param(2, 0, {}, None, id="none-came"),
        pytest.param(2, 3, {"r2": 2}, 1, id="others-hold-the-rest"),
        pytest.param(2, 2, {"demo/burn": 3}, None, id="others-hold-them-all"),
    ],
)
def test_a_rollout_that_ended_keeps_nodes_that_are_there_for_a_while(
    nodes: int, seen: int, others: dict[str, int], kept: int | None
) -> None:
    holds = {key: Hold(count, "", T0) for key, count in {"r1": nodes, **others}.items()}
    record = released(PoolRecord(name="l4", seen=seen, holds=holds), "r1", now=after(10), until=after(70))
    expected = {"r1": Hold(kept, "", T0, until=after(70))} if kept else {}
    assert record.holds == {**expected, **{key: holds[key] for key in others}}
    assert wanted_nodes(record, nodes_min=0, nodes_max=9, now=after(70)) == sum(others.values())
    assert released(record, "unknown", now=T0, until=after(60)) is record


def test_whoever_needs_nodes_takes_over_what_an_ended_rollout_left() -> None:
    left = PoolRecord(name="l4", seen=2, holds={"r1": Hold(3, "", T0, until=after(1800))})
    record = with_hold(left, "r2", nodes_more=1, nodes_min=0, why="pods", now=T0)
    assert {key: hold.nodes for key, hold in record.holds.items()} == {"r2": 3}
    assert uncovered(record, nodes_max=3, now=T0) == 0
    assert uncovered(left, nodes_max=2, now=T0) == 0, "nobody waits for it"


@given(
    others=st.dictionaries(st.sampled_from(["r1", "r2", "demo/burn"]), st.integers(0, 5)),
    seen=st.integers(0, 8),
    least=st.integers(0, 4),
    more=st.integers(1, 4),
)
def test_a_hold_raises_the_minimum_by_exactly_what_is_asked_for(
    others: dict[str, int], seen: int, least: int, more: int
) -> None:
    record = PoolRecord(name="l4", seen=seen, holds={key: Hold(nodes, "", T0) for key, nodes in others.items()})
    there = max(wanted_nodes(record, nodes_min=least, nodes_max=99, now=T0), seen)
    held_now = with_hold(record, "new", nodes_more=more, nodes_min=least, why="", now=T0)
    assert wanted_nodes(held_now, nodes_min=least, nodes_max=99, now=T0) == there + more
    assert without_hold(held_now, "new").holds == record.holds


def test_only_rollouts_can_be_uncovered() -> None:
    record = PoolRecord(name="l4", holds={"r1": Hold(3, "", T0), "demo/burn": Hold(3, "", T0)})
    assert uncovered(record, nodes_max=2, now=T0) == 1
    assert uncovered(record, nodes_max=3, now=T0) == 0


@pytest.mark.parametrize(
    ("record", "until"),
    [
        pytest.param(held(1, retry_at=after(300)), after(300), id="tried-for-this-hold"),
        pytest.param(held(1, retry_at=after(300), execution="e1"), None, id="still-working"),
        pytest.param(replace(held(1, retry_at=after(300)), since=after(-1)), None, id="tried-before-this-hold"),
        pytest.param(held(1), None, id="not-exhausted"),
    ],
)
def test_a_rollout_learns_that_the_ladder_was_climbed_in_vain_for_it(
    record: PoolRecord, until: datetime | None
) -> None:
    assert exhausted_until(record, "r1") == until


# --- which candidate --------------------------------------------------------------------------------------


def choice(document: AcceleratorPool, record: PoolRecord, *seen: NodePool, **given: Any) -> Choice:
    options: dict[str, Any] = {"wanted": 1, "budget": Budget(), "mode": "full", "now": T0, **given}
    return choose(rungs(document), record, {found.name: found for found in seen}, **options)


def test_candidates_are_tried_in_the_order_of_the_document() -> None:
    document = pool(RESERVATION, ON_DEMAND, SPOT)
    record = PoolRecord(name="l4")
    order = []
    for _ in range(3):
        found = choice(document, record).rung
        assert found is not None
        order.append(found.name)
        record = noted(record, found, "out of stock", T0)
    assert order == names(document)
    exhausted = choice(document, record)
    assert exhausted.rung is None
    assert exhausted.retry_at == after(300)
    assert exhausted.passed_over == tuple(f"{name}: out of stock" for name in order)


def test_a_candidate_is_asked_again_once_its_cooldown_is_over() -> None:
    document = pool(RESERVATION, ON_DEMAND)
    record = noted(PoolRecord(name="l4"), rungs(document)[0], "out of stock", T0)
    first, second = rungs(document)
    assert choice(document, record, now=after(299)).rung == second
    assert choice(document, record, now=after(300)).rung == first


def test_one_climb_asks_each_candidate_once_however_short_its_cooldown() -> None:
    document = pool(RESERVATION, ON_DEMAND)
    first, second = rungs(document)
    record = noted(PoolRecord(name="l4", since=T0), first, "out of stock", after(1))
    assert choice(document, record, now=after(900)).rung == second
    assert choice(document, replace(record, since=after(2)), now=after(900)).rung == first


def test_the_cooldown_doubles_with_stock_outs_in_a_row_up_to_six_times() -> None:
    (rung,) = rungs(pool(ON_DEMAND))
    record, now, minutes = PoolRecord(name="l4"), T0, []
    for _ in range(5):
        record = noted(record, rung, "out of stock", now)
        minutes.append((record.stockouts[rung.name].until - now).total_seconds() / 60)
        now = record.stockouts[rung.name].until
    assert minutes == [5, 10, 20, 30, 30]


def test_a_stock_out_long_after_the_last_counts_as_the_first() -> None:
    (rung,) = rungs(pool(ON_DEMAND))
    note = StockOutNote(until=T0, why="", count=4)
    record = PoolRecord(name="l4", stockouts={rung.name: note})
    assert noted(record, rung, "", after(29 * 60)).stockouts[rung.name].count == 5
    assert noted(record, rung, "", after(30 * 60)).stockouts[rung.name].count == 1


def test_a_quota_is_left_alone_for_the_longest_cooldown() -> None:
    (rung,) = rungs(pool(ON_DEMAND))
    record = noted(PoolRecord(name="l4"), rung, "quota", T0, longest=True)
    assert record.stockouts[rung.name].until == after(30 * 60)


def test_what_would_pass_the_spending_cap_is_refused_and_a_cheaper_candidate_chosen() -> None:
    document = pool(ON_DEMAND, SPOT)
    on_demand, spot = rungs(document)
    assert choice(document, PoolRecord(name="l4"), wanted=2, budget=Budget(1.71, 0)).rung == on_demand
    assert choice(document, PoolRecord(name="l4"), wanted=2, budget=Budget(1.70, 0)).rung == spot
    refused_all = choice(document, PoolRecord(name="l4"), wanted=2, budget=Budget(1.70, 1.0))
    assert refused_all.rung is None
    assert refused_all.passed_over[1].endswith("1.96 an hour would be over the spending cap of 1.70")


def test_nodes_that_are_there_count_towards_the_cap() -> None:
    document = pool(ON_DEMAND)
    there = node_pool(names(document)[0], ready=2)
    assert choice(document, PoolRecord(name="l4"), there, wanted=3, budget=Budget(2.60, 0)).rung is not None
    assert choice(document, PoolRecord(name="l4"), there, wanted=3, budget=Budget(2.50, 0)).rung is None


def test_a_candidate_without_a_known_price_is_refused_under_a_cap() -> None:
    found = choice(pool({"machineType": "a4-highgpu-8g"}), PoolRecord(name="l4"), budget=Budget(1000, 0))
    assert "no list price is known" in found.passed_over[0]


@pytest.mark.parametrize(
    ("mode", "seen", "chosen"),
    [
        pytest.param("full", [], 1, id="full-makes-the-next"),
        pytest.param("resize", [], None, id="resize-makes-none"),
        pytest.param("observe", [], 0, id="observe-only-says-which"),
        pytest.param("resize", [node_pool("l4-terraform", limits=(0, 2))], 0, id="foreign-and-there"),
        pytest.param("full", [node_pool("l4-terraform", ready=2, limits=(0, 2))], 1, id="foreign-and-full"),
    ],
)
def test_what_may_be_done_to_node_pools_decides_who_is_a_candidate(
    mode: PoolMode, seen: Sequence[NodePool], chosen: int | None
) -> None:
    document = pool(TERRAFORM, ON_DEMAND)
    found = choice(document, PoolRecord(name="l4"), *seen, mode=mode).rung
    assert found == (None if chosen is None else rungs(document)[chosen])
