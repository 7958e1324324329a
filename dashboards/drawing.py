"""A dashboard as a picture: SVG, written by hand, so that it is text in the repository and sharp on a page."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from dashboards.panels import COLUMNS, Dashboard, Panel, Place, Query, Row, placed
from dashboards.scales import shown, ticks

__all__ = ["Picture", "picture"]

WIDTH = 1200
CELL, LINE = WIDTH / COLUMNS, 26.0
GAP, HEADER = 5.0, 46.0
LEFT, RIGHT, TOP, LEGEND = 46.0, 12.0, 30.0, 15.0
PALETTE = (
    *("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"),
    *("#1f4e8c", "#8c6d1f", "#8c2f1f", "#2f6b62", "#5b2f8c", "#b0b8c4"),
)
INK, FAINT, GRID, PAPER, TILE = "#1f2937", "#6b7280", "#e5e7eb", "#f3f4f6", "#ffffff"
FONT = "font-family=\"Inter,'Segoe UI',Roboto,'DejaVu Sans',sans-serif\""
REVISION = re.compile(r"-[0-9a-f]{8}$")
SERIES_MAX = 24
PAIRS = ("asked ", "wanted ", "median ", "started ")
"""Of two series with the same name after such a word, this one is dashed; both have one colour and one entry."""
OTHERS = ("seen ", "p99 ", "p95 ")
BARS_MAX = 48


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn: from `start` to `end` (Unix seconds), and the answer to each query as it was asked."""

    start: float
    end: float
    results: Mapping[str, Sequence[Mapping[str, Any]]]
    book: dict[str, str] = field(default_factory=dict)
    """Colours of revisions that were drawn already."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its name, and points of (time, value); a gap in time is a gap in the line."""

    name: str
    points: Sequence[tuple[float, float]]


def picture(dashboard: Dashboard, drawn: Picture, spelled: Callable[[str], str]) -> str:
    """The whole dashboard. `spelled` gives a query as it was asked."""
    tiles = list(placed(dashboard))
    height = HEADER + LINE * max(place.y + place.height for _, place in tiles) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" {FONT} font-size="11">',
        f"<title>{escape(dashboard.title)}</title>",
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="{PAPER}"/>',
        f'<text x="14" y="29" font-size="17" font-weight="600" fill="{INK}">{escape(dashboard.title)}</text>',
        f'<text x="{WIDTH - 14}" y="29" text-anchor="end" fill="{FAINT}">{escape(dashboard.about)}</text>',
    ]
    for what, place in tiles:
        if isinstance(what, Row):
            y = HEADER + LINE * place.y + 18
            parts.append(
                f'<text x="14" y="{y:.0f}" font-size="12.5" font-weight="600" fill="{INK}">{escape(what.title)}</text>'
            )
        else:
            parts.extend(_tile(what, place, drawn, spelled))
    return "\n".join([*parts, "</svg>", ""])


def _tile(panel: Panel, place: Place, drawn: Picture, spelled: Callable[[str], str]) -> Iterator[str]:
    x, y = CELL * place.x + GAP, HEADER + LINE * place.y + GAP
    width, height = CELL * place.width - 2 * GAP, LINE * place.height - 2 * GAP
    yield f'<g transform="translate({x:.1f} {y:.1f})"><title>{escape(panel.about)}</title>'
    yield f'<rect width="{width:.1f}" height="{height:.1f}" rx="4" fill="{TILE}" stroke="{GRID}"/>'
    yield f'<text x="10" y="19" font-weight="600" fill="{INK}">{escape(panel.title)}</text>'
    lines = [line for query in panel.queries for line in _lines(query, drawn, spelled)]
    if panel.kind == "number":
        yield _number(panel, lines, height)
    elif not lines:
        yield f'<text x="{width / 2:.1f}" y="{height / 2 + 4:.1f}" text-anchor="middle" fill="{FAINT}">no data</text>'
    else:
        yield from _chart(panel, lines[:SERIES_MAX], drawn, width, height)
    yield "</g>"


def _number(panel: Panel, lines: Sequence[Line], height: float) -> str:
    value = lines[0].points[-1][1] if lines else None
    alarm = panel.calm == "zero" and value is not None and value > 0
    text = "–" if value is None else shown(value, panel.unit)
    y = height - 16
    return f'<text x="10" y="{y:.1f}" font-size="30" fill="{"#c2410c" if alarm else INK}">{escape(text)}</text>'


def _lines(query: Query, drawn: Picture, spelled: Callable[[str], str]) -> Iterator[Line]:
    for series in drawn.results.get(spelled(query.promql), ()):
        name = query.legend
        for label, value in series["metric"].items():
            name = name.replace(f"{{{{{label}}}}}", value)
        found = series["values"] if "values" in series else [series["value"]]
        points = [(when, float(text)) for when, text in found]
        points = [(when, value) for when, value in points if math.isfinite(value)]
        if points:
            yield Line(name or "value", points)


def _chart(panel: Panel, lines: Sequence[Line], drawn: Picture, width: float, height: float) -> Iterator[str]:
    if panel.kind == "bars":
        lines = [Line(line.name, _thinned(line.points, drawn)) for line in lines]
        lines = [line for line in lines if any(value > 0 for _, value in line.points)] or lines[:1]
        lines = sorted(lines, key=lambda line: -sum(value for _, value in line.points))
    colours = _colours(lines, drawn.book)
    rows = _legend_rows(colours, width)
    box = _Box(LEFT, TOP, width - LEFT - RIGHT, height - TOP - 20 - LEGEND * len(rows), drawn.start, drawn.end)
    top = _top(lines, stacked=panel.kind in ("area", "bars"))
    marks = ticks(max([top, *(1.15 * threshold.value for threshold in panel.thresholds)]), panel.unit)
    box.top = marks[-1]
    for mark in marks:
        y = box.y(mark)
        yield f'<path d="M{box.left:.1f} {y:.1f}h{box.width:.1f}" stroke="{GRID}"/>'
        yield _text(box.left - 5, y + 3.5, shown(mark, panel.unit), FAINT, "end")
    yield from _times(box, drawn)
    drawers = {"lines": _strokes, "area": _areas, "bars": _bars}
    yield from drawers[panel.kind](box, lines, colours)
    for threshold in panel.thresholds:
        y = box.y(threshold.value)
        yield f'<path d="M{box.left:.1f} {y:.1f}h{box.width:.1f}" stroke="#b91c1c" stroke-dasharray="4 3"/>'
        yield _text(box.left + 4, y - 4, threshold.label, "#b91c1c")
    y = height - LEGEND * len(rows)
    for row in rows:
        for x, name in row:
            yield f'<rect x="{x:.1f}" y="{y - 1:.1f}" width="9" height="3" fill="{colours[name]}"/>'
            yield _text(x + 13, y + 4, name, INK)
        y += LEGEND


def _entry(name: str) -> str:
    """A series' entry in the legend: without the word that tells the two of a pair apart."""
    for word in (*PAIRS, *OTHERS):
        name = name.removeprefix(word)
    return name


def _colours(lines: Sequence[Line], book: dict[str, str]) -> Mapping[str, str]:
    """Entry → colour: a revision, with its namespace or without, has one through the whole picture, by `book`."""
    found: dict[str, str] = {}
    for entry in dict.fromkeys(_entry(line.name) for line in lines):
        if REVISION.search(entry):
            known = next((name for name in book if entry.endswith(name)), entry)
            found[entry] = book.setdefault(known, PALETTE[len(book) % len(PALETTE)])
        else:
            found[entry] = PALETTE[len(found) % len(PALETTE)]
    return found


@dataclass(slots=True)
class _Box:
    """The plot's place, and how times and values lie in it."""

    left: float
    upper: float
    width: float
    height: float
    start: float
    end: float
    top: float = 1.0

    def x(self, when: float) -> float:
        return self.left + self.width * (when - self.start) / (self.end - self.start)

    def y(self, value: float) -> float:
        return self.upper + self.height * (1 - min(max(value, 0.0), self.top) / self.top)


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f'<text {place} font-size="9.5" fill="{colour}">{escape(text)}</text>'


def _top(lines: Sequence[Line], *, stacked: bool) -> float:
    if not stacked:
        return max(value for line in lines for _, value in line.points)
    sums: dict[float, float] = {}
    for line in lines:
        for when, value in line.points:
            sums[when] = sums.get(when, 0.0) + value
    return max(sums.values())


def _times(box: _Box, drawn: Picture) -> Iterator[str]:
    minutes = int((drawn.end - drawn.start) // 60)
    every = max(1, math.ceil(minutes / (box.width / 55)))
    for minute in range(0, minutes + 1, every):
        x = box.x(drawn.start + 60 * minute)
        y = box.upper + box.height + 13
        yield _text(x, y, f"{minute}:00", FAINT, "middle")


def _runs(points: Sequence[tuple[float, float]], drawn_gap: float = 5.0) -> Iterator[Sequence[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for point in points:
        if run and point[0] - run[-1][0] > drawn_gap:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _strokes(box: _Box, lines: Sequence[Line], colours: Mapping[str, str]) -> Iterator[str]:
    for line in lines:
        parts = []
        for run in _runs(line.points):
            corners = _corners(run)
            parts.append("M" + "L".join(f"{box.x(when):.1f} {box.y(value):.1f}" for when, value in corners))
            if len(corners) == 1:
                parts[-1] += "h1"
        dash = ' stroke-dasharray="5 3"' if line.name.startswith(PAIRS) else ""
        colour = colours[_entry(line.name)]
        yield f'<path d="{"".join(parts)}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'


def _corners(run: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """Without points on a level line between two of the same value: a picture is small, and loses nothing."""
    return [
        point
        for index, point in enumerate(run)
        if index in (0, len(run) - 1) or not run[index - 1][1] == point[1] == run[index + 1][1]
    ]


def _areas(box: _Box, lines: Sequence[Line], colours: Mapping[str, str]) -> Iterator[str]:
    times = sorted({when for line in lines for when, _ in line.points})
    below = dict.fromkeys(times, 0.0)
    for line in lines:
        values = dict(line.points)
        above = {when: below[when] + values.get(when, 0.0) for when in times}
        if any(values.values()):
            upper = [f"{box.x(when):.1f} {box.y(value):.1f}" for when, value in _corners(list(above.items()))]
            lower = [f"{box.x(when):.1f} {box.y(value):.1f}" for when, value in _corners(list(below.items()))]
            shape = "M" + "L".join(upper) + "L" + "L".join(reversed(lower)) + "Z"
            yield f'<path d="{shape}" fill="{colours[_entry(line.name)]}" fill-opacity=".75"/>'
        below = above


def _thinned(points: Sequence[tuple[float, float]], drawn: Picture) -> Sequence[tuple[float, float]]:
    """One bar for each slot of time: the last value in it, so that what belongs together is of one time."""
    slot = (drawn.end - drawn.start) / BARS_MAX
    found: dict[int, float] = {}
    for when, value in points:
        number = min(BARS_MAX - 1, int((when - drawn.start) / slot))
        found[number] = value
    return [(drawn.start + slot * (number + 0.5), value) for number, value in sorted(found.items())]


def _bars(box: _Box, lines: Sequence[Line], colours: Mapping[str, str]) -> Iterator[str]:
    wide = box.width / BARS_MAX * 0.8
    below: dict[float, float] = {}
    for line in lines:
        parts = []
        for when, value in line.points:
            if value <= 0:
                continue
            base = below.get(when, 0.0)
            low, high = box.y(base), box.y(base + value)
            parts.append(f"M{box.x(when) - wide / 2:.1f} {low:.1f}v{high - low:.1f}h{wide:.1f}v{low - high:.1f}z")
            below[when] = base + value
        if parts:
            yield f'<path d="{"".join(parts)}" fill="{colours[_entry(line.name)]}"/>'


def _legend_rows(names: Iterable[str], width: float) -> list[list[tuple[float, str]]]:
    """Entries in rows of the tile's width, three rows at most: those that come first are the greatest."""
    rows: list[list[tuple[float, str]]] = [[]]
    x = 12.0
    for name in names:
        wide = 26 + 5.4 * len(name)
        if x + wide > width and rows[-1]:
            rows.append([])
            x = 12.0
        rows[-1].append((x, name))
        x += wide
    return rows[:3]
