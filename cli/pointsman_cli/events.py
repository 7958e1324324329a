"""`pointsman events`: what came in, and what became of it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from pointsman.core.records import EventRecord
from pointsman_cli.connection import ALL, find_event, ledger
from pointsman_cli.lists import Listing, watch_option
from pointsman_cli.output import Column, age, emit, output_option, record_status, resource, table

__all__ = ["command"]

COLUMNS = (
    Column("AGE", lambda row: age(row.received_at, datetime.now(UTC)), ages=True),
    Column("TYPE", lambda row: row.type.removeprefix("dev.pointsman.").removesuffix(".v1")),
    Column("SOURCE", lambda row: row.source),
    Column("SUBJECT", lambda row: row.subject or "-", wide=True),
    Column("ID", lambda row: row.id, wide=True),
    Column("KEY", lambda row: row.key[:12]),
    Column("RESULT", lambda row: row.result or row.state),
    Column("SEEN", lambda row: f"{row.deliveries}x"),
    Column("REASON", lambda row: row.reason or "-"),
)


def _described(record: EventRecord) -> dict[str, object]:
    return resource("Event", "", record.key, record_status(record))


LISTING = Listing("Event", COLUMNS, _described, key=lambda row: row.key)


@click.group()
def command() -> None:
    """Look at the events that came in."""


@command.command("list")
@click.option("--limit", type=click.IntRange(min=1), help="The newest N only.")
@click.option("--type", "kind", help="Only types that contain this.")
@watch_option
@output_option()
def list_(limit: int | None, kind: str | None, watch: bool, output: str) -> None:
    """List every event, oldest first: where it came from and what it led to."""
    records = ledger()

    def read() -> Sequence[EventRecord]:
        found = [saved.record for saved in records.find(EventRecord, limit=ALL)]
        found = [record for record in found if not kind or kind in record.type]
        found.sort(key=lambda record: record.received_at)
        return found[-limit:] if limit else found

    empty = f"no events of type {kind}" if kind else "no events yet: push a commit, or register a model version"
    LISTING.show(read, output=output, watch=watch, empty=empty)


@command.command()
@click.argument("key")
@output_option()
def get(key: str, output: str) -> None:
    """Print one event by its key, or the start of it, or its id."""
    found = find_event(ledger(), key)
    if output in ("table", "wide"):
        table([found], COLUMNS, wide=output == "wide")
    else:
        emit(_described(found), output)
