"""What must hold, line by line: the limit, beside what was measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.judge.bounds import information_bound, lower
from benchmarks.judge.measure import POLICY, Figures
from benchmarks.judge.peers.comparing import Comparison, Way
from benchmarks.judge.peers.grids import CONTROLLERS

__all__ = ["Held", "held", "of_peers", "of_speed"]

State = Literal["ok", "NOT OK", "open"]
"""`open`: too few rollouts to say."""


@dataclass(frozen=True, slots=True)
class Held:
    """One line: `figure` and `limit` as they are printed; `bound` what any test needs at least."""

    what: str
    limit: str
    figure: str
    state: State
    bound: str = ""


Key = tuple[str, float]

MEANS: Mapping[Key, float] = {
    ("errors x2", 56.0): 5000,
    ("errors x3", 56.0): 1350,
    ("errors x5", 56.0): 450,
    ("errors x20", 56.0): 70,
    ("broken", 56.0): 30,
    ("latency x1.25", 56.0): 400,
    ("latency x1.5", 56.0): 130,
    ("latency x2", 56.0): 55,
    ("5 % of requests x10 slower", 56.0): 400,
    ("latency x1.25, factor-1.1 buckets", 56.0): 3000,
    ("latency x1.5, factor-1.1 buckets", 56.0): 210,
    ("latency x2, factor-1.1 buckets", 56.0): 70,
    ("errors x5, 2 s ticks", 56.0): 420,
    ("errors x20, 2 s ticks", 56.0): 56,
    ("broken, 2 s ticks", 56.0): 8,
    ("latency x1.5, 2 s ticks", 56.0): 112,
    ("latency x2, 2 s ticks", 56.0): 43,
    ("errors x5", 5.6): 530,
    ("errors x10", 561.0): 310,
    ("errors x20", 561.0): 310,
    ("broken", 561.0): 310,
    ("latency x2", 561.0): 310,
    ("errors x5, onset at 15 min", 56.0): 1100,
    ("latency x1.5, onset at 15 min", 56.0): 350,
    ("errors x5, pods equal", 56.0): 500,
    ("errors x5, pods clusters +50 %", 56.0): 1300,
    ("broken, pods clusters +50 %", 56.0): 70,
    ("errors x5, pods cv 0.2", 56.0): 1000,
}
"""Mean canary requests from the onset to the rollback, at most."""

FOUND: Mapping[Key, float] = {("errors x2", 56.0): 0.99, ("errors x3", 5.6): 0.75}
"""Share of rollouts that are rolled back, at least."""

FORGIVEN: Sequence[Key] = (("factor-1.1 buckets, true x1.1", 56.0), ("factor-1.1 buckets, true x1.1", 561.0))
"""A slowdown within the margin: rolled back in at most 1 %."""

AIMS: Sequence[Key] = (
    ("errors x3", 56.0),
    ("errors x5", 56.0),
    ("latency x1.5", 56.0),
    ("errors x3, 2 s ticks", 56.0),
    ("errors x5, 2 s ticks", 56.0),
    ("latency x1.5, 2 s ticks", 56.0),
)
"""Within 1.5 times the bound: aimed at, not promised."""

FALSE_MAX, FALSE_POINT_MAX = 0.01, 0.006
PEERS_SURVIVING, PEERS_ONE = 2.5, 1.4


def held(nulls: Sequence[Figures], regressions: Sequence[Figures]) -> Iterator[Held]:
    """Each line of which something was measured."""
    by_key = {(figures.family.name, figures.family.rate): figures for figures in [*nulls, *regressions]}
    yield from _false([figures for figures in nulls if figures.family.is_null])
    for (name, rate), limit in MEANS.items():
        if figures := by_key.get((name, rate)):
            yield Held(
                f"{name}, {rate:g} req/s: mean canary requests",
                f"<= {limit:,.0f}",
                f"{figures.mean:,.1f} ± {figures.error:,.1f}",
                _state(figures.mean, limit, figures.error),
                f"{information_bound(figures.family, POLICY.alpha):,.0f}",
            )
    for (name, rate), least in FOUND.items():
        if figures := by_key.get((name, rate)):
            yield Held(
                f"{name}, {rate:g} req/s: found", f">= {100 * least:g} %", _percent(figures.share),
                "ok" if figures.share >= least else "NOT OK",
            )  # fmt: skip
    for name, rate in FORGIVEN:
        if figures := by_key.get((name, rate)):
            yield Held(
                f"{name}, {rate:g} req/s: rolled back", "<= 1 %", _percent(figures.share),
                "ok" if figures.share <= FALSE_MAX else "NOT OK",
            )  # fmt: skip
    for name, rate in AIMS:
        if figures := by_key.get((name, rate)):
            bound = information_bound(figures.family, POLICY.alpha)
            reached: State = "ok" if figures.mean <= 1.5 * bound else "open"
            yield Held(
                f"aim: {name}, {rate:g} req/s, over its bound", "<= 1.5", f"{figures.mean / bound:.2f}", reached,
                f"{bound:,.0f}",
            )  # fmt: skip


def _false(nulls: Sequence[Figures]) -> Iterator[Held]:
    """The worst family stands for all: each has a row of its own in the table of false rollbacks."""
    for rate in sorted({figures.family.rate for figures in nulls}):
        here = [figures for figures in nulls if figures.family.rate == rate]
        worst = max(here, key=lambda figures: figures.upper)
        certain = any(lower(figures.found, figures.rollouts) > FALSE_MAX for figures in here)
        state: State = "ok" if worst.upper <= FALSE_MAX else "NOT OK" if certain or worst.rollouts >= 4000 else "open"
        yield Held(
            f"false rollback, {rate:.3g} req/s, {len(here)} families: 99 % upper bound ({worst.family.name})",
            "<= 1 %", _percent(worst.upper), state,
        )  # fmt: skip
        plain = [figures for figures in here if figures.family.pods is None]
        if plain:
            most = max(plain, key=lambda figures: figures.share)
            yield Held(
                f"false rollback, {rate:.3g} req/s, without pods: share ({most.family.name})", "<= 0.6 %",
                _percent(most.share),
                "ok" if most.share <= FALSE_POINT_MAX else "NOT OK" if most.rollouts >= 4000 else "open",
            )  # fmt: skip


def of_peers(comparison: Comparison, *, is_quick: bool) -> Iterator[Held]:
    """Beside the best controller, each way and row. One of which no setting stays within the limit is beaten."""
    ways: Sequence[tuple[Way, float]] = (("survives", PEERS_SURVIVING), ("one setting", PEERS_ONE))
    for way, least in ways:
        for row in dict.fromkeys(name for of, _, name in comparison.peers if of == way):
            if way == "survives" and row == "broken":
                continue
            factor = comparison.factor(way, row, CONTROLLERS)
            figure = "no peer's setting stays within the limit" if factor is None else f"{factor:.2f} times as many"
            state: State = "ok" if factor is None or factor >= least else "open" if is_quick else "NOT OK"
            yield Held(f"best peer's requests over ours, {way}: {row}", f">= {least:g}", figure, state)


def of_speed(what: str, limit: float, figure: float, unit: str) -> Held:
    return Held(what, f"< {limit:g} {unit}", f"{figure:.3g} {unit}", "ok" if figure < limit else "NOT OK")


def _state(mean: float, limit: float, error: float) -> State:
    if mean <= limit:
        return "ok"
    return "open" if mean - 2.6 * error <= limit else "NOT OK"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
