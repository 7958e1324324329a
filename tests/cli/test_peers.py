"""What each peer's rule makes of a rollout, tick by tick, by its published rules."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isnan, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman_cli.judging.peers import DOCUMENTED, Outcome, Setting, Window, outcomes
from pointsman_cli.judging.peers.alert import Alert
from pointsman_cli.judging.peers.argo import Argo, Phase, Run
from pointsman_cli.judging.peers.bayes import Bayes, probability_worse
from pointsman_cli.judging.peers.flagger import Flagger
from pointsman_cli.judging.peers.iter8 import Iter8
from pointsman_cli.judging.peers.windows import Query, every, histogram_quantile, total
from pointsman_cli.judging.peers.ztest import ZTest, mantel_haenszel, score

EDGES = (100.0, 500.0, 1000.0)


def minutes(bad: Sequence[int | None], *, requests: int = 100, stable_bad: int = 1) -> list[Window]:
    """One tick a minute with so many bad answers of the canary; None: it answered nothing."""
    return [
        Window(60.0 * (index + 1), 0 if k is None else requests, k or 0, 1000, stable_bad)
        for index, k in enumerate(bad)
    ]


def seen(outcome: Outcome) -> tuple[str, float]:
    return outcome.decision, outcome.at_s


ARGO = Argo("argo", success_max=0.05)
FLAGGER = Flagger("flagger", threshold=2, success_min_percent=99.0)


@pytest.mark.parametrize(
    ("rule", "bad", "expected"),
    [
        pytest.param(ARGO, [6], ("rolled_back", 60.0), id="argo-fails-at-once-by-default"),
        pytest.param(ARGO, [5], ("promoted", 60.0), id="argo-limit-itself-is-fulfilled"),
        pytest.param(replace(ARGO, failure_limit=3), [9, 9, 9], ("promoted", 180.0), id="argo-three-are-not-enough"),
        pytest.param(replace(ARGO, failure_limit=3), [9, 9, 9, 9], ("rolled_back", 240.0), id="argo-four-are"),
        pytest.param(
            replace(ARGO, failure_limit=1), [9, 0, 0, 0, 9], ("rolled_back", 300.0), id="argo-good-ones-forgive-none"
        ),
        pytest.param(replace(ARGO, failure_limit=-1), [99] * 9, ("promoted", 540.0), id="argo-limit-switched-off"),
        pytest.param(replace(ARGO, count=2), [0, 0, 99], ("promoted", 180.0), id="argo-count-reached"),
        pytest.param(ARGO, [0, None], ("rolled_back", 120.0), id="argo-nan-is-no-success"),
        pytest.param(
            replace(ARGO, success_max=None, failure_min=0.05), [0, None], ("promoted", 120.0), id="argo-nan-no-failure"
        ),
        pytest.param(ARGO, [None] * 4, ("promoted", 240.0), id="argo-four-errors"),
        pytest.param(ARGO, [None] * 5, ("rolled_back", 300.0), id="argo-five-errors-in-a-row"),
        pytest.param(replace(ARGO, failure_min=0.5), [9], ("paused", 60.0), id="argo-neither-is-inconclusive"),
        pytest.param(
            replace(ARGO, failure_min=0.5, inconclusive_limit=1), [9, 0, 9], ("paused", 180.0), id="argo-inconclusive"
        ),
        pytest.param(FLAGGER, [2, 0, 2], ("promoted", 180.0), id="flagger-looks-when-the-next-round-begins"),
        pytest.param(FLAGGER, [2, 0, 2, 0], ("rolled_back", 240.0), id="flagger-good-rounds-forgive-none"),
        pytest.param(FLAGGER, [1, 1, 1, 1], ("promoted", 240.0), id="flagger-99-percent-is-enough"),
        pytest.param(FLAGGER, [None, None, 0], ("rolled_back", 180.0), id="flagger-an-idle-canary-fails"),
        pytest.param(Iter8("iter8", 0.01), [1, 1, 2], ("rolled_back", 180.0), id="iter8-of-everything-so-far"),
        pytest.param(Iter8("iter8", 0.01), [0, 0, 3], ("promoted", 180.0), id="iter8-good-minutes-hide-a-bad-one"),
        pytest.param(Iter8("iter8", 0.01), [None], ("rolled_back", 60.0), id="iter8-missing-is-not-met"),
        pytest.param(Alert("alert"), [0, 1], ("rolled_back", 120.0), id="alert-ten-times-stable"),
        pytest.param(Alert("alert", times=10.0), [1, 1], ("promoted", 120.0), id="alert-at-the-limit"),
        pytest.param(Alert("alert"), [None, 0], ("promoted", 120.0), id="alert-is-silent-without-data"),
        pytest.param(ZTest("z"), [1, 2], ("rolled_back", 120.0), id="z-test"),
        pytest.param(ZTest("z"), [0, None, 0], ("promoted", 180.0), id="z-test-of-a-healthy-one"),
        pytest.param(Bayes("bayes"), [1, 3], ("rolled_back", 120.0), id="bayes"),
        pytest.param(Bayes("bayes"), [None, 0], ("promoted", 120.0), id="bayes-of-nothing"),
    ],
)
def test_a_rule_decides_as_published(rule: Setting, bad: list[int | None], expected: tuple[str, float]) -> None:
    assert seen(rule.decide(minutes(bad), over=True)) == expected


@pytest.mark.parametrize(
    ("metric", "phases", "expected"),
    [
        pytest.param(ARGO, ["Failed"], "Failed", id="failed"),
        pytest.param(replace(ARGO, failure_limit=0), ["Failed", "Inconclusive"], "Inconclusive", id="overwritten"),
        pytest.param(ARGO, ["Inconclusive", *["Error"] * 5], "Error", id="error-goes-before-all"),
        pytest.param(ARGO, [*["Error"] * 4, "Successful", "Error"], "Running", id="errors-in-a-row-only"),
        pytest.param(replace(ARGO, consecutive_success_limit=2), ["Successful"] * 2, "Successful", id="successes"),
        pytest.param(
            replace(ARGO, consecutive_success_limit=2, count=3, failure_limit=1),
            ["Successful", "Failed", "Successful"],
            "Inconclusive",
            id="count-without-enough-successes",
        ),
        pytest.param(
            replace(ARGO, consecutive_success_limit=2, count=3, failure_limit=-1),
            ["Successful", "Failed", "Successful"],
            "Failed",
            id="count-where-only-successes-matter",
        ),
        pytest.param(replace(ARGO, count=2), ["Error", "Successful"], "Running", id="an-error-is-no-measurement"),
    ],
)
def test_argo_assesses_a_metric_by_its_counters(metric: Argo, phases: list[Phase], expected: Phase) -> None:
    run = Run()
    for phase in phases:
        run.add(phase)
    assert metric.assess(run)[0] == expected


def test_argo_repeats_a_query_without_data_after_ten_seconds() -> None:
    windows = [Window(10.0 * (index + 1), 0, 0, 100, 0) for index in range(12)]
    assert seen(ARGO.decide(windows, over=True)) == ("rolled_back", 100.0)
    windows[6:] = [Window(window.t_s, 10, 10, 100, 0) for window in windows[6:]]
    assert seen(ARGO.decide(windows, over=True)) == ("rolled_back", 70.0)


def test_argo_begins_an_inline_analysis_with_each_weight() -> None:
    inline = replace(ARGO, count=1, each_step=True)
    steps = [replace(window, split=0.05 if window.t_s < 150.0 else 0.25) for window in minutes([0, 9, 9, 9])]
    assert seen(inline.decide(steps, over=True)) == ("rolled_back", 180.0)
    assert seen(replace(inline, each_step=False).decide(steps, over=True)) == ("promoted", 240.0)


def test_flagger_checks_the_duration_in_whole_milliseconds() -> None:
    rule = Flagger("flagger", threshold=1, latency_max_ms=500.0, quantile=0.5)
    below = Window(60.0, 100, 0, 0, 0, (0, 50, 50, 0), (0, 0, 0, 0), EDGES)
    above = replace(below, canary_latency=(0, 0, 100, 0))
    assert rule.objection(below) == ""
    assert rule.objection(replace(below, canary_latency=(0, 499, 501, 0))) == ""  # 500.998 ms
    assert rule.objection(above) == "request duration 750 ms > 500 ms"
    assert rule.objection(Window(60.0, 0, 0, 0, 0, (0, 0, 0, 0), (0, 0, 0, 0), EDGES)).startswith("no values")


@pytest.mark.parametrize(
    ("quantile", "counts", "expected"),
    [
        pytest.param(0.5, (10, 0, 0, 0), 50.0, id="inside-the-first-from-zero"),
        pytest.param(0.5, (10, 10, 0, 0), 100.0, id="at-an-edge"),
        pytest.param(0.75, (10, 10, 0, 0), 300.0, id="linear-inside"),
        pytest.param(0.99, (1, 0, 0, 9), 1000.0, id="beyond-is-the-highest-edge"),
        pytest.param(0.5, (0, 0, 0, 0), nan, id="nothing"),
    ],
)
def test_a_quantile_is_that_of_promql(quantile: float, counts: tuple[int, ...], expected: float) -> None:
    assert histogram_quantile(quantile, counts, EDGES) == pytest.approx(expected, nan_ok=True)


def test_a_ratio_is_divided_as_promql_divides() -> None:
    ratio = Query(relative=True)
    assert ratio.of(Window(60.0, 100, 2, 100, 1)) == 2.0
    assert ratio.of(Window(60.0, 100, 2, 100, 0)) == inf
    assert isnan(ratio.of(Window(60.0, 100, 0, 100, 0)))
    assert isnan(ratio.of(Window(60.0, 100, 2, 0, 0)))


def test_a_window_holds_the_ticks_that_ended_in_it() -> None:
    windows = [Window(10.0 * (index + 1) + 0.1, 1, 0, 2, 0) for index in range(12)]
    assert total(windows, 60.1, 120.1).canary_requests == 6
    assert total(windows, -1.0, 35.0).baseline_requests == 6


def test_buckets_of_other_edges_and_missing_ones_are_left_out() -> None:
    old = Window(60.0, 10, 0, 10, 0, (10, 0), (10, 0), (100.0,))
    new = Window(120.0, 10, 0, 10, 0, (0, 10, 0, 0), (10, 0, 0, 0), EDGES)
    lost = Window(90.0, 10, 0, 10, 0, (), (0, 0, 7, 0), EDGES)
    both = total([old, lost, new], 0.0, 120.0)
    assert (both.canary_latency, both.baseline_latency) == ((0, 10, 0, 0), (10, 0, 7, 0))
    assert (both.canary_requests, both.edges_ms) == (30, EDGES)


def test_a_clock_strikes_once_however_long_a_tick_was() -> None:
    assert list(every([10.0, 59.9, 70.0, 300.0, 359.0, 360.0], 60.0)) == [59.9, 300.0, 360.0]


def test_the_posterior_is_even_for_equal_counts_and_exact_for_few() -> None:
    assert probability_worse(3, 100, 3, 100) == pytest.approx(0.5)
    assert probability_worse(0, 0, 0, 1000) == pytest.approx(0.5)
    assert probability_worse(1, 1, 0, 1) == pytest.approx(5.0 / 6.0)  # ∫ 2x · (1 − (1 − x)²) dx
    assert probability_worse(13000, 13000, 80, 16000) == pytest.approx(1.0)
    assert probability_worse(5000, 100000, 5000, 100000) == pytest.approx(0.5)


def test_the_score_is_the_textbook_s() -> None:
    assert score(20, 100, 10, 100) == pytest.approx(1.9803, abs=1e-4)
    assert score(0, 0, 10, 100) == score(0, 100, 0, 100) == 0.0


def test_a_drift_in_both_arms_is_a_difference_only_where_ticks_are_pooled() -> None:
    """Bad minutes at a split of one half, good ones at a tenth: the arms fail alike in each."""
    drifting = [(10, 1000, 90, 9000), (500, 5000, 500, 5000)]
    assert mantel_haenszel(drifting) == 0.0
    assert score(*map(sum, zip(*drifting, strict=True))) > 10.0
    assert mantel_haenszel([(20, 100, 10, 100)]) == pytest.approx(1.9803 * (199 / 200) ** 0.5, abs=1e-4)


def test_a_rollout_that_goes_on_is_not_promoted() -> None:
    assert {outcome.decision for outcome in outcomes(minutes([0] * 12), over=False)} == {"continuing", "rolled_back"}
    assert all(outcome.decision != "continuing" for outcome in outcomes(minutes([0] * 12), over=True))


def test_without_a_tick_nothing_is_decided() -> None:
    assert {seen(outcome) for outcome in outcomes([], over=False)} == {("continuing", 0.0)}


def test_each_documented_rule_answers_in_its_own_name() -> None:
    named = [outcome.rule for outcome in outcomes(minutes([1] * 12), over=True)]
    assert named == [rule.name for rule in DOCUMENTED]


ticks = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(0, 2000), st.integers(0, 50)), max_size=40
)


@settings(max_examples=30)
@given(ticks, st.integers(0, 40))
def test_what_comes_later_does_not_change_a_rollback(drawn: list[tuple[int, int, int, int]], cut: int) -> None:
    windows = [
        Window(20.0 * (index + 1), n, min(k, n), m, min(j, m), (n, 0), (m, 0), (100.0,))
        for index, (n, k, m, j) in enumerate(drawn)
    ]
    for rule in DOCUMENTED:
        early = rule.decide(windows[:cut], over=False)
        if early.decision == "rolled_back":
            assert rule.decide(windows, over=True) == early
