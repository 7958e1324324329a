"""`pointsman status`: every service in a line, what serves and what is on its way."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from pointsman.core.records import RolloutRecord, ServiceRecord
from pointsman.ports import Ledger
from pointsman_cli.connection import ALL, find_service, ledger
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

__all__ = ["command"]

POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class _Row:
    service: ServiceRecord
    rollout: RolloutRecord | None

    @property
    def state(self) -> str:
        if self.rollout is None:
            return "serving" if self.service.stable else "-"
        return state_text(self.rollout.state, self.rollout.step, self.rollout.reason)

    @property
    def running(self) -> RolloutRecord | None:
        return self.rollout if self.rollout and self.rollout.ended == "no" else None


def _canary(row: _Row) -> str:
    if row.running is None:
        return "-"
    return f"{row.running.to_revision} {100 * row.running.want / row.running.weight_total:g}%"


def _model(row: _Row) -> str:
    status = row.service.revisions.get(row.service.stable or "")
    return status.model if status and status.model else "-"


COLUMNS = (
    Column("NAMESPACE", lambda row: row.service.namespace),
    Column("SERVICE", lambda row: row.service.name),
    Column("STABLE", lambda row: row.service.stable or "-"),
    Column("CANARY", _canary),
    Column("LAST ROLLOUT", lambda row: row.state),
    Column("SINCE", lambda row: age(row.rollout.state_since if row.rollout else None, datetime.now(UTC))),
    Column("MODEL", _model, wide=True),
    Column("CLUSTER", lambda row: row.service.cluster, wide=True),
    Column("TOKEN", lambda row: str(row.service.token), wide=True),
    Column("IN GIT", lambda row: "yes" if row.service.in_git else "orphaned", wide=True),
)


def _rows(records: Ledger, name: str | None, namespace: str | None) -> Sequence[_Row]:
    if name:
        services = [find_service(records, name, namespace)]
    else:
        services = [saved.record for saved in records.find(ServiceRecord, limit=ALL)]
        services = [service for service in services if namespace in (None, service.namespace)]
    newest: dict[str, RolloutRecord] = {}
    for saved in records.find(RolloutRecord, limit=ALL):
        rollout = saved.record
        if rollout.service not in newest or newest[rollout.service].started_at < rollout.started_at:
            newest[rollout.service] = rollout
    return [
        _Row(service, newest.get(service.key))
        for service in sorted(services, key=lambda service: (service.namespace, service.name))
    ]


def _described(row: _Row) -> Mapping[str, object]:
    status = {**record_status(row.service), "rollout": record_status(row.rollout) if row.rollout else None}
    return resource("ModelService", row.service.namespace, row.service.name, status)


@click.command()
@click.argument("service", required=False)
@click.option("-n", "--namespace", help="Only this namespace.")
@click.option("--watch", is_flag=True, help="Print again whenever something changed.")
@output_option()
def command(service: str | None, namespace: str | None, watch: bool, output: str) -> None:
    """Say of every service which revision serves, and what is on its way."""
    records = ledger()
    before: object = None
    while True:
        rows = _rows(records, service, namespace)
        shown = [tuple(column.cell(row) for column in COLUMNS if column.heading != "SINCE") for row in rows]
        if shown != before:
            _print(rows, output)
            before = shown
        if not watch:
            return
        time.sleep(POLL_S)


def _print(rows: Sequence[_Row], output: str) -> None:
    if output in ("json", "yaml"):
        emit(listing("ModelService", [_described(row) for row in rows]), output)
    elif rows:
        table(rows, COLUMNS, wide=output == "wide")
    else:
        say("no services yet: push a ModelService", err=True)
