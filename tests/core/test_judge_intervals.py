"""Intervals that hold at every look, means without assumptions, and what can be detected: against exact sums."""

from itertools import product
from math import comb, exp, inf, log, pi, sin
from random import Random

import pytest

from pointsman.core.judge import mean, outlook, power
from pointsman.core.judge.bounds import FEWER, LADDER, LOWER_LADDER, MORE, OUT, Bounds, share_bounds
from pointsman.core.judge.ratio import log_beyond
from pointsman.core.judge.tally import Tally


def binomial(n: int, share: float) -> list[float]:
    return [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]


def test_a_rung_is_out_at_twenty_to_one() -> None:
    assert pytest.approx(log(20.0)) == OUT
    assert sum(exp(weight) for _, weight in FEWER) == pytest.approx(1.0)
    assert sum(exp(weight) for _, weight in MORE) == pytest.approx(1.0)
    assert LADDER[0] == 1.0
    assert LADDER[-1] == 50.0
    assert 1.0 in LOWER_LADDER


@pytest.mark.parametrize("rho", [1.5, 3.0])
def test_expected_evidence_against_at_least_rho_times_is_at_most_one_there(rho: float) -> None:
    """Every outcome of every small tick: betting on fewer, where the canary has rho times stable's share or more."""
    for n_c, n_b, share, more in product((1, 4, 6), (1, 4, 6), (0.02, 0.1, 0.3), (1.0, 1.05)):
        of_canary, of_stable = binomial(n_c, min(1.0, rho * more * share)), binomial(n_b, share)
        for ratio, _ in FEWER:
            expectation = sum(
                p_c * p_b * exp(log_beyond((k_c, n_c), (k_b, n_b), beyond=ratio / rho, margin=rho))
                for k_c, p_c in enumerate(of_canary)
                for k_b, p_b in enumerate(of_stable)
            )
            assert expectation <= 1.0 + 1e-12


def watched(seed: int, times: float, ticks: int = 120) -> list[tuple[float, float]]:
    """Bounds after each tick of 28 canary and 532 stable requests at half a per cent."""
    random, bounds, found = Random(seed), Bounds(), []
    for _ in range(ticks):
        k_c = sum(random.random() < 0.005 * times for _ in range(28))
        k_b = sum(random.random() < 0.005 for _ in range(532))
        bounds.take((k_c, 28), (k_b, 532))
        bounds = Bounds.of(bounds.as_json())
        found.append((bounds.lower, bounds.upper))
    return found


def test_the_interval_narrows_around_the_truth() -> None:
    found = watched(1, times=8.0)[-1]
    assert 2.5 < found[0] < 8.0 < found[1] <= 50.0
    healthy = watched(2, times=1.0)
    assert healthy[0] == (0.0, inf)
    assert healthy[-1][0] < 1.0 < healthy[-1][1] < 3.0
    assert all(later[0] >= earlier[0] and later[1] <= earlier[1] for earlier, later in zip(healthy, healthy[1:]))  # noqa: B905, RUF007


def test_the_interval_misses_the_truth_in_few_rollouts_at_any_look() -> None:
    missed = sum(any(not low <= 2.0 <= high for low, high in watched(seed, times=2.0, ticks=60)) for seed in range(60))
    assert missed <= 6  # 10 % is promised of both sides together


def test_a_healthy_canary_is_bounded_after_as_many_requests_as_the_facts_say() -> None:
    """At 5 % and half a per cent of bad answers: U < 5 after about 330 canary requests, < 3 after about 800."""
    firsts: dict[float, list[int]] = {5.0: [], 3.0: []}
    for seed in range(40):
        uppers = [upper for _, upper in watched(seed, times=1.0)]
        for bound, found in firsts.items():
            found.append(next((28 * (i + 1) for i, upper in enumerate(uppers) if upper < bound), 28 * len(uppers)))
    assert 230 < sum(firsts[5.0]) / 40 < 480
    assert 600 < sum(firsts[3.0]) / 40 < 1150


@pytest.mark.parametrize(
    ("bad", "requests", "lower", "upper"), [(0, 0, 0.0, 1.0), (0, 600, 0.0, 0.0112), (5, 5, 0.4150, 1.0)]
)
def test_bounds_of_a_share_by_hand(bad: int, requests: int, lower: float, upper: float) -> None:
    """(1 − p)^600 is a twentieth of 0.02303, and p^5 of 0.2461."""
    assert share_bounds(bad, requests) == pytest.approx((lower, upper), abs=1e-4)


@pytest.mark.parametrize(("bad", "requests"), [(6, 600), (300, 600), (1, 3)])
def test_at_the_bounds_of_a_share_the_mixture_is_twenty_times_as_likely(bad: int, requests: int) -> None:
    steps = 20_000  # the mixture with weight 1/sqrt(p(1 - p)), by its sine
    shares = [sin(pi * (i + 0.5) / (2 * steps)) ** 2 for i in range(steps)]
    mixture = sum(p**bad * (1 - p) ** (requests - bad) for p in shares) / steps
    for p in share_bounds(bad, requests):
        assert mixture / (p**bad * (1 - p) ** (requests - bad)) == pytest.approx(20.0, rel=1e-3)


@pytest.mark.parametrize("rate", mean.RATES)
def test_expected_evidence_of_equal_bounded_means_is_at_most_one(rate: float) -> None:
    """All outcomes of up to four values a side, from distributions on 0, ½ and 1 with the same mean."""
    values = (0.0, 0.5, 1.0)
    distributions = {
        0.5: [(0.5, 0.0, 0.5), (0.0, 1.0, 0.0), (0.25, 0.5, 0.25)],
        0.9: [(0.1, 0.0, 0.9), (0.0, 0.2, 0.8)],
        0.02: [(0.98, 0.0, 0.02), (0.96, 0.04, 0.0)],
    }

    def outcomes(n: int, shares: tuple[float, ...]) -> list[tuple[float, tuple[float, float, float]]]:
        found = []
        for drawn in product(range(3), repeat=n):
            chance = 1.0
            for index in drawn:
                chance *= shares[index]
            xs = [values[index] for index in drawn]
            found.append((chance, (float(n), sum(xs), sum(x * x for x in xs))))
        return found

    for same in distributions.values():
        for ours, theirs, centre, (n_c, n_b) in product(same, same, (0.0, 0.4, 1.0), ((1, 1), (1, 4), (3, 2))):
            expectation = sum(
                p_c * p_b * exp(mean.log_bounded(c, b, rate=rate, centre=centre))
                for p_c, c in outcomes(n_c, ours)
                for p_b, b in outcomes(n_b, theirs)
            )
            assert expectation <= 1.0 + 1e-12


@pytest.mark.parametrize(
    ("worse", "sums", "loss"),
    [("Higher", (2.0, 6.0, 20.0), (2.0, 0.5, 0.25)), ("Lower", (2.0, 6.0, 20.0), (2.0, 1.5, 1.25))],
)
def test_a_score_becomes_a_loss_between_nothing_and_one(
    worse: str, sums: tuple[float, ...], loss: tuple[float, ...]
) -> None:
    """Values 2 and 4 of a score between 2 and 6."""
    assert mean.Scale(2.0, 6.0, worse).loss(sums) == pytest.approx(loss)


def test_skewness_of_three_values() -> None:
    values = [0.0, 0.0, 3.0] * 10
    sums = [sum(x**power for x in values) for power in range(4)]
    assert mean.skewness(sums) == pytest.approx(0.70711, abs=1e-5)
    assert mean.skewness(sums[:3]) is None
    assert mean.skewness([2.0, 0.0, 0.0, 0.0]) is None


@pytest.mark.parametrize(
    ("times", "requests"), [(1.5, 8977), (2.0, 2530), (3.0, 762), (5.0, 248), (10.0, 74), (20.0, 26)]
)
def test_no_test_needs_fewer_requests_on_average(times: float, requests: float) -> None:
    worse = 0.005 * times
    told = power.information((0.995, 0.005), (1.0 - worse, worse), 0.05)
    assert log(100.0) / told == pytest.approx(requests, abs=1.0)


def test_what_a_policy_can_detect() -> None:
    steps = [(0.05, 1680.0), (0.25, 8400.0), (0.5, 16800.0)]
    found = power.detectable(0.005, steps)
    assert found is not None
    assert 1.5 < found < 2.0
    assert power.detectable(0.005, [(0.05, 20.0)]) == pytest.approx(45.0, abs=0.1)
    assert power.detectable(0.5, [(0.05, 2.0)]) is None


def test_harm_is_the_smaller_of_two_bounds() -> None:
    canary, stable = Tally(600.0, {"5xx": 0.0}), Tally(10_000.0, {"5xx": 0.0})
    assert outlook.harm_of(Bounds(), "5xx", canary, stable) == pytest.approx(0.0112, abs=1e-4)
    assert outlook.to_advance(Bounds(), "5xx", canary, stable, 0.05) == 0.0
    assert outlook.to_roll_back(2.0, 5.0, 0.005, 0.05) == pytest.approx(2.0 / 4.605 * 248, rel=0.01)
    assert outlook.to_roll_back(2.0, 1.0, 0.005, 0.05) is None


def test_what_was_excluded_before_the_rate_changed_bounds_no_harm() -> None:
    bounds, stable = Bounds(), Tally(53_200.0, {"5xx": 266.0})
    for _ in range(100):
        bounds.take((0, 28), (3, 532))
    canary = Tally(2_800.0, {"5xx": 0.0})
    assert outlook.is_bounded(bounds, "5xx", canary, stable)
    upper = bounds.upper
    for _ in range(20):
        bounds.take((3, 28), (3, 532))
    canary = Tally(3_360.0, {"5xx": 60.0})
    assert bounds.upper == upper < bounds.lower
    assert bounds.most == inf
    assert not outlook.is_bounded(bounds, "5xx", canary, stable)
    assert outlook.harm_of(bounds, "5xx", canary, stable) > outlook.HARM_MAX
