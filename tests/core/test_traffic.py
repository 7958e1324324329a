"""Weights and sizes: whole numbers, enough pods before a weight, the load of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.signals import is_internal, timing
from pointsman.core.traffic import (
    canary_replicas,
    carries,
    first_fair_weight,
    load_parity,
    weight_total,
    weight_units,
)


@pytest.mark.parametrize(
    ("percents", "total", "units"),
    [
        ((5, 25, 50), 100, (5, 25, 50)),
        ((0.1, 2.5, 97.3), 1000, (1, 25, 973)),
        ((5.0, 25.5), 1000, (50, 255)),
        ((), 100, ()),
    ],
)
def test_weights_are_whole_and_of_a_thousand_where_there_are_tenths(
    percents: tuple[float, ...], total: int, units: tuple[int, ...]
) -> None:
    assert weight_total(percents) == total
    assert tuple(weight_units(percent, total) for percent in percents) == units


@pytest.mark.parametrize(
    ("replicas", "weight", "minimum", "override", "size"),
    [
        pytest.param(10, 5, 1, None, 1, id="a-fifth-more-than-its-share"),
        pytest.param(10, 25, 1, None, 3, id="three-of-ten-for-a-quarter"),
        pytest.param(10, 41, 1, None, 5, id="rounded-up"),
        pytest.param(10, 50, 1, None, 10, id="all-of-them-from-half-on"),
        pytest.param(10, 98, 1, None, 10, id="bake"),
        pytest.param(10, 0.1, 2, None, 2, id="the-minimum"),
        pytest.param(1, 5, 3, None, 3, id="a-minimum-beyond-stable"),
        pytest.param(10, 50, 1, 2, 2, id="said-by-the-step"),
        pytest.param(0, 50, 1, None, 0, id="switched-off"),
        pytest.param(25, 4, 1, None, 2, id="no-float-dust"),
    ],
)
def test_a_canary_is_sized_for_its_weight(
    replicas: int, weight: float, minimum: int, override: int | None, size: int
) -> None:
    assert canary_replicas(replicas, weight, minimum, override) == size


@given(st.integers(1, 1000), st.integers(1, 999), st.integers(1, 5))
def test_a_canary_of_its_size_carries_its_weight_and_never_shrinks_as_that_rises(
    replicas: int, tenths: int, minimum: int
) -> None:
    size = canary_replicas(replicas, tenths / 10, minimum)
    assert carries(size, replicas, tenths, 1000)
    assert size <= canary_replicas(replicas, (tenths + 1) / 10, minimum)
    assert size <= max(replicas, minimum)


@pytest.mark.parametrize(
    ("ready", "replicas", "weight", "fine"),
    [(0, 1, 5, False), (1, 1, 98, True), (2, 10, 25, False), (3, 10, 25, True), (0, 10, 0, True)],
)
def test_an_arm_carries_no_more_than_its_ready_pods_can(ready: int, replicas: int, weight: int, fine: bool) -> None:
    assert carries(ready, replicas, weight, 100) == fine


def test_load_parity_is_the_ratio_of_load_per_pod() -> None:
    assert load_parity(50, 100, 10, 10) == 1.0
    assert load_parity(5, 100, 1, 10) == pytest.approx(0.526, abs=0.001)
    assert load_parity(98, 100, 1, 1) == 49.0
    assert load_parity(0, 100, 1, 1) is None
    assert load_parity(5, 100, 0, 1) is None
    assert first_fair_weight(1) == 50.0
    assert first_fair_weight(9) == 10.0


@pytest.mark.parametrize(
    ("gateway_class", "sets", "tick_s", "lag_s"),
    [
        ("envoy", ("Gateway",), 2, 1),
        ("gke-l7-regional-external-managed", ("Gateway",), 60, 150),
        ("gke-l7-rilb", ("Gateway",), 60, 150),
        ("gke-l7-global-external-managed", ("Gateway", "VLLM"), 60, 270),
        ("gke-l7-global-external-managed", ("VLLM",), 30, 60),
    ],
)
def test_pace_follows_from_the_gateways_class(
    gateway_class: str, sets: tuple[str, ...], tick_s: float, lag_s: float
) -> None:
    pace = timing(gateway_class, sets)
    assert (pace.tick_s, pace.lag_s) == (tick_s, lag_s)


def test_internal_gateways_are_not_asked_from_outside() -> None:
    assert is_internal("gke-l7-rilb")
    assert is_internal("gke-l7-cross-regional-internal-managed-mc")
    assert not is_internal("gke-l7-regional-external-managed")
