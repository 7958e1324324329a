"""Recordings for tests, line by line: what is not said is a healthy service of 56 requests a second."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from pointsman.core.judge import Tick, Verdict
from pointsman.core.judge.recording import Recording, read, replay

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
BEFORE = (START - timedelta(hours=1)).isoformat()
EDGES = [50.0, 100.0, 250.0, 500.0, 1000.0]
QUIET = [2, 8, 12, 4, 1, 1]

HEAD: Mapping[str, Any] = {
    "kind": "head",
    "v": 1,
    "rollout": "r1",
    "model": "digits",
    "stable": "v1",
    "canary": "v2",
    "warmup_s": 0,
    "metrics": [
        {"name": "5xx", "type": "ratio", "of": "requests", "weight": 0.53},
        {"name": "latency", "type": "latency", "edges_ms": EDGES, "weight": 0.42},
        {"name": "guard", "type": "absolute", "limit": 0.3, "weight": 0.05},
    ],
    "seed_history": {"requests": 2000, "bad": {"5xx": 10}, "latency": [100 * count for count in QUIET]},
}


class Pod:
    """One pod, whose counters only rise; `fields` of a sample are written over by what a test says."""

    def __init__(self, name: str = "*", start: str = START.isoformat(), **fields: Any) -> None:
        self.name, self.start, self.fields = name, start, fields
        self.requests, self.bad, self.latency = 0, 0, [0] * (len(EDGES) + 1)

    def serve(self, requests: int, bad: int = 0, latency: Sequence[int] | None = None) -> "Pod":
        spread = QUIET if latency is None else latency
        self.requests += requests
        self.bad += bad
        scale = requests / sum(spread) if sum(spread) else 0.0
        self.latency = [have + round(scale * more) for have, more in zip(self.latency, spread, strict=True)]
        return self

    def sample(self, **over: Any) -> dict[str, Any]:
        found = {"id": self.name, "start": self.start, "requests": self.requests, "bad": {"5xx": self.bad}}
        return {**found, "latency": list(self.latency), **self.fields, **over}


def tick(seq: int, canary: Sequence[Any], baseline: Sequence[Any], **over: Any) -> dict[str, Any]:
    """A tick of 10 s at 5 %; arms are lists of samples."""
    found = {
        "kind": "tick",
        "seq": seq,
        "t0": (START + timedelta(seconds=10 * seq)).isoformat(),
        "t1": (START + timedelta(seconds=10 * seq + 10)).isoformat(),
        "split": 0.05,
        "arms": {"canary": {"pods": list(canary)}, "baseline": {"pods": list(baseline)}},
    }
    return {**found, **over}


def recording(lines: Sequence[Any], head: Mapping[str, Any] = HEAD) -> Recording:
    """Lines are objects, or text that is written as it is."""
    return read([json.dumps(head), *(line if isinstance(line, str) else json.dumps(line) for line in lines)])


def verdicts(lines: Sequence[Any], head: Mapping[str, Any] = HEAD) -> list[tuple[Tick, Verdict]]:
    return list(replay(recording(lines, head)))


def steady(
    ticks: int, *, canary: tuple[int, int] = (28, 0), stable: tuple[int, int] = (532, 3), **over: Any
) -> list[dict[str, Any]]:
    """So many ticks in which both sides answer the same each time."""
    ours, theirs = Pod(), Pod()
    found = []
    for seq in range(ticks):
        ours.serve(*canary)
        theirs.serve(*stable)
        found.append(tick(seq, [ours.sample()], [theirs.sample()], **over))
    return found


def by_metric(verdict: Verdict, name: str) -> dict[str, Any]:
    """What a verdict says of one metric."""
    return cast("dict[str, Any]", cast("dict[str, Any]", verdict.numbers["by_metric"])[name])
