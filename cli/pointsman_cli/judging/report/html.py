"""HTML by hand: every text goes through `text`, so that a model's name cannot be markup."""

import re
from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["definition", "figure", "legend", "sentence", "table", "text"]

text = escape


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", numeric: int = 99) -> str:
    """A table of texts; columns from `numeric` on are numbers, aligned right. It scrolls by itself where it is wide."""
    head = "".join(f'<th scope="col"{_right(index, numeric)}>{text(cell)}</th>' for index, cell in enumerate(heading))
    body = "".join(
        "<tr>"
        + f'<th scope="row">{text(row[0])}</th>'
        + "".join(f"<td{_right(index, numeric)}>{text(cell)}</td>" for index, cell in enumerate(row[1:], start=1))
        + "</tr>"
        for row in rows
    )
    told = f"<caption>{text(caption)}</caption>" if caption else ""
    return (
        f'<div class="wide" tabindex="0"><table>{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _right(index: int, numeric: int) -> str:
    return ' class="n"' if index >= numeric else ""


def sentence(words: str) -> str:
    """A text in which `names` stand between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(words))


def figure(title: str, told: str, drawings: Sequence[str], *, key: str = "", more: str = "") -> str:
    """A chart in its sizes (the first for wide screens and paper, the second for narrow ones), what it says below."""
    wide, narrow = drawings
    return (
        f'<figure><h3>{text(title)}</h3>{key}<div class="on-wide">{wide}</div><div class="on-narrow">{narrow}</div>'
        f"<figcaption>{text(told)}</figcaption>{more}</figure>"
    )


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """Marks (by the class that draws them) with their words."""
    items = "".join(
        f'<li><svg width="26" height="12" aria-hidden="true"><line class="{css}" x1="1" y1="6" x2="25" y2="6"/></svg>'
        f"{text(words)}</li>"
        for css, words in entries
    )
    return f'<ul class="legend">{items}</ul>'


def definition(entries: Iterable[tuple[str, str, str]]) -> str:
    """Figures with what they are, and a word of explanation."""
    items = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}<small>{text(more)}</small></dd></div>"
        for name, value, more in entries
    )
    return f'<dl class="facts">{items}</dl>'
