"""`pointsman trace EVENT`: one event's whole way with times, read from the ledger: no tracing need be on.

What the ledger has a time for is on the way: when the event says it was sent, its claim, and every decision of every
rollout that it led to. Verdicts in a row that say the same are one line, so that a rollout fits on a screen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import click

from pointsman.core.records import DecisionRecord, EventRecord, RolloutRecord
from pointsman.errors import Absent
from pointsman.ports import Ledger
from pointsman_cli.connection import ALL, find_event, find_rollout, ledger
from pointsman_cli.output import emit, output_option, say

__all__ = ["Moment", "command", "way"]

PLACED = ("stepping", "baking", "completing")
"""States in which the canary's pods are there and answer."""
BEFORE = ("queued", "pending", "placing", "provisioning")
WIDTH = 12


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened at a time. `of` is the rollout (empty: the event itself), `decision` its number there; `until` is
    set where `count` of the same kind followed one another."""

    at: datetime
    what: str
    kind: str
    of: str = ""
    decision: int | None = None
    count: int = 1
    until: datetime | None = None


@click.command()
@click.argument("event")
@output_option("table", "json", "yaml")
def command(event: str, output: str) -> None:
    """Show the way of an event, by its key, the start of it, or its id; or of a rollout that a person asked for."""
    records = ledger()
    found, rollouts = _found(records, event)
    moments = way(found, [(rollout, _decisions(records, rollout)) for rollout in rollouts])
    if output == "table":
        _show(found, rollouts, moments)
    else:
        emit(_described(found, rollouts, moments), output)


def way(
    event: EventRecord | None, rollouts: Sequence[tuple[RolloutRecord, Sequence[DecisionRecord]]]
) -> Sequence[Moment]:
    """Everything that happened, in order of time; of one time, the event first and then by decision."""
    moments = [*_event(event)] if event is not None else []
    for rollout, decisions in rollouts:
        moments.append(Moment(rollout.started_at, f"opened: {rollout.reason or rollout.kind}", "opened", rollout.id))
        moments += _merged(moment for decision in decisions for moment in _decision(decision))
    return sorted(moments, key=lambda moment: moment.at)


def _event(event: EventRecord) -> Iterator[Moment]:
    if event.sent_at is not None:
        yield Moment(event.sent_at, "sent", "sent")
    again = f", attempt {event.attempts}" if event.attempts > 1 else ""
    yield Moment(event.received_at, f"claimed{again}", "claimed")
    # A delivery is one moment to its handler, which reads no clock.
    result = event.result if event.state == "done" else "not handled yet"
    yield Moment(event.received_at, f"{result}: {event.reason}" if event.reason else result, "handled")


def _decision(decision: DecisionRecord) -> Iterator[Moment]:
    """What a decision changed: each thing is a moment of the same time."""
    before, after = decision.before, decision.after

    def moment(kind: str, what: str) -> Moment:
        return Moment(decision.at, what, kind, decision.rollout, decision.number)

    if _number(after, "token") > _number(before, "token"):
        execution = str(decision.inputs.get("execution") or "")
        yield moment("claim", f"claimed by {_short(execution)}, token {_number(after, 'token'):g}")
    commands = decision.inputs.get("commands")
    for item in commands if isinstance(commands, (list, tuple)) else ():
        yield moment("command", f"{item['verb']} by {item['by']}")
    verdict = after.get("verdict")
    if isinstance(verdict, Mapping):
        yield moment(f"verdict {verdict.get('action')}", f"verdict {verdict.get('action')}{_evidence(verdict)}")
    state, was = after.get("state"), before.get("state")
    if state != was:
        placed = "placed, " if state in PLACED and was in BEFORE else ""
        reason = decision.reason.removeprefix(f"{state}: ")
        why = f": {reason}" if reason not in ("", state, before.get("reason")) else ""
        yield moment("state", f"{placed}{str(state).replace('_', ' ')}{why}")
    for name, said in (("want", "asked"), ("seen", "seen")):
        if name in after and after[name] != before.get(name, 0):
            yield moment(f"weight {said}", f"{_percent(after, name):g} % {said}")


def _evidence(verdict: Mapping[str, object]) -> str:
    from pointsman.core.judge.verdict import odds

    log_e = verdict.get("log_e")
    return f", evidence {odds(log_e)}" if isinstance(log_e, (int, float)) else ""


def _merged(moments: Iterator[Moment]) -> list[Moment]:
    """Verdicts of one kind with nothing between them are one moment, told as the last of them."""
    merged: list[Moment] = []
    for moment in moments:
        last = merged[-1] if merged else None
        if last is not None and moment.kind == last.kind and moment.kind.startswith("verdict"):
            merged[-1] = replace(last, what=moment.what, count=last.count + 1, until=moment.at)
        else:
            merged.append(moment)
    return merged


def _show(event: EventRecord | None, rollouts: Sequence[RolloutRecord], moments: Sequence[Moment]) -> None:
    """One line a moment; what happened at the same time to the same rollout is one line."""
    if event is not None:
        say(f"event {event.key}: {event.type}, {event.source} {event.id}")
    for rollout in rollouts:
        say(f"rollout {rollout.id}: {rollout.service} to {rollout.to_revision}, {rollout.state}")
    begun = moments[0].at
    say(f"{begun:%Y-%m-%d} UTC")
    many = len(rollouts) > 1
    for line in _lines(moments):
        first = line[0]
        time = f"{first.at:%H:%M:%S}.{first.at.microsecond // 100_000}  {_elapsed(first.at, begun):>{WIDTH}}"
        whose = f"{first.of[:8] or 'event':<10}" if many else ""
        text = "; ".join(moment.what + (f" x{moment.count}" if moment.count > 1 else "") for moment in line)
        until = f" until {_elapsed(first.until, begun)}" if first.until is not None else ""
        say(f"{time}  {whose}{text}{until}")


def _lines(moments: Sequence[Moment]) -> Iterator[list[Moment]]:
    line: list[Moment] = []
    for moment in moments:
        if line and (moment.at, moment.of, moment.count) != (line[0].at, line[0].of, line[0].count):
            yield line
            line = []
        line.append(moment)
    if line:
        yield line


def _described(
    event: EventRecord | None, rollouts: Sequence[RolloutRecord], moments: Sequence[Moment]
) -> Mapping[str, object]:
    begun = moments[0].at
    return {
        "event": event.key if event is not None else None,
        "rollouts": [rollout.id for rollout in rollouts],
        "moments": [
            {
                **asdict(moment),
                "at": _rfc3339(moment.at),
                "until": _rfc3339(moment.until) if moment.until is not None else None,
                "after_s": round((moment.at - begun).total_seconds(), 3),
            }
            for moment in moments
        ],
    }


def _found(records: Ledger, wanted: str) -> tuple[EventRecord | None, Sequence[RolloutRecord]]:
    try:
        event = find_event(records, wanted)
    except Absent as absent:
        try:
            return None, [find_rollout(records, wanted)]
        except Absent:
            raise absent from None
    found = [records.read(RolloutRecord, item) for item in event.led_to if " " not in item]
    return event, [saved.record for saved in found if saved is not None]


def _decisions(records: Ledger, rollout: RolloutRecord) -> Sequence[DecisionRecord]:
    found = [saved.record for saved in records.find(DecisionRecord, {"rollout": rollout.id}, limit=ALL)]
    return sorted(found, key=lambda decision: decision.number)


def _number(where: Mapping[str, object], name: str) -> float:
    value = where.get(name)
    return value if isinstance(value, (int, float)) else 0


def _percent(where: Mapping[str, object], name: str) -> float:
    return 100 * _number(where, name) / (_number(where, "weight_total") or 100)


def _short(execution: str) -> str:
    """`roll-out/1f2e…` of an execution's full name."""
    parts = execution.split("/")
    return f"{parts[5]}/{parts[7][:8]}" if len(parts) == 8 else execution or "an execution"


def _elapsed(at: datetime, begun: datetime) -> str:
    seconds = (at - begun).total_seconds()
    if seconds < 120:
        return f"+{seconds:.1f}s"
    hours, rest = divmod(int(seconds), 3600)
    return f"+{hours}h{rest // 60:02}m{rest % 60:02}s" if hours else f"+{rest // 60}m{rest % 60:02}s"


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
