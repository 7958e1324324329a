"""How much is staked when: as time passes, whoever looks how often."""

from math import exp

import pytest

from pointsman.core.judge.onset import FIRST, NEW_SPLIT, Stakes, released


@pytest.mark.parametrize(
    ("length_s", "part"),
    [(10.0, 1 / 120), (2.0, 1 / 600), (60.0, 1 / 20), (3600.0, NEW_SPLIT), (0.0, 1 / 12_000)],
)
def test_a_tick_stakes_as_much_as_it_is_long_and_at_most_what_a_new_split_does(length_s: float, part: float) -> None:
    assert released(length_s) == pytest.approx(part)


@pytest.mark.parametrize("tick_s", [1.0, 2.0, 5.0, 30.0])
def test_in_ten_minutes_about_as_much_is_staked_whatever_the_tick(tick_s: float) -> None:
    def left(length_s: float) -> float:
        stakes = Stakes((1.0,))
        for number in range(round(600.0 / length_s)):
            stakes.take((0.0,), split=0.1, seq=number, length_s=length_s)
        return exp(stakes.reserve)

    assert left(tick_s) == pytest.approx(left(10.0), rel=0.03)


def test_the_first_tick_and_a_new_split_stake_more_whatever_their_length() -> None:
    stakes = Stakes((1.0,))
    stakes.take((0.0,), split=0.1, seq=0, length_s=2.0)
    assert exp(stakes.reserve) == pytest.approx(1.0 - FIRST)
    stakes.take((0.0,), split=0.2, seq=1, length_s=2.0)
    assert exp(stakes.reserve) == pytest.approx((1.0 - FIRST) * (1.0 - NEW_SPLIT))
