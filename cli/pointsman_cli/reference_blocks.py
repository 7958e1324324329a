"""Tables inside pages that people write: made from the code that decides, between two marks.

<!-- made: sizes -->
…
<!-- end -->
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from inspect import signature

from pointsman.core.judge import guard, latency, onset, ratio
from pointsman.core.judge.policy import ALPHA, SETS, JudgePolicy, Metric
from pointsman.core.plan import QUEUED_AT_MOST
from pointsman.core.rollout.ends import UNRECONCILED_S
from pointsman.core.rollout.steps import BLIND_LAGS, LOST_MAX
from pointsman.core.rollout.turn import COMPLETING_AT_MOST, GIVING_BACK_AT_MOST, PENDING_AT_MOST
from pointsman.core.rollout.world import RESETS_MAX
from pointsman.core.signals import timing
from pointsman.core.traffic import canary_replicas, load_parity
from pointsman.documents.policy import Deadlines
from pointsman.handlers import rollout_look, rollout_measure, rollout_ports, rollout_tick
from pointsman_cli import rollout_states
from pointsman_cli.reference_peers import peers

__all__ = ["BLOCKS", "filled"]

_BLOCK = re.compile(r"(?<=<!-- made: )([a-z-]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with every block made anew. Raises KeyError for one that nobody makes."""
    return _BLOCK.sub(lambda found: f"{found[1]}{found[2]}\n{BLOCKS[found[1]]()}\n\n", page)


def _table(head: str, *rows: str) -> str:
    line = "|" + "---|" * (head.count("|") - 1)
    return "\n".join([head, line, *rows])


def _limits() -> str:
    """Every bound of a rollout that no document sets."""

    def minutes(time: timedelta) -> str:
        return f"{time.total_seconds() / 60:g} min"

    return _table(
        "| bound | is | then |",
        f"| `queued` | {QUEUED_AT_MOST.total_seconds() / 3600:g} h, the longest freeze window | ends as `failed` |",
        f"| `pending` | {minutes(PENDING_AT_MOST)} | given back, `late` |",
        f"| `completing` | {minutes(COMPLETING_AT_MOST)} | reported as stuck; it keeps trying |",
        f"| `giving_back` | {minutes(GIVING_BACK_AT_MOST)} | reported as stuck; it keeps trying |",
        f"| a weight that was taken back is not in force | {UNRECONCILED_S} s "
        "| written again with the stable backend alone, and reported |",
        f"| times that somebody else resets the route | {RESETS_MAX} | held: `conflict` |",
        f"| times in a step that the canary loses its pods | {LOST_MAX} | given back, `capacity` |",
        f"| metric source down | {BLIND_LAGS} lags | held: `source down` |",
        f"| a pod without a sample | {rollout_measure.SILENT_LAGS} lags | left out of the window |",
        f"| restarts in a crash loop | {rollout_look.CRASHES} | given back, `bad` |",
        f"| an image that cannot be pulled | {rollout_look.PULL_FAILS_AFTER.total_seconds():g} s | given back, `bad` |",
        f"| requests through the probe rule | {rollout_tick.PROBES} | all must be answered before the first weight |",
        f"| ticks of one execution | {rollout_tick.TICKS_MAX:,}, or "
        f"{rollout_tick.EXECUTION_MAX.total_seconds() / 3600:g} h | a successor goes on |",
        f"| lease of an execution | its wait and {rollout_ports.LEASE.total_seconds():g} s "
        "| `sweep` starts another, within a minute |",
    )


def _deadlines() -> str:
    names = {field.alias or name: str(field.default) for name, field in Deadlines.model_fields.items()}
    return ", ".join(f"`deadlines.{name}` {default}" for name, default in names.items()) + "."


def _sizes() -> str:
    """Pods of a canary, for a few services."""
    weights = (1, 5, 25, 50, 98)
    heads = " | ".join(f"{weight} %" for weight in weights)
    rows = []
    for replicas in (1, 4, 10, 40):
        sizes = " | ".join(str(canary_replicas(replicas, weight, 1)) for weight in weights)
        rows.append(f"| {replicas} | {sizes} | {replicas} |")
    return _table(f"| R | {heads} | 100 % |", *rows)


def _parity() -> str:
    """Load per pod at the same places."""
    weights = (1, 5, 25, 50, 98)
    heads = " | ".join(f"{weight} %" for weight in weights)
    rows = []
    for replicas in (1, 4, 10, 40):
        found = [load_parity(weight, 100, canary_replicas(replicas, weight, 1), replicas) for weight in weights]
        cells = " | ".join(f"{value:.2g}" if value is not None else "-" for value in found)
        rows.append(f"| {replicas} | {cells} |")
    return _table(f"| R | {heads} |", *rows)


def _timing() -> str:
    """How a rollout keeps time, by its Gateway's class."""
    kinds = (
        ("an Envoy (every class that is not GKE's)", timing("envoy")),
        ("`gke-l7-regional-*`, `gke-l7-rilb`", timing("gke-l7-rilb")),
        ("other `gke-l7-*`", timing("gke-l7-global-external-managed")),
        ("`gke-l7-*`, judged without the metric set `Gateway`", timing("gke-l7-rilb", ("VLLM",))),
    )
    return _table(
        "| Gateway class | scrape | tick | lag | lag of latency | settles in | looks every |",
        *(
            f"| {name} | {pace.scrape_s:g} s | {pace.tick_s:g} s | {pace.lag_s:g} s | {pace.latency_lag_s:g} s "
            f"| {pace.settle_s:g} s | {pace.poll_s:g} s |"
            for name, pace in kinds
        ),
    )


def _profiles() -> str:
    return _table(
        "| profile | false rollbacks, at most | rolls back at E ≥ |",
        *(f"| `{name}` | {100 * alpha:g} % of rollouts | {1 / alpha:,.0f} |" for name, alpha in ALPHA.items()),
    )


def _alternatives() -> str:
    """What is bet on, and with how much."""
    odds = ", ".join(f"{value:g} ({weight:g})" for value, weight in zip(ratio.ODDS, ratio.WEIGHTS, strict=True))
    slow = ", ".join(
        f"{100 * share:g} % of requests ×{times:g} ({weight:g})" if share < 1 else f"×{times:g} ({weight:g})"
        for (times, share), weight in zip(latency.SLOWDOWNS, latency.WEIGHTS, strict=True)
    )
    limit = float(str(signature(JudgePolicy).parameters["bad_limit"].default))
    bad = ", ".join(
        f"{100 * share:g} % ({weight:.2g})"
        for share, weight in zip(guard.alternatives(limit), guard.WEIGHTS, strict=True)
    )
    return _table(
        "| kind | alternatives (weight) |",
        f"| Ratio: odds of a bad answer, canary's over stable's | {odds} |",
        f"| Latency: how many times slower | {slow} |",
        f"| Guard, at a limit of {100 * limit:g} %: share of bad answers | {bad} |",
    )


def _released() -> str:
    return (
        f"{onset.FIRST:g} of what is left in the first tick, {onset.NEW_SPLIT:g} in the first tick of a new split, "
        f"otherwise\n1/{onset.EVERY_S:,.0f} for each second since the last tick, "
        f"which is 1/{1 / onset.released(10.0):.0f} in 10 s."
    )


def _metrics() -> str:
    """Metrics of each metric set, with what they weigh where the set stands alone."""
    alone = [(name, metric) for name in SETS for metric in JudgePolicy.of({"metricSets": [name]}).metrics]
    return _table(
        "| metric set | metric | kind | forgiven | weight |",
        *(
            f"| `{name}` | `{metric.name}` | {metric.kind} | {_margin(metric)} | {metric.weight:.2f} |"
            for name, metric in alone
        ),
    )


def _margin(metric: Metric) -> str:
    if metric.kind == "Guard":
        return "the limit"
    share = f"{100 * metric.margin:g} %" if metric.margin else "nothing"
    return f"{share} or {metric.margin_ms:g} ms, whichever is more" if metric.margin_ms else share


BLOCKS: Mapping[str, Callable[[], str]] = {
    "states": rollout_states.diagram,
    "commands": rollout_states.commands,
    "causes": rollout_states.causes,
    "limits": _limits,
    "deadlines": _deadlines,
    "sizes": _sizes,
    "parity": _parity,
    "timing": _timing,
    "profiles": _profiles,
    "alternatives": _alternatives,
    "released": _released,
    "metrics": _metrics,
    "peers": peers,
}
