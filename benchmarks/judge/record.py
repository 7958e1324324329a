"""`python -m benchmarks.judge.record DIR --family NAME --rollouts N`: simulated rollouts as recordings.

One JSON Lines file a rollout, in the format that `pointsman judge replay` reads (`schemas/recording.json`).
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.judge.batch import Batch
from benchmarks.judge.families import RATES, Family, hazards, nulls, regressions
from benchmarks.judge.real import beginning, ticks
from benchmarks.judge.scenarios import blocks
from pointsman.core.judge import JudgePolicy
from pointsman.core.judge.dispersion import CAPS
from pointsman.core.judge.ratio_process import RatioProcess
from pointsman.core.judge.ticks import Arm

__all__ = ["found", "lines", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge.record", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", default="plain")
    parser.add_argument("--rate", type=float, default=RATES[1], help="requests a second")
    parser.add_argument("--rollouts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    family = found(given.family, given.rate)
    if family is None:
        parser.error(f"no family {given.family!r}: there are {', '.join(sorted(_all(given.rate)))}")
    given.folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for batch in blocks(family, given.rollouts, given.seed):
        for row in range(batch.rollouts):
            path = given.folder / f"rollout-{number:05}.jsonl"
            path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines(batch, row)))
            number += 1
    print(f"{number} recordings in {given.folder}")


def found(name: str, rate: float) -> Family | None:
    """The family of that name, at that rate."""
    return _all(rate).get(name)


def _all(rate: float) -> dict[str, Family]:
    families = [*nulls(rate), *hazards(rate), *(family.at(rate) for family in regressions())]
    return {family.name: family for family in families}


def lines(batch: Batch, row: int) -> Iterator[dict[str, object]]:
    """The recording of one rollout, line by line."""
    yield _head(batch, row)
    for tick in ticks(batch, row):
        yield {
            "kind": "tick",
            "seq": tick.seq,
            "t0": tick.since.isoformat(),
            "t1": tick.until.isoformat(),
            "split": tick.split,
            "arms": {"canary": _arm(tick.canary), "baseline": _arm(tick.baseline)},
        }


def _head(batch: Batch, row: int) -> dict[str, object]:
    metrics: list[dict[str, object]] = [{"name": "5xx", "type": "ratio"}]
    history: dict[str, object] = {
        "requests": round(float(batch.history.requests[row])),
        "bad": {name: round(float(values[row])) for name, values in batch.history.bad.items()},
    }
    if batch.history.latency is not None:
        edges = [float(edge) for edge in batch.edges_ms]
        metrics.append({"name": "latency", "type": "latency", "edges_ms": edges, "margin_ms": 2})
        history["latency"] = [int(count) for count in batch.history.latency[row]]
    if batch.pods is not None:
        process = beginning(batch, row, JudgePolicy.of({})).processes["5xx"]
        assert isinstance(process, RatioProcess)
        spread = process.dispersion
        phi = [[scale.phi(index) for index in range(len(CAPS) + 1)] for scale in (spread.short, spread.long)]
        history |= {"phi": phi, "tau": spread.spread()}
    return {
        "kind": "head",
        "v": 1,
        "rollout": f"{batch.name} {row}",
        "model": "simulated",
        "stable": "v1",
        "canary": "v2",
        "metrics": [*metrics, {"name": "guard", "type": "absolute", "limit": 0.3}],
        "profile": "default",
        "warmup_s": 0,
        "seed_history": history,
    }


def _arm(arm: Arm) -> dict[str, object]:
    pods = []
    for pod in arm.pods:
        found: dict[str, object] = {
            "id": pod.pod,
            "start": pod.started_at.isoformat(),
            "requests": pod.requests,
            "bad": dict(pod.bad),
        }
        pods.append(found | ({"latency": list(pod.latency)} if pod.latency else {}))
    return {"pods": pods, "ready": arm.ready}


if __name__ == "__main__":
    main()
