"""`pointsman status`: every service in a line, what serves and what is on its way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from pointsman.core.records import HeadRecord, RolloutRecord, ServiceRecord
from pointsman.ports import Ledger
from pointsman_cli.connection import ALL, find_service, ledger
from pointsman_cli.lists import Listing, watch_option
from pointsman_cli.output import Column, age, namespace_option, output_option, record_status, resource, say, state_text

__all__ = ["command"]


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
    Column("SINCE", lambda row: age(row.rollout.state_since if row.rollout else None, datetime.now(UTC)), ages=True),
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


LISTING = Listing("ModelService", COLUMNS, _described, key=lambda row: row.service.key)


@click.command()
@click.argument("service", required=False)
@namespace_option("Only this namespace.")
@watch_option
@output_option()
def command(service: str | None, namespace: str | None, watch: bool, output: str) -> None:
    """Say of every service, or of one, which revision serves and what is on its way."""
    records = ledger()
    _tell_stopped(records)
    empty = f"no services in namespace {namespace}" if namespace else "no services yet: push a ModelService"
    LISTING.show(lambda: _rows(records, service, namespace), output=output, watch=watch, empty=empty)


def _tell_stopped(records: Ledger) -> None:
    for saved in records.find(HeadRecord):
        if stopped := saved.record.stopped:
            why = f" ({stopped.why})" if stopped.why else ""
            say(f"the line is stopped by {stopped.by}{why}; to go on: pointsman resume --all", err=True)
