"""A mean is judged where bounds are declared or its values are known not to be skewed, and nowhere else."""

from random import Random
from typing import Any

import pytest
from tests.core.judge_lines import HEAD, Pod, by_metric, tick, verdicts

from pointsman.core.judge import Verdict


def scored(worse_by: float, ticks: int = 40, **metric: Any) -> Verdict:
    """A score in [0, 1] around 0.8, 28 canary and 250 stable values a tick."""
    random = Random(11)
    score = {"name": "score", "type": "mean", "worse": "lower", **metric}
    head = {**HEAD, "metrics": [HEAD["metrics"][0], score, HEAD["metrics"][2]]}
    sums = {"canary": [0.0] * 4, "baseline": [0.0] * 4}
    pods = {"canary": Pod(), "baseline": Pod()}
    lines = []
    for seq in range(ticks):
        samples = {}
        for arm, count, by in (("canary", 28, worse_by), ("baseline", 250, 0.0)):
            for _ in range(count):
                x = max(0.0, random.betavariate(8, 2) - by)
                sums[arm] = [total + x**power for power, total in enumerate(sums[arm])]
            n, total, ss, sss = sums[arm]
            pods[arm].serve(count)
            samples[arm] = pods[arm].sample(score={"n": n, "sum": total, "ss": ss, "sss": sss})
        lines.append(tick(seq, [samples["canary"]], [samples["baseline"]]))
    return verdicts(lines, head)[-1][1]


@pytest.mark.parametrize("bounds", [{"bounds": [0, 1]}, {}], ids=["bounded", "checked-for-skew"])
def test_a_worse_mean_goes_back_and_an_equal_one_does_not(bounds: dict[str, Any]) -> None:
    worse = scored(0.06, **bounds)
    assert (worse.action, worse.metric) == ("roll_back", "score")
    assert scored(0.0, **bounds).action != "roll_back"


def test_a_mean_has_the_interval_of_its_difference() -> None:
    interval = by_metric(scored(0.06, bounds=[0, 1]), "score")["interval"]
    assert interval["of"] == "difference"
    assert 0.0 < interval["lower"] < 0.06 < interval["upper"] < 0.2


def test_values_that_are_skewed_or_of_which_nothing_is_known_are_not_judged_by_their_mean() -> None:
    lines = []
    ours, theirs = Pod(), Pod()
    for seq in range(3):
        heavy = {"n": 100.0 * (seq + 1), "sum": 120.0 * (seq + 1), "ss": 900.0 * (seq + 1), "sss": 4e4 * (seq + 1)}
        samples = [pod.serve(28).sample(cost=heavy, other={**heavy, "sss": None}) for pod in (ours, theirs)]
        for sample in samples:
            del sample["other"]["sss"]
        lines.append(tick(seq, samples[:1], samples[1:]))
    metrics = [HEAD["metrics"][0], {"name": "cost", "type": "mean"}, {"name": "other", "type": "mean"}]
    verdict = verdicts(lines, {**HEAD, "metrics": metrics})[-1][1]
    assert by_metric(verdict, "cost")["silent"].startswith("its values are skewed")
    assert by_metric(verdict, "other")["silent"].startswith("neither bounds nor a third moment are known")
