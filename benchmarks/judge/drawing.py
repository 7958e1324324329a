"""Plots as plain SVG: dots on one axis, a row for each family."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

__all__ = ["Mark", "dots"]

ROW, LEFT, WIDTH, TOP = 18, 330, 520, 46
COLOURS = {"ours": "#1a5fb4", "bound": "#5e5c64", "limit": "#c01c28", "peer": "#e66100", "upper": "#62a0ea"}


@dataclass(frozen=True, slots=True)
class Mark:
    """One dot of a row; `kind` is one of `COLOURS`."""

    kind: str
    value: float


def dots(title: str, unit: str, rows: Sequence[tuple[str, Sequence[Mark]]], *, least: float, most: float) -> str:
    """A logarithmic axis from `least` to `most`; what lies beyond is drawn at its end."""
    first, last = floor(log10(least)), ceil(log10(most))
    height = TOP + ROW * len(rows) + 34

    def at(value: float) -> float:
        return LEFT + WIDTH * min(max((log10(max(value, 1e-12)) - first) / (last - first), 0.0), 1.0)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 30} {height}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="10" y="18" font-size="14">{escape(title)}</text>',
    ]
    kinds = dict.fromkeys(mark.kind for _, marks in rows for mark in marks)
    for index, kind in enumerate(kinds):
        x = LEFT + 90.0 * index
        parts.append(f'<circle cx="{x}" cy="32" r="4" fill="{COLOURS[kind]}"/><text x="{x + 8}" y="36">{kind}</text>')
    for power in range(first, last + 1):
        x, label = at(10.0**power), f"{10.0**power:g}"
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - 30}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 16}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{LEFT + WIDTH / 2}" y="{height - 3}" text-anchor="middle">{escape(unit)}</text>')
    for index, (name, marks) in enumerate(rows):
        y = TOP + ROW * index + ROW / 2
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        ends = [at(mark.value) for mark in marks]
        if ends:
            parts.append(f'<line x1="{min(ends):.1f}" y1="{y}" x2="{max(ends):.1f}" y2="{y}" stroke="#bbb"/>')
        parts += [
            f'<circle cx="{at(mark.value):.1f}" cy="{y}" r="4" fill="{COLOURS[mark.kind]}">'
            f"<title>{mark.kind} {mark.value:.4g}</title></circle>"
            for mark in marks
        ]
    return "\n".join([*parts, "</svg>", ""])
