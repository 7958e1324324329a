"""`pointsman rollouts`: list, get, watch."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from pointsman.core.records import DecisionRecord, RolloutRecord
from pointsman.ports import Ledger
from pointsman_cli.connection import ALL, find_rollout, find_service, ledger
from pointsman_cli.output import (
    Column,
    age,
    emit,
    listing,
    output_option,
    record_status,
    resource,
    say,
    state_text,
    table,
)

__all__ = ["COLUMNS", "command", "described"]

POLL_S = 0.5


def _parts(rollout: RolloutRecord) -> tuple[str, str]:
    _, namespace, name = rollout.service.split("/", 2)
    return namespace, name


def _weight(rollout: RolloutRecord) -> str:
    """The canary's share that is wanted, and what was seen where that differs: `25%`, `25% (seen 5%)`."""
    want, seen = (100 * weight / rollout.weight_total for weight in (rollout.want, rollout.seen))
    return f"{want:g}%" if want == seen else f"{want:g}% (seen {seen:g}%)"


def _verdict(rollout: RolloutRecord) -> str:
    return str((rollout.verdict or {}).get("action", "-"))


COLUMNS = (
    Column("NAMESPACE", lambda row: _parts(row)[0]),
    Column("SERVICE", lambda row: _parts(row)[1]),
    Column("ROLLOUT", lambda row: row.id[:12]),
    Column("REVISION", lambda row: row.to_revision),
    Column("STATE", lambda row: state_text(row.state, row.step, row.reason)),
    Column("WEIGHT", _weight),
    Column("VERDICT", _verdict),
    Column("AGE", lambda row: age(row.started_at, datetime.now(UTC))),
    Column("FROM", lambda row: row.from_revision or "-", wide=True),
    Column("COMMIT", lambda row: row.commit[:8] or "-", wide=True),
    Column("TICKS", lambda row: str(row.seq), wide=True),
    Column("REASON", lambda row: row.reason or "-", wide=True),
)


def described(rollout: RolloutRecord) -> dict[str, object]:
    namespace, _ = _parts(rollout)
    return resource("Rollout", namespace, rollout.id, record_status(rollout))


def _found(records: Ledger, service: str | None, namespace: str | None) -> Sequence[RolloutRecord]:
    where = {"service": find_service(records, service, namespace).key} if service else None
    found = [saved.record for saved in records.find(RolloutRecord, where, limit=ALL)]
    if namespace and not service:
        found = [rollout for rollout in found if _parts(rollout)[0] == namespace]
    return sorted(found, key=lambda rollout: rollout.started_at, reverse=True)


@click.group()
def command() -> None:
    """Look at rollouts: running and past."""


@command.command("list")
@click.argument("service", required=False)
@click.option("-n", "--namespace", help="Only this namespace.")
@click.option("--watch", is_flag=True, help="Go on printing what changes.")
@output_option()
def list_(service: str | None, namespace: str | None, watch: bool, output: str) -> None:
    """List rollouts, newest first."""
    records = ledger()
    found = _found(records, service, namespace)
    if output in ("json", "yaml"):
        emit(listing("Rollout", [described(rollout) for rollout in found]), output)
        return
    if not found and not watch:
        say("no rollouts yet: push a model", err=True)
        return
    table(found, COLUMNS, wide=output == "wide")
    if watch:
        _follow(records, service, namespace, {rollout.id: rollout for rollout in found}, wide=output == "wide")


@command.command()
@click.argument("rollout")
@click.option("-n", "--namespace", help="Namespace of the service.")
@output_option("yaml", "json", "table", "wide")
@click.option("--decisions", is_flag=True, help="Add every decision with its inputs: the audit log.")
def get(rollout: str, namespace: str | None, output: str, decisions: bool) -> None:
    """Print one rollout: by id, by the start of an id, or by its service (the newest)."""
    records = ledger()
    found = find_rollout(records, rollout, namespace)
    if output in ("table", "wide"):
        table([found], COLUMNS, wide=output == "wide")
        return
    content = described(found)
    if decisions:
        taken = records.find(DecisionRecord, {"rollout": found.id}, limit=ALL)
        ordered = sorted((saved.record for saved in taken), key=lambda decision: decision.number)
        content["decisions"] = [record_status(decision) for decision in ordered]
    emit(content, output)


@command.command()
@click.argument("rollout")
@click.option("-n", "--namespace", help="Namespace of the service.")
def watch(rollout: str, namespace: str | None) -> None:
    """Print a rollout's decisions as they are made, until it has ended; exit status 1 unless it was promoted."""
    records = ledger()
    found = find_rollout(records, rollout, namespace)
    number = 0
    while True:
        saved = records.read(RolloutRecord, found.id)
        assert saved is not None
        while decision := records.read(DecisionRecord, f"{found.id}/{number + 1:06}"):
            number += 1
            say(_line(decision.record))
        if saved.record.ended == "yes" and number >= saved.record.seq:
            break
        time.sleep(POLL_S)
    click.get_current_context().exit(0 if saved.record.state == "promoted" else 1)


def _line(decision: DecisionRecord) -> str:
    after: Mapping[str, object] = decision.after
    state = state_text(str(after.get("state", "")), int(str(after.get("step", 0))), str(after.get("reason", "")))
    return f"{decision.at:%H:%M:%S}  {state:<24}  {decision.reason}"


def _follow(
    records: Ledger, service: str | None, namespace: str | None, seen: dict[str, RolloutRecord], *, wide: bool
) -> None:
    while True:
        time.sleep(POLL_S)
        changed = [
            rollout
            for rollout in _found(records, service, namespace)
            if _shown(seen.get(rollout.id)) != _shown(rollout)
        ]
        if changed:
            table(changed, COLUMNS, wide=wide, heading=False)
        seen.update({rollout.id: rollout for rollout in changed})


def _shown(rollout: RolloutRecord | None) -> object:
    return rollout and (rollout.state, rollout.step, rollout.reason, rollout.want, rollout.seen, _verdict(rollout))
