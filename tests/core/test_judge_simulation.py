"""Short seeded rollouts: 150 requests a second, 5 % to the canary, a tick every 2 s, as in the demo.

Each seed has one outcome, so nothing here depends on luck.
"""

from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import exp
from random import Random

import pytest

from pointsman.core.judge import Arm, JudgePolicy, PodCounters, Tick, Verdict, judge

START = datetime(2026, 11, 22, tzinfo=UTC)
EDGES = tuple(1.1**step for step in range(91))
RATE, TICK_S = 150, 2
POLICY = JudgePolicy.of({"warmup": "0s", "minRequestsPerStep": 20})
DEMO = [0.05] * 4 + [0.25] * 4 + [0.5] * 4 + [0.98] * 5

Latency = Callable[[Random], float]


def around_10_ms(random: Random) -> float:
    """Whole milliseconds, as Envoy counts them."""
    return max(1.0, round(10.0 * exp(0.5 * random.gauss(0.0, 1.0))))


class Server:
    def __init__(self, random: Random, started_at: datetime, errors: float, latency: Latency) -> None:
        self._random, self._started_at, self._errors, self._latency = random, started_at, errors, latency
        self.requests, self._bad, self._buckets = 0, 0, [0] * (len(EDGES) + 1)

    def serve(self, requests: int) -> None:
        for _ in range(requests):
            self.requests += 1
            self._bad += self._random.random() < self._errors
            self._buckets[bisect_left(EDGES, self._latency(self._random))] += 1

    def arm(self, at: datetime) -> Arm:
        return Arm(
            (PodCounters("*", self._started_at, at, self.requests, {"5xx": self._bad}, EDGES, tuple(self._buckets)),)
        )


def rollout(
    seed: int, splits: list[float], *, errors: tuple[float, float] = (0.0, 0.0), slower: Latency = around_10_ms
) -> tuple[float | None, Verdict]:
    """Seconds of data until it was rolled back, or None; and the last verdict. `errors`: stable's, canary's.

    The first window, in which the canary's share begins, is not judged: it is among those seconds.
    """
    random = Random(seed)
    stable = Server(random, START - timedelta(hours=1), errors[0], around_10_ms)
    canary = Server(random, START, errors[1], slower)
    stable.serve(20 * RATE)
    state, verdict = judge(
        None, Tick(0, START - timedelta(seconds=TICK_S), START, 0.0, Arm(()), stable.arm(START)), POLICY
    )
    for number, split in enumerate(splits, start=1):
        since, until = (START + timedelta(seconds=TICK_S * (number - back)) for back in (1, 0))
        chosen = sum(random.random() < split for _ in range(RATE * TICK_S))
        canary.serve(chosen)
        stable.serve(RATE * TICK_S - chosen)
        tick = Tick(number, since, until, split, canary.arm(until), stable.arm(until))
        state, verdict = judge(state, tick, POLICY)
        if verdict.action == "roll_back":
            return float(TICK_S * number), verdict
    return None, verdict


@pytest.mark.parametrize(
    "slower",
    [
        pytest.param(lambda random: 10.0 * around_10_ms(random), id="ten-times-slower"),
        pytest.param(lambda random: 80.0 + around_10_ms(random), id="80-ms-slower"),
    ],
)
def test_a_slow_canary_is_found_within_four_seconds_of_data(slower: Latency) -> None:
    for seed in range(5):
        seconds, verdict = rollout(seed, [0.05] * 5, slower=slower)
        assert seconds is not None
        assert seconds <= 4.0
        assert verdict.metric == "latency"


def test_a_canary_that_fails_one_answer_in_twenty_is_found_in_about_ten_seconds_of_data() -> None:
    found = []
    for seed in range(12):
        seconds, verdict = rollout(seed, [0.05] * 15, errors=(0.0, 0.05))
        assert verdict.metric == "5xx"
        found.append(seconds or 60.0)
    assert sum(found) / len(found) <= 12.0
    assert max(found) <= 24.0


@pytest.mark.parametrize("errors", [0.0, 0.005, 0.05])
def test_a_healthy_canary_walks_the_whole_demo(errors: float) -> None:
    for seed in range(5):
        seconds, verdict = rollout(seed, DEMO, errors=(errors, errors))
        assert seconds is None
        assert verdict.action in ("continue", "advance")
