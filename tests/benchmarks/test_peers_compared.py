"""The tables beside the peers say what was simulated, and nothing else."""

from typing import get_args

import numpy as np
from benchmarks.judge.measure import tasks
from benchmarks.judge.peers.__main__ import tables
from benchmarks.judge.peers.comparing import NULLS, PLAIN, ROWS, Cell, Comparison, Way, compared, graded, grids
from benchmarks.judge.peers.grids import CONTROLLERS, PEERS, Metric
from benchmarks.judge.peers.tuning import Scores

from pointsman_cli.judging.peers import DOCUMENTED

WAYS: tuple[Way, ...] = get_args(Way)
FAMILIES = [family.name for of in (*NULLS.values(), *ROWS.values()) for family in of]


def comparison() -> Comparison:
    """Ours serves 100 requests everywhere; the peers 200, 300, … in the order of their names, but Bayes has none."""
    served = {peer: Cell(200.0 + 100.0 * number, 0.5, f"{peer}'s") for number, peer in enumerate(PEERS)}
    rows = [family.name for families in ROWS.values() for family in families]
    return Comparison(
        10,
        {name: Cell(100.0, 1.0) for name in FAMILIES},
        {(way, peer, row): None if peer == "Bayes" else served[peer] for way in WAYS for peer in PEERS for row in rows},
        {},
        {(rule.name, name): Cell(50.0, 0.25) for rule in DOCUMENTED for name in FAMILIES},
    )


def test_the_factor_is_the_best_peer_s_requests_over_ours() -> None:
    found = comparison()
    assert found.factor("oracle", "broken", PEERS) == 2.0
    assert found.factor("oracle", "broken", ("Kayenta", "z-test")) == 6.0
    assert found.factor("oracle", "broken", ("Bayes",)) is None


def test_every_row_stands_in_each_of_the_four_tables_and_each_rule_in_the_last() -> None:
    lines = list(tables(comparison()))
    for families in ROWS.values():
        for family in families:
            assert sum(line.startswith(f"| {family.name} | 100 (100 %) | 200 (50 %) |") for line in lines) == 4
    for rule in DOCUMENTED:
        assert sum(line.startswith(f"| {rule.name} | 25.0 % |") for line in lines) == 1
    assert any("none stays within the limit" in line for line in lines)


def test_a_block_is_judged_by_every_peer_and_by_the_judge() -> None:
    """Forty rollouts in which everything fails: all tuned controllers find that, and so does the judge, in a tick."""
    broken = ROWS["errors"][-1]
    [bad], [well] = tasks(broken, 20, 3, {}), tasks(PLAIN, 20, 3, {})
    found: dict[tuple[Metric, str], dict[str, Scores]] = {
        ("errors", broken.name): graded(("errors", bad)),
        ("errors", "plain"): graded(("errors", well)),
    }
    assert set(found["errors", "plain"]) == {"ours", "documentation", *PEERS}
    assert all(np.all(parts[peer].found <= 20) for parts in found.values() for peer in PEERS)
    result = compared(20, found, {"errors": grids("errors", PLAIN)}, {"errors": (PLAIN,)}, {"errors": (broken,)})
    assert result.ours["broken"].share == 1.0
    assert result.ours["broken"].served < 35.0
    for peer in CONTROLLERS:
        cell = result.peers["one setting", peer, "broken"]
        assert cell is not None
        assert cell.share == 1.0
        assert result.false["one setting", peer, "errors: plain"] == 0.0
