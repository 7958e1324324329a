"""Lists as kubectl prints them: a table or objects, once, or with `--watch` every row again that has changed."""

import json
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import click

from pointsman_cli.output import Column, emit, listing, say, table

__all__ = ["Listing", "watch_option"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

POLL_S = 0.5


def watch_option(command: F) -> F:
    return click.option("-w", "--watch", is_flag=True, help="Go on printing what changes, until Ctrl-C.")(command)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """How things of one kind are listed: their columns, their JSON, and what tells one from another."""

    kind: str
    columns: Sequence[Column]
    described: Callable[[T], Mapping[str, object]]
    key: Callable[[T], Hashable]

    def show(self, read: Callable[[], Sequence[T]], *, output: str, watch: bool = False, empty: str) -> None:
        """Print what `read` gives; `empty` is said where that is nothing."""
        rows = read()
        programs = output in ("json", "yaml")
        widths: Sequence[int] = ()
        if programs and not watch:
            emit(listing(self.kind, [self.described(row) for row in rows]), output)
        elif programs:
            self._each(rows, output)
        elif rows or watch:
            widths = table(rows, self.columns, wide=output == "wide")
        else:
            say(empty, err=True)
        known = {self.key(row): self._news(row) for row in rows}
        while watch:
            time.sleep(POLL_S)
            changed = [row for row in read() if known.get(self.key(row)) != self._news(row)]
            known |= {self.key(row): self._news(row) for row in changed}
            if programs:
                self._each(changed, output)
            elif changed:
                widths = table(changed, self.columns, wide=output == "wide", heading=False, widths=widths)

    def _news(self, row: T) -> tuple[str, ...]:
        return tuple(column.cell(row) for column in self.columns if not column.ages)

    def _each(self, rows: Sequence[T], output: str) -> None:
        """One document a row: a line of JSON, or YAML's own separator, so that a program can read on and on."""
        for row in rows:
            if output == "yaml":
                say("---")
                emit(self.described(row), output)
            else:
                say(json.dumps(self.described(row), ensure_ascii=False))
