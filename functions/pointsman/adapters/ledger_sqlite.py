"""The ledger in one SQLite file: what a laptop uses, and what tests of handlers use.

Handlers run concurrently in one process and several processes share the file, so every call has a
connection of its own; WAL lets readers go on beside the one writer, and a writer waits up to 10 s for its turn.
Events are forgotten when they expire, as Firestore's time to live has it: a new one takes those along that had
expired when it came.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pointsman.core import records
from pointsman.core.encoding import decode, encode
from pointsman.core.records import Record
from pointsman.errors import Conflict, Unavailable
from pointsman.ports import Saved, Write

__all__ = ["SQLiteLedger"]

R = TypeVar("R", bound=Record)

BUSY_S = 10.0

# `version` rises with every write of the whole file, so that a record deleted and created again never
# has a version that somebody still holds; it also says which record was written last.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (collection, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_expires_at ON record
    (json_extract(body, '$.expires_at')) WHERE collection = 'events';
CREATE TABLE IF NOT EXISTS counter (version INTEGER NOT NULL);
INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM counter);
"""

_KINDS: Sequence[type[Record]] = (
    records.EventRecord,
    records.HeadRecord,
    records.DocumentRecord,
    records.ServiceRecord,
    records.RevisionRecord,
    records.RolloutRecord,
    records.CommandRecord,
    records.DecisionRecord,
    records.VersionRecord,
    records.PoolRecord,
)


class SQLiteLedger:
    """`ports.Ledger` in the file at `path`, which is made when it is not there."""

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
            for kind in _KINDS:
                for name in kind.indexed:
                    connection.execute(
                        f"CREATE INDEX IF NOT EXISTS {kind.collection}_by_{name} ON record "
                        f"(json_extract(body, '$.{name}'), version) WHERE collection = '{kind.collection}'"
                    )

    def read(self, kind: type[R], key: str) -> Saved[R] | None:
        with self._connection() as connection:
            row = connection.execute(
                "SELECT body, version FROM record WHERE collection = ? AND key = ?", (kind.collection, key)
            ).fetchone()
        return None if row is None else _saved(kind, row)

    def save(self, writes: Sequence[Write], unchanged: Sequence[Saved[Any]] = ()) -> None:
        with self._transaction() as connection:
            for saved in unchanged:
                _hold(connection, saved)
            for write in writes:
                _put(connection, write)
                if isinstance(write.record, records.EventRecord) and write.over is None:
                    _forget(connection, write.record)

    def find(self, kind: type[R], where: Mapping[str, str] | None = None, limit: int = 100) -> Sequence[Saved[R]]:
        conditions = "".join(f" AND json_extract(body, '$.{_field(kind, name)}') = ?" for name in where or {})
        with self._connection() as connection:
            rows = connection.execute(
                f"SELECT body, version FROM record WHERE collection = '{kind.collection}'{conditions} "
                "ORDER BY version DESC LIMIT ?",
                (*(where or {}).values(), limit),
            ).fetchall()
        return [_saved(kind, row) for row in rows]

    def delete(self, saved: Saved[Any]) -> None:
        record: Record = saved.record
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT version FROM record WHERE collection = ? AND key = ?", (record.collection, record.key)
            ).fetchone()
            if row is None:
                return
            if str(row[0]) != saved.version:
                raise _lost(record)
            connection.execute("DELETE FROM record WHERE collection = ? AND key = ?", (record.collection, record.key))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
        except sqlite3.OperationalError as error:
            raise Unavailable(f"the ledger cannot be opened: {error}", where=self._path) from error
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection
        except sqlite3.OperationalError as error:
            raise Unavailable(f"the ledger does not answer: {error}", where=self._path) from error
        finally:
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _put(connection: sqlite3.Connection, write: Write) -> None:
    record = write.record
    body = json.dumps(encode(record), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    (version,) = connection.execute("UPDATE counter SET version = version + 1 RETURNING version").fetchone()
    if write.over is None:
        cursor = connection.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (record.collection, record.key, version, body),
        )
    else:
        cursor = connection.execute(
            "UPDATE record SET version = ?, body = ? WHERE collection = ? AND key = ? AND version = ?",
            (version, body, record.collection, record.key, int(write.over.version)),
        )
    if cursor.rowcount != 1:
        raise _lost(record)


def _forget(connection: sqlite3.Connection, event: records.EventRecord) -> None:
    connection.execute(
        "DELETE FROM record INDEXED BY events_by_expires_at WHERE collection = 'events' "
        "AND json_extract(body, '$.expires_at') < ?",
        (encode(event)["received_at"],),
    )


def _hold(connection: sqlite3.Connection, saved: Saved[Any]) -> None:
    record: Record = saved.record
    row = connection.execute(
        "SELECT version FROM record WHERE collection = ? AND key = ?", (record.collection, record.key)
    ).fetchone()
    if row is None or str(row[0]) != saved.version:
        raise _lost(record)


def _saved(kind: type[R], row: tuple[str, int]) -> Saved[R]:
    return Saved(decode(kind, json.loads(row[0])), str(row[1]))


def _field(kind: type[Record], name: str) -> str:
    if name not in kind.indexed:
        raise AssertionError(f"{kind.__name__}.{name} is not indexed")
    return name


def _lost(record: Record) -> Conflict:
    return Conflict("somebody wrote it first", where=f"{record.collection}/{record.key}", remedy="read it again")
