"""Where a rollout is found: in a file, or in the ledger by its id or its service."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pointsman.core.judge.recording import Marked, Recording, replay
from pointsman.core.names import JSON
from pointsman.errors import Invalid
from pointsman_cli.judging.course import Course, Mark, Moment
from pointsman_cli.judging.replaying import loosened_by, opened, policy_for

__all__ = ["course_of", "find"]


def find(wanted: str, namespace: str | None, section: JSON | None = None) -> tuple[Course, bool]:
    """The rollout that is meant, and whether it is over; judged again where `section`, another policy's `judge`, is
    given. A file of that name comes first; then the ledger is asked, as for `pointsman rollouts get`, unless the name
    can only be a file's.

    Raises Invalid, Absent, Unavailable.
    """
    if Path(wanted).is_file():
        return course_of(opened(wanted), section, named=Path(wanted).name), True
    if Path(wanted).suffix or wanted.startswith(("/", "~", "./", "../")):  # names of services and ids have no dot
        raise Invalid(
            "there is no such file",
            where=wanted,
            remedy="name a recording, a rollout's id or a service; `pointsman judge record` writes recordings",
        )
    from pointsman_cli.judging.ledger_course import ask

    return ask(wanted, namespace, section)


def course_of(recording: Recording, section: JSON | None = None, *, named: str = "") -> Course:
    """A recording, judged again, with its marks. `named`: how to call it where it does not say whose it is."""
    head, policy = recording.head, policy_for(recording, section)
    return Course(
        rollout=head.rollout or named,
        model=head.model,
        stable=head.stable,
        canary=head.canary,
        policy=policy,
        moments=tuple(Moment(tick, verdict) for tick, verdict in replay(recording, policy)),
        marks=tuple(_marks(recording)),
        loosened=loosened_by(head.policy, policy) if section is not None else (),
    )


def _marks(recording: Recording) -> Iterator[Mark]:
    ends = {tick.seq: tick.until for tick in recording.ticks}
    for entry in recording.entries:
        # A share that changes is seen in the ticks; only why it did is news.
        if isinstance(entry, Marked) and entry.kind != "verdict" and (entry.kind != "split" or entry.data.get("why")):
            kind = str(entry.data.get("verb") or entry.kind)
            kind = str(entry.data.get("what") or kind)
            yield Mark(_time(entry) or ends.get(entry.seq), entry.seq if entry.seq >= 0 else None, kind, _said(entry))


def _time(mark: Marked) -> datetime | None:
    """When it was, where the line says so."""
    try:
        found = datetime.fromisoformat(str(mark.data.get("at")))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _said(mark: Marked) -> str:
    """A mark's fields in words."""
    data = mark.data
    if mark.kind == "split":
        why = f": {data['why']}" if data.get("why") else ""
        shares = [data.get("from"), data.get("to")]
        return " → ".join(f"{100 * share:g} %" for share in shares if isinstance(share, (int, float))) + why
    if mark.kind == "decision":
        return str(data.get("why", ""))
    if mark.kind == "command":
        why = f": {data['why']}" if data.get("why") else ""
        return f"asked by {data.get('by') or 'somebody'}{why}"
    return ", ".join(f"{name} {value}" for name, value in data.items() if name not in ("kind", "seq"))
