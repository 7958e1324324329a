"""What survives `kill -9`: revisions of workflows, executions with their snapshots, operations."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KeptExecution", "Store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS revision (
    workflow TEXT NOT NULL, ordinal INTEGER NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (workflow, ordinal)
) STRICT;
CREATE TABLE IF NOT EXISTS execution (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL,
    running INTEGER NOT NULL, created REAL NOT NULL, body BLOB NOT NULL, snapshot TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS execution_workflow ON execution (workflow, number);
CREATE INDEX IF NOT EXISTS execution_running ON execution (running) WHERE running = 1;
CREATE TABLE IF NOT EXISTS operation (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class KeptExecution:
    """`body` is the Execution message; `snapshot` is None before the first wait and after the end."""

    name: str
    created: float
    body: bytes
    snapshot: str | None


class Store:
    """One SQLite file, used from one thread. A commit survives the process, not the machine's power."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    # Workflows: the newest revision is the workflow.

    def workflows(self, parent: str) -> list[bytes]:
        return [
            body
            for (body,) in self._db.execute(
                "SELECT body FROM revision AS r WHERE workflow GLOB ? AND ordinal ="
                " (SELECT max(ordinal) FROM revision WHERE workflow = r.workflow) ORDER BY workflow",
                (f"{parent}/workflows/*",),
            )
        ]

    def revisions(self, workflow: str) -> list[tuple[int, bytes]]:
        """Ordinal and message, newest first."""
        rows = self._db.execute(
            "SELECT ordinal, body FROM revision WHERE workflow = ? ORDER BY ordinal DESC", (workflow,)
        )
        return list(rows)

    def revision(self, workflow: str, revision: str) -> bytes | None:
        row = self._db.execute(
            "SELECT body FROM revision WHERE workflow = ? AND id = ?", (workflow, revision)
        ).fetchone()
        return None if row is None else row[0]

    def put_revision(self, workflow: str, ordinal: int, revision: str, body: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO revision VALUES (?, ?, ?, ?)", (workflow, ordinal, revision, body))

    def drop_workflow(self, workflow: str) -> None:
        self._db.execute("DELETE FROM execution WHERE workflow = ?", (workflow,))
        self._db.execute("DELETE FROM revision WHERE workflow = ?", (workflow,))

    # Executions

    def add_execution(self, name: str, workflow: str, created: float, body: bytes) -> bool:
        """False when it is there already."""
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO execution (name, workflow, running, created, body) VALUES (?, ?, 1, ?, ?)",
            (name, workflow, created, body),
        )
        return cursor.rowcount == 1

    def put_snapshot(self, name: str, snapshot: str) -> None:
        self._db.execute("UPDATE execution SET snapshot = ? WHERE name = ?", (snapshot, name))

    def end_execution(self, name: str, body: bytes) -> None:
        self._db.execute("UPDATE execution SET running = 0, body = ?, snapshot = NULL WHERE name = ?", (body, name))

    def execution(self, name: str) -> KeptExecution | None:
        row = self._db.execute("SELECT name, created, body, snapshot FROM execution WHERE name = ?", (name,)).fetchone()
        return None if row is None else KeptExecution(*row)

    def executions(self, workflow: str) -> list[KeptExecution]:
        """Newest first."""
        rows = self._db.execute(
            "SELECT name, created, body, snapshot FROM execution WHERE workflow = ? ORDER BY number DESC", (workflow,)
        )
        return [KeptExecution(*row) for row in rows]

    def running(self) -> list[KeptExecution]:
        """Oldest first."""
        rows = self._db.execute("SELECT name, created, body, snapshot FROM execution WHERE running = 1 ORDER BY number")
        return [KeptExecution(*row) for row in rows]

    def forget_executions(self, before: float) -> None:
        """Drop those that ended and were created before a time."""
        self._db.execute("DELETE FROM execution WHERE running = 0 AND created < ?", (before,))

    # Operations

    def put_operation(self, name: str, body: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO operation VALUES (?, ?)", (name, body))

    def operation(self, name: str) -> bytes | None:
        row = self._db.execute("SELECT body FROM operation WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def operations(self, parent: str) -> Sequence[bytes]:
        rows = self._db.execute(
            "SELECT body FROM operation WHERE name GLOB ? ORDER BY rowid DESC", (f"{parent}/operations/*",)
        )
        return [body for (body,) in rows]

    def drop_operation(self, name: str) -> bool:
        return self._db.execute("DELETE FROM operation WHERE name = ?", (name,)).rowcount == 1
