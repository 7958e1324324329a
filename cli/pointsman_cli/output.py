"""How data is printed: kubectl's shapes on stdout, aligned tables for people, JSON and YAML for programs."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click
import yaml

from pointsman.core.encoding import encode
from pointsman.core.names import JSON
from pointsman.core.records import Record

__all__ = [
    "Column",
    "age",
    "coloured",
    "emit",
    "listing",
    "namespace_option",
    "output_option",
    "record_status",
    "resource",
    "say",
    "state_text",
    "table",
]

F = TypeVar("F", bound=Callable[..., Any])
API_VERSION = "pointsman.dev/v1"
GAP = "   "

_COLOURS = {
    "promoted": "green",
    "rolled_back": "red",
    "failed": "red",
    "aborted": "yellow",
    "superseded": "bright_black",
    "giving_back": "red",
    "held": "yellow",
    "roll_back": "red",
    "advance": "green",
    "hold": "yellow",
    "rejected": "red",
    "applied": "green",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, how a row's cell is read, and whether only `-o wide` shows it.

    A column that `ages` shows how long ago something was: it differs at every look, and is no news.
    """

    heading: str
    cell: Callable[[Any], str]
    wide: bool = False
    ages: bool = False


def output_option(*choices: str) -> Callable[[F], F]:
    """`-o`, with kubectl's four formats unless others are named; the first is the default."""
    formats = choices or ("table", "wide", "json", "yaml")
    return click.option(
        "-o", "--output", type=click.Choice(formats), default=formats[0], show_default=True, help="Format on stdout."
    )


def namespace_option(text: str = "Namespace of the service.") -> Callable[[F], F]:
    return click.option("-n", "--namespace", help=text)


def resource(kind: str, namespace: str, name: str, status: JSON) -> dict[str, object]:
    """One thing in kubectl's shape."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "status": dict(status)}


def listing(kind: str, items: Sequence[JSON]) -> dict[str, object]:
    return {"apiVersion": API_VERSION, "kind": f"{kind}List", "items": list(items)}


def emit(content: object, output: str) -> None:
    """Print JSON or YAML."""
    if output == "yaml":
        click.echo(yaml.safe_dump(_plain(content), sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def table(
    rows: Sequence[object],
    columns: Sequence[Column],
    *,
    wide: bool = False,
    heading: bool = True,
    widths: Sequence[int] = (),
) -> Sequence[int]:
    """Print rows in aligned columns; nothing is wrapped or cut, so that a pipe gets what a screen gets.

    Returns the columns' widths: rows that follow later are aligned by giving them back as `widths`.
    """
    shown = [column for column in columns if wide or not column.wide]
    cells = [[_flat(column.cell(row)) for column in shown] for row in rows]
    least = widths or [len(column.heading) for column in shown]
    widths = [max([least[index], *(len(line[index]) for line in cells)]) for index in range(len(shown))]
    if heading:
        say(GAP.join(column.heading.ljust(width) for column, width in zip(shown, widths, strict=True)).rstrip())
    for line in cells:
        padded = [coloured(cell) + " " * (width - len(cell)) for cell, width in zip(line, widths, strict=True)]
        say(GAP.join(padded).rstrip())
    return widths


def _flat(cell: str) -> str:
    """A cell that is one line of printable text, whoever wrote it: an event's source is not ours."""
    return cell if cell.isprintable() else "".join(mark if mark.isprintable() else " " for mark in cell)


def coloured(cell: str) -> str:
    """The text with the colour of its word, where it has one."""
    colour = _COLOURS.get(cell.partition("(")[0])
    return click.style(cell, fg=colour) if colour else cell


def say(text: str, *, err: bool = False) -> None:
    """Print a line; colours only for a terminal, and never where NO_COLOR is set (https://no-color.org)."""
    stream = sys.stderr if err else sys.stdout
    coloured = stream.isatty() and not os.environ.get("NO_COLOR")
    click.echo(text if coloured else click.unstyle(text), err=err, color=coloured)


def age(since: datetime | None, now: datetime) -> str:
    """How long ago, as precisely as kubectl says it: `95s`, `5m30s`, `120m`, `3h20m`, `2d4h`, `9d`."""
    if since is None:
        return "-"
    seconds = int(max(timedelta(0), now - since).total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    return _two(days, "d", hours % 24, "h") if days < 8 else f"{days}d"


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large}{unit}{small}{smaller}" if small else f"{large}{unit}"


def state_text(state: str, step: int, reason: str) -> str:
    """A rollout's state as people read it: `stepping(1)`, `held(no data)`."""
    if state == "stepping":
        return f"stepping({step})"
    if state in ("held", "giving_back") and reason:
        return f"{state}({reason})"
    return state


def record_status(record: Record) -> Mapping[str, object]:
    """A ledger record as the status of a resource."""
    return {name: value for name, value in encode(record).items() if name != "v"}


def _plain(content: object) -> object:
    return json.loads(json.dumps(content))
