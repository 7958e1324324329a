"""Registered models, their versions and aliases, with MLflow's rules and MLflow's words for breaking them."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Refused", "Registry"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS model (
    name TEXT PRIMARY KEY, description TEXT, tags TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS version (
    model TEXT NOT NULL, number INTEGER NOT NULL, source TEXT NOT NULL, run_id TEXT, description TEXT,
    tags TEXT NOT NULL, created_ms INTEGER NOT NULL, PRIMARY KEY (model, number)
) STRICT;
CREATE TABLE IF NOT EXISTS alias (
    model TEXT NOT NULL, alias TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (model, alias)
) STRICT;
"""
ALIAS_LENGTH_MAX = 255


class Refused(Exception):
    """What MLflow answers: its error code, by which clients tell errors apart, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Version:
    """A version's row; `aliases` are those that name it now."""

    model: str
    number: int
    source: str
    run_id: str | None
    description: str | None
    tags: str
    created_ms: int
    aliases: Sequence[str]


class Registry:
    """One SQLite file. Times are Unix milliseconds and come from the caller; `tags` are JSON objects as text."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.row_factory = sqlite3.Row

    def close(self) -> None:
        self._db.close()

    def create_model(self, name: str, description: str | None, tags: str, now_ms: int) -> Mapping[str, Any]:
        _check_name(name)
        try:
            self._db.execute("INSERT INTO model VALUES (?, ?, ?, ?, ?)", (name, description, tags, now_ms, now_ms))
        except sqlite3.IntegrityError:
            raise Refused("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.") from None
        return self.model(name)

    def model(self, name: str) -> Mapping[str, Any]:
        _check_name(name)
        row = self._db.execute("SELECT * FROM model WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise Refused("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found")
        return {**dict(row), "aliases": self._aliases(name)}

    def models(self) -> list[Mapping[str, Any]]:
        return [self.model(name) for (name,) in self._db.execute("SELECT name FROM model ORDER BY name").fetchall()]

    def create_version(
        self, model: str, source: str, run_id: str | None, description: str | None, tags: str, now_ms: int
    ) -> Version:
        """The next version of a model."""
        self.model(model)
        if not source:
            raise Refused("INVALID_PARAMETER_VALUE", "Missing value for required parameter 'source'.")
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            (number,) = self._db.execute(
                "SELECT coalesce(max(number), 0) + 1 FROM version WHERE model = ?", (model,)
            ).fetchone()
            self._db.execute(
                "INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?)",
                (model, number, source, run_id, description, tags, now_ms),
            )
            self._db.execute("UPDATE model SET updated_ms = ? WHERE name = ?", (now_ms, model))
        return self.version(model, str(number))

    def version(self, model: str, number: str) -> Version:
        _check_name(model)
        if not number.isdecimal():
            raise Refused("INVALID_PARAMETER_VALUE", f"Parameter 'version' must be an integer, got '{number}'.")
        row = self._db.execute("SELECT * FROM version WHERE model = ? AND number = ?", (model, int(number))).fetchone()
        if row is None:
            raise Refused("RESOURCE_DOES_NOT_EXIST", f"Model Version (name={model}, version={number}) not found")
        aliases = [alias for alias, named in self._aliases(model).items() if named == row["number"]]
        return Version(**dict(row), aliases=aliases)

    def versions(self, model: str | None) -> list[Version]:
        rows = self._db.execute("SELECT model, number FROM version ORDER BY created_ms DESC, number DESC").fetchall()
        return [self.version(name, str(number)) for name, number in rows if model in (None, name)]

    def by_alias(self, model: str, alias: str) -> Version:
        """The version that an alias names; `latest` names the newest. An alias that is not set is, in MLflow,
        an invalid parameter and not a missing resource."""
        self.model(model)
        _check_alias(alias)
        if alias.lower() == "latest":
            rows = self._db.execute("SELECT max(number) FROM version WHERE model = ?", (model,)).fetchone()
            if rows[0] is None:
                raise Refused("RESOURCE_DOES_NOT_EXIST", f"Latest version not found for model {model}.")
            return self.version(model, str(rows[0]))
        number = self._aliases(model).get(alias)
        if number is None:
            raise Refused("INVALID_PARAMETER_VALUE", f"Registered model alias {alias} not found.")
        return self.version(model, str(number))

    def set_alias(self, model: str, alias: str, number: str) -> Version:
        _check_alias(alias)
        if alias.lower() == "latest":
            raise Refused("INVALID_PARAMETER_VALUE", "'latest' alias name (case insensitive) is reserved.")
        if re.fullmatch(r"[vV]\d+", alias):
            raise Refused("INVALID_PARAMETER_VALUE", f"Version alias name '{alias}' is reserved.")
        version = self.version(model, number)
        self._db.execute("INSERT OR REPLACE INTO alias VALUES (?, ?, ?)", (model, alias, version.number))
        return self.version(model, number)

    def delete_alias(self, model: str, alias: str) -> bool:
        """Whether there was one."""
        self.model(model)
        _check_alias(alias)
        return self._db.execute("DELETE FROM alias WHERE model = ? AND alias = ?", (model, alias)).rowcount > 0

    def _aliases(self, model: str) -> dict[str, int]:
        rows = self._db.execute("SELECT alias, number FROM alias WHERE model = ? ORDER BY alias", (model,))
        return {row["alias"]: row["number"] for row in rows}


def _check_name(name: str) -> None:
    if not name.strip():
        raise Refused("INVALID_PARAMETER_VALUE", "Missing value for required parameter 'name'.")
    if "/" in name or ":" in name:
        raise Refused("INVALID_PARAMETER_VALUE", f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")


def _check_alias(alias: str) -> None:
    if not alias:
        raise Refused("INVALID_PARAMETER_VALUE", "Registered model alias name cannot be empty.")
    if not re.fullmatch(r"[\w\-]+", alias) or len(alias) > ALIAS_LENGTH_MAX:
        raise Refused(
            "INVALID_PARAMETER_VALUE",
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-).",
        )
