"""`pointsman rollouts`: list, get, watch."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from pointsman.core.records import DecisionRecord, RolloutRecord
from pointsman.errors import Absent
from pointsman.ports import Ledger
from pointsman_cli.connection import ALL, find_rollout, find_service, ledger
from pointsman_cli.decisions import line
from pointsman_cli.lists import Listing, watch_option
from pointsman_cli.output import (
    Column,
    age,
    emit,
    namespace_option,
    output_option,
    record_status,
    resource,
    say,
    state_text,
    table,
)

__all__ = ["command"]

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
    Column("AGE", lambda row: age(row.started_at, datetime.now(UTC)), ages=True),
    Column("FROM", lambda row: row.from_revision or "-", wide=True),
    Column("COMMIT", lambda row: row.commit[:8] or "-", wide=True),
    Column("TICKS", lambda row: str(row.seq), wide=True),
    Column("REASON", lambda row: row.reason or "-", wide=True),
)


def _described(rollout: RolloutRecord) -> dict[str, object]:
    namespace, _ = _parts(rollout)
    return resource("Rollout", namespace, rollout.id, record_status(rollout))


def _found(records: Ledger, service: str | None, namespace: str | None) -> Sequence[RolloutRecord]:
    where = {"service": find_service(records, service, namespace).key} if service else None
    found = [saved.record for saved in records.find(RolloutRecord, where, limit=ALL)]
    if namespace and not service:
        found = [rollout for rollout in found if _parts(rollout)[0] == namespace]
    return sorted(found, key=lambda rollout: rollout.started_at, reverse=True)


LISTING = Listing("Rollout", COLUMNS, _described, key=lambda row: row.id)


@click.group()
def command() -> None:
    """Look at rollouts: running and past."""


@command.command("list")
@click.argument("service", required=False)
@namespace_option("Only this namespace.")
@watch_option
@output_option()
def list_(service: str | None, namespace: str | None, watch: bool, output: str) -> None:
    """List rollouts, newest first."""
    records = ledger()
    empty = f"no rollouts in namespace {namespace}" if namespace else "no rollouts yet: push a model"
    LISTING.show(lambda: _found(records, service, namespace), output=output, watch=watch, empty=empty)


@command.command()
@click.argument("rollout")
@namespace_option()
@output_option()
@click.option("--decisions", is_flag=True, help="Add every decision; -o json and yaml with its inputs: the audit log.")
def get(rollout: str, namespace: str | None, output: str, decisions: bool) -> None:
    """Print one rollout: by id, by the start of an id, or by its service (the newest)."""
    records = ledger()
    found = find_rollout(records, rollout, namespace)
    taken = _decisions(records, found) if decisions else []
    if output in ("table", "wide"):
        table([found], COLUMNS, wide=output == "wide")
        for decision in taken:
            say(line(decision, found.weight_total))
        return
    content = _described(found)
    if decisions:
        content["decisions"] = [record_status(decision) for decision in taken]
    emit(content, output)


@command.command()
@click.argument("rollout")
@namespace_option()
def watch(rollout: str, namespace: str | None) -> None:
    """Print a rollout's decisions as they are made, until it has ended; exit status 1 unless it was promoted."""
    records = ledger()
    found = find_rollout(records, rollout, namespace)
    number = 0
    while True:
        saved = records.read(RolloutRecord, found.id)
        if saved is None:
            raise Absent(f"rollout {found.id} is gone from the ledger", remedy="pointsman rollouts list")
        while decision := records.read(DecisionRecord, f"{found.id}/{number + 1:06}"):
            number += 1
            say(line(decision.record, found.weight_total))
        if saved.record.ended == "yes" and number >= saved.record.seq:
            break
        time.sleep(POLL_S)
    click.get_current_context().exit(0 if saved.record.state == "promoted" else 1)


def _decisions(records: Ledger, rollout: RolloutRecord) -> Sequence[DecisionRecord]:
    found = (saved.record for saved in records.find(DecisionRecord, {"rollout": rollout.id}, limit=ALL))
    return sorted(found, key=lambda decision: decision.number)
