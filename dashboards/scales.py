"""Numbers as people read them, and the marks of an axis."""

import math
from collections.abc import Sequence

__all__ = ["shown", "ticks"]


SECONDS = (30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Steps of an axis of minutes and hours."""


def shown(value: float, unit: str) -> str:
    """A value with its unit (`Panel.unit`), in as few signs as say it."""
    match unit:
        case "percent":
            return f"{_number(value)} %"
        case "percentunit":
            return f"{_number(100 * value)} %"
        case "currencyUSD":
            return f"${value:.2f}" if value < 100 else f"${value:,.0f}"
        case "s":
            return f"{_number(value / 60)} min" if value >= 60 else f"{_number(value)} s"
        case "ms":
            return f"{_number(value / 1000)} s" if value >= 1000 else f"{_number(value)} ms"
        case "reqps":
            return f"{_number(value)}/s"
        case _:
            return _number(value)


def _number(value: float) -> str:
    if value >= 100_000:
        return f"{value / 1000:,.0f} k"
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ticks(top: float, unit: str) -> Sequence[float]:
    """Round values from 0 to beyond `top`: four or five of them."""
    if unit in ("percent", "percentunit") and 0.4 < top / (100 if unit == "percent" else 1) <= 1.0001:
        return [mark / (1 if unit == "percent" else 100) for mark in (0.0, 25.0, 50.0, 75.0, 100.0)]
    if top <= 0:
        top = 1.0
    raw = top / 4
    if unit == "s" and raw > 15:
        step = next(float(step) for step in SECONDS if step >= raw)
        return [step * number for number in range(math.ceil(top / step - 1e-9) + 1)]
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw - 1e-12)
    if unit == "short" and step < 1 and top >= 1:
        step = 1.0
    return [step * number for number in range(math.ceil(top / step - 1e-9) + 1)]
