"""The judge's formulas against values computed independently, and the law they must obey exactly."""

from datetime import UTC, datetime, timedelta
from itertools import product
from math import comb, exp, log
from statistics import NormalDist

import pytest

from pointsman.core.judge import Arm, JudgePolicy, PodCounters, Tick, judge, latency, ratio
from pointsman.core.judge.block import isotonic, log_block
from pointsman.core.judge.guard import alternatives
from pointsman.core.judge.guard import log_evidence as guard_evidence
from pointsman.core.judge.memory import seeded
from pointsman.core.judge.tally import Tally
from pointsman.core.names import JSON

PROMETHEUS_MS = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0)


def log_normal_histogram(requests: float) -> list[float]:
    """Exact counts of a log-normal latency, median 200 ms and sigma 1, over Prometheus' default buckets."""
    shares = [NormalDist().cdf(log(edge / 200.0)) for edge in PROMETHEUS_MS]
    return [requests * (b - a) for a, b in zip([0.0, *shares], [*shares, 1.0], strict=True)]


@pytest.mark.parametrize(
    ("canary", "baseline", "odds", "nats"),
    [
        pytest.param((3, 28), (2, 532), 5.0, 3.92708360, id="three-bad-of-28"),
        pytest.param((0, 28), (2, 532), 5.0, -0.36360285, id="none-bad-of-28"),
        pytest.param((28, 28), (3, 532), 1000.0, 96.68338387, id="all-bad"),
        pytest.param((0, 0), (2, 532), 5.0, 0.0, id="an-empty-arm-says-nothing"),
        pytest.param((3, 28), (0, 0), 5.0, 0.0, id="nothing-to-compare-with-says-nothing"),
    ],
)
def test_error_evidence_is_as_computed_by_hand(
    canary: tuple[int, int], baseline: tuple[int, int], odds: float, nats: float
) -> None:
    assert ratio.log_evidence(canary, baseline, rate=0.005, odds=odds) == pytest.approx(nats, abs=1e-6)


@pytest.mark.parametrize(("margin", "nats"), [(1.0, 3.91670595), (1.5, 2.82377369)])
def test_error_evidence_beyond_a_margin_counts_bad_answers_only(margin: float, nats: float) -> None:
    found = ratio.log_beyond((3, 28), (2, 532), beyond=5.0 / margin, margin=margin)
    assert found == pytest.approx(nats, abs=1e-6)


def test_isotonic_fit_pools_what_falls() -> None:
    assert isotonic((0.1, 0.5, 0.2, 0.2), (0.4, 0.2, 0.3, 0.1)) == pytest.approx([0.25, 1.4, 1.4, 2.0])


def test_twice_slower_has_the_ratios_of_a_moved_log_normal() -> None:
    staked = latency.bets(PROMETHEUS_MS, log_normal_histogram(10_000.0))
    assert staked is not None
    expected = [0.0606, 0.0832, 0.1574, 0.2496, 0.3971, 0.6867, 1.1602, 1.8409, 3.0486, 5.3500, 8.5872, 13.7424]
    assert staked[2] == pytest.approx(expected, abs=5e-5)


def test_latency_evidence_of_each_slowdown() -> None:
    canary, baseline = (0, 0, 0, 1, 2, 4, 8, 6, 4, 2, 1, 0), (0, 1, 9, 34, 81, 183, 121, 68, 25, 9, 1, 0)
    staked = latency.bets(PROMETHEUS_MS, log_normal_histogram(10_000.0))
    assert staked is not None
    nats = [log_block(canary, baseline, ratios) for ratios in staked]
    assert nats == pytest.approx([4.0486, 6.2411, 7.6279, 1.3925, 4.5434, 2.9461], abs=5e-5)


def test_latency_is_not_bet_on_before_fifty_requests_are_known() -> None:
    assert latency.bets(PROMETHEUS_MS, log_normal_histogram(49.0)) is None
    assert latency.bets(PROMETHEUS_MS, log_normal_histogram(50.1)) is not None


def test_the_whole_judge_reaches_the_reference_evidence_in_three_ticks() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    history = Tally(2000, {"5xx": 10}, PROMETHEUS_MS, log_normal_histogram(2000.0))
    policy = JudgePolicy.of({"warmup": "0s"})
    state: JSON = seeded({"Gateway": history}, policy).as_json()
    totals = {"canary": [0, 0, *[0] * 12], "baseline": [0, 0, *[0] * 12]}
    found = []
    for number, (n_c, k_c, n_b, k_b) in enumerate([(28, 1, 532, 3), (30, 2, 540, 2), (27, 4, 520, 3)]):
        tick = {
            "canary": (n_c, k_c, 0, 0, 1, 2, 4, 9, 6, 3, n_c - 25, 0, 0, 0),
            "baseline": (n_b, k_b, 0, 1, 9, 34, 81, 183, 121, 68, n_b - 507, 9, 1, 0),
        }
        since, until = start + timedelta(seconds=10 * number), start + timedelta(seconds=10 * number + 10)
        arms = {}
        for name, counts in tick.items():
            totals[name] = [a + b for a, b in zip(totals[name], counts, strict=True)]
            requests, bad, *buckets = totals[name]
            pod = PodCounters("*", start, until, requests, {"5xx": bad}, PROMETHEUS_MS, tuple(buckets))
            arms[name] = Arm((pod,), 1 if name == "canary" else 19)
        state, verdict = judge(state, Tick(number, since, until, 0.05, arms["canary"], arms["baseline"]), policy)
        by_metric = verdict.numbers["by_metric"]
        assert isinstance(by_metric, dict)
        found.append([exp(by_metric["5xx"]["log_e"]), exp(by_metric["latency"]["log_e"]), exp(verdict.log_e)])
    assert found[0] == pytest.approx([1.4408, 0.5124, 1.0288], abs=5e-5)
    assert found[1] == pytest.approx([11.9344, 0.4907, 6.5813], abs=5e-5)
    assert found[2] == pytest.approx([7411.3512, 0.4451, 3928.2531], abs=5e-5)
    assert (verdict.action, verdict.metric) == ("roll_back", "5xx")


def binomial(n: int, share: float) -> list[float]:
    return [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]


@pytest.mark.parametrize("odds", ratio.ODDS)
@pytest.mark.parametrize("margin", [1.0, 1.5])
def test_expected_evidence_is_at_most_one_while_the_canary_is_not_worse(odds: float, margin: float) -> None:
    """Every outcome of every small tick, weighed by its probability: no sampling."""

    def evidence(canary: tuple[int, int], baseline: tuple[int, int]) -> float:
        if margin == 1.0:
            return ratio.log_evidence(canary, baseline, rate=0.05, odds=odds)
        return ratio.log_beyond(canary, baseline, beyond=ratio.beyond(odds, 0.05, margin), margin=margin)

    worst = 0.0
    for n_c, n_b in product(range(1, 7), repeat=2):
        for share in (0.001, 0.02, 0.1, 0.3, 0.5, 0.8, 0.99):
            for canary_share in (share, 0.7 * share):
                of_canary, of_baseline = binomial(n_c, min(1.0, margin * canary_share)), binomial(n_b, share)
                expectation = sum(
                    p_c * p_b * exp(evidence((k_c, n_c), (k_b, n_b)))
                    for k_c, p_c in enumerate(of_canary)
                    for k_b, p_b in enumerate(of_baseline)
                )
                worst = max(worst, expectation)
    assert worst <= 1.0 + 1e-12
    assert worst > 0.5  # the bound is not met by never betting


def test_expected_latency_evidence_is_at_most_one_for_equal_arms() -> None:
    """Three buckets, up to four requests a side, all outcomes, all slowdowns."""
    staked = latency.bets((10.0, 20.0), (60.0, 30.0, 10.0))
    assert staked is not None
    outcomes = [[(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)] for n in range(5)]

    def chance(cells: tuple[int, ...], shares: tuple[float, ...]) -> float:
        ways = comb(sum(cells), cells[0]) * comb(sum(cells) - cells[0], cells[1])
        return ways * shares[0] ** cells[0] * shares[1] ** cells[1] * shares[2] ** cells[2]

    for shares in ((0.6, 0.3, 0.1), (0.1, 0.1, 0.8), (0.98, 0.01, 0.01)):
        for ratios, (n_c, n_b) in product(staked, product((1, 2, 4), repeat=2)):
            expectation = sum(
                chance(c, shares) * chance(b, shares) * exp(log_block(c, b, ratios))
                for c in outcomes[n_c]
                for b in outcomes[n_b]
            )
            assert expectation <= 1.0 + 1e-12


@pytest.mark.parametrize("limit", [0.01, 0.3, 0.95])
def test_expected_guard_evidence_is_at_most_one_up_to_the_limit(limit: float) -> None:
    for worse, n, part in product(alternatives(limit), (1, 3, 8), (0.2, 1.0)):
        expectation = sum(
            chance * exp(guard_evidence(bad, n, limit=limit, worse=worse))
            for bad, chance in enumerate(binomial(n, part * limit))
        )
        assert expectation <= 1.0 + 1e-12
