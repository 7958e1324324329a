"""Rules of room and money: what a pod asks, what a pool's nodes have, what all of them may cost."""

from collections.abc import Mapping
from math import ceil, floor
from typing import cast

from pointsman.documents.faults import Path, Problem
from pointsman.documents.machines import GPU, TPU, cpus, larger, offer, price_per_hour
from pointsman.documents.platform import Platform
from pointsman.documents.pod_template import containers
from pointsman.documents.policy import Capacity
from pointsman.documents.pool import AcceleratorPool, Candidate
from pointsman.documents.rules.repository import Repository
from pointsman.documents.scalars import quantity

__all__ = ["cap_below_minimum", "mismatch", "nodes_needed", "peak_replicas"]

TEMPLATE: Path = ("spec", "template")


def mismatch(template: Mapping[str, object], pool: AcceleratorPool) -> Problem | None:
    """The first candidate of the pool whose nodes have not what one pod asks."""
    for resource in (GPU, TPU):
        asked, path = _asked(template, resource)
        for index, candidate in enumerate(pool.spec.candidates):
            has = offer(candidate)
            if has is None or (has.resource != resource and not asked):
                continue
            who = f"candidate {index + 1} of pool {pool.metadata.name} ({candidate.machine_type})"
            asks = f"asks {resource}: {asked:g}, {who}" if asked else f"asks no {resource}, {who}"
            if has.resource != resource:
                remedy = "ask for none, or use a pool that has them"
                return Problem("accelerator-mismatch", path, f"{asks} has none", remedy)
            if has.count is None:
                continue
            if resource == TPU and asked != has.count:
                remedy = f"ask for {has.count}: a pod takes all chips of its node"
                return Problem("accelerator-mismatch", path, f"{asks} has {has.count}", remedy)
            if asked > has.count:
                bigger = larger(has.label, ceil(asked))
                remedy = f"ask for at most {has.count}" + (f", or use {bigger}" if bigger else "")
                return Problem("accelerator-mismatch", path, f"{asks} has {has.count}", remedy)
    return None


def peak_replicas(replicas: int, capacity: Capacity) -> int:
    """Replicas at the peak of a rollout, both revisions together."""
    match capacity.strategy:
        case "Surge":
            return 2 * replicas
        case "Step":
            return replicas + _surge(replicas, capacity.max_surge) if replicas else 0
        case "Swap" | "Refuse":
            return replicas


def _surge(replicas: int, surge: int | str) -> int:
    if isinstance(surge, int):
        return surge
    return max(1, ceil(replicas * int(surge.rstrip("%")) / 100))


def nodes_needed(template: Mapping[str, object], pool: AcceleratorPool, peak: int) -> int | None:
    """Nodes that so many replicas fill, on the candidate with the smallest nodes; None where no node is known.

    Accelerators decide, then CPU requests; a pod that asks for neither counts as one node.
    """
    fits = [fit for candidate in pool.spec.candidates if (fit := _per_node(template, candidate)) is not None]
    return ceil(peak / min(fits)) if fits else None


def _per_node(template: Mapping[str, object], candidate: Candidate) -> int | None:
    has = offer(candidate)
    if has is None or candidate.machine_type is None:
        return None
    if has.resource is not None:
        asked, _ = _asked(template, has.resource)
        return max(1, floor(has.count / asked)) if asked and has.count else 1
    cpu, _ = _asked(template, "cpu")
    room = cpus(candidate.machine_type)
    return max(1, floor(room / cpu)) if cpu and room else 1


def asks_for(template: Mapping[str, object]) -> bool:
    """Whether the template says what of a node a pod takes."""
    return any(_asked(template, resource)[0] for resource in (GPU, TPU, "cpu"))


def _asked(template: Mapping[str, object], resource: str) -> tuple[float, Path]:
    """How much of a resource one pod takes, and where it says so (the first container's limits if nowhere)."""
    total, start = 0.0, 0.0
    where: Path | None = None
    for container, path in containers(template, TEMPLATE):
        resources = container.get("resources")
        amount, field = _of(resources if isinstance(resources, dict) else {}, resource)
        if not amount:
            continue
        where = where or (*path, "resources", field)
        if "containers" in path:
            total += amount
        else:
            start = max(start, amount)
    return max(total, start), where or (*TEMPLATE, "spec", "containers", 0, "resources", "limits")


def _of(resources: Mapping[str, object], resource: str) -> tuple[float, str]:
    # A limit without a request is the request.
    for field in ("requests", "limits") if resource == "cpu" else ("limits", "requests"):
        amounts = resources.get(field)
        value = amounts.get(resource) if isinstance(amounts, dict) else None
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            try:
                return quantity(value), field
            except ValueError:
                continue
    return 0.0, "limits"


def cap_below_minimum(repository: Repository, platform: Platform) -> Problem | None:
    """The nodes that are kept when idle must fit under the cap."""
    cap = platform.spec.spending_cap
    if cap is None:
        return None
    cost = 0.0
    for document in repository.of_kind("AcceleratorPool"):
        pool = cast("AcceleratorPool | None", document.model)
        if pool is None or not pool.spec.nodes.min:
            continue
        prices = [price for candidate in pool.spec.candidates if (price := price_per_hour(candidate)) is not None]
        # The most preferred candidate is what is normally had.
        cost += pool.spec.nodes.min * prices[0] if prices else 0.0
    if cost <= cap.per_hour:
        return None
    what = f"{cap.per_hour:g} {cap.currency}, but nodes.min of all pools costs {cost:.2f}"
    return Problem("cap-below-minimum", ("spec", "spendingCap", "perHour"), what, "raise the cap or lower nodes.min")
