"""Many simulated rollouts at once: what a rule of any kind is given, as arrays over (rollouts, ticks).

R rollouts of T ticks of `tick_s` seconds; J latency buckets. Counts are those *inside* a tick, not cumulative.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "Counts", "Floats", "History", "Pods"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class History:
    """What stable served before the first tick: `requests` (R,), `bad` (R,) by class, `latency` (R, J); and, where it
    was watched, its (requests, bad answers of the first class) in each of H ticks before, (R, H)."""

    requests: Floats
    bad: Mapping[str, Floats]
    latency: Floats | None = None
    ticks: tuple[Counts, Counts] | None = None


@dataclass(frozen=True, slots=True)
class Pods:
    """The counts of both arms pod by pod; all that a batch adds up to. A pod that is not there counts 0.

    `n_c`, `k_c` are (R, T, canary's pods), `n_b`, `k_b` (R, T, stable's pods): requests and bad answers of the
    first class. `n_h`, `k_h` (R, H, stable's pods) are H ticks of the same stable pods before the rollout (A/A).
    `ready_c`, `ready_b` (T,) say how many pods share each side's load.
    """

    n_c: Counts
    k_c: Counts
    n_b: Counts
    k_b: Counts
    n_h: Counts
    k_h: Counts
    ready_c: Counts
    ready_b: Counts


@dataclass(frozen=True, slots=True)
class Batch:
    """`n_c`, `n_b`: requests (R, T) of canary and stable. `k_c`, `k_b`: bad answers (R, T) by class.

    `latency_c`, `latency_b`: requests (R, T, J) by bucket, disjoint, the last above all of `edges_ms` (J - 1,);
    None where only errors are simulated. `split` (R, T) is the canary's share, 1.0 where nothing is left to
    compare with. `onset` is the tick in which the regression began (0 for a healthy canary as well).

    What no rule may look at, but a setting may have been tuned by it: `base_rate`, the share of stable's answers
    that are bad in the long run, and `quantiles_ms`, the true latency of stable at 0.5, 0.95 and 0.99.
    """

    name: str
    tick_s: float
    split: Floats
    n_c: Counts
    n_b: Counts
    k_c: Mapping[str, Counts]
    k_b: Mapping[str, Counts]
    history: History
    edges_ms: Floats = field(default_factory=lambda: np.zeros(0))
    latency_c: Counts | None = None
    latency_b: Counts | None = None
    pods: Pods | None = None
    onset: int = 0
    base_rate: float = 0.0
    quantiles_ms: Mapping[float, float] = field(default_factory=dict)

    @property
    def rollouts(self) -> int:
        return int(self.n_c.shape[0])

    @property
    def ticks(self) -> int:
        return int(self.n_c.shape[1])

    @property
    def bad_c(self) -> Counts:
        """Bad answers of all classes, (R, T)."""
        return _total(self.k_c, self.n_c)

    @property
    def bad_b(self) -> Counts:
        return _total(self.k_b, self.n_b)

    def exposed(self, decided: Counts) -> Counts:
        """Canary requests (R,) from the onset to the end of the tick `decided` (R,); -1: never, hence all that
        were served while there was a stable side to compare with."""
        return self._served(self.n_c, decided)

    def harmed(self, decided: Counts) -> Counts:
        """Bad canary answers (R,) in the same ticks."""
        return self._served(self.bad_c, decided)

    def _served(self, counts: Counts, decided: Counts) -> Counts:
        compared = int((self.split < 1.0).all(axis=0).sum())
        end = np.where(decided < 0, compared - 1, decided)
        tick = np.arange(self.ticks)
        inside = (tick >= self.onset) & (tick <= end[:, None])
        return np.asarray((counts * inside).sum(axis=1), np.int64)

    def some(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> "Batch":
        """The same of some of the rollouts."""

        def cut(values: Counts | None) -> Counts | None:
            return None if values is None else values[rows]

        history, pods = self.history, self.pods
        return replace(
            self,
            split=self.split[rows],
            n_c=self.n_c[rows],
            n_b=self.n_b[rows],
            k_c={name: values[rows] for name, values in self.k_c.items()},
            k_b={name: values[rows] for name, values in self.k_b.items()},
            history=History(
                history.requests[rows],
                {name: values[rows] for name, values in history.bad.items()},
                None if history.latency is None else history.latency[rows],
                None if history.ticks is None else (history.ticks[0][rows], history.ticks[1][rows]),
            ),
            latency_c=cut(self.latency_c),
            latency_b=cut(self.latency_b),
            pods=pods
            and replace(
                pods,
                n_c=pods.n_c[rows],
                k_c=pods.k_c[rows],
                n_b=pods.n_b[rows],
                k_b=pods.k_b[rows],
                n_h=pods.n_h[rows],
                k_h=pods.k_h[rows],
            ),
        )


def _total(by_class: Mapping[str, Counts], like: Counts) -> Counts:
    total = np.zeros_like(like)
    for values in by_class.values():
        total = total + values
    return total
