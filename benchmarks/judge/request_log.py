"""A request log of one's own, as arrays: the columns `time`, `latency_ms`, `ok` or `bad`, and perhaps `pod`, `user`."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge.batch import Counts, Floats

__all__ = ["RequestLog", "read"]

TRUE = frozenset({"1", "true", "yes", "t", "y"})
FALSE = frozenset({"0", "false", "no", "f", "n", ""})


@dataclass(frozen=True, slots=True)
class RequestLog:
    """N requests in the order of time: `at_s` from the first one on. `pod` and `user` are numbers from 0; None where
    the log has no such column."""

    at_s: Floats
    latency_ms: Floats
    bad: NDArray[np.bool_]
    pod: Counts | None
    user: Counts | None


def read(paths: list[Path]) -> RequestLog:
    """Raises ValueError, with file and line, for a log that lacks a column or has a value that is none."""
    rows: list[tuple[float, float, bool, str, str]] = []
    has_pod = has_user = True
    for path in paths:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            missing = [name for name in ("time", "latency_ms") if name not in names]
            if missing or not {"ok", "bad"} & set(names):
                raise ValueError(f"{path}: needs the columns time, latency_ms, and ok or bad; has {', '.join(names)}")
            has_pod, has_user = has_pod and "pod" in names, has_user and "user" in names
            for row in reader:
                try:
                    rows.append(_row(row))
                except ValueError as error:
                    raise ValueError(f"{path}: line {reader.line_num}: {error}") from error
    if len(rows) < 1000:
        raise ValueError(f"{len(rows)} requests are too few: a log needs 1,000, better 100,000")
    rows.sort(key=lambda row: row[0])
    at, latency, bad, pods, users = zip(*rows, strict=True)
    return RequestLog(
        np.array(at) - at[0],
        np.array(latency),
        np.array(bad),
        _numbered(pods) if has_pod else None,
        _numbered(users) if has_user else None,
    )


def _row(row: Mapping[str, str]) -> tuple[float, float, bool, str, str]:
    if missing := [name for name, value in row.items() if value is None]:
        raise ValueError(f"has no {', '.join(missing)}")
    bad = _flag(row["bad"]) if "bad" in row else not _flag(row["ok"])
    at_s, latency_ms = _seconds(row["time"]), float(row["latency_ms"])
    if not isfinite(at_s) or not 0.0 <= latency_ms < inf:
        raise ValueError(f"{row['time']} and {row['latency_ms']} are no time and no latency")
    return at_s, latency_ms, bad, row.get("pod") or "", row.get("user") or ""


def _flag(text: str) -> bool:
    if text.strip().lower() in TRUE:
        return True
    if text.strip().lower() in FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _numbered(names: tuple[str, ...]) -> Counts:
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
