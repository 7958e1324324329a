"""The figures as Markdown tables, and as JSON."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.judge.bounds import information_bound
from benchmarks.judge.holds import Held
from benchmarks.judge.means import Mean
from benchmarks.judge.measure import POLICY, Figures

__all__ = ["as_json", "false", "found", "means", "must_hold", "table"]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _line(headings)
    yield "|" + "---|" * len(headings)
    yield from map(_line, rows)


def false(figures: Sequence[Figures]) -> Iterator[str]:
    """One row a family, one column a rate: rolled back, and the upper bound."""
    rates = sorted({each.family.rate for each in figures})
    by_key = {(each.family.name, each.family.rate): each for each in figures}
    rows = []
    for name in dict.fromkeys(each.family.name for each in figures):
        cells = [by_key.get((name, rate)) for rate in rates]
        rows.append(
            [name, *("" if each is None else f"{_percent(each.share)} (≤ {_percent(each.upper)})" for each in cells)]
        )
    counts = sorted({each.rollouts for each in figures}) or [0]
    of = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
    yield from table([f"healthy family, {of} rollouts", *(f"{rate:.3g} req/s" for rate in rates)], rows)


def found(figures: Sequence[Figures]) -> Iterator[str]:
    headings = (
        "regression",
        "req/s",
        "found",
        "mean requests",
        "median",
        "95 %",
        "bad answers",
        "bound",
        "mean / bound",
    )
    rows = []
    for each in figures:
        bound = information_bound(each.family, POLICY.alpha) if each.family.splitting != "all" else None
        rows.append(
            [
                each.family.name,
                f"{each.family.rate:.3g}",
                f"{100 * each.share:.1f} %",
                f"{each.mean:,.0f}",
                f"{np.median(each.requests):,.0f}",
                f"{np.quantile(each.requests, 0.95):,.0f}",
                f"{each.bad.mean():,.1f}",
                "" if bound is None else f"{bound:,.0f}",
                "" if bound is None else f"{each.mean / bound:.2f}",
            ]
        )
    yield from table(headings, rows)


def means(found: Sequence[Mean]) -> Iterator[str]:
    yield from table(
        ("score, 5.6 req/s", "worse by", "rollouts", "rolled back", "canary requests, mean"),
        [
            (
                each.name,
                f"{each.shift:g} s.d.",
                f"{each.rollouts:,}",
                _percent(each.found / each.rollouts),
                f"{each.requests:,.0f}",
            )
            for each in found
        ],
    )


def must_hold(lines: Sequence[Held]) -> Iterator[str]:
    yield from table(
        ("what must hold", "limit", "measured", "", "bound"),
        [(each.what, each.limit, each.figure, each.state, each.bound) for each in lines],
    )


def as_json(figures: Figures) -> dict[str, object]:
    family = figures.family
    return {
        "family": family.name,
        "rate": family.rate,
        "tick_s": family.tick_s,
        "rollouts": figures.rollouts,
        "rolled_back": figures.found,
        "share": figures.share,
        "upper_99": figures.upper,
        "requests_mean": figures.mean,
        "requests_error": figures.error,
        "requests_median": float(np.median(figures.requests)),
        "requests_95": float(np.quantile(figures.requests, 0.95)),
        "bad_mean": float(figures.bad.mean()),
    }


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
