"""Node pools, nodes, operations and stock, in memory and in SQLite: what `kill -9` must not lose.

Everything is written through as it changes; a restart reads it back and goes on where it was. Times are
Unix seconds, so that what was due while the process was away is due at once.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from google.cloud import container_v1

from pointsman_local.gke.stock import Failure, Limit, Quota, Reservation, Stock, Times

__all__ = ["Node", "State", "Trouble", "Work"]

OPERATIONS_KEPT = 200


@dataclass(slots=True)
class Node:
    """A machine of a node pool. `starting` until `due`; `leaving` until its pods and its object are gone."""

    name: str
    pool: str
    zone: str
    state: Literal["starting", "ready", "leaving"]
    due: float
    registered: bool = False


@dataclass(slots=True)
class Trouble:
    """A machine that a node pool didn't get, as the instance group's `listErrors` shows it."""

    zone: str
    code: str
    text: str
    at: float


@dataclass(slots=True)
class Work:
    """An operation under way: what it is to reach (`goal`), and when to look at it again."""

    operation: container_v1.Operation
    pool: str
    goal: dict[str, Any]
    due: float
    begun: bool = False
    refused: list[Trouble] = field(default_factory=list)
    failure: str = ""

    @property
    def done(self) -> bool:
        return bool(self.operation.status == container_v1.Operation.Status.DONE)


class State:
    def __init__(self, path: Path) -> None:
        self.pools: dict[str, container_v1.NodePool] = {}
        self.nodes: dict[str, Node] = {}
        self.works: dict[str, Work] = {}
        self.troubles: dict[str, list[Trouble]] = {}
        self.stock = Stock()
        self._database = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS rows (kind TEXT, key TEXT, body TEXT, PRIMARY KEY (kind, key))"
        )
        self._load()

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written."""
        return self._database.execute("SELECT 1 FROM rows LIMIT 1").fetchone() is None

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All writes inside are kept or none."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def keep_pool(self, pool: container_v1.NodePool) -> None:
        self.pools[pool.name] = pool
        self._write("pool", pool.name, container_v1.NodePool.to_json(pool, indent=None))

    def drop_pool(self, name: str) -> None:
        self.pools.pop(name, None)
        self.troubles.pop(name, None)
        self._erase("pool", name)

    def keep_node(self, node: Node) -> None:
        self.nodes[node.name] = node
        self._write("node", node.name, json.dumps(asdict(node)))

    def drop_node(self, name: str) -> None:
        self.nodes.pop(name, None)
        self._erase("node", name)

    def keep_work(self, work: Work) -> None:
        self.works[work.operation.name] = work
        body = {
            "operation": container_v1.Operation.to_json(work.operation, indent=None),
            "pool": work.pool,
            "goal": work.goal,
            "due": work.due,
            "begun": work.begun,
            "refused": [asdict(trouble) for trouble in work.refused],
            "failure": work.failure,
        }
        self._write("work", work.operation.name, json.dumps(body))
        for name in [name for name, other in self.works.items() if other.done][:-OPERATIONS_KEPT]:
            del self.works[name]
            self._erase("work", name)

    def keep_stock(self, stock: Stock) -> None:
        self.stock = stock
        self._write("stock", "", json.dumps(stock.as_json()))

    def nodes_of(self, pool: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.pool == pool]

    def _write(self, kind: str, key: str, body: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", (kind, key, body))

    def _erase(self, kind: str, key: str) -> None:
        self._database.execute("DELETE FROM rows WHERE kind = ? AND key = ?", (kind, key))

    def _load(self) -> None:
        for kind, key, body in self._database.execute("SELECT kind, key, body FROM rows ORDER BY rowid"):
            match kind:
                case "pool":
                    self.pools[key] = container_v1.NodePool.from_json(body)
                case "node":
                    self.nodes[key] = Node(**json.loads(body))
                case "work":
                    data = json.loads(body)
                    data["operation"] = container_v1.Operation.from_json(data["operation"])
                    data["refused"] = [Trouble(**row) for row in data["refused"]]
                    self.works[key] = Work(**data)
                case "stock":
                    data = json.loads(body)
                    self.stock = Stock(
                        machines=tuple(Limit(**row) for row in data["machines"]),
                        reservations=tuple(Reservation(**row) for row in data["reservations"]),
                        quotas=tuple(Quota(**row) for row in data["quotas"]),
                        failures=tuple(Failure(**row) for row in data["failures"]),
                        times=Times(**data["times"]),
                    )
