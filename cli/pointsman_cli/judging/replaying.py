"""Recorded rollouts judged again, bit for bit: the same verdicts, or the name of what differs."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pointsman.core.judge import JudgePolicy, Verdict
from pointsman.core.judge.fold import Judge
from pointsman.core.judge.recording import Marked, Recording, begin, read, with_judge
from pointsman.core.names import JSON
from pointsman.errors import Invalid

__all__ = ["Replayed", "loosened_by", "opened", "policy_for", "replayed"]

SAME = 1e-9
"""How far recorded evidence may be from what it is now, in nats."""

ALONE_MAX = 8
"""So many files are judged in this process; for more, another one is started for each processor."""

REPAIRS_MAX = 20
"""So many of a file's repairs are in its line; all are counted."""

ROLL_BACK = {"rollback": "roll_back"}
"""Recorded words for a verdict, other than ours."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One file: a line for each tick where they were asked for, then its own; what another policy forgives that its
    own does not; how it differs from the verdicts that are recorded in it; what of it had to be mended or left out; or
    why it could not be read."""

    file: str
    lines: tuple[dict[str, object], ...] = ()
    loosened: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    error: str = ""


def replayed(files: Sequence[str], section: JSON | None, *, ticks: bool) -> Iterator[Replayed]:
    """Every file in order, as it is done. `section` is another policy's `judge`, None for each file's own."""
    one = partial(_replay, section=section, ticks=ticks)
    processes = min(os.cpu_count() or 1, len(files))
    if len(files) <= ALONE_MAX or processes == 1:
        yield from map(one, files)
        return
    from pointsman_cli.judging.processes import in_parallel

    yield from in_parallel(one, files, chunk=max(1, min(16, len(files) // (4 * processes))))


def opened(file: str) -> Recording:
    """A file's recording. Raises Invalid, naming file and line."""
    try:
        with Path(file).open(encoding="utf-8-sig") as lines:
            return read(lines)
    except OSError as error:
        raise Invalid(
            f"cannot be read: {error.strerror}", where=file, remedy="name files that `pointsman` recorded"
        ) from error
    except UnicodeDecodeError as error:
        raise Invalid("is no text", where=file, remedy="a recording has a JSON object in each line") from error
    except Invalid as error:
        line = error.where.removeprefix("line ")
        raise Invalid(error.what, where=f"{file}:{line}" if line else file, remedy=error.remedy) from error


def policy_for(recording: Recording, section: JSON | None) -> JudgePolicy:
    """By what a recording is judged: its own policy, or its metrics under another's `judge`."""
    return recording.head.policy if section is None else with_judge(recording.head, section)


def _replay(file: str, section: JSON | None, *, ticks: bool) -> Replayed:
    try:
        recording = opened(file)
        policy = policy_for(recording, section)
    except Invalid as error:
        return Replayed(file, error=str(error))
    recorded = {} if section is not None else _recorded(recording)
    judging = Judge(policy, begin(recording.head, policy))
    lines: list[dict[str, object]] = []
    differences: list[str] = []
    mended: dict[str, None] = {}
    last: dict[str, object] | None = None
    unread = iter(recording.ticks)
    for tick in unread:
        if not judging.take(tick):
            mended[f"tick {tick.seq}: it was there before, and is left out"] = None
            continue
        mended |= dict.fromkeys(f"tick {tick.seq}: {what}" for what in judging.repairs)
        if ticks:
            lines.append(_line(file, tick.seq, judging.verdict(), judging.repairs))
        if tick.seq in recorded:
            differences += _differences(tick.seq, judging, policy, recorded.pop(tick.seq))
        if last is None and judging.action == "roll_back":
            last = _line(file, tick.seq, judging.verdict())
            if not ticks and not recorded:
                break
    mended |= dict.fromkeys(f"tick {tick.seq}: {what}" for tick in unread for what in tick.repairs)
    differences += [f"tick {seq}: a verdict is recorded, and there is no such tick" for seq in sorted(recorded)]
    if last is None:
        last = _line(file, judging.memory.seq, judging.verdict()) if judging.memory.seq >= 0 else _empty(file)
    forgiven = loosened_by(recording.head.policy, policy) if section is not None else ()
    repairs = (*mended, *recording.lost)
    if repairs:
        last["repairs"] = list(repairs[:REPAIRS_MAX])
    return Replayed(file, (*lines, last), forgiven, tuple(differences), repairs)


def loosened_by(before: JudgePolicy, after: JudgePolicy) -> tuple[str, ...]:
    """What `after` forgives that `before` did not, a phrase each."""
    from pointsman_cli.judging.policies import loosened

    return tuple(loosened(before, after))


def _line(file: str, seq: int, verdict: Verdict, repairs: Sequence[str] = ()) -> dict[str, object]:
    found: dict[str, object] = {
        "file": file,
        "verdict": verdict.action,
        "seq": seq,
        "log_e": verdict.log_e,
        "metric": verdict.metric,
        "reason": verdict.reason,
    }
    return {**found, "repairs": list(repairs)} if repairs else found


def _empty(file: str) -> dict[str, object]:
    nothing = "there is no tick: no data is neither a pass nor a fail"
    return {"file": file, "verdict": "hold", "seq": None, "log_e": 0.0, "metric": None, "reason": nothing}


def _recorded(recording: Recording) -> dict[int, JSON]:
    """The verdicts in the file by tick; of two for one tick the first, as of two ticks of one number."""
    found: dict[int, JSON] = {}
    for entry in recording.entries:
        if isinstance(entry, Marked) and entry.kind == "verdict" and entry.seq >= 0:
            found.setdefault(entry.seq, entry.data)
    return found


def _differences(seq: int, judging: Judge, policy: JudgePolicy, recorded: JSON) -> Iterator[str]:
    # A verdict with all its numbers costs more than the judging; its action differs where it is only observed.
    judged = judging.action if policy.enforced else judging.verdict().action
    action, log_e = recorded.get("action"), recorded.get("log_e")
    if action is not None and ROLL_BACK.get(str(action), action) != judged:
        yield f"tick {seq}: {action} is recorded, {judged} is judged"
    if log_e is None:
        return
    is_same = isinstance(log_e, (int, float)) and abs(log_e - judging.log_e) <= SAME  # NaN is not
    if not is_same:
        yield f"tick {seq}: log_e {log_e!r} is recorded, {judging.log_e!r} is judged"
