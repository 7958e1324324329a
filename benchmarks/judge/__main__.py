"""`python -m benchmarks.judge`: how often the judge rolls a healthy canary back, and how fast a worse one.

Prints Markdown tables; `--out DIR` writes them there too, with all figures as JSON and the plots as SVG.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic

from benchmarks.judge.agreement import TOLERANCE, agreement
from benchmarks.judge.arrivals import azure, azure_nulls, azure_regressions
from benchmarks.judge.bounds import information_bound
from benchmarks.judge.drawing import Mark, dots
from benchmarks.judge.families import RATES, Family, hazards, nulls, regressions
from benchmarks.judge.holds import MEANS, Held, held, of_peers
from benchmarks.judge.means import Mean, held_means, measured
from benchmarks.judge.measure import POLICY, Figures, measure
from benchmarks.judge.peers.__main__ import tables as peer_tables
from benchmarks.judge.peers.comparing import Comparison, compare
from benchmarks.judge.scenarios import Arrivals
from benchmarks.judge.speed import speed
from benchmarks.judge.tables import as_json, false, found, means, must_hold

__all__ = ["Plan", "Report", "main", "run"]


class Plan:
    """How much of each is run: rollouts of a healthy family, of a regression, and of both beside the peers."""

    def __init__(self, *, quick: bool) -> None:
        self.is_quick = quick
        self.rates: Sequence[float] = (56.0,) if quick else RATES
        self.healthy, self.worse, self.azure = (250, 150, 250) if quick else (5000, 1000, 4000)
        self.peers = (200, 300) if quick else (1000, 2000)
        self.means = (40, 40) if quick else (5000, 200)
        self.replayed = 20 if quick else 100


class Report:
    """All that was measured."""

    def __init__(self, *, is_quick: bool) -> None:
        self.is_quick = is_quick
        self.nulls: list[Figures] = []
        self.hazards: list[Figures] = []
        self.regressions: list[Figures] = []
        self.means: list[Mean] = []
        self.comparison: Comparison | None = None
        self.speed: list[Held] = []
        self.notes: list[str] = []

    def held(self) -> list[Held]:
        lines = [*held(self.nulls, self.regressions), *held_means(self.means), *self.speed]
        return lines if self.comparison is None else [*lines, *of_peers(self.comparison, is_quick=self.is_quick)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rollouts, at 56 requests a second")
    parser.add_argument("--families", default="", help="parts of names, separated by commas: only these, no peers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--azure", type=Path, help="the folder of the Azure LLM inference trace 2023 (CC-BY 4.0)")
    parser.add_argument("--out", type=Path, help="the folder for tables.txt, figures.json and plots")
    given = parser.parse_args(arguments)
    try:
        report = run(Plan(quick=given.quick), given.seed, given.families, given.azure)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    text = "\n".join([*_written(report), ""])
    print(text)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "tables.txt").write_text(text)
        (given.out / "figures.json").write_text(json.dumps(_figures(report), indent=1) + "\n")
        for name, plot in _plots(report):
            (given.out / name).write_text(plot)
    return 1 if any(line.state == "NOT OK" for line in report.held()) else 0


def run(plan: Plan, seed: int, wanted: str = "", trace: Path | None = None) -> Report:
    """Measure it all; `wanted` picks families by parts of their names.

    Raises ValueError where it picks none, OSError where the trace's files are not there.
    """
    report, begun = Report(is_quick=plan.is_quick), monotonic()
    traces: Arrivals = {}
    if trace is not None:
        traces = azure(trace)
    else:
        report.notes.append("Arrivals of the Azure trace: skipped, since `--azure` named no folder of its files.")
    parts = [part.strip() for part in wanted.split(",") if part.strip()]

    def chosen(families: Sequence[Family]) -> list[Family]:
        return [family for family in families if not parts or any(part in family.name for part in parts)]

    healthy = chosen([family for rate in plan.rates for family in nulls(rate)])
    near = chosen(hazards(56.0))
    worse = chosen([f for f in regressions() if f.rate in plan.rates or f.splitting == "all"])
    if not healthy + near + worse:
        raise ValueError(f"no family's name has a part of {wanted!r}: they are in benchmarks/judge/families.py")
    recorded, late = (azure_nulls(traces), azure_regressions()) if traces else ([], [])

    def counted(families: Sequence[Family], rollouts: int) -> list[Figures]:
        done = []
        for figures in measure([(family, rollouts) for family in families], seed, traces):
            done.append(figures)
            at = f"{figures.family.name}, {figures.family.rate:.3g} req/s"
            print(f"{monotonic() - begun:5.0f} s  {at}: {100 * figures.share:.2f} %", file=sys.stderr)
        return done

    nats, differing, compared = agreement([*chosen(nulls(56.0)), *worse[:: max(1, len(worse) // 20)]], seed + 1)
    report.notes.append(
        f"The rule over many rollouts beside the judge itself, {compared} rollouts of other seeds: log E differs by at "
        f"most {nats:.1g} nats in any tick (allowed: {TOLERANCE:g}), the deciding tick in {differing}."
    )
    report.nulls = counted(healthy, plan.healthy) + counted(chosen(recorded), plan.azure)
    report.regressions = counted(worse, plan.worse) + counted(chosen(late), plan.worse)
    report.hazards = counted(near, plan.worse)
    if not parts:
        report.means = measured(*plan.means, seed)
        report.speed = list(speed(plan.replayed))
        print(f"{monotonic() - begun:5.0f} s  peers …", file=sys.stderr)
        report.comparison = compare(*plan.peers, seed)
    report.notes.append(f"Seed {seed}; {monotonic() - begun:,.0f} s in all.")
    return report


def _written(report: Report) -> Iterator[str]:
    yield from ("### What must hold", "", *must_hold(report.held()), "")
    yield from ("### False rollbacks", "", "Share rolled back in a whole rollout, and the 99 % upper bound of it.", "")
    yield from (*false(report.nulls), "")
    yield from ("Healthy for its users, but not by the data, or worse by less than anything promised:", "")
    yield from (*false(report.hazards), "")
    yield from ("### Regressions", "", "Canary requests from the onset to the end of the deciding tick.", "")
    yield from (*found(report.regressions), "")
    if report.means:
        yield from ("### Means of a score", "", *means(report.means), "")
    if report.comparison is not None:
        yield from ("### Peers", *peer_tables(report.comparison), "")
    yield from report.notes


def _figures(report: Report) -> dict[str, object]:
    comparison = report.comparison
    return {
        "nulls": [as_json(each) for each in report.nulls],
        "hazards": [as_json(each) for each in report.hazards],
        "regressions": [as_json(each) for each in report.regressions],
        "means": [asdict(each) for each in report.means],
        "peers": []
        if comparison is None
        else [
            {"way": way, "peer": peer, "row": row, "ours": comparison.ours[row].served}
            | ({} if cell is None else asdict(cell))
            for (way, peer, row), cell in comparison.peers.items()
        ],
        "must_hold": [
            {"what": line.what, "limit": line.limit, "measured": line.figure, "state": line.state, "bound": line.bound}
            for line in report.held()
        ],
        "notes": report.notes,
    }


def _plots(report: Report) -> Iterator[tuple[str, str]]:
    at_56 = [each for each in report.regressions if each.family.rate == 56.0]
    rows = []
    for each in at_56:
        limit = MEANS.get((each.family.name, 56.0))
        marks = [Mark("limit", limit)] if limit is not None else []
        marks += [Mark("bound", information_bound(each.family, POLICY.alpha)), Mark("ours", each.mean)]
        rows.append((each.family.name, marks))
    title = "Canary requests until the rollback, 56 requests a second"
    yield "detection.svg", dots(title, "canary requests, mean", rows, least=1.0, most=30000.0)
    shares = [
        (
            f"{each.family.name}, {each.family.rate:.3g} req/s",
            [Mark("upper", 100 * each.upper), Mark("ours", 100 * each.share)],
        )
        for each in report.nulls
    ]
    yield (
        "false.svg",
        dots("Healthy rollouts rolled back, and the 99 % upper bound", "%", shares, least=0.01, most=10.0),
    )
    if report.comparison is not None:
        ours = report.comparison.ours
        surviving = []
        for row in dict.fromkeys(name for way, _, name in report.comparison.peers if way == "survives"):
            cells = [c for (way, _, name), c in report.comparison.peers.items() if (way, name) == ("survives", row)]
            marks = [Mark("peer", cell.served) for cell in cells if cell is not None]
            surviving.append((row, [*marks, Mark("ours", ours[row].served)]))
        title = "Beside peers with one setting that survives incidents and drift, 56 requests a second"
        yield "peers.svg", dots(title, "canary requests, mean", surviving, least=1.0, most=30000.0)


if __name__ == "__main__":
    sys.exit(main())
