"""From a policy's `judge` section to metrics with fixed weights."""

import json
from datetime import timedelta
from math import log
from pathlib import Path

import pytest

from pointsman.core.judge import JudgePolicy
from pointsman.core.judge.recording_head import METRICS_MAX
from pointsman.errors import Invalid


def weights(policy: JudgePolicy) -> dict[str, float]:
    return {metric.name: round(metric.weight, 4) for metric in policy.metrics if metric.enforced}


def test_an_empty_section_has_the_defaults() -> None:
    policy = JudgePolicy.of({})
    assert weights(policy) == {"5xx": 0.53, "latency": 0.42, "guard": 0.05}
    assert (policy.alpha, policy.warmup, policy.bad_limit, policy.enforced) == (0.01, timedelta(seconds=60), 0.3, True)
    assert [metric.margin for metric in policy.metrics] == [0.0, 0.1, 0.0]


@pytest.mark.parametrize(
    ("profile", "alpha", "odds", "slowdown"),
    [("Default", 0.01, 1.5, 1.25), ("Safe", 0.001, 2.0, 1.5), ("Sensitive", 0.05, 1.5, 1.25)],
)
def test_a_profile_is_an_error_rate(profile: str, alpha: float, odds: float, slowdown: float) -> None:
    policy = JudgePolicy.of({"profile": profile})
    assert policy.needed == pytest.approx(log(1.0 / alpha))
    assert policy.odds()[0][0] == odds
    assert policy.slowdowns()[0][0] == (slowdown, 1.0)


def test_further_metrics_share_at_most_three_tenths() -> None:
    policy = JudgePolicy.of({"metricSets": ["Gateway", "Triton", "RayServe"]})
    assert weights(policy) == {
        "5xx": 0.371,
        "latency": 0.294,
        "triton-errors": 0.1,
        "ray-errors": 0.1,
        "ray-latency": 0.1,
        "guard": 0.035,
    }


def test_the_most_metrics_that_a_document_may_ask_for_can_be_judged_and_recorded() -> None:
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "rollout-policy.json").read_text())
    section = schema["$defs"]["Judge"]["properties"]
    known = section["metricSets"]["items"]["enum"]
    own = [
        {"name": f"own-{number}", "type": "Ratio", "bad": "b", "total": "t"}
        for number in range(section["metrics"]["maxItems"])
    ]
    policy = JudgePolicy.of({"metricSets": known, "metrics": own})
    found = weights(policy)
    assert len(policy.metrics) == 33 <= METRICS_MAX
    assert (found["5xx"], found["vllm-first-token"], found["own-19"]) == (0.2226, 0.1764, 0.02)


def test_latency_at_the_gateway_is_only_observed_for_servers_that_stream() -> None:
    policy = JudgePolicy.of({"metricSets": ["Gateway", "VLLM"]})
    observed = [metric.name for metric in policy.metrics if not metric.enforced]
    assert observed == ["latency"]
    assert weights(policy)["vllm-first-token"] == pytest.approx(0.42 * 0.7)


def test_a_metric_of_the_same_name_replaces_the_known_one() -> None:
    own = {"name": "latency", "type": "Latency", "histogram": "seconds", "marginPercent": 25.0, "mode": "Observe"}
    policy = JudgePolicy.of({"metrics": [own]})
    (latency,) = (metric for metric in policy.metrics if metric.name == "latency")
    assert (latency.metric_set, latency.margin, latency.enforced) == ("latency", 0.25, False)
    assert set(weights(policy)) == {"5xx", "guard"}


def test_a_mean_of_ones_own_is_judged_by_its_bounds() -> None:
    mean = {
        "name": "score",
        "type": "Mean",
        "count": "c",
        "sum": "s",
        "sumOfSquares": "q",
        "bounds": {"min": 0, "max": 1},
    }
    policy = JudgePolicy.of({"metrics": [mean]})
    (score,) = (metric for metric in policy.metrics if metric.name == "score")
    assert (score.kind, score.bounds, score.worse) == ("Mean", (0.0, 1.0), "Higher")
    assert weights(policy)["score"] == 0.1


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0.0), ("90s", 90.0), ("1h30m", 5400.0), ("1500ms", 1.5)])
def test_warmup_is_a_duration(text: str, seconds: float) -> None:
    assert JudgePolicy.of({"warmup": text}).warmup == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({"profile": "Brave"}, "judge.profile"),
        ({"metricSets": ["Gateway", "KServe"]}, "judge.metricSets"),
        ({"warmup": "1d"}, "judge.warmup"),
        ({"warmup": 60}, "judge.warmup"),
    ],
)
def test_what_there_is_none_of_is_refused(section: dict[str, object], where: str) -> None:
    with pytest.raises(Invalid) as refused:
        JudgePolicy.of(section)
    assert refused.value.where == where
