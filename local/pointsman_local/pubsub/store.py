"""What survives `kill -9`: topics, subscriptions, and every message that somebody has not acknowledged yet."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Row", "Store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS topic (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS subscription (
    name TEXT PRIMARY KEY, body BLOB NOT NULL, faults TEXT NOT NULL DEFAULT '{}', lost INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, subscription TEXT NOT NULL, message INTEGER NOT NULL, key TEXT NOT NULL,
    published REAL NOT NULL, rank REAL, attempt INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS delivery_subscription ON delivery (subscription);
CREATE INDEX IF NOT EXISTS delivery_message ON delivery (message);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery as it is kept. A lease is not: after a restart everything unacknowledged may go again."""

    id: int
    message: int
    key: str
    published: float
    rank: float
    attempt: int
    due: float


class Store:
    """One SQLite file, used from one thread. A commit survives the process, not the machine's power."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def topics(self) -> list[tuple[str, bytes]]:
        return list(self._db.execute("SELECT name, body FROM topic ORDER BY name"))

    def put_topic(self, name: str, body: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO topic VALUES (?, ?)", (name, body))

    def drop_topic(self, name: str) -> None:
        self._db.execute("DELETE FROM topic WHERE name = ?", (name,))

    def subscriptions(self) -> list[tuple[str, bytes, str, int]]:
        return list(self._db.execute("SELECT name, body, faults, lost FROM subscription ORDER BY name"))

    def put_subscription(self, name: str, body: bytes) -> None:
        self._db.execute(
            "INSERT INTO subscription (name, body) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
            (name, body),
        )

    def put_faults(self, name: str, faults: str, lost: int) -> None:
        self._db.execute("UPDATE subscription SET faults = ?, lost = ? WHERE name = ?", (faults, lost, name))

    def drop_subscription(self, name: str) -> None:
        self._db.execute("DELETE FROM subscription WHERE name = ?", (name,))
        self._db.execute("DELETE FROM delivery WHERE subscription = ?", (name,))
        self._db.execute("DELETE FROM message WHERE id NOT IN (SELECT message FROM delivery)")

    def add_message(self, body: bytes) -> int:
        """The new message's number; numbers are never used twice."""
        return int(self._db.execute("INSERT INTO message (body) VALUES (?)", (body,)).lastrowid or 0)

    def message(self, number: int) -> bytes:
        (body,) = self._db.execute("SELECT body FROM message WHERE id = ?", (number,)).fetchone()
        return bytes(body)

    def add_delivery(self, subscription: str, message: int, key: str, published: float, due: float) -> int:
        """The new delivery's number, which is its rank until `set_rank` says otherwise."""
        cursor = self._db.execute(
            "INSERT INTO delivery (subscription, message, key, published, rank, due) VALUES (?, ?, ?, ?, NULL, ?)",
            (subscription, message, key, published, due),
        )
        return int(cursor.lastrowid or 0)

    def set_rank(self, number: int, rank: float) -> None:
        self._db.execute("UPDATE delivery SET rank = ? WHERE id = ?", (rank, number))

    def deliveries(self, subscription: str) -> Iterator[Row]:
        """What is unacknowledged, in the order in which it was taken in."""
        query = (
            "SELECT id, message, key, published, coalesce(rank, id), attempt, due FROM delivery"
            " WHERE subscription = ? ORDER BY id"
        )
        for row in self._db.execute(query, (subscription,)):
            yield Row(*row)

    def set_attempts(self, attempts: Iterable[tuple[int, int]]) -> None:
        """(attempt, delivery) of each delivery that begins."""
        self._db.executemany("UPDATE delivery SET attempt = ? WHERE id = ?", attempts)

    def set_due(self, due: Iterable[tuple[float, int]]) -> None:
        """(Unix seconds, delivery) of each delivery that has to wait."""
        self._db.executemany("UPDATE delivery SET due = ? WHERE id = ?", due)

    def drop_deliveries(self, deliveries: Sequence[tuple[int, int]]) -> None:
        """Forget (delivery, message) pairs, and each message that nobody waits for any more."""
        self._db.executemany("DELETE FROM delivery WHERE id = ?", [(number,) for number, _ in deliveries])
        self.drop_unwanted({message for _, message in deliveries})

    def drop_unwanted(self, messages: Iterable[int]) -> None:
        self._db.executemany(
            "DELETE FROM message WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = ?1)",
            [(message,) for message in messages],
        )
