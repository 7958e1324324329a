"""A cluster autoscaler: Pending pods raise a pool, empty nodes lower it, the minimum is kept.

It says what it does where GKE says it: in Events on the pods (TriggeredScaleUp, FailedScaleUp,
NotTriggerScaleUp). A pool that had no machines is left alone for a while, and the next one that fits is tried.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.cloud import container_v1

from pointsman_local.gke import fit, shape
from pointsman_local.gke.engine import Engine, Status, rung
from pointsman_local.gke.kubernetes import Kubernetes
from pointsman_local.gke.state import Node, Trouble

__all__ = ["Autoscaler"]

SETTLE_S = 5.0  # a node that became ready so long ago may still be filled by the scheduler
AT_RISK = "Pod is at risk of not being scheduled."
REPEAT_S = 60.0  # the same NotTriggerScaleUp is not told again on a pod before this

Pod = Mapping[str, Any]


@dataclass(slots=True)
class _Bin:
    """A node that is coming, with what is still free on it."""

    pool: container_v1.NodePool
    free: dict[str, int]


@dataclass(slots=True)
class _Rise:
    """Nodes to be added to a pool, and the pods that they are for."""

    pool: container_v1.NodePool
    count: int = 0
    pods: list[Pod] = field(default_factory=list)


class Autoscaler:
    def __init__(self, engine: Engine, kubernetes: Kubernetes) -> None:
        self._engine = engine
        self._kubernetes = kubernetes
        self._backoff: dict[str, float] = {}
        self._ready_since: dict[str, float] = {}
        self._empty_since: dict[str, float] = {}
        self._told: dict[str, float] = {}

    async def run(self) -> None:
        """Look at every change, and every `scan_s` while nothing changes; for ever."""
        bell = self._engine.bell()
        while True:
            bell.clear()
            if self._kubernetes.is_synced:
                await self.scan(time.time())
            await rung(bell, self._engine.state.stock.times.scan_s)

    async def scan(self, now: float) -> None:
        self._forget()
        for pool in self._pools(now):
            least, _ = shape.limits(pool)
            missing = least - len(self._staying(pool.name))
            if missing > 0:
                self._grow(pool, missing, now)
        pods = [pod for pod in self._kubernetes.pods.values() if fit.is_unschedulable(pod)]
        for rise in self._rises(sorted(pods, key=_name), now):
            await self._raise(rise, now)
        for pod in pods:
            await self._tell_of_none(pod, now)
        self._shrink(now)

    def _pools(self, now: float) -> list[container_v1.NodePool]:
        """Pools that may be raised now, cheapest machine first."""
        pools = [
            pool
            for pool in self._engine.state.pools.values()
            if pool.autoscaling.enabled
            and pool.status not in (Status.PROVISIONING, Status.STOPPING)
            and self._backoff.get(pool.name, 0.0) <= now
        ]
        return sorted(pools, key=lambda pool: (shape.offered(pool)["cpu"], pool.name))

    def _staying(self, pool: str) -> list[Node]:
        return [node for node in self._engine.state.nodes_of(pool) if node.state != "leaving"]

    def _rises(self, pods: Sequence[Pod], now: float) -> list[_Rise]:
        """First fit over the nodes that are coming; for the rest, new nodes of the first pool that may."""
        bins = self._coming(now)
        rises: dict[str, _Rise] = {}
        pools = self._pools(now)
        for pod in pods:
            asked = fit.requests(pod)
            if self._place(pod, asked, bins):
                continue
            for pool in pools:
                rise = rises.setdefault(pool.name, _Rise(pool))
                _, most = shape.limits(pool)
                free = fit.left(shape.offered(pool), asked)
                if free is None or len(self._staying(pool.name)) + rise.count >= most or not _admits(pool, pod):
                    continue
                bins.append(_Bin(pool, free))
                rise.count += 1
                rise.pods.append(pod)
                break
        return [rise for rise in rises.values() if rise.count]

    def _coming(self, now: float) -> list[_Bin]:
        bins = []
        for node in self._engine.state.nodes.values():
            settled = node.registered and now - self._ready_since.setdefault(node.name, now) > SETTLE_S
            if node.state == "leaving" or settled:
                continue
            pool = self._engine.state.pools[node.pool]
            free: dict[str, int] | None = dict(shape.offered(pool))
            for pod in self._kubernetes.pods_on(node.name):
                free = fit.left(free, fit.requests(pod)) if free else None
            if free:
                bins.append(_Bin(pool, free))
        return bins

    def _place(self, pod: Pod, asked: Mapping[str, int], bins: list[_Bin]) -> bool:
        for candidate in bins:
            free = fit.left(candidate.free, asked)
            if free is not None and _admits(candidate.pool, pod):
                candidate.free = free
                return True
        return False

    async def _raise(self, rise: _Rise, now: float) -> None:
        before = len(self._staying(rise.pool.name))
        _, most = shape.limits(rise.pool)
        refused = self._grow(rise.pool, rise.count, now)
        group = (
            f"https://www.googleapis.com/compute/v1/projects/{self._engine.site.project}/zones/{{}}/instanceGroups/{{}}"
        )
        zone = refused[0].zone if refused else rise.pool.locations[0]
        name = group.format(zone, shape.group_name(self._engine.site.cluster, rise.pool.name, zone))
        triggered = f"pod triggered scale-up: [{{{name} {before}->{before + rise.count} (max: {most})}}]"
        for pod in rise.pods:
            await self._kubernetes.tell(pod, "Normal", "TriggeredScaleUp", triggered)
            if refused:
                zones = ", ".join(sorted({trouble.zone for trouble in refused}))
                cause = "GCE quota exceeded" if refused[0].code == "GCE_QUOTA_EXCEEDED" else "GCE out of resources"
                failed = f"Node scale up in zones {zones} associated with this pod failed: {cause}. "
                await self._kubernetes.tell(pod, "Warning", "FailedScaleUp", failed + AT_RISK)

    def _grow(self, pool: container_v1.NodePool, count: int, now: float) -> list[Trouble]:
        """Add nodes, in the emptiest zone that has machines; what no zone had is given back and waited for."""
        with self._engine.state.together():
            for _ in range(count):
                refused: list[Trouble] = []
                for zone in sorted(pool.locations, key=lambda zone: self._in_zone(pool.name, zone)):
                    trouble = self._engine.order(pool, zone, 1, now)
                    if not trouble:
                        break
                    refused += trouble
                else:
                    self._backoff[pool.name] = now + self._engine.state.stock.times.backoff_s
                    return refused
        return []

    def _in_zone(self, pool: str, zone: str) -> int:
        return sum(1 for node in self._staying(pool) if node.zone == zone)

    async def _tell_of_none(self, pod: Pod, now: float) -> None:
        """Say on a pod that no pool would take it, once in a while."""
        pools = [pool for pool in self._engine.state.pools.values() if pool.autoscaling.enabled]
        misfits = sum(1 for pool in pools if not _admits(pool, pod))
        small = sum(1 for pool in pools if _admits(pool, pod) and not fit.left(shape.offered(pool), fit.requests(pod)))
        full = sum(1 for pool in pools if _admits(pool, pod) and len(self._staying(pool.name)) >= shape.limits(pool)[1])
        if misfits + small + full < len(pools) or self._told.get(pod["metadata"]["uid"], 0.0) > now - REPEAT_S:
            return
        reasons = [
            f"{count} {text}"
            for count, text in (
                (misfits, "node(s) didn't match Pod's node affinity/selector"),
                (small, "Insufficient resources"),
                (full, "max node group size reached"),
            )
            if count
        ]
        self._told[pod["metadata"]["uid"]] = now
        message = f"pod didn't trigger scale-up: {', '.join(reasons) or 'no autoscaled node pool'}"
        await self._kubernetes.tell(pod, "Normal", "NotTriggerScaleUp", message)

    def _shrink(self, now: float) -> None:
        """Take away nodes that were empty for `idle_s`, down to the pool's minimum."""
        for pool in self._engine.state.pools.values():
            if not pool.autoscaling.enabled or pool.status in (Status.PROVISIONING, Status.STOPPING):
                continue
            least, _ = shape.limits(pool)
            for node in self._staying(pool.name):
                if not node.registered or any(fit.occupies(pod) for pod in self._kubernetes.pods_on(node.name)):
                    self._empty_since.pop(node.name, None)
                    continue
                since = self._empty_since.setdefault(node.name, now)
                if now - since >= self._engine.state.stock.times.idle_s and len(self._staying(pool.name)) > least:
                    self._engine.dismiss([node])

    def _forget(self) -> None:
        """Drop what was remembered of nodes and pods that are gone."""
        for memory, alive in (
            (self._ready_since, self._engine.state.nodes),
            (self._empty_since, self._engine.state.nodes),
            (self._told, self._kubernetes.pods),
            (self._backoff, self._engine.state.pools),
        ):
            for name in [name for name in memory if name not in alive]:
                del memory[name]


def _admits(pool: container_v1.NodePool, pod: Pod) -> bool:
    """Whether a node of the pool, in one of its zones at least, would take the pod."""
    return any(fit.tolerates(pod, shape.labels(pool, zone), shape.taints(pool)) for zone in pool.locations)


def _name(pod: Pod) -> tuple[str, str]:
    return pod["metadata"].get("namespace", ""), pod["metadata"]["name"]
