"""What pointsman costs: a rollout, a month in which nothing happens, and where an always-on controller is cheaper.

Counts of a rollout are those of `benchmarks/cost.py`, rounded up, and `tests/bootstrap/test_rollout_cost.py` holds them
to that; times and sizes are assumed. Clusters, models and their metrics are not in it: they are paid for whoever moves
the traffic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pointsman_cli.bootstrap.estate import Estate
from pointsman_cli.bootstrap.prices import ALWAYS_ON, PRICES

__all__ = ["TICKS", "Line", "break_even", "idle", "rollout", "total"]

TICKS = 160
"""Ticks of the rollout that is reckoned with: 80 minutes at 30 s."""

BILLED_STEPS = 7
"""Workflows steps of a tick. Billed is every call, sleep, condition and single assignment
(cloud.google.com/workflows/pricing)."""

CALLS = 1.1  # a tick is one, and a rollout has a few besides
READS = 9
WRITES = 2
LOG_KIB = 2.0

CALL_S = 0.4  # assumed: what follows can only be seen in a cloud
CPU = 1.0
SERIES = 60  # of two revisions with a few pods each

SWEEP_RUNS = 30 * 24 * 60
SWEEP_S = 0.3
SWEEP_CPU = 0.167  # what Cloud Run functions give to 256 MiB
SWEEP_READS = 8  # a query that finds nothing is one read, too
SWEEP_LOG_KIB = 0.5
IMAGE_GIB = 0.16
"""An image of the functions' buildpack with our clients, before layers that images share are counted once."""
LEDGER_GIB = 0.1


@dataclass(frozen=True, slots=True)
class Line:
    """So many units of what `PRICES` calls `price`."""

    price: str
    units: float

    def usd(self, *, free: bool = False) -> float:
        return PRICES[self.price].of(self.units, free=free)


def rollout(billed_steps: int = BILLED_STEPS) -> Sequence[Line]:
    """One rollout of `TICKS` ticks."""
    seconds = TICKS * CALLS * CALL_S
    return (
        Line("steps", TICKS * billed_steps),
        Line("cpu", seconds * CPU),
        Line("memory", seconds * 0.5),
        Line("requests", TICKS * CALLS),
        Line("reads", TICKS * READS),
        Line("writes", TICKS * WRITES),
        Line("series", TICKS * SERIES),
        Line("logs", TICKS * LOG_KIB / 2**20),
    )


def idle(topology: Estate) -> Sequence[Line]:
    """A month without a push: `sweep` looks every minute, and what was deployed is kept."""
    jobs = sum(1 for function in topology.functions if function.schedule)
    return (
        Line("jobs", jobs),
        Line("cpu", SWEEP_RUNS * SWEEP_S * SWEEP_CPU),
        Line("memory", SWEEP_RUNS * SWEEP_S * 0.25),
        Line("requests", SWEEP_RUNS),
        Line("reads", SWEEP_RUNS * SWEEP_READS),
        Line("logs", SWEEP_RUNS * SWEEP_LOG_KIB / 2**20),
        Line("images", len(topology.functions) * IMAGE_GIB),
        Line("objects", 0.01),
        Line("documents", LEDGER_GIB),
    )


def total(lines: Sequence[Line], *, free: bool = False) -> float:
    """Dollars, at list price or after what is free in a month."""
    return sum(line.usd(free=free) for line in lines)


def break_even(topology: Estate) -> Mapping[str, int]:
    """Always-on controller → rollouts a month from which it is cheaper, all at list price."""
    each, nothing = total(rollout()), total(idle(topology))
    return {what: round((monthly - nothing) / each) for what, monthly in ALWAYS_ON.items()}
