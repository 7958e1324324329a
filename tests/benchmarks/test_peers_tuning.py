"""Settings are tuned as by an operator who knew everything: by what they cost, of those that stay within limits."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.judge.batch import Batch, History
from benchmarks.judge.peers import PEERS, Scores, best, decide, grid, scores

from pointsman_cli.judging.peers.argo import Argo
from pointsman_cli.judging.peers.documented import DOCUMENTED
from pointsman_cli.judging.peers.kayenta import Kayenta, Measured
from pointsman_cli.judging.peers.kayenta_judge import Settings
from pointsman_cli.judging.peers.windows import Query


def of(share: list[float], mean: list[float], later: float = 0.0) -> Scores:
    """Scores of a thousand rollouts; those that are missed serve `later` requests more."""
    found, served, missed = (np.asarray([round(1000 * x) for x in each]) for each in (share, mean, [later] * len(mean)))
    return Scores(1000, found, served, missed * (1000 - found) // 1000)


PLAIN = of([0.0, 0.005, 0.006, 0.0], [0, 0, 0, 0])
INCIDENT = of([0.0, 1.0, 0.0, 0.001], [0, 0, 0, 0])
SMALL = of([0.1, 1.0, 1.0, 1.0], [26000, 100, 10, 900])
LARGE = of([1.0, 1.0, 1.0, 1.0], [20, 100, 10, 30])


@pytest.mark.parametrize(
    ("nulls", "rows", "limit", "expected"),
    [
        pytest.param([PLAIN], [LARGE], 0.01, 2, id="an-oracle-of-one-row"),
        pytest.param([PLAIN], [LARGE], 0.005, 0, id="within-a-smaller-limit"),
        pytest.param([PLAIN], [SMALL, LARGE], 0.005, 1, id="one-setting-for-both-rows"),
        pytest.param([PLAIN, INCIDENT], [SMALL, LARGE], 0.005, 3, id="that-survives-incidents"),
        pytest.param([of([0.1] * 4, [0] * 4)], [SMALL], 0.005, None, id="none-does"),
    ],
)
def test_the_setting_that_serves_the_fewest_requests_within_the_limit_is_chosen(
    nulls: list[Scores], rows: list[Scores], limit: float, expected: int | None
) -> None:
    assert best(nulls, rows, limit) == expected


def test_a_setting_that_promotes_a_regression_now_and_then_is_not_the_cheapest() -> None:
    null, row = of([0.0, 0.0], [0, 0]), of([0.9, 1.0], [500, 1000])
    assert best([null], [row], 0.005) == 0
    assert best([null], [of([0.9, 1.0], [500, 1000], later=30000.0)], 0.005) == 1


def test_what_is_never_rolled_back_counts_with_the_last_step_at_all_traffic() -> None:
    batch = errors_only(6)
    batch = replace(batch, split=np.where(np.arange(batch.ticks) < 50, batch.split, 1.0))
    [never, *_] = DOCUMENTED
    assert (decide(batch, never) < 0).all()
    missed = scores(batch, [never])
    assert missed.requests.tolist() == [batch.n_c[:, :50].sum()]
    assert missed.mean_in_all.tolist() == [batch.n_c.sum() / 6]


def test_scores_of_two_halves_are_those_of_the_whole() -> None:
    batch = errors_only(6)
    settings = DOCUMENTED[:4]
    halves = scores(batch.some(slice(0, 3)), settings) + scores(batch.some(slice(3, 6)), settings)
    whole = scores(batch, settings)
    assert halves.rollouts == whole.rollouts
    assert halves.found.tolist() == whole.found.tolist()
    assert halves.requests.tolist() == whole.requests.tolist()
    assert halves.later.tolist() == whole.later.tolist()


def test_requests_count_from_the_onset_to_the_decision_as_the_batch_counts_them() -> None:
    batch = errors_only(6, onset=9)
    for rule in DOCUMENTED[:4]:
        assert scores(batch, [rule]).requests[0] == batch.exposed(decide(batch, rule)).sum()


def test_every_peer_is_tuned_to_find_a_broken_canary_in_its_first_minute() -> None:
    """`broken` fails always, 140 requests in 10 s: a peer that may be set freely needs one to six ticks."""
    healthy, broken = errors_only(10, times=1.0), errors_only(10, times=100.0)
    for peer in PEERS:
        settings = grid(peer, "errors", healthy)
        row = scores(broken, settings)
        chosen = best([scores(healthy, settings)], [row], 0.01)
        assert chosen is not None, peer
        assert row.share[chosen] == 1.0, peer
        assert row.mean[chosen] < 1500.0, peer


def test_the_documented_rules_are_twelve_with_names_of_their_own() -> None:
    assert len({rule.name for rule in DOCUMENTED}) == 12


def test_no_two_settings_of_a_grid_have_one_name() -> None:
    batch = errors_only(1)
    for peer in PEERS:
        names = [setting.name for setting in grid(peer, "errors", batch)]
        assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(Argo("two conditions", success_max=0.1, failure_min=0.2), id="argo-inconclusive"),
        pytest.param(Argo("successes in a row", success_max=0.1, consecutive_success_limit=4), id="argo-successes"),
        pytest.param(Kayenta("a decrease", (Measured("errors", Query(), Settings()),)), id="kayenta-either"),
    ],
)
def test_what_is_not_simulated_is_refused_by_name(rule: Argo | Kayenta) -> None:
    with pytest.raises(ValueError, match=rule.name):
        decide(errors_only(1), rule)


def test_latency_that_was_not_simulated_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="latency was not simulated"):
        decide(errors_only(1), Argo("p99", query=Query("latency"), success_max=500.0))


def errors_only(rollouts: int, times: float = 2.0, onset: int = 0, ticks: int = 60) -> Batch:
    """280 requests a second at one split of 5 %, base rate 1 %."""
    random = np.random.default_rng(5)
    requests = random.poisson(2800.0, (rollouts, ticks))
    n_c = random.binomial(requests, 0.05)
    bad = np.where(np.arange(ticks) >= onset, min(0.01 * times, 1.0), 0.01)
    return Batch(
        "errors only",
        10.0,
        np.full((rollouts, ticks), 0.05),
        n_c,
        requests - n_c,
        {"5xx": random.binomial(n_c, bad)},
        {"5xx": random.binomial(requests - n_c, 0.01)},
        History(np.full(rollouts, 2000.0), {"5xx": np.full(rollouts, 20.0)}),
        onset=onset,
        base_rate=0.01,
        quantiles_ms={0.5: 200.0, 0.95: 1000.0, 0.99: 2000.0},
    )
