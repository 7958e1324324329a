"""*Capacity*: what the pools have, what it costs, whether it is used, and where machines ran out."""

from dashboards.panels import Dashboard, Panel, Query, Row, counted, gauge, system, total
from pointsman.core.metric_names import ACCELERATOR_DUTY_CYCLE

__all__ = ["CAPACITY"]

POOL = ("pool",)
CANDIDATE = ("pool", "candidate")
DUTY = system(ACCELERATOR_DUTY_CYCLE)


def _number(title: str, promql: str, about: str, unit: str = "short", *, calm: bool = True) -> Panel:
    return Panel(title, "number", (Query(promql),), about, unit=unit, width=4, height=4, calm="any" if calm else "zero")


NOW = Row(
    "Now",
    (
        _number("Nodes", f"sum({gauge('pool_nodes_seen', POOL)})", "Ready nodes of all pools."),
        _number("Accelerators", f"sum({gauge('pool_accelerators', POOL)})", "GPUs, or TPU chips, of those nodes."),
        _number("Cost an hour", f"sum({gauge('pool_cost', POOL)})", "List price of those nodes.", "currencyUSD"),
        _number("Duty cycle", f"avg(avg_over_time({DUTY}[<window>]))", "Mean of all accelerators in use.", "percent"),
        _number(
            "Stock-outs, 24 h",
            total("pool_stock_outs"),
            "A candidate was asked for nodes and had none.",
        ),
        _number(
            "Exhausted, 24 h",
            total("pool_exhausted"),
            "No candidate of a pool had any: rollouts wait.",
            calm=False,
        ),
    ),
)

POOLS = Row(
    "Pools",
    (
        Panel(
            "Nodes wanted and seen",
            "lines",
            (
                Query(gauge("pool_nodes_wanted", POOL), "wanted {{pool}}"),
                Query(gauge("pool_nodes_seen", POOL), "seen {{pool}}"),
            ),
            "Seen below wanted: nodes are on their way, or out of stock. What is above goes back after idleTimeout.",
            width=12,
        ),
        Panel(
            "Nodes held",
            "area",
            (Query(gauge("pool_nodes_held", POOL), "{{pool}}"),),
            "What rollouts and alerts need now. What is seen beyond it and beyond the pool's minimum is idle.",
            width=12,
        ),
        Panel(
            "Candidates in use",
            "bars",
            (Query(gauge("pool_nodes_seen", CANDIDATE), "{{candidate}}"),),
            "Nodes by the candidate's node pool: another than the pool's first means that better ones ran out.",
            width=12,
        ),
        Panel(
            "Candidates out of stock",
            "bars",
            (
                Query(gauge("pool_candidates_out", POOL), "not asked now, {{pool}}"),
                Query(counted("pool_stock_outs", CANDIDATE), "stock-out {{candidate}}"),
            ),
            "A stock-out is not asked again for its cooldown, which doubles.",
            width=12,
        ),
    ),
)

USE = Row(
    "Use and cost",
    (
        Panel(
            "Accelerators",
            "area",
            (Query(gauge("pool_accelerators", CANDIDATE), "{{candidate}}"),),
            "GPUs, or TPU chips, of ready nodes.",
        ),
        Panel(
            "Duty cycle",
            "lines",
            (Query(f"avg by (pod_name) (avg_over_time({DUTY}[<window>]))", "{{pod_name}}"),),
            "Share of the time in which a pod's accelerator worked. Low while nodes are held: the pool is too large.",
            unit="percent",
        ),
        Panel(
            "Cost an hour",
            "area",
            (Query(gauge("pool_cost", POOL), "{{pool}}"),),
            "List price of ready nodes; reservations are paid for even where they are not used.",
            unit="currencyUSD",
        ),
    ),
)

CAPACITY = Dashboard(
    "capacity",
    "pointsman: capacity",
    "Pools and their candidates, accelerators and how busy they are, cost, and stock-outs.",
    (NOW, POOLS, USE),
)
