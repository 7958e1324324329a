"""A cluster's node pools in virtual time: operations take a while, machines may be missing, a pool may be busy."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.handlers.fakes import World

from pointsman.core.pools import NodePool, Operation
from pointsman.documents.pool import Candidate, NodeSettings
from pointsman.errors import Absent, Conflict, PointsmanError, StockOut, Unavailable

__all__ = ["FakeNodePools"]

OPERATION = timedelta(seconds=30)
NODE = timedelta(seconds=60)


@dataclass
class _Work:
    pool: str
    done_at: datetime
    error: PointsmanError | None = None
    deletes: bool = False


@dataclass
class FakeNodePools:
    """A test sets `now`, and what is out of stock: reservations by name, machine types, `Spot` and its like.

    An autoscaled pool reaches its minimum `NODE` after its operation is done, unless its machines are missing;
    Pending pods of a test raise it beyond that (`pods`: node pool to nodes).
    """

    now: datetime
    world: World = field(default_factory=World)
    missing: set[str] = field(default_factory=set)
    pools: dict[str, NodePool] = field(default_factory=dict)
    pods: dict[str, int] = field(default_factory=dict)
    refusing: dict[str, PointsmanError] = field(default_factory=dict)
    _works: dict[str, _Work] = field(default_factory=dict)
    _candidates: dict[str, Candidate] = field(default_factory=dict)
    _settled_at: dict[str, datetime] = field(default_factory=dict)

    def get(self, pool: str) -> NodePool | None:
        return next((found for found in self.find() if found.name == pool), None)

    def find(self) -> Sequence[NodePool]:
        self.world.before("node_pools.find")
        self._elapse()
        self.world.after("node_pools.find")
        return list(self.pools.values())

    def create(
        self,
        pool: str,
        candidate: Candidate,
        node: NodeSettings,
        *,
        owner: str,
        nodes: int,
        nodes_max: int,
        nodes_min: int = 0,
    ) -> str:
        if pool in self.pools:
            raise Conflict("exists already", where=pool)
        self._candidates[pool] = candidate
        error = StockOut(f"[GCE_STOCKOUT] {pool}") if nodes and self._is_missing(pool) else None
        name = self._begin(pool, error)
        self.pools[pool] = NodePool(
            pool,
            candidate.machine_type or "",
            "PROVISIONING",
            nodes_wanted=nodes,
            nodes_ready=0,
            nodes_min=nodes_min,
            nodes_max=nodes_max,
            autoscaled=True,
            labels={"pointsman.dev/pool": owner},
            created_by_us=True,
        )
        return name

    def resize(self, pool: str, nodes: int) -> str:
        name = self._begin(pool, StockOut(pool) if self._is_missing(pool) else None)
        self.pools[pool] = replace(self.pools[pool], nodes_wanted=nodes)
        return name

    def limit(self, pool: str, nodes_min: int, nodes_max: int) -> str:
        name = self._begin(pool)
        self.pools[pool] = replace(self.pools[pool], nodes_min=nodes_min, nodes_max=nodes_max)
        return name

    def delete(self, pool: str) -> str:
        return self._begin(pool, deletes=True)

    def operation(self, name: str) -> Operation:
        self.world.before("node_pools.operation")
        self._elapse()
        self.world.after("node_pools.operation")
        if name not in self._works:
            raise Absent("no such operation", where=name)
        work = self._works[name]
        done = self.now >= work.done_at
        return Operation(name, done, error=work.error if done else None)

    def _begin(self, pool: str, error: PointsmanError | None = None, *, deletes: bool = False) -> str:
        self.world.before("node_pools.begin")
        self._elapse()
        if pool in self.refusing:
            raise self.refusing.pop(pool)
        if any(work.pool == pool and self.now < work.done_at for work in self._works.values()):
            raise Unavailable("Operation operation-1 is currently updating cluster c1. Please wait", where=pool)
        name = f"operation-{len(self._works) + 1}"
        self._works[name] = _Work(pool, self.now + OPERATION, error, deletes)
        self._settled_at[pool] = self.now + OPERATION
        self.world.after("node_pools.begin")
        return name

    def _is_missing(self, pool: str) -> bool:
        candidate = self._candidates.get(pool)
        if candidate is None:
            return False
        names = {candidate.reservation, candidate.machine_type, candidate.provisioning}
        return bool(names & self.missing)

    def _elapse(self) -> None:
        for work in self._works.values():
            if self.now >= work.done_at and work.pool in self.pools:
                if work.deletes:
                    del self.pools[work.pool]
                elif self.pools[work.pool].status == "PROVISIONING":
                    found = self.pools[work.pool]
                    self.pools[work.pool] = replace(found, status="ERROR" if work.error else "RUNNING")
        for name, pool in self.pools.items():
            ready_at = self._settled_at.get(name, self.now) + NODE
            least = min(max(pool.nodes_min, self.pods.get(name, 0), pool.nodes_wanted), pool.nodes_max)
            if pool.status == "RUNNING" and self.now >= ready_at and not self._is_missing(name):
                self.pools[name] = replace(pool, nodes_ready=max(pool.nodes_ready, least))
