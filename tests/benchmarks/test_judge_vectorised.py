"""The rule over many rollouts at once is the judge's own, in every kind of rollout."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from benchmarks.judge.agreement import TOLERANCE, difference
from benchmarks.judge.families import BROKEN, Family, PodSpread, hazards, nulls
from benchmarks.judge.measure import POLICY
from benchmarks.judge.scenarios import draw, stream
from benchmarks.judge.shapes import isotonic
from benchmarks.judge.vectorised import judged

from pointsman.core.judge import block

SPREAD = PodSpread(cv=0.2, clusters=0.5)
WORSE = (
    Family("errors x5", errors=5.0, rate=5.6),
    Family("broken", errors=BROKEN),
    Family("latency x1.5", slower=1.5, onset_s=900.0),
    Family("pods, errors x5", errors=5.0, pods=SPREAD, buckets=""),
    Family("one bad pod", pods=PodSpread(lone=20.0), buckets=""),
    Family("alone", base=0.5, splitting="all", buckets=""),
)
KINDS = (
    "plain",
    "base rate 30 %",
    "shared incident at any time",
    "shared total outage for 60 s",
    "latency drifts (AR(1), sd 0.5 in log)",
    "counters reset, twice an arm",
    "a tenth of the ticks lost",
    "an arm silent for minutes",
    "no traffic",
    "split changed on evidence",
    "pods: equal",
    "pods: persistent spread cv 0.5",
    "pods: error clusters, mean 5, +50 %",
    "pods: ten, unequally loaded, clusters +50 %",
    "pods: four, clusters +50 %",
    "clusters +50 %, pods not reported",
    "true latency x1.1, Prometheus buckets",
)
"""One family for each way through the rule; the benchmark itself compares all of them."""

HEALTHY = [family for family in (*nulls(5.6), *hazards(56.0)) if family.name in KINDS]


@pytest.mark.parametrize("family", [*HEALTHY, *WORSE], ids=lambda family: family.name)
def test_each_tick_has_the_judges_own_evidence(family: Family) -> None:
    nats, same = difference((family, 7))
    assert nats < TOLERANCE
    assert same


@pytest.mark.parametrize("buckets", ["1.1", "1.3"])
def test_fine_buckets_are_judged_alike(buckets: Literal["1.1", "1.3"]) -> None:
    nats, same = difference((replace(Family("fine", slower=1.5, rate=20.0), buckets=buckets), 3))
    assert nats < TOLERANCE
    assert same


def test_every_kind_is_a_family() -> None:
    assert {family.name for family in HEALTHY} == set(KINDS)


def test_rollouts_that_leave_early_change_nothing_for_the_others() -> None:
    family = Family("errors x3", errors=3.0, pods=PodSpread(cv=0.2), buckets="")
    batch = draw(family, 40, stream(family, 1, 0), {})
    traced = judged(batch, POLICY, trace=True)
    assert len(set(traced.decided.tolist())) > 10
    assert judged(batch, POLICY).decided.tolist() == traced.decided.tolist()


def test_isotonic_fits_of_many_rows_are_those_of_each() -> None:
    random = np.random.Generator(np.random.PCG64(1))
    alternative, null = random.random((200, 9)), random.random((200, 9))
    fitted = isotonic(alternative, null)
    for row in range(200):
        assert fitted[row].tolist() == pytest.approx(block.isotonic(alternative[row].tolist(), null[row].tolist()))
