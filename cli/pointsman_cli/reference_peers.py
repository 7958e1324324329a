"""The judge beside its peers in one table: the best of them in each way of tuning, from the benchmark's own tables.

`docs/judge-benchmark.md` holds what `python -m benchmarks.judge` printed; nothing is said of peers that is not there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["beside", "peers"]

BENCHMARK = Path(__file__).resolve().parents[2] / "docs" / "judge-benchmark.md"

WAYS = {
    "Oracle:": "best setting for the row",
    "One setting a peer and metric, at most 0.5 % false on the plain null": "one setting for all rows",
    "One setting a peer and metric, at most 0.5 % false under incidents": "one that survives incidents and drift",
}
"""How a table's title begins → its column."""

NOBODYS = ("z-test", "z-test by tick", "Bayes")
"""Tests that no controller has."""

_CELL = re.compile(r"(\d+) \((\d+) %\)")

Row = Mapping[str, tuple[int, int]]
"""Who → mean canary requests, and the percentage of rollouts that were rolled back."""


def peers() -> str:
    """The table of the judge's page."""
    return beside(BENCHMARK.read_text(encoding="utf-8"))


def beside(benchmark: str) -> str:
    """Requests of the judge, and of the best controller in each way with how many times as many that is; last the best
    test that no controller has. Raises ValueError where the page lacks a table."""
    tables = [_table(benchmark, title) for title in WAYS]
    heads = ["regression", "the judge", *WAYS.values(), "in that way, the best test that no controller has"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, first in tables[0].items():
        ours, _ = first["ours"]
        rows = [table[name] for table in tables]
        best = [_best(row, [who for who in row if who not in ("ours", *NOBODYS)], ours) for row in rows]
        cells = [name, f"{ours:,}", *best, _best(rows[-1], NOBODYS, ours)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _best(row: Row, names: Sequence[str], ours: int) -> str:
    """`Flagger 171: 2.7 ×`, and how often it was rolled back where that is not always."""
    found = {name: row[name] for name in names if name in row}
    if not found:
        return "none stays within the limit"
    name = min(found, key=lambda one: found[one])
    requests, share = found[name]
    often = "" if share == 100 else f", in {share} % of rollouts"
    return f"{name} {requests:,}{often}: {requests / ours:.1f} ×"


def _table(page: str, title: str) -> dict[str, Row]:
    """A table under its title; cells of a peer of which no setting stays within the limit are left out."""
    _, found, after = page.partition(f"\n{title}")
    if not found:
        raise ValueError(f"the benchmark's page has no table {title!r}")
    lines = list(_lines(after))
    heads = lines[0]
    return {
        cells[0]: {
            head: (int(seen[1]), int(seen[2]))
            for head, cell in zip(heads[1:], cells[1:], strict=True)
            if (seen := _CELL.fullmatch(cell))
        }
        for cells in lines[2:]
    }


def _lines(after: str) -> Iterator[list[str]]:
    """The cells of the first table."""
    for line in after.partition("\n|")[2].splitlines():
        if not line.strip():
            return
        yield [cell.strip() for cell in line.strip().strip("|").split("|")]
