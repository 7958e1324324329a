"""Kayenta's judge: metrics classified by Mann–Whitney, the classes added up to a score.

`NetflixACAJudge.scala`, `MannWhitneyClassifier.scala`, `WeightedSumScorer.scala`, `IQRDetector.scala`,
`EffectSizes.scala` (a69573be).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from math import isnan, nan
from statistics import NormalDist, fmean
from typing import Literal

from pointsman_cli.judging.peers.mann_whitney import mann_whitney

__all__ = [
    "Class",
    "Classified",
    "Judged",
    "Label",
    "Settings",
    "classify",
    "cles",
    "mean_ratio",
    "outliers",
    "score",
    "spread",
]

Label = Literal["Pass", "High", "Low", "Nodata", "NodataFailMetric", "Error"]

NODATA_THRESHOLD_PERCENT = 50.0


@dataclass(frozen=True, slots=True)
class Settings:
    """`analysisConfigurations.canary` of a metric. `tolerance` and `confidence` are constants of NetflixACAJudge.

    Limits that are None are the measure's default: 1 for `meanRatio`, 0.5 for `cles`.
    """

    direction: Literal["increase", "decrease", "either"] = "either"
    nan_strategy: Literal["remove", "replace"] = "remove"
    remove_outliers: bool = False
    outlier_factor: float = 3.0
    critical: bool = False
    must_have_data: bool = False
    measure: Literal["meanRatio", "cles"] = "meanRatio"
    allowed_increase: float | None = None
    allowed_decrease: float | None = None
    critical_increase: float | None = None
    critical_decrease: float | None = None
    tolerance: float = 0.25
    confidence: float = 0.98

    def limit(self, value: float | None) -> float:
        return value if value is not None else 0.5 if self.measure == "cles" else 1.0


@dataclass(frozen=True, slots=True)
class Class:
    """What became of one metric. `ratio` is mean(canary) / mean(baseline), NaN where a mean is 0."""

    label: Label
    critical: bool = False
    ratio: float = 1.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Classified:
    """A metric's class with what the score needs of its settings."""

    name: str
    found: Class
    groups: Sequence[str] = ("metrics",)
    muted: bool = False


def classify(canary: Sequence[float], baseline: Sequence[float], settings: Settings) -> Class:
    """One metric's points, NaN where there was no data."""
    canary, baseline = _prepared(canary, settings), _prepared(baseline, settings)
    if not canary or not baseline:
        if settings.nan_strategy == "replace":
            return Class("Pass")
        if settings.must_have_data and not settings.critical:
            return Class("NodataFailMetric", reason="missing data")
        return Class("Nodata", critical=settings.critical, reason="missing data")
    if sorted(canary) == sorted(baseline):
        return Class("Pass", reason="canary and baseline are identical")
    if len({*canary, *baseline}) == 1:
        return Class("Pass")
    try:
        return _compared(canary, baseline, settings)
    except ArithmeticError:
        return Class("Error", reason="metric classification failed")


def _prepared(values: Sequence[float], settings: Settings) -> list[float]:
    if settings.nan_strategy == "remove":
        kept = [value for value in values if not isnan(value)]
    else:
        kept = [0.0 if isnan(value) else value for value in values]
    if not settings.remove_outliers:
        return kept
    beyond = outliers(kept, settings.outlier_factor)
    return [value for value, outside in zip(kept, beyond, strict=True) if not outside]


def _compared(canary: Sequence[float], baseline: Sequence[float], settings: Settings) -> Class:
    if len(set(canary)) == 1 and len(set(baseline)) == 1:
        canary, baseline = spread(canary), spread(baseline)
    shift = mann_whitney(canary, baseline, settings.confidence)
    ratio = mean_ratio(canary, baseline)
    effect = cles(canary, baseline) if settings.measure == "cles" else ratio
    bound = settings.tolerance * abs(shift.estimate)

    # An effect that cannot be computed is ignored, hence never the reason to pass.
    def risen(limit: float | None) -> bool:
        return isnan(effect) or effect >= settings.limit(limit)

    def fallen(limit: float | None) -> bool:
        return isnan(effect) or effect <= settings.limit(limit)

    interval = f"shift {shift.estimate:.4g} in [{shift.lower:.4g}, {shift.upper:.4g}], {ratio:.3g} times baseline's"
    if settings.direction != "decrease" and shift.lower > bound and risen(settings.allowed_increase):
        return Class("High", settings.critical and risen(settings.critical_increase), ratio, interval)
    if settings.direction != "increase" and shift.upper < -bound and fallen(settings.allowed_decrease):
        return Class("Low", settings.critical and fallen(settings.critical_decrease), ratio, interval)
    return Class("Pass", ratio=ratio, reason=interval)


def spread(values: Sequence[float]) -> list[float]:
    """One value, again and again, with a little normal noise, without which the test has nothing to rank.

    Kayenta draws it; here it is the normal quantiles, so that the same data have the same outcome.
    """
    deviation, count = values[0] * 1e-5, len(values)
    return [value + deviation * NormalDist().inv_cdf((i + 0.5) / count) for i, value in enumerate(values)]


def mean_ratio(canary: Sequence[float], baseline: Sequence[float]) -> float:
    over, under = fmean(canary), fmean(baseline)
    return over / under if over != 0.0 and under != 0.0 else nan


def cles(canary: Sequence[float], baseline: Sequence[float]) -> float:
    """Share of pairs in which the canary's value is higher, ties counted half (Vargha and Delaney 2000)."""
    higher = sum((x > y) + 0.5 * (x == y) for x in canary for y in baseline)
    return higher / (len(canary) * len(baseline))


def outliers(values: Sequence[float], factor: float, *, widened: bool = True) -> list[bool]:
    """Beyond `factor` interquartile ranges from the quartiles, and (`widened`) beyond the 1st and 99th percentile."""
    if not values:
        return []
    ordered = sorted(values)
    lower_quartile, upper_quartile = _percentile(ordered, 25), _percentile(ordered, 75)
    low = lower_quartile - factor * (upper_quartile - lower_quartile)
    high = upper_quartile + factor * (upper_quartile - lower_quartile)
    if widened:
        low, high = min(_percentile(ordered, 1), low), max(_percentile(ordered, 99), high)
    return [value > high or value < low for value in values]


def _percentile(ordered: Sequence[float], percent: float) -> float:
    """Hyndman and Fan's type 7, as R's default."""
    place = (len(ordered) - 1) * percent / 100
    index = int(place)
    if index + 1 >= len(ordered):
        return ordered[-1]
    return ordered[index] + (place - index) * (ordered[index + 1] - ordered[index])


@dataclass(frozen=True, slots=True)
class Judged:
    """The score, 0 to 100, the score of each group with data, and why it is 0 where one metric decided it."""

    score: float
    groups: Mapping[str, float]
    reason: str = ""


def score(metrics: Sequence[Classified], weights: Mapping[str, float] | None = None) -> Judged:
    """`weights` of groups in percent; groups without one share what is left of 100."""
    counted = [metric for metric in metrics if not metric.muted]
    groups, empty = _group_scores(counted)
    failures = [metric for metric in counted if metric.found.critical and metric.found.label != "Pass"]
    if failures:
        return Judged(0.0, groups, f"{failures[0].name} is {failures[0].found.label} (critical)")
    silent = sum(metric.found.label == "Nodata" for metric in counted)
    if not counted or silent / len(counted) * 100 >= NODATA_THRESHOLD_PERCENT:
        return Judged(0.0, groups, f"{NODATA_THRESHOLD_PERCENT:g} % or more of the metrics have no data")
    weights = weights or {}
    unweighted = [name for name in (*groups, *empty) if name not in weights]
    rest = (100 - sum(weights.values())) / len(unweighted) if unweighted else 0.0
    summary = sum(groups.get(name, 100.0) * (weights.get(name, rest) / 100) for name in (*groups, *empty))
    return Judged(float(Decimal(repr(summary)).quantize(Decimal("0.01"), ROUND_HALF_UP)), groups)


def _group_scores(metrics: Sequence[Classified]) -> tuple[dict[str, float], list[str]]:
    """Score of each group, and the groups without data, which count as 100."""
    labels: dict[str, list[Label]] = defaultdict(list)
    for metric in metrics:
        for group in metric.groups:
            labels[group].append(metric.found.label)
    judged = {
        group: [label for label in found if label in ("Pass", "High", "Low", "NodataFailMetric")]
        for group, found in labels.items()
    }
    scores = {group: found.count("Pass") / len(found) * 100 for group, found in judged.items() if found}
    return scores, [group for group, found in judged.items() if not found]
