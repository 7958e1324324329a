"""What judging costs: time and memory of a tick, and a thousand recorded rollouts judged again."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, process_time

import numpy as np

from benchmarks.judge.families import Family
from benchmarks.judge.holds import Held, of_speed
from benchmarks.judge.record import lines
from benchmarks.judge.scenarios import EDGES_MS, blocks
from pointsman.core.judge import recording
from pointsman.core.judge.fold import Judge
from pointsman_cli.judging.replaying import replayed as replay

__all__ = ["commanded", "replayed", "speed"]

CLASSES = ("5xx", "timeout", "refusal", "schema", "low score", "4xx", "empty")
LATENCIES = ("latency", "first token", "inter-token", "queue")
PODS, CANARY_PODS, TICKS = 20, 1, 240

PASSES = 3
"""The best of them counts: a busy machine only ever makes a tick slower."""

FILES = 200
"""So many recordings the command is given, of which starting its processes is a small part."""


def speed(rollouts: int) -> Iterator[Held]:
    """`rollouts` are recorded and judged again; the time is scaled to a thousand."""
    tick_ms, state_kib = min(_tick() for _ in range(PASSES))
    yield of_speed("one tick, 12 metrics, 20 pods, CPU", 1.0, tick_ms, "ms")
    yield of_speed("the state after 240 such ticks", 16.0, state_kib, "KiB")
    of = "1,000 recorded rollouts of 240 ticks judged again"
    [batch] = blocks(Family("plain"), rollouts, seed=5)
    plain = [[json.dumps(line) for line in lines(batch, row)] for row in range(rollouts)]
    yield of_speed(f"{of}, CPU", 60.0, 1000.0 * replayed(plain), "s")
    of = f"the same with 20 pods, by the command on {os.cpu_count()} processors, wall time"
    yield of_speed(of, 60.0, 1000.0 * commanded(FILES), "s")


def replayed(texts: Sequence[Sequence[str]]) -> float:
    """Seconds of CPU a recorded rollout, from its lines to its last verdict."""
    begun = process_time()
    for text in texts:
        recorded = recording.read(text)
        judge = Judge(recorded.head.policy, recording.begin(recorded.head))
        for tick in recorded.ticks:
            judge.take(tick)
        judge.verdict()
    return (process_time() - begun) / len(texts)


def commanded(rollouts: int) -> float:
    """Seconds a file, of so many files of twenty pods each that `pointsman judge replay` is given."""
    text = "\n".join(_recorded(CLASSES[:1], LATENCIES[:1]))
    with TemporaryDirectory() as folder:
        files = [Path(folder, f"{number}.jsonl") for number in range(rollouts)]
        for file in files:
            file.write_text(text)
        begun = monotonic()
        for found in replay([str(file) for file in files], None, ticks=False):
            assert not found.error
        return (monotonic() - begun) / rollouts


def _tick() -> tuple[float, float]:
    """Median milliseconds, and KiB of the state at the end."""
    recorded = recording.read(_recorded(CLASSES, LATENCIES))
    judge = Judge(recorded.head.policy, recording.begin(recorded.head))
    times = []
    for tick in recorded.ticks:
        begun = process_time()
        judge.take(tick)
        times.append(process_time() - begun)
    return 1000.0 * median(times), len(json.dumps(judge.memory.as_json(), separators=(",", ":"))) / 1024


def _recorded(classes: Sequence[str], latencies: Sequence[str]) -> list[str]:
    """A rollout of twenty pods, one of them the canary's, that count all of these."""
    edges = list(EDGES_MS["prometheus"])
    metrics: list[dict[str, object]] = [{"name": name, "type": "ratio"} for name in classes]
    metrics += [{"name": name, "type": "latency", "edges_ms": edges} for name in latencies]
    metrics.append({"name": "guard", "type": "absolute"})
    head = {"kind": "head", "metrics": metrics, "warmup_s": 0}
    return [json.dumps(line) for line in (head, *_busy(classes, latencies, len(edges) + 1))]


def _busy(classes: Sequence[str], latencies: Sequence[str], buckets: int) -> Iterator[dict[str, object]]:
    random = np.random.Generator(np.random.PCG64(1))
    requests = np.zeros(PODS, np.int64)
    bad = np.zeros((PODS, len(classes)), np.int64)
    latency = np.zeros((PODS, len(latencies), buckets), np.int64)
    for seq in range(TICKS):
        now = random.poisson(28, PODS)
        requests += now
        bad += random.binomial(now[:, None], 0.005, bad.shape)
        latency += random.multinomial(now[:, None], np.full(buckets, 1.0 / buckets), latency.shape[:2])
        pods = [
            {"id": f"pod-{pod:02}", "start": "2026-01-01T00:00:00Z", "requests": int(requests[pod])}
            | {"bad": dict(zip(classes, bad[pod].tolist(), strict=True))}
            | dict(zip(latencies, latency[pod].tolist(), strict=True))
            for pod in range(PODS)
        ]
        arms = {
            "canary": {"pods": pods[:CANARY_PODS], "ready": 1},
            "baseline": {"pods": pods[CANARY_PODS:], "ready": 19},
        }
        times = (f"2026-01-01T{1 + at // 360:02}:{at // 6 % 60:02}:{at % 6}0Z" for at in (seq, seq + 1))
        yield {"kind": "tick", "seq": seq, "split": 0.05, "arms": arms} | dict(zip(("t0", "t1"), times, strict=True))
