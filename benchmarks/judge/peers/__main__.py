"""`python -m benchmarks.judge.peers`: the judge beside its peers, in Markdown tables."""

import argparse
from collections.abc import Iterator, Sequence
from typing import get_args

from benchmarks.judge.peers.comparing import NULLS, PLAIN_TIMES, ROWS, Cell, Comparison, Way, compare
from benchmarks.judge.peers.grids import CONTROLLERS, PEERS
from pointsman_cli.judging.peers.documented import DOCUMENTED

TITLES = {
    "oracle": "Oracle: the best setting for that very row, at most 1 % false on the plain null",
    "one setting": "One setting a peer and metric, at most 0.5 % false on the plain null",
    "survives": "One setting a peer and metric, at most 0.5 % false under incidents and drift too",
    "any traffic": "As before, and at most 0.5 % false at a tenth and at ten times the traffic",
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge.peers", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=500, help="of each regression")
    parser.add_argument(
        "--null-rollouts", type=int, default=2000, help=f"of each healthy family; plain: x {PLAIN_TIMES}"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=56.0, help="requests a second")
    given = parser.parse_args(arguments)
    for line in tables(compare(given.rollouts, given.null_rollouts, given.seed, rate=given.rate)):
        print(line)


def tables(comparison: Comparison) -> Iterator[str]:
    """Mean canary requests until the rollback (share rolled back), for each way and the documentation's."""
    rows = [family.name for families in ROWS.values() for family in families]
    for way in get_args(Way):
        heading = ("regression", "ours", *PEERS, "best controller / ours", "best of all / ours")
        yield from ("", TITLES[way], "", _line(*heading), _rule(len(heading)))
        for row in rows:
            found = [comparison.ours[row], *(comparison.peers[way, peer, row] for peer in PEERS)]
            factors = [comparison.factor(way, row, peers) for peers in (CONTROLLERS, PEERS)]
            times = ["-" if factor is None else f"{factor:.1f}" for factor in factors]
            yield _line(row, *map(_cell, found), *times)
        if way != "oracle":
            yield from ("", *_settings(comparison, way))
    yield from ("", "Documentation's settings", "", *_documented(comparison, rows))


def _settings(comparison: Comparison, way: Way) -> Iterator[str]:
    yield _line("peer", "metric", "setting", "false: plain", "incident", "drift", "traffic / 10", "traffic x 10")
    yield _rule(8)
    for peer in PEERS:
        for metric, families in ROWS.items():
            cell = comparison.peers[way, peer, families[0].name]
            false = [comparison.false.get((way, peer, f"{metric}: {family.name}")) for family in NULLS[metric]]
            shares = ["-" if share is None else f"{100 * share:.2f} %" for share in false]
            yield _line(peer, metric, "none stays within the limit" if cell is None else cell.setting, *shares)


def _documented(comparison: Comparison, rows: Sequence[str]) -> Iterator[str]:
    nulls = list(dict.fromkeys(family.name for families in NULLS.values() for family in families))
    yield _line("rule", *(f"false: {name}" for name in nulls), *rows)
    yield _rule(1 + len(nulls) + len(rows))
    for rule in DOCUMENTED:
        shares = [f"{100 * comparison.documented[rule.name, null].share:.1f} %" for null in nulls]
        yield _line(rule.name, *shares, *(_cell(comparison.documented[rule.name, row]) for row in rows))
    false = [f"{100 * comparison.ours[null].share:.1f} %" for null in nulls]
    yield _line("ours", *false, *(_cell(comparison.ours[row]) for row in rows))


def _cell(cell: Cell | None) -> str:
    return "-" if cell is None else f"{cell.served:.0f} ({100 * cell.share:.0f} %)"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns


if __name__ == "__main__":
    main()
