"""One simulated rollout, from its first weight to its last step, judged tick by tick."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

from pointsman.core.judge import Arm, PodCounters, Tick
from pointsman.core.judge.fold import Judge
from pointsman.core.traffic import canary_replicas
from pointsman_cli.judging.policies import Rules
from pointsman_cli.judging.simulation.draws import binomial, histogram
from pointsman_cli.judging.simulation.service import HEALTHY, Change, Service, shares

__all__ = ["Played", "Rollout", "play"]

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""Where simulated time begins: any day will do."""

HISTORY_S, HISTORY_MAX = 3600.0, 20_000.0
"""What stable served before the rollout, as its counters have it: of an hour, but no more requests than this."""

WARM_S = 600.0
"""The canary's pods are older than any warm-up when they get their first request."""

Ended = Literal["rolled back", "passed", "starved"]


class _Pod:
    """One pod's counters. They only rise."""

    def __init__(self, name: str, started_at: datetime, buckets: int) -> None:
        self.name, self.started_at = name, started_at
        self.requests = self.bad = 0
        self.latency = [0] * buckets

    def serve(self, random: Random, mean: float, bad: float, cells: tuple[float, ...]) -> int:
        """Answer a Poisson number of requests; how many."""
        counts = histogram(random, mean, cells)
        served = sum(counts)
        self.requests += served
        self.bad += binomial(random, served, bad)
        self.latency = [a + b for a, b in zip(self.latency, counts, strict=True)]
        return served

    def read(self, at: datetime, edges: tuple[float, ...]) -> PodCounters:
        return PodCounters(self.name, self.started_at, at, self.requests, {"5xx": self.bad}, edges, tuple(self.latency))


class _Side:
    """One revision's pods, which share its requests evenly."""

    def __init__(self, name: str, service: Service, change: Change, started_at: datetime) -> None:
        self._name, self._service, self._started_at = name, service, started_at
        self._edges = tuple(service.edges_ms)
        self._cells = shares(self._edges, change.latency * service.median_ms, service.sigma)
        self._bad = change.bad(service.bad)
        self._pods: list[_Pod] = []
        self.ready = 0

    def scale(self, ready: int) -> None:
        """Have at least so many pods; new ones are warm by the time they serve."""
        self.ready = max(self.ready, ready)
        wanted = self.ready if self._service.by_pod else min(self.ready, 1)
        for number in range(len(self._pods), wanted):
            name = f"{self._name}-{number + 1}" if self._service.by_pod else "*"
            self._pods.append(_Pod(name, self._started_at, len(self._edges) + 1))

    def serve(self, random: Random, mean: float) -> int:
        return sum(pod.serve(random, mean / len(self._pods), self._bad, self._cells) for pod in self._pods)

    def arm(self, at: datetime) -> Arm:
        return Arm(tuple(pod.read(at, self._edges) for pod in self._pods), self.ready)

    @property
    def answered(self) -> tuple[int, int]:
        """Requests and bad answers so far."""
        return sum(pod.requests for pod in self._pods), sum(pod.bad for pod in self._pods)


class Rollout:
    """A rollout that goes on until somebody stops asking for its ticks. `starved`: a step did not get the policy's
    least number of requests in its hold and what may be waited beyond it, so that it ended there."""

    def __init__(self, service: Service, change: Change, rules: Rules, random: Random, tick_s: float) -> None:
        self._service, self._rules, self._random, self._tick_s = service, rules, random, tick_s
        self._stable = _Side("stable", service, HEALTHY, START - timedelta(seconds=HISTORY_S))
        self.canary = _Side("canary", service, change, START - timedelta(seconds=WARM_S))
        self.starved = False

    def ticks(self) -> Iterator[Tick]:
        """One before the first weight, then every step for its hold, prolonged while it has too few requests."""
        length = timedelta(seconds=self._tick_s)
        self._stable.scale(self._service.pods)
        self._stable.serve(self._random, min(self._service.rate * HISTORY_S, HISTORY_MAX))
        yield Tick(0, START - length, START, 0.0, Arm(()), self._stable.arm(START))
        seq, until = 0, START
        for step in self._rules.steps:
            minimum = self._rules.min_canary_replicas
            self.canary.scale(canary_replicas(self._service.pods, 100 * step.split, minimum))
            over, late = (until + timedelta(seconds=s) for s in (step.hold_s, step.hold_s + self._rules.wait_s))
            served, changed = 0, True
            while until < over or served < self._rules.min_requests:
                if until >= late:
                    self.starved = True
                    return
                since, until, seq = until, until + length, seq + 1
                requests = self._service.rate * self._tick_s
                served += self.canary.serve(self._random, requests * step.split)
                self._stable.serve(self._random, requests * (1.0 - step.split))
                arms = self.canary.arm(until), self._stable.arm(until)
                yield Tick(seq, since, until, step.split, *arms, changed=changed)
                changed = False


@dataclass(frozen=True, slots=True)
class Played:
    """How a rollout ended. `requests` and `bad` are the canary's, to the end of the tick that decided."""

    ended: Ended
    requests: int
    bad: int
    seconds: float
    metric: str | None = None


def play(service: Service, change: Change, rules: Rules, random: Random, tick_s: float) -> Played:
    """Roll a canary out and judge every tick, until it is rolled back or the steps are over."""
    rollout = Rollout(service, change, rules, random, tick_s)
    judging = Judge(rules.judge)
    until, metric = START, None
    for tick in rollout.ticks():
        judging.take(tick)
        until = tick.until
        if judging.action == "roll_back":
            metric = judging.verdict().metric
            break
    went_back = judging.action == "roll_back"
    ended: Ended = "rolled back" if went_back else "starved" if rollout.starved else "passed"
    requests, bad = rollout.canary.answered
    return Played(ended, requests, bad, (until - START).total_seconds(), metric)
