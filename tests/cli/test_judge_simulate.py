"""`pointsman judge simulate`: counts that are what they should be, the bound of the books, an answer a seed repeats."""

import json
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pointsman_cli.judging.policies import read_rules
from pointsman_cli.judging.simulation.answer import affordable, simulate
from pointsman_cli.judging.simulation.bound import requests_needed
from pointsman_cli.judging.simulation.draws import binomial, histogram, poisson
from pointsman_cli.judging.simulation.playing import play
from pointsman_cli.judging.simulation.service import BUCKETS, CHANGES, HEALTHY, Change, Service, shares
from pointsman_cli.judging.simulation.uncertainty import interval

STEADY = [(0.05, 1e9)]


def moments(counts: Sequence[int]) -> tuple[float, float]:
    mean = sum(counts) / len(counts)
    return mean, sum((count - mean) ** 2 for count in counts) / len(counts)


@pytest.mark.parametrize("mean", [0.3, 5.0, 9.9, 10.1, 60.0, 3000.0])
def test_poisson_counts_have_the_mean_and_the_variance(mean: float) -> None:
    random = Random(7)
    seen, variance = moments([poisson(random, mean) for _ in range(4000)])
    assert seen == pytest.approx(mean, abs=4 * sqrt(mean / 4000))
    assert variance == pytest.approx(mean, rel=0.15)


@pytest.mark.parametrize(("trials", "share"), [(40, 0.01), (40, 0.5), (1000, 0.02), (300, 0.97), (5, 1.0), (5, 0.0)])
def test_binomial_counts_have_the_mean_and_the_variance(trials: int, share: float) -> None:
    random = Random(7)
    counts = [binomial(random, trials, share) for _ in range(4000)]
    seen, variance = moments(counts)
    spread = trials * share * (1 - share)
    assert 0 <= min(counts) <= max(counts) <= trials
    assert seen == pytest.approx(trials * share, abs=4 * sqrt(spread / 4000))
    assert variance == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("mean", [3.0, 4000.0], ids=["one-by-one", "cell-by-cell"])
def test_requests_fall_into_the_buckets_by_their_shares(mean: float) -> None:
    random, total = Random(7), [0, 0, 0, 0]
    for _ in range(20_000 if mean < 10 else 20):
        total = [a + b for a, b in zip(total, histogram(random, mean, (0.5, 0.3, 0.15, 0.05)), strict=True)]
    found = [count / sum(total) for count in total]
    assert found == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.008)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(Change("", errors=1.5), 8977, id="errors-1.5"),
        pytest.param(Change("", errors=2.0), 2530, id="errors-2"),
        pytest.param(Change("", errors=3.0), 762, id="errors-3"),
        pytest.param(Change("", errors=5.0), 248, id="errors-5"),
        pytest.param(Change("", errors=10.0), 74, id="errors-10"),
        pytest.param(Change("", errors=20.0), 26, id="errors-20"),
        pytest.param(Change("", broken=True), 1.1, id="broken"),
        pytest.param(Change("", latency=1.25), 205, id="latency-1.25"),
        pytest.param(Change("", latency=1.5), 62, id="latency-1.5"),
        pytest.param(Change("", latency=2.0), 21, id="latency-2"),
    ],
)
def test_the_bound_at_five_percent_of_a_service_that_fails_one_in_two_hundred(change: Change, expected: float) -> None:
    service = Service(56, 0.005, edges_ms=BUCKETS["prometheus"])
    assert requests_needed(service, change, 0.01, STEADY) == pytest.approx(expected, rel=0.003, abs=0.5)


def test_a_canary_request_tells_less_where_it_has_a_larger_share() -> None:
    service, worse = Service(56, 0.005), Change("", errors=5.0)
    at_5, at_50 = (requests_needed(service, worse, 0.01, [(split, 1e9)]) for split in (0.05, 0.5))
    assert at_50 / at_5 == pytest.approx(2.5, rel=0.1)


def test_the_bound_adds_up_what_steps_tell_and_is_infinite_where_that_is_too_little() -> None:
    service, twice = Service(5.6, 0.005), Change("", errors=2.0)
    one_step = requests_needed(service, twice, 0.01, [(0.05, 600.0)])
    both = requests_needed(service, twice, 0.01, [(0.05, 600.0), (0.5, 1e6)])
    assert one_step == float("inf")
    assert both > requests_needed(service, twice, 0.01, STEADY)


def test_latency_shares_are_those_of_a_log_normal() -> None:
    assert shares((100.0, 200.0, 400.0), 200.0, 1.0) == pytest.approx((0.2441, 0.2559, 0.2559, 0.2441), abs=1e-4)


@pytest.mark.parametrize(
    ("found", "of", "expected"),
    [(0, 100, (0.0, 0.0362)), (5, 100, (0.0164, 0.1128)), (100, 100, (0.9638, 1.0)), (1, 2, (0.0126, 0.9874))],
)
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(
    found: int, of: int, expected: tuple[float, float]
) -> None:
    assert interval(found, of) == pytest.approx(expected, abs=1e-4)


def test_a_broken_canary_is_found_by_its_errors_in_half_a_minute() -> None:
    broken = next(change for change in CHANGES if change.broken)
    for seed in range(5):
        played = play(Service(56, 0.005), broken, read_rules(None), Random(seed), 10.0)
        assert (played.ended, played.metric, played.bad) == ("rolled back", "5xx", played.requests)
        assert played.seconds <= 30


def test_a_step_with_too_few_requests_ends_for_want_of_data() -> None:
    played = play(Service(0.01, 0.0), HEALTHY, read_rules(None), Random(1), 60.0)
    assert (played.ended, played.metric) == ("starved", None)
    assert played.seconds == 600 + 3600


def test_the_same_seed_gives_the_same_answer_and_another_one_another() -> None:
    def asked(seed: int) -> dict[str, object]:
        rules = read_rules(None)
        found = simulate(
            Service(20, 0.02), rules, rollouts=2, seed=seed, tick_s=60.0, run=lambda one, jobs: [*map(one, jobs)]
        )
        return found.as_json()

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)


def test_json_has_every_change_with_its_cost_and_its_bound(pointsman: Any) -> None:
    ran = pointsman(
        "judge", "simulate", "--rate", "20", "--base", "1%", "--rollouts", "2", "--tick", "60", "-o", "json"
    )
    found = json.loads(ran.out)
    assert ran.status == 0
    assert [row["change"] for row in found["changes"]] == [change.name for change in CHANGES]
    broken = found["changes"][6]
    assert broken["found"] == broken["rollouts"] == 2
    assert broken["requests_median"] >= broken["bound"] > 0
    assert found["healthy"]["rollouts"] == 8
    assert (found["asked"]["rate"], found["asked"]["base"], found["asked"]["tick_s"]) == (20.0, 0.01, 60.0)


def test_a_table_says_what_it_stands_on(pointsman: Any) -> None:
    words = ["--rate", "9", "--base", "0.01", "--split", "10,0.5", "--hold", "5m", "--tick", "30s", "--rollouts", "2"]
    ran = pointsman("judge", "simulate", *words)
    assert ran.status == 0
    assert ran.lines[:3] == [
        "9 requests/s on 3 pods, which the counters do not name; 1 % bad, median 200 ms, sigma 1",
        "steps 10 % for 5 min, 50 % for 5 min, a look every 30 s; profile Default, at most 1 % false rollbacks, "
        "judging 5xx, latency, guard",
        "the canary answers about 1,620 requests in 10 min of steps",
    ]
    assert any(line.startswith("2 simulated rollouts a row, seed 1") for line in ran.lines)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--split", "5,many"], "invalid value for --split: '5,many' is no list of splits such as 5,25,50"),
        (["--split", "5,100"], "invalid value for --split: a split lies between 0 and 100 percent"),
        (["--base", "1"], "invalid value for --base: 1 is not between 0 and 0.5 (0% and 50%)"),
        (["--base", "few"], "invalid value for --base: 'few' is no share such as 0.005 or 0.5%"),
        (["--tick", "soon"], "invalid value for --tick: 'soon' is no duration such as 90s or 1h30m"),
        (["--tick", "1s", "--hold", "24h"], "259,200 ticks a rollout are too many"),
        (
            ["--tick", "1h"],
            "a step of 10 min ends before the first look at 1 h: take a shorter --tick or a longer --hold",
        ),
    ],
)
def test_what_cannot_be_simulated_is_wrong_usage(pointsman: Any, words: list[str], line: str) -> None:
    ran = pointsman("judge", "simulate", "--rate", "9", "--base", "1%", *words)
    assert ran.status == 2
    assert line in ran.err


def test_steps_that_wait_for_requests_are_as_long_as_they_last(pointsman: Any) -> None:
    ran = pointsman("judge", "simulate", "--rate", "1", "--base", "1%", "--tick", "60s", "--rollouts", "2")
    # 100 requests of 5 % of one a second take 33 minutes, then 150 and 300 come in ten minutes each.
    assert (
        ran.lines[2]
        == "the canary answers about 550 requests in 53 min 20 of steps; 100 of each step at least are waited for"
    )
    starving = read_rules(None).lengths(0.01)
    assert [step.hold_s for step in starving] == [4200.0, 4200.0, 4200.0]


def test_steps_and_profile_come_from_a_policy(pointsman: Any, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: pointsman.dev/v1\nkind: RolloutPolicy\nmetadata: {name: careful}\n"
        "spec:\n  pacing: {extraBadAnswers: 20}\n  steps: [{weight: 20, hold: 10m}]\n"
        "  judge: {profile: Safe, minRequestsPerStep: 10}\n"
    )
    words = ["--rate", "9", "--base", "1%", "--tick", "60s", "--rollouts", "2", "--policy", policy]
    ran = pointsman("judge", "simulate", *words)
    assert "steps 20 % for 10 min, a look every 1 min; profile Safe, at most 0.1 % false rollbacks" in ran.out
    assert "every step is held whole: the policy's `pacing`" in ran.out


@pytest.mark.parametrize(
    ("pods", "tick_s", "expected"),
    [(0, 10.0, 30), (12, 10.0, 18), (100, 10.0, 4), (0, 2.0, 7), (0, 60.0, 30)],
)
def test_costly_questions_are_answered_by_fewer_rollouts(pods: int, tick_s: float, expected: int) -> None:
    service = Service(56, 0.005, pods=pods or 3, by_pod=bool(pods))
    assert affordable(service, read_rules(None), tick_s) == expected
