"""`pointsman pools`: accelerator pools at work."""

from collections.abc import Mapping
from datetime import UTC, datetime

import click

from pointsman.core.records import DocumentRecord, PoolRecord
from pointsman.errors import Absent
from pointsman.ports import Ledger
from pointsman_cli.connection import ALL, ledger
from pointsman_cli.lists import Listing, watch_option
from pointsman_cli.output import Column, emit, output_option, record_status, resource, table

__all__ = ["command"]

COLUMNS = (
    Column("POOL", lambda row: row.name),
    Column("WANTED", lambda row: str(row.wanted)),
    Column("SEEN", lambda row: str(row.seen)),
    Column("CANDIDATE", lambda row: row.candidate or "-"),
    Column("HOLDS", lambda row: str(len(row.holds))),
    Column("OUT OF STOCK", lambda row: _out(row)),
    Column("REASON", lambda row: row.reason or "-"),
    Column("OPERATION", lambda row: row.operation or "-", wide=True),
    Column("EXECUTION", lambda row: (row.execution or "-").rsplit("/", 1)[-1], wide=True),
)


def _out(record: PoolRecord) -> str:
    now = datetime.now(UTC)
    return ", ".join(name for name, note in record.stockouts.items() if note.until > now) or "-"


def _records(records: Ledger) -> Mapping[str, PoolRecord]:
    """Every pool of the documents, at work or not yet."""
    documents = records.find(DocumentRecord, {"kind": "AcceleratorPool"}, limit=ALL)
    idle = {saved.record.name: PoolRecord(saved.record.name) for saved in documents}
    working = {saved.record.name: saved.record for saved in records.find(PoolRecord, limit=ALL)}
    return dict(sorted({**idle, **working}.items()))


def _described(record: PoolRecord) -> dict[str, object]:
    return resource("AcceleratorPool", "", record.name, record_status(record))


LISTING = Listing("AcceleratorPool", COLUMNS, _described, key=lambda row: row.name)


@click.group()
def command() -> None:
    """Look at accelerator pools."""


@command.command("list")
@watch_option
@output_option()
def list_(watch: bool, output: str) -> None:
    """List the pools: what is wanted, what is there, and by which candidate."""
    records = ledger()
    empty = "no AcceleratorPool in the config repository"
    LISTING.show(lambda: list(_records(records).values()), output=output, watch=watch, empty=empty)


@command.command()
@click.argument("pool")
@output_option()
def get(pool: str, output: str) -> None:
    """Print one pool; with -o yaml its holds and stock-outs."""
    found = _records(ledger()).get(pool)
    if found is None:
        raise Absent(f"no pool {pool}", remedy="pointsman pools list")
    if output in ("table", "wide"):
        table([found], COLUMNS, wide=output == "wide")
    else:
        emit(_described(found), output)
