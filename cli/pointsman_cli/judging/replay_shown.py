"""What replay prints: JSON, a line a verdict, or a table; and what differs, was mended, or can't be read."""

import json
from collections.abc import Iterable
from typing import cast

import click

from pointsman.core.judge.verdict import odds
from pointsman_cli.judging.replaying import Replayed

__all__ = ["show"]


def show(results: Iterable[Replayed], output: str) -> bool:
    """Print them; whether every file was read and nothing differs."""
    rows: list[dict[str, object]] = []
    loosened: dict[str, int] = {}
    good = True
    for result in results:
        if output == "json":
            for line in result.lines:
                click.echo(json.dumps(line, ensure_ascii=False))
        else:
            rows += result.lines
        if result.error:
            click.echo(f"error: {result.error}", err=True)
        for difference in result.differences:
            click.echo(f"differs: {result.file}: {difference}", err=True)
        if result.repairs:
            more = f", and {len(result.repairs) - 1} more" if len(result.repairs) > 1 else ""
            click.echo(f"mended or left out: {result.file}: {result.repairs[0]}{more}", err=True)
        good = good and not result.error and not result.differences
        for text in result.loosened:
            loosened[text] = loosened.get(text, 0) + 1
    if rows:
        _table(rows)
    for text, count in loosened.items():
        click.echo(f"looser than recorded in {count} {'file' if count == 1 else 'files'}: {text}", err=True)
    return good


def _table(rows: list[dict[str, object]]) -> None:
    from pointsman_cli.output import Column, table

    columns = (
        Column("FILE", lambda row: str(row["file"])),
        Column("TICK", lambda row: "-" if row["seq"] is None else str(row["seq"])),
        Column("VERDICT", lambda row: str(row["verdict"])),
        Column("EVIDENCE", lambda row: odds(cast("float", row["log_e"]))),
        Column("METRIC", lambda row: str(row["metric"] or "-")),
        Column("REASON", lambda row: str(row["reason"])),
    )
    table(rows, columns)
