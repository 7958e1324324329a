"""What an operator could have set: each peer's grid, around what is true of the service, which nobody knows.

Limits are multiples of the true error rate and of the true latency quantiles. Scrapes are the ticks, so no interval
is shorter than 10 s.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Literal

from benchmarks.judge.batch import Batch
from benchmarks.judge.peers.deciding import Setting
from pointsman_cli.judging.peers.argo import Argo
from pointsman_cli.judging.peers.bayes import Bayes
from pointsman_cli.judging.peers.flagger import Flagger
from pointsman_cli.judging.peers.iter8 import Iter8
from pointsman_cli.judging.peers.kayenta import Kayenta, Measured
from pointsman_cli.judging.peers.kayenta_judge import Settings
from pointsman_cli.judging.peers.windows import Query
from pointsman_cli.judging.peers.ztest import ZTest

__all__ = ["CONTROLLERS", "PEERS", "TESTS", "Metric", "grid"]

Metric = Literal["errors", "latency"]

CONTROLLERS = ("Argo Rollouts", "Argo Rollouts, relative", "Flagger", "Iter8", "Kayenta")
TESTS = ("z-test", "z-test by tick", "Bayes")
"""Statistics as one writes them oneself; no controller has them."""

PEERS = (*CONTROLLERS, *TESTS)

INTERVALS_S = (10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
WINDOWS_S = (10.0, 30.0, 60.0, 300.0)
FAILURE_LIMITS = (0, 1, 2, 3, 5)
THRESHOLDS = (1, 2, 3, 5, 10)
TIMES: Mapping[Metric, tuple[float, ...]] = {
    "errors": (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0),
    "latency": (1.05, 1.1, 1.2, 1.3, 1.5, 2.0, 3.0),
}
"""Limits as multiples of the truth."""

RATIOS = (1.1, 1.2, 1.3, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)
"""Limits of canary over stable."""

QUANTILES = (0.5, 0.95, 0.99)
EFFECTS = (1.0, 1.5, 2.0, 3.0, 4.0)
LOOKS_S = (60.0, 120.0, 300.0, 600.0)
POINTS_S = (10.0, 60.0)
ALPHAS = (0.05, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10)


def grid(peer: str, metric: Metric, healthy: Batch) -> tuple[Setting, ...]:
    """All settings of one of `PEERS` for one metric of the service of which `healthy` is a sample."""
    return tuple(_GRIDS[peer](metric, healthy))


def _queries(metric: Metric, *, relative: bool) -> tuple[Query, ...]:
    if metric == "errors":
        return (Query(relative=relative),)
    return tuple(Query("latency", quantile, relative) for quantile in QUANTILES)


def _limits(query: Query, healthy: Batch) -> list[float]:
    if query.relative:
        return list(RATIOS)
    true = healthy.base_rate if query.metric == "errors" else healthy.quantiles_ms[query.quantile]
    return [times * true for times in TIMES[query.metric]]


def _named(query: Query, limit: float) -> str:
    of = "error rate" if query.metric == "errors" else f"p{100 * query.quantile:g}"
    if query.relative:
        return f"{of} <= {limit:g} x stable's"
    return f"{of} <= {100 * limit:.3g} %" if query.metric == "errors" else f"{of} <= {limit:.0f} ms"


def _argo(metric: Metric, healthy: Batch, *, relative: bool = False) -> list[Setting]:
    # A ratio of nothing to nothing is no failure: a failureCondition, which NaN does not fulfil.
    return [
        Argo(
            f"{interval:g} s, {_named(query, limit)}, failureLimit {failures}",
            query=query,
            interval_s=interval,
            success_max=None if relative else limit,
            failure_min=limit if relative else None,
            failure_limit=failures,
        )
        for query in _queries(metric, relative=relative)
        for limit in _limits(query, healthy)
        for interval, failures in product(INTERVALS_S, FAILURE_LIMITS)
    ]


def _flagger(metric: Metric, healthy: Batch) -> list[Setting]:
    return [
        Flagger(
            f"every {interval:g} s over {window:g} s, {_named(query, limit)}, threshold {threshold}",
            interval_s=interval,
            window_s=window,
            threshold=threshold,
            success_min_percent=100.0 * (1.0 - limit) if metric == "errors" else None,
            latency_max_ms=limit if metric == "latency" else None,
            quantile=query.quantile,
        )
        for query in _queries(metric, relative=False)
        for limit in _limits(query, healthy)
        for interval, window, threshold in product(INTERVALS_S, WINDOWS_S, THRESHOLDS)
    ]


def _iter8(metric: Metric, healthy: Batch) -> list[Setting]:
    return [
        Iter8(f"every {interval:g} s, {_named(query, limit)} since the start", limit, query, interval)
        for query in _queries(metric, relative=False)
        for limit in _limits(query, healthy)
        for interval in INTERVALS_S
    ]


def _kayenta(metric: Metric, healthy: Batch) -> list[Setting]:
    return [
        Kayenta(
            f"{step:g} s points, every {look:g} s, {_named(query, effect).partition(' <=')[0]} x {effect:g}, critical",
            (Measured(metric, query, Settings(direction="increase", critical=True, allowed_increase=effect)),),
            step,
            look,
        )
        for query in _queries(metric, relative=False)
        for step, look, effect in product(POINTS_S, LOOKS_S, EFFECTS)
        if step >= healthy.tick_s
    ]


def _slow(metric: Metric, healthy: Batch, quantiles: Sequence[float] = QUANTILES) -> Sequence[float | None]:
    """Edges of the histogram above which a request is called slow: those next to the true quantiles."""
    if metric == "errors":
        return [None]
    edges = [float(edge) for edge in healthy.edges_ms]
    return sorted({min(edges, key=lambda edge: abs(edge - healthy.quantiles_ms[q])) for q in quantiles})


def _ztest(metric: Metric, healthy: Batch, *, by_tick: bool = False) -> list[Setting]:
    return [
        ZTest(f"every {interval:g} s, alpha {alpha:g}" + _above(edge), alpha, interval, edge, by_tick)
        for edge in _slow(metric, healthy)
        for alpha, interval in product(ALPHAS, INTERVALS_S)
    ]


def _bayes(metric: Metric, healthy: Batch) -> list[Setting]:
    return [
        Bayes(f"every {interval:g} s, probability > 1 - {alpha:g}" + _above(edge), 1.0 - alpha, interval, edge)
        for edge in _slow(metric, healthy, QUANTILES[-1:])  # Its sum has a term for each slow request.
        for alpha, interval in product(ALPHAS, (60.0, 300.0))
    ]


def _above(edge: float | None) -> str:
    return "" if edge is None else f", share above {edge:g} ms"


_GRIDS: Mapping[str, Callable[[Metric, Batch], list[Setting]]] = {
    "Argo Rollouts": _argo,
    "Argo Rollouts, relative": lambda metric, healthy: _argo(metric, healthy, relative=True),
    "Flagger": _flagger,
    "Iter8": _iter8,
    "Kayenta": _kayenta,
    "z-test": _ztest,
    "z-test by tick": lambda metric, healthy: _ztest(metric, healthy, by_tick=True),
    "Bayes": _bayes,
}
