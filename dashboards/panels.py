"""What a dashboard is made of, and the spellings in which a query is written.

A query is PromQL with marks: `<namespace>` and `<service>` stand for what the viewer has chosen, `<window>` for a
window that fits the zoom, `<tick>` and `<sweep>` for one that has a tick or a whole sweep in it. Names are those of
`core.metric_names`, so that a name that is gone fails before it is drawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pointsman.core.metric_names import SYSTEM, balanced, log_metric, promql_name

__all__ = [
    "COLUMNS",
    "Dashboard",
    "Panel",
    "Place",
    "Query",
    "Row",
    "Threshold",
    "backends",
    "by_revision",
    "counted",
    "gauge",
    "mean",
    "observed",
    "placed",
    "quantile",
    "summed",
    "system",
    "total",
]

COLUMNS = 24
"""A dashboard's width; Grafana has as many, Cloud Monitoring twice as many."""
LOGGED = "cloud_run_revision"

Kind = Literal["lines", "area", "bars", "number", "table"]


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, and how its series are called: `{{label}}` is a label's value."""

    promql: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A line that is drawn across a panel."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One tile. `unit` as Grafana calls it (`percent`, `percentunit`, `s`, `ms`, `short`, `currencyUSD`, `reqps`).

    `about` says how to read it. `calm` is how a number looks that wants nobody's attention: zero, or anything.
    """

    title: str
    kind: Kind
    queries: Sequence[Query]
    about: str
    unit: str = "short"
    width: int = 8
    height: int = 8
    thresholds: Sequence[Threshold] = ()
    calm: Literal["zero", "any"] = "any"


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`variables` are those of `namespace` and `service` that its queries have a mark for."""

    name: str
    title: str
    about: str
    rows: Sequence[Row]
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variable → PromQL whose series have it as a label."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile lies, in columns and lines from the upper left corner."""

    x: int
    y: int
    width: int
    height: int


HEAD = 1
"""Lines of a row's title."""


def placed(dashboard: Dashboard) -> Iterator[tuple[Row | Panel, Place]]:
    """Every title and panel with its place: from left to right, broken where a line is full."""
    y = 0
    for row in dashboard.rows:
        yield row, Place(0, y, COLUMNS, HEAD)
        y += HEAD
        x = tallest = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield panel, Place(x, y, panel.width, panel.height)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


# --- queries --------------------------------------------------------------------------------------------------

CHOSEN = "<namespace>,<service>"


def _logged(name: str, suffix: str, where: str) -> str:
    selector = ",".join(part for part in (f'monitored_resource="{LOGGED}"', where) if part)
    return f"{promql_name(log_metric(name).metric_type)}{suffix}{{{selector}}}"


def counted(name: str, by: Sequence[str], where: str = "", window: str = "<window>") -> str:
    """How many lines a log-based counter counted in each window, by labels."""
    _known(name, by)
    return f"sum by ({', '.join(by)}) (increase({_logged(name, '', where)}[{window}]))"


def observed(name: str, by: Sequence[str], where: str = "", window: str = "<window>") -> str:
    """How many values a log-based distribution took in each window, by labels."""
    _known(name, by)
    return f"sum by ({', '.join(by)}) (increase({_logged(name, '_count', where)}[{window}]))"


def mean(name: str, by: Sequence[str], where: str = "", window: str = "<window>") -> str:
    """Mean of a log-based distribution's values in each window, by labels: exact, whatever its buckets are."""
    _known(name, by)
    of = f"sum by ({', '.join(by)})"
    total, count = (f"{of} (increase({_logged(name, part, where)}[{window}]))" for part in ("_sum", "_count"))
    return f"{total} / {count}"


def quantile(share: float, name: str, by: Sequence[str], where: str = "", window: str = "<window>") -> str:
    """A quantile of a log-based distribution in each window, by labels."""
    _known(name, by)
    buckets = f"sum by ({', '.join(('le', *by))}) (increase({_logged(name, '_bucket', where)}[{window}]))"
    return f"histogram_quantile({share:g}, {buckets})"


def total(name: str, where: str = "", window: str = "24h") -> str:
    """How many lines a log-based counter counted: one number, zero where there were none."""
    return f"sum(increase({_logged(name, '', where)}[{window}])) or vector(0)"


def summed(name: str, where: str = "", window: str = "24h") -> str:
    """The sum of a log-based distribution's values: one number."""
    return f"sum(increase({_logged(name, '_sum', where)}[{window}])) or vector(0)"


def gauge(name: str, by: Sequence[str], where: str = "") -> str:
    """What a pool was said to be like in the last whole sweep: those come every five minutes.

    What is said of a pool by candidate is a part of the whole: while one candidate gives way to another, a window has
    both, and neither counts whole.
    """
    _known(name, by)
    of, window = f"sum by ({', '.join(by)})", "<sweep>"
    said = f"sum by (pool) (increase({_logged(name, '_count', where)}[{window}]))"
    return f"{of} (increase({_logged(name, '_sum', where)}[{window}])) / on (pool) group_left () {said}"


def _known(name: str, by: Sequence[str]) -> None:
    missing = set(by) - set(log_metric(name).labels)
    if missing:
        raise KeyError(f"{name} has no label {', '.join(sorted(missing))}")


def system(metric_type: str, suffix: str = "", where: str = "") -> str:
    """A selector of one of Google's own series, with its resource."""
    selector = ",".join(part for part in (f'monitored_resource="{SYSTEM[metric_type]}"', where) if part)
    return f"{promql_name(metric_type)}{suffix}{{{selector}}}"


def by_revision(metric_type: str) -> str:
    """Mean of a gauge that pods tell, by revision."""
    return f"avg by (revision) (avg_over_time({promql_name(metric_type)}{{{CHOSEN}}}[<window>]))"


BACKEND = "gkegw1-[a-z0-9]+-(.+-[0-9a-f]{8})(?:-c)?-[0-9]+-[a-z0-9]+"
"""GKE's name of a Gateway's backend: namespace, Service and port in it. A revision ends in eight hex digits."""


def backends(metric: str, suffix: str, where: str, by: Sequence[str] = (), window: str = "<window>") -> str:
    """Rate of a load balancer's metric by `backend` (`namespace-revision`), whatever the class of the Gateway.

    A project has the series of the classes that it uses; those of the others are empty.
    """
    labels = ", ".join(("backend_target_name", *by))
    selector = f"{{{where}}}" if where else ""
    rates = " or ".join(
        f"sum by ({labels}) (rate({promql_name(name)}{suffix}{selector}[{window}]))" for name in balanced(metric)
    )
    kept = ", ".join(("backend", *by))
    return f'sum by ({kept}) (label_replace({rates}, "backend", "$1", "backend_target_name", "{BACKEND}"))'
