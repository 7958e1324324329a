"""The rule over many rollouts beside the judge itself, on fresh seeds: the greatest difference of log E in any tick."""

from collections.abc import Sequence

import numpy as np

from benchmarks.judge.families import Family
from benchmarks.judge.measure import POLICY
from benchmarks.judge.real import evidence
from benchmarks.judge.scenarios import Arrivals, draw, stream
from benchmarks.judge.vectorised import judged
from pointsman_cli.judging.processes import in_parallel

__all__ = ["TOLERANCE", "agreement", "difference"]

TOLERANCE = 1e-9


def agreement(families: Sequence[Family], seed: int) -> tuple[float, int, int]:
    """The greatest difference in nats over one rollout of each family; in how many the deciding ticks differ; of how
    many rollouts."""
    found = list(in_parallel(difference, [(family, seed) for family in families]))
    return max(nats for nats, _ in found), sum(not same for _, same in found), len(found)


def difference(work: tuple[Family, int]) -> tuple[float, bool]:
    """Of one rollout: the greatest difference, and whether both decide in the same tick."""
    family, seed = work
    traces: Arrivals = {}
    batch = draw(family, 1, stream(family, seed, 0), traces)
    outcome = judged(batch, POLICY, trace=True)
    found, decided = evidence(batch, 0, POLICY)
    assert outcome.log_e is not None
    return float(np.abs(found - outcome.log_e[0]).max()), decided == outcome.decided[0]
