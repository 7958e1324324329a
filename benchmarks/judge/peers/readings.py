"""One batch as Prometheus would hold it: every window of every rollout, worked out once and asked for often."""

from bisect import bisect_right
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.batch import Batch, Counts, Floats
from pointsman_cli.judging.peers.windows import SLACK_S, Query, every

__all__ = ["NEVER", "Bools", "Columns", "Readings", "first"]

NEVER = -1

Bools = NDArray[np.bool_]
Columns = NDArray[np.intp]
"""Ticks by their number."""


class Readings:
    """A batch's windows, for the ticks in which there was something to compare with (all, where there never was)."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.rollouts = batch.rollouts
        self.ticks = int((batch.split < 1.0).all(axis=0).sum()) or batch.ticks
        self.ends_s = [(tick + 1) * batch.tick_s for tick in range(self.ticks)]
        self._values: dict[tuple[Query, bytes, float], Floats] = {}
        self._slow: dict[float, tuple[Counts, ...]] = {}

    def struck(self, interval_s: float) -> Columns:
        """Ticks at whose end a clock has struck."""
        return np.asarray([round(end / self.batch.tick_s) - 1 for end in every(self.ends_s, interval_s)], np.intp)

    def first(self, columns: Columns, window_s: float) -> Columns:
        """The first tick of the windows that end with `columns`."""
        return np.asarray([bisect_right(self.ends_s, self.ends_s[c] - window_s + SLACK_S) for c in columns], np.intp)

    @cached_property
    def _requests(self) -> tuple[Counts, Counts]:
        return _added_up(self._cut(self.batch.n_c)), _added_up(self._cut(self.batch.n_b))

    @cached_property
    def _bad(self) -> tuple[Counts, Counts]:
        return _added_up(self._cut(self.batch.bad_c)), _added_up(self._cut(self.batch.bad_b))

    @cached_property
    def _latency(self) -> tuple[Counts, Counts]:
        canary, stable = self.batch.latency_c, self.batch.latency_b
        if canary is None or stable is None:
            raise ValueError(f"{self.batch.name}: latency was not simulated")
        return _added_up(self._cut(canary)), _added_up(self._cut(stable))

    def _cut(self, counts: Counts) -> Counts:
        return counts[:, : self.ticks]

    @cached_property
    def answered(self) -> Bools:
        """Whether the canary had ever answered by the end of each tick, (R, T)."""
        return self._requests[0][:, 1:] > 0

    @cached_property
    def served(self) -> Counts:
        """Canary requests (R, T + 1) from the onset to the end of each tick; the last: of all ticks."""
        counts = self._cut(self.batch.n_c).copy()
        counts[:, : self.batch.onset] = 0
        so_far = np.cumsum(counts, axis=1)
        return np.concatenate([so_far, so_far[:, -1:]], axis=1)

    @cached_property
    def served_later(self) -> Counts:
        """Canary requests (R,) of the ticks in which there is no stable side any more."""
        later: Counts = self.batch.n_c[:, self.ticks :].sum(axis=1)
        return later

    def counted(
        self, columns: Columns, window_s: float | None, slower_than_ms: float | None = None
    ) -> tuple[Counts, Counts, Counts, Counts]:
        """Bad and all of the canary, bad and all of stable (R, columns), in windows or since the start."""
        starts = self.first(columns, window_s) if window_s is not None else np.zeros_like(columns)
        bad, requests, stable_bad, stable_requests = (
            so_far[:, columns + 1] - so_far[:, starts] for so_far in self._sums(slower_than_ms)
        )
        return bad, requests, stable_bad, stable_requests

    def _sums(self, slower_than_ms: float | None) -> tuple[Counts, ...]:
        if slower_than_ms is None:
            return self._bad[0], self._requests[0], self._bad[1], self._requests[1]
        if slower_than_ms not in self._slow:
            slow = bisect_right(list(self.batch.edges_ms), slower_than_ms)
            self._slow[slower_than_ms] = tuple(
                so_far[..., first:].sum(-1) for so_far in self._latency for first in (slow, 0)
            )
        return self._slow[slower_than_ms]

    def values(self, query: Query, columns: Columns, window_s: float) -> Floats:
        """`Query.of` the windows that end with `columns`, (R, columns)."""
        key = (query, columns.tobytes(), window_s)
        if key not in self._values:
            starts = self.first(columns, window_s)
            canary = self._arm(query, 0, columns, starts)
            self._values[key] = _divided(canary, self._arm(query, 1, columns, starts)) if query.relative else canary
        return self._values[key]

    def points(self, query: Query, step_s: float) -> tuple[Floats, Floats]:
        """A query's values of canary and stable in each whole step since the start, (R, steps)."""
        steps = np.arange(1, int(self.ends_s[-1] / step_s + SLACK_S / step_s) + 1) * step_s
        columns = np.asarray([bisect_right(self.ends_s, end + SLACK_S) - 1 for end in steps], np.intp)
        starts = np.asarray([bisect_right(self.ends_s, end - step_s + SLACK_S) for end in steps], np.intp)
        return self._arm(query, 0, columns, starts), self._arm(query, 1, columns, starts)

    def _arm(self, query: Query, arm: int, columns: Columns, starts: Columns) -> Floats:
        if query.metric == "latency":
            so_far = self._latency[arm]
            counts = so_far[:, columns + 1] - so_far[:, starts]
            return quantiles(query.quantile, counts, self.batch.edges_ms)
        bad, requests = (so_far[:, columns + 1] - so_far[:, starts] for so_far in (self._bad[arm], self._requests[arm]))
        share: Floats = np.divide(bad, requests, out=np.full(bad.shape, np.nan), where=requests > 0)
        return share


def _added_up(counts: Counts) -> Counts:
    """Sums up to before each tick, (R, T + 1, …)."""
    return np.concatenate([np.zeros_like(counts[:, :1]), np.cumsum(counts, axis=1)], axis=1)


def _divided(canary: Floats, stable: Floats) -> Floats:
    by_zero = np.where(canary > 0.0, np.inf, np.nan)
    return np.divide(canary, stable, out=by_zero, where=stable != 0.0)


def quantiles(quantile: float, counts: Counts, edges_ms: Floats) -> Floats:
    """`histogram_quantile` of the last axis."""
    so_far = np.cumsum(counts, axis=-1)
    requests = so_far[..., -1]
    rank = quantile * requests
    bucket = (so_far[..., :-1] >= rank[..., None]).argmax(axis=-1)
    at = bucket[..., None]
    inside = np.take_along_axis(counts, at, -1)[..., 0]
    below = np.take_along_axis(so_far, at, -1)[..., 0] - inside
    start = np.concatenate([[0.0], edges_ms[:-1]])[bucket]
    part = np.divide(rank - below, inside, out=np.zeros(rank.shape), where=inside > 0)
    value = start + (edges_ms[bucket] - start) * part
    value = np.where(so_far[..., -2] >= rank, value, edges_ms[-1])
    return np.where(requests > 0, value, np.nan)


def first(objections: Bools, columns: Columns) -> Counts:
    """The first of `columns` in which a rollout met with an objection (R, columns); -1: none did."""
    if not columns.size:
        return np.full(len(objections), NEVER)
    return np.where(objections.any(axis=1), columns[objections.argmax(axis=1)], NEVER)
