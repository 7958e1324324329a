"""Lengths of time as people say them."""

__all__ = ["length_text", "milliseconds"]


def length_text(seconds: float) -> str:
    """In its two largest units: `45 s`, `2 min`, `2 min 30`, `1 h 10`, `3 d`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60}" if whole % 60 else "")
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours < 48:
        return f"{hours} h" + (f" {minutes:02}" if minutes else "")
    return f"{hours // 24} d" + (f" {hours % 24} h" if hours % 24 else "")


def milliseconds(value: float) -> str:
    """`12 ms`, `1.2 s`."""
    return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"
