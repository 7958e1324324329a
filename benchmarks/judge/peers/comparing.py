"""The judge beside its peers: each row's regression, simulated once, judged by all, the peers tuned in four ways.

`oracle`: for each row the best setting for that very row, at most 1 % false on the plain null. `one setting`: one a
peer and metric for all rows, at most 0.5 % a metric on the plain null. `survives`: as that, and at most 0.5 % under
what happens to healthy services as well: an incident and drift, in both arms alike. `any traffic`: as that, and at
a tenth and at ten times the traffic, which a day may bring. The judge has no setting.

The plain null is drawn more often than all else: where a setting is right for half a percent of it or not decides what
the peer is compared with, and with few rollouts that would be luck.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from benchmarks.judge.batch import Batch
from benchmarks.judge.families import BROKEN, Family
from benchmarks.judge.measure import POLICY, Task, tasks
from benchmarks.judge.peers.grids import PEERS, Metric, grid
from benchmarks.judge.peers.tuning import Scores, best, scores
from benchmarks.judge.vectorised import judged
from pointsman_cli.judging.peers.documented import DOCUMENTED, Setting
from pointsman_cli.judging.processes import in_parallel

__all__ = ["NULLS", "PLAIN", "ROWS", "Cell", "Comparison", "Way", "compare", "compared", "graded", "grids"]

Way = Literal["oracle", "one setting", "survives", "any traffic"]

OURS = "ours"
DOCUMENTATION = "documentation"

PLAIN = Family("plain")
PLAIN_TIMES = 10
"""How many times as many rollouts of the plain null are drawn."""

TRAFFIC = (
    replace(PLAIN, name="a tenth of the traffic").at(5.6),
    replace(PLAIN, name="ten times the traffic").at(560.0),
)
NULLS: Mapping[Metric, Sequence[Family]] = {
    "errors": (
        PLAIN,
        Family("shared incident: errors x20 for 5 min", shared="incident"),
        Family("error rate drifts (AR(1), sd 1.0 in log)", shared="drift"),
        *TRAFFIC,
    ),
    "latency": (
        PLAIN,
        Family("shared latency x3 for 5 min", shared="slow"),
        Family("latency drifts (AR(1), sd 0.5 in log)", shared="slow drift"),
        *TRAFFIC,
    ),
}
"""Of each metric: the service as it is, what also happens to it, and its traffic at other hours."""

ROWS: Mapping[Metric, Sequence[Family]] = {
    "errors": (
        Family("errors x2", errors=2.0),
        Family("errors x5", errors=5.0),
        Family("errors x20", errors=20.0),
        Family("broken", errors=BROKEN),
    ),
    "latency": (Family("latency x1.5", slower=1.5), Family("latency x2", slower=2.0)),
}

LIMITS: Mapping[Way, float] = {"oracle": 0.01, "one setting": 0.005, "survives": 0.005, "any traffic": 0.005}
KNOWN: Mapping[Way, int] = {"oracle": 1, "one setting": 1, "survives": 3, "any traffic": 5}
"""How many of the nulls a setting is tuned on."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Mean canary requests from the onset to the rollback (all, where there was none), the share rolled back, and
    the setting."""

    served: float
    share: float
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ours` by row. `peers` by way, peer and row; None where no setting stays within the limit. `false` by way,
    peer and null: what the one setting does there. `documented` by rule and family, both metrics' nulls and rows."""

    rollouts: int
    ours: Mapping[str, Cell]
    peers: Mapping[tuple[Way, str, str], Cell | None]
    false: Mapping[tuple[Way, str, str], float]
    documented: Mapping[tuple[str, str], Cell]

    def factor(self, way: Way, row: str, peers: Sequence[str]) -> float | None:
        """Requests that the best of these peers serves, over ours. Those of rollouts that it never rolls back are
        counted as far as the rollout went, so where it misses many the factor says too little."""
        cells = [self.peers[way, peer, row] for peer in peers]
        served = [cell.served for cell in cells if cell is not None]
        return min(served) / self.ours[row].served if served else None


def compare(rollouts: int, null_rollouts: int, seed: int, *, rate: float = 56.0, tick_s: float = 10.0) -> Comparison:
    """All rows at one rate (that of the other traffic follows), in parallel."""

    def here(family: Family) -> Family:
        return replace(family, rate=family.rate * rate / PLAIN.rate, tick_s=tick_s)

    wanted = [
        (here(family), metric, null_rollouts * (PLAIN_TIMES if family is PLAIN else 1))
        for metric in ROWS
        for family in NULLS[metric]
    ]
    wanted += [(here(family), metric, rollouts) for metric in ROWS for family in ROWS[metric]]
    work = [(metric, task) for family, metric, count in wanted for task in tasks(family, count, seed, {})]
    found: dict[tuple[Metric, str], dict[str, Scores]] = {}
    for (metric, task), parts in zip(work, in_parallel(graded, work), strict=True):
        so_far = found.setdefault((metric, task.family.name), {})
        for name, part in parts.items():
            so_far[name] = so_far[name] + part if name in so_far else part
    return compared(rollouts, found, {metric: grids(metric, here(PLAIN)) for metric in ROWS}, NULLS, ROWS)


def grids(metric: Metric, plain: Family) -> dict[str, Sequence[Setting]]:
    """All settings by peer, and the documentation's."""
    [task] = tasks(plain, 1, 0, {})
    healthy = task.batch()
    tuned: dict[str, Sequence[Setting]] = {peer: grid(peer, metric, healthy) for peer in PEERS}
    return tuned | {DOCUMENTATION: DOCUMENTED}


def graded(work: tuple[Metric, Task]) -> dict[str, Scores]:
    """One block under every setting of every peer, and under the judge."""
    metric, task = work
    batch = task.batch()
    every = grids(metric, replace(PLAIN, rate=task.family.rate, tick_s=task.family.tick_s))
    everything = scores(batch, [setting for settings in every.values() for setting in settings])
    parts, first = {OURS: _ours(batch)}, 0
    for peer, settings in every.items():
        chosen = slice(first, first + len(settings))
        parts[peer] = Scores(
            batch.rollouts, everything.found[chosen], everything.requests[chosen], everything.later[chosen]
        )
        first += len(settings)
    return parts


def _ours(batch: Batch) -> Scores:
    decided = judged(batch, POLICY).decided
    found, exposed = np.array([(decided >= 0).sum()]), np.array([batch.exposed(decided).sum()])
    return Scores(batch.rollouts, found, exposed, np.zeros(1, np.int64))


def compared(
    rollouts: int,
    found: Mapping[tuple[Metric, str], Mapping[str, Scores]],
    settings_of: Mapping[Metric, Mapping[str, Sequence[Setting]]],
    nulls_of: Mapping[Metric, Sequence[Family]],
    rows_of: Mapping[Metric, Sequence[Family]],
) -> Comparison:
    """Tune the peers with what `graded` found of each metric's families, and lay it out."""
    ours: dict[str, Cell] = {}
    peers: dict[tuple[Way, str, str], Cell | None] = {}
    false: dict[tuple[Way, str, str], float] = {}
    documented: dict[tuple[str, str], Cell] = {}
    for (_, name), parts in found.items():
        ours[name] = _cell(parts[OURS], 0)
        for number, rule in enumerate(DOCUMENTED):
            documented[rule.name, name] = _cell(parts[DOCUMENTATION], number, rule.name)
    for metric, families in rows_of.items():
        nulls = [found[metric, family.name] for family in nulls_of[metric]]
        for peer in PEERS:
            settings = settings_of[metric][peer]
            rows = {family.name: found[metric, family.name][peer] for family in families}
            for way in get_args(Way):
                known = [null[peer] for null in nulls[: KNOWN[way]]]
                together = best(known, list(rows.values()), LIMITS[way])
                for name, row in rows.items():
                    chosen = best(known, [row], LIMITS[way]) if way == "oracle" else together
                    peers[way, peer, name] = None if chosen is None else _cell(row, chosen, settings[chosen].name)
                if way != "oracle" and together is not None:
                    for family, null in zip(nulls_of[metric], nulls, strict=True):
                        false[way, peer, f"{metric}: {family.name}"] = float(null[peer].share[together])
    return Comparison(rollouts, ours, peers, false, documented)


def _cell(of: Scores, number: int, setting: str = "") -> Cell:
    return Cell(float(of.mean[number]), float(of.share[number]), setting)
