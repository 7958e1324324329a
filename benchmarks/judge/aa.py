"""`python -m benchmarks.judge.aa LOG.csv …`: would the judge leave your service alone?

Takes requests that one version served, calls some of them the canary's, at random, again and again, and judges: every
rollback is a false one. Whole users (`--by user`) or whole pods (`--by pod`) may be taken in place of single requests,
as your gateway does it. With `--errors` or `--slower` the canary's answers are made worse, and every rollback is right.

The first part of the log is what is known of stable; the rest is cut into steps of 5, 25 and 50 %.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.batch import Batch, Counts, Floats, History, Pods
from benchmarks.judge.bounds import lower, upper
from benchmarks.judge.measure import POLICY
from benchmarks.judge.request_log import RequestLog, read
from benchmarks.judge.scenarios import EDGES_MS, SPLITS
from benchmarks.judge.vectorised import judged
from pointsman.core.judge.tally import SEED_REQUESTS_MAX

__all__ = ["Rerandomised", "main"]

Flags = NDArray[np.bool_]

STEPS = SPLITS[:3]
KNOWN = 0.25
"""The part of the log's time that is history."""

BLOCK = 100


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge.aa", description=__doc__)
    parser.add_argument("logs", nargs="+", type=Path, help="CSV: time, latency_ms, ok or bad; perhaps pod, user")
    parser.add_argument("--by", choices=("request", "user", "pod"), default="request")
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--tick", type=float, default=10.0, help="seconds")
    parser.add_argument("--buckets", choices=("1.1", "1.3", "prometheus"), default="1.1")
    parser.add_argument("--errors", type=float, default=1.0, help="times as many bad answers of the canary")
    parser.add_argument("--slower", type=float, default=1.0, help="times as long answers of the canary")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if given.rollouts < 1 or given.tick <= 0.0:
        parser.error("--rollouts and --tick are more than 0")
    try:
        again = Rerandomised(read(given.logs), given.by, given.tick, given.buckets, given.errors, given.slower)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    random = np.random.Generator(np.random.PCG64(given.seed))
    decided: list[int] = []
    requests: list[int] = []
    for first in range(0, given.rollouts, BLOCK):
        batch = again.batch(min(BLOCK, given.rollouts - first), random)
        outcome = judged(batch, POLICY)
        decided += outcome.decided.tolist()
        requests += batch.exposed(outcome.decided).tolist()
    found = sum(tick >= 0 for tick in decided)
    print(again.told())
    # What is feared is bounded from above, what is hoped for from below.
    if given.errors == given.slower == 1.0:
        what, sure = "were rolled back", f"at most {100 * upper(found, given.rollouts):.2f} %"
    else:
        what, sure = "of the worse canaries were found", f"at least {100 * lower(found, given.rollouts):.2f} %"
    print(f"{found} of {given.rollouts} {what}: {100 * found / given.rollouts:.2f} %, {sure} with 99 % confidence")
    print(f"canary requests until then: {np.mean(requests):,.0f} on average (all of them where there was no rollback)")


@dataclass(frozen=True, slots=True)
class Rerandomised:
    """A log whose requests are given to the arms at random. `by` is what goes to an arm as a whole."""

    log: RequestLog
    by: str
    tick_s: float
    buckets: str
    errors: float = 1.0
    slower: float = 1.0

    def __post_init__(self) -> None:
        if self.by != "request" and self._units is None:
            raise ValueError(f"the log has no column {self.by}")
        if self.by == "pod" and self._pods < 4:
            raise ValueError(f"{self._pods} pods are too few to be parted")
        if self._ticks < 3:
            raise ValueError("the log is shorter than three ticks beyond its first quarter")

    @property
    def _units(self) -> Counts | None:
        return {"user": self.log.user, "pod": self.log.pod}.get(self.by)

    @property
    def _pods(self) -> int:
        return 0 if self.log.pod is None else int(self.log.pod.max()) + 1

    @property
    def _begun_s(self) -> float:
        return KNOWN * float(self.log.at_s[-1])

    @property
    def _ticks(self) -> int:
        return int((float(self.log.at_s[-1]) - self._begun_s) // self.tick_s)

    def told(self) -> str:
        log, known = self.log, self.log.at_s < self._begun_s
        return (
            f"{len(log.at_s):,} requests in {log.at_s[-1]:,.0f} s, {100 * log.bad.mean():.3g} % bad, median "
            f"{np.median(log.latency_ms):,.0f} ms; the first {int(known.sum()):,} are the history; by {self.by}"
        )

    def batch(self, rollouts: int, random: np.random.Generator) -> Batch:
        """`rollouts` assignments, drawn anew."""
        edges = np.array(EDGES_MS[self.buckets], float)
        split = np.array(STEPS)[np.minimum(np.arange(self._ticks) * len(STEPS) // self._ticks, len(STEPS) - 1)]
        tick = ((self.log.at_s - self._begun_s) // self.tick_s).astype(np.int64)
        inside = (self.log.at_s >= self._begun_s) & (tick < self._ticks)
        parts = [self._one(random, split, tick[inside], inside, edges) for _ in range(rollouts)]
        n, k, latency = (np.stack(column) for column in zip(*(part[0] for part in parts), strict=True))
        pods = [part[1] for part in parts if part[1] is not None]
        return Batch(
            name="A/A",
            tick_s=self.tick_s,
            split=np.broadcast_to(split, (rollouts, self._ticks)),
            n_c=n[:, 0],
            n_b=n[:, 1],
            k_c={"5xx": k[:, 0]},
            k_b={"5xx": k[:, 1]},
            history=self._history(rollouts, edges),
            edges_ms=edges,
            latency_c=latency[:, 0],
            latency_b=latency[:, 1],
            pods=_together(pods, self._ready(split)) if pods else None,
        )

    def _one(
        self, random: np.random.Generator, split: Floats, tick: Counts, inside: Flags, edges: Floats
    ) -> tuple[tuple[Counts, Counts, Counts], "tuple[Counts, ...] | None"]:
        """One assignment: counts (arms, T) and latencies (arms, T, J); the counts pod by pod where pods are parted."""
        log, share, ticks = self.log, split[tick], self._ticks
        order = np.zeros(0, np.int64)
        if self.by == "pod" and log.pod is not None:
            order = random.permutation(self._pods)
            place = np.argsort(order)[log.pod[inside]]
            is_canary = place < self._ready(split)[0][tick]
        else:
            units = self._units
            drawn = random.random(len(tick)) if units is None else random.random(int(units.max()) + 1)[units[inside]]
            is_canary = drawn < share
        arm = np.where(is_canary, 0, 1)
        bad = log.bad[inside]
        if self.errors > 1.0:
            base = float(log.bad.mean())
            more = min(1.0, (self.errors - 1.0) * base / max(1.0 - base, 1e-9))
            bad = bad | (is_canary & (random.random(len(bad)) < more))
        latency = log.latency_ms[inside] * np.where(is_canary, self.slower, 1.0)
        bucket, buckets = np.searchsorted(edges, latency, side="left"), len(edges) + 1
        cell = arm * ticks + tick
        counts = (
            np.bincount(cell, minlength=2 * ticks).reshape(2, ticks),
            np.bincount(cell[bad], minlength=2 * ticks).reshape(2, ticks),
            np.bincount(cell * buckets + bucket, minlength=2 * ticks * buckets).reshape(2, ticks, buckets),
        )
        return counts, self._by_pod(order, tick, inside, is_canary, bad) if len(order) else None

    def _by_pod(
        self,
        order: Counts,
        tick: Counts,
        inside: Flags,
        is_canary: Flags,
        bad: Flags,
    ) -> tuple[Counts, ...]:
        """The canary's pods are the first of the order, stable's the first of it backwards."""
        pod = self.log.pod
        assert pod is not None
        size = (self._ticks, self._pods)
        forwards, backwards = np.argsort(order), np.argsort(order[::-1])

        def counted(at: Counts, place: Counts, shape: tuple[int, int]) -> Counts:
            return np.bincount(at * shape[1] + place, minlength=shape[0] * shape[1]).reshape(shape)

        ours, theirs, before = pod[inside], pod[inside], ~inside & (self.log.at_s < self._begun_s)
        then = (self.log.at_s[before] // self.tick_s).astype(np.int64)
        long_ago = (int(self._begun_s // self.tick_s) + 1, self._pods)
        spoilt, place = self.log.bad[before], backwards[pod[before]]
        return (
            counted(tick[is_canary], forwards[ours[is_canary]], size),
            counted(tick[is_canary & bad], forwards[ours[is_canary & bad]], size),
            counted(tick[~is_canary], backwards[theirs[~is_canary]], size),
            counted(tick[~is_canary & bad], backwards[theirs[~is_canary & bad]], size),
            counted(then, place, long_ago),
            counted(then[spoilt], place[spoilt], long_ago),
        )

    def _ready(self, split: Floats) -> tuple[Counts, Counts]:
        ours = np.clip(np.round(split * self._pods).astype(np.int64), 1, max(self._pods - 1, 1))
        return ours, self._pods - ours

    def _history(self, rollouts: int, edges: Floats) -> History:
        known = self.log.at_s < self._begun_s
        requests = float(known.sum())
        part = min(1.0, SEED_REQUESTS_MAX / max(requests, 1.0))
        buckets = np.bincount(np.searchsorted(edges, self.log.latency_ms[known]), minlength=len(edges) + 1)
        return History(
            np.full(rollouts, part * requests),
            {"5xx": np.full(rollouts, part * float(self.log.bad[known].sum()))},
            np.tile(part * buckets, (rollouts, 1)),
        )


def _together(pods: "Sequence[tuple[Counts, ...]]", ready: tuple[Counts, Counts]) -> Pods:
    n_c, k_c, n_b, k_b, n_h, k_h = (np.stack(column) for column in zip(*pods, strict=True))
    return Pods(n_c, k_c, n_b, k_b, n_h, k_h, *ready)


if __name__ == "__main__":
    main()
