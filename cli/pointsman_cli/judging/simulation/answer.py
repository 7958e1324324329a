"""The answer: for each change the share that was found in the steps, and what that had cost until then."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from random import Random

from pointsman_cli.judging.policies import Rules
from pointsman_cli.judging.simulation.bound import requests_needed
from pointsman_cli.judging.simulation.playing import Played, play
from pointsman_cli.judging.simulation.service import CHANGES, HEALTHY, Change, Service
from pointsman_cli.judging.simulation.uncertainty import interval

__all__ = ["Caught", "Simulation", "affordable", "simulate"]

HEALTHY_TIMES = 4
"""Healthy rollouts, for each of a change: false rollbacks are rare, so that more are needed to see any."""

ROLLOUTS_MAX, ROLLOUTS_MIN = 30, 4
BUDGET_S = 30.0
"""Time of a processor that an answer may take unless more is asked for: fifteen seconds on two."""

TICK_S, POD_TICK_S = 0.00055, 0.00005
"""About what a tick takes, drawn and judged, and what each counted pod adds."""

WHOLE = 8.0
"""About how many whole rollouts one of each change comes to, the healthy ones among them: most end early."""

Job = tuple[Service, Change, Rules, str, float]
Map = Callable[[Callable[[Job], Played], Sequence[Job]], Iterable[Played]]


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of one change in `rollouts` rollouts. Of those in which it was found: the canary's requests (median
    and 95 %), the minutes (median) and the canary's bad answers (mean) until then; None where it never was.
    `bound` is the least number of requests that any rule needs, None where the steps are too short for it."""

    change: str
    rollouts: int
    found: int
    starved: int
    share: float
    share_interval_95: tuple[float, float]
    requests_median: float | None
    requests_95: float | None
    minutes_median: float | None
    bad_answers_mean: float | None
    bound: float | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """`healthy` are rollouts of a canary that is not worse: there, `found` ones are false rollbacks."""

    seed: int
    requests: float
    """The canary's requests in all steps, on average, when nothing stops it."""
    minutes: float
    healthy: Caught
    changes: Sequence[Caught]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def affordable(service: Service, rules: Rules, tick_s: float) -> int:
    """So many rollouts of each change that the answer comes soon; from what is asked alone, never from a clock."""
    ticks = sum(step.hold_s for step in rules.lengths(service.rate)) / tick_s
    each = TICK_S + (POD_TICK_S * service.pods if service.by_pod else 0.0)
    return max(ROLLOUTS_MIN, min(ROLLOUTS_MAX, int(BUDGET_S / (WHOLE * ticks * each))))


def simulate(
    service: Service,
    rules: Rules,
    *,
    rollouts: int,
    seed: int,
    tick_s: float,
    run: Map,
) -> Simulation:
    """Play `rollouts` rollouts of every change, and more of a healthy canary. `run` maps a function over jobs, in
    order; each has its own generator, so that whoever plays them in whatever order gets the same."""
    plan = [(HEALTHY, HEALTHY_TIMES * rollouts), *((change, rollouts) for change in CHANGES)]
    jobs = [
        (service, change, rules, f"{seed}/{change.name}/{number}", tick_s)
        for change, count in plan
        for number in range(count)
    ]
    played = list(run(_play, jobs))
    caught = []
    for change, count in plan:
        mine, played = played[:count], played[count:]
        caught.append(_caught(service, change, rules, mine))
    steps = [(step.split, step.hold_s) for step in rules.lengths(service.rate)]
    return Simulation(
        seed=seed,
        requests=sum(service.rate * split * hold for split, hold in steps),
        minutes=sum(hold for _, hold in steps) / 60.0,
        healthy=caught[0],
        changes=caught[1:],
    )


def _play(job: Job) -> Played:
    service, change, rules, seed, tick_s = job
    return play(service, change, rules, Random(seed), tick_s)


def _caught(service: Service, change: Change, rules: Rules, played: Sequence[Played]) -> Caught:
    found = [one for one in played if one.ended == "rolled back"]
    requests = sorted(one.requests for one in found)
    minutes = sorted(one.seconds / 60.0 for one in found)
    steps = [(step.split, step.hold_s) for step in rules.lengths(service.rate)]
    bound = float("inf") if change == HEALTHY else requests_needed(service, change, rules.judge.alpha, steps)
    return Caught(
        change=change.name,
        rollouts=len(played),
        found=len(found),
        starved=sum(one.ended == "starved" for one in played),
        share=len(found) / len(played),
        share_interval_95=interval(len(found), len(played)),
        requests_median=_quantile(requests, 0.5),
        requests_95=_quantile(requests, 0.95),
        minutes_median=_quantile(minutes, 0.5),
        bad_answers_mean=sum(one.bad for one in found) / len(found) if found else None,
        bound=round(bound, 1) if isfinite(bound) else None,
    )


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
