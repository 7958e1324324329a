"""Rollouts by hand: what both sides answer in each tick is written down, nothing is drawn by lot."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pointsman.core.judge import Arm, JudgePolicy, PodCounters, Tick, Verdict
from pointsman.core.judge.fold import Judge
from pointsman.core.names import JSON
from pointsman_cli.judging.course import Course, Mark, Moment

__all__ = ["EDGES", "START", "Answered", "course", "judged", "lines", "recorded", "ticks"]

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
EDGES = (50.0, 100.0, 200.0, 400.0, 800.0)


@dataclass(frozen=True)
class Answered:
    """One tick of 10 s: (requests, bad) of each pod, and in which bucket they were answered."""

    canary: Sequence[tuple[int, int]] = ((50, 0),)
    stable: Sequence[tuple[int, int]] = ((475, 2), (475, 3))
    split: float = 0.05
    buckets: tuple[int, int] = (2, 2)


def ticks(answered: Sequence[Answered], *, first: int = 0) -> list[Tick]:
    """The first is one of stable alone, before the canary's share: counters begin an hour earlier."""
    since = START - timedelta(seconds=10)
    counters: dict[str, PodCounters] = {}
    found = []
    for number, one in enumerate([Answered((), split=0.0), *answered]):
        since, until = since + timedelta(seconds=10 * bool(number)), START + timedelta(seconds=10 * number)
        arms = []
        for side, served, bucket in (("canary", one.canary, one.buckets[0]), ("stable", one.stable, one.buckets[1])):
            pods = []
            for index, (requests, bad) in enumerate(served, start=1):
                name = f"{side}-{index}"
                last = counters.get(name) or _pod(name)
                latency = [count + requests * (place == bucket) for place, count in enumerate(last.latency)]
                counters[name] = last._replace(
                    sampled_at=until,
                    requests=last.requests + requests,
                    bad={"5xx": last.bad["5xx"] + bad},
                    latency=tuple(latency),
                )
                pods.append(counters[name])
            arms.append(Arm(tuple(pods), max(1, len(pods))))
        found.append(Tick(first + number, since, until, one.split, arms[0], arms[1]))
    return found


def _pod(name: str) -> PodCounters:
    begun = START - timedelta(hours=1)
    history = (100, 200, 400, 200, 80, 20) if name.startswith("stable") else (0,) * 6
    return PodCounters(name, begun, START, sum(history), {"5xx": sum(history) // 200}, EDGES, history)


def judged(found: Sequence[Tick], policy: JudgePolicy) -> list[tuple[Tick, Verdict]]:
    """Every tick with its verdict."""
    judging = Judge(policy)
    return [(tick, judging.verdict()) for tick in found if judging.take(tick)]


HEAD = {
    "kind": "head",
    "v": 1,
    "rollout": "3f9c2d1a",
    "model": "demo/digits",
    "stable": "v12",
    "canary": "v13",
    "metrics": [
        {"name": "5xx", "type": "ratio", "of": "requests", "weight": 0.53},
        {"name": "latency", "type": "latency", "edges_ms": list(EDGES), "weight": 0.42},
        {"name": "guard", "type": "absolute", "limit": 0.3, "weight": 0.05},
    ],
    "profile": "default",
    "warmup_s": 0,
}


def lines(found: Sequence[Tick], **head: object) -> list[dict[str, Any]]:
    """The ticks as they are recorded, after their head."""
    return [{**HEAD, **head}, *(_line(tick) for tick in found)]


def _line(tick: Tick) -> dict[str, Any]:
    arms = {
        name: {
            "ready": arm.ready,
            "pods": [
                {
                    "id": pod.pod,
                    "start": pod.started_at.isoformat(),
                    "requests": pod.requests,
                    "bad": dict(pod.bad),
                    "latency": list(pod.latency),
                }
                for pod in arm.pods
            ],
        }
        for name, arm in (("canary", tick.canary), ("baseline", tick.baseline))
    }
    times = {"t0": tick.since.isoformat(), "t1": tick.until.isoformat()}
    return {"kind": "tick", "seq": tick.seq, **times, "split": tick.split, "arms": arms}


def recorded(file: Path, found: Sequence[dict[str, Any]]) -> Path:
    """A file of these lines."""
    file.write_text("".join(f"{json.dumps(line)}\n" for line in found))
    return file


def course(answered: Sequence[Answered], *, policy: JSON | None = None, marks: Sequence[Mark] = ()) -> Course:
    """A rollout of `digits` from v12 to v13."""
    by = JudgePolicy.of(policy or {"warmup": "0s"})
    moments = tuple(Moment(tick, verdict) for tick, verdict in judged(ticks(answered), by))
    return Course("3f9c2d1a", "demo/digits", "v12", "v13", by, moments, tuple(marks))
