"""Charts by hand: scales, axes and the few shapes that they are made of. Everything that is text is escaped here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from math import ceil, floor, log, log10

__all__ = ["Plot", "Scale", "count_ticks", "linear", "logarithmic", "number", "thinned"]

Point = tuple[float, float]

LETTER = 6.4
"""About how wide a letter of an axis is."""


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels; what lies outside is drawn on the edge."""

    low: float
    high: float
    start: float
    end: float
    place: Callable[[float], float]

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        low, high = self.place(self.low), self.place(self.high)
        part = (self.place(inside) - low) / (high - low) if high > low else 0.5
        return self.start + part * (self.end - self.start)


def linear(low: float, high: float, start: float, end: float) -> Scale:
    return Scale(low, high, start, end, lambda value: value)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """For positive values; others are drawn at the low edge."""
    return Scale(low, high, start, end, lambda value: log(max(value, 1e-12)))


def count_ticks(low: float, high: float, about: int) -> list[float]:
    """Round values between two: 1, 2 or 5 times a power of ten apart, `about` so many."""
    if high <= low:
        return [low]
    raw = (high - low) / max(1, about)
    power = 10.0 ** floor(log10(raw))
    step = next(times * power for times in (1.0, 2.0, 5.0, 10.0) if times * power >= raw * 0.999)
    return [round(step * index, 12) for index in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


@dataclass
class Plot:
    """A drawing of `width` × `height` pixels with a frame inside it: add shapes, then `svg`."""

    width: float
    height: float
    left: float = 56
    right: float = 16
    top: float = 14
    bottom: float = 34
    parts: list[str] = field(default_factory=list)

    @property
    def x0(self) -> float:
        return self.left

    @property
    def x1(self) -> float:
        return self.width - self.right

    @property
    def y0(self) -> float:
        return self.top

    @property
    def y1(self) -> float:
        return self.height - self.bottom

    def line(self, points: Sequence[Point], css: str) -> None:
        if points:
            self.parts.append(f'<path class="{css}" d="{_path(thinned(points))}"/>')

    def area(self, upper: Sequence[Point], lower: Sequence[Point], css: str) -> None:
        """What lies between two lines."""
        if upper:
            self.parts.append(f'<path class="{css}" d="{_path([*thinned(upper), *reversed(thinned(lower))])}Z"/>')

    def rule(self, x: float, y: float, to_x: float, to_y: float, css: str) -> None:
        places = f'x1="{number(x)}" y1="{number(y)}" x2="{number(to_x)}" y2="{number(to_y)}"'
        self.parts.append(f'<line class="{css}" {places}/>')

    def box(self, x: float, y: float, width: float, height: float, css: str, told: str = "") -> None:
        places = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
        self.parts.append(f'<rect class="{css}" {places}>{_told(told)}</rect>')

    def dot(self, x: float, y: float, radius: float, css: str, told: str = "") -> None:
        places = f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"'
        self.parts.append(f'<circle class="{css}" {places}>{_told(told)}</circle>')

    def text(self, x: float, y: float, words: str, css: str = "label", anchor: str = "start") -> None:
        places = f'x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"'
        self.parts.append(f'<text class="{css}" {places}>{escape(words)}</text>')

    def axis_x(self, scale: Scale, ticks: Iterable[tuple[float, str]], title: str = "") -> None:
        """Ticks with their words below the frame, and at its right end what they count."""
        for value, words in ticks:
            x = scale(value)
            self.rule(x, self.y1, x, self.y1 + 4, "tick")
            # The last one would be cut off by the edge of the drawing.
            fits = x + LETTER * len(words) / 2 <= self.width
            self.text(x if fits else self.width - 1, self.y1 + 16, words, "tick-label", "middle" if fits else "end")
        self.rule(self.x0, self.y1, self.x1, self.y1, "axis")
        if title:
            self.text(self.x1, self.y1 + 30, title, "axis-title", "end")

    def axis_y(self, scale: Scale, ticks: Iterable[tuple[float, str]]) -> None:
        """Grid lines with their words left of the frame."""
        for value, words in ticks:
            y = scale(value)
            self.rule(self.x0, y, self.x1, y, "grid")
            self.text(self.x0 - 6, y + 4, words, "tick-label", "end")

    def svg(self, key: str, title: str, told: str) -> str:
        """The drawing, with a title and a text in place of it for those who do not see it."""
        inside = "".join(self.parts)
        return (
            f'<svg viewBox="0 0 {number(self.width)} {number(self.height)}" width="{number(self.width)}" '
            f'height="{number(self.height)}" role="img" aria-labelledby="{key}-t {key}-d">'
            f'<title id="{key}-t">{escape(title)}</title><desc id="{key}-d">{escape(told)}</desc>{inside}</svg>'
        )


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """The points without those that no eye could tell apart: of each column of pixels the first, the lowest, the
    highest and the last."""
    found: list[Point] = []
    for _, column in groupby(points, lambda point: int(point[0])):
        inside = list(column)
        if len(inside) > 4:
            heights = [y for _, y in inside]
            kept = {0, heights.index(min(heights)), heights.index(max(heights)), len(inside) - 1}
            inside = [inside[index] for index in sorted(kept)]
        found += inside
    return found


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def _told(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
