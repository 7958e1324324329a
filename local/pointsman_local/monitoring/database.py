"""What Monitoring remembers across restarts: policies, channels, open incidents, unsent notifications, origins.

SQLite, one connection of one event loop. An incident and its notification are one transaction, so that a crash
neither loses nor invents one; a notification may be sent twice, as Pub/Sub's publishers do.
"""

import json
import sqlite3
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from pointsman_local.monitoring.incidents import Incident
from pointsman_local.monitoring.series import Distribution, Origin, SeriesKey

__all__ = ["Database"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (name TEXT PRIMARY KEY, kind TEXT NOT NULL, message BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS incidents (id TEXT PRIMARY KEY, policy TEXT NOT NULL, fields TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS origins (
  series TEXT PRIMARY KEY, start REAL NOT NULL, base TEXT NOT NULL, last REAL NOT NULL
);
"""


class Database:
    """One file; every method is one transaction."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def resources(self, kind: str) -> dict[str, bytes]:
        """Name → serialized message of all policies or channels, in the order of their making."""
        rows = self._connection.execute("SELECT name, message FROM resources WHERE kind = ? ORDER BY rowid", (kind,))
        return dict(rows.fetchall())

    def save(self, kind: str, name: str, message: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO resources VALUES (?, ?, ?)", (name, kind, message))

    def delete(self, name: str) -> None:
        """Delete a resource; of a policy also its incidents, of which nobody is told."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM resources WHERE name = ?", (name,))
            self._connection.execute("DELETE FROM incidents WHERE policy = ?", (name,))

    def incidents(self) -> list[Incident]:
        """The open ones."""
        rows = self._connection.execute("SELECT fields FROM incidents ORDER BY rowid").fetchall()
        return [Incident(**json.loads(fields)) for (fields,) in rows]

    def opened(self, incident: Incident, topics: Iterable[str], data: bytes) -> None:
        fields = json.dumps({name: getattr(incident, name) for name in Incident.__slots__})
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT INTO incidents VALUES (?, ?, ?)", (incident.id, incident.policy, fields))
            self._tell(topics, data)

    def closed(self, incident: Incident, topics: Iterable[str], data: bytes) -> None:
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM incidents WHERE id = ?", (incident.id,))
            self._tell(topics, data)

    def _tell(self, topics: Iterable[str], data: bytes) -> None:
        self._connection.executemany(
            "INSERT INTO outbox (topic, data) VALUES (?, ?)", [(topic, data) for topic in topics]
        )

    def unsent(self) -> list[tuple[int, str, bytes]]:
        """Number, topic and data of notifications that nobody has acknowledged, oldest first."""
        rows = self._connection.execute("SELECT number, topic, data FROM outbox ORDER BY number LIMIT 100").fetchall()
        return cast("list[tuple[int, str, bytes]]", rows)

    def sent(self, number: int) -> None:
        self._connection.execute("DELETE FROM outbox WHERE number = ?", (number,))

    def origins(self) -> dict[SeriesKey, Origin]:
        """Where counters were counted from, and how far they were."""
        rows = self._connection.execute("SELECT series, start, base, last FROM origins").fetchall()
        return {_key(series): Origin(start, _value(base), last, saved=True) for series, start, base, last in rows}

    def save_origins(self, origins: Mapping[SeriesKey, Origin], *, all_of_them: bool) -> None:
        """Save new ones, or `all_of_them` with the values last seen; those not in `origins` are dropped then."""
        rows = [
            (json.dumps(key), origin.start, _text(origin.base), origin.last)
            for key, origin in origins.items()
            if all_of_them or not origin.saved
        ]
        if not rows and not all_of_them:
            return
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            if all_of_them:
                self._connection.execute("DELETE FROM origins")
            self._connection.executemany("INSERT OR REPLACE INTO origins VALUES (?, ?, ?, ?)", rows)
        for origin in origins.values():
            origin.saved = True


def _key(text: str) -> SeriesKey:
    metric_type, resource, labels = json.loads(text)
    return metric_type, tuple((a, b) for a, b in resource), tuple((a, b) for a, b in labels)


def _text(value: float | Distribution) -> str:
    if isinstance(value, Distribution):
        return json.dumps({"bounds": value.bounds, "counts": list(value.counts), "total": value.total})
    return json.dumps(value)


def _value(text: str) -> float | Distribution:
    found = json.loads(text)
    if isinstance(found, dict):
        return Distribution(tuple(found["bounds"]), array("q", found["counts"]), found["total"])
    return float(found)
