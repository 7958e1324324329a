"""The mean of a score, judged alone, at 5.6 requests a second: the judge's own process, rollout by rollout."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.judge.batch import Floats
from benchmarks.judge.bounds import upper
from benchmarks.judge.holds import FALSE_MAX, Held
from benchmarks.judge.measure import POLICY
from benchmarks.judge.scenarios import HISTORY, SPLITS, STEP_S
from pointsman.core.judge import mean
from pointsman.core.judge.counters import Counts
from pointsman.core.judge.mean_process import MeanProcess
from pointsman.core.judge.process import Round
from pointsman.core.judge.tally import Tally
from pointsman_cli.judging.processes import in_parallel

__all__ = ["SCORES", "SHIFTS", "Mean", "held_means", "measured"]

RATE, TICK_S = 5.6, 10.0
BLOCK = 50

SHIFTS = (0.0, 0.1, 0.2, 0.5)
"""By how many standard deviations the canary is worse."""

Values = Callable[[np.random.Generator, int], Floats]

SCORES: Mapping[str, tuple[Values, mean.Scale | None]] = {
    "normal, no bounds declared": (lambda random, n: random.standard_normal(n), None),
    "log-normal, no bounds declared": (lambda random, n: random.lognormal(0.0, 1.0, n), None),
    "score in [0, 1], beta(8, 2)": (lambda random, n: random.beta(8.0, 2.0, n), mean.Scale(worse="Lower")),
}
"""Values, and what is declared of them. Values that are skewed and unbounded are not judged."""


@dataclass(frozen=True, slots=True)
class Mean:
    """`found` of `rollouts` were rolled back; `requests` are the canary's until then, on average."""

    name: str
    shift: float
    rollouts: int
    found: int
    requests: float


def measured(healthy: int, worse: int, seed: int) -> list[Mean]:
    """Each score under each shift."""
    wanted = [(name, shift, worse if shift else healthy) for name in SCORES for shift in SHIFTS]
    work = [
        (name, shift, min(BLOCK, rollouts - first), seed + first)
        for name, shift, rollouts in wanted
        for first in range(0, rollouts, BLOCK)
    ]
    parts: dict[tuple[str, float], list[tuple[bool, int]]] = {}
    for (name, shift, _, _), found in zip(work, in_parallel(_block, work), strict=True):
        parts.setdefault((name, shift), []).extend(found)
    return [
        Mean(name, shift, len(of), sum(done for done, _ in of), float(np.mean([requests for _, requests in of])))
        for (name, shift), of in parts.items()
    ]


def held_means(found: list[Mean]) -> Iterator[Held]:
    """A healthy score is left alone."""
    for each in found:
        if not each.shift:
            bound = upper(each.found, each.rollouts)
            enough = each.rollouts >= 4000
            yield Held(
                f"mean, {each.name}: false rollback, 99 % upper bound",
                "<= 1 %",
                f"{100 * bound:.2f} %",
                "ok" if bound <= FALSE_MAX else "NOT OK" if enough else "open",
            )


def _block(work: tuple[str, float, int, int]) -> list[tuple[bool, int]]:
    name, shift, rollouts, seed = work
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int(100 * shift), len(name)])))
    return [_rollout(name, shift, random) for _ in range(rollouts)]


def _rollout(name: str, shift: float, random: np.random.Generator) -> tuple[bool, int]:
    """Whether it was rolled back, and the canary's requests until then."""
    values, scale = SCORES[name]
    steps = np.repeat(SPLITS[:-1], int(STEP_S / TICK_S))
    ours, theirs = (random.poisson(RATE * TICK_S * part) for part in (steps, 1.0 - steps))
    known = values(random, HISTORY)
    towards = -1.0 if scale is not None and scale.worse == "Lower" else 1.0
    canary = values(random, int(ours.sum())) + towards * shift * float(values(random, 20_000).std())
    if scale is not None:
        canary = np.clip(canary, scale.least, scale.most)
    baseline = values(random, int(theirs.sum()))
    of_canary, of_baseline = _sums(canary, ours), _sums(baseline, theirs)
    process = MeanProcess("score", scale, scale.worse if scale is not None else "Higher", {})
    history = Tally(sums=_powers(known).sum(axis=1).tolist())
    for tick, split in enumerate(steps.tolist()):
        now = Round(tick, TICK_S, split, None, {"score": history}, False)
        mine, other = Counts(sums=of_canary[tick].tolist()), Counts(sums=of_baseline[tick].tolist())
        process.take(mine, other, now)
        history.add(other)
        if process.value >= POLICY.needed:
            return True, int(ours[: tick + 1].sum())
    return False, int(ours.sum())


def _powers(values: Floats) -> Floats:
    return np.stack([np.ones_like(values), values, values**2, values**3])


def _sums(values: Floats, counts: np.ndarray) -> Floats:
    """n, Σx, Σx², Σx³ of each tick, (T, 4)."""
    ends = np.concatenate([[0], np.cumsum(counts)])
    total = np.concatenate([np.zeros((4, 1)), np.cumsum(_powers(values), axis=1)], axis=1)
    return np.asarray(np.diff(total[:, ends], axis=1).T)
