"""What a rollout and a quiet month cost stays within its budget, by the counts of a rollout that was run."""

import pytest
from benchmarks.cost import KEPT, PRICE_MAX, STEPS_MAX, TICKS, Counted, counted

from pointsman_cli.bootstrap import costs
from pointsman_cli.bootstrap.costs import idle, total
from pointsman_cli.bootstrap.estate import estate, sources


@pytest.fixture(scope="module")
def rollout() -> Counted:
    return counted()


def test_a_tick_takes_at_most_twelve_billed_steps(rollout: Counted) -> None:
    assert STEPS_MAX == 12
    assert rollout.billed_steps <= STEPS_MAX * rollout.ticks


def test_a_rollout_of_160_ticks_costs_less_than_three_cents_at_list_price(rollout: Counted) -> None:
    assert (TICKS, PRICE_MAX) == (160, 0.03)
    assert abs(rollout.ticks - TICKS) <= 8, "the policy of the benchmark no longer makes a rollout of so many ticks"
    assert total(rollout.lines()) < PRICE_MAX


def test_a_tick_is_one_call_and_a_few_documents(rollout: Counted) -> None:
    assert rollout.calls <= rollout.ticks + 10
    assert rollout.reads <= 10 * rollout.ticks
    assert rollout.writes <= 2 * rollout.ticks
    assert rollout.log_bytes <= 4096 * rollout.ticks


def test_a_quiet_month_costs_nothing_but_storage_and_the_scheduler_job() -> None:
    works = [line for line in idle(estate(sources())) if line.price not in KEPT]
    assert total(works, free=True) == 0.0


def test_what_plan_reckons_with_is_what_is_counted_rounded_up(rollout: Counted) -> None:
    reckoned = {line.price: line.units / costs.TICKS for line in costs.rollout()}
    counted = {line.price: line.units / rollout.ticks for line in rollout.lines()}
    for price in ("steps", "requests", "reads", "writes", "logs", "series"):
        assert 0.5 * reckoned[price] <= counted[price] <= reckoned[price], price
