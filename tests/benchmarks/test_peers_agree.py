"""The peers' rules over many rollouts decide rollout by rollout what the command's decide over one."""

import numpy as np
import pytest
from benchmarks.judge.batch import Batch, History
from benchmarks.judge.peers import PEERS, Setting, decide, grid
from benchmarks.judge.peers.grids import Metric

from pointsman_cli.judging.peers import DOCUMENTED, Window

EDGES = np.asarray([5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000], float)
SHARES = np.asarray([1, 5, 30, 110, 240, 340, 150, 80, 30, 10, 3, 1], float) / 1000.0
SLOW = np.asarray([1, 3, 20, 80, 200, 340, 190, 110, 40, 12, 3, 1], float) / 1000.0

KINDS = {
    "healthy": (56.0, 0.005, 1.0, 1.0, 10.0),
    "twice the errors": (56.0, 0.01, 1.0, 2.0, 10.0),
    "many errors": (56.0, 0.05, 1.0, 1.5, 10.0),
    "slower": (56.0, 0.005, 2.0, 1.0, 10.0),
    "broken": (56.0, 0.005, 1.0, 200.0, 10.0),
    "little traffic": (0.6, 0.02, 1.0, 2.0, 10.0),
    "hardly any": (0.05, 0.3, 1.0, 2.0, 10.0),
    "never an error": (20.0, 0.0, 1.0, 1.0, 10.0),
    "short ticks": (20.0, 0.01, 1.0, 4.0, 2.0),
    "ticks that do not fit the minute": (20.0, 0.01, 1.0, 4.0, 7.0),
}


def drawn(kind: str, rollouts: int, ticks: int, seed: int = 1) -> Batch:
    """Rollouts of three splits and all traffic at the end; `KINDS` has rate, base, whether slow, times the errors."""
    rate, base, slow, times, tick_s = KINDS[kind]
    random = np.random.default_rng(seed)
    split = np.broadcast_to(np.repeat([0.05, 0.25, 0.5, 1.0], -(-ticks // 4))[:ticks], (rollouts, ticks))
    requests = random.poisson(rate * tick_s, (rollouts, ticks))
    n_c = random.binomial(requests, split)
    n_b = requests - n_c
    return Batch(
        kind,
        tick_s,
        split,
        n_c,
        n_b,
        {"5xx": random.binomial(n_c, min(1.0, base * times))},
        {"5xx": random.binomial(n_b, base)},
        History(np.full(rollouts, 2000.0), {"5xx": np.full(rollouts, 10.0)}),
        EDGES,
        random.multinomial(n_c, SLOW if slow > 1.0 else SHARES),
        random.multinomial(n_b, SHARES),
        base_rate=base,
        quantiles_ms={0.5: 200.0, 0.95: 1000.0, 0.99: 2000.0},
    )


def windows(batch: Batch, row: int) -> list[Window]:
    """One rollout of the batch, until all traffic is the canary's."""
    assert batch.latency_c is not None
    assert batch.latency_b is not None
    edges = tuple(batch.edges_ms.tolist())
    return [
        Window(
            (tick + 1) * batch.tick_s,
            int(batch.n_c[row, tick]),
            int(batch.bad_c[row, tick]),
            int(batch.n_b[row, tick]),
            int(batch.bad_b[row, tick]),
            tuple(batch.latency_c[row, tick].tolist()),
            tuple(batch.latency_b[row, tick].tolist()),
            edges,
            float(batch.split[row, tick]),
        )
        for tick in range(batch.ticks)
        if batch.split[row, tick] < 1.0
    ]


def one_by_one(batch: Batch, rule: Setting) -> list[int]:
    found = []
    for row in range(batch.rollouts):
        outcome = rule.decide(windows(batch, row), over=True)
        found.append(round(outcome.at_s / batch.tick_s) - 1 if outcome.decision == "rolled_back" else -1)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_both_agree_at_every_documented_setting(kind: str) -> None:
    batch = drawn(kind, rollouts=5, ticks=120)
    for rule in DOCUMENTED:
        assert decide(batch, rule).tolist() == one_by_one(batch, rule), rule.name


@pytest.mark.parametrize("metric", ["errors", "latency"])
@pytest.mark.parametrize("peer", PEERS)
def test_both_agree_all_over_the_grid(peer: str, metric: Metric) -> None:
    batch = drawn("twice the errors" if metric == "errors" else "slower", rollouts=2, ticks=80)
    settings = grid(peer, metric, batch)
    for rule in settings[:: max(1, len(settings) // 12)]:
        assert decide(batch, rule).tolist() == one_by_one(batch, rule), rule.name
