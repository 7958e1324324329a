"""Kayenta's judge against the vectors of its own tests.

The numbers are those of `ClassifierSuite`, `MannWhitneySuite`, `ScorerSuite`, `StatisticSuite` and `DetectorSuite`
of github.com/spinnaker/kayenta at a69573be (Apache-2.0, Copyright Netflix). Those with an interval from R are from
R's `wilcox.test`, as that suite prints them.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan

import pytest

from pointsman_cli.judging.peers.kayenta_judge import (
    Class,
    Classified,
    Label,
    Settings,
    classify,
    cles,
    mean_ratio,
    outliers,
    score,
)
from pointsman_cli.judging.peers.mann_whitney import critical, mann_whitney

SUITE = Settings(tolerance=0.10, confidence=0.95)
HIGH = ([20.0, 22.0, 21.0, 25.0, 30.0], [1.0, 2.2, 1.1, 2.5, 3.0])
SHIFTED = ([10.0, 12.2, 10.1, 12.5, 23.0], [20.0, 22.0, 21.0, 25.0, 30.0])
LOW = ([2.0, 2.0, 2.0, 2.0, 3.0], [10.0, 20.2, 10.1, 20.5, 30.0])
SIX = ([54.9, 54.5, 55.1, 55.6, 57.4], [0.0] * 5)
ZERO_MEAN = (
    [0.05000000074505806] * 2
    + [0.01666666753590107] * 3
    + [0.05000000074505806, 0.03333333507180214, 0.05000000260770321, 0.05000000260770321, 0.13333333656191826],
    [0.0] * 10,
)

R_CANARY = """
2.5 2.5 2.0 2.5 3.5 2.0 3.5 1.5 3.0 3.0 2.5 3.5 2.0 2.5 2.0 2.0 5.0 3.0 2.0 1.5 2.0 4.0 3.0 2.5 3.0 2.0 2.0 2.0 2.5
3.5 1.5 1.5 3.5 2.0 2.5 2.5 3.0 3.5 2.5 6.5 2.5 4.0 2.5 3.0 2.5 6.5 2.5 3.0 1.5 2.0 2.5 3.0 7.5 1.5 2.0 4.0 2.5 2.0
2.5 3.5 4.0 2.5 3.0 2.5 2.0 3.5 3.0 16.5 3.0 3.0 7.0 4.5 5.0 2.0 3.5 6.0 1.5 3.0 2.5 4.0 3.0 1.5 5.0 3.0 2.5 5.5 3.0
1.5 2.5 6.0
"""
R_BASELINE = """
1.5 6.0 5.0 2.5 2.5 2.0 2.0 3.5 3.0 3.0 3.0 2.0 3.0 8.0 4.0 2.5 3.0 2.5 2.5 2.0 2.5 2.0 2.0 2.5 3.5 3.0 1.5 5.0 2.5
5.5 2.0 2.5 3.5 2.0 2.5 4.0 2.0 2.0 2.0 2.0 5.5 4.5 4.0 3.0 3.0 3.5 2.5 3.0 2.5 4.0 6.0 2.0 5.0 6.0 3.5 3.0 54.5 3.0
5.0 6.0 3.5 4.5 2.5 2.0 6.0 5.0 2.5 3.5 2.0 3.0 2.5 3.5 3.5 2.5 3.0 4.5 3.0 15.5 5.0 2.5 3.0 4.0 3.5 4.0 4.0 2.0 4.5
2.5 4.0 3.0
"""


def numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


@pytest.mark.parametrize(
    ("canary", "baseline", "lower", "upper", "estimate", "within"),
    [
        pytest.param([10.0, 20.0, 30.0, 40.0], [1.0, 2.0, 3.0, 4.0], 6.0, 39.0, 22.5, 1e-6, id="mann-whitney-suite"),
        pytest.param(*HIGH, 17.80, 27.80, 20.0, 5e-3, id="high"),
        pytest.param(*SHIFTED, -17.80, 1.00, -10.78, 5e-3, id="pass"),
        pytest.param(*LOW, -28.0, -8.0, -18.08, 5e-3, id="low"),
    ],
)
def test_the_interval_is_the_published_one(
    canary: list[float], baseline: list[float], lower: float, upper: float, estimate: float, within: float
) -> None:
    shift = mann_whitney(canary, baseline, 0.95)
    assert shift.lower == pytest.approx(lower, abs=within)
    assert shift.upper == pytest.approx(upper, abs=within)
    assert shift.estimate == pytest.approx(estimate, abs=within)


def test_ties_are_corrected_and_roots_found_as_in_r() -> None:
    shift = mann_whitney(numbers(R_CANARY), numbers(R_BASELINE), 0.95)
    assert shift.lower == pytest.approx(-0.500002521696696, abs=1e-6)
    assert shift.upper == pytest.approx(-3.486287505871302e-5, abs=1e-6)
    assert shift.estimate == pytest.approx(-0.4999393907180323, abs=1e-4)


def test_the_quantile_of_098_is_the_published_one() -> None:
    assert critical(0.98) == pytest.approx(2.326348, abs=1e-6)


@pytest.mark.parametrize(
    ("data", "settings", "label", "is_critical", "ratio"),
    [
        pytest.param(HIGH, replace(SUITE, allowed_decrease=0.8, allowed_increase=1.2), "High", False, 12.04, id="high"),
        pytest.param(
            SHIFTED, replace(SUITE, allowed_decrease=0.5, allowed_increase=1.0), "Pass", False, 0.575, id="pass"
        ),
        pytest.param(
            LOW,
            replace(SUITE, critical=True, critical_decrease=1.2, critical_increase=1.0),
            "Low",
            True,
            0.121,
            id="critical-low",
        ),
        pytest.param(
            HIGH,
            replace(SUITE, critical=True, critical_decrease=1.0, critical_increase=1.2),
            "High",
            True,
            12.04,
            id="critical-high",
        ),
        pytest.param(HIGH, replace(SUITE, critical=True), "High", True, 12.04, id="critical-by-default-limits"),
        pytest.param(
            HIGH,
            replace(SUITE, critical=True, allowed_increase=5.0, critical_increase=13.0),
            "High",
            False,
            12.04,
            id="high-not-critical",
        ),
        pytest.param(
            HIGH,
            replace(SUITE, critical=True, allowed_increase=13.0, critical_increase=15.0),
            "Pass",
            False,
            12.04,
            id="effect-too-small",
        ),
        pytest.param(([10.0] * 5, [1.0] * 5), SUITE, "High", False, 10.0, id="each-side-tied"),
        pytest.param(([10.0] * 5, [0.0] * 5), SUITE, "High", False, nan, id="tied-with-zeros"),
        pytest.param(([1.0, 1.0, 1.0, 1.0, 10.0], [1.0] * 5), SUITE, "Pass", False, 2.8, id="mostly-tied"),
        pytest.param(SIX, replace(SUITE, allowed_increase=1.2), "High", False, nan, id="zero-baseline"),
        pytest.param(SIX[::-1], replace(SUITE, allowed_decrease=0.8), "Low", False, nan, id="zero-canary"),
        pytest.param(
            ZERO_MEAN,
            replace(SUITE, critical=True, nan_strategy="replace", critical_decrease=0.8, critical_increase=1.2),
            "High",
            True,
            nan,
            id="zero-baseline-critical",
        ),
    ],
)
def test_a_metric_is_classified_as_in_classifier_suite(
    data: tuple[list[float], list[float]], settings: Settings, label: Label, is_critical: bool, ratio: float
) -> None:
    found = classify(*data, settings)
    assert (found.label, found.critical) == (label, is_critical)
    assert found.ratio == pytest.approx(ratio, rel=2e-3, nan_ok=True)


DECREASE = replace(SUITE, direction="decrease")
FIVE = [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("canary", "baseline", "settings", "expected"),
    [
        pytest.param([1.0] * 3, [1.0] * 2, DECREASE, ("Pass", False), id="one-value-everywhere"),
        pytest.param(FIVE, FIVE[::-1], DECREASE, ("Pass", False), id="identical"),
        pytest.param([0.0, 1.0, 1.0, 1.0, 1.0], [1.0] * 5, DECREASE, ("Pass", False), id="leading-zero"),
        pytest.param([], FIVE, DECREASE, ("Nodata", False), id="no-canary"),
        pytest.param([nan, nan], FIVE, DECREASE, ("Nodata", False), id="canary-without-a-number"),
        pytest.param([], FIVE, replace(DECREASE, critical=True), ("Nodata", True), id="no-canary-critical"),
        pytest.param([], FIVE, replace(DECREASE, nan_strategy="replace"), ("Pass", False), id="no-canary-replaced"),
        pytest.param(
            [], FIVE, replace(DECREASE, must_have_data=True), ("NodataFailMetric", False), id="data-is-required"
        ),
        pytest.param(
            [],
            FIVE,
            replace(DECREASE, must_have_data=True, critical=True),
            ("Nodata", True),
            id="critical-goes-before-required",
        ),
        pytest.param([3.0], [1.0], SUITE, ("Error", False), id="one-point-each-cannot-be-ranked"),
        pytest.param([3.0, 4.0], [1.0, 2.0], SUITE, ("High", False), id="two-points-apart-have-their-gap-for-a-bound"),
        pytest.param(*HIGH, DECREASE, ("Pass", False), id="rise-where-only-a-fall-counts"),
        pytest.param(*LOW, replace(SUITE, direction="increase"), ("Pass", False), id="fall-where-only-a-rise-counts"),
    ],
)
def test_missing_tied_and_permitted_data_are_no_failure(
    canary: Sequence[float], baseline: Sequence[float], settings: Settings, expected: tuple[Label, bool]
) -> None:
    found = classify(canary, baseline, settings)
    assert (found.label, found.critical) == expected


CLES_CANARY = numbers("""
29.17644856 25.16947646 25.88467948 29.4900454 27.05622757 26.13307864 27.2711558 26.69139944 29.05412377 26.39818697
26.68312641 24.99600187 27.99524816 22.57278291 23.72798196 25.82821505 28.26624521 28.02370228 24.1792213 26.02914828
25.90970275 31.18337461 27.44254942 29.93347686 26.70848069 28.12191913 27.39257837 30.17636627 29.60240485 30.10635388
""")
CLES_BASELINE = numbers("""
24.69397578 25.37120574 25.86186148 26.93804252 22.72232309 24.15894084 24.80842752 26.07830794 27.35323988 23.25110886
24.65909111 23.88299016 21.34817847 26.33198082 23.39498829 26.6734461 25.33769589 23.92348759 25.29740715 24.21381887
28.1697053 22.2271772 27.16612837 25.16639243 26.85955896 27.13421926 25.43350074 26.32130314 23.8854011 27.86180318
""")


@pytest.mark.parametrize(
    ("canary", "baseline", "expected"),
    [
        pytest.param(FIVE, FIVE, 0.5, id="identical"),
        pytest.param([1.4, 4.7], [22.9, 26.4], 0.0, id="no-overlap"),
        pytest.param(CLES_CANARY, CLES_BASELINE, 0.771, id="high"),
    ],
)
def test_the_common_language_effect_size_is_the_published_one(
    canary: list[float], baseline: list[float], expected: float
) -> None:
    assert cles(canary, baseline) == pytest.approx(expected, abs=1e-3)


def test_an_effect_below_half_is_the_default_limit_of_cles() -> None:
    measured = replace(SUITE, measure="cles", confidence=0.98, tolerance=0.2)
    assert classify(CLES_CANARY, CLES_BASELINE, measured).label == "High"
    assert classify(CLES_CANARY, CLES_BASELINE, replace(measured, allowed_increase=0.8)).label == "Pass"


@pytest.mark.parametrize(
    ("canary", "baseline", "expected"),
    [([10.0] * 5, [1.0] * 5, 10.0), ([10.0] * 5, [100.0] * 5, 0.1), ([10.0] * 5, [0.0] * 5, nan)],
)
def test_the_mean_ratio_is_undefined_where_a_mean_is_zero(
    canary: list[float], baseline: list[float], expected: float
) -> None:
    found = mean_ratio(canary, baseline)
    assert found == expected or (isnan(found) and isnan(expected))


@pytest.mark.parametrize(
    ("values", "beyond"),
    [
        pytest.param([21.0, 23.0, 24.0, 25.0, 50.0, 29.0, 23.0, 21.0], [4], id="one"),
        pytest.param([1.0, 1.0, 1.0, 5.0, -1.0, -1.0, -1.0, -5.0], [3, 7], id="both-sides"),
        pytest.param([], [], id="empty"),
    ],
)
def test_outliers_lie_beyond_the_fences_of_tukey(values: list[float], beyond: list[int]) -> None:
    assert [index for index, out in enumerate(outliers(values, 1.5, widened=False)) if out] == beyond


def test_a_removed_outlier_is_not_compared() -> None:
    canary = [1.0 + i / 100 for i in range(200)] + [500.0]
    baseline = [1.005 + i / 100 for i in range(200)]
    kept = classify(canary, baseline, SUITE).ratio
    removed = classify(canary, baseline, replace(SUITE, remove_outliers=True)).ratio
    assert kept > 2.0
    assert removed == pytest.approx(1.0, abs=0.01)


def metric(label: Label, *groups: str, critical: bool = False, muted: bool = False) -> Classified:
    return Classified(f"{label} metric", Class(label, critical), groups or ("test-group",), muted)


@pytest.mark.parametrize(
    ("metrics", "weights", "expected"),
    [
        pytest.param([metric("Pass")], {}, 100.0, id="pass"),
        pytest.param([metric("High")], {}, 0.0, id="high"),
        pytest.param([metric("Nodata")], {}, 0.0, id="nodata"),
        pytest.param(
            [metric("Pass", "a"), metric("Pass", "a"), metric("Nodata", "b")], {}, 100.0, id="a-group-without-data"
        ),
        pytest.param([metric("Pass"), metric("High")], {}, 50.0, id="one-of-two"),
        pytest.param([metric("Pass"), metric("High"), metric("Low")], {}, 33.33, id="one-of-three"),
        pytest.param([metric("Pass"), metric("NodataFailMetric")], {}, 50.0, id="required-data-missing"),
        pytest.param(
            [metric("Pass", "1"), metric("Pass", "1"), metric("High", "2")], {"1": 75.0, "2": 25.0}, 75.0, id="weights"
        ),
        pytest.param(
            [metric("Pass", "1"), metric("High", "1"), metric("High", "2")], {"1": 50.0, "2": 50.0}, 25.0, id="equal"
        ),
        pytest.param(
            [metric("Pass", "1"), metric("Nodata", "1"), metric("High", "2")],
            {"1": 50.0, "2": 50.0},
            50.0,
            id="nodata-in-a-group",
        ),
        pytest.param([metric("Pass"), metric("High", critical=True)], {}, 0.0, id="critical-high"),
        pytest.param([metric("Low"), metric("Pass", critical=True)], {}, 50.0, id="critical-pass"),
        pytest.param([metric("Pass"), metric("Nodata", critical=True)], {}, 0.0, id="critical-nodata"),
        pytest.param(
            [metric("High", "1"), metric("Low", "1"), metric("Pass", "1"), metric("High", "2")],
            {"1": 15.0, "2": 85.0},
            5.0,
            id="unequal-weights",
        ),
        pytest.param([metric("Pass", "1"), metric("High", "2")], {"1": 60.0}, 60.0, id="the-rest-is-shared"),
        pytest.param([metric("Pass"), metric("High", critical=True, muted=True)], {}, 100.0, id="muted"),
    ],
)
def test_the_score_is_that_of_scorer_suite(
    metrics: list[Classified], weights: dict[str, float], expected: float
) -> None:
    assert score(metrics, weights).score == expected
