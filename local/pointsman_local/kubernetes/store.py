"""The objects, with one revision over all of them, and the recent past that watches replay.

Objects live in memory and are written through to SQLite before a write returns, so that they survive
`kill -9`. The ring of changes does not: after a restart a watch from an older revision is told 410 Gone, as by
an apiserver that has compacted, and its client lists again.
"""

import contextlib
import itertools
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pointsman_local.kubernetes.kinds import KINDS, Kind, Object

__all__ = ["Change", "Store"]

# A watch that fell behind by more than this lists again; a pod's start makes about ten changes of some 15 KB.
RING = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """One write. `before` is the object it replaced; of a deletion `object` is the last state, at the new revision."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    kind: Kind
    revision: int
    object: Object
    before: Object | None


class Store:
    """Objects by kind, namespace and name. Not thread-safe: one event loop owns it."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(
            """
            CREATE TABLE IF NOT EXISTS objects (
                resource TEXT, namespace TEXT, name TEXT, data TEXT NOT NULL, PRIMARY KEY (resource, namespace, name)
            ) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS revision (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
            INSERT OR IGNORE INTO revision VALUES (1, 1);
            """
        )
        self.revision: int = self._db.execute("SELECT number FROM revision").fetchone()[0]
        self._objects: dict[str, dict[tuple[str, str], Object]] = {kind.resource: {} for kind in KINDS}
        for resource, namespace, name, data in self._db.execute("SELECT * FROM objects"):
            self._objects[resource][namespace, name] = json.loads(data)
        self._ring: deque[Change] = deque(maxlen=RING)
        self._forgotten: int = self.revision
        self._listeners: list[Callable[[Change], None]] = []

    def close(self) -> None:
        self._db.close()

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return self._objects[kind.resource].get((namespace, name))

    def list(self, kind: Kind, namespace: str = "") -> list[Object]:
        """Objects of a kind, of one namespace or (empty) of all, by namespace and name."""
        items = self._objects[kind.resource]
        return [items[key] for key in sorted(items) if not namespace or key[0] == namespace]

    def put(self, kind: Kind, item: Object) -> Object:
        """Write an object under a new revision, which it bears; gives what was stored."""
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self._objects[kind.resource].get(key)
        stored = {**item, "metadata": {**metadata, "resourceVersion": str(self.revision + 1)}}
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", (kind.resource, *key, json.dumps(stored))
            )
        self._objects[kind.resource][key] = stored
        self._tell(Change("MODIFIED" if before else "ADDED", kind, self.revision, stored, before))
        return stored

    def remove(self, kind: Kind, namespace: str, name: str) -> Object:
        """Delete an object; gives its last state. KeyError when there is none."""
        before = self._objects[kind.resource][namespace, name]
        with self._transaction():
            self._db.execute(
                "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
                (kind.resource, namespace, name),
            )
        del self._objects[kind.resource][namespace, name]
        last = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.revision)}}
        self._tell(Change("DELETED", kind, self.revision, last, before))
        return last

    @property
    def oldest(self) -> int:
        """The oldest revision that a watch may start from."""
        return max(self._ring[0].revision - 1, self._forgotten) if self._ring else self._forgotten

    def since(self, revision: int) -> Sequence[Change]:
        """Changes after `revision`, which is not before `oldest`, in order."""
        newest_first = itertools.takewhile(lambda change: change.revision > revision, reversed(self._ring))
        return tuple(newest_first)[::-1]

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` at each change, within the write; gives what ends that. It must not write."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """What is executed within becomes revision + 1, or nothing of it does."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("UPDATE revision SET number = ?", (self.revision + 1,))
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self.revision += 1

    def _tell(self, change: Change) -> None:
        self._ring.append(change)
        for listener in tuple(self._listeners):
            listener(change)
