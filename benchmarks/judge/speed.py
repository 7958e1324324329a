"""What judging costs: time and memory of a tick, and a thousand recorded rollouts judged again."""

import json
from collections.abc import Iterator
from statistics import median
from time import process_time

import numpy as np

from benchmarks.judge.families import Family
from benchmarks.judge.holds import Held, of_speed
from benchmarks.judge.record import lines
from benchmarks.judge.scenarios import EDGES_MS, blocks
from pointsman.core.judge import recording
from pointsman.core.judge.fold import Judge

__all__ = ["replayed", "speed"]

CLASSES = ("5xx", "timeout", "refusal", "schema", "low score", "4xx", "empty")
LATENCIES = ("latency", "first token", "inter-token", "queue")
PODS, CANARY_PODS, TICKS = 20, 1, 240

PASSES = 3
"""The best of them counts: a busy machine only ever makes a tick slower."""


def speed(rollouts: int) -> Iterator[Held]:
    """`rollouts` are recorded and judged again; the time is scaled to a thousand."""
    tick_ms, state_kib = min(_tick() for _ in range(PASSES))
    yield of_speed("one tick, 12 metrics, 20 pods, CPU", 1.0, tick_ms, "ms")
    yield of_speed("the state after 240 such ticks", 16.0, state_kib, "KiB")
    yield of_speed("1,000 recorded rollouts of 240 ticks judged again, CPU", 60.0, 1000.0 * replayed(rollouts), "s")


def replayed(rollouts: int) -> float:
    """Seconds of CPU a recorded rollout, from its lines to its last verdict."""
    [batch] = blocks(Family("plain"), rollouts, seed=5)
    texts = [[json.dumps(line) for line in lines(batch, row)] for row in range(rollouts)]
    begun = process_time()
    for text in texts:
        recorded = recording.read(text)
        judge = Judge(recorded.head.policy, recording.begin(recorded.head))
        for tick in recorded.ticks:
            judge.take(tick)
        judge.verdict()
    return (process_time() - begun) / rollouts


def _tick() -> tuple[float, float]:
    """Median milliseconds, and KiB of the state at the end."""
    edges = list(EDGES_MS["prometheus"])
    metrics: list[dict[str, object]] = [{"name": name, "type": "ratio"} for name in CLASSES]
    metrics += [{"name": name, "type": "latency", "edges_ms": edges} for name in LATENCIES]
    metrics.append({"name": "guard", "type": "absolute"})
    recorded = recording.read(
        json.dumps(line) for line in [{"kind": "head", "metrics": metrics, "warmup_s": 0}, *_busy(len(edges) + 1)]
    )
    judge = Judge(recorded.head.policy, recording.begin(recorded.head))
    times = []
    for tick in recorded.ticks:
        begun = process_time()
        judge.take(tick)
        times.append(process_time() - begun)
    return 1000.0 * median(times), len(json.dumps(judge.memory.as_json(), separators=(",", ":"))) / 1024


def _busy(buckets: int) -> Iterator[dict[str, object]]:
    random = np.random.Generator(np.random.PCG64(1))
    requests = np.zeros(PODS, np.int64)
    bad = np.zeros((PODS, len(CLASSES)), np.int64)
    latency = np.zeros((PODS, len(LATENCIES), buckets), np.int64)
    for seq in range(TICKS):
        now = random.poisson(28, PODS)
        requests += now
        bad += random.binomial(now[:, None], 0.005, bad.shape)
        latency += random.multinomial(now[:, None], np.full(buckets, 1.0 / buckets), latency.shape[:2])
        pods = [
            {"id": f"pod-{pod:02}", "start": "2026-01-01T00:00:00Z", "requests": int(requests[pod])}
            | {"bad": dict(zip(CLASSES, bad[pod].tolist(), strict=True))}
            | dict(zip(LATENCIES, latency[pod].tolist(), strict=True))
            for pod in range(PODS)
        ]
        arms = {
            "canary": {"pods": pods[:CANARY_PODS], "ready": 1},
            "baseline": {"pods": pods[CANARY_PODS:], "ready": 19},
        }
        times = (f"2026-01-01T{1 + at // 360:02}:{at // 6 % 60:02}:{at % 6}0Z" for at in (seq, seq + 1))
        yield {"kind": "tick", "seq": seq, "split": 0.05, "arms": arms} | dict(zip(("t0", "t1"), times, strict=True))
