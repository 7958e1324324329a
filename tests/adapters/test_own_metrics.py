"""PromQL series selectors as filters of Cloud Monitoring: what a policy's own metrics are read by."""

import pytest

from pointsman.adapters.metric_series import Term
from pointsman.adapters.own_metrics import own_recipes, term_of
from pointsman.errors import Invalid


@pytest.mark.parametrize(
    ("selector", "kind", "series", "where"),
    [
        ("chat_refusals_total", "counter", "chat_refusals_total/counter", ""),
        ("vllm:queue_seconds", "histogram", "vllm:queue_seconds/histogram", ""),
        ("chat_seconds_bucket", "histogram", "chat_seconds/histogram", ""),
        (
            'http_requests_total{code=~"5..", path!="/health"}',
            "counter",
            "http_requests_total/counter",
            'metric.labels.code = monitoring.regex.full_match("5..") AND metric.labels.path != "/health"',
        ),
        (
            "x{job='serving',stage!~'a|b',}",
            "counter",
            "x/counter",
            'resource.labels.job = "serving" AND NOT metric.labels.stage = monitoring.regex.full_match("a|b")',
        ),
        (r'x{said="a \"word\""}', "counter", "x/counter", r'metric.labels.said = "a \"word\""'),
    ],
)
def test_a_selector_is_a_metric_type_and_a_filter(selector: str, kind: str, series: str, where: str) -> None:
    assert term_of(selector, kind) == Term(series, where)


@pytest.mark.parametrize("selector", ['{__name__="x"}', 'x{"quoted.label"="a"}', "x{a=`raw`}"])
def test_a_selector_without_a_filter_is_refused_with_its_place(selector: str) -> None:
    with pytest.raises(Invalid) as refused:
        term_of(selector, "counter", where="judge.metrics refusals.bad")
    assert refused.value.where == "judge.metrics refusals.bad"


def test_each_metric_is_a_set_of_its_own_name() -> None:
    ratio, latency, mean = own_recipes(
        [
            {"name": "refusals", "type": "Ratio", "bad": "refusals_total", "total": "answers_total"},
            {"name": "first-token", "type": "Latency", "histogram": "first_token_seconds"},
            {"name": "score", "type": "Mean", "count": "n", "sum": "s", "sumOfSquares": "q", "bounds": {}},
        ]
    )
    assert (ratio.metric_set, ratio.total, ratio.bad) == (
        "refusals",
        ((Term("answers_total/counter"),),),
        {"bad": ((Term("refusals_total/counter"),),)},
    )
    assert (latency.latency, latency.unit_ms) == (Term("first_token_seconds/histogram"), 1000.0)
    assert mean.sums == (Term("n/counter"), Term("s/counter"), Term("q/counter"))
