"""The scenarios by name: what is simulated, and what each is there to break."""

from dataclasses import dataclass, replace
from math import inf
from typing import Literal

__all__ = ["BROKEN", "RATES", "Family", "PodSpread", "hazards", "nulls", "regressions"]

RATES = (5.6, 56.0, 561.0)
"""Requests a second: about 1, 10 and 100 times those of the `conv` trace (`arrivals.py`)."""

BROKEN = inf
"""As `errors`: every answer of the canary is bad."""


@dataclass(frozen=True, slots=True)
class PodSpread:
    """Pods that are not alike, or not independent from request to request.

    `cv`: a factor on the error rate of each pod for the whole rollout, log-normal with mean 1. `clusters`: bad
    answers that come in bunches on one pod and tick, of geometric size with mean `cluster_size`, as a share of
    the base rate. `icc`: beta-binomial counts per pod and tick. `bursts`: of a minute on one pod, adding this
    share of the base rate. `latency`: standard deviation of the log of a factor on each pod's latency. `lone`: how
    many times the base rate the canary's first pod has, and no other. `pods` serve all of the traffic together.
    `calm_before`: the hour before shows none of it; without `watched_before` nothing is known of it. Unless they are
    `reported`, the judge is told totals only.
    """

    cv: float = 0.0
    clusters: float = 0.0
    cluster_size: float = 5.0
    icc: float = 0.0
    bursts: float = 0.0
    latency: float = 0.0
    lone: float = 1.0
    pods: int = 20
    calm_before: bool = False
    watched_before: bool = True
    reported: bool = True


_UNLIKE = PodSpread(latency=0.05, reported=False)


@dataclass(frozen=True, slots=True)
class Family:
    """One scenario, at `rate` requests a second, of which stable answers `base` (a share) badly, in a log-normal time
    with `sigma`. The regression is `errors` (times stable's share of bad answers) or `slower` (times), of `slow_share`
    of the requests, from `onset_s` on; 1.0 is a healthy canary. `shared` happens to both arms alike, `counting` to the
    counts on their way to the judge. `splitting`: in steps, raised and lowered on evidence, or all to the canary from
    the start. Without `buckets` latency is not simulated."""

    name: str
    rate: float = 56.0
    tick_s: float = 10.0
    base: float = 0.005
    errors: float = 1.0
    slower: float = 1.0
    slow_share: float = 1.0
    onset_s: float = 0.0
    sigma: float = 1.0
    heavy_tail: bool = False
    buckets: Literal["prometheus", "1.3", "1.1", ""] = "prometheus"
    arrivals: Literal["poisson", "bursty", "minutes", "daily", "azure conv", "azure code"] = "poisson"
    shared: Literal["", "incident", "any time", "outage", "slow", "drift", "slow drift", "daily"] = ""
    counting: Literal["", "resets", "lost ticks", "silence", "no traffic", "apart"] = ""
    splitting: Literal["steps", "evidence", "all"] = "steps"
    pods: PodSpread | None = None

    @property
    def is_null(self) -> bool:
        return self.errors <= 1.0 and self.slower <= 1.0

    def at(self, rate: float) -> "Family":
        return replace(self, rate=rate)


def nulls(rate: float) -> list[Family]:
    """A healthy canary, in everything that happens to healthy ones."""
    pods = [
        ("equal", PodSpread()),
        ("persistent spread cv 0.2", PodSpread(cv=0.2)),
        ("persistent spread cv 0.5", PodSpread(cv=0.5)),
        ("error clusters, mean 5, +10 %", PodSpread(clusters=0.1)),
        ("error clusters, mean 5, +50 %", PodSpread(clusters=0.5)),
        ("error clusters, mean 5, +200 %", PodSpread(clusters=2.0)),
        ("clustered users, mean 10, +100 %", PodSpread(clusters=1.0, cluster_size=10.0)),
        ("sticky users, ICC 0.02", PodSpread(icc=0.02)),
        ("cv 0.2 + clusters +50 %", PodSpread(cv=0.2, clusters=0.5)),
        ("bursts of a minute on one pod, +50 %", PodSpread(bursts=0.5)),
        ("clusters +50 %, no hour before", PodSpread(clusters=0.5, watched_before=False)),
        ("persistent spread cv 0.2, no hour before", PodSpread(cv=0.2, watched_before=False)),
        ("ten, unequally loaded, clusters +50 %", PodSpread(clusters=0.5, pods=10)),
        ("four, equal", PodSpread(pods=4)),
        ("four, clusters +50 %", PodSpread(clusters=0.5, pods=4)),
        ("four, persistent spread cv 0.2", PodSpread(cv=0.2, pods=4)),
    ]
    found = [
        Family("plain"),
        Family("base rate 0.01 %", base=0.0001),
        Family("base rate 5 %", base=0.05),
        Family("base rate 30 %", base=0.3),
        Family("shared incident: errors x20 for 5 min", shared="incident"),
        Family("shared incident at any time", shared="any time"),
        Family("shared total outage for 60 s", shared="outage"),
        Family("shared latency x3 for 5 min", shared="slow"),
        Family("error rate drifts (AR(1), sd 1.0 in log)", shared="drift"),
        Family("latency drifts (AR(1), sd 0.5 in log)", shared="slow drift"),
        Family("daily shape of traffic, errors and latency", arrivals="daily", shared="daily"),
        Family("bursty arrivals, cv 0.5 a tick", arrivals="bursty"),
        Family("bursty arrivals, minutes of x1/4 and x4", arrivals="minutes"),
        Family("latency sigma 0.3", sigma=0.3),
        Family("latency sigma 1.8", sigma=1.8),
        Family("latency heavy-tailed (a tenth Pareto 1.1)", heavy_tail=True),
        Family("factor-1.1 buckets", buckets="1.1"),
        Family("factor-1.1 buckets, true x1.1", buckets="1.1", slower=1.1),
        Family("2 s ticks", tick_s=2.0),
        Family("counters reset, twice an arm", counting="resets"),
        Family("a tenth of the ticks lost", counting="lost ticks"),
        Family("an arm silent for minutes", counting="silence"),
        Family("no traffic", counting="no traffic"),
        Family("split changed on evidence", splitting="evidence"),
        Family("canary 30 % better (errors x0.7, latency x0.8)", errors=0.7, slower=0.8),
        *(Family(f"pods: {name}", pods=spread, buckets="") for name, spread in pods),
        Family("latency of pods apart by 5 %, factor-1.1 buckets", pods=_UNLIKE, buckets="1.1"),
    ]
    return [family.at(rate) for family in found]


def hazards(rate: float) -> list[Family]:
    """Healthy canaries beside whose data something is amiss that no rule can see: for scale."""
    found = [
        Family("clusters +50 %, calm the hour before", pods=PodSpread(clusters=0.5, calm_before=True), buckets=""),
        Family("pod spread cv 0.2, pods not reported", pods=PodSpread(cv=0.2, reported=False), buckets=""),
        Family("clusters +50 %, pods not reported", pods=PodSpread(clusters=0.5, reported=False), buckets=""),
        Family("sticky users, ICC 0.02, pods not reported", pods=PodSpread(icc=0.02, reported=False), buckets=""),
        Family("bursts +50 %, pods not reported", pods=PodSpread(bursts=0.5, reported=False), buckets=""),
        Family("latency of pods apart by 5 %, Prometheus buckets", pods=_UNLIKE),
        Family("shared incident x20, arms read 1 s apart", shared="incident", counting="apart"),
        Family("true latency x1.03, Prometheus buckets", slower=1.03),
        Family("true latency x1.1, Prometheus buckets", slower=1.1),
        Family("true errors x1.1", errors=1.1),
        Family("true errors x1.2", errors=1.2),
    ]
    return [family.at(rate) for family in found]


def regressions() -> list[Family]:
    """Worse canaries. The figure is how many requests they serve until they are rolled back."""
    sizes = [
        Family("errors x1.5", errors=1.5),
        Family("errors x2", errors=2.0),
        Family("errors x3", errors=3.0),
        Family("errors x5", errors=5.0),
        Family("errors x10", errors=10.0),
        Family("errors x20", errors=20.0),
        Family("broken", errors=BROKEN),
        Family("latency x1.25", slower=1.25),
        Family("latency x1.5", slower=1.5),
        Family("latency x2", slower=2.0),
        Family("5 % of requests x10 slower", slower=10.0, slow_share=0.05),
    ]
    short = [replace(f, name=f"{f.name}, 2 s ticks", tick_s=2.0) for f in sizes if f.name in _SHORT]
    fine = [
        replace(f, name=f"{f.name}, factor-1.1 buckets", buckets="1.1") for f in sizes if f.name.startswith("latency")
    ]
    spreads = [("equal", PodSpread()), ("cv 0.2", PodSpread(cv=0.2)), ("clusters +50 %", PodSpread(clusters=0.5))]
    pods = [
        replace(f, name=f"{f.name}, pods {name}", pods=spread, buckets="")
        for name, spread in spreads
        for f in sizes
        if f.name in ("errors x2", "errors x5", "errors x20", "broken")
    ]
    others = [("four pods equal", PodSpread(pods=4)), ("pods equal, no hour before", PodSpread(watched_before=False))]
    pods += [
        replace(f, name=f"{f.name}, {name}", pods=spread, buckets="")
        for name, spread in others
        for f in sizes
        if f.name in ("errors x5", "broken")
    ]
    return [
        *(family.at(rate) for rate in RATES for family in sizes),
        *short,
        *fine,
        Family("errors x5, onset at 5 min", errors=5.0, onset_s=300.0),
        Family("errors x5, onset at 15 min", errors=5.0, onset_s=900.0),
        Family("errors x2, onset at 15 min", errors=2.0, onset_s=900.0),
        Family("latency x1.5, onset at 15 min", slower=1.5, onset_s=900.0),
        Family("errors x5, base 0.05 %", errors=5.0, base=0.0005),
        Family("errors x2, base 5 %", errors=2.0, base=0.05),
        Family("errors x5, error rate drifts", errors=5.0, shared="drift"),
        Family("errors x5, bursty arrivals", errors=5.0, arrivals="bursty"),
        Family("latency x1.5, sigma 0.5", slower=1.5, sigma=0.5),
        Family("latency x2, sigma 0.5", slower=2.0, sigma=0.5),
        Family("latency x1.5, factor-1.3 buckets", slower=1.5, buckets="1.3"),
        Family("latency x1.5, heavy-tailed", slower=1.5, heavy_tail=True),
        *pods,
        *(
            Family(f"alone (no stable side), {100 * share:g} % bad", base=share, splitting="all", rate=5.6, buckets="")
            for share in (0.05, 0.3, 0.5, 1.0)
        ),
    ]


_SHORT = ("errors x3", "errors x5", "errors x20", "broken", "latency x1.5", "latency x2")
