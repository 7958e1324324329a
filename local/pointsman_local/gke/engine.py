"""Operations and nodes as they go: one step function over the state, called whenever something is due.

An operation is PENDING, RUNNING, then DONE; DONE does not mean that it went well. One operation a node pool,
one over the whole cluster, and a quota of concurrent ones, as "Concurrent operations" of GKE's documentation
says. The autoscaler's nodes take no operation.
"""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from google.cloud import container_v1
from google.rpc import code_pb2, status_pb2

from pointsman_local.gke import shape
from pointsman_local.gke.state import Node, State, Trouble, Work
from pointsman_local.site import Site

__all__ = ["Engine", "Refused", "rung"]

CONCURRENT_OPERATIONS = 5
TROUBLES_KEPT = 20
DEFAULT_ZONES = ("a", "b", "c")
LOOK_AGAIN_S = 0.1  # while a node's object isn't written: the Kubernetes API may be down

# To mypy the members of proto-plus' enums are plain integers.
Kind: Any = container_v1.Operation.Type
Status: Any = container_v1.NodePool.Status
Code: Any = container_v1.StatusCondition.Code
Phase: Any = container_v1.Operation.Status

_ACTIONS = {
    Kind.CREATE_NODE_POOL: "creating a node pool for",
    Kind.DELETE_NODE_POOL: "deleting a node pool for",
    Kind.SET_NODE_POOL_SIZE: "resizing a node pool for",
    Kind.UPGRADE_NODES: "upgrading a node pool for",
    Kind.UPDATE_CLUSTER: "updating",
}


async def rung(bell: asyncio.Event, timeout_s: float | None) -> None:
    """Wait for a bell, at most so long. (`asyncio.wait_for` of Python 3.11 may swallow a cancellation.)"""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await bell.wait()


class Refused(Exception):
    """The API says no: a canonical gRPC code (`FAILED_PRECONDITION`, …) and GKE's own words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Engine:
    """The cluster's node pools over time. `step` does what is due and says when it wants to be called again."""

    def __init__(self, site: Site, state: State) -> None:
        self.site = site
        self.state = state
        self.parent = f"projects/{site.project}/locations/{site.location}/clusters/{site.cluster}"
        self._bells: list[asyncio.Event] = []

    @property
    def zones(self) -> list[str]:
        """The cluster's zones: its own when it is zonal, else three of its region."""
        location = self.site.location
        return [location] if location.count("-") > 1 else [f"{location}-{letter}" for letter in DEFAULT_ZONES]

    def bell(self) -> asyncio.Event:
        """An event that is set at every change."""
        bell = asyncio.Event()
        self._bells.append(bell)
        return bell

    def ring(self) -> None:
        for bell in self._bells:
            bell.set()

    def begin(
        self, kind: container_v1.Operation.Type, pool: str, goal: dict[str, Any], now: float
    ) -> container_v1.Operation:
        """Start an operation on `pool` (empty: the cluster). Raises Refused while another is in its way."""
        running = [work for work in self.state.works.values() if not work.done]
        for work in running:
            name = work.operation.name
            if not work.pool or not pool:
                raise Refused("FAILED_PRECONDITION", f"Cluster is running incompatible operation {name}.")
            if work.pool == pool:
                doing = _ACTIONS.get(work.operation.operation_type, "updating")
                text = f"Operation {name} is currently {doing} cluster {self.site.cluster}. "
                raise Refused("FAILED_PRECONDITION", text + "Please wait and try again once it is done.")
        if len(running) >= CONCURRENT_OPERATIONS:
            text = f'Too many operations: cluster "{self.site.cluster}" hits the concurrent operations quota '
            raise Refused("RESOURCE_EXHAUSTED", f"{text}{CONCURRENT_OPERATIONS}, please try again later.")
        name = f"operation-{int(now * 1000)}-{'-'.join(secrets.token_hex(4) for _ in range(3))}"
        place = f"https://container.googleapis.com/v1/projects/{self.site.project}/locations/{self.site.location}"
        target = f"https://container.googleapis.com/v1/{self.parent}" + (f"/nodePools/{pool}" if pool else "")
        operation = container_v1.Operation(
            name=name,
            zone=self.site.location,
            location=self.site.location,
            operation_type=kind,
            status=Phase.PENDING,
            self_link=f"{place}/operations/{name}",
            target_link=target,
            start_time=_timestamp(now),
        )
        stock, failure = self.state.stock.take_failure(kind.name)
        if failure is not None:
            self.state.keep_stock(stock)
        due = now + self.state.stock.times.operation_s / 3
        self.state.keep_work(Work(operation, pool, goal, due, failure=failure or ""))
        self.ring()
        return operation

    def order(self, pool: container_v1.NodePool, zone: str, count: int, now: float) -> list[Trouble]:
        """Create `count` nodes of a pool in a zone; what was refused is given back, and remembered."""
        refused = []
        for _ in range(count):
            wanted = shape.ask(pool, zone)
            having = [shape.ask(self.state.pools[node.pool], node.zone) for node in self.state.nodes.values()]
            refusal = self.state.stock.refusal(wanted, self.site.project, having)
            base = shape.group_name(self.site.cluster, pool.name, zone).removesuffix("-grp")
            name = f"{base}-{secrets.token_hex(2)}"
            if refusal is None:
                self.state.keep_node(Node(name, pool.name, zone, "starting", now + self.state.stock.times.node_start_s))
            else:
                refused.append(Trouble(zone, refusal.code, f"Instance '{name}' creation failed: {refusal.text}", now))
        self.state.troubles[pool.name] = (self.state.troubles.get(pool.name, []) + refused)[-TROUBLES_KEPT:]
        self.ring()
        return refused

    def dismiss(self, nodes: Sequence[Node]) -> None:
        """Take nodes away: their pods first, then their objects."""
        for node in nodes:
            node.state = "leaving"
            self.state.keep_node(node)
        self.ring()

    def registered(self, node: Node) -> None:
        """The Node object is there."""
        node.registered = True
        self.state.keep_node(node)
        pool = self.state.pools[node.pool]
        if pool.status == Status.ERROR:
            pool.status = Status.RUNNING_WITH_ERROR
            self.state.keep_pool(pool)
        self.ring()

    def gone(self, node: Node) -> None:
        """The Node object is gone."""
        self.state.drop_node(node.name)
        self.ring()

    def step(self, now: float) -> float | None:
        """Do what is due; the time of what is due next, None when nothing is."""
        with self.state.together():
            for node in list(self.state.nodes.values()):
                if node.state == "starting" and node.due <= now:
                    node.state = "ready"
                    self.state.keep_node(node)
                    self.ring()
            for work in list(self.state.works.values()):
                if not work.done and work.due <= now and self._advance(work, now):
                    self.state.keep_work(work)
                    self.ring()
        due = [node.due for node in self.state.nodes.values() if node.state == "starting"]
        due += [work.due for work in self.state.works.values() if not work.done]
        return min(due, default=None)

    def _advance(self, work: Work, now: float) -> bool:
        """Move an operation on; False when it only waits."""
        if not work.begun:
            work.begun = True
            work.operation.status = Phase.RUNNING
            work.due = now + self.state.stock.times.operation_s
            if not work.failure:
                self._begin(work, now)
            return True
        waiting = self._waiting(work)
        if waiting is None and work.refused:
            until = work.refused[0].at + self.state.stock.times.give_up_s
            waiting = until if until > now else None
        if waiting is not None and not work.failure:
            work.due = max(waiting, now + LOOK_AGAIN_S)
            return False
        self._finish(work, now)
        return True

    def _begin(self, work: Work, now: float) -> None:
        pool = self.state.pools.get(work.pool)
        if pool is None:
            return
        if work.operation.operation_type in (Kind.CREATE_NODE_POOL, Kind.SET_NODE_POOL_SIZE):
            for zone in pool.locations:
                there = [
                    node for node in self.state.nodes_of(pool.name) if node.zone == zone and node.state != "leaving"
                ]
                missing = int(work.goal["nodes"]) - len(there)
                work.refused += self.order(pool, zone, max(missing, 0), now)
                if missing < 0:
                    self.dismiss(there[missing:])
        if work.operation.operation_type == Kind.DELETE_NODE_POOL:
            self.dismiss(self.state.nodes_of(pool.name))
        if "locations" in work.goal:
            self.dismiss([node for node in self.state.nodes_of(pool.name) if node.zone not in work.goal["locations"]])

    def _waiting(self, work: Work) -> float | None:
        """When to look again for what the operation waits for; None when it waits for nothing."""
        nodes = self.state.nodes_of(work.pool)
        if work.operation.operation_type in (Kind.CREATE_NODE_POOL, Kind.SET_NODE_POOL_SIZE):
            coming = [node.due for node in nodes if not node.registered or node.state == "leaving"]
            return max(coming, default=None)
        if work.operation.operation_type == Kind.DELETE_NODE_POOL and nodes:
            return 0.0
        return None

    def _finish(self, work: Work, now: float) -> None:
        operation = work.operation
        operation.status = Phase.DONE
        operation.end_time = _timestamp(now)
        pool = self.state.pools.get(work.pool)
        if work.failure:
            operation.error = status_pb2.Status(code=code_pb2.INTERNAL, message=work.failure)
            if pool is not None:
                pool.status = Status.ERROR if operation.operation_type == Kind.CREATE_NODE_POOL else Status.RUNNING
                pool.status_message = work.failure
                self.state.keep_pool(pool)
            return
        if operation.operation_type == Kind.DELETE_NODE_POOL:
            self.state.drop_pool(work.pool)
            return
        if pool is None:
            return
        _apply(pool, work.goal)
        if "labels" in work.goal or "taints" in work.goal:
            for node in self.state.nodes_of(pool.name):
                node.registered = False  # its object is written anew
                self.state.keep_node(node)
        if work.refused:
            self._fail(work, pool)
        elif work.goal.get("was") == int(Status.ERROR):
            pool.status = Status.ERROR  # other limits get no machines that were not there
        else:
            pool.status = Status.RUNNING
            pool.status_message = ""
            pool.conditions = []
        self.state.keep_pool(pool)

    def _fail(self, work: Work, pool: container_v1.NodePool) -> None:
        nodes, first = self.state.nodes_of(pool.name), work.refused[0]
        expected = int(work.goal["nodes"]) * len(pool.locations)
        text = (
            f"Google Compute Engine: Not all instances running in IGM after 35m0s. Expected {expected}, "
            f"running {len(nodes)}, transitioning {len(work.refused)}. Current errors: [{first.code}]: {first.text}"
        )
        code = Code[first.code]
        condition = container_v1.StatusCondition(code=code, message=text, canonical_code=code_pb2.RESOURCE_EXHAUSTED)
        work.operation.error = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message=text)
        work.operation.status_message = text
        work.operation.nodepool_conditions = [condition]
        pool.status = Status.RUNNING_WITH_ERROR if nodes else Status.ERROR
        pool.status_message = text
        pool.conditions = [condition]


def _apply(pool: container_v1.NodePool, goal: dict[str, Any]) -> None:
    """Write what an update asks for into the pool's configuration."""
    if "autoscaling" in goal:
        pool.autoscaling = container_v1.NodePoolAutoscaling.from_json(goal["autoscaling"])
    if "labels" in goal:
        pool.config.labels = goal["labels"]
    if "taints" in goal:
        pool.config.taints = container_v1.NodeConfig.from_json(goal["taints"]).taints
    if "locations" in goal:
        pool.locations = goal["locations"]


def _timestamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
