"""Recorded rollouts judged again, bit for bit: the same verdicts, or the name of what differs."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from pointsman.core.judge import JudgePolicy, Verdict
from pointsman.core.judge.recording import Marked, Recording, read, replay
from pointsman.errors import Invalid

__all__ = ["Replayed", "opened", "replayed"]

SAME = 1e-9
"""How far recorded evidence may be from what it is now, in nats."""

ALONE_MAX = 8
"""So many files are judged in this process; for more, another one is started for each processor."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One file: a line for each tick where they were asked for, then its own; how it differs from the verdicts that
    are recorded in it; or why it could not be read."""

    file: str
    lines: tuple[dict[str, object], ...] = ()
    differences: tuple[str, ...] = ()
    error: str = ""


def replayed(files: Sequence[str], policy: JudgePolicy | None, *, ticks: bool) -> Iterator[Replayed]:
    """Every file in order, as it is done."""
    one = partial(_replay, policy=policy, ticks=ticks)
    processes = min(os.cpu_count() or 1, len(files))
    if len(files) <= ALONE_MAX or processes == 1:
        yield from map(one, files)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(one, files, chunksize=max(1, min(32, len(files) // (4 * processes))))


def opened(file: str) -> Recording:
    """A file's recording. Raises Invalid, naming file and line."""
    try:
        with Path(file).open(encoding="utf-8") as lines:
            return read(lines)
    except OSError as error:
        raise Invalid(f"cannot be read: {error.strerror}", where=file) from error
    except UnicodeDecodeError as error:
        raise Invalid("is no text", where=file, remedy="a recording has a JSON object in each line") from error
    except Invalid as error:
        line = error.where.removeprefix("line ")
        raise Invalid(error.what, where=f"{file}:{line}" if line else file, remedy=error.remedy) from error


def _replay(file: str, policy: JudgePolicy | None, *, ticks: bool) -> Replayed:
    try:
        recording = opened(file)
    except Invalid as error:
        return Replayed(file, error=str(error))
    recorded = {} if policy is not None else _recorded(recording)
    lines: list[dict[str, object]] = []
    differences: list[str] = []
    deciding: tuple[int, Verdict] | None = None
    for tick, verdict in replay(recording, policy):
        if deciding is None or deciding[1].action != "roll_back":
            deciding = tick.seq, verdict
            if verdict.action == "roll_back" and not ticks and not recorded:
                break
        if ticks:
            lines.append(_line(file, tick.seq, verdict))
        if tick.seq in recorded:
            differences += _differences(tick.seq, verdict, recorded.pop(tick.seq))
    differences += [f"tick {seq}: a verdict is recorded, and there is no tick" for seq in sorted(recorded)]
    last = _line(file, *deciding) if deciding else _empty(file)
    return Replayed(file, (*lines, last), tuple(differences))


def _line(file: str, seq: int, verdict: Verdict) -> dict[str, object]:
    return {
        "file": file,
        "verdict": verdict.action,
        "seq": seq,
        "log_e": verdict.log_e,
        "metric": verdict.metric,
        "reason": verdict.reason,
    }


def _empty(file: str) -> dict[str, object]:
    nothing = "there is no tick: no data is neither a pass nor a fail"
    return {"file": file, "verdict": "hold", "seq": None, "log_e": 0.0, "metric": None, "reason": nothing}


def _recorded(recording: Recording) -> dict[int, dict[str, object]]:
    """The verdicts in the file by tick; of two for one tick the first, as of two ticks of one number."""
    found: dict[int, dict[str, object]] = {}
    for entry in recording.entries:
        if isinstance(entry, Marked) and entry.kind == "verdict" and entry.seq is not None:
            found.setdefault(entry.seq, dict(entry.data))
    return found


def _differences(seq: int, verdict: Verdict, recorded: dict[str, object]) -> Iterator[str]:
    action, log_e = recorded.get("action"), recorded.get("log_e")
    if action is not None and action != verdict.action:
        yield f"tick {seq}: {action} is recorded, {verdict.action} is judged"
    if log_e is not None and abs(cast("float", log_e) - verdict.log_e) > SAME:
        yield f"tick {seq}: log_e {log_e!r} is recorded, {verdict.log_e!r} is judged"
